"""restore-room on a real host, beside a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.restore_room import RestoreRoom

from preflight.finding import Finding, Status
from preflight.plan import Backup, Database, RemotePath, Role, Rollback, SaidPath, SecretRef
from tests.site.asking import NOW, database_on, finding, host_on, make_plan, told
from tests.site.mounts import Mounts
from tests.site.postgres import Cluster
from tests.site.site import Site

DBA = Role(id="dba", primary="D. Kaya", standby="M. Ortiz", contact="ext. 4411")


@dataclass
class Orders:
    """A database of some MiB."""

    cluster: Cluster
    name: str
    entry: Database


Ask = Callable[..., Finding]


@pytest.fixture
def orders(postgres: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Orders]:
    role = postgres.create_role("release", options="IN ROLE pg_monitor")
    name = postgres.create_database("orders", owner=role.name)
    monkeypatch.setenv("ORDERS_PASSWORD", role.password)
    entry = database_on(postgres, role.name, name=name, password=SecretRef("env", "ORDERS_PASSWORD"), owner="dba")
    yield Orders(postgres, name, entry)
    postgres.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def ask(site: Site, orders: Orders, tmp_path: Path) -> Ask:
    def ask(entry: Database | None = None, **sections: Any) -> Finding:
        plan = make_plan(
            tmp_path,
            hosts=[host_on(site.sshd, site.account("good"))],
            databases=[entry or orders.entry],
            known_hosts=site.sshd.known_hosts_lines(),
            roles={"dba": DBA},
            backups={"orders": Backup(id="orders", database="orders", directory=RemotePath("/backup"))},
            **sections,
        )
        return finding(RestoreRoom, plan)

    return ask


def is_pass(found: Finding, *words: str) -> None:
    assert found.status is Status.PASS, told(found)
    assert all(word in found.judgement.summary for word in words), told(found)


def is_fail(found: Finding, *words: str) -> None:
    assert found.status is Status.FAIL, told(found)
    assert all(word in told(found) for word in words), told(found)


@pytest.mark.long
def test_a_restore_has_room_or_the_line_says_what_is_missing(orders: Orders, ask: Ask, mounts: Mounts) -> None:
    is_pass(ask(), "needed to restore orders over the broken one")
    kept = Rollback(rehearsed=NOW.date(), keep_broken=True)
    is_pass(ask(rollback=kept), "needed to restore orders beside the broken one")
    small = mounts.ext4("small", megabytes=8, mode=0o755)
    (small / "pg_wal").mkdir()
    said = SaidPath(path=RemotePath(str(small)), by="dba", on=NOW.date(), reason="pg_lsclusters")
    entry = replace(orders.entry, data_directory=said)
    orders.cluster.sql(f"REVOKE pg_monitor FROM {entry.user}")
    try:
        found = ask(entry=entry)  # 8 MiB hold a fifth of the database
        assert found.status is Status.WARN, told(found)
        assert "said by D. Kaya (dba)" in told(found)
        assert "what a restore of orders writes to the write-ahead log may fill the disk" in told(found)
        log = mounts.ext4("log", megabytes=32, mode=0o755)
        (small / "pg_wal").rmdir()
        (small / "pg_wal").symlink_to(log)
        found = ask(entry=entry)
        assert "said by D. Kaya (dba)" in told(found)
        assert "write-ahead log may fill" not in told(found), "the log lies on a disk of its own, which has the room"
        found = ask(entry=entry, rollback=kept)
    finally:
        orders.cluster.sql(f"GRANT pg_monitor TO {entry.user}")
    is_fail(found, "no room to restore orders beside the broken one", str(small))


def test_a_tablespace_needs_room_for_what_the_database_has_there(orders: Orders, ask: Ask, mounts: Mounts) -> None:
    small = mounts.ext4("small", megabytes=8, mode=0o755)
    place = small / "pg"
    place.mkdir(mode=0o700)
    shutil.chown(place, "postgres", "postgres")
    kept = Rollback(rehearsed=NOW.date(), keep_broken=True)
    orders.cluster.sql(f"CREATE TABLESPACE fast LOCATION '{place}'")
    try:
        is_pass(ask(rollback=kept))
        filled = "AS SELECT repeat('x', 500) FROM generate_series(1, 8000)"
        orders.cluster.sql(f"CREATE TABLE large TABLESPACE fast {filled}", dbname=orders.name)
        found = ask(rollback=kept)
    finally:
        orders.cluster.sql("DROP TABLE IF EXISTS large", dbname=orders.name)
        orders.cluster.sql("DROP TABLESPACE fast")
    is_fail(found, "no room to restore orders beside the broken one", str(small))


def test_a_disk_that_can_hold_no_more_files_fails(orders: Orders, ask: Ask, mounts: Mounts) -> None:
    disk = mounts.ext4("small", megabytes=8, mode=0o755)
    place = disk / "pg"
    place.mkdir(mode=0o700)
    shutil.chown(place, "postgres", "postgres")
    orders.cluster.sql(f"CREATE TABLESPACE few LOCATION '{place}'")
    try:
        orders.cluster.sql("CREATE TABLE small TABLESPACE few AS SELECT 1", dbname=orders.name)
        is_pass(ask())
        for number in range(os.statvfs(disk).f_favail - 99):
            (disk / str(number)).touch()
        found = ask()
    finally:
        orders.cluster.sql("DROP TABLE IF EXISTS small", dbname=orders.name)
        orders.cluster.sql("DROP TABLESPACE few")
    is_fail(found, "99 inodes free where orders lies", f"remove 1 file on {disk} (ext4")


@pytest.mark.case(21)
def test_a_data_directory_nobody_shows_is_unknown(orders: Orders, ask: Ask) -> None:
    role = orders.entry.user
    orders.cluster.sql(f"REVOKE pg_monitor FROM {role}")
    try:
        found = ask()
    finally:
        orders.cluster.sql(f"GRANT pg_monitor TO {role}")
    assert found.status is Status.UNKNOWN, told(found)
    orders.cluster.sql(found.judgement.remedy.partition(";")[0])
    is_pass(ask())
