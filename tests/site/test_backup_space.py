"""backup-space: real file systems that are too small, seen through a real sshd, beside a real PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import chown, move
from typing import Any

import preflight_checks.backup_space as backup_space
import psycopg
import pytest
from preflight_checks.backup_space import BackupSpace

from preflight.finding import Finding, Status
from preflight.plan import (
    Account,
    Backup,
    BackupFormat,
    BackupMethod,
    Bytes,
    RemotePath,
    SecretRef,
    SslMode,
    Step,
)
from tests.site import accounts as site_accounts
from tests.site.asking import database_on, findings, host_on, make_plan, told
from tests.site.mounts import Mounts
from tests.site.postgres import Cluster, DatabaseRole
from tests.site.site import Site

MIB = 1024 * 1024


class Server:
    """A host whose login writes backups, and two databases; `orders` stores 4 MiB of table data."""

    def __init__(self, site: Site, account: site_accounts.Account, cluster: Cluster, folder: Path) -> None:
        self.site, self.account, self.cluster, self.folder = site, account, cluster, folder
        self.role: DatabaseRole = cluster.create_role("release")
        self.name = cluster.create_database("orders", owner=self.role.name)
        with cluster.connect(self.name) as connection:
            fill(connection)
        (folder / "password").write_text(self.role.password)
        (folder / "password").chmod(0o600)

    def ask(self, *, roles: str = "", alias: str = "", **backups: Mapping[str, object]) -> Mapping[str, Finding]:
        """`alias`: another name of the machine, by which the database of a backup `billing` has it."""
        sshd = self.site.sshd
        host = host_on(sshd, self.account)
        hosts = [host, *([replace(host, id="db1-too", address=alias)] if alias else [])]
        database = database_on(
            self.cluster,
            roles or self.role.name,
            name=self.name,
            password=SecretRef("file", "password"),
            sslmode=SslMode.VERIFY_CA,
        )
        made = Backup(id="orders", database="orders", directory=RemotePath("/"), headroom=1.0, step="dump")
        entries = {name: replace(made, id=name, **changes) for name, changes in backups.items()}  # type: ignore[arg-type]
        plan = make_plan(
            self.folder,
            hosts=hosts,
            databases=[database, *([replace(database, id="billing", host="db1-too")] if alias else [])],
            known_hosts=sshd.known_hosts_lines() + sshd.known_hosts_lines(f"[{alias}]:{sshd.port}"),
            backups=entries,
            steps=(Step(id="dump", minutes=15, minutes_over_network=90),),
        )
        return findings(BackupSpace, plan)

    def one(self, directory: Path, **changes: object) -> Finding:
        return self.ask(orders={"directory": str(directory), **changes})["orders"]


def fill(connection: psycopg.Connection[Any]) -> None:
    """Rows of 4 MiB, an index on them, and 20 tables."""
    connection.execute("CREATE TABLE rows AS SELECT i, repeat('x', 980) AS text FROM generate_series(1, 4096) i")
    connection.execute("CREATE INDEX ON rows (text, i)")
    for number in range(19):
        connection.execute(f"CREATE TABLE empty_{number} ()")
    connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC")


@pytest.fixture
def server(site: Site, good_account: site_accounts.Account, postgres: Cluster, tmp_path: Path) -> Server:
    return Server(site, good_account, postgres, tmp_path)


def fails(found: Finding, summary: str, remedy: str) -> None:
    assert found.status is Status.FAIL, told(found)
    assert summary in found.judgement.summary
    assert remedy in found.judgement.remedy
    assert found.judgement.minutes_at_stake == 75


def test_a_dump_that_fits_passes(server: Server, mounts: Mounts) -> None:
    point = mounts.tmpfs("room", size="64m")
    found = server.one(point)
    assert found.status is Status.PASS, told(found)
    assert "its tables without indexes" in found.judgement.summary
    assert f"64 MiB free on {point} of db1" in found.judgement.summary


def test_a_dump_that_does_not_fit_fails(server: Server, mounts: Mounts) -> None:
    point = mounts.tmpfs("small", size="2m")
    fails(server.one(point), "orders does not fit:", f"on {point} of db1, or name another directory")


def test_the_tar_format_wants_room_for_the_largest_table_in_the_folder_of_temporary_files(
    server: Server, mounts: Mounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, small = mounts.tmpfs("room", size="64m"), mounts.tmpfs("small", size="2m")
    tar = {"format": BackupFormat.TAR, "expected": Bytes(8 * MIB)}
    assert server.one(room, **tar).status is Status.PASS
    monkeypatch.setattr(backup_space, "_TEMPORARY", str(small))
    found = server.one(room, **tar)
    assert found.status is Status.WARN, told(found)
    assert f"free on {small} (tmpfs" in found.judgement.expected
    assert server.one(room).status is Status.PASS, "the custom format writes none"


def test_a_dump_that_leaves_too_little_is_a_warning(server: Server, mounts: Mounts) -> None:
    found = server.one(mounts.tmpfs("narrow", size="10m"), expected=Bytes(9 * MIB + MIB // 2))
    assert found.status is Status.WARN, told(found)
    assert "only 512 KiB of 10 MiB stays free" in found.judgement.summary


LONG = "CREATE TABLE long AS SELECT i, repeat(chr(97 + i % 26), 1800000) AS text FROM generate_series(1, 57) i"


UNPACKED: Sequence[dict[str, object]] = (
    {"format": BackupFormat.PLAIN},
    {"format": BackupFormat.TAR},
    {"options": ("--compress=0",)},
)


@pytest.mark.long
@pytest.mark.case(15)
def test_long_texts_stored_in_a_fiftieth_of_their_size_are_told_by_a_sample(server: Server, mounts: Mounts) -> None:
    with server.cluster.connect(server.name) as connection:
        connection.execute(LONG)
        connection.execute(f'GRANT SELECT ON long TO "{server.role.name}"')
    small, room, packed = (mounts.tmpfs(f"of{size}", size=size) for size in ("77m", "140m", "20m"))
    dumped = len(server.cluster.client("pg_dump", server.name))
    for changes in UNPACKED:
        found = server.one(small, **changes)
        fails(found, "orders does not fit:", "free ")
        told_bytes = float(found.judgement.expected.partition(" x ")[2].partition(" MiB")[0]) * MIB
        assert 0.8 < told_bytes / dumped < 1.25, told(found)
        assert server.one(room, **changes).status is Status.PASS, changes
    assert server.one(packed).status is Status.PASS, "compressed, it is small"


@pytest.mark.long
def test_tables_that_the_role_may_not_read_leave_the_size_of_text_unknown(server: Server, mounts: Mounts) -> None:
    with server.cluster.connect(server.name) as connection:
        connection.execute(LONG)
    point = mounts.tmpfs("room", size="140m")
    found = server.one(point, format=BackupFormat.PLAIN)
    assert found.status is Status.UNKNOWN, told(found)
    server.cluster.sql(found.judgement.remedy.partition(";")[0])
    assert server.one(point, format=BackupFormat.PLAIN).status is Status.PASS


@pytest.mark.long
@pytest.mark.case(15)
def test_a_database_that_grew_since_its_previous_dump(server: Server, mounts: Mounts, shared_path: Path) -> None:
    previous = shared_path / "orders.dump"

    def dump() -> None:
        spool = server.cluster.backups / server.name
        server.cluster.client("pg_dump", "-Fc", "-f", spool, server.name)
        move(spool, previous)
        chown(previous, server.account.name)

    dump()  # of 4 MiB that are packed to nearly nothing: it tells how well, too
    pattern = {"previous": str(previous)}
    found = server.one(mounts.tmpfs("packed", size="3m"), **pattern)
    assert found.status in (Status.PASS, Status.WARN), told(found)
    with server.cluster.connect(server.name) as connection:
        connection.execute(
            "CREATE TABLE noise AS SELECT sha512(i::text::bytea) AS noise FROM generate_series(1, 100000) i"
        )
        connection.execute("GRANT SELECT ON noise TO PUBLIC")
    found = server.one(mounts.tmpfs("narrow", size="7m"), **pattern)
    fails(found, "orders does not fit", "free ")
    assert "has grown since" in found.judgement.expected
    dump()
    assert server.one(mounts.tmpfs("now", size="12m"), **pattern).status is Status.PASS


@pytest.mark.long
@pytest.mark.case(16)
def test_a_limit_on_the_size_of_files_fails_below_the_size_that_is_known(
    server: Server, mounts: Mounts, accounts: site_accounts.Accounts
) -> None:
    point = mounts.tmpfs("room", size="64m")
    server.account = accounts.add("limited")
    profile = server.account.home / ".bashrc"
    profile.write_text("ulimit -S -f 3072\n")  # a soft limit; bash counts in KiB
    found = server.one(point)
    fails(found, "may grow to 3 MiB only (ulimit -f)", "fsize unlimited")
    assert "its tables without indexes" in found.judgement.expected
    assert server.one(point, expected=Bytes(3 * MIB)).status is Status.PASS
    fails(server.one(point, expected=Bytes(3 * MIB + 1)), "may grow to 3 MiB only", "fsize unlimited")
    profile.unlink()
    assert server.one(point).status is Status.PASS


@pytest.mark.long
def test_large_objects_are_part_of_a_dump(server: Server, mounts: Mounts) -> None:
    point = mounts.tmpfs("room", size="12m")
    assert server.one(point).status is Status.PASS
    with server.cluster.connect(server.name) as connection:
        connection.execute("SELECT lo_from_bytea(0, convert_to(string_agg(md5(i::text), ''), 'UTF8'))"
                           "FROM generate_series(1, 400000) i")  # fmt: skip
    fails(server.one(point), "orders does not fit:", "free ")


@pytest.mark.long
def test_a_base_backup_needs_the_whole_cluster_and_the_right_to_see_it(server: Server, mounts: Mounts) -> None:
    point = mounts.tmpfs("room", size="30m")
    found = server.one(point, method=BackupMethod.PG_BASEBACKUP)
    assert found.status is Status.UNKNOWN, told(found)
    cure = found.judgement.remedy.partition(";")[0]
    assert cure.startswith("GRANT pg_read_all_stats TO")
    server.cluster.sql(cure)
    found = server.one(point, method=BackupMethod.PG_BASEBACKUP)
    fails(found, "orders does not fit:", "free ")
    assert "all tablespaces and 2 WAL segments" in found.judgement.expected
    wide = mounts.tmpfs("wide", size="4g")
    assert server.one(wide, method=BackupMethod.PG_BASEBACKUP).status is Status.PASS


@pytest.mark.long
def test_two_backups_that_only_together_do_not_fit_fail(server: Server, mounts: Mounts) -> None:
    shared, own = mounts.tmpfs("shared", size="40m"), mounts.tmpfs("own", size="40m")
    folders = [shared / "orders", shared / "billing", own / "billing"]
    for folder in folders:
        folder.mkdir(mode=0o755)
        chown(folder, server.account.name)
    orders = {"directory": str(folders[0]), "expected": Bytes(22 * MIB)}
    billing = {"directory": str(folders[1]), "expected": Bytes(22 * MIB)}
    assert [one.status for one in server.ask(orders=orders).values()] == [Status.PASS]
    assert [one.status for one in server.ask(billing=billing).values()] == [Status.PASS]
    both = server.ask(orders=orders, billing=billing)
    fails(both["orders"], "orders and billing do not fit together: 4 MiB missing, 40 MiB free", f"on {shared} of db1")
    fails(both["billing"], "billing and orders do not fit together", f"on {shared} of db1")
    apart = server.ask(orders=orders, billing={**billing, "directory": str(folders[2])})
    assert [one.status for one in apart.values()] == [Status.PASS, Status.PASS]


@pytest.mark.long
@pytest.mark.case(13)
def test_two_hosts_of_the_plan_that_are_one_machine_are_added_up(server: Server, mounts: Mounts) -> None:
    """The same disk of the same machine, reached by two names, each with a backup that fits alone."""
    point = mounts.tmpfs("shared", size="40m")
    orders = {"directory": str(point), "expected": Bytes(22 * MIB)}
    found = server.ask(alias="localhost", orders=orders, billing={**orders, "database": "billing"})
    assert {name: one.status for name, one in found.items() if name != "storage of several hosts"} == {
        "orders": Status.PASS,
        "billing": Status.PASS,
    }
    # Not the very number: one entry's proof file may be there while the other's room is looked at.
    fails(found["storage of several hosts"], "orders and billing do not fit together: ", f"on {point} of db1")
    own = mounts.tmpfs("own", size="40m")
    apart = server.ask(
        alias="localhost", orders=orders, billing={**orders, "database": "billing", "directory": str(own)}
    )
    assert {one.status for one in apart.values()} == {Status.PASS}, apart


@pytest.mark.long
def test_too_few_inodes_fail_where_bytes_are_plenty(server: Server, mounts: Mounts) -> None:
    point = mounts.tmpfs("few", size="64m", inodes=120)
    assert server.one(point).status is Status.PASS, "one file and 100 to spare"
    fails(
        server.one(point, format=BackupFormat.DIRECTORY), "119 inodes free, 130 needed", f"remove 11 files on {point}"
    )
    wide = mounts.tmpfs("more", size="64m", inodes=131)
    assert server.one(wide, format=BackupFormat.DIRECTORY).status is Status.PASS


def test_blocks_that_only_root_may_use_do_not_count(server: Server, mounts: Mounts) -> None:
    point = mounts.ext4("reserved", megabytes=64)
    room = os.statvfs(point)
    usable, with_reserved = room.f_bavail * room.f_frsize, room.f_bfree * room.f_frsize
    assert with_reserved - usable > 2 * MIB
    between = Bytes((usable + with_reserved) // 2)
    fails(server.one(point, expected=between), "orders does not fit:", "free ")


@pytest.mark.long
def test_the_previous_backup_tells_the_size(server: Server, mounts: Mounts, shared_path: Path) -> None:
    for name, size, age in (("a", 30, 300), ("b", 6, 200), ("c", 1, 100)):
        file = shared_path / f"orders-{name}.dump"
        file.write_bytes(b"\1" * (size * MIB))
        os.utime(file, (file.stat().st_mtime - age,) * 2)
    pattern = {"previous": f"{shared_path}/orders-*.dump"}
    found = server.one(mounts.tmpfs("room", size="20m"), **pattern)
    assert found.status is Status.PASS, told(found)
    assert f"orders needs 6 MiB (1 x 6 MiB, as {shared_path}/orders-b.dump)" in found.judgement.summary
    fails(server.one(mounts.tmpfs("small", size="5m"), **pattern), "1 MiB missing, 5 MiB free", "free ")


def test_without_a_previous_backup_the_catalogue_tells_the_size(server: Server, mounts: Mounts) -> None:
    found = server.one(mounts.tmpfs("room", size="64m"), previous="/nonexistent/*.dump")
    assert found.status is Status.PASS, told(found)
    assert "by the catalogue" in found.judgement.summary


def test_an_empty_previous_backup_tells_nothing(server: Server, mounts: Mounts, shared_path: Path) -> None:
    (shared_path / "orders.dump").touch()
    found = server.one(mounts.tmpfs("room", size="64m"), previous=f"{shared_path}/*.dump")
    assert (found.status, "by the catalogue" in found.judgement.summary) == (Status.PASS, True), told(found)


def test_an_empty_database_tells_nothing(server: Server, mounts: Mounts) -> None:
    server.name = server.cluster.create_database("empty", owner=server.role.name)
    found = server.one(mounts.tmpfs("room", size="64m"))
    assert (found.status, "hold nothing" in found.judgement.summary) == (Status.UNKNOWN, True), told(found)


def test_a_missing_directory_is_not_measured_by_its_parent(server: Server, mounts: Mounts) -> None:
    found = server.one(mounts.tmpfs("room", size="64m") / "missing")
    assert found.status is Status.UNKNOWN, told(found)
    assert found.judgement.summary == "directory does not exist (see backup-location)"


def test_a_database_that_cannot_be_asked_leaves_the_size_unknown(server: Server, mounts: Mounts) -> None:
    point = mounts.tmpfs("room", size="64m")
    found = server.ask(roles="nobody_of_this_name", orders={"directory": str(point)})["orders"]
    assert found.status is Status.UNKNOWN, told(found)
    # The plan's own size does not tell what else will be written there.
    found = server.ask(roles="nobody_of_this_name", orders={"directory": str(point), "expected": Bytes(MIB)})["orders"]
    assert found.status is Status.UNKNOWN, told(found)


@pytest.mark.long
def test_the_account_that_writes_looks_where_the_login_may_not(
    server: Server, mounts: Mounts, accounts: site_accounts.Accounts
) -> None:
    login, writer = accounts.add("login"), accounts.add("writer")
    server.account = login
    point = mounts.tmpfs("private", size="64m", mode=0o700)
    (point / "orders").mkdir()
    (point / "orders" / "old.dump").write_bytes(b"\1" * (3 * MIB))
    for path in (point, point / "orders"):
        chown(path, writer.name)
    entry = {"account": Account(writer.name), "previous": f"{point}/orders/*.dump"}
    found = server.one(point / "orders", **entry)
    assert found.status is Status.UNKNOWN, told(found)
    assert "cannot be seen by the account" in found.judgement.summary
    accounts.allow_sudo(login, writer.name)
    found = server.one(point / "orders", **entry)
    assert found.status is Status.PASS, told(found)
    assert "needs 3 MiB" in found.judgement.summary


@pytest.mark.long
@pytest.mark.case(53)
def test_the_nightly_dump_counts_until_it_is_there(server: Server, mounts: Mounts) -> None:
    """Room for one more of 7 MiB and the window's own, then for the window's own alone."""
    point = mounts.tmpfs("nightly", size="32m")
    entry: dict[str, object] = {"previous": f"{point}/*.dump", "expected": Bytes(7 * MIB)}

    def write(age: timedelta) -> None:
        made = point / f"{age.total_seconds():.0f}.dump"
        made.write_bytes(b"\1" * (7 * MIB))
        at = (datetime.now(UTC) - age).timestamp()
        os.utime(made, (at, at))

    for hours in (47, 23):
        write(timedelta(hours=hours))
    before = server.one(point, **entry)
    assert before.status is Status.PASS, told(before)
    assert "for 1 file like" in before.judgement.actual, told(before)
    write(timedelta(minutes=5))
    after = server.one(point, **entry)
    assert after.status is Status.PASS, told(after)
    assert "for 1 file like" not in after.judgement.actual, told(after)
    (point / "old").write_bytes(b"\1" * (5 * MIB))
    assert server.one(point, **entry).status is Status.FAIL
