"""earlier-backup on a real host with real backups, read by the real programs, in every state they can be in."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.earlier_backup import EarlierBackup

from preflight.clock import now
from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import (
    Backup,
    BackupFormat,
    BackupMethod,
    Become,
    Database,
    Host,
    RemotePath,
    Restore,
    SecretRef,
    SslMode,
)
from tests.site.accounts import Account, Accounts
from tests.site.archives import set_header
from tests.site.asking import NOW, as_root, database_on, findings, host_on, make_plan, told
from tests.site.postgres import Cluster
from tests.site.site import Site

TABLES = (
    "CREATE TABLE app AS SELECT n, md5(n::text) AS word FROM generate_series(1, 3000) n",
    "CREATE TABLE other AS SELECT 1 AS one",
)
HOUR = timedelta(hours=1)


@dataclass
class Orders:
    """A database with two tables, its host, and a folder for its backups."""

    cluster: Cluster
    name: str
    account: Account
    folder: Path
    host: Host
    entry: Database

    def dump(self, name: str, *options: str, database: str = "", age: timedelta = HOUR) -> Path:
        """A backup by the real pg_dump, made `age` ago, belonging to the host's login."""
        made = self.folder / name
        spool = self.cluster.backups / name
        self.cluster.client("pg_dump", "--no-sync", *options, "-f", spool, database or self.name)
        shutil.move(spool, made)
        return self.settle(made, age)

    def put(self, name: str, content: bytes, age: timedelta = HOUR) -> Path:
        made = self.folder / name
        made.write_bytes(content)
        return self.settle(made, age)

    def settle(self, made: Path, age: timedelta = HOUR) -> Path:
        """Gives a backup to the login, and its age."""
        for path in [made, *made.rglob("*")]:
            shutil.chown(path, self.account.name, self.account.name)
            os.utime(path, ((NOW - age).timestamp(),) * 2)
        return made


