"""database-state on plain facts: what blocks, what only warns, and when what ends by itself begins to block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.database_state import DatabaseState

from preflight.check import Expect
from preflight.finding import Judgement, Status
from preflight.plan import Account, Backup, BackupMethod, Database, RemotePath, Scripts
from preflight.plan.manifest import format_manifest
from preflight.probe import NoReply
from preflight.questions.activity import ActivityProbe, Seen
from preflight.questions.files import LocalText, Texts
from preflight.questions.rehearsed import Rehearsal, Rehearsed, RehearsedEntry, Run, Touched
from preflight.questions.state import Item
from preflight.reasons import Reason
from tests.toy import MOMENT, WINDOW, toy_plan

ORDERS = Database(id="orders", host="db1", user=Account("release"))
SCRIPTS = Scripts(
    id="orders", database="orders", approved=Path("sql"), manifest=Path("sums"), staged=RemotePath("/s"),
    touches=("public.*",),
)  # fmt: skip
BASE_BACKUP = Backup(id="orders", database="orders", directory=RemotePath("/b"), method=BackupMethod.PG_BASEBACKUP)
VISIBLE = Seen("visible", MOMENT, 0, None, "", None, "", "", "", "", 0, 1)
HIDDEN = replace(VISIBLE, kind="hidden", sessions=7)
UI = Seen(
    "blocks", MOMENT, 600, 4711, "app", "10.2.0.5", "billing-ui", "idle in transaction", "SELECT",
    "public.orders (AccessShareLock)", 1, 1,
)  # fmt: skip


def item(
    kind: str, name: str = "", detail: str = "", number: int = 0, *, touched: bool = False, total: int = 1
) -> Item:
    return Item(kind, "public", "orders", name, detail, number, touched, total)


def judged(
    *state: Item,
    seen: Sequence[Seen] | NoReply = (VISIBLE,),
    sequences: Iterable[Item] = (),
    before: timedelta = timedelta(hours=9),
    asked_before: timedelta = timedelta(),
    scripts: Scripts = SCRIPTS,
    replica: bool = False,
    lost: NoReply | None = None,
    expect: Expect | None = None,
    **sections: Any,
) -> Judgement:
    """`before`: how long before the window's start it is judged; `asked_before`: how long before that it was asked."""
    plan = toy_plan(databases=[ORDERS], scripts=[scripts], **sections)
    moment = WINDOW.start - before
    check = DatabaseState(plan, moment, asked_at=moment - asked_before, expect=expect)
    (subject,) = check.subjects()
    server = Item("server", "", "", "", "", 150018, replica, 1)
    told = {"rehearsed": Rehearsed(None, "there is none"), "manifest orders": LocalText("", "", "no such file")}
    more = {} if replica else {"activity": seen}
    answer = lost or (server, *state)
    return check.judge(subject, sequences=(server, *sequences), state=answer, **more, **told)


def statuses(found: Judgement) -> list[Status]:
    return [point.status for point in found.telling_points()]


def test_a_quiet_one_passes() -> None:
    assert judged().status is Status.PASS
    assert judged(replica=True).status is Status.PASS


@pytest.mark.parametrize(
    ("before", "asked_before", "wanted"),
    [
        (timedelta(hours=9), timedelta(), Status.WARN),
        (timedelta(minutes=31), timedelta(), Status.WARN),
        (timedelta(minutes=30), timedelta(), Status.FAIL),
        (timedelta(hours=-1), timedelta(), Status.FAIL),
        # Asked by day for the night: the engine calls it too old.
        (timedelta(), timedelta(hours=9), Status.WARN),
    ],
)
@pytest.mark.parametrize("kind", ["blocks", "snapshot", "idle", "long", "stranger"])
def test_what_ends_by_itself_blocks_from_when_the_window_is_near(
    kind: str, before: timedelta, asked_before: timedelta, wanted: Status
) -> None:
    found = judged(seen=(VISIBLE, replace(UI, kind=kind)), before=before, asked_before=asked_before)
    assert statuses(found) == [wanted]
    (point,) = found.telling_points()
    assert ("asked again at the gate" in point.summary) is (wanted is Status.WARN)


@pytest.mark.parametrize("kind", ["blocks", "stranger"])
def test_once_the_work_is_done_it_only_warns(kind: str) -> None:
    found = judged(seen=(VISIBLE, replace(UI, kind=kind)), before=timedelta(hours=-4), expect=Expect.AFTER)
    assert statuses(found) == [Status.WARN]
    assert "gate" not in found.telling_points()[0].summary


def test_who_is_asked_and_what_the_dba_does_then() -> None:
    (point,) = judged(seen=(VISIBLE, replace(UI, total=9))).telling_points()
    assert point.summary == ("9 sessions hold locks on what the scripts touch: seen now, asked again at the gate")
    assert point.actual.endswith("(10 min), holds public.orders (AccessShareLock), last query: SELECT, and 8 more")
    assert point.remedy == (
        "ask whoever runs billing-ui as app on 10.2.0.5 to end it (COMMIT or ROLLBACK); once they agree, the DBA ends "
        "what is left over: SELECT pg_terminate_backend(4711);"
    )


