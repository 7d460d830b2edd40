"""What all SSH connections of a run share: pinned host keys, credentials, and how many may do what at once."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from preflight.clock import Deadline
from preflight.plan import Host
from preflight.sessions import CannotAsk, Once
from preflight.sessions.secrets import Secrets
from preflight.sessions.ssh.known_hosts import HostKeys, KnownKeys

if TYPE_CHECKING:
    from preflight.sessions.ssh.connection import Connection
    from preflight.sessions.ssh.credentials import CredentialStore

_KEPT_FREE = 32
"""Descriptors for the program itself: its modules, files, pipes and reports."""
_WAKE_SECONDS = 0.25
"""How soon a thread that waits for a place notices that a connection has become idle."""
MOST_PER_SERVER = 8
"""Connections to one address and port not logged in yet: below the 10 at which sshd drops some (MaxStartups)."""
MOST_RETURNING = 6
"""Connections of the whole run that come again after they were dropped: one sshd may listen on many addresses."""


class KnownHostsFiles:
    """The known_hosts files of a run, each set read once."""

    def __init__(self, sealed: Path | None, usual: Sequence[Path]) -> None:
        self._sealed = (sealed,) if sealed is not None else ()
        self._usual = tuple(usual)
        self._read = Once[tuple[Path, ...], HostKeys]()

    def lookup(self, host: Host, configured: tuple[Path, ...] | None) -> tuple[KnownKeys, tuple[str, ...]]:
        """What is pinned for `host`, and the files that cannot be read. Files the plan names stand alone. Else the
        sealed file decides alone for every host it pins, so that nobody's own known_hosts can overrule it;
        revocations count wherever they stand."""
        if host.known_hosts:
            files = self._of(host.known_hosts)
            return files.lookup(host.address, host.ssh_port, host.host_key_alias), files.unreadable
        usual = self._of(self._usual if configured is None else configured)
        sealed = self._of(self._sealed)
        known = usual.lookup(host.address, host.ssh_port, host.host_key_alias)
        pinned = sealed.lookup(host.address, host.ssh_port, host.host_key_alias)
        deciding = pinned if pinned.keys or pinned.without_port else known
        return replace(deciding, revoked=pinned.revoked | known.revoked), sealed.unreadable + usual.unreadable

    def _of(self, files: tuple[Path, ...]) -> HostKeys:
        return self._read.get(files, lambda: HostKeys(files))


def raise_limit() -> int:
    """Raises this process's limit of open files as far as it may; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # a system whose hard limit is more than it grants
        return soft
    return hard


def connections_for(limit: int) -> int:
    """How many SSH connections fit under a limit of open files: half, since databases and endpoints need some, too."""
    return max(1, (limit - _KEPT_FREE) // 2)


class OpenConnections:
    """The places for open connections, so that this machine's limit of open files is never what fails a host. When all
    are taken, one that is idle is closed; it is opened again when a question for its host comes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._open: dict[Connection, None] = {}

    def enter(self, connection: Connection, deadline: Deadline) -> bool:
        """Waits for a place; False when the deadline came first."""
        while not self._try(connection):
            if deadline.over:
                return False
            with self._changed:
                self._changed.wait(min(_WAKE_SECONDS, deadline.left()))
        return True

    def leave(self, connection: Connection) -> None:
        """Gives the place back. Safe to call twice."""
        with self._changed:
            self._open.pop(connection, None)
            self._changed.notify()

    def _try(self, connection: Connection) -> bool:
        with self._changed:
            if len(self._open) < self._most:
                self._open[connection] = None
                return True
            candidates = list(self._open)
        return any(candidate.close_unless_used() for candidate in candidates) and self._try(connection)


class _Server:
    def __init__(self, lock: threading.Lock) -> None:
        self.changed = threading.Condition(lock)
        self.pending = 0
        self.most: float = MOST_PER_SERVER


class Dropped(CannotAsk):
    """The server hung up before it named its version: a throttling sshd (MaxStartups), worth coming again."""


class LoginTurns:
    """How many connections may be on their way to a login at once, by server: sshd drops those that are too many
    (MaxStartups). A server that does gets half as many at once from then on, and slowly more again as logins succeed.
    Of the connections that were dropped only a few come again at the same time, whatever their addresses: many may turn
    out to be one sshd."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[str, _Server] = {}
        self._returning = threading.Semaphore(MOST_RETURNING)
        self._closed = False

    def take(self, server: str, deadline: Deadline) -> bool:
        """Waits for a turn at `address:port`; False when the deadline or `close` came first."""
        with self._lock:
            entry = self._servers.setdefault(server, _Server(self._lock))
            entry.changed.wait_for(lambda: self._closed or entry.pending < int(entry.most), deadline.left())
            if self._closed or entry.pending >= int(entry.most):
                return False
            entry.pending += 1
            return True

    def give_back(self, server: str, *, dropped: bool) -> None:
        """Ends a turn. `dropped`: the server hung up before it said anything, because it is crowded."""
        with self._lock:
            entry = self._servers[server]
            entry.pending -= 1
            entry.most = max(1, entry.most / 2) if dropped else min(MOST_PER_SERVER, entry.most + 1 / entry.most)
            entry.changed.notify_all()

    @contextmanager
    def returning(self, deadline: Deadline) -> Iterator[bool]:
        """A place among those that come again; False when the deadline came first."""
        taken = self._returning.acquire(timeout=deadline.left())
        try:
            yield taken
        finally:
            if taken:
                self._returning.release()

    def close(self) -> None:
        """Lets everybody who waits go."""
        with self._lock:
            self._closed = True
            for entry in self._servers.values():
                entry.changed.notify_all()


@dataclass(slots=True)
class Shared:
    known_hosts: KnownHostsFiles
    secrets: Secrets
    turns: LoginTurns = field(default_factory=LoginTurns)
    open_connections: OpenConnections = field(default_factory=lambda: OpenConnections(connections_for(raise_limit())))
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    hops: dict[str, Connection] = field(default_factory=dict)
    """Jump hosts that ssh_config names and the plan does not."""
    _credentials: CredentialStore | None = None

    def read_again(self, known_hosts: KnownHostsFiles) -> None:
        """Forgets the key files that were read."""
        with self.lock:
            self.known_hosts, self._credentials = known_hosts, None

    def credentials(self) -> CredentialStore:
        from preflight.sessions.ssh.credentials import CredentialStore

        with self.lock:
            if self._credentials is None:
                self._credentials = CredentialStore(self.secrets)
            return self._credentials