@pytest.fixture(scope="module")
def database(postgres: Cluster) -> Iterator[tuple[str, str, str]]:
    """(name, role, password) of a database with two tables."""
    role = postgres.create_role("release", options="IN ROLE pg_monitor")
    name = postgres.create_database("orders", owner=role.name)
    for statement in TABLES:
        postgres.sql(statement, dbname=name)
    yield name, role.name, role.password
    postgres.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def orders(
    site: Site, postgres: Cluster, database: tuple[str, str, str], shared_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Orders:
    name, role, password = database
    monkeypatch.setenv("ORDERS_PASSWORD", password)
    account = site.account("good")
    host = host_on(site.sshd, account, owner="unix")
    entry = database_on(postgres, role, name=name, password=SecretRef("env", "ORDERS_PASSWORD"), owner="dba")
    return Orders(postgres, name, account, shared_path, host, entry)


Ask = Callable[..., Mapping[str, Finding]]
AskBackup = Callable[..., Finding]


@pytest.fixture
def ask(site: Site, orders: Orders, tmp_path: Path) -> Ask:
    """The findings about a plan with these sections."""

    def ask(
        settings: dict[str, Any] | None = None,
        host: Host | None = None,
        entry: Database | None = None,
        **sections: Any,
    ) -> Mapping[str, Finding]:
        plan = make_plan(
            tmp_path,
            hosts=[host or orders.host],
            databases=[entry or orders.entry],
            known_hosts=site.sshd.known_hosts_lines(),
            checks={"earlier-backup": settings or {}},
            **sections,
        )
        return findings(EarlierBackup, plan)

    return ask


@pytest.fixture
def ask_backup(ask: Ask, orders: Orders) -> AskBackup:
    """The finding about the newest of the backups that match a pattern."""

    def ask_backup(
        pattern: str = "*.dump", settings: dict[str, Any] | None = None, host: Host | None = None, **changes: Any
    ) -> Finding:
        previous = RemotePath(f"{orders.folder}/{pattern}")
        changes = {"directory": RemotePath(str(orders.folder)), **changes}
        backup = Backup(id="orders", database="orders", previous=previous, **changes)
        return ask(settings, host, backups={"orders": backup})["orders"]

    return ask_backup


def is_fail(found: Finding, *words: str) -> None:
    assert found.status is Status.FAIL, told(found)
    for word in words:
        assert word in told(found), told(found)


def is_pass(found: Finding, *words: str) -> None:
    assert found.status is Status.PASS, told(found)
    for word in words:
        assert word in found.judgement.summary, found.judgement.summary


def is_warned(found: Finding, *words: str) -> None:
    assert found.status is Status.WARN, told(found)
    for word in words:
        assert word in told(found), told(found)


# The newest earlier backup.


@pytest.mark.long
@pytest.mark.parametrize(("form", "option"), [("custom", "-Fc"), ("directory", "-Fd"), ("tar", "-Ft")])
def test_an_archive_that_reads_to_its_end_passes(orders: Orders, ask_backup: AskBackup, form: str, option: str) -> None:
    orders.dump("old.dump", option, age=25 * HOUR)
    newest = orders.dump("new.dump", option)
    found = ask_backup(format=BackupFormat(form))
    is_pass(found, str(newest), orders.account.name, "readable to its end", f"of the database {orders.name}")
    assert "100% of the size of the one before" in found.judgement.summary
    assert found.owner == "dba"
    assert sorted(path.name for path in orders.folder.iterdir()) == ["new.dump", "old.dump"]


@pytest.mark.parametrize("share", [0.01, 0.6, 0.99])
def test_an_archive_cut_off_anywhere_fails(orders: Orders, ask_backup: AskBackup, share: float) -> None:
    """`pg_restore -l` would show a whole table of contents for the longer ones."""
    newest = orders.dump("new.dump", "-Fc")
    content = newest.read_bytes()
    orders.put("new.dump", content[: int(len(content) * share)])
    is_fail(ask_backup(), "end of file" if share > 0.1 else "pg_restore", "pg_restore -f /dev/null")


@pytest.mark.long
def test_one_flipped_byte_in_a_packed_archive_fails(orders: Orders, ask_backup: AskBackup) -> None:
    content = bytearray(orders.dump("new.dump", "-Fc").read_bytes())
    content[len(content) // 2] ^= 0xFF
    orders.put("new.dump", bytes(content))
    is_fail(ask_backup(), "cannot be read to its end")


def test_a_directory_that_lacks_a_file_fails(orders: Orders, ask_backup: AskBackup) -> None:
    newest = orders.dump("new.dump", "-Fd")
    next(newest.glob("*.dat.gz")).unlink()
    is_fail(ask_backup(), "cannot be read to its end")


@pytest.mark.parametrize("option", ["-Z6", "-Z0"])
@pytest.mark.parametrize("damage", ["empty", "zeros", "empty gzip", "zeros in gzip"])
def test_a_directory_whose_smallest_table_was_emptied_fails(
    orders: Orders, ask_backup: AskBackup, option: str, damage: str
) -> None:
    """pg_restore reads it to its end, and says nothing."""
    newest = orders.dump("new.dump", "-Fd", option)
    data = min(newest.glob("*.dat*"), key=lambda path: path.stat().st_size if path.name[0].isdigit() else 10**9)
    zeros = bytes(data.stat().st_size)
    packer = gzip.compress if "gzip" in damage else bytes
    data.write_bytes(packer(b"" if "empty" in damage else zeros))
    orders.settle(newest)
    is_fail(ask_backup(format=BackupFormat.DIRECTORY), "the data of 1 table in it was emptied or cut off")


def test_a_line_of_data_is_neither_the_beginning_nor_the_end_of_a_tables_data(
    orders: Orders, ask_backup: AskBackup
) -> None:
    """Nor is there any in a dump of single statements."""
    rows = r"('one'), ('COPY x FROM stdin;'), ('\.'), (E'COPY x (n) FROM stdin;\n\\.\n'), (E'-- PostgreSQL\n')"
    for made in (f"quoted AS SELECT * FROM (VALUES {rows}) v", "nothing (n int)", "bare ()"):
        orders.cluster.sql(f"CREATE TABLE {made}", dbname=orders.name)
    try:
        for options in ([], ["--inserts"], ["-Z0"]):
            orders.dump("new.dump", "-Fc", *options)
            found = ask_backup()
            assert "readable to its end by pg_restore" in str(found.judgement), told(found)
    finally:
        orders.cluster.sql("DROP TABLE quoted, nothing, bare", dbname=orders.name)


def test_an_archive_by_a_newer_pg_dump_fails(orders: Orders, ask_backup: AskBackup) -> None:
    content = orders.dump("new.dump", "-Fc").read_bytes()
    orders.put("new.dump", b"PGDMP\x01\x7f" + content[7:])
    is_fail(ask_backup(), "made by a newer pg_dump", "unsupported version")


@pytest.mark.long
def test_a_backup_that_the_window_would_write_over_fails(orders: Orders, ask_backup: AskBackup) -> None:
    orders.dump("orders.dump", "-Fc")
    is_fail(
        ask_backup(file="orders.dump", step="backup"),
        "it would be overwritten",
        'file = "orders-window.dump" in [backups.orders]',
    )
    is_pass(ask_backup(file="orders-{date}.dump", step="backup"))


def test_a_backup_without_data_fails(orders: Orders, ask_backup: AskBackup) -> None:
    orders.dump("new.dump", "-Fc", "--schema-only")
    is_fail(ask_backup(), "holds no data (schema only)")


@pytest.mark.long
def test_a_backup_of_another_database_fails(orders: Orders, ask_backup: AskBackup) -> None:
    orders.dump("new.dump", "-Fc", database="postgres")
    is_fail(ask_backup(), "of another database: postgres")


@pytest.mark.long
def test_a_backup_much_smaller_than_the_one_before_fails(orders: Orders, ask_backup: AskBackup) -> None:
    """A dump of empty tables is whole, has every table, and reads well."""
    orders.dump("old.dump", "-Fc", age=25 * HOUR)
    empty = orders.cluster.create_database("orders")
    orders.cluster.sql("CREATE TABLE app (n int)", dbname=empty)
    orders.dump("new.dump", "-Fc", database=empty)
    is_fail(ask_backup(), "of the size of the one before", "at least 50%")
    is_fail(ask_backup(settings={"least_size_ratio": 0.0}), "of another database")
    orders.cluster.sql(f"DROP DATABASE {empty}")


def test_a_database_that_was_emptied_since_its_backup_is_told(orders: Orders, ask: Ask) -> None:
    name = orders.cluster.create_database("emptied", owner=orders.entry.user)
    entry = replace(orders.entry, name=name)
    try:
        orders.cluster.sql("CREATE TABLE a AS SELECT md5(n::text) FROM generate_series(1, 9000) n", dbname=name)
        previous = RemotePath(str(orders.dump("full.dump", "-Fc", database=name)))
        backup = Backup(id="orders", database="orders", previous=previous, directory=RemotePath(str(orders.folder)))
        assert "emptied, or" not in told(ask(entry=entry, backups={"orders": backup})["orders"])
        orders.cluster.sql("TRUNCATE a", dbname=name)
        found = ask(entry=entry, backups={"orders": backup})["orders"]
    finally:
        orders.cluster.sql(f"DROP DATABASE {name} WITH (FORCE)")
    is_warned(found, "far less than this backup of it: was it emptied, or")


def test_no_backup_at_all_fails(orders: Orders, ask_backup: AskBackup) -> None:
    is_fail(ask_backup(), "nothing matches", "0 matches")
    is_fail(ask_backup("nowhere/*.dump"), "no such folder")


def test_an_empty_file_fails(orders: Orders, ask_backup: AskBackup) -> None:
    orders.put("new.dump", b"")
    is_fail(ask_backup(), "the newest backup is empty")


@pytest.mark.long
def test_an_old_backup_fails(orders: Orders, ask_backup: AskBackup) -> None:
    orders.dump("new.dump", "-Fc", age=27 * HOUR)
    is_fail(ask_backup(), "is 1 d 3 h old", "not older than 1 d 2 h")
    is_pass(ask_backup(max_age=timedelta(days=2)))


@pytest.mark.parametrize("form", ["custom", "directory"])
def test_a_backup_from_the_future_is_of_no_known_age_until_it_has_its_own_time(
    orders: Orders, ask_backup: AskBackup, form: str
) -> None:
    orders.dump("new.dump", f"-F{form[0]}", age=-2 * HOUR)
    found = ask_backup(format=BackupFormat(form))
    assert found.status is Status.UNKNOWN, told(found)
    assert "cannot be known" in found.judgement.summary
    made = f"{NOW - HOUR:%Y-%m-%d %H:%M} UTC"
    cure = found.judgement.remedy.rpartition(": ")[2].replace("YYYY-MM-DD HH:MM", made)
    subprocess.run(["sh", "-c", cure], check=True)
    is_pass(ask_backup(format=BackupFormat(form)), "not older than")


@pytest.mark.long
def test_a_backup_of_somebody_elses_is_a_warning(orders: Orders, ask_backup: AskBackup) -> None:
    newest = orders.dump("new.dump", "-Fc")
    shutil.chown(newest, "daemon")
    newest.chmod(0o646)
    is_warned(ask_backup(), "belongs to daemon", f"chown {orders.account.name}", "everybody on the server may change")


def test_a_backup_nobody_may_read_fails(orders: Orders, ask_backup: AskBackup) -> None:
    newest = orders.dump("new.dump", "-Fc")
    shutil.chown(newest, "root", "root")
    newest.chmod(0o600)
    is_fail(ask_backup(), f"may not be read by {orders.account.name}")


@pytest.mark.long
def test_a_backup_that_is_being_written_is_told_and_the_one_before_judged(
    orders: Orders, ask_backup: AskBackup
) -> None:
    content = orders.dump("old.dump", "-Fc", age=10 * HOUR).read_bytes()
    orders.put("new.dump", content[:-500], age=NOW - now())
    is_warned(ask_backup(), "it may be being written")
    (orders.folder / "old.dump").unlink()
    is_fail(ask_backup(), "cannot be read to its end")


@pytest.mark.parametrize("packer", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_sql_text_passes_whole_and_fails_cut_off(orders: Orders, ask_backup: AskBackup, packer: Any) -> None:
    text = orders.dump("new.sql", "-Fp").read_bytes()
    orders.put("new.dump", packer(text))
    is_pass(ask_backup(format=BackupFormat.PLAIN), "readable to its end", "does not name its database")
    orders.put("new.dump", packer(text[:-200]))
    is_fail(ask_backup(format=BackupFormat.PLAIN), "ends before pg_dump's last line")
    orders.put("new.dump", packer(text)[:-200])
    is_fail(ask_backup(format=BackupFormat.PLAIN))
    orders.put("new.dump", packer(b"no dump at all\n"))
    is_fail(ask_backup(format=BackupFormat.PLAIN), "does not begin as pg_dump begins")


@pytest.mark.long
def test_sql_text_with_its_database_in_it_is_held_against_the_plan(orders: Orders, ask_backup: AskBackup) -> None:
    orders.dump("new.dump", "-Fp", "--create")
    is_pass(ask_backup(format=BackupFormat.PLAIN), f"of the database {orders.name}")
    orders.dump("new.dump", "-Fp", "--create", database="postgres")
    is_fail(ask_backup(format=BackupFormat.PLAIN), "of another database: postgres")


def openssl(content: bytes, *options: str) -> bytes:
    words = ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-k", "secret", *options]
    return subprocess.run(words, input=content, capture_output=True, check=True).stdout


@pytest.mark.long
@pytest.mark.case(44)
@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,  # an archive in it
        lambda content: gzip.compress(openssl(content)),
        openssl,
        lambda content: openssl(content, "-a"),
        lambda _content: b"-----BEGIN PGP MESSAGE-----\n\nhQEMA8\n",
        lambda content: b"\x04\x22\x4d\x18" + content,
    ],
    ids=["gzip", "gzip openssl", "openssl", "base64", "gpg", "lz4"],
)
def test_what_cannot_be_read_here_is_unknown_until_a_command_of_the_plan_says_that_it_is_whole(
    orders: Orders, ask_backup: AskBackup, pack: Callable[[bytes], bytes]
) -> None:
    orders.put("new.dump", pack(orders.dump("x", "-Fc").read_bytes()))
    found = ask_backup()
    assert found.status is Status.UNKNOWN, told(found)
    assert found.judgement.summary == "the newest backup cannot be read here"
    assert "[backups.orders] verify = [" in found.judgement.remedy
    is_warned(ask_backup(verify=("test", "-s", "{file}")), "whole as `test -s '{file}'` of the plan says, not observed")
    is_fail(ask_backup(verify=("test", "-d", "{file}")), "does not find the newest backup whole: status 1")
    found = ask_backup(verify=("/opt/nowhere/check", "{file}"))
    assert found.status is Status.UNKNOWN, told(found)


@pytest.mark.long
def test_an_archive_that_can_be_read_is_read_whatever_the_plans_command_says(
    orders: Orders, ask_backup: AskBackup
) -> None:
    whole = orders.dump("x", "-Fc").read_bytes()
    orders.put("new.dump", whole[: len(whole) * 6 // 10])
    is_fail(ask_backup(verify=("true", "{file}")), "cannot be read to its end")
    text = orders.dump("y", "-Fp").read_bytes()
    orders.put("new.dump", gzip.compress(text[: len(text) // 2]))
    is_fail(ask_backup(format=BackupFormat.PLAIN, verify=("true", "{file}")), "ends before pg_dump's last line")
    orders.put("new.dump", b"")
    is_fail(ask_backup(verify=("true", "{file}")), "the newest backup is empty")


def base_backup(orders: Orders, kind: BackupFormat, *options: str) -> Backup:
    """The entry of one that is taken with these options."""
    spool, made = orders.cluster.backups / f"base-{kind}", orders.folder / f"base-{kind}"
    orders.cluster.client("pg_basebackup", "-D", spool, *options, "-c", "fast", "--no-sync")
    shutil.move(spool, made)
    orders.settle(made)
    return Backup(
        id="orders",
        database="orders",
        directory=RemotePath("/backup"),
        method=BackupMethod.PG_BASEBACKUP,
        format=kind,
        previous=RemotePath(str(made)),
    )


@pytest.mark.long
@pytest.mark.case(60)
def test_a_tar_base_backup_is_judged_by_the_command_of_its_entry(orders: Orders, ask: Ask) -> None:
    backup = base_backup(orders, BackupFormat.TAR, "-Ft", "-Z", "1")

    def found(**changes: Any) -> Finding:
        return ask(backups={"orders": replace(backup, **changes)})["orders"]

    unread = found()
    assert unread.status is Status.UNKNOWN, told(unread)
    assert "verify = [" in unread.judgement.remedy
    verify = ("sh", "-c", 'for f in "$0"/*.gz; do gzip -t "$f" || exit 1; done', "{file}")
    is_warned(found(verify=verify), "not observed")
    made = Path(backup.previous)
    (made / "base.tar.gz").write_bytes((made / "base.tar.gz").read_bytes()[:-9])
    orders.settle(made)
    is_fail(found(verify=verify), "status 1", "unexpected end of file")


@pytest.mark.long
@pytest.mark.case(61)
@pytest.mark.parametrize("form", ["custom", "directory", "plain"])
def test_a_backup_is_as_old_as_it_says_of_itself(orders: Orders, ask_backup: AskBackup, form: str) -> None:
    made = orders.dump("new.dump", f"-F{form[0]}", "--verbose", age=timedelta())
    is_pass(ask_backup(format=BackupFormat(form)))

    def begun(before: timedelta) -> Finding:
        """Of a copy, made now, of a backup that was begun so long ago."""
        wall = f"{now() - before:%Y-%m-%d %H:%M:%S}"
        if form == "plain":
            made.write_text(re.sub("(?<=-- Started on )[-0-9]+ [:0-9]+", wall, made.read_text()))
        else:
            set_header(made / "toc.dat" if form == "directory" else made, wall, summer=False)
        return ask_backup(format=BackupFormat(form))

    is_fail(begun(72 * HOUR), "old, whatever its file says")
    found = begun(30 * HOUR)  # in some zone that was 20 hours ago
    assert found.status is Status.UNKNOWN, told(found)
    is_pass(begun(timedelta()))
    is_pass(begun(4 * HOUR))


@pytest.mark.long
@pytest.mark.case(62)
def test_a_dump_of_another_database_of_the_same_name(orders: Orders, ask_backup: AskBackup, ask: Ask) -> None:
    other = orders.cluster.create_database("orders")
    try:
        orders.dump("new.dump", "-Fc", database=other)
        named = replace(orders.entry, name=other)
        is_fail(ask_backup(), f"of another database: {other}")
        orders.cluster.sql("CREATE TABLE one AS SELECT 1 AS n", dbname=other)
        orders.cluster.sql("CREATE TABLE two AS SELECT 2 AS n", dbname=other)
        for form in (BackupFormat.CUSTOM, BackupFormat.PLAIN):
            orders.dump("new.dump", f"-F{form[0]}", database=other)
            backup = Backup(
                id="orders", database="orders", directory=RemotePath("/"), format=form,
                previous=RemotePath(f"{orders.folder}/*.dump"),
            )  # fmt: skip
            is_pass(ask(entry=named, backups={"orders": backup})["orders"])
            orders.cluster.sql("ALTER TABLE one RENAME TO three", dbname=other)
            orders.cluster.sql("ALTER TABLE two RENAME TO four", dbname=other)
            is_fail(
                ask(entry=named, backups={"orders": backup})["orders"],
                "the backup is not complete: it lacks data of 2 of the 2 tables (public.four, public.three)",
            )  # fmt: skip
            orders.cluster.sql("ALTER TABLE three RENAME TO one", dbname=other)
            orders.cluster.sql("ALTER TABLE four RENAME TO two", dbname=other)
        orders.dump("new.dump", "-Fc", database=other)
        backup = replace(backup, format=BackupFormat.CUSTOM)
        for reader in ("", orders.entry.user):  # who may not read the tables, and who may
            orders.cluster.sql("INSERT INTO one SELECT i FROM generate_series(1, 100000) i", dbname=other)
            if reader:
                orders.cluster.sql(f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{reader}"', dbname=other)
            is_fail(ask(entry=named, backups={"orders": backup})["orders"], "of what the database holds")
    finally:
        orders.cluster.sql(f"DROP DATABASE {other} WITH (FORCE)")


def test_an_archive_without_pg_restore_on_the_host_fails(orders: Orders, ask_backup: AskBackup) -> None:
    orders.dump("new.dump", "-Fc")
    found = ask_backup(program="/opt/nowhere/bin/pg_dump")
    is_fail(found, "/opt/nowhere/bin/pg_restore is missing", "client programs installed on db1")


@pytest.mark.long
@pytest.mark.case(50)
def test_a_base_backup_is_held_against_its_manifest(orders: Orders, ask: Ask) -> None:
    backup = base_backup(orders, BackupFormat.PLAIN, "-X", "stream")

    def found(program: str = f"{orders.cluster.bin}/pg_basebackup") -> Finding:
        return ask(backups={"orders": replace(backup, program=program)})["orders"]

    is_pass(found(), "complete: every file of its manifest, the WAL it needs")
    victim = next(
        path for path in (Path(backup.previous) / "base").rglob("*") if path.is_file() and path.stat().st_size > 8000
    )
    victim.write_bytes(b"x" * victim.stat().st_size)
    is_fail(found(), "base backup is not whole", "checksum mismatch")
    is_fail(found(""), "checksum mismatch")  # Debian has pg_verifybackup off the PATH


@pytest.mark.long
def test_another_accounts_backups_are_read_by_the_programs_that_sudo_lists(
    orders: Orders, ask_backup: AskBackup, accounts: Accounts
) -> None:
    newest = orders.dump("new.dump", "-Fc")
    shutil.chown(newest, "postgres", "postgres")
    newest.chmod(0o600)
    login = accounts.add()
    host = replace(orders.host, user=Login(login.name), key=login.key, become=(Become(account=Login("postgres")),))
    found = ask_backup(host=host, account=Login("postgres"))
    assert found.status is Status.UNKNOWN, told(found)
    accounts.allow_sudo(login, "postgres", ["/usr/bin/pg_restore", "/usr/bin/pg_dump"])
    is_pass(ask_backup(host=host, account=Login("postgres")), "readable to its end", "of postgres")
    orders.folder.chmod(0o700)
    shutil.chown(orders.folder, "postgres")
    found = ask_backup(host=host, account=Login("postgres"))
    assert found.status is Status.UNKNOWN, told(found)
    accounts.allow_sudo(login, "postgres")
    is_pass(ask_backup(host=host, account=Login("postgres")), "readable to its end")


@pytest.mark.long
def test_an_account_that_may_start_no_process_is_not_told_to_want_a_rule_alone(
    orders: Orders, ask_backup: AskBackup, accounts: Accounts
) -> None:
    """sudo gives it, and its shell starts nothing: the rule of the cure is there already."""
    newest, login, worker = orders.dump("new.dump", "-Fc"), accounts.add(), accounts.add()
    for path in (newest, orders.folder):
        shutil.chown(path, worker.name)
    orders.folder.chmod(0o700)
    accounts.allow_sudo(login, worker.name)
    host = replace(orders.host, user=Login(login.name), key=login.key, become=(Become(account=Login(worker.name)),))
    limits = Path(f"/etc/security/limits.d/{worker.name}.conf")
    limits.write_text(f"{worker.name} hard nproc 1\n")
    try:
        found = ask_backup(host=host, account=Login(worker.name))
        assert found.status is Status.UNKNOWN, told(found)
        rule, _, command = found.judgement.remedy.partition("; or, where that is there, cure what this complains of")
        assert rule.endswith(f"({worker.name}) NOPASSWD: /bin/sh")
        run = ["su", login.name, "-c", command.partition(f", on {host.id}: ")[2]]
        assert "Cannot fork" in subprocess.run(run, capture_output=True, text=True, check=False).stderr
    finally:
        limits.unlink()
    is_pass(ask_backup(host=host, account=Login(worker.name)), "readable to its end")


@pytest.mark.long
def test_sudos_password_is_used_and_shown_nowhere(
    orders: Orders, ask_backup: AskBackup, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = orders.dump("new.dump", "-Fc")
    shutil.chown(newest, "postgres", "postgres")
    newest.chmod(0o600)
    login = accounts.add()
    accounts.allow_sudo(login, "postgres", password=True)
    monkeypatch.setenv("SUDO_PASSWORD", login.password)
    become = (Become(account=Login("postgres"), password=SecretRef("env", "SUDO_PASSWORD")),)
    host = replace(orders.host, user=Login(login.name), key=login.key, become=become)
    found = ask_backup(host=host, account=Login("postgres"))
    is_pass(found, "readable to its end")
    assert login.password not in repr(found)


@pytest.mark.long
def test_what_the_account_may_not_list_or_read_is_opened_by_the_cure(orders: Orders, ask_backup: AskBackup) -> None:
    newest = orders.dump("new.dump", "-Fc")
    orders.folder.chmod(0o711)
    found = ask_backup()
    assert "may not list the folder" in found.judgement.summary
    as_root(found)
    newest.chmod(0)
    found = ask_backup()
    assert "may not be read" in found.judgement.summary
    as_root(found)
    assert ask_backup().status is Status.PASS


def test_a_read_that_takes_too_long_is_unknown(orders: Orders, ask_backup: AskBackup) -> None:
    data = next(orders.dump("new.dump", "-Fd").glob("*.dat.gz"))
    data.unlink()
    os.mkfifo(data)
    found = ask_backup(read_within=timedelta(seconds=1))
    assert found.status is Status.UNKNOWN, told(found)
    assert "read_within" in found.judgement.remedy


# Backups that lie.

FULL = "complete: data of 4 tables, and what defines them; by name 5 sequences or views"
LIES = {
    (): FULL,
    ("--data-only",): "it lacks the tables themselves (data only)",
    ("--table=public.app",): "it lacks data of 3 of the 4 tables (billing.entry, billing.paid",
    ("--schema=public",): "it lacks data of 2 of the 4 tables (billing.entry, billing.paid)",
    ("--exclude-table-data=billing.*",): "it lacks data of 2 of the 4 tables",
    ("--section=pre-data", "--section=data"): "indexes",
    ("--no-blobs",): "it lacks large objects",
    ("--no-publications",): "it lacks publications",
    ("--table=*.*",): "functions",
    ("-T", "q", "-T", "v_open"): "it lacks 2 sequences or views (public.q, public.v_open)",
    ("-T", "sums"): "it lacks 1 sequence or view (public.sums)",
}


FOUR = (
    *TABLES,
    "CREATE SCHEMA billing",
    "CREATE TABLE billing.paid (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)",
    "CREATE TABLE billing.entry (n serial, paid int REFERENCES billing.paid)",
    "CREATE INDEX ON billing.entry (paid)",
    "CREATE EXTENSION pgcrypto",
    "SELECT lo_create(0)",
    "CREATE PUBLICATION entries FOR TABLE billing.entry",
    "CREATE SEQUENCE q",
    "ALTER TABLE other ALTER one SET DEFAULT nextval('q')",
    "CREATE VIEW v_open AS SELECT * FROM billing.paid",
    "CREATE MATERIALIZED VIEW sums AS SELECT count(*) FROM v_open",
    "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "GRANT SELECT ON billing.paid TO PUBLIC",
)


@pytest.fixture(scope="module")
def four(postgres: Cluster, database: tuple[str, str, str]) -> Iterator[str]:
    """A database with four tables in two schemas, a key to each other, an index, an extension, a large object,
    sequences, views and a function."""
    name = postgres.create_database("four", owner=database[1])
    for statement in FOUR:
        postgres.sql(statement, dbname=name)
    yield name
    postgres.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def of_four(ask: Ask, orders: Orders, four: str) -> AskBackup:
    """The finding about the newest backup of that database."""

    def found(pattern: str = "*.dump", **changes: Any) -> Finding:
        backup = Backup(
            id="orders", database="orders", directory=RemotePath(str(orders.folder)),
            previous=RemotePath(f"{orders.folder}/{pattern}"), **changes,
        )  # fmt: skip
        return ask(entry=replace(orders.entry, name=four), backups={"orders": backup})["orders"]

    return found


@pytest.mark.long
@pytest.mark.parametrize("form", [BackupFormat.CUSTOM, BackupFormat.PLAIN])
def test_a_dump_that_is_readable_and_not_complete_fails(
    orders: Orders, of_four: AskBackup, four: str, form: BackupFormat
) -> None:
    for options, words in LIES.items():
        orders.dump("new.dump", f"-F{form[0]}", *options, database=four)
        found = of_four(format=form)
        (is_fail if options else is_pass)(found, words)
        assert "readable to its end" in str(found.judgement), "which it is"
    left_out = ("billing.*",)
    orders.dump("new.dump", f"-F{form[0]}", "--exclude-table-data=billing.*", database=four)
    is_pass(of_four(format=form, left_out=left_out), "left out on purpose, by the plan: billing.entry, billing.paid")
    orders.dump("new.dump", f"-F{form[0]}", "--no-acl", database=four)
    found = of_four(format=form)
    assert found.status is Status.WARN, told(found)
    assert "the backup holds no right that was granted" in found.judgement.summary
    if form is BackupFormat.CUSTOM:
        is_pass(of_four(format=form, restore=Restore(options=("--no-acl",))), FULL)
    orders.dump("new.dump", f"-F{form[0]}", "--exclude-table-data=sums", database=four)
    found = of_four(format=form)
    assert found.status is Status.WARN, told(found)
    assert "the backup fills no materialized view" in found.judgement.summary


@pytest.mark.parametrize("form", [BackupFormat.CUSTOM, BackupFormat.PLAIN])
def test_a_dump_without_a_sequence_and_a_view_that_others_need_fails_as_its_restore_does(
    orders: Orders, of_four: AskBackup, four: str, form: BackupFormat
) -> None:
    newest = orders.dump("new.dump", f"-F{form[0]}", "-T", "q", "-T", "v_open", database=four)
    is_fail(of_four(format=form), LIES["-T", "q", "-T", "v_open"], 'left_out = ["public.q"]')
    empty = orders.cluster.create_database("empty")
    restore: tuple[str, ...] = ("psql", "-v", "ON_ERROR_STOP=1", "-d", empty, "-f")
    if form is BackupFormat.CUSTOM:
        restore = ("pg_restore", "--exit-on-error", "-d", empty)
    with pytest.raises(AssertionError, match="does not exist"):
        orders.cluster.client(*restore, newest, user=None)
    orders.cluster.sql(f"DROP DATABASE {empty}")
    is_pass(of_four(format=form, left_out=("public.q", "public.v_open")), "on purpose, by the plan: public.q")
    orders.dump("new.dump", f"-F{form[0]}", "-T", "billing.entry", "-T", "billing.entry_n_seq", database=four)
    found = of_four(format=form, left_out=("billing.entry",))
    assert "sequence" not in found.judgement.summary.replace(FULL, ""), "a table's own is left out with it"


@pytest.mark.long
@pytest.mark.parametrize("form", [BackupFormat.CUSTOM, BackupFormat.PLAIN])
def test_a_dump_by_newer_tools_than_the_server_fails_as_its_restore_does(
    orders: Orders, of_four: AskBackup, four: str, newer_postgres: Cluster, form: BackupFormat
) -> None:
    newer = newer_postgres.bin
    spool = orders.cluster.backups / "newer"
    orders.cluster.client(str(newer / "pg_dump"), "--no-sync", f"-F{form[0]}", "-f", spool, four)
    shutil.move(spool, orders.folder / "new.dump")
    newest = orders.settle(orders.folder / "new.dump")
    if form is BackupFormat.CUSTOM:
        is_fail(of_four(), "made by a newer pg_dump than the server's pg_restore reads")
    found = of_four(format=form, program=f"{newer}/pg_dump")
    is_fail(
        found,
        f"made by pg_dump {newer_postgres.version}, newer than the server, {orders.cluster.version}",
        "sets transaction_timeout",
    )
    empty = orders.cluster.create_database("empty")
    restore: tuple[str, ...] = ("psql", "-v", "ON_ERROR_STOP=1", "-d", empty, "-f")
    if form is BackupFormat.CUSTOM:
        restore = (str(newer / "pg_restore"), "--exit-on-error", "-d", empty)
    with pytest.raises(AssertionError, match="transaction_timeout"):
        orders.cluster.client(*restore, newest, user=None)
    orders.cluster.sql(f"DROP DATABASE {empty}")


@pytest.mark.long
def test_what_is_split_or_packed_otherwise_is_not_called_broken(
    orders: Orders, of_four: AskBackup, four: str, tmp_path: Path
) -> None:
    content = orders.dump("x", "-Fc", database=four).read_bytes()
    half = len(content) // 2
    orders.put("new.dump.aa", content[:half])
    orders.put("new.dump.ab", content[half:])
    found = of_four("new.dump.*")
    assert found.status is Status.UNKNOWN, told(found)
    assert "one of the parts into which a backup was split" in told(found)
    join = ("sh", "-c", 'cat "${0%.*}".* | pg_restore -f /dev/null', "{file}")
    is_warned(of_four("new.dump.*", verify=join), "not observed")
    (orders.folder / "new.dump.ab").unlink()
    orders.dump("directory", "-Fd", database=four)
    for option, name in (("-cf", "new.tar"), ("-czf", "new.tgz")):
        subprocess.run(["tar", option, orders.folder / name, "-C", orders.folder, "directory"], check=True)
        orders.settle(orders.folder / name)
        found = of_four(name)
        assert found.status is Status.UNKNOWN, told(found)
        assert "the newest backup cannot be read here" in told(found)


@pytest.mark.long
def test_a_sum_written_down_at_backup_time_tells_a_flipped_byte(orders: Orders, of_four: AskBackup, four: str) -> None:
    newest = orders.dump("new.dump", "-Fc", "-Z0", database=four)
    content = newest.read_bytes()
    orders.put("new.dump.sha256", f"{hashlib.sha256(content).hexdigest()}  new.dump\n".encode())
    is_pass(of_four(), f"its SHA-256 is the one in {newest}.sha256")
    at = content.index(b"2\tc81e728d")
    orders.put("new.dump", content[:at] + b"3" + content[at + 1 :])
    found = of_four()
    is_fail(found, "was changed since its SHA-256 was written down")
    assert "readable to its end" in str(found.judgement), "nothing else tells"


@pytest.mark.long
def test_the_roles_that_a_restore_needs(orders: Orders, of_four: AskBackup, four: str) -> None:
    cluster, gone = orders.cluster, orders.cluster.create_role("gone").name
    cluster.sql(f"CREATE TABLE owned (n int); ALTER TABLE owned OWNER TO {gone}", dbname=four)
    made = cluster.client("pg_dumpall", "--globals-only", "--no-role-passwords")
    orders.dump("new.dump", "-Fc", database=four)
    cluster.sql("DROP TABLE owned", dbname=four)
    cluster.sql(f"DROP ROLE {gone}")
    is_fail(of_four(), f"roles that own its tables are not on the server: {gone}", f"CREATE ROLE {gone};")
    pattern = RemotePath(f"{orders.folder}/globals.*")
    is_fail(of_four(globals=pattern), "the dump of the globals: there is none")
    orders.put("globals.sql", made.encode())
    is_pass(of_four(globals=pattern), "the roles are in a dump of the globals", "complete")
    old = (NOW - timedelta(days=3)).timestamp()
    os.utime(orders.folder / "globals.sql", (old, old))
    found = of_four(globals=pattern)
    assert (found.status, "the dump of the globals is 3 d" in told(found)) == (Status.WARN, True), told(found)
    orders.put("globals.sql", made[:-200].encode())
    is_fail(of_four(globals=pattern), "it is not whole")


@pytest.mark.long
def test_earlier_backups_may_lie_on_another_host(
    orders: Orders, site: Site, accounts: Accounts, tmp_path: Path
) -> None:
    """Where another account reads them, and the database's own host sees nothing of them."""
    newest = orders.dump("new.dump", "-Fc")
    orders.folder.chmod(0o700)
    shutil.chown(orders.folder, orders.account.name)
    keeper = replace(orders.host, id="backup1", owner="storage")
    db1 = host_on(site.sshd, accounts.add())
    backup = Backup(
        id="orders", database="orders", directory=RemotePath("/backup"), previous=RemotePath(f"{newest.parent}/*.dump"),
        program="/opt/nowhere/pg_dump",
    )  # fmt: skip

    def found(**changes: Any) -> Finding:
        plan = make_plan(
            tmp_path, hosts=[db1, keeper], databases=[orders.entry], known_hosts=site.sshd.known_hosts_lines(),
            backups={"orders": replace(backup, **changes)},
        )  # fmt: skip
        return findings(EarlierBackup, plan)["orders"]

    is_fail(found(), "may not list the folder of the earlier backups")
    is_pass(found(kept_on="backup1"), "readable to its end by pg_restore", f"of {orders.account.name}")
    newest.write_bytes(newest.read_bytes()[:-400])
    orders.settle(newest)
    is_fail(found(kept_on="backup1"), f"{newest} on backup1: read to its end")


@pytest.mark.long
def test_a_newer_servers_dumps_are_told_apart_as_well(
    orders: Orders, ask: Ask, newer_postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its own programs, which write other lists and comments."""
    role = newer_postgres.create_role("release")
    monkeypatch.setenv("NEWER_PASSWORD", role.password)
    name = newer_postgres.create_database("four", owner=role.name)
    for statement in (each for each in FOUR if "EXTENSION" not in each):  # its wheel brings none
        newer_postgres.sql(statement, dbname=name)
    newer = replace(orders, cluster=newer_postgres, name=name)
    entry = database_on(
        newer_postgres, role.name, name=name, password=SecretRef("env", "NEWER_PASSWORD"), sslmode=SslMode.DISABLE,
        sslrootcert=None,
    )  # fmt: skip
    for form in (BackupFormat.CUSTOM, BackupFormat.PLAIN):
        backup = Backup(
            id="orders", database="orders", directory=RemotePath("/backup"), format=form,
            previous=RemotePath(f"{orders.folder}/*.dump"), program=f"{newer_postgres.bin}/pg_dump",
        )  # fmt: skip
        for options in LIES:
            newer.dump("new.dump", f"-F{form[0]}", *options)
            found = ask(entry=entry, backups={"orders": backup})["orders"]
            (is_fail if options else is_pass)(found, LIES[options])
