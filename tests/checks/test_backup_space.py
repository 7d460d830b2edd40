"""backup-space judged from plain facts: each passing state beside those that flip it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.backup_space import BackupSpace

from preflight.errors import PlanError
from preflight.finding import Judgement, Status
from preflight.plan import (
    Account,
    Backup,
    BackupFormat,
    BackupMethod,
    Bytes,
    Database,
    Host,
    RemotePath,
    Step,
)
from preflight.plan.load import load_plan
from preflight.probe import NoReply
from preflight.questions.backup_reads import ArchiveRead, TextRead
from preflight.questions.backups import BackupFile, BackupKind, Listing
from preflight.questions.sizes import DataDirectories, Sizes, WalRate
from preflight.questions.storage import Directory, DirectoryKind, DirectoryProbe, Mount, Place, Quota
from preflight.reasons import Reason
from tests.plan_texts import MINIMAL
from tests.toy import MOMENT, toy_plan

GIB = 1024**3
HIDDEN = DataDirectories("")
"""Of a role that may not see it."""
DISK = Mount("8:17", "/backup", read_only=False, type="ext4", source="/dev/sdb1")
OTHER_DISK = Mount("8:33", "/second", read_only=False, type="ext4", source="/dev/sdc1")
ORDERS = Backup(id="orders", database="orders", directory=RemotePath("/backup/orders"), headroom=1.0, step="dump")
BILLING = Backup(id="billing", database="billing", directory=RemotePath("/backup/billing"), headroom=1.0)
SIZES = Sizes(
    database_bytes=30 * GIB,
    table_bytes=9 * GIB,
    tables=400,
    largest_table_bytes=4 * GIB,
    large_object_bytes=GIB,
    large_objects=50,
    cluster_bytes=60 * GIB,
    tablespaces=2,
    cluster_relations=5000,
    wal_segment_bytes=GIB // 64,
)


def directory(
    free_gib: float = 100,
    *,
    path: str = "/backup/orders",
    mount: Mount | None = DISK,
    size_gib: float = 100,
    inodes: int | None = 10_000_000,
    **changes: Any,
) -> Directory:
    place = Place(
        path=path,
        reached=path,
        real=path,
        mode=0o700,
        owner="dbadmin",
        mount=mount,
        free_bytes=int(free_gib * GIB),
        size_bytes=int(size_gib * GIB),
        free_inodes=inodes,
    )
    known = Directory(
        place=place,
        kind=DirectoryKind.DIRECTORY,
        passable=True,
        ran_as=1000,
        account=1000,
        groups=frozenset({1000}),
        access=True,
        proof="written",
        fsize="unlimited",
        cpu="unlimited",
        chain=(),
        members="",
    )
    return replace(known, **changes)


def missing(path: str, *, passable: bool = True) -> Directory:
    found = directory(path=path, kind=DirectoryKind.MISSING, passable=passable)
    return replace(found, place=replace(found.place, reached="/backup"))


def dump(size_gib: float | None, path: str = "/backup/o.dump") -> BackupFile:
    size = None if size_gib is None else int(size_gib * GIB)
    return BackupFile(path, BackupKind.CUSTOM, size, MOMENT, 1000, "dbadmin", 0o600, "1:1")


def listed(*backups: BackupFile) -> Listing:
    return Listing(
        backups=backups, count=len(backups), dangling=0, folder="readable", ran_as=1000, account=1000, now=MOMENT
    )


def check(*backups: Backup, hosts: Sequence[Host] = (), settings: BackupSpace.Settings | None = None) -> BackupSpace:
    plan = toy_plan(steps=(Step(id="dump", minutes=15, minutes_over_network=90),))
    databases = {
        name: Database(id=name, host=host, user=Account("release"))
        for name, host in (("orders", "db1"), ("billing", hosts[-1].id if hosts else "db1"))
    }
    plan = replace(plan, databases=databases, backups={backup.id: backup for backup in backups})
    plan = replace(plan, hosts={**plan.hosts, **{host.id: host for host in hosts}})
    return BackupSpace(plan, MOMENT, settings)


def judged(
    place: Directory,
    backup: Backup = ORDERS,
    *,
    sizes: Sizes = SIZES,
    previous: Sequence[BackupFile] = (),
    settings: BackupSpace.Settings | None = None,
    text_gib: float | None = 40,
    **more: Any,
) -> Judgement:
    text = None if text_gib is None else int(text_gib * GIB)
    facts = {
        "directory orders": place,
        "previous orders": listed(*previous),
        "sizes orders": sizes,
        "text orders": text,
    }
    facts |= more
    found = check(backup, settings=settings)
    conclusion: Judgement = found.judge(found.subjects()[0], **facts)
    return conclusion


def both(facts: Mapping[str, Directory], settings: BackupSpace.Settings | None = None) -> Judgement:
    """Of `orders`, which needs 10 GiB, beside `billing`, which needs 20 GiB."""
    billing = replace(BILLING, expected=Bytes(20 * GIB))
    found = check(replace(ORDERS, expected=Bytes(10 * GIB)), billing, settings=settings)
    conclusion: Judgement = found.judge(
        found.subjects()[0], **{f"directory {name}": fact for name, fact in facts.items()}
    )
    return conclusion


@pytest.mark.parametrize(
    ("free_gib", "status"),
    [
        (100, Status.PASS),
        (20, Status.PASS),  # 10 needed, 10 % of 100 GiB stay
        (19.9, Status.WARN),
        (10, Status.WARN),
        (9.9, Status.FAIL),
        (0, Status.FAIL),
    ],
)
def test_what_stays_free_is_judged(free_gib: float, status: Status) -> None:
    assert judged(directory(free_gib)).status is status


@pytest.mark.parametrize(
    ("free_gib", "size_gib", "status"),
    [
        (30, 10_000, Status.PASS),  # 20 GiB stay: 10 % of such a disk would be 1000
        (29.9, 10_000, Status.WARN),
        (11, 10, Status.PASS),
    ],
)
def test_the_smaller_of_share_and_size_is_kept(free_gib: float, size_gib: float, status: Status) -> None:
    assert judged(directory(free_gib, size_gib=size_gib)).status is status


def test_the_settings_say_how_much_is_kept() -> None:
    assert judged(directory(19), settings=BackupSpace.Settings(keep_percent=5)).status is Status.PASS
    assert judged(directory(19), settings=BackupSpace.Settings(keep_bytes=Bytes(9 * GIB))).status is Status.PASS
    assert judged(directory(29), settings=BackupSpace.Settings(keep_percent=20)).status is Status.WARN


def test_a_failure_says_what_is_missing_and_how_to_cure_it() -> None:
    found = judged(directory(4), replace(ORDERS, headroom=1.2))
    assert found.summary == "orders does not fit: 8 GiB missing, 4 GiB free"
    assert "orders needs 12 GiB (1.2 x 10 GiB, by the catalogue: its tables without indexes)" in found.expected
    assert found.actual == "4 GiB free of 100 GiB on /backup of db1"
    assert found.remedy == "free 18 GiB on /backup of db1, or name another directory in [backups.orders]"
    assert found.minutes_at_stake == 75
    assert judged(directory(4 + 18), replace(ORDERS, headroom=1.2)).status is Status.PASS


BASE = BackupMethod.PG_BASEBACKUP


@pytest.mark.parametrize(
    ("changes", "previous", "need", "method"),
    [
        ({}, (), "10 GiB", "its tables without indexes"),
        ({"format": BackupFormat.DIRECTORY}, (), "10 GiB", "its tables without indexes"),
        ({"format": BackupFormat.PLAIN}, (), "42 GiB", "by a sample of its tables, as text"),
        ({"format": BackupFormat.TAR}, (), "42 GiB", "by a sample of its tables, as text"),
        ({"options": ("--compress=0",)}, (), "42 GiB", "by a sample of its tables, as text"),
        ({"options": ("--compress=9",)}, (), "10 GiB", "its tables without indexes"),
        ({"method": BASE}, (dump(70),), "70 GiB", "as /backup/o.dump"),
        ({"method": BASE}, (dump(50),), "60.1 GiB", "all tablespaces and 2 WAL segments"),
        ({"method": BASE}, (), "60.1 GiB", "all tablespaces and 2 WAL segments"),
        ({"expected": Bytes(7 * GIB)}, (dump(3),), "7 GiB", "as the plan expects"),
        ({}, (dump(3),), "3 GiB", "as /backup/o.dump"),
        ({"format": BackupFormat.PLAIN}, (dump(3),), "42 GiB", "by a sample"),
        ({"format": BackupFormat.PLAIN}, (dump(50),), "50 GiB", "as /backup/o.dump"),
        ({}, (dump(0),), "10 GiB", "its tables without indexes"),
        ({}, (dump(0), dump(0)), "10 GiB", "its tables without indexes"),
        ({}, (dump(1, "/backup/cut"), dump(4), dump(9)), "4 GiB", "as /backup/o.dump"),  # the newest may be cut short
        ({}, (dump(None),), "10 GiB", "its tables without indexes"),
        ({"headroom": 1.5}, (dump(3),), "4.5 GiB", "1.5 x 3 GiB"),
    ],
)
def test_the_best_source_tells_the_size(
    changes: Mapping[str, Any], previous: Sequence[BackupFile], need: str, method: str
) -> None:
    backup = replace(ORDERS, **changes)
    found = judged(directory(90), backup, previous=previous)
    assert found.status is Status.PASS
    assert f"orders needs {need} (" in found.summary
    assert method in found.summary
    assert judged(directory(2.5), backup, previous=previous).status is Status.FAIL


@pytest.mark.parametrize(
    ("changes", "sizes", "previous"),
    [
        ({}, replace(SIZES, table_bytes=0, large_object_bytes=0), ()),
        ({"format": BackupFormat.PLAIN}, replace(SIZES, table_bytes=0, large_object_bytes=0), ()),
        ({"method": BASE}, replace(SIZES, cluster_bytes=None), ()),
        ({"method": BASE}, replace(SIZES, cluster_bytes=0), ()),
        ({}, None, ()),
    ],
)
def test_a_size_nobody_tells_never_passes(
    changes: Mapping[str, Any], sizes: Any, previous: Sequence[BackupFile]
) -> None:
    found = judged(directory(), replace(ORDERS, **changes), sizes=sizes, previous=previous)
    assert (found.status, "[backups.orders] expected" in found.remedy) == (Status.UNKNOWN, True)


def test_a_file_system_without_a_size_never_passes() -> None:
    assert judged(directory(size_gib=0)).status is Status.UNKNOWN


@pytest.mark.parametrize("kind", [DirectoryKind.MISSING, DirectoryKind.DANGLING, DirectoryKind.OTHER])
def test_the_parent_of_a_missing_directory_is_not_measured(kind: DirectoryKind) -> None:
    found = judged(replace(missing("/backup/orders"), kind=kind))
    assert (found.status, found.summary) == (Status.UNKNOWN, "directory does not exist (see backup-location)")


def test_a_directory_that_may_be_hidden_is_not_called_missing() -> None:
    found = judged(missing("/backup/orders", passable=False))
    assert found.summary == "directory cannot be seen by the account (see backup-location)"
    assert not found.behind
    by_login = judged(replace(missing("/backup/o", passable=False), ran_as=999))
    assert by_login.behind == "become dbadmin on db1: sudo does not give it to the login, or it can start nothing"
    assert found.status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("changes", "inodes", "status"),
    [
        ({}, None, Status.PASS),  # not limited
        ({}, 101, Status.PASS),
        ({}, 100, Status.FAIL),
        ({}, 0, Status.FAIL),
        ({"format": BackupFormat.DIRECTORY}, 560, Status.PASS),  # 400 tables, 50 large objects, 10, 100 to spare
        ({"format": BackupFormat.DIRECTORY}, 559, Status.FAIL),
        ({"method": BASE}, 11_160, Status.PASS),
        ({"method": BASE}, 11_159, Status.FAIL),
        ({"method": BASE, "format": BackupFormat.TAR}, 104, Status.PASS),
        ({"method": BASE, "format": BackupFormat.TAR}, 103, Status.FAIL),
    ],
)
def test_inodes_count(changes: Mapping[str, Any], inodes: int | None, status: Status) -> None:
    assert judged(directory(90, inodes=inodes), replace(ORDERS, **changes)).status is status


@pytest.mark.parametrize(
    ("quota", "changes", "status"),
    [
        (Quota("/dev/sdb1", 50 * GIB, None), {}, Status.PASS),
        (Quota("/dev/sdb1", 15 * GIB, None), {}, Status.WARN),
        (Quota("/dev/sdb1", 9 * GIB, None), {}, Status.FAIL),
        (Quota("/dev/sdb1", 0, None), {}, Status.FAIL),
        (Quota("/dev/sdb1", None, 100), {}, Status.FAIL),
        (Quota("/dev/sdb1", None, 101), {}, Status.PASS),
        (Quota("/dev/sdc1", 0, 0), {}, Status.PASS),  # of another file system
        (Quota("/dev/sdb1", 0, 0), {"ran_as": 1001}, Status.PASS),  # of whoever looked in the account's stead
    ],
)
def test_a_quota_counts_where_it_is_smaller(quota: Quota, changes: Mapping[str, Any], status: Status) -> None:
    found = judged(directory(quotas=(quota,), **changes))
    assert found.status is status
    assert status is Status.PASS or quota.left_bytes is None or "quota of dbadmin" in found.remedy


def test_backups_on_one_storage_are_added_up() -> None:
    alone = {"orders": directory(35), "billing": directory(35, path="/second/billing", mount=OTHER_DISK)}
    assert both(alone).status is Status.PASS
    together = {"orders": directory(29), "billing": directory(29, path="/backup/billing")}
    found = both(together)
    assert found.status is Status.FAIL
    assert found.summary == "orders and billing do not fit together: 1 GiB missing, 29 GiB free"
    for words in ("orders needs 10 GiB", "billing needs 20 GiB", "together 30 GiB"):
        assert words in found.expected
    assert both({name: directory(40, path=f"/backup/{name}") for name in together}).status is Status.PASS
    assert both({name: directory(39, path=f"/backup/{name}") for name in together}).status is Status.WARN


MYSQL = replace(BILLING, database="", host="db1", engine="mysql", taken_by="cron", previous=RemotePath("/backup/*"))


@pytest.mark.parametrize("hosts", [(), (Host(id="db2"),)])
def test_a_backup_of_another_engine_is_added_up_and_no_database_is_asked_for_it(hosts: Sequence[Host]) -> None:
    other = replace(MYSQL, host="db2" if hosts else "db1", expected=Bytes(20 * GIB))
    found = check(replace(ORDERS, expected=Bytes(10 * GIB)), other, hosts=hosts)
    subject = found.subjects()[-1]
    names = ("directory orders", "directory billing")
    facts: dict[str, Any] = {name: replace(directory(29), boot="b1") for name in names}
    asked = found.probes(subject)
    assert {name for name in asked if "billing" in name} == {"directory billing", "previous billing"}
    facts |= {"files orders": HIDDEN} if hosts else {}
    found.follow_up(subject, **facts)
    conclusion = found.judge(subject, **facts)
    assert conclusion.status is Status.FAIL
    assert "together 30 GiB" in conclusion.expected


def test_what_a_database_of_another_engine_has_grown_nobody_tells_until_its_size_is_declared() -> None:
    found = check(MYSQL)
    facts = {"directory billing": directory(90), "previous billing": listed(dump(1), dump(1))}
    (subject,) = found.subjects()
    assert found.follow_up(subject, **facts) == {}
    conclusion = found.judge(subject, **facts)
    assert conclusion.status is Status.UNKNOWN
    assert conclusion.summary.startswith("billing fits only if mysql on db1 has not grown since")
    assert conclusion.remedy == 'declare the size: [backups.billing] expected = "20GiB"'
    found = check(replace(MYSQL, expected=Bytes(2 * GIB)))
    assert found.judge(found.subjects()[0], **facts).status is Status.PASS


def test_inodes_of_backups_on_one_storage_are_added_up() -> None:
    def on(inodes: int) -> Judgement:
        return both({name: directory(path=f"/backup/{name}", inodes=inodes) for name in ("orders", "billing")})

    assert (on(102).status, on(101).status) == (Status.PASS, Status.FAIL)


@pytest.mark.parametrize(
    "elsewhere",
    [missing("/backup/billing"), directory(path="/backup/billing", mount=None)],
    ids=["missing", "unmounted"],
)
def test_a_backup_whose_place_is_unknown_may_lie_beside_the_other(elsewhere: Directory) -> None:
    assert both({"orders": directory(40), "billing": elsewhere}).status is Status.PASS
    assert both({"orders": directory(30), "billing": elsewhere}).status is Status.PASS
    assert both({"orders": directory(29), "billing": elsewhere}).status is Status.UNKNOWN
    assert both({"orders": directory(9), "billing": elsewhere}).status is Status.FAIL
    assert both({"orders": directory(90, inodes=101), "billing": elsewhere}).status is Status.UNKNOWN


def test_a_backup_whose_own_storage_is_unknown_may_share_it() -> None:
    def beside(free_gib: float) -> Status:
        facts = {"orders": directory(free_gib, mount=None), "billing": directory(path="/backup/billing")}
        return both(facts).status

    assert (beside(90), beside(29), beside(9)) == (Status.PASS, Status.UNKNOWN, Status.FAIL)


def test_only_backups_of_the_same_machine_are_asked_about() -> None:
    def names(*hosts: Host) -> set[str]:
        found = check(ORDERS, BILLING, hosts=hosts)
        return set(found.probes(found.subjects()[0]))

    own = {"directory orders", "sizes orders", "files"}
    assert names(Host(id="db2")) == own
    assert names() == own | {"directory billing", "sizes billing"}
    assert names(Host(id="db1-too", address="db1")) == own | {"directory billing", "sizes billing"}


def several(more: Mapping[str, Any] | None = None, **places: Directory) -> Judgement:
    """Of `orders` on db1, which needs 10 GiB, and `billing` on another host of the plan, which needs 20 GiB."""
    billing = replace(BILLING, expected=Bytes(20 * GIB))
    found = check(replace(ORDERS, expected=Bytes(10 * GIB)), billing, hosts=[Host(id="db2")])
    subject = next(each for each in found.subjects() if each.id == "storage of several hosts")
    facts: dict[str, Any] = {f"directory {name}": place for name, place in places.items()}
    facts |= {f"files {name}": HIDDEN for name in places} | (more or {})
    conclusion: Judgement = found.judge(subject, **facts)
    return conclusion


def in_boot(boot: str, name: str, **changes: Any) -> Directory:
    return replace(directory(29, path=f"/backup/{name}", **changes), boot=boot)


def test_the_write_ahead_log_of_one_machine_counts_once_for_each_server() -> None:
    places = {name: in_boot("b1", name, size_gib=1000) for name in ("orders", "billing")}
    places = {name: replace(each, place=replace(each.place, free_bytes=45 * GIB)) for name, each in places.items()}
    rate = WalRate(MOMENT, GIB, 3600, 64 * GIB, held=False)
    for data, status in (("/data/1", Status.WARN), ("/data/2", Status.FAIL)):  # 10 GiB by the start, once or twice
        more: dict[str, Any] = {"files orders": DataDirectories("/data/1"), "files billing": DataDirectories(data)}
        for name, each in places.items():
            more |= {f"places {name}": {"/data": each.place}, f"wal {name}": rate}
        found = several(more, **places)
        assert found.status is status, found
        assert "for write-ahead log" in str(found)


def test_hosts_that_are_one_machine_are_added_up() -> None:
    found = several(orders=in_boot("b1", "orders"), billing=in_boot("b1", "billing"))
    assert found.status is Status.FAIL
    assert found.summary == "orders and billing do not fit together: 1 GiB missing, 29 GiB free"


@pytest.mark.parametrize(
    "billing",
    [
        in_boot("b2", "billing"),
        in_boot("", "billing"),
        in_boot("b1", "billing", mount=OTHER_DISK),
        replace(missing("/backup/billing"), boot="b1"),
    ],
    ids=["machines", "not seen", "disks", "missing"],
)
def test_backups_that_do_not_share_a_disk_are_left_to_their_own_lines(billing: Directory) -> None:
    assert several(orders=in_boot("b1", "orders"), billing=billing).status is Status.PASS


def test_a_size_nobody_tells_is_unknown_there_too() -> None:
    found = check(ORDERS, BILLING, hosts=[Host(id="db2")])
    places: dict[str, Any] = {f"directory {name}": in_boot("b1", name) for name in ("orders", "billing")}
    places |= {f"files {name}": HIDDEN for name in ("orders", "billing")}
    assert found.judge(found.subjects()[-1], **places).status is Status.UNKNOWN


def test_the_tables_are_sampled_and_the_previous_backup_is_read_only_where_it_may_matter() -> None:
    previous = replace(ORDERS, previous=RemotePath("/backup/*.dump"))

    def asked(backup: Backup, free_gib: float = 100, **facts: object) -> tuple[set[str], set[str]]:
        found = check(backup)
        (subject,) = found.subjects()
        known = {"directory orders": directory(free_gib), "files": HIDDEN, "sizes orders": SIZES, **facts}
        return set(found.probes(subject)), set(found.follow_up(subject, **known))

    listing = {"previous orders": listed(dump(3))}
    assert asked(replace(ORDERS, expected=Bytes(GIB))) == ({"directory orders", "files"}, set())
    first = {"directory orders", "previous orders", "sizes orders", "files"}
    assert asked(previous, **listing) == (first, set())
    assert asked(previous, 9, **listing) == (first, {"text orders", "read orders"})
    assert asked(previous, 9, **{"previous orders": listed()}) == (first, set())
    assert asked(replace(previous, format=BackupFormat.PLAIN), **listing) == (first, {"text orders"})
    shown = DataDirectories("/var/lib/pg/data")
    assert asked(previous, files=shown, **listing) == (first, {"places", "wal"})
    gone = {"directory orders": missing("/backup/orders")}
    assert asked(previous, files=shown, **gone, **listing)[1] & {"places", "wal"} == set()


def test_the_directory_is_looked_at_as_the_account_that_writes() -> None:
    found = check(replace(ORDERS, account=Account("postgres")))
    (subject,) = found.subjects()
    probe = found.probes(subject)["directory orders"]
    assert isinstance(probe, DirectoryProbe)
    assert (probe.account.account, probe.directory) == ("postgres", "/backup/orders")


def test_the_settings_are_read_from_a_plan(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    table = '\n[checks.backup-space]\nkeep_percent = {}\nkeep_bytes = "5GiB"\n'
    file.write_text(MINIMAL + table.format(2.5))
    read = load_plan(file, {"backup-space": BackupSpace.Settings}).checks["backup-space"]
    assert BackupSpace.Settings(**read) == BackupSpace.Settings(2.5, Bytes(5 * GIB))
    file.write_text(MINIMAL + table.format(101))
    with pytest.raises(PlanError):
        load_plan(file, {"backup-space": BackupSpace.Settings})


def test_one_byte_too_many_does_not_fit() -> None:
    exact = directory(10)
    short = replace(exact, place=replace(exact.place, free_bytes=10 * GIB - 1))
    assert (judged(exact).status, judged(short).status) == (Status.WARN, Status.FAIL)


def test_a_quota_above_what_is_free_says_nothing() -> None:
    found = judged(directory(4, quotas=(Quota("/dev/sdb1", 5 * GIB, None),)))
    assert "quota" not in " ".join(point.summary for point in found.telling_points())


def test_backups_of_another_account_do_not_use_the_quota() -> None:
    quota = (Quota("/dev/sdb1", 25 * GIB, None),)
    facts = {"directory orders": directory(quotas=quota), "directory billing": directory(path="/backup/billing")}

    def beside(account: str) -> Status:
        billing = replace(BILLING, expected=Bytes(20 * GIB), account=Account(account))
        found = check(replace(ORDERS, expected=Bytes(10 * GIB)), billing)
        conclusion: Judgement = found.judge(found.subjects()[0], **facts)
        return conclusion.status

    assert (beside(""), beside("postgres")) == (Status.FAIL, Status.PASS)


@pytest.mark.parametrize(("gib", "status"), [(3, Status.WARN), (5, Status.PASS)])
def test_a_size_that_the_plan_expects_is_held_against_the_previous_backup(gib: int, status: Status) -> None:
    backup = replace(ORDERS, expected=Bytes(gib * GIB), previous=RemotePath("/backup/*.dump"))
    found = judged(directory(90), backup, previous=(dump(4),))
    assert found.status is status
    assert found.points[0].summary == "the plan expects 3 GiB, less than the previous backup has" or gib == 5


def nightly(number: int, size_gib: float = 4, *, days: float = 1) -> BackupFile:
    """The file of so many nights ago, on the disk of the backup directory; the newest was written two hours ago."""
    at = MOMENT - timedelta(hours=2) - number * timedelta(days=days)
    path = f"/backup/orders/{number}.dump"
    return BackupFile(path, BackupKind.CUSTOM, int(size_gib * GIB), at, 1000, "dbadmin", 0o600, f"2065:{number}")


def then(
    free_gib: float,
    *,
    window_in_hours: float = 9,
    keep: int | None = None,
    taken_by: str = "",
    reserve: int = 0,
    beside: Sequence[Backup] = (),
    wal_per_hour: str = "",
    **facts: object,
) -> Judgement:
    """Of a backup of 4 GiB, with a 4 GiB file written every night, 22 hours from now for the first time."""
    previous = RemotePath("/backup/orders/*.dump")
    backup = replace(ORDERS, previous=previous, keep=keep, taken_by=taken_by, reserve=Bytes(reserve))
    found = check(backup, *beside)
    start = MOMENT + timedelta(hours=window_in_hours)
    plan = replace(found.plan, window=replace(found.plan.window, start=start, end=start + timedelta(hours=6)))
    rate = {"orders": Bytes(int(float(wal_per_hour) * GIB))} if wal_per_hour else {}
    found = BackupSpace(plan, MOMENT, BackupSpace.Settings(keep_percent=0, wal_per_hour=rate))
    listing = listed(nightly(0), nightly(1), nightly(2))
    sizes = replace(SIZES, table_bytes=4 * GIB, large_object_bytes=0)
    known = {
        "directory orders": directory(free_gib),
        "previous orders": listing,
        "files": HIDDEN,
        "sizes orders": sizes,
    }
    conclusion: Judgement = found.judge(found.subjects()[0], **{**known, **facts})
    return conclusion


@pytest.mark.parametrize(
    ("free_gib", "window_in_hours", "status"),
    [
        (4, 9, Status.PASS),
        (3.99, 9, Status.FAIL),
        (4, 22, Status.PASS),  # it begins with the nightly file, so that is not there yet
        (4, 22.02, Status.FAIL),
        (8, 22.02, Status.PASS),
        (7.99, 46, Status.FAIL),
        (8, 46, Status.PASS),
        (11.99, 46.02, Status.FAIL),
        (12, 46.02, Status.PASS),
    ],
)
def test_nightly_files_written_before_the_step_are_taken_off(
    free_gib: float, window_in_hours: float, status: Status
) -> None:
    assert then(free_gib, window_in_hours=window_in_hours).status is status


def test_the_forecast_names_the_moment_and_each_thing_that_takes_room() -> None:
    found = then(7, window_in_hours=30)
    assert found.summary == "orders does not fit at 01:00: 1 GiB missing, 7 GiB free now"
    assert "7 GiB free of 100 GiB on /backup of db1; 3 GiB when the backup begins at 01:00" in found.actual
    assert "after 4 GiB for 1 file like /backup/orders/0.dump (one every 1 d)" in found.actual
    assert found.quantity is not None
    assert (found.quantity.value, found.quantity.unit) == (GIB, "B")


@pytest.mark.parametrize(
    ("keep", "free_gib", "status"),
    [(None, 8, Status.FAIL), (5, 11.9, Status.FAIL), (3, 8, Status.PASS), (3, 7.9, Status.FAIL), (1, 7.9, Status.FAIL)],
)
@pytest.mark.case(14)
def test_a_job_that_keeps_so_many_removes_the_oldest_after_it_has_written(
    keep: int, free_gib: float, status: Status
) -> None:
    """Two nights, three files of 4 GiB there, and the window's own 4 GiB."""
    assert then(free_gib, window_in_hours=50, keep=keep).status is status


