"""A database whose machine nobody logs in to: what is asked of it, and what of the host that its work runs on."""

from __future__ import annotations

import os
import select
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.backup_location import BackupLocation
from preflight_checks.clock_skew import ClockSkew
from preflight_checks.database_host import DatabaseHost
from preflight_checks.database_login import DatabaseLogin
from preflight_checks.restore_room import RestoreRoom
from preflight_checks.script_runner import ScriptRunner

from preflight.finding import Finding, Status
from preflight.plan import (
    Backup,
    Connect,
    Database,
    Plan,
    RemotePath,
    Role,
    Said,
    Scripts,
    SecretRef,
    ServerRole,
)
from preflight.plan.values import SYSTEM_ROOTS
from tests.site.asking import NOW, database_on, finding, findings, host_on, make_plan, sealed_at, told
from tests.site.certificates import Authority
from tests.site.postgres import Cluster
from tests.site.site import Site

DBA = {"dba": Role(id="dba", primary="D. Kaya", standby="M. Ortiz", contact="ext. 4411")}
SAID = Said(by="dba", on=NOW.date(), reason="snapshot of last night restored in staging")


@pytest.fixture
def managed(postgres: Cluster, monkeypatch: pytest.MonkeyPatch) -> Database:
    role = postgres.create_role("release")
    monkeypatch.setenv("LEDGER_PASSWORD", role.password)
    name = postgres.create_database("ledger", owner=role.name)
    password = SecretRef("env", "LEDGER_PASSWORD")
    return database_on(postgres, role.name, id="ledger", host="", name=name, password=password, owner="dba")


def plan_of(site: Site, folder: Path, *databases: Database, **sections: Any) -> Plan:
    """With a host beside them, `tools`, on which the work runs."""
    host = host_on(site.sshd, site.account("good"), id="tools")
    known_hosts = site.sshd.known_hosts_lines()
    sealed = {each.id: next(iter(sealed_at(site.postgres).values())) for each in databases}
    given = {"roles": DBA, "hosts": [host], "databases": databases, "known_hosts": known_hosts, "sealed": sealed}
    return make_plan(folder, **given, **sections)


@contextmanager
def relay(address: str, port: int, to_port: int) -> Iterator[None]:
    """Lets connections through from another address of this machine to a port of 127.0.0.1."""

    def carry(near: socket.socket) -> None:
        with suppress(OSError), near, socket.create_connection(("127.0.0.1", to_port)) as far:
            others = {near: far, far: near}
            while True:
                for ready in select.select(list(others), [], [])[0]:
                    if not (block := ready.recv(65536)):
                        return
                    others[ready].sendall(block)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=carry, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server((address, port)) as listener:
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()


def test_its_login_is_checked_and_no_host_is_asked_for_it(site: Site, managed: Database, tmp_path: Path) -> None:
    plan = plan_of(site, tmp_path, managed)
    found = finding(DatabaseLogin, plan)
    assert found.status is Status.PASS, told(found)
    assert findings(DatabaseHost, plan) == {}
    clocks = findings(ClockSkew, plan)
    assert {each.status for each in clocks.values()} == {Status.PASS}, clocks


@pytest.mark.long
def test_its_work_runs_on_the_host_that_the_entry_names(
    site: Site, postgres: Cluster, managed: Database, tmp_path: Path
) -> None:
    account = site.account("good")
    passwords = account.home / ".pgpass"
    passwords.write_text(f"*:*:*:{managed.user}:{os.environ['LEDGER_PASSWORD']}\n")
    passwords.chmod(0o600)
    folder = account.home / "backups"
    folder.mkdir(exist_ok=True)
    for path in (passwords, folder):
        shutil.chown(path, account.name, account.name)
    server = f"{postgres.address}:{postgres.port}"
    backup = Backup(id="dump", database="ledger", host="tools", directory=RemotePath(str(folder)), server=server)
    scripts = Scripts(
        id="ledger", database="ledger", host="tools", approved=tmp_path, manifest=tmp_path / "m",
        staged=RemotePath("/srv/x"), server=server,
    )  # fmt: skip
    plan = plan_of(site, tmp_path, managed, backups=[backup], scripts=[scripts])
    arrived = findings(ScriptRunner, plan)
    assert all("no login" not in told(each) for each in arrived.values()), arrived
    for check in (BackupLocation, RestoreRoom):
        unseen = finding(check, plan)
        assert unseen.status is Status.UNKNOWN, told(unseen)
        assert "[databases.ledger] provider_restores = { by = " in told(unseen)
        said = finding(check, replace(plan, databases={"ledger": replace(managed, provider_restores=SAID)}))
        assert said.status is Status.WARN, told(said)
        assert "said by D. Kaya (dba)" in told(said)


@pytest.mark.long
def test_of_several_addresses_the_one_that_is_what_the_plan_says_is_taken(
    site: Site, postgres: Cluster, managed: Database, tmp_path: Path
) -> None:
    site.replica.wait_for(postgres)
    several = replace(managed, address="", addresses=("127.0.0.9", postgres.address), server_name=postgres.address)

    def ask(at: Cluster = postgres, **changes: Any) -> Finding:
        plan = plan_of(site, tmp_path, replace(several, **changes))
        return finding(DatabaseLogin, replace(plan, sealed=sealed_at(at, "ledger")))

    with relay("127.0.0.9", postgres.port, site.replica.port):
        primary, replica = ask(), ask(site.replica, role=ServerRole.REPLICA)
        assert primary.status is Status.PASS, told(primary)
        assert f"at {postgres.address}:{postgres.port}" in told(primary)
        assert f"at 127.0.0.9:{postgres.port}" in told(replica)
        assert "; replica" in told(replica)
        alone = ask(site.replica, addresses=("127.0.0.9", "127.0.0.9"))
        assert "the server is a replica" in told(alone), "the last is judged, and not taken for unreachable"
        assert "`addresses` in [databases.ledger]" in told(alone)
    assert f"at {postgres.address}:{postgres.port}" in told(ask()), "one that does not listen is passed over"


def test_the_systems_authorities_are_trusted_by_name(
    site: Site, postgres: Cluster, managed: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = plan_of(site, tmp_path, replace(managed, sslrootcert=SYSTEM_ROOTS))
    monkeypatch.setenv("SSL_CERT_FILE", str(postgres.ca))
    found = finding(DatabaseLogin, named)
    assert found.status is Status.PASS, told(found)
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority(site.new_path("ca")).certificate))
    found = finding(DatabaseLogin, named)
    assert found.status is Status.FAIL, told(found)
    assert "untrusted" in told(found)


def test_a_tunnel_leads_through_the_host_that_is_named(site: Site, managed: Database, tmp_path: Path) -> None:
    through = replace(managed, connect=Connect.TUNNEL, through="tools", server_name=managed.address)
    found = finding(DatabaseLogin, plan_of(site, tmp_path, through))
    assert found.status is Status.PASS, told(found)
    assert found.vantage.startswith("through tools"), found.vantage
