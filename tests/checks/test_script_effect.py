"""script-effect judged from plain facts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from preflight_checks.script_effect import ScriptEffect

from preflight.finding import Judgement, Status
from preflight.plan import Backup, BackupFormat, BackupMethod, Content, RemotePath, Step, Without
from preflight.plan.values import Bytes
from preflight.questions.rehearsed import Rehearsed, Run, Touched
from preflight.questions.sizes import DataDirectories, LiveTable, WalRate
from preflight.questions.storage import Place
from tests.checks.test_backup_space import directory
from tests.checks.test_database_host import IDENTITY
from tests.checks.test_rehearsal import ENTRY, RECORD, TRIED
from tests.checks.test_restore_room import MIB, MOUNT, PLACE, SIZES, TWO
from tests.toy import MOMENT, toy_plan

ORDERS = Touched(kind="table", name="public.orders", defined=True, rewritten=True)
LINES = replace(ORDERS, name="public.lines")
WAL_PLACE = replace(PLACE, path="/data/pg/pg_wal", reached="/data/pg/pg_wal", real="/data/pg/pg_wal")
SHARED = replace(PLACE, path="/dev/shm", reached="/dev/shm", real="/dev/shm", mount=replace(MOUNT, device="0:9"))
HIDDEN = {
    PLACE.path: replace(PLACE, reached="/", real="/data/pg"),
    WAL_PLACE.path: replace(WAL_PLACE, free_bytes=1000 * MIB),
}
QUIET = WalRate(seen_at=MOMENT, bytes=0, seconds=86400, most_bytes=1000 * MIB, held=False)
ALLOWED = {"wal_level": "replica", "role app": "made", "member of app: release": "granted"}
STEP = Step(id="scripts", minutes=10)
DATABASES = {"orders": TWO["orders"]}


def run(*touched: Touched, **fields: Any) -> Run:
    return Run(script="010.sql", seconds=120.0, exit_code=0, touched=touched, **fields)


def effect(
    *runs: Run,
    free: int = 500,
    content: Content = Content.SCHEMA,
    backup: Backup | None = None,
    wal: WalRate = QUIET,
    places: dict[str, Place] | None = None,
    data: str = "/data/pg",
    archive: str = "",
    recorded: bool = True,
    search_path: str = "app",
    seen: dict[str, Any] | None = None,
    tablespace: str = "",
    temporary: tuple[str, ...] = ("",),
    allowed: dict[str, str] | None = None,
    table_bytes: dict[str, int] | None = None,
    **entry: Any,
) -> Judgement:
    """`free`: MiB where the data and the WAL lie. `seen`: what tells the size of the backup. The database has 100 MiB,
    50 of them when it was rehearsed."""
    plan = toy_plan(
        databases=DATABASES,
        scripts={"orders": replace(ENTRY, step="scripts", **entry)},
        steps=(STEP,),
        backups={"orders": backup} if backup else {},
    )
    check = ScriptEffect(plan, MOMENT)
    (subject,) = check.subjects()
    of = replace(RECORD.databases["orders"], content=content, size_bytes=50 * MIB, settings={"search_path": "app"})
    of = replace(of, allowed=ALLOWED, table_bytes=table_bytes or {})
    record = replace(RECORD, databases={"orders": of}, scripts={"orders": replace(TRIED, runs=runs)})
    rehearsed = Rehearsed(record) if recorded else Rehearsed(None, "no such file")
    facts: dict[str, Any] = {"rehearsed": rehearsed, "live": SIZES, "data": DataDirectories(data, archive=archive)}
    facts["identity"] = replace(IDENTITY, session={"settings": json.dumps({"search_path": {"setting": search_path}})})
    facts["temporary"] = temporary
    if backup:
        facts |= {"directory orders": replace(directory(), place=PLACE), **(seen or {})}
    assert set(check.probes(subject)) == set(facts)
    asked = check.follow_up(subject, **facts)
    if recorded:
        facts["wal"], facts["allowed"] = wal, ALLOWED if allowed is None else allowed
    if data and recorded:
        facts["places"] = places or {each.path: replace(each, free_bytes=free * MIB) for each in (PLACE, WAL_PLACE)}
        facts["places"] = {SHARED.path: SHARED, **facts["places"]}
    if "tables" in asked:
        sizes = {"public.orders": 100 * MIB, "public.lines": 60 * MIB}
        facts["tables"] = {
            name: LiveTable(name, sizes[name], sizes[name], tablespace) for name in asked["tables"].names
        }
    assert set(asked) == set(facts) - {
        "rehearsed",
        "live",
        "data",
        "identity",
        "temporary",
        "directory orders",
        *(seen or {}),
    }
    return check.judge(subject, **facts)


@pytest.mark.parametrize(
    ("runs", "free", "entry", "status"),
    [
        ([run()], 16, {}, Status.PASS),
        ([run()], 15, {}, Status.FAIL),  # a server needs as much for a file of its own
        ([run(ORDERS)], 240, {}, Status.PASS),  # once for the table, once for its WAL, 1.2 times
        ([run(ORDERS)], 239, {}, Status.FAIL),
        ([run(ORDERS), run(LINES)], 240, {}, Status.PASS),  # the first one's old file is gone by then
        ([run(ORDERS), run(LINES)], 383, {"single_transaction": True}, Status.FAIL),
        ([run(ORDERS), run(LINES)], 384, {"single_transaction": True}, Status.PASS),
        ([run(ORDERS), replace(run(LINES), way_back=True)], 240, {"single_transaction": True}, Status.PASS),
    ],
)  # fmt: skip
def test_a_rewritten_table_needs_its_size_again_and_its_wal(
    runs: list[Run], free: int, entry: dict[str, Any], status: Status
) -> None:
    found = effect(*runs, free=free, **entry)
    assert found.status is status, found
    if status is Status.FAIL:
        assert "1 MiB more made free" in found.remedy


def test_a_disk_that_can_hold_no_more_files_fails_whatever_is_free() -> None:
    for left, status in ((99, Status.FAIL), (100, Status.PASS), (None, Status.PASS)):
        places = {each.path: replace(each, free_bytes=500 * MIB, free_inodes=left) for each in (PLACE, WAL_PLACE)}
        assert effect(run(ORDERS), places=places).status is status, left


@pytest.mark.parametrize("gone", ALLOWED)
def test_what_the_server_no_longer_lets_them_do_is_unknown(gone: str) -> None:
    assert effect(run(ORDERS), allowed={**ALLOWED, "role other": "made"}).status is Status.PASS
    for now in ({}, {gone: "other"}):
        found = effect(run(ORDERS), allowed={**{name: value for name, value in ALLOWED.items() if name != gone}, **now})
        assert (found.status, gone in found.summary) == (Status.UNKNOWN, True), found


@pytest.mark.parametrize(
    ("then", "seconds", "status"),
    [
        (50, 120, Status.PASS),  # 100 MiB now: as the database, which has doubled
        (10, 61, Status.WARN),  # ten times: 10 min 10 s
        (10, 60, Status.PASS),
        (10, 301, Status.FAIL),  # as the database alone
        (0.9, 61, Status.PASS),  # too small then to tell
    ],
)
def test_a_table_that_has_grown_more_than_the_database_is_told(then: float, seconds: float, status: Status) -> None:
    ran = replace(run(replace(ORDERS, rewritten=False)), seconds=seconds)
    known = {"public.orders": int(then * MIB)}
    found = effect(ran, content=Content.RESTORE, table_bytes=known, free=900)
    assert found.status is status, found
    if status is Status.WARN:
        assert "public.orders 10.0 times" in found.actual
        assert effect(ran, table_bytes=known).status is Status.PASS, "without rows the minutes tell nothing"


def test_temporary_files_of_the_rehearsal_want_room_where_they_go() -> None:
    small = replace(PLACE, path="/tmp/pg", reached="/tmp/pg", real="/tmp/pg", mount=replace(MOUNT, device="8:3"))
    for free, status in ((96, Status.PASS), (95, Status.WARN)):  # 40 MiB, twice the database, 1.2 times
        places = {each.path: replace(each, free_bytes=900 * MIB) for each in (PLACE, WAL_PLACE)}
        places[small.path] = replace(small, free_bytes=free * MIB)
        runs = (run(ORDERS, temporary_bytes=40 * MIB), run(temporary_bytes=30 * MIB))
        found = effect(*runs, content=Content.RESTORE, places=places, temporary=(small.path,))
        assert found.status is status, found


def test_without_shared_memory_parallel_work_is_warned_of() -> None:
    for free, status in ((16, Status.PASS), (15, Status.WARN)):
        places = {each.path: replace(each, free_bytes=900 * MIB) for each in (PLACE, WAL_PLACE)}
        found = effect(run(ORDERS), places={**places, SHARED.path: replace(SHARED, free_bytes=free * MIB)})
        assert found.status is status, found


def test_an_archive_without_room_is_warned_of() -> None:
    place = replace(SHARED, path="/archive", reached="/archive", real="/archive")
    for free, runs, status in (
        (100, (run(ORDERS),), Status.PASS), (99, (run(ORDERS),), Status.WARN), (16, (run(),), Status.PASS),
        (15, (run(),), Status.WARN),
    ):  # fmt: skip
        places = {each.path: replace(each, free_bytes=900 * MIB) for each in (PLACE, WAL_PLACE, SHARED)}
        places[place.path] = replace(place, free_bytes=free * MIB)
        assert effect(*runs, places=places, archive="/archive").status is status, free


def test_a_full_disk_of_temp_tablespaces_fails_whatever_the_data_disk_has() -> None:
    small = replace(PLACE, path="/tmp/pg", reached="/tmp/pg", real="/tmp/pg", mount=replace(MOUNT, device="8:3"))
    for free, left, status in ((16, None, Status.PASS), (15, None, Status.FAIL), (16, 99, Status.FAIL)):
        there = replace(small, free_bytes=free * MIB, free_inodes=left)
        places = {each.path: replace(each, free_bytes=500 * MIB) for each in (PLACE, WAL_PLACE)}
        found = effect(run(ORDERS), places={**places, there.path: there}, temporary=(there.path,))
        assert found.status is status, (free, left, found)
        if left is None and found.status is Status.FAIL:
            assert found.summary == "there is no room for temporary files of release"
            assert "have 1 MiB more made free on /data (" in found.remedy
    assert effect(run(), temporary=("/new",)).status is Status.UNKNOWN, "made since the places were asked"


def test_wal_that_is_recycled_takes_no_more_than_its_limit_and_what_is_held_all() -> None:
    recycled = replace(QUIET, most_bytes=10 * MIB)
    assert effect(run(ORDERS), free=132, wal=recycled).status is Status.PASS
    assert effect(run(ORDERS), free=131, wal=recycled).status is Status.FAIL
    assert effect(run(ORDERS), free=239, wal=replace(recycled, held=True)).status is Status.FAIL


def test_other_settings_of_its_role_than_in_the_rehearsal_are_unknown() -> None:
    found = effect(run(), search_path="public")
    assert found.status is Status.UNKNOWN, found
    assert found.summary == "release begins with other settings than in the rehearsal: search_path"
    assert (found.expected, found.actual) == ("search_path is app", "search_path is public")


def test_two_devices_are_judged_each_for_itself() -> None:
    other = replace(WAL_PLACE, mount=replace(PLACE.mount, device="8:2"), free_bytes=119 * MIB)
    data = replace(PLACE, free_bytes=120 * MIB)
    found = effect(run(ORDERS), places={data.path: data, other.path: other})
    assert found.status is Status.FAIL
    assert found.quantity is not None
    assert found.quantity.value == MIB


def test_the_backup_before_the_scripts_takes_its_room_first() -> None:
    backup = Backup(id="orders", database="orders", directory=RemotePath("/data/pg"), expected=Bytes(100 * MIB))
    assert effect(run(ORDERS), free=360, backup=backup).status is Status.PASS
    found = effect(run(ORDERS), free=359, backup=backup)
    assert found.status is Status.FAIL
    assert "and 120 MiB for the backup of orders before them" in found.expected


PLAIN = Backup(id="orders", database="orders", directory=RemotePath("/data/pg"), format=BackupFormat.PLAIN)
UNSIZED = {"sizes orders": SIZES, "text orders": None}


def test_the_size_of_that_backup_is_known_as_backup_space_knows_it() -> None:
    told = {"sizes orders": SIZES, "text orders": 100 * MIB}
    assert effect(run(ORDERS), free=360, backup=PLAIN, seen=told).status is Status.PASS
    assert effect(run(ORDERS), free=359, backup=PLAIN, seen=told).status is Status.FAIL
    base = replace(PLAIN, method=BackupMethod.PG_BASEBACKUP, format=BackupFormat.TAR)
    cluster = replace(SIZES, cluster_bytes=100 * MIB, wal_segment_bytes=0)
    assert effect(run(ORDERS), free=360, backup=base, seen={"sizes orders": cluster}).status is Status.PASS
    assert effect(run(ORDERS), free=359, backup=base, seen={"sizes orders": cluster}).status is Status.FAIL
    managed = replace(PLAIN, method=BackupMethod.PGBACKREST, known_as="main")
    for backup, seen in ((PLAIN, UNSIZED), (managed, {"sizes orders": SIZES})):
        found = effect(run(ORDERS), free=5000, backup=backup, seen=seen)
        assert found.status is Status.UNKNOWN, found
        assert found.remedy == 'declare the size in [backups.orders], for example: expected = "20GiB"'
        assert effect(run(ORDERS), free=239, backup=backup, seen=seen).status is Status.FAIL, "whatever it has"


def test_on_a_restore_the_wal_tells_what_is_written_and_grows_with_the_database() -> None:
    written = run(wal_bytes=100 * MIB)
    assert effect(written, free=16).status is Status.PASS, "the schema alone has no rows"
    assert effect(written, free=480, content=Content.RESTORE).status is Status.PASS
    assert effect(written, free=479, content=Content.RESTORE).status is Status.FAIL


def test_minutes_of_a_restore_grow_with_the_database_and_must_fit_into_the_step() -> None:
    assert "they took 2 min on a restore of 50 MiB, so 4 min in 100 MiB; step scripts has 10 min" in str(
        effect(run(), content=Content.RESTORE).summary
    )
    long = effect(replace(run(), seconds=360.0), content=Content.RESTORE)
    assert long.status is Status.FAIL
    assert long.summary == "they take 12 min: 2 min longer than planned"
    assert long.minutes_at_stake == 2
    assert long.remedy == "plan 12 min for step scripts"
    assert effect(replace(run(), seconds=3600.0)).status is Status.PASS, "on the schema alone minutes tell nothing"


def test_what_is_dropped_is_told_for_the_reviewer() -> None:
    gone = Touched(kind="table", name="public.old", dropped=True)
    found = effect(run(gone, replace(gone, name="public.scratch", created=True)))
    assert found.status is Status.WARN
    assert found.summary == "010.sql drops table public.old"


def test_locks_that_are_waited_for_without_end_are_listed() -> None:
    locked = replace(ORDERS, rewritten=False, lock="AccessExclusiveLock", lock_timeout_ms=0)
    written = "wait for whoever is at work on public.orders for 010.sql (AccessExclusiveLock, no lock_timeout seen)"
    assert written in effect(run(locked)).summary
    assert written in effect(run(replace(locked, lock_timeout_ms=None))).summary, "TRUNCATE, say"
    for harmless in (
        {"lock_timeout_ms": 5000},
        {"lock": "RowExclusiveLock"},
        {"created": True},
        {"kind": "index"},
    ):
        assert "wait for" not in effect(run(replace(locked, **harmless))).summary


CHANGES = """\
 default privileges of release