def test_an_autovacuum_that_prevents_wraparound_has_nobody_but_the_dba_to_be_asked() -> None:
    worker = replace(UI, user="", client=None, application="", state="autovacuum worker")
    (point,) = judged(seen=(VISIBLE, worker)).telling_points()
    assert "autovacuum, which prevents wraparound" in point.actual
    assert point.remedy.startswith("ask the DBA to ")
    assert "have it finished before the window" in point.remedy


def test_what_may_not_be_seen_is_unknown() -> None:
    (point,) = judged(seen=(HIDDEN,)).telling_points()
    assert (point.status, point.remedy) == (Status.UNKNOWN, "GRANT pg_read_all_stats TO release;")


def test_an_answer_that_is_lost_hides_nothing_of_the_other() -> None:
    gone = NoReply(Reason.STATEMENT_TIMEOUT, "too slow", MOMENT)
    found = judged(item("index", "i", touched=True), seen=gone)
    assert statuses(found) == [Status.FAIL, Status.UNKNOWN]
    found = judged(seen=(VISIBLE, replace(UI, kind="prepared")), lost=gone)
    assert statuses(found) == [Status.FAIL, Status.UNKNOWN]


def test_without_touches_and_rehearsal_the_blockers_are_unknown() -> None:
    found = judged(scripts=replace(SCRIPTS, touches=()))
    assert found.status is Status.UNKNOWN
    assert "`touches` of [scripts.orders]" in found.telling_points()[0].remedy


def test_what_scripts_and_backups_do_counts_for_every_entry_of_their_database() -> None:
    databases = [ORDERS, replace(ORDERS, id="again", name="orders"), replace(ORDERS, id="billing")]
    saved = replace(BASE_BACKUP, method=BackupMethod.PG_DUMP, login=Account("saver"))
    check = DatabaseState(toy_plan(databases=databases, scripts=[SCRIPTS], backups=[saved]), MOMENT)
    subjects = check.subjects()
    assert ["manifest orders" in check.probes(each) for each in subjects] == [True, True, False]
    told: dict[str, Any] = {"rehearsed": Rehearsed(None, ""), "manifest orders": LocalText("", "", "no such file")}
    told["texts orders"] = Texts()
    server = Item("server", "", "", "", "", 150018, False, 1)
    asked = [check.follow_up(each, sequences=(server,), **told)["activity"] for each in subjects]
    assert [each.dumps_by for each in asked if isinstance(each, ActivityProbe)] == [("saver",), ("saver",), ()]


@pytest.mark.parametrize(
    ("text", "touched", "wanted"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (id);", Touched(kind="table", name="public.t"), True),
        ("CREATE INDEX i ON t (id);", Touched(kind="index", name="public.i", created=True), True),
        ("CREATE INDEX i ON t (id);", Touched(kind="index", name="public.i", created=True, lock="ShareLock"), False),
        ("CREATE INDEX i ON t (id);", Touched(kind="index", name="public.i"), False),
        ("CREATE TABLE t (id integer);", Touched(kind="table", name="public.t", created=True), False),
    ],
)
def test_old_snapshots_are_asked_for_where_a_script_or_its_rehearsal_waits_for_them(
    text: str, touched: Touched, wanted: bool
) -> None:
    sealed = {"010.sql": "a" * 64}
    run = Run(script="010.sql", seconds=1, exit_code=0, touched=(touched,))
    tried = RehearsedEntry(database="orders", files=sealed, runs=(run,))
    told: dict[str, Any] = {
        "rehearsed": Rehearsed(Rehearsal(release="R", at=MOMENT, by="x", where="here", scripts={"orders": tried})),
        "manifest orders": LocalText(format_manifest(sealed)),
        "texts orders": Texts({"010.sql": text}),
    }
    check = DatabaseState(toy_plan(databases=[ORDERS], scripts=[SCRIPTS]), MOMENT)
    server = Item("server", "", "", "", "", 150018, False, 1)
    asked = check.follow_up(check.subjects()[0], sequences=(server,), **told)["activity"]
    assert isinstance(asked, ActivityProbe)
    assert asked.snapshots is wanted