def test_of_a_backup_that_is_taken_by_itself_the_last_one_is_the_windows() -> None:
    assert then(4, window_in_hours=30, taken_by="cron").status is Status.PASS
    assert then(3.9, window_in_hours=30, taken_by="cron").status is Status.FAIL
    assert then(7.9, window_in_hours=50, taken_by="cron").status is Status.FAIL


def test_files_that_two_entries_list_are_written_once() -> None:
    facts = {"previous billing": listed(nightly(0), nightly(1), nightly(2)), "directory billing": directory(12)}
    beside = replace(BILLING, expected=Bytes(4 * GIB), previous=RemotePath("/backup/orders/*.dump"))
    assert then(12, window_in_hours=30, beside=(beside,), **facts).status is Status.PASS
    assert then(11.9, window_in_hours=30, beside=(beside,), **facts).status is Status.FAIL


def test_what_other_applications_write_before_the_step_is_reserved_once_on_each_disk() -> None:
    reserve = Bytes(10 * GIB)
    beside = replace(BILLING, expected=Bytes(4 * GIB), reserve=reserve)
    assert then(14, reserve=reserve).status is Status.PASS
    found = then(13.9, reserve=reserve)
    assert found.status is Status.FAIL
    assert "10 GiB reserved for other applications" in found.actual
    for free, status in ((18, Status.PASS), (17.9, Status.FAIL)):
        on_it = {"directory billing": directory(free)}
        assert then(free, reserve=reserve, beside=(beside,), **on_it).status is status