+  grant SELECT on tables to app
 table billing.invoice
-  owner release
+  owner kaya
+  grant UPDATE to PUBLIC
+  grant SELECT to app
+table billing.fresh
+  owner release
+  grant SELECT to PUBLIC
 type billing.amount
-  revoke USAGE from PUBLIC"""


def test_rights_for_everybody_other_owners_and_default_privileges_are_told_too() -> None:
    found = effect(run(changes=CHANGES))
    assert found.status is Status.WARN
    assert found.actual == "5 such changes in the rehearsal"
    assert found.summary == (
        "010.sql changes default privileges of release: + grant SELECT on tables to app, "
        "changes table billing.invoice: + owner kaya, changes table billing.invoice: + grant UPDATE to PUBLIC, "
        "changes table billing.fresh: + grant SELECT to PUBLIC, changes type billing.amount: - revoke USAGE from PUBLIC"
    )


def test_a_place_that_nobody_sees_is_unknown_with_its_way_out() -> None:
    assert effect(run(ORDERS), data="").remedy.startswith("GRANT pg_read_all_settings TO release; or have ")
    hidden = replace(PLACE, reached="/", real="/data/pg")
    found = effect(
        run(ORDERS), places={each.path: each for each in (hidden, replace(WAL_PLACE, free_bytes=1000 * MIB))}
    )
    assert found.status is Status.UNKNOWN
    assert "enter / on db1" in found.remedy


def test_without_a_record_nothing_is_known_and_without_a_rehearsal_nothing_is_asked() -> None:
    found = effect(run(ORDERS), recorded=False)
    assert found.status is Status.UNKNOWN
    assert found.remedy == "cure what rehearsal says of orders"
    plan = toy_plan(databases=DATABASES, scripts={"orders": ENTRY})
    left_out = replace(plan, release=replace(plan.release, without=Without(rehearsal="read-only")))
    assert ScriptEffect(left_out, MOMENT).subjects() == []