@pytest.mark.parametrize(
    ("kind", "touched", "wanted"),
    [
        ("index", True, Status.FAIL),
        ("index", False, Status.WARN),
        ("constraint", True, Status.FAIL),
        ("constraint", False, Status.WARN),
        ("trigger", True, Status.FAIL),
        ("trigger", False, Status.WARN),
        ("taken", True, Status.FAIL),
        ("gone", True, Status.FAIL),
        ("gone", False, Status.FAIL),
        ("unfilled", True, Status.WARN),
        ("narrow", True, Status.WARN),
        ("statistics", True, Status.WARN),
    ],
)
def test_of_objects_those_of_touched_tables_block(kind: str, touched: bool, wanted: Status) -> None:
    assert statuses(judged(item(kind, "x", touched=touched))) == [wanted]
    assert judged(item(kind, "x", touched=touched), replica=True).status is Status.PASS


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("By name", 'REINDEX INDEX CONCURRENTLY public."By name";'),
        ("i_ccnew1", "DROP INDEX CONCURRENTLY public.i_ccnew1;"),
        ("i_ccold", "DROP INDEX CONCURRENTLY public.i_ccold;"),
    ],
)
def test_the_left_over_of_a_reindex_is_dropped(name: str, cure: str) -> None:
    assert judged(item("index", name)).telling_points()[0].remedy.endswith(f": {cure}")


@pytest.mark.parametrize(
    ("status", "in_use", "wanted"),
    [
        ("reserved", True, []),
        ("reserved", False, [Status.WARN]),
        ("extended", True, [Status.WARN]),
        ("extended", False, [Status.FAIL]),
        ("unreserved", True, [Status.FAIL]),
        ("lost", False, [Status.FAIL]),
    ],
)
def test_slots_as_postgresql_counts_them(status: str, in_use: bool, wanted: list[Status]) -> None:
    found = judged(item("slot", "standby", status, 2**30, touched=in_use))
    assert [point.status for point in found.points if point.status is not Status.PASS] == wanted


@pytest.mark.parametrize("fault", ["none", "fails", "hangs"])
def test_an_archiver_that_keeps_the_wal_blocks(fault: str) -> None:
    assert statuses(judged(item("archiver", detail=fault, number=1_760_000_000))) == [Status.FAIL]


def test_one_that_only_says_yes_blocks_where_a_base_backup_is_the_way_back() -> None:
    pretends = item("archiver", "/bin/true", "pretends")
    assert statuses(judged(pretends)) == [Status.WARN]
    assert statuses(judged(pretends, backups=[BASE_BACKUP])) == [Status.FAIL]


def test_commits_that_wait_for_a_standby_block() -> None:
    assert statuses(judged(item("standbys", "FIRST 2 (a, b)", "1", 2, touched=True))) == [Status.FAIL]
    assert statuses(judged(item("standbys", "a", "release", 1))) == [Status.UNKNOWN]
    assert statuses(judged(item("commits", "a", number=1))) == [Status.FAIL]


@pytest.mark.parametrize(("age", "wanted"), [(180_000_000, Status.WARN), (1_300_000_000, Status.FAIL)])
def test_wraparound(age: int, wanted: Status) -> None:
    assert statuses(judged(item("age", "orders", "transactions", age))) == [wanted]


@pytest.mark.parametrize(
    ("last", "end", "wanted"),
    [
        (1_700_000_000, 2**31 - 1, []),
        (1_800_000_000, 2**31 - 1, [Status.WARN]),
        (-1_800_000_000, -(2**31), [Status.WARN]),
        (1, -(2**31), []),
    ],
)
def test_the_end_of_a_sequence_only_warns(last: int, end: int, wanted: list[Status]) -> None:
    found = judged(item("sequence", number=last), sequences=[item("sequence", number=end)])
    assert [point.status for point in found.telling_points() if point.status is not Status.PASS] == wanted


@pytest.mark.parametrize("last", [2**31 - 1, 2**31 - 40, 0])
def test_a_sequence_without_a_next_value_fails_wherever_it_stands(last: int) -> None:
    end = item("sequence", detail="NO MAXVALUE; ALTER TABLE public.t ALTER COLUMN id TYPE bigint;", number=2**31 - 1)
    spent = item("sequence", number=last, touched=True)
    (point,) = judged(spent, sequences=[end], scripts=SCRIPTS).telling_points()
    assert (point.status, point.summary) == (Status.FAIL, "the sequence public.orders is used up: no next value fits")
    assert point.remedy.endswith(
        ": ALTER SEQUENCE public.orders AS bigint NO MAXVALUE; ALTER TABLE public.t ALTER COLUMN id TYPE bigint;"
    )
    assert statuses(judged(spent)) == [Status.FAIL]
    assert judged(spent, sequences=[end], replica=True).status is Status.PASS


def test_the_rest() -> None:
    assert statuses(judged(item("checksum", "orders", number=3))) == [Status.FAIL]
    assert statuses(judged(item("restart", "max_connections"))) == [Status.WARN]
    assert statuses(judged(item("silent", "zero_damaged_pages"))) == [Status.WARN]
    own, other = item("collation", "orders", "2.36"), item("collation", "de", "153.14")
    found = judged(replace(own, schema=""), other)
    assert [point.remedy.rpartition(": ")[2] for point in found.telling_points()] == [
        "ALTER DATABASE orders REFRESH COLLATION VERSION;",
        "ALTER COLLATION public.de REFRESH VERSION;",
    ]
