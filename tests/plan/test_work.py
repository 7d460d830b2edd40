"""What a plan runs on its database hosts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from preflight.plan import (
    Account,
    Backup,
    BackupFormat,
    BackupMethod,
    Database,
    Host,
    Plan,
    RemotePath,
    Restore,
    Scripts,
    Step,
)
from preflight.plan.command_lines import backup_command
from preflight.plan.work import (
    Section,
    connection_options,
    engine_work,
    minutes_at_stake,
    planned_backups,
    planned_source,
    programs_of,
    script_work,
    server_work,
    work_on,
    work_with,
)
from tests.toy import toy_plan


def plan_of(*, backup: dict[str, Any] | None = None, scripts: dict[str, Any] | None = None, **more: Any) -> Plan:
    database = Database(id="orders", host="db1", user=Account("release"), owner="dba")
    folder = RemotePath("/backup")
    sections: dict[str, Any] = {"databases": {"orders": database}}
    if backup is not None:
        sections["backups"] = {"b": Backup(id="b", database="orders", directory=folder, **backup)}
    if scripts is not None:
        approved = Path("sql")
        where = {"database": "orders", **scripts}
        entry = Scripts(id="s", approved=approved, manifest=approved, staged=folder, **where)
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


def test_a_full_path_holds_for_the_programs_of_its_own_entry() -> None:
    plan = plan_of(backup={}, scripts={"program": "/opt/x/psql"})
    assert programs_of(plan, "db1", "dbadmin") == ("pg_dump", "pg_restore", "/opt/x/psql")
    assert programs_of(plan, "db1", "postgres") == ()
    plan = plan_of(backup={"program": "/usr/pgsql-15/bin/pg_dump"}, scripts={})
    assert programs_of(plan, "db1", "dbadmin") == (
        "/usr/pgsql-15/bin/pg_dump",
        "/usr/pgsql-15/bin/pg_restore",
        "psql",
    )


def test_a_backup_is_put_back_by_the_databases_user_and_not_by_who_may_only_read() -> None:
    backup = {"login": "backup", "account": "postgres", "server": "/run/postgresql"}
    (work,) = planned_backups(plan_of(backup={**backup, "restore": Restore()}))
    assert work.restore is not None
    assert (work.restore.account, work.restore.login, work.restore.programs) == ("postgres", "release", ("pg_restore",))
    assert work.programs == ("pg_dump", "pg_restore"), "the account has to run it in the night"
    restore = Restore(login=Account("owner"), into="orders2")
    (work,) = planned_backups(plan_of(backup={**backup, "restore": restore}))
    assert work.restore is not None
    assert dict(work.restore.connection) == {
        "host": "/run/postgresql", "port": "5432", "user": "owner", "dbname": "orders2",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("orders", "orders"),
        ("a=b", "dbname='a=b'"),
        ("postgres://x", "dbname='postgres://x'"),
        ("it's=\\", r"dbname='it\'s=\\'"),
        ("it's", "it's"),
    ],
)
def test_a_name_that_libpq_would_take_for_a_connection_string_is_written_as_one(name: str, word: str) -> None:
    assert connection_options((("user", "release"), ("dbname", name))) == ["-U", "release", "-d", word]


def test_what_is_not_a_client_program_is_not_tried_as_one() -> None:
    command = ("./deploy.sh", "prod")
    scripts, cron = plan_of(scripts={"command": command}), plan_of(backup={"taken_by": "cron"})
    assert [(work.command, work.programs, work.connects) for work in server_work(scripts)] == [(command, (), False)]
    assert [(work.programs, work.connects) for work in server_work(cron)] == [((), False)]
    read_back = plan_of(backup={"taken_by": "cron", "previous": "/backup/*.dump"})
    assert server_work(read_back)[0].programs == ("pg_restore",), "its result is read"


def test_a_command_may_be_about_no_database_of_the_plan() -> None:
    plan = plan_of(scripts={"database": "", "host": "db1", "command": ("./deploy.sh",)})
    (work,) = server_work(plan)
    assert (work.target, work.host.id, work.owner, work.connects) == (None, "db1", plan.hosts["db1"].owner, False)
    with pytest.raises(ValueError, match="scripts s names no database"):
        _ = work.database


def test_a_server_belongs_to_its_entry_and_has_the_databases_port() -> None:
    plan = plan_of(backup={}, scripts={"server": "/run/postgresql", "login": "owner"})
    backup, scripts = server_work(plan)
    assert backup.connection == (("user", "release"), ("dbname", "orders"))
    assert dict(scripts.connection) == {
        "host": "/run/postgresql", "port": "5432", "user": "owner", "dbname": "orders",
    }  # fmt: skip


def test_work_is_worked_out_once_for_each_plan() -> None:
    plan = plan_of(backup={}, scripts={})
    assert server_work(plan) is server_work(plan)


def test_minutes_count_each_step_once() -> None:
    steps = (Step(id="work", minutes=90, minutes_over_network=115), Step(id="other", minutes=5))
    plan = plan_of(backup={"step": "work"}, scripts={"step": "work"}, steps=steps)
    assert minutes_at_stake(server_work(plan)) == 25
    plan = plan_of(backup={"step": "other"}, scripts={}, steps=steps)
    assert minutes_at_stake(server_work(plan)) is None


@pytest.mark.parametrize(("name", "source"), [("orders", "b"), ("billing", "s")])
def test_a_rehearsal_fetches_by_the_backup_of_its_database_whichever_entry_names_that(name: str, source: str) -> None:
    plan = plan_of(backup={}, scripts={"database": "again"})
    orders = plan.databases["orders"]
    plan = replace(plan, databases={"orders": orders, "again": replace(orders, id="again", name=name)})
    (scripts,) = script_work(plan)
    assert planned_source(plan, "again", scripts).id == source


def test_a_rehearsal_reaches_the_server_that_the_entry_names_whoever_takes_the_backup() -> None:
    plan = plan_of(backup={"taken_by": "cron", "server": "/run/pg:5433"}, scripts={})
    (scripts,) = script_work(plan)
    source = planned_source(plan, "orders", scripts)
    assert (source.connects, dict(source.connection)["host"], source.port) == (False, "/run/pg", "5433")


def test_an_entry_of_another_engine_is_work_of_its_host_and_of_no_database() -> None:
    plan = plan_of(backup={}, scripts={})
    more = replace(plan.backups["b"], id="m", database="", host="db1", engine="mysql", command=("backup",), login="")
    plan = replace(plan, backups={**plan.backups, "m": more})
    (work,) = engine_work(plan, {"mysql", "mariadb"})
    assert (work.id, work.what, work.programs, work.connects) == ("m", "mysql on db1", (), False)
    assert work in work_on(plan, "db1")
    assert work not in work_with(plan, "orders")
    (scripts,) = script_work(plan)
    assert planned_source(plan, "orders", scripts).id == "b"


def test_earlier_backups_are_read_where_they_are_kept_and_a_repository_is_asked_there() -> None:
    hosts = [Host(id=name, address=name, user=Account("dbadmin")) for name in ("db1", "keep")]
    elsewhere = {"kept_on": "keep", "kept_by": Account("backup")}
    (dump,) = planned_backups(plan_of(hosts=hosts, backup={**elsewhere, "program": "/opt/bin/pg_dump"}))
    assert (dump.host.id, dump.account, dump.kept.host.id, dump.kept.account) == ("db1", "dbadmin", "keep", "backup")
    assert dump.kept.program("pg_restore") == "pg_restore"
    managed = {"method": BackupMethod.BARMAN, "known_as": "m", "options": ("--config=/etc/b.conf", "--jobs=2")}
    (work,) = planned_backups(plan_of(hosts=hosts, backup={**elsewhere, **managed}))
    assert (work.host.id, work.account, work.connects, work.started) == ("keep", "backup", False, "barman")
    assert (work.kept, work.is_beside_database) == (work, False)
    assert (work.at_database.host.id, work.at_database.account) == ("db1", "dbadmin")
    line = backup_command(work.plan, work).line
    assert line == "sudo -n -u backup barman --config=/etc/b.conf backup --wait --jobs=2 m"
    pgbackrest = {**managed, "method": BackupMethod.PGBACKREST, "options": ("--type=full",)}
    (work,) = planned_backups(plan_of(backup=pgbackrest))
    assert backup_command(work.plan, work).line == "pgbackrest --type=full --stanza=m backup"
