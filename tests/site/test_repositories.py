"""What pgBackRest and Barman tell of their backups, asked of the real programs with a real server behind them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.backup_duration import BackupDuration
from preflight_checks.backup_location import BackupLocation
from preflight_checks.backup_space import BackupSpace
from preflight_checks.earlier_backup import EarlierBackup
from preflight_checks.script_runner import ScriptRunner

from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import Backup, BackupMethod, Become, RemotePath, SecretRef, Step
from tests.site.accounts import Accounts
from tests.site.asking import database_on, finding, host_on, make_plan, told
from tests.site.machine import needs, run
from tests.site.postgres import Cluster
from tests.site.site import Site

pytestmark = pytest.mark.long

NAME = "orders-main"


@dataclass
class Kept:
    """A server that both save, with their configurations and repositories."""

    cluster: Cluster
    folder: Path
    """Below it: `pgbackrest` and `barman`, the repositories, each with a `.conf`."""

    def ask(self, program: str, *words: str) -> str:
        """As the server's own account."""
        options = [f"--config={self.folder}/{program}.conf"] + [f"--stanza={NAME}"] * (program == "pgbackrest")
        return run(needs(program), *options, *words, user=self.cluster.account).stdout


@pytest.fixture(scope="module")
def kept(site: Site) -> Kept:
    """Both repositories are empty."""
    cluster = site.start_postgres(settings={"archive_mode": "on", "wal_level": "replica"})
    folder = cluster.directory / "kept"
    barman, pgbackrest = folder / "barman", folder / "pgbackrest"
    incoming = barman / NAME / "incoming"
    logs = (folder / "log", folder / "lock", folder / "none.d")
    for each in (folder, barman, incoming.parent, incoming, pgbackrest, *logs):
        each.mkdir()
        shutil.chown(each, cluster.account, cluster.account)
    (folder / "pgbackrest.conf").write_text(
        f"[global]\nrepo1-path={pgbackrest}\nlog-path={folder}/log\nlock-path={folder}/lock\nstart-fast=y\n"
        f"repo1-retention-full=2\n[{NAME}]\npg1-path={cluster.data}\npg1-socket-path={cluster.socket_directory}\n"
        f"pg1-port={cluster.port}\n"
    )
    conninfo = f"host={cluster.socket_directory} port={cluster.port} user=postgres dbname=postgres"
    (folder / "barman.conf").write_text(
        f"[barman]\nbarman_user={cluster.account}\nbarman_home={barman}\nlog_file={folder}/log/barman.log\n"
        f"configuration_files_directory={folder}/none.d\n[{NAME}]\ndescription=orders\nconninfo={conninfo}\n"
        f"streaming_conninfo={conninfo}\nbackup_method=postgres\narchiver=on\npath_prefix={cluster.bin}\n"
        "immediate_checkpoint=true\n"
    )
    return Kept(cluster, folder)


Ask = Callable[..., Finding]


