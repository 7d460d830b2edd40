"""SSH servers, names, accounts and file systems that misbehave, all in one plan, beside a host that is as it should
be."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from preflight.finding import Status
from preflight.reasons import Reason
from tests.cli.program import write_plan
from tests.misbehaving.conftest import HEAD, Told, WholeRun, leaving_nothing, run_whole
from tests.sessions.ssh import misbehaving
from tests.site.accounts import Account
from tests.site.machine import closed_port, run
from tests.site.mounts import Mounts
from tests.site.site import Site

FAIL, UNKNOWN, WARN, PASS = Status.FAIL, Status.UNKNOWN, Status.WARN, Status.PASS
LOGIN_SECONDS = 6
"""`login_within` of what hangs in the login; the steps before must be over by then on a busy machine."""


class Plan:
    """A plan with the host `healthy`, and others beside it."""

    def __init__(self, site: Site) -> None:
        self.text, self.known_hosts = HEAD, ""
        self._site = site
        self.add("healthy", site.account("good"))

    def add(self, name: str, account: Account, port: int = 0) -> None:
        """A host that is an account, by its key, at the site's sshd or at another port of it."""
        login = f'user = "{account.name}"\nkey = "{account.key}"\n'
        self._add(name, port or self._site.sshd.port, login)

    def add_fake(self, name: str, port: int, address: str = "127.0.0.1") -> None:
        """One to which dbadmin logs in with a password."""
        self.known_hosts += f"[127.0.0.1]:{port} {misbehaving.HOST_KEY_FIELDS}\n"
        login = 'user = "dbadmin"\npassword = "env:DB1_PASSWORD"\nlocal_account = true\n'
        self._add(name, port, f'{login}login_within = "{LOGIN_SECONDS}s"\n', address)

    def add_backup(self, name: str, host: str, directory: Path) -> None:
        """Of another engine, so that no database is needed."""
        self.text += (
            f'[backups.{name}]\nhost = "{host}"\nengine = "mysql"\ndirectory = "{directory}"\nowner = "dba"\n'
            'command = ["/bin/true"]\nexpected = "64KiB"\nprevious = { none = "the first one" }\n'
            'engine_shown = { by = "dba", on = 2026-10-10, reason = "looked at it" }\n'
            'restore = { command = ["/bin/true"] }\n'
        )

    def _add(self, name: str, port: int, login: str, address: str = "127.0.0.1") -> None:
        self.text += f'[hosts.{name}]\naddress = "{address}"\nport = {port}\nowner = "dba"\n{login}\n'

    def write(self, folder: Path) -> Path:
        (folder / "plan.known_hosts").write_text(self._site.sshd.known_hosts_lines() + self.known_hosts)
        return write_plan(folder, self.text)


def prove_healthy(run: WholeRun) -> None:
    """That nothing is missing of the host beside the others, and no secret is shown."""
    expected = dict.fromkeys(("host-login", "clock-skew", "competing-jobs"), "pass")
    assert run.statuses("healthy") == expected
    assert "canary-hunter22" not in f"{run.report}{run.evidence.to_json()}{run.errors}"


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


