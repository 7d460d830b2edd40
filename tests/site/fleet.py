"""Many hosts on loopback: one sshd at all of their addresses, and for the faulty ones what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from preflight.reasons import Reason
from tests.cli.program import BASE, write_plan
from tests.sessions.ssh import misbehaving
from tests.site.accounts import Account, make_key
from tests.site.machine import closed_port
from tests.site.site import Site
from tests.site.sshd import Sshd


@dataclass(frozen=True)
class Fault:
    """What is wrong with a host, and what its line of the report must say."""

    reason: Reason
    fake: misbehaving.Behaviour | None = None
    """A server in sshd's place."""
    within_seconds: int = 15
    """`login_within`: short where the fault is silence from the first byte on."""


FAULTS: Mapping[str, Fault] = {
    "nobody listens": Fault(Reason.NOT_LISTENING),
    "silent": Fault(Reason.HANDSHAKE, misbehaving.silent, 2),
    "banner only": Fault(Reason.HANDSHAKE, misbehaving.banner_only, 2),
    "dripping banner": Fault(Reason.HANDSHAKE, misbehaving.dripping_banner, 2),
    "endless preface": Fault(Reason.HANDSHAKE, misbehaving.endless_preface, 2),
    "stalling key exchange": Fault(Reason.HANDSHAKE, misbehaving.stalling_key_exchange, 2),
    "hangs up after its banner": Fault(Reason.CLOSED_EARLY, misbehaving.hanging_up_after_banner),
    "a web server": Fault(Reason.NOT_SSH, misbehaving.web_server),
    "no channel": Fault(Reason.NO_SESSION, misbehaving.hanging_in("no-channel")),
    "no command": Fault(Reason.NO_SHELL, misbehaving.hanging_in("no-exec")),
    "breaks off": Fault(Reason.CONNECTION_LOST, misbehaving.hanging_in("cut")),
    "another host key": Fault(Reason.HOST_KEY_CHANGED),
    "no pinned host key": Fault(Reason.HOST_KEY_UNKNOWN),
    "key not authorized": Fault(Reason.BAD_CREDENTIAL),
}


class Fleet:
    """Up to 64,000 hosts `hN`; `plan` writes a plan of them in which some have a fault."""

    def __init__(self, site: Site, folder: Path, ports: Mapping[str, int]) -> None:
        self._folder = folder
        self._account: Account = site.account("good")
        # Thousands of logins: without PAM's message of the day.
        self._sshd: Sshd = site.start_sshd(address="0.0.0.0", options={"UsePAM": "no"})
        self._ports = ports
        self._stranger = make_key(folder / "stranger")

    def plan(self, hosts: int, faults: Mapping[str, str]) -> Path:
        """`faults`: name of a host -> its fault."""
        known = self._folder / "known_hosts"
        names = [f"h{number}" for number in range(hosts)]
        known.write_text("".join(self._known(name, faults.get(name, "")) for name in names))
        return write_plan(self._folder, BASE + "".join(self._entry(name, faults.get(name, "")) for name in names))

    def _entry(self, name: str, fault: str) -> str:
        key = self._stranger if fault == "key not authorized" else self._account.key
        login = f'key = "{key}"'
        if fault in self._ports:
            login = 'password = "env:FAKE_PASSWORD"\nlocal_account = true'
        within = FAULTS[fault].within_seconds if fault else 60
        return (
            f'\n[hosts.{name}]\naddress = "{self._address(name)}"\nport = {self._port(fault)}\n'
            f'user = "{self._account.name}"\n{login}\nlogin_within = "{within}s"\nknown_hosts = ["known_hosts"]\n'
        )

    def _known(self, name: str, fault: str) -> str:
        place = f"[{self._address(name)}]:{self._port(fault)}"
        if fault == "no pinned host key":
            return ""
        if fault == "another host key":
            return f"{place} {self._stranger.with_suffix('.pub').read_text()}"
        if fault in self._ports:
            return f"{place} {misbehaving.HOST_KEY_FIELDS}\n"
        return self._sshd.known_hosts_lines(place)

    def _port(self, fault: str) -> int:
        return self._ports.get(fault, self._sshd.port)

    def _address(self, name: str) -> str:
        number = int(name[1:])
        return f"127.20.{number // 250}.{number % 250 + 1}"


@contextmanager
def fleet(site: Site, folder: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        ports = {
            name: stack.enter_context(misbehaving.serving(fault.fake, "0.0.0.0"))
            for name, fault in FAULTS.items()
            if fault.fake
        }
        with closed_port("0.0.0.0") as closed:
            yield Fleet(site, folder, {**ports, "nobody listens": closed})
