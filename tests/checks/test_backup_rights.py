"""backup-rights judged from plain facts; tests/site/test_backup_rights.py holds them against pg_dump."""

from __future__ import annotations

import pytest
from preflight_checks.backup_rights import BackupRights

from preflight.finding import Judgement, Status
from preflight.plan import Account, Backup, BackupMethod, Database, RemotePath, ServerRole
from preflight.questions.dump_rights import DumpRights, Kind
from tests.toy import MOMENT, toy_plan

ORDERS = Database(id="orders", host="db1", user=Account("release"))
BACKUP = {"id": "orders", "database": "orders", "directory": RemotePath("/b"), "login": Account("back-up")}


def judged(
    *, database: Database = ORDERS, superuser: bool = False, entry: object = None, hidden: str = "", **found: int
) -> Judgement:
    """`found`: how many of each kind, by the name of its member."""
    role = {"SUPERUSER" if superuser else "ROLE": 1}
    totals = {Kind[name]: total for name, total in {**role, "SAVED": 3, **found}.items()}
    names = {kind: [f"x.t{n}" for n in range(min(total, 20))] for kind, total in totals.items()}
    names[Kind.ROLE] = ["INHERIT"]
    plan = toy_plan(databases=[database], backups=[Backup(**{**BACKUP, **(entry or {})})])  # type: ignore[arg-type, dict-item]
    check = BackupRights(plan, MOMENT)
    (subject,) = check.subjects()
    return check.judge(subject, rights=DumpRights(names, totals, hidden))


def test_a_role_that_may_read_everything_passes() -> None:
    found = judged()
    assert (found.status, found.summary) == (Status.PASS, "back-up may read 3 tables and all else that is dumped")


@pytest.mark.parametrize(
    ("kind", "when", "cure"),
    [
        ("SCHEMA", "at once", "GRANT USAGE ON SCHEMA x.t0, x.t1 TO "),
        ("TABLE", "at once", "GRANT SELECT ON TABLE x.t0, x.t1 TO "),
        ("SEQUENCE", "at once", "GRANT SELECT ON SEQUENCE x.t0, x.t1 TO "),
        ("CONFIGURATION", "while it copies", "GRANT SELECT ON TABLE x.t0, x.t1 TO "),
        ("ROW_SECURITY", "while it copies", "ALTER ROLE "),
        ("LARGE_OBJECT", "after it has copied", "GRANT SELECT ON LARGE OBJECT x.t0, x.t1 TO "),
    ],
)
def test_each_kind_fails_with_its_time_and_its_statement(kind: str, when: str, cure: str) -> None:
    found = judged(**{kind: 2})
    assert found.status is Status.FAIL
    assert f"fails {when}" in found.summary
    assert found.remedy.startswith(f'{cure}"back-up"')


def test_a_cure_for_a_replica_is_run_on_its_primary() -> None:
    found = judged(database=Database(id="orders", host="db1", user=Account("r"), role=ServerRole.REPLICA), TABLE=1)
    assert found.remedy.endswith("-- on the primary of orders")


@pytest.mark.parametrize(
    ("found", "base", "summary"),
    [
        ({"FOREIGN": 9}, False, "pg_dump leaves out the rows of 9 foreign tables without an error"),
        ({"EXTENSION": 2}, False, "pg_dump leaves out the rows of 2 tables of extensions without an error"),
        ({"SUBSCRIPTION": 1}, False, "pg_dump leaves out 1 subscription without an error"),
        ({"UNLOGGED": 1, "REPLICA": 1}, False, "pg_dump leaves out the rows of 1 unlogged table without an error"),
        ({"UNLOGGED": 1}, True, "pg_basebackup leaves out the rows of 1 unlogged table without an error"),
    ],
)
def test_what_is_left_out_silently_is_a_warning(found: dict[str, int], base: bool, summary: str) -> None:
    judgement = judged(**found, entry={"method": BackupMethod.PG_BASEBACKUP} if base else {})
    assert (judgement.status, judgement.summary) == (Status.WARN, summary)


def test_a_superuser_saves_subscriptions_and_a_primary_unlogged_tables() -> None:
    assert judged(superuser=True, SUBSCRIPTION=1).status is Status.PASS
    assert judged(UNLOGGED=1).status is Status.PASS


def test_what_nobody_knows_of_is_no_subject() -> None:
    plan = toy_plan(databases=[ORDERS], backups=[Backup(**BACKUP, command=("/usr/local/bin/backup",))])  # type: ignore[arg-type]
    assert not BackupRights(plan, MOMENT).subjects()
