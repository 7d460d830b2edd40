"""SSH servers and hosts that misbehave, all in one plan, beside a host that is as it should be."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from preflight.finding import Status
from preflight.reasons import Reason
from tests.cli.program import write_plan
from tests.misbehaving.conftest import HEAD, Told, WholeRun, leaving_nothing, run_whole
from tests.sessions.ssh import misbehaving
from tests.site.accounts import Account
from tests.site.site import Site

FAIL, UNKNOWN, WARN, PASS = Status.FAIL, Status.UNKNOWN, Status.WARN, Status.PASS
LOGIN_SECONDS = 6
"""`login_within` of what hangs in the login; the steps before must be over by then on a busy machine."""


@contextmanager
def swallowing() -> Iterator[int]:
    """The port of a server whose queue is full, for which the kernel drops every further SYN."""
    with ExitStack() as stack:
        hole = stack.enter_context(socket.socket())
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        yield hole.getsockname()[1]


def half_closing(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(misbehaving.BANNER)
    connection.shutdown(socket.SHUT_WR)
    over.wait()


LOST = "the connection was lost before the answer was complete"
NO_VERSION = "sent no SSH version string: login_within ended"
FAKES: Mapping[str, tuple[misbehaving.Behaviour, Told]] = {
    "silent": (
        misbehaving.silent,
        Told(FAIL, Reason.HANDSHAKE, "have sshd on silent looked at: it takes connections", NO_VERSION),
    ),
    "banner-only": (
        misbehaving.banner_only,
        Told(FAIL, Reason.HANDSHAKE, "have sshd on banner-only looked at", "key exchange with SSH-2.0"),
    ),
    "dripping-banner": (
        misbehaving.dripping_banner,
        Told(FAIL, Reason.HANDSHAKE, "have sshd on dripping-banner looked at", NO_VERSION),
    ),
    "endless-preface": (
        misbehaving.endless_preface,
        Told(FAIL, Reason.HANDSHAKE, "have sshd on endless-preface looked at", NO_VERSION),
    ),
    "stalling-key-exchange": (
        misbehaving.stalling_key_exchange,
        Told(FAIL, Reason.HANDSHAKE, "looked at", "key exchange with SSH-2.0"),
    ),
    "stalling-login": (
        misbehaving.hanging_in("auth"),
        Told(FAIL, Reason.LOGIN_LATE, "PAM", "the login of dbadmin got no answer"),
    ),
    "half-closing": (
        half_closing,
        Told(FAIL, Reason.CLOSED_EARLY, "sshd's log on half-closing", "during the key exchange"),
    ),
    "hanging-up": (
        misbehaving.hanging_up_after_banner,
        Told(FAIL, Reason.CLOSED_EARLY, "sshd's log", "during the key exchange"),
    ),
    "web-server": (
        misbehaving.web_server,
        Told(FAIL, Reason.NOT_SSH, "correct `port` in [hosts.web-server]", "HTTP/1.1"),
    ),
    "no-exec": (
        misbehaving.hanging_in("no-exec"),
        Told(FAIL, Reason.NO_SHELL, "usermod -s /bin/sh dbadmin", "refuses to run"),
    ),
    "no-status": (
        misbehaving.hanging_in("no-status"),
        Told(UNKNOWN, Reason.CONNECTION_LOST, "read the log of no-status", LOST),
    ),
    "ending": (misbehaving.hanging_in("cut"), Told(UNKNOWN, Reason.CONNECTION_LOST, "read the log of ending", LOST)),
    "resetting": (
        misbehaving.hanging_in("reset"),
        Told(UNKNOWN, Reason.CONNECTION_LOST, "read the log of resetting", LOST),
    ),
}
"""Servers of our own, to which dbadmin logs in with a password."""


@pytest.fixture(scope="module")
def ended(site: Site, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    folder = tmp_path_factory.mktemp("ended")
    good = site.account("good")
    plan = Plan(site, good)
    with leaving_nothing(good), ExitStack() as stack:
        for name, (behaviour, _) in FAKES.items():
            plan.add_fake(name, stack.enter_context(misbehaving.serving(behaviour)))
        plan.add_fake("swallowing", stack.enter_context(swallowing()))
        return run_whole(plan.write(folder))


class Plan:
    """A plan with the host `healthy`, and others beside it."""

    def __init__(self, site: Site, account: Account) -> None:
        self.text, self.known_hosts = HEAD, site.sshd.known_hosts_lines()
        self._site = site
        self.add("healthy", account)

    def add(self, name: str, account: Account, more: str = "") -> None:
        """A host of the site's sshd, logged in to with the account's key."""
        login = f'user = "{account.name}"\nkey = "{account.key}"\n'
        self._add(name, self._site.sshd.port, f"{login}{more}")

    def add_fake(self, name: str, port: int, more: str = "") -> None:
        """One to which dbadmin logs in with a password."""
        self.known_hosts += f"[127.0.0.1]:{port} {misbehaving.HOST_KEY_FIELDS}\n"
        login = 'user = "dbadmin"\npassword = "env:DB1_PASSWORD"\nlocal_account = true\n'
        login += f'login_within = "{LOGIN_SECONDS}s"\n'
        self._add(name, port, f"{login}{more}")

    def _add(self, name: str, port: int, more: str) -> None:
        address = "" if "address = " in more else 'address = "127.0.0.1"\n'
        self.text += f'[hosts.{name}]\n{address}port = {port}\nowner = "dba"\n{more}\n'

    def write(self, folder: Path) -> Path:
        plan = write_plan(folder, self.text)
        (folder / "plan.known_hosts").write_text(self.known_hosts)
        return plan


def test_the_host_beside_them_is_asked_everything(ended: WholeRun) -> None:
    assert set(ended.statuses("healthy").items()) == {
        ("host-login", "pass"),
        ("clock-skew", "pass"),
        ("competing-jobs", "pass"),
    }


@pytest.mark.parametrize("name", FAKES)
def test_each_server_that_ends_by_itself_or_in_its_login_is_told(ended: WholeRun, name: str) -> None:
    ended.prove("host-login", name, FAKES[name][1])
