"""A wrong password that many entries share is refused once, by whichever command: by sshd, by sudo and by PostgreSQL
each, as their own logs tell."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.program import BASE, argv, environment, preflight, wait_for_rounds, write_plan
from tests.site.accounts import Account
from tests.site.postgres import DatabaseRole
from tests.site.site import Site
from tests.site.sshd import Sshd

pytestmark = pytest.mark.long
HOSTS, SUDOERS, DATABASES = 100, 10, 10
WRONG = {"SHARED": "canary-hunter22", "SHARED_SUDO": "canary-hunter23", "SHARED_ROLE": "canary-hunter24"}
RELEASE = (
    "--release",
    "R",
    "--zone",
    "UTC",
    "--start",
    "2030-10-17 00:00",
    "--end",
    "2030-10-17 06:00",
    "--by",
    "Kaya",
)


@dataclass
class Shared:
    """Hosts, databases and accounts behind sudo, each kind with one account and one secret, which is wrong."""

    sshd: Sshd
    account: Account
    sudoer: Account
    role: DatabaseRole
    site: Site
    folder: Path
    sudo_log: Path

    def plan(self) -> Path:
        (self.folder / "sql").mkdir()
        (self.folder / "sql" / "010.sql").write_text("SELECT 1;\n")
        names = [self._address(number) for number in range(HOSTS + SUDOERS)]
        # The jump hosts and what is behind them are sealed, too: the key of a host is seen before that of the next.
        pinned = [self.sshd.known_hosts_lines(f"[{name}]:{self.sshd.port}") for name in names]
        (self.folder / "plan.known_hosts").write_text("".join(pinned))
        return write_plan(self.folder, BASE + "".join([*self._hosts(), *self._databases(), self._scripts()]))

    def refusals(self) -> Sequence[int]:
        """By sshd, sudo and PostgreSQL so far."""
        attempts = self.sudo_log.read_text() if self.sudo_log.exists() else ""
        return (
            self.sshd.whole_log.count(f"Failed password for {self.account.name} "),
            attempts.count("incorrect password attempt"),
            self.site.postgres.whole_log.count(f'password authentication failed for user "{self.role.name}"'),
        )

    def look(self, path: Path) -> Sequence[str | Path]:
        """As it is told whom to ask by options."""
        hosts = [f"h{n}={self.account.name}@{self._address(n)}:{self.sshd.port}" for n in range(20)]
        options = [word for host in hosts for word in ("--host", host)]
        for number in range(3):
            options += ["--database", f"d{number}@{self.role.name}@h{number}:{self.site.postgres.port}"]
        secrets = ("--credential", "env:SHARED", "--database-password", "env:SHARED_ROLE", "--ca", "")
        return ("init", path, "--look", "--accept-host-keys", *RELEASE, *secrets, *options)

    def _hosts(self) -> Iterator[str]:
        jumps = {HOSTS - 1: f"h{HOSTS - 2}", HOSTS - 2: "h0"}
        for number in range(HOSTS + SUDOERS):
            login = f'user = "{self.account.name}"\npassword = "env:SHARED"\n'
            if number >= HOSTS:
                becomes = '[{ account = "postgres", password = "env:SHARED_SUDO" }]'
                login = f'user = "{self.sudoer.name}"\nkey = "{self.sudoer.key}"\nbecome = {becomes}\n'
            jump = f'jump = "{jumps[number]}"\n' if number in jumps else ""
            place = f'address = "{self._address(number)}"\nport = {self.sshd.port}\n'
            yield f"\n[hosts.h{number}]\n{place}{login}{jump}"

    def _databases(self) -> Iterator[str]:
        login = f'user = "{self.role.name}"\npassword = "env:SHARED_ROLE"\nsslmode = "require"\nname = "postgres"\n'
        for number in range(DATABASES):
            place = f'host = "h{number}"\naddress = "127.0.0.1"\nport = {self.site.postgres.port}\n'
            yield f"\n[databases.d{number}]\n{place}{login}"
        tunnel = f'host = "h{HOSTS - 1}"\nconnect = "tunnel"\nport = {self.site.postgres.port}\n'
        yield f"\n[databases.tunnelled]\n{tunnel}{login}"

    def _scripts(self) -> str:
        place = 'approved = "sql"\nmanifest = "sql.SHA256SUMS"\nstaged = "/srv/release"\n'
        return f'\n[scripts.d0]\ndatabase = "d0"\nway_back = {{ none = "changes nothing" }}\n{place}'

    def _address(self, number: int) -> str:
        return f"127.22.0.{number + 1}"


@pytest.fixture(scope="module")
def shared(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    with site.accounts.temporary() as accounts:
        sshd, sudoer = site.start_sshd(options={"ListenAddress": "0.0.0.0"}), accounts.add()
        accounts.allow_sudo(sudoer, "postgres", password=True)
        accounts.sudo_defaults(sudoer, f"logfile={folder}/sudo.log")
        role = site.postgres.create_role("shared")
        yield Shared(sshd, accounts.add(), sudoer, role, site, folder, folder / "sudo.log")
        sshd.close()


@pytest.fixture(scope="module")
def plan(shared: Shared) -> Path:
    path = shared.plan()
    assert preflight("seal", path, "--scripts-only").returncode == 0
    return path


def call(*arguments: str | Path) -> Callable[[], None]:
    def made() -> None:
        done = preflight(*arguments, **WRONG)
        assert done.returncode in (0, 1, 3), done.stderr
        assert not any(value in done.stdout + done.stderr for value in WRONG.values())

    return made


def watch_for_three_rounds(plan: Path) -> None:
    file = plan.parent / "watched.json"
    line = argv("gate", plan, "--watch", "--every", "1s", "--output", f"json={file}")
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment(**WRONG)) as child:
        wait_for_rounds(child, file, 3)
        child.terminate()


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("run", (1, 1, 1)),
        ("gate", (1, 1, 1)),
        ("watch", (1, 1, 1)),
        ("collect", (1, 1, 1)),
        ("verify", (1, 0, 1)),
        ("seal", (1, 0, 1)),
        ("rehearse", (0, 0, 1)),
        ("init", (1, 0, 0)),
        ("lint", (0, 0, 0)),
        ("show", (0, 0, 0)),
    ],
)
def test_each_command_is_refused_once(
    shared: Shared, plan: Path, tmp_path: Path, command: str, wanted: Sequence[int]
) -> None:
    calls: dict[str, Callable[[], None]] = {
        "watch": lambda: watch_for_three_rounds(plan),
        "collect": call("collect", plan, "--output", tmp_path / "evidence.json"),
        "verify": call("verify", plan, "--expect", "before"),
        "seal": call("seal", plan, "--accept-host-keys"),
        "init": call(*shared.look(tmp_path / "looked.toml")),
    }
    before = shared.refusals()
    calls.get(command, call(command, plan))()
    after = shared.refusals()
    assert tuple(now - then for now, then in zip(after, before, strict=True)) == wanted