TEXT = TextRead(ran_as=1, account=1, readable=True, complete=True, text_bytes=4 * GIB)
ARCHIVE = ArchiveRead(0, 0, "", "orders", "15.18", "15.18", 7, text_bytes=4 * GIB)
LOST = NoReply(Reason.QUESTION_LIMIT, "took too long", MOMENT)


@pytest.mark.case(15)
@pytest.mark.parametrize(
    ("free_gib", "read", "text_gib", "status"),
    [
        (10, None, 40, Status.WARN),  # fits whatever has grown
        (9, None, 40, Status.UNKNOWN),  # nobody knows whether it has
        (9, LOST, 40, Status.UNKNOWN),
        (9, replace(ARCHIVE, code=1), 40, Status.UNKNOWN),
        (9, ARCHIVE, None, Status.UNKNOWN),
        (9, ARCHIVE, 4, Status.WARN),  # the tables are packed that well
        (9, ARCHIVE, 4.7, Status.WARN),  # within what a sample tells
        (9, ARCHIVE, 40, Status.FAIL),
        (9, TEXT, 40, Status.FAIL),
        (9, replace(TEXT, code=2), 4, Status.UNKNOWN),  # its unpacker complains
        (10, ARCHIVE, 40, Status.WARN),  # ten times as much
        (0.9, ARCHIVE, 4, Status.FAIL),
    ],
)
def test_a_database_that_has_grown_since_its_previous_backup(
    free_gib: float, read: Any, text_gib: float | None, status: Status
) -> None:
    """A previous backup of 1 GiB, of tables that take 10 GiB now."""
    found = judged(directory(free_gib), previous=(dump(1),), text_gib=text_gib, **{"read orders": read})
    assert found.status is status, found
    if status is Status.UNKNOWN:
        assert '[backups.orders] expected = "20GiB"' in found.remedy
        declared = replace(ORDERS, expected=Bytes(GIB))
        assert judged(directory(free_gib), declared, previous=(dump(1),)).status is Status.WARN


