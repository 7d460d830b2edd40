"""earlier-backup judged from plain facts: a good state beside those that flip it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from preflight_checks.earlier_backup import EarlierBackup

from preflight.finding import Judgement, Status
from preflight.plan import (
    Account,
    Backup,
    BackupFormat,
    BackupMethod,
    Database,
    RemotePath,
    Restore,
)
from preflight.probe import NoReply
from preflight.questions.backup_reads import (
    ArchiveRead,
    Held,
    ReadArchive,
    ReadText,
    Recorded,
    TextRead,
    Verified,
    VerifyBase,
)
from preflight.questions.backups import BackupFile, BackupKind, Listing, Repository
from preflight.questions.sizes import LiveContent
from preflight.reasons import Reason
from tests.toy import MOMENT, toy_plan

MIB = 1024 * 1024
NEW = BackupFile("/b/new.dump", BackupKind.CUSTOM, 100 * MIB, MOMENT - timedelta(hours=1), 26, "postgres", 0o600, "1:1")
OLD = replace(NEW, path="/b/old.dump", changed_at=MOMENT - timedelta(hours=25), stat="1:2")
LISTING = Listing(backups=(NEW, OLD), count=2, dangling=0, folder="readable", ran_as=26, account=26, now=MOMENT)
EMPTY = replace(LISTING, backups=(), count=0)
NAMES = frozenset(f"public t{number}" for number in range(7))
ENTRIES = tuple(f"{name} release" for name in sorted(NAMES))
LIVE = LiveContent(
    system_identifier="7", version_num=150018, count=7, stored_bytes=100 * MIB, kinds="INDEX\nFK CONSTRAINT",
    listed="\n".join(NAMES), roles="release\npostgres",
)  # fmt: skip
ARCHIVE = ArchiveRead(
    list_code=0, code=0, said="", database="orders", server="15.18", dumped_by="15.18", tables=7, entry=ENTRIES,
    kind=("TABLE", "INDEX", "FK CONSTRAINT"), text_bytes=100 * MIB,
)  # fmt: skip
HELD = Held(7, NAMES, frozenset(ARCHIVE.kind), frozenset({"release"}))
DUMP, CLUSTER = "-- PostgreSQL database dump", "-- PostgreSQL database cluster dump"
TEXT = TextRead(
    ran_as=26, account=26, readable=True, text_bytes=400 * MIB, first_line=DUMP, complete=True, server="15.18",
    dumped_by="15.18", databases=("orders",), held={"orders": HELD},
)  # fmt: skip
UNNAMED = replace(TEXT, databases=(), held={"": HELD})
WHOLE = replace(
    TEXT, first_line=CLUSTER, databases=("template1", "billing", "orders"), held={"billing": HELD, "orders": HELD}
)
NOTHING = replace(HELD, tables=0, names=frozenset())
BACKUP = Backup(
    id="orders", database="orders", directory=RemotePath("/b"), previous=RemotePath("/b/*"), account=Account("postgres")
)
RECORDED = Recorded(ran_as=26, account=26, file="/b/new.dump.sha256", wanted="a" * 64, sha256="a" * 64)
MANAGED = Backup(
    id="orders", database="orders", method=BackupMethod.PGBACKREST, known_as="main", account=Account("postgres")
)
KEPT = Repository(
    system_identifier="7", begin_wal="000000010000000000000002", end_wal="000000010000000000000003",
    first_wal="000000010000000000000002", last_wal="000000010000000000000003",
)  # fmt: skip
IN_REPOSITORY = replace(NEW, path="20261016-180000F", kind=BackupKind.MANAGED, stat="20261016-180000F")
REPOSITORY = Listing.told((IN_REPOSITORY,), MOMENT, KEPT)
CLOSED = Listing.told((), MOMENT, Repository(problem="Permission denied", closed=True))
BEHIND = "become postgres on db1: sudo does not give it to the login, or it can start nothing"
LOST = NoReply(Reason.QUESTION_LIMIT, "db1: no answer within 300 s", MOMENT)


def check(settings: EarlierBackup.Settings | None = None, **sections: Any) -> EarlierBackup:
    database = Database(id="orders", host="db1", user=Account("release"))
    plan = toy_plan(**{"databases": {"orders": database}, "backups": {"orders": BACKUP}, **sections})
    return EarlierBackup(plan, MOMENT, settings)


def subject(of: EarlierBackup, name: str) -> Any:
    return next(each for each in of.subjects() if each.id == name)


def judged(
    listing: Listing = LISTING,
    read: Any = ARCHIVE,
    earlier: Any = None,
    live: LiveContent | NoReply = LIVE,
    backup: Backup = BACKUP,
    settings: EarlierBackup.Settings | None = None,
    moment: datetime = MOMENT,
    **more: Any,
) -> Judgement:
    ready = check(settings, backups={"orders": backup})
    ready.moment = moment
    found: Judgement = ready.judge(
        subject(ready, "orders"), listing=listing, live=live, now=100 * MIB, read=read, earlier=earlier, **more
    )
    return found


def with_new(**changes: Any) -> Listing:
    return replace(LISTING, backups=(replace(NEW, **changes), OLD))


def test_a_young_whole_backup_of_the_right_database_passes() -> None:
    found = judged()
    assert found.status is Status.PASS
    for words in (
        "/b/new.dump of",
        "100 MiB, of postgres",
        "100% of the size",
        "readable to its end",
        "complete: data of 7 tables",
        "orders",
    ):
        assert words in found.summary
    assert judged(read=TEXT).status is Status.PASS
    assert judged(with_new(kind=BackupKind.BASE), Verified(0, "")).status is Status.PASS


DAY = "2026-10-17"
TAKEN = replace(BACKUP, step="backup-orders")


@pytest.mark.parametrize(
    ("backup", "name", "cure"),
    [
        (TAKEN, f"orders-{DAY}.dump", 'file = "orders-{date}-window.dump" in [backups.orders]'),
        (replace(TAKEN, file="last.dump"), "last.dump", 'file = "last-window.dump" in [backups.orders]'),
        (replace(TAKEN, format=BackupFormat.DIRECTORY), f"orders-{DAY}", 'file = "orders-{date}-window" in'),
    ],
)
def test_an_earlier_backup_of_the_name_that_the_windows_writes_fails(backup: Backup, name: str, cure: str) -> None:
    for listing in (with_new(path=f"/b/{name}"), replace(LISTING, backups=(NEW, replace(OLD, path=f"/b/{name}")))):
        found = judged(listing, backup=backup)
        assert found.status is Status.FAIL
        assert "has the name of an earlier one" in found.summary
        assert found.remedy.startswith("have step backup-orders write another file: ")
        assert cure in found.remedy


def test_an_earlier_backup_of_the_name_that_a_line_without_a_step_writes_is_warned_of() -> None:
    found = judged(with_new(path=f"/b/orders-{DAY}.dump"))
    assert found.status is Status.WARN
    assert "has the name of an earlier one: it would be overwritten" in found.summary
    assert found.remedy.startswith("unless that is the window's own, have it write another file: file = ")
    assert judged(with_new(path="/b/orders-2026-10-16.dump")).status is Status.PASS


def test_a_name_is_nobodys_where_the_window_writes_another_or_nothing() -> None:
    there = with_new(path=f"/b/orders-{DAY}.dump")
    assert judged(there, backup=replace(TAKEN, taken_by="cron")).status is Status.PASS
    assert judged(there, backup=replace(TAKEN, file="{date}.dump")).status is Status.PASS
    begun = MOMENT + timedelta(hours=10)
    in_window = with_new(path=f"/b/orders-{DAY}.dump", changed_at=begun)
    assert "has the name" not in str(judged(in_window, backup=TAKEN, moment=begun))
    assert "has the name" in str(judged(in_window, backup=TAKEN)), "no time of the window has come yet"


@pytest.mark.parametrize(
    ("read", "status", "words"),
    [
        (replace(ARCHIVE, code=1, said="pg_restore: error: end of file"), Status.FAIL, "cannot be read to its end"),
        (replace(ARCHIVE, list_code=1, code=1, said="pg_restore: error: x"), Status.FAIL, "cannot open"),
        (
            replace(ARCHIVE, list_code=1, code=1, said="pg_restore: error: unsupported version (1.16) in file header"),
            Status.FAIL,
            "newer pg_dump",
        ),
        (
            replace(ARCHIVE, list_code=1, code=1, said="sudo: a password is required"),
            Status.UNKNOWN,
            "sudo asks for a password",
        ),
        (
            replace(ARCHIVE, list_code=1, code=127, said="sh: 1: pg_restore: not found"),
            Status.FAIL,
            "pg_restore is missing",
        ),
        (
            replace(ARCHIVE, code=1, said='pg_restore: error: could not open "3.dat": No such file or directory'),
            Status.FAIL,
            "cannot be read to its end",
        ),
        (replace(ARCHIVE, database="billing"), Status.FAIL, "another database: billing"),
        (replace(ARCHIVE, server="14.9"), Status.FAIL, "version 14"),
        (replace(ARCHIVE, server="?"), Status.UNKNOWN, "does not say"),
        (replace(ARCHIVE, tables=0), Status.FAIL, "schema only"),
        (replace(ARCHIVE, entry=ENTRIES[1:], tables=6), Status.FAIL, "data of 1 of the 7 tables (public.t0)"),
        (replace(ARCHIVE, kind=("INDEX", "FK CONSTRAINT")), Status.FAIL, "the tables themselves (data only)"),
        (replace(ARCHIVE, kind=("TABLE",)), Status.FAIL, "it lacks indexes, foreign keys"),
        (replace(ARCHIVE, kind=(*ARCHIVE.kind, "EXTENSION")), Status.PASS, "complete"),
        (replace(ARCHIVE, entry=(*ENTRIES[:6], "public t6 bob")), Status.FAIL, "not on the server: bob"),
        (replace(ARCHIVE, dumped_by="16.4"), Status.WARN, "made by pg_dump 16, newer than the server, 15"),
        (replace(ARCHIVE, dumped_by="17.1"), Status.FAIL, "made by pg_dump 17, newer than the server, 15"),
        (replace(ARCHIVE, entry=("public x release", *ENTRIES)), Status.PASS, ""),
        (replace(ARCHIVE, unended=1), Status.FAIL, "the data of 1 table in it was emptied or cut off"),
        (replace(ARCHIVE, text_bytes=80 * MIB), Status.PASS, ""),
        (replace(ARCHIVE, text_bytes=79 * MIB), Status.WARN, "holds 79% of what the database holds now"),
        (replace(ARCHIVE, text_bytes=49 * MIB), Status.FAIL, "holds 49% of what the database holds now"),
        (replace(TEXT, code=1, said="gzip: unexpected end of file"), Status.FAIL, "cannot be read to its end"),
        (replace(TEXT, code=127), Status.UNKNOWN, "cannot be read here"),
        (replace(TEXT, holds_archive=True, first_line=""), Status.UNKNOWN, "cannot be read here"),
        (replace(TEXT, first_line=""), Status.FAIL, "does not begin"),
        (replace(TEXT, complete=False), Status.FAIL, "ends before pg_dump's last line"),
        (replace(TEXT, held={"orders": NOTHING}), Status.FAIL, "schema only"),
        (replace(TEXT, databases=("billing",)), Status.FAIL, "another database"),
        (UNNAMED, Status.PASS, "does not name its database"),
        (
            replace(UNNAMED, held={"": replace(HELD, names=frozenset({"a b"}))}),
            Status.FAIL,
            "lacks data of 7 of the 7 tables",
        ),
        (replace(UNNAMED, held={"": NOTHING}), Status.FAIL, "schema only"),
        (replace(UNNAMED, held={"": replace(HELD, kinds=frozenset())}), Status.FAIL, "(data only)"),
        (replace(TEXT, dumped_by="18.4"), Status.FAIL, "newer than the server"),
        (WHOLE, Status.PASS, "of the whole cluster, the database orders in it"),
        (replace(WHOLE, complete=False), Status.FAIL, "ends before pg_dumpall's last line"),
        (replace(WHOLE, databases=("billing",)), Status.FAIL, "does not hold the database orders"),
        (replace(WHOLE, databases=()), Status.FAIL, "does not hold the database orders"),
        (replace(WHOLE, held={"orders": NOTHING}), Status.FAIL, "schema only"),
        (replace(WHOLE, server="14.9"), Status.FAIL, "version 14"),
        (replace(TEXT, server="16.1"), Status.FAIL, "version 16"),
        (TextRead(ran_as=26, account=26, readable=False), Status.FAIL, "may not be read by postgres"),
        (Verified(1, "pg_verifybackup: error: checksum mismatch"), Status.FAIL, "not whole"),
        (Verified(1, "sudo: a password is required"), Status.UNKNOWN, "does not run"),
        (LOST, Status.UNKNOWN, "timed out"),
    ],
)
def test_what_the_full_read_shows_decides(read: Any, status: Status, words: str) -> None:
    found = judged(read=read)
    assert found.status is status, found
    assert words in found.summary


@pytest.mark.parametrize(
    ("age", "status"),
    [
        (timedelta(hours=26), Status.PASS),
        (timedelta(hours=26, minutes=1), Status.FAIL),
        (timedelta(minutes=-5), Status.PASS),
        (timedelta(minutes=-6), Status.UNKNOWN),
    ],
)
def test_age_is_counted_to_the_moment_judged(age: timedelta, status: Status) -> None:
    assert judged(with_new(changed_at=MOMENT - age)).status is status


def test_a_file_of_a_time_to_come_is_of_no_known_age_at_a_later_moment_either() -> None:
    listing = with_new(changed_at=MOMENT + timedelta(hours=2))
    assert judged(listing, moment=MOMENT + timedelta(hours=12)).status is Status.UNKNOWN


@pytest.mark.parametrize(("percent", "status"), [(300, "pass"), (80, "pass"), (79, "warn"), (50, "warn"), (49, "fail")])
def test_a_backup_that_shrank_is_told(percent: int, status: str) -> None:
    assert judged(with_new(size_bytes=MIB * percent)).status == status


def test_size_limits_can_be_set() -> None:
    settings = EarlierBackup.Settings(warn_size_ratio=0.3, least_size_ratio=0.2)
    assert judged(with_new(size_bytes=MIB * 40), settings=settings).status is Status.PASS
    assert judged(with_new(size_bytes=MIB * 25), settings=settings).status is Status.WARN


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"uid": 0, "owner": "root"}, Status.PASS),
        ({"uid": 1000, "owner": "mallory"}, Status.WARN),
        ({"mode": 0o646}, Status.WARN),
        ({"mode": 0o664}, Status.PASS),
    ],
)
def test_the_owner_is_the_account_or_root(changes: dict[str, Any], status: Status) -> None:
    assert judged(with_new(**changes)).status is status


@pytest.mark.parametrize(
    ("kind", "as_account", "status"),
    [
        (BackupKind.EMPTY, True, Status.FAIL),
        (BackupKind.FOLDER, True, Status.FAIL),
        (BackupKind.UNREADABLE, True, Status.FAIL),
        (BackupKind.UNREADABLE, False, Status.UNKNOWN),
        (BackupKind.PART, True, Status.UNKNOWN),
        (BackupKind.UNKNOWN, True, Status.UNKNOWN),
    ],
)
def test_what_cannot_be_read_at_all_never_passes(kind: BackupKind, as_account: bool, status: Status) -> None:
    assert judged(replace(with_new(kind=kind), ran_as=26 if as_account else 1000), None).status is status


@pytest.mark.parametrize(
    ("folder", "as_account", "status"),
    [
        ("readable", True, Status.FAIL),
        ("missing", True, Status.FAIL),
        ("unreadable", True, Status.FAIL),
        ("readable", False, Status.FAIL),
        ("missing", False, Status.UNKNOWN),
        ("unreadable", False, Status.UNKNOWN),
    ],
)
def test_no_backup_fails_unless_nobody_could_look(folder: str, as_account: bool, status: Status) -> None:
    listing = replace(EMPTY, folder=folder, ran_as=26 if as_account else 1000)
    assert judged(listing, None).status is status


def test_names_that_lead_to_nothing_are_no_backup_for_who_may_look_everywhere() -> None:
    dangling = replace(EMPTY, count=1, dangling=1)
    found = judged(dangling, None)
    assert (found.status, found.actual) == (Status.FAIL, "1 links to nothing")
    assert judged(replace(dangling, ran_as=1000), None).status is Status.UNKNOWN


@pytest.mark.parametrize("listing", [(None, 100), (100, None)])
def test_a_size_nobody_saw_is_compared_with_nothing(listing: tuple[int | None, int | None]) -> None:
    new, old = listing
    files = (replace(NEW, size_bytes=new), replace(OLD, size_bytes=old))
    found = judged(replace(LISTING, backups=files))
    assert (found.status, found.behind) == (Status.UNKNOWN, "")
    assert BEHIND in str(judged(replace(LISTING, backups=files, ran_as=1000)))


def test_a_single_backup_has_nothing_to_be_compared_with() -> None:
    found = judged(replace(LISTING, backups=(NEW,), count=1))
    assert (found.status, "cannot be compared" in found.summary) == (Status.PASS, True)


def test_a_backup_just_changed_and_not_whole_gives_way_to_the_one_before() -> None:
    listing = with_new(changed_at=MOMENT - timedelta(seconds=30), size_bytes=MIB)
    broken = replace(ARCHIVE, code=1, said="pg_restore: error: end of file")
    found = judged(listing, broken, ARCHIVE)
    assert (found.status, "being written" in found.summary) == (Status.WARN, True)
    assert judged(listing, broken, broken).status is Status.FAIL
    assert judged(listing, broken, LOST).status is Status.UNKNOWN
    assert judged(with_new(), broken, ARCHIVE).status is Status.FAIL, "an hour is no time for writing"
    assert judged(replace(listing, backups=listing.backups[:1]), broken).status is Status.FAIL
    small_but_whole = judged(listing, ARCHIVE, ARCHIVE)
    assert small_but_whole.status is Status.FAIL, "it is whole, so its size counts"


def test_without_the_server_its_version_is_not_known() -> None:
    assert judged(live=LOST).status is Status.UNKNOWN
    assert judged(live=LOST, read=replace(ARCHIVE, code=1, said="x")).status is Status.FAIL


@pytest.mark.parametrize(
    ("kind", "as_account", "probe"),
    [
        (BackupKind.CUSTOM, True, ReadArchive),
        (BackupKind.DIRECTORY, True, ReadArchive),
        (BackupKind.TAR, True, ReadArchive),
        (BackupKind.TEXT, True, ReadText),
        (BackupKind.ZSTD, True, ReadText),
        (BackupKind.BASE, True, VerifyBase),
        (BackupKind.BASE_TAR, True, VerifyBase),
        (BackupKind.PART, True, None),
        (BackupKind.UNREADABLE, False, ReadArchive),  # sudo may list pg_restore, and nothing else
        (BackupKind.UNREADABLE, True, None),
        (BackupKind.EMPTY, True, None),
    ],
)
def test_each_kind_has_its_reader(kind: BackupKind, as_account: bool, probe: type | None) -> None:
    ready = check()
    listing = replace(with_new(kind=kind), ran_as=26 if as_account else 1000)
    probes = ready.follow_up(subject(ready, "orders"), listing=listing, live=LIVE)
    assert [type(each) for each in probes.values()] == ([probe] if probe else [])


def test_the_one_before_is_read_too_when_the_newest_is_fresh() -> None:
    ready = check()
    listing = with_new(changed_at=MOMENT - timedelta(seconds=30))
    probes = ready.follow_up(subject(ready, "orders"), listing=listing, live=LIVE)
    assert [(name, probe.path) for name, probe in probes.items()] == [("read", NEW.path), ("earlier", OLD.path)]
    assert probes["read"].question().timeout_seconds == 300


def test_an_unreadable_text_dump_is_not_guessed_to_be_an_archive() -> None:
    plain = replace(BACKUP, format=BackupFormat.PLAIN)
    ready = check(backups={"orders": plain})
    listing = replace(with_new(kind=BackupKind.UNREADABLE), ran_as=1000)
    assert not ready.follow_up(subject(ready, "orders"), listing=listing, live=LIVE)


def test_a_failed_base_backup_is_read_again_with_its_own_program() -> None:
    base = replace(BACKUP, method=BackupMethod.PG_BASEBACKUP, format=BackupFormat.PLAIN)
    found = judged(with_new(kind=BackupKind.BASE), Verified(1, "pg_verifybackup: error: x"), backup=base)
    assert 'pg_verifybackup "$(ls -td -- /b/* | head -n 1)"' in found.remedy


@pytest.mark.parametrize(
    ("said", "status", "behind"),
    [
        ("sudo: a password is required", Status.UNKNOWN, BEHIND),
        ("sudo: pg_verifybackup: command not found", Status.UNKNOWN, ""),
        ('pg_verifybackup: error: "base/1/2" is present on disk but not in the manifest', Status.FAIL, ""),
    ],
)
def test_a_base_backup_that_sudo_keeps_from_being_read_waits_for_become(said: str, status: Status, behind: str) -> None:
    (point,) = judged(with_new(kind=BackupKind.BASE), Verified(1, said)).telling_points()
    assert (point.status, point.behind) == (status, behind)


def test_a_sum_written_down_beside_it_is_compared() -> None:
    assert "its SHA-256 is the one in /b/new.dump.sha256" in judged(recorded=RECORDED).summary
    found = judged(recorded=replace(RECORDED, sha256="b" * 64))
    assert (found.status, "was changed since its SHA-256 was written down" in found.summary) == (Status.FAIL, True)
    assert judged(recorded=replace(RECORDED, file="", wanted="", sha256="")).status is Status.PASS
    assert judged(recorded=replace(RECORDED, wanted="")).status is Status.UNKNOWN


GLOBALS = replace(BACKUP, globals=RemotePath("/b/*.roles"))


def test_roles_that_a_restore_needs_are_on_the_server_or_in_the_globals() -> None:
    owned = replace(ARCHIVE, entry=tuple(entry.replace("release", "bob") for entry in ENTRIES))
    found = judged(read=owned)
    assert (found.status, "CREATE ROLE bob;" in found.remedy) == (Status.FAIL, True)
    roles = replace(WHOLE, databases=(), held={}, roles=("bob",))
    assert judged(read=owned, backup=GLOBALS, globals_read=roles).status is Status.PASS
    found = judged(backup=GLOBALS, globals_read=roles)
    assert (found.status, "it lacks roles that own" in found.summary) == (Status.FAIL, True), "of another server"
    without = replace(BACKUP, restore=Restore(options=("--no-owner",)))
    assert judged(read=owned, backup=without).status is Status.PASS
    for read in (None, TEXT, replace(roles, complete=False)):
        assert judged(backup=GLOBALS, globals_read=read).status is Status.FAIL


@pytest.mark.parametrize(
    ("kind", "read", "status", "words"),
    [
        (BackupKind.BASE, Verified(0, "", 15, "7"), Status.PASS, "complete: every file"),
        (BackupKind.BASE, Verified(0, "", 15, "8"), Status.FAIL, "of another server: system identifier 8"),
        (BackupKind.BASE_TAR, Verified(1, "thousands of errors", 15), Status.UNKNOWN, "cannot be read here"),
        (BackupKind.BASE_TAR, Verified(1, "pg_verifybackup: error: x", 18), Status.FAIL, "not whole"),
        (BackupKind.BASE_TAR, Verified(0, "", 18), Status.UNKNOWN, "cannot be read here"),
        (BackupKind.BASE_TAR, Verified(0, "", 18, wal=True), Status.PASS, "its WAL beside it"),
    ],
)
def test_a_base_backup_is_of_this_server_and_in_tar_format_read_by_18(
    kind: BackupKind, read: Verified, status: Status, words: str
) -> None:
    found = judged(with_new(kind=kind), read)
    assert (found.status, words in found.summary) == (status, True), found


def test_more_tables_than_are_told_by_name_are_counted() -> None:
    many = replace(LIVE, count=10_001, listed="")
    assert judged(live=many, read=replace(ARCHIVE, tables=10_001)).status is Status.PASS
    assert "data of 1 of the 10001 tables" in judged(live=many, read=replace(ARCHIVE, tables=10_000)).summary


def test_sequences_and_views_are_compared_by_name() -> None:
    live = replace(LIVE, others="public q\npublic t0_id_seq\tpublic t0\npublic v")
    whole = replace(ARCHIVE, other=("public q release", "public t0_id_seq release", "public v release"))
    assert "; by name 3 sequences or views" in judged(live=live, read=whole).summary
    found = judged(live=live, read=replace(whole, other=whole.other[:1]))
    assert "it lacks 2 sequences or views (public.t0_id_seq, public.v)" in found.summary
    assert 'left_out = ["public.t0_id_seq"]' in found.remedy
    text = replace(HELD, others=frozenset({"public q", "public t0_id_seq"}))
    assert "it lacks 1 sequence or view (public.v)" in judged(live=live, read=replace(UNNAMED, held={"": text})).summary
    without = replace(whole, entry=ENTRIES[1:], tables=6, other=(whole.other[0], whole.other[2]))
    assert judged(live=live, read=without, backup=replace(BACKUP, left_out=("public.t0",))).status is Status.PASS
    assert "it lacks functions" in judged(live=replace(LIVE, kinds="FUNCTION")).summary


def test_tables_left_out_on_purpose_are_named_by_the_plan() -> None:
    lacking = replace(ARCHIVE, entry=ENTRIES[1:], tables=6)
    assert 'left_out = ["public.t0"]' in judged(read=lacking).remedy
    found = judged(read=lacking, backup=replace(BACKUP, left_out=("public.*0",)))
    assert (found.status, "by the plan: public.t0" in found.summary) == (Status.PASS, True)
    assert judged(read=lacking, backup=replace(BACKUP, left_out=("public.t1",))).status is Status.FAIL


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({}, Status.PASS, "complete by pgbackrest's own records, with its WAL; kept up to 000000010000000000000003"),
        ({"problem": "no valid backups"}, Status.FAIL, "no earlier backup that can be restored: no valid backups"),
        ({"fault": "damaged files were found in it"}, Status.FAIL, "is not whole: damaged files"),
        ({"last_wal": "000000010000000000000002"}, Status.FAIL, "is not kept: it cannot be restored"),
        ({"first_wal": "000000010000000000000003"}, Status.FAIL, "is not kept: it cannot be restored"),
        ({"first_wal": "", "last_wal": ""}, Status.FAIL, "is not kept: it cannot be restored"),
        ({"system_identifier": "8"}, Status.FAIL, "saves another server as main: system identifier 8"),
        ({"system_identifier": ""}, Status.UNKNOWN, "whether pgbackrest saves this server as main is not known"),
        ({"failed": "20261017"}, Status.WARN, "a later one failed: 20261017"),
    ],
)
def test_what_a_repository_says_of_itself_decides(changes: dict[str, str], status: Status, words: str) -> None:
    found = judged(replace(REPOSITORY, repository=replace(KEPT, **changes)), None, backup=MANAGED)
    assert (found.status, words in found.summary) == (status, True), found


def test_a_backup_in_a_repository_is_as_old_as_its_end() -> None:
    old = replace(IN_REPOSITORY, changed_at=MOMENT - timedelta(hours=27))
    found = judged(replace(REPOSITORY, backups=(old,)), None, backup=MANAGED)
    assert (found.status, "is 1 d 3 h old" in found.summary) == (Status.FAIL, True)
    assert judged(CLOSED, None, backup=MANAGED).status is Status.UNKNOWN