@contextmanager
def names() -> Iterator[None]:
    """A name service that knows no `absent.example`, fails for `failing.example`, and hangs for `hanging.example`."""
    real, over = socket.getaddrinfo, threading.Event()

    def look_up(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "hanging.example":
            over.wait()
        known = {"absent.example": socket.EAI_NONAME, "failing.example": socket.EAI_FAIL}
        if name in known or over.is_set():
            raise socket.gaierror(known.get(name, socket.EAI_AGAIN), "as the test wants it")
        return real(name, *arguments, **more)

    with patch("socket.getaddrinfo", look_up):
        try:
            yield
        finally:
            over.set()


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
        Told(FAIL, Reason.CLOSED_EARLY, "sshd's log on hanging-up", "during the key exchange"),
    ),
    "web-server": (
        misbehaving.web_server,
        Told(FAIL, Reason.NOT_SSH, "correct `port` in [hosts.web-server]", "HTTP/1.1 400"),
    ),
    "no-channel": (
        misbehaving.hanging_in("no-channel"),
        Told(FAIL, Reason.NO_SESSION, "MaxSessions", "opens no session channel"),
    ),
    "no-exec": (
        misbehaving.hanging_in("no-exec"),
        Told(FAIL, Reason.NO_SHELL, "usermod -s /bin/sh dbadmin", "refuses to run a command"),
    ),
    "no-status": (
        misbehaving.hanging_in("no-status"),
        Told(UNKNOWN, Reason.CONNECTION_LOST, "read the log of no-status", LOST),
    ),
    "ending": (
        misbehaving.hanging_in("cut"),
        Told(UNKNOWN, Reason.CONNECTION_LOST, "read the log of ending", LOST),
    ),
    "resetting": (
        misbehaving.hanging_in("reset"),
        Told(UNKNOWN, Reason.CONNECTION_LOST, "read the log of resetting", LOST),
    ),
}
"""Servers of our own, to which dbadmin logs in with a password."""
PORTS_AND_NAMES = {
    "swallowing": Told(FAIL, Reason.NO_ANSWER, "have the firewall between this machine and swallowing", "login_within"),
    "closed-port": Told(FAIL, Reason.NOT_LISTENING, "have sshd started on closed-port port", "nothing listens there"),
    "absent-name": Told(FAIL, Reason.NO_SUCH_NAME, "have the name entered in the DNS", "absent.example does not exist"),
    "failing-name": Told(UNKNOWN, Reason.NAME_SERVICE, "mend the name service of the machine", "on this machine"),
    "no-sessions": Told(FAIL, Reason.NO_SESSION, "MaxSessions in sshd_config", "opens no session channel"),
}
AFTER_LOGIN = "the login succeeded, but "
ENDED_IT = "a start-up file of the shell ended it, or read what was meant for the command"
START_UP = Told(FAIL, Reason.START_UP_FILE, "end the shell or spoil PATH", ENDED_IT)
FLOOD = Told(FAIL, Reason.START_UP_FILE, "print without end", "a start-up file of the shell prints without end")
CMD = """'env' is not recognized as an internal or external command, operable program or batch file."""
POWERSHELL = """env : The term 'env' is not recognized as the name of a cmdlet, function, script file"""
RUNS = Told(PASS, None, "", "runs commands on")
ACCOUNTS: Mapping[str, tuple[Mapping[str, str], Told]] = {
    "csh": ({"shell": "/bin/csh"}, RUNS),
    "fish": ({"shell": "/usr/bin/fish"}, RUNS),
    "restricted": ({"shell": "/bin/rbash"}, Told(WARN, None, "usermod -s /bin/sh", "do not run in rbash")),
    "restricted-path": (
        {"shell": "/bin/rbash", ".bashrc": "PATH=$HOME/bin"},
        Told(FAIL, Reason.NO_SHELL, "usermod -s /bin/sh", f"{AFTER_LOGIN}the account's shell is a restricted one"),
    ),
    "noisy": (
        {".bashrc": "echo Welcome; echo complaint >&2"},
        Told(WARN, None, "first line: case $- in *i*)", "breaks scp and rsync"),
    ),
    "interactive": ({".bashrc": '[ "$NESTED" ] || NESTED=1 exec bash -i'}, RUNS),
    "git": ({"shell": "/usr/bin/git-shell"}, Told(FAIL, Reason.NOLOGIN, "usermod -s /bin/sh", "runs no commands")),
    "nologin": ({"shell": "/usr/sbin/nologin"}, Told(FAIL, Reason.NOLOGIN, "usermod -s /bin/sh", "runs no commands")),
    "false": ({"shell": "/bin/false"}, Told(FAIL, Reason.NO_SHELL, "usermod -s /bin/sh", "as /bin/false does")),
    "menu": (
        {"script": "while read -r choice; do echo '1) status  2) quit'; done"},
        Told(FAIL, Reason.FORCED_COMMAND, "a menu out of the account: usermod -s /bin/sh", "forced command, menu"),
    ),
    "windows-cmd": (
        {"script": f'echo "{CMD}" >&2; exit 1'},
        Told(
            UNKNOWN, Reason.NOT_UNIX, "where OpenSSH there has a shell that can run sh", "a shell of Windows answered"
        ),
    ),
    "windows-powershell": (
        {"script": f'echo "{POWERSHELL}" >&2; exit 1'},
        Told(
            UNKNOWN, Reason.NOT_UNIX, "where OpenSSH there has a shell that can run sh", "a shell of Windows answered"
        ),
    ),
    "copying-only": (
        {"script": "echo This account is restricted by rssh.; exit 1"},
        Told(FAIL, Reason.SFTP_ONLY, "take ForceCommand internal-sftp", "may only copy files"),
    ),
    "exiting": ({".bashrc": "exit 0"}, START_UP),
    "reading-all": ({".bashrc": "cat >/dev/null"}, START_UP),
    "reading-a-line": ({".bashrc": "read -r _"}, START_UP),
    "without-path": (
        {".bashrc": "PATH=/nope"},
        Told(FAIL, Reason.START_UP_FILE, "spoil PATH", "a start-up file of the shell spoils its PATH or its limits"),
    ),
    "csh-without-path": (
        {"shell": "/bin/csh", ".cshrc": "setenv PATH /nope"},
        Told(FAIL, Reason.START_UP_FILE, "spoil PATH", "a start-up file of the shell spoils its PATH or its limits"),
    ),
    "flooding": ({".bashrc": "yes"}, FLOOD),
    "flooding-errors": ({".bashrc": "yes >&2"}, FLOOD),
}
"""Accounts of the real sshd: its shell, a script in place of one, or a start-up file with its text."""