@pytest.mark.case(15)
def test_text_that_nobody_could_sample_never_passes_until_its_size_is_declared() -> None:
    plain = replace(ORDERS, format=BackupFormat.PLAIN)
    for previous in ((), (dump(1),)):
        found = judged(directory(), plain, previous=previous, text_gib=None)
        assert found.status is Status.UNKNOWN
        assert "[backups.orders] expected" in found.remedy
    assert judged(directory(), replace(plain, expected=Bytes(GIB)), text_gib=None).status is Status.PASS


@pytest.mark.case(16)
@pytest.mark.parametrize(
    ("changes", "limit_gib", "status"),
    [
        ({}, 10, Status.PASS),
        ({}, 9.9, Status.FAIL),  # by the catalogue
        ({"expected": Bytes(GIB)}, 1, Status.PASS),
        ({"expected": Bytes(GIB)}, 0.9, Status.FAIL),
        ({"format": BackupFormat.DIRECTORY}, 4, Status.PASS),  # its largest table has as much
        ({"format": BackupFormat.DIRECTORY}, 3.9, Status.FAIL),
        ({"method": BASE}, 1, Status.PASS),  # the server's own files are no larger
        ({"method": BASE}, 0.9, Status.FAIL),
        ({"method": BASE, "format": BackupFormat.TAR}, 60, Status.FAIL),
    ],
)
def test_a_limit_on_the_size_of_files_is_held_against_the_largest(
    changes: Mapping[str, Any], limit_gib: float, status: Status
) -> None:
    place = directory(90, fsize=str(int(limit_gib * GIB) // 512))
    found = judged(place, replace(ORDERS, **changes))
    assert found.status is status
    if status is Status.FAIL:
        assert "ulimit -f" in found.summary
        by_login = judged(replace(place, account=999), replace(ORDERS, **changes))
        assert (by_login.status, "NOPASSWD: /bin/sh" in by_login.remedy) == (Status.UNKNOWN, True)


def test_a_rate_that_the_server_is_too_young_to_tell_is_bounded_or_said_by_the_plan() -> None:
    young = WalRate(MOMENT, GIB, 180, 2 * GIB, held=False)
    facts = {"files": DataDirectories("/pg"), "places": {"/pg": place("/pg", DISK)}, "wal": young}
    assert then(6, **facts).status is Status.PASS
    found = then(5.9, **facts)
    assert (found.status, "wal_per_hour = { orders =" in found.remedy) == (Status.UNKNOWN, True)
    assert then(5.9, wal_per_hour="0.1", **facts).status is Status.PASS
    held = {**facts, "wal": replace(young, held=True)}
    assert then(99, **held).status is Status.UNKNOWN
    assert then(13, wal_per_hour="1", **held).status is Status.PASS
    assert then(12.9, wal_per_hour="1", **held).status is Status.FAIL


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"previous orders": listed(nightly(0))}, Status.PASS),  # one file has no rhythm
        ({"previous orders": listed(nightly(0), nightly(1, days=0.001))}, Status.PASS),  # parts of one backup
        (
            {"previous orders": listed(*(replace(nightly(n), stat="1:1", path=f"/old/{n}") for n in range(3)))},
            Status.PASS,  # they lie elsewhere
        ),
        ({}, Status.FAIL),
    ],
)
def test_files_without_a_rhythm_or_on_other_storage_take_nothing(change: dict[str, object], status: Status) -> None:
    assert then(4, window_in_hours=30, **change).status is status


