"""What a plan runs on its database hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from preflight.plan import Account, Backup, BackupFormat, BackupMethod, Database, Plan, RemotePath, Scripts, Step
from preflight.plan.work import Section, minutes_at_stake, programs_of, server_work
from tests.toy import toy_plan


def plan_of(*, backup: dict[str, Any] | None = None, scripts: dict[str, Any] | None = None, **more: Any) -> Plan:
    database = Database(id="orders", host="db1", user=Account("release"), owner="dba")
    folder = RemotePath("/backup")
    sections: dict[str, Any] = {"databases": {"orders": database}}
    if backup is not None:
        sections["backups"] = {"b": Backup(id="b", database="orders", directory=folder, **backup)}
    if scripts is not None:
        approved = Path("sql")
        entry = Scripts(id="s", database="orders", approved=approved, manifest=approved, staged=folder, **scripts)
        sections["scripts"] = {"s": entry}
    return toy_plan(**sections, **more)


def test_defaults_are_the_hosts_login_and_the_databases_role() -> None:
    work = server_work(plan_of(backup={}, scripts={}))
    assert [each.label for each in work] == ["backups b", "scripts s"]
    assert {(each.account, each.login, each.owner) for each in work} == {("dbadmin", "release", "dba")}
    assert work[1].section is Section.SCRIPTS


def test_what_the_entries_say_wins() -> None:
    (work,) = server_work(plan_of(backup={"account": "postgres", "login": "backup", "owner": "ops"}))
    assert (work.account, work.login, work.owner) == ("postgres", "backup", "ops")


def test_programs_follow_from_the_method() -> None:
    def programs(**backup: Any) -> tuple[str, ...]:
        return server_work(plan_of(backup=backup))[0].programs

    assert programs() == ("pg_dump", "pg_restore")
    assert programs(format=BackupFormat.PLAIN) == ("pg_dump", "psql")
    assert programs(method=BackupMethod.PG_BASEBACKUP) == ("pg_basebackup",)
    assert programs(account="postgres") == ("pg_dump",), "sudo may list no more"
    assert programs(account="postgres", previous="/backup/*.dump") == ("pg_dump", "pg_restore")


def test_a_full_path_in_the_run_line_holds_for_the_other_programs_too() -> None:
    run = "/usr/pgsql-15/bin/psql -X -f x"
    plan = plan_of(backup={}, scripts={"run": run})
    assert programs_of(plan, "db1", "dbadmin") == (
        "/usr/pgsql-15/bin/pg_dump",
        "/usr/pgsql-15/bin/pg_restore",
        "/usr/pgsql-15/bin/psql",
    )
    assert programs_of(plan, "db1", "postgres") == ()


def test_minutes_count_each_step_once() -> None:
    steps = (Step(id="work", minutes=90, minutes_over_network=115), Step(id="other", minutes=5))
    plan = plan_of(backup={"step": "work"}, scripts={"step": "work"}, steps=steps)
    assert minutes_at_stake(plan, server_work(plan)) == 25
    plan = plan_of(backup={"step": "other"}, scripts={}, steps=steps)
    assert minutes_at_stake(plan, server_work(plan)) is None
