"""Fixtures for every test: an environment that holds nothing of the caller's, and the real servers of `tests/site`."""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.site.accounts import Account, Accounts
from tests.site.certificates import Authority
from tests.site.https import HttpsApp
from tests.site.machine import needs, run
from tests.site.mounts import Mounts
from tests.site.postgres import ClientCertificate, Cluster
from tests.site.site import Site
from tests.site.sshd import Sshd

# None is judged by the time it takes: the machine may be busy with other work. Fixtures are the same for all examples.
settings.register_profile(
    "quick", derandomize=True, deadline=None, max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
"""The same examples in every run."""
settings.register_profile("long", settings.get_profile("quick"), derandomize=False, max_examples=10_000)
"""Other ones in every run: `--hypothesis-profile=long`, as CONTRIBUTING.md says."""
settings.load_profile("quick")
_REAL_CONNECT = socket.socket.connect
_REAL_CONNECT_EX = socket.socket.connect_ex


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate-golden", action="store_true", help="Write the golden files instead of comparing.")


def pytest_configure() -> None:
    """What is started knows SIGINT and SIGHUP in their usual meaning: a shell's background job ignores the one, nohup
    the other, and what they start would do so, too; a handler is not handed on."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)


class Network:
    """The addresses tests may connect to: loopback, and what a test adds with `allow`."""

    def __init__(self) -> None:
        self._allowed = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]
        self.forbidden: list[str] = []

    def allow(self, network: str) -> None:
        """Lets the test connect to a network of its own making, for example `198.51.100.0/24`."""
        self._allowed.append(ipaddress.ip_network(network))

    def check(self, connection: socket.socket, address: Any) -> None:
        if connection.family not in (socket.AF_INET, socket.AF_INET6) or address[0] == "localhost":
            return
        host = str(address[0]).partition("%")[0]
        try:
            inside = any(ipaddress.ip_address(host) in network for network in self._allowed)
        except ValueError:
            inside = False
        if not inside:
            self.forbidden.append(f"{address[0]} port {address[1]}")
            raise ConnectionRefusedError(f"tests stay on loopback, but this one asked for {address[0]}")


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """Fails a test that leaves loopback, also when the code under test swallows the error."""
    network = Network()

    def connect(self: socket.socket, address: Any) -> None:
        network.check(self, address)
        _REAL_CONNECT(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        network.check(self, address)
        return _REAL_CONNECT_EX(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    yield network
    assert not network.forbidden, f"connected outside loopback: {network.forbidden}"


@pytest.fixture(scope="session")
def home_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one home of all tests."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def clean_surroundings(home_folder: Path) -> Iterator[Path]:
    """An empty home, no agent, no PG* variables, no proxies, UTC. Gives the home, for tests that fill it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("PG") or name.lower().endswith("_proxy") or name in ("SSH_AUTH_SOCK", "SSL_CERT_FILE"):
                patch.delenv(name)
        patch.setenv("HOME", str(home_folder))
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield home_folder
    time.tzset()
    for left in home_folder.iterdir():
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


@pytest.fixture(autouse=True)
def samples_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Health endpoints are asked without the wait between samples."""
    monkeypatch.setattr("preflight.sessions.http.SECONDS_APART", 0.0)


@pytest.fixture(autouse=True)
def statements_at_leisure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement has the time its question gives it, however busy the machine is."""
    monkeypatch.setattr("preflight.sessions.postgres.session.STATEMENT_SECONDS", 60.0)


@pytest.fixture(autouse=True)
def no_thread_that_keeps_the_program_alive() -> Iterator[None]:
    """Threads that outlive a test must be daemons: anything else would hang the program at its end."""
    before = set(threading.enumerate())
    yield
    left = [thread.name for thread in threading.enumerate() if thread not in before and not thread.daemon]
    assert not left, f"threads that are no daemons are still running: {left}"


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A running ssh-agent without keys."""
    started = run(needs("ssh-agent"), "-a", tmp_path / "agent", "-s").stdout
    pid = started.partition("SSH_AGENT_PID=")[2].partition(";")[0]
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    yield tmp_path / "agent"
    run("kill", pid)


@pytest.fixture
def ssh_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that `ssh -G` reads in place of the account's own."""
    tools = tmp_path / "tools"
    tools.mkdir()
    wrapper = tools / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {needs("ssh")} -F {tmp_path}/config "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return tmp_path / "config"


@pytest.fixture
def client_certificate(postgres: Cluster, clean_surroundings: Path, site: Site) -> Iterator[ClientCertificate]:
    """A role that logs in by certificate alone, and its certificate where libpq looks for one."""
    authority = Authority(site.new_path("clients-ca"))
    with postgres.trusting_clients(authority, clean_surroundings / ".postgresql") as client:
        yield client


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """Every server of the test site, each started when first asked for."""
    with Site() as site:
        yield site


@pytest.fixture(autouse=True)
def no_database_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Drops the databases a test has made; those of its module's fixtures stay, as they are made before."""
    if "site" not in request.fixturenames:
        yield
        return
    site: Site = request.getfixturevalue("site")
    with site.databases_of_one_test():
        yield


@pytest.fixture(scope="session")
def sshd(site: Site) -> Sshd:
    return site.sshd


@pytest.fixture(scope="session")
def postgres(site: Site) -> Cluster:
    return site.postgres


@pytest.fixture(scope="session")
def newer_postgres(site: Site) -> Cluster:
    """Of a newer major version than `postgres`, without TLS."""
    return site.newer_postgres


@pytest.fixture(scope="session")
def good_account(site: Site) -> Account:
    """An account that logs in with its key and with its password."""
    return site.account("good")


@pytest.fixture
def accounts(site: Site) -> Iterator[Accounts]:
    """Makes accounts that live for one test."""
    with site.accounts.temporary() as accounts:
        yield accounts


@pytest.fixture
def https_app(site: Site) -> Iterator[HttpsApp]:
    """An HTTPS application with a good certificate, for one test."""
    app = site.start_app()
    yield app
    app.close()


@pytest.fixture
def mounts(site: Site) -> Iterator[Mounts]:
    """Mounts that live for one test."""
    mounts = site.new_mounts()
    yield mounts
    mounts.close()


@pytest.fixture
def shared_path(site: Site) -> Path:
    """An empty directory that every account can reach and write, unlike `tmp_path`."""
    path = site.new_path("shared")
    path.mkdir()
    path.chmod(0o777)
    return path