def place(path: str, mount: Mount) -> Place:
    return replace(directory().place, path=path, reached=path, real=path, mount=mount)


@pytest.mark.case(52)
def test_write_ahead_log_counts_once_where_data_and_log_lie_on_the_backups_storage() -> None:
    rate = WalRate(MOMENT, GIB, 3600, 2 * GIB, held=False)
    places = {path: place(path, DISK) for path in ("/pg", "/pg/pg_wal")}
    facts = {"files": DataDirectories("/pg"), "places": places, "wal": rate}
    assert then(6, **facts).status is Status.PASS
    assert then(5.9, **facts).status is Status.FAIL


@pytest.mark.parametrize(
    ("rate", "mount", "status"),
    [
        (None, DISK, Status.UNKNOWN),  # of a server that does not count it
        (WalRate(MOMENT, 0, 3600, GIB, held=False), DISK, Status.PASS),
        (WalRate(MOMENT, GIB, 3600, 64 * GIB, held=False), DISK, Status.FAIL),
        (WalRate(MOMENT, GIB, 3600, 64 * GIB, held=False), OTHER_DISK, Status.PASS),
        (WalRate(MOMENT, GIB, 3600, GIB, held=False), DISK, Status.PASS),  # max_wal_size bounds it
        (WalRate(MOMENT, GIB, 3600, GIB, held=True), DISK, Status.FAIL),
        (WalRate(MOMENT + timedelta(hours=8.5), GIB, 3600, 64 * GIB, held=False), DISK, Status.PASS),
    ],
)
def test_write_ahead_log_on_the_same_storage_is_taken_off(rate: WalRate | None, mount: Mount, status: Status) -> None:
    """Nine hours of 1 GiB each, where 5 GiB are free and 4 are needed."""
    facts = {"files": DataDirectories("/pg"), "places": {"/pg": place("/pg", mount)}, "wal": rate}
    assert then(5, **facts).status is status
