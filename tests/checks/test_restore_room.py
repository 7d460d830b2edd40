"""restore-room judged from plain facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from preflight_checks.restore_room import RestoreRoom

from preflight.finding import Judgement, Status
from preflight.plan import Account, Backup, Database, Host, RemotePath, Role, Rollback, SaidPath
from preflight.questions.sizes import DataDirectories, Sizes, WalRate
from preflight.questions.storage import Mount, Place
from tests.checks.test_backup_space import directory
from tests.toy import MOMENT, toy_plan

MIB = 1024 * 1024
BACKUP = Backup(id="orders", database="orders", directory=RemotePath("/b"), account=Account("postgres"))
DBA = {"dba": Role(id="dba", primary="D. Kaya", standby="M. Ortiz", contact="ext. 4411")}


def check(**sections: Any) -> RestoreRoom:
    return RestoreRoom(toy_plan(roles=DBA, **sections), MOMENT)


MOUNT = Mount("8:1", "/data", False, "ext4", "/dev/sda1")
PLACE = Place(
    path="/data/pg", reached="/data/pg", real="/data/pg", mode=0o700, owner="postgres", mount=MOUNT,
    free_bytes=100 * MIB, size_bytes=1000 * MIB, free_inodes=None,
)  # fmt: skip
SIZES = Sizes(
    database_bytes=100 * MIB, table_bytes=60 * MIB, tables=7, largest_table_bytes=0,
    large_object_bytes=0, large_objects=0, cluster_bytes=None, tablespaces=2, cluster_relations=900,
    wal_segment_bytes=16 * MIB,
)  # fmt: skip
TWO = {name: Database(id=name, host="db1", user=Account("release")) for name in ("orders", "billing")}


@pytest.mark.parametrize(
    ("boots", "free", "status"),
    [
        (("one", "one"), 30, Status.FAIL),  # 20 MiB each over the broken one
        (("one", "one"), 50, Status.PASS),
        (("one", "other"), 30, Status.PASS),
        (("", ""), 30, Status.PASS),  # nobody saw that they are one
    ],
)
def test_two_names_of_one_machine_are_one_storage(boots: tuple[str, str], free: int, status: Status) -> None:
    databases = {"orders": TWO["orders"], "billing": replace(TWO["billing"], host="db2")}
    backups = {name: replace(BACKUP, id=name, database=name) for name in databases}
    hosts = [Host(id=name, address=name, user=Account("dbadmin")) for name in ("db1", "db2")]
    ready = check(databases=databases, backups=backups, hosts=hosts)
    together = ready.subjects()[-1]
    assert together.id == "storage of several hosts"
    place = replace(PLACE, free_bytes=free * MIB)
    facts: dict[str, Any] = {}
    for name, boot in zip(databases, boots, strict=True):
        facts |= {f"sizes {name}": SIZES, f"data {name}": DataDirectories("/data/pg", {}), f"wal {name}": None}
        facts |= {f"directory {name}": directory(1, boot=boot)}
    assert set(ready.probes(together)) == set(facts)
    assert set(ready.follow_up(together, **facts)) == {"places orders", "places billing"}
    places = {f"places {name}": {place.path: place} for name in databases}
    found = ready.judge(together, **facts, **places)
    assert found.status is status, found
    if status is Status.FAIL:
        assert found.summary == "there is no room to restore orders, billing over the broken one"


def room(
    place: Place | None = PLACE,
    *,
    keep_broken: bool = False,
    both: bool = False,
    data: str = "/data/pg",
    tablespace: Place | None = None,
    said: SaidPath | None = None,
    wal: WalRate | None = None,
    log: Place | None = None,
) -> Judgement:
    backups = {"orders": BACKUP, **({"billing": replace(BACKUP, id="billing", database="billing")} if both else {})}
    databases = {name: replace(each, data_directory=said) for name, each in TWO.items()}
    ready = check(databases=databases, backups=backups, rollback=Rollback(keep_broken=keep_broken))
    facts: dict[str, Any] = {}
    for name in backups:
        tablespaces = {tablespace.path: 40 * MIB} if tablespace else {}
        facts |= {f"sizes {name}": SIZES, f"data {name}": DataDirectories(data, tablespaces), f"wal {name}": wal}
    known = ready.subjects()[0]
    assert set(ready.probes(known)) == set(facts)
    if wal and place:
        log = log or replace(place, path="/data/pg/pg_wal")
    seen = [each for each in (place, tablespace, log) if each is not None]
    asked = ready.follow_up(known, **facts)
    assert [probe.paths for probe in asked.values()] == ([tuple(each.path for each in seen)] if seen else [])
    if seen:
        facts["places"] = {each.path: each for each in seen}
    found: Judgement = ready.judge(known, **facts)
    return found


@pytest.mark.parametrize(
    ("free", "keep_broken", "both", "status"),
    [
        (20, False, False, Status.PASS),  # the broken one's room is free again, less a fifth
        (19, False, False, Status.FAIL),
        (120, True, False, Status.PASS),
        (119, True, False, Status.FAIL),
        (40, False, True, Status.PASS),
        (39, False, True, Status.FAIL),
        (239, True, True, Status.FAIL),
        (240, True, True, Status.PASS),
    ],
)
def test_all_databases_of_one_storage_must_fit(free: int, keep_broken: bool, both: bool, status: Status) -> None:
    assert room(replace(PLACE, free_bytes=free * MIB), keep_broken=keep_broken, both=both).status is status


def test_databases_of_two_logins_of_one_machine_are_restored_side_by_side() -> None:
    backups = {name: replace(BACKUP, id=name, database=name) for name in TWO}
    databases = {**TWO, "billing": replace(TWO["billing"], host="db1-too")}
    for address, asked in (("db1", 2), ("db9", 1)):
        hosts = {"db1": Host(id="db1", user=Account("dbadmin")), "db1-too": Host(id="db1-too", address=address)}
        ready = check(databases=databases, backups=backups, rollback=Rollback())
        ready.plan = replace(ready.plan, hosts=hosts)
        names = [name for name in ready.probes(ready.subjects()[0]) if name.startswith("sizes")]
        assert len(names) == asked


@pytest.mark.case(21)
def test_room_that_cannot_be_seen_is_unknown_until_it_is_granted_or_said() -> None:
    found = room(None, data="")
    assert found.status is Status.UNKNOWN
    assert found.remedy.startswith("GRANT pg_read_all_settings TO release; or have ")
    assert '[databases.orders] data_directory = { path = "' in found.remedy
    hidden = replace(PLACE, reached="/", real="/data/pg")
    assert room(hidden).status is Status.UNKNOWN, "the free room is that of /, not of /data"
    said = SaidPath(path=RemotePath("/data/pg"), by="dba", on=MOMENT.date(), reason="pg_lsclusters")
    assert "enter / on db1" in room(hidden, said=said).remedy
    assert room(data="", said=said).status is Status.WARN
    assert room(replace(PLACE, free_bytes=19 * MIB), data="", said=said).status is Status.FAIL


WAL = WalRate(MOMENT, 0, 86400, 64 * MIB, held=False)
OWN_WAL = replace(PLACE, path="/data/pg/pg_wal", real="/wal", mount=replace(MOUNT, device="8:3", point="/wal"))


@pytest.mark.parametrize(
    ("wal", "changes", "status"),
    [
        (WAL, {}, Status.WARN),  # 20 MiB over the broken one, and 64 MiB of max_wal_size
        (WAL, {"free_bytes": 84 * MIB}, Status.PASS),
        (WAL, {"free_bytes": 83 * MIB}, Status.WARN),
        (WAL, {"both": True, "free_bytes": 104 * MIB}, Status.PASS),  # the log is the server's, once for both
        (WAL, {"both": True, "free_bytes": 103 * MIB}, Status.WARN),
        (WAL, {"free_bytes": 19 * MIB}, Status.FAIL),
        (replace(WAL, most_bytes=1000 * MIB), {"free_bytes": 120 * MIB}, Status.PASS),  # no more than is restored
        (replace(WAL, held=True), {"free_bytes": 119 * MIB}, Status.WARN),
        (replace(WAL, held=True), {"both": True, "free_bytes": 239 * MIB}, Status.WARN),
        (replace(WAL, held=True), {"both": True, "free_bytes": 240 * MIB}, Status.PASS),
        (WAL, {"log": replace(OWN_WAL, free_bytes=64 * MIB)}, Status.PASS),
        (WAL, {"log": replace(OWN_WAL, free_bytes=63 * MIB)}, Status.WARN),
        (WAL, {"data": "", "place": None}, Status.UNKNOWN),
        (None, {}, Status.PASS),  # a server before PostgreSQL 14
    ],
)
def test_the_write_ahead_log_of_a_restore_is_told(wal: WalRate | None, changes: dict[str, Any], status: Status) -> None:
    free = changes.pop("free_bytes", 20 * MIB)
    found = room(**{"place": replace(PLACE, free_bytes=free), "wal": wal, **changes})
    assert found.status is status, found


TABLESPACE = replace(PLACE, path="/fast", reached="/fast", real="/fast", mount=replace(MOUNT, device="8:2"))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, Status.PASS),
        ({"free_bytes": 8 * MIB}, Status.PASS),  # a fifth of the 40 MiB there
        ({"free_bytes": 7 * MIB}, Status.FAIL),
        ({"free_bytes": 0, "mount": MOUNT}, Status.PASS),  # counted with the data directory
        ({"reached": "/", "real": "/fast"}, Status.UNKNOWN),
    ],
)
def test_a_tablespace_elsewhere_needs_room_of_its_own(changes: dict[str, Any], status: Status) -> None:
    found = room(replace(PLACE, free_bytes=20 * MIB), tablespace=replace(TABLESPACE, **changes))
    assert found.status is status, found
    assert room(replace(PLACE, free_bytes=12 * MIB), tablespace=TABLESPACE).status is Status.PASS, "the other 60 MiB"
    assert room(replace(PLACE, free_bytes=11 * MIB), tablespace=TABLESPACE).status is Status.FAIL


def test_the_room_beside_a_data_directory_that_the_host_does_not_have_is_not_its_own() -> None:
    found = room(replace(PLACE, reached="/data", absent=True))
    assert found.status is Status.UNKNOWN, found
    assert found.actual == "db1 has no /data/pg: the server has it elsewhere, as one in a container has"