@pytest.fixture
def ask(site: Site, kept: Kept, accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The finding of a check about a plan whose backup is in one of the repositories."""
    login = accounts.add()
    accounts.allow_sudo(login, str(kept.cluster.account))

    def ask(
        method: str, check: Any = EarlierBackup, cluster: Cluster = kept.cluster, account: str = "", **changes: Any
    ) -> Finding:
        role = cluster.create_role("release", options="IN ROLE pg_monitor")
        monkeypatch.setenv("ORDERS_PASSWORD", role.password)
        name = {"": str(kept.cluster.account), "login": login.name}[account]
        host = host_on(site.sshd, login, become=() if account else (Become(account=Login(name)),))
        password = SecretRef("env", "ORDERS_PASSWORD")
        entry = database_on(cluster, role.name, name="postgres", password=password)
        backup = Backup(
            id="orders", database="orders", method=BackupMethod(method), known_as=NAME, account=Login(name),
            options=(f"--config={kept.folder}/{method}.conf",), directory=RemotePath(f"{kept.folder}/{method}"),
        )  # fmt: skip
        plan = make_plan(
            tmp_path, hosts=[host], databases=[entry], backups={"orders": replace(backup, **changes)},
            steps=[Step(id="save", minutes=30, source="guess")], known_hosts=site.sshd.known_hosts_lines(),
        )  # fmt: skip
        return finding(check, plan)

    return ask


def is_fail(found: Finding, *words: str) -> None:
    assert found.status is Status.FAIL, told(found)
    for word in words:
        assert word in told(found), told(found)


def is_pass(found: Finding, *words: str) -> None:
    assert found.status is Status.PASS, told(found)
    for word in words:
        assert word in found.judgement.summary, found.judgement.summary


def test_pgbackrest_is_believed_by_what_its_json_says_and_not_by_its_exit_status(
    ask: Ask, kept: Kept, postgres: Cluster
) -> None:
    found = ask("pgbackrest", program="/opt/nowhere/pgbackrest")
    assert found.status is Status.UNKNOWN, told(found)
    is_fail(ask("pgbackrest"), "there is no earlier backup that can be restored: missing stanza path")
    kept.ask("pgbackrest", "stanza-create")
    is_fail(ask("pgbackrest"), "no valid backups")
    command = f"pgbackrest --config={kept.folder}/pgbackrest.conf --stanza={NAME} archive-push %p"
    kept.cluster.sql(f"ALTER SYSTEM SET archive_command = '{command}'")
    kept.cluster.reload()
    kept.ask("pgbackrest", "--type=full", "backup")
    found = ask("pgbackrest", step="save")
    is_pass(
        found, "in the repository, not older than", "complete by pgbackrest's own records, with its WAL; kept up to"
    )
    unread = ask("pgbackrest", account="login")
    assert unread.status is Status.UNKNOWN, told(unread)
    assert "ermission denied" in told(unread)

    location = ask("pgbackrest", BackupLocation, step="save")
    assert f"the repository of {NAME} is there" in str(location.judgement), told(location)
    is_fail(ask("pgbackrest", BackupLocation, directory=RemotePath(str(kept.folder))), "is no repository of pgbackrest")
    room = ask("pgbackrest", BackupSpace)
    assert re.search(r"as 20\d{6}-\d{6}F", str(room.judgement)), told(room)
    is_pass(ask("pgbackrest", BackupDuration, step="save"), " took ")
    is_pass(ask("pgbackrest", ScriptRunner), "can start pgbackrest")

    newest = max((kept.folder / "pgbackrest/archive").rglob("*-*.gz"))
    newest.unlink()
    is_fail(ask("pgbackrest"), "write-ahead log that")

    kept.ask("pgbackrest", "--type=full", "backup")
    is_fail(ask("pgbackrest", cluster=postgres), f"pgbackrest saves another server as {NAME}: system identifier")


def test_barman_is_believed_by_what_its_json_says_and_not_by_its_exit_status(ask: Ask, kept: Kept) -> None:
    is_fail(ask("barman"), "there is no earlier backup that can be restored: it has no backup")
    is_fail(ask("barman", known_as="nobody"), "Unknown server 'nobody'")
    command = f"cp %p {kept.folder}/barman/{NAME}/incoming/%f"
    kept.cluster.sql(f"ALTER SYSTEM SET archive_command = '{command}'")
    kept.cluster.reload()
    kept.ask("barman", "switch-wal", "--force", "--archive", NAME)
    kept.ask("barman", "backup", "--wait", NAME)
    is_pass(ask("barman"), "in the repository, not older than", "complete by barman's own records, with its WAL")
    location = ask("barman", BackupLocation)
    assert f"the repository of {NAME} is there" in str(location.judgement), told(location)
    is_pass(ask("barman", BackupDuration, step="save"), " took ")
    is_pass(ask("barman", ScriptRunner), "can start barman")
    refused = ask("barman", account="login")
    assert refused.status is Status.UNKNOWN, told(refused)

    (made,) = (kept.folder / "barman" / NAME / "base").iterdir()
    info = made / "backup.info"
    whole = info.read_text()
    info.write_text(whole.replace("status=DONE", "status=WAITING_FOR_WALS"))
    is_fail(ask("barman"), "is not whole: it waits for write-ahead log that it needs")
    info.write_text(whole)
    later = made.with_name("20991231T000000")
    shutil.copytree(made, later)
    (later / "backup.info").write_text(whole.replace("status=DONE", "status=FAILED"))
    found = ask("barman")
    assert found.status is Status.WARN, told(found)
    assert "a later one failed: 20991231T000000" in told(found)