FILE_SYSTEMS = {
    "full": ("backup-location", Told(FAIL, None, "have room made on disks where", "ENOSPC")),
    "read-only": ("backup-location", Told(FAIL, None, "mount -o remount,rw", "mounted read-only")),
    "without-inodes": ("backup-space", Told(FAIL, None, "remove", "0 inodes free")),
}
"""Directories of backups: the check that tells it, and what."""


def add_file_systems(plan: Plan, mounts: Mounts) -> None:
    full = mounts.ext4("full", megabytes=4)
    run("dd", "if=/dev/zero", f"of={full}/filler", "bs=64k", check=False)
    (behind := mounts.ext4("disk") / "behind").mkdir(mode=0o777)
    few = mounts.tmpfs("few", inodes=2)
    (few / "filler").touch()
    for name, directory in (("full", full), ("read-only", mounts.read_only("sealed", behind)), ("without-inodes", few)):
        plan.add_backup(name, "disks", directory)


@pytest.fixture(scope="module")
def ended(site: Site, good_account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeRun]:
    """The run in which all that ends by itself, or by the limit of a login, stands side by side."""
    with site.accounts.temporary() as accounts, ExitStack() as stack:
        sessions = site.start_sshd(options={"MaxSessions": "0"})
        stack.callback(sessions.close)
        plan, made = Plan(site), [good_account]
        for name, (how, _) in ACCOUNTS.items():
            made.append(unusual(site, accounts, how))
            plan.add(name, made[-1])
        plan.known_hosts += sessions.known_hosts_lines()
        plan.add("no-sessions", made[0], sessions.port)
        plan.add("disks", made[0])
        add_file_systems(plan, stack.enter_context(closing(site.new_mounts())))
        with leaving_nothing(*made), ExitStack() as fakes:
            for name, (behaviour, _) in FAKES.items():
                plan.add_fake(name, fakes.enter_context(misbehaving.serving(behaviour)))
            plan.add_fake("swallowing", fakes.enter_context(swallowing()))
            plan.add_fake("closed-port", fakes.enter_context(closed_port()))
            for kind in ("absent", "failing"):
                plan.add_fake(f"{kind}-name", 22, f"{kind}.example")
            fakes.enter_context(names())
            whole = run_whole(plan.write(tmp_path_factory.mktemp("ended")))
        yield whole


def unusual(site: Site, accounts: Any, how: Mapping[str, str]) -> Account:
    shell = how.get("shell", "/bin/bash")
    if "script" in how:
        shell = str(site.new_path("shell"))
        Path(shell).write_text(f"#!/bin/sh\n{how['script']}\n")
        Path(shell).chmod(0o755)
    account: Account = accounts.add("unusual", shell=shell)
    for file in how.keys() - {"shell", "script"}:
        (account.home / file).write_text(f"{how[file]}\n")
    if shell.endswith("fish"):  # it makes folders of its own at its first start
        run(shell, "-c", "true", user=account.name, environment={"HOME": str(account.home)})
    return account


def test_the_host_beside_them_is_asked_everything(ended: WholeRun) -> None:
    prove_healthy(ended)


HOSTS = {**PORTS_AND_NAMES, **{name: told for table in (FAKES, ACCOUNTS) for name, (_, told) in table.items()}}


@pytest.mark.case(46)
@pytest.mark.parametrize("name", HOSTS)
def test_each_host_that_misbehaves_is_told(ended: WholeRun, name: str) -> None:
    ended.prove("host-login", name, HOSTS[name])
    if HOSTS[name].reason:
        assert "pass" not in ended.statuses(name).values(), "what was not seen is never green"


@pytest.mark.parametrize("name", FILE_SYSTEMS)
def test_each_file_system_that_takes_no_backup_is_told(ended: WholeRun, name: str) -> None:
    check, told = FILE_SYSTEMS[name]
    ended.prove(check, name, told, target="disks")
