"""The server of `[rehearsal.server]`: that it is none of the plan's, before anything is sent to it."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from preflight.clock import Deadline
from preflight.plan import Connect, Plan, RehearsalServer
from preflight.plan.values import THIS_MACHINE
from preflight.rehearsal import ScratchError
from preflight.rehearsal.named import Place
from preflight.sessions.dial import DialFailed, resolve
from preflight.sessions.ssh.known_hosts import PublicKey
from preflight.sessions.ssh.pool import USER_KNOWN_HOSTS
from preflight.sessions.ssh.shared import KnownHostsFiles

_SCAN_SECONDS = 30
_OTHER = "name another server in [rehearsal.server]"


def place_of(
    plan: Plan, server: RehearsalServer, password: str, ask: Callable[[str], str], say: Callable[[str], None]
) -> Place:
    """`ask`: the system identifier that the plan's role sees at a database, empty where it may not; raises ScratchError
    where it gets no answer. Raises ScratchError for a machine of the plan's, and where that cannot be excluded."""
    ip = _address(plan, server)
    shown = host_keys(ip, server.ssh_port)
    if not shown:
        say(
            f"no SSH host key was seen at {server.address}, port {server.ssh_port}: that the machine is none of the "
            "plan's is told by its address and by its system identifier alone"
        )
    for host, keys in _pinned(plan).items():
        if shown & keys:
            raise ScratchError(f"{server.address} shows the SSH host key that is pinned for {host}: {_OTHER}")
    identifiers: dict[str, str] = {}
    for database in plan.databases.values():
        sealed = plan.sealed.get(database.id)
        known = {sealed.system_identifier if sealed else "", database.system_identifier} - {""} or {ask(database.id)}
        if "" in known:
            raise ScratchError(
                f"the server of [rehearsal.server] could be that of {database.id}, whose system identifier its role "
                f"may not see: write it as `system_identifier` in [databases.{database.id}]"
            )
        identifiers |= dict.fromkeys(known, database.id)
    return Place(server, ip, password, identifiers)


def host_keys(ip: str, port: int) -> frozenset[PublicKey]:
    """Those that a machine shows, of every type; none where no SSH server answers there."""
    argv = ["ssh-keyscan", "-p", str(port), ip]
    said = ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(argv, capture_output=True, text=True, timeout=_SCAN_SECONDS, check=False).stdout
    return _keys_in(said)


def _keys_in(text: str) -> frozenset[PublicKey]:
    found = (PublicKey.parse(*words) for line in text.splitlines() for words in pairwise(line.split()))
    return frozenset(key for key in found if key)


def _pinned(plan: Plan) -> Mapping[str, frozenset[PublicKey]]:
    """By host, and all that `preflight seal` pinned, under whichever name."""
    files = KnownHostsFiles(plan.sealed_known_hosts, USER_KNOWN_HOSTS)
    pinned: dict[str, frozenset[PublicKey]] = {}
    for host in plan.hosts.values():
        known, _ = files.lookup(host, None)
        pinned[host.id] = known.keys | known.without_port
    with contextlib.suppress(OSError):
        pinned["a host of the plan"] = _keys_in(plan.sealed_known_hosts.read_text("utf-8", "replace"))
    return pinned


def _address(plan: Plan, server: RehearsalServer) -> str:
    """Its IP address. Raises ScratchError where the plan has it, too."""
    try:
        found = _resolved(server.address)
    except DialFailed as failed:
        raise ScratchError(f"`address` of [rehearsal.server]: {failed.detail}") from None
    for table, name in _addresses(plan):
        with contextlib.suppress(DialFailed):  # a name that is known on another host alone
            if common := set(found) & set(_resolved(name)):
                raise ScratchError(f"{server.address} is {min(common)}, and so is {name} of {table}: {_OTHER}")
    return found[0]


def _resolved(name: str) -> list[str]:
    return [where[0] for _, where in resolve(name, 0, Deadline(_SCAN_SECONDS)).addresses]


def _addresses(plan: Plan) -> Iterator[tuple[str, str]]:
    """Table and address or name, as far as this machine could reach it."""
    yield from ((f"[hosts.{host.id}]", host.address or host.id) for host in plan.hosts.values())
    for database in plan.databases.values():
        seen_from_here = database.connect is Connect.DIRECT or database.address not in THIS_MACHINE
        if seen_from_here:
            yield from ((f"[databases.{database.id}]", address) for address in database.named)
        sealed = plan.sealed.get(database.id)
        for address in sealed.addresses if sealed else ():
            if not address.startswith(("127.", "::1")):  # of a tunnel's other end
                yield plan.sealed_servers.name, address
