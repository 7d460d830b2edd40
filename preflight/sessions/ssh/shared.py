"""What all SSH connections of a run share: pinned host keys, credentials, and how many may do what at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from preflight.clock import Deadline
from preflight.plan import Host
from preflight.sessions.secrets import Secrets
from preflight.sessions.ssh.descriptors import OpenConnections, connections_for, raise_limit
from preflight.sessions.ssh.known_hosts import HostKeys, KnownKeys
from preflight.sessions.ssh.turns import LoginTurns

if TYPE_CHECKING:
    from preflight.sessions.ssh.connection import Connection
    from preflight.sessions.ssh.credentials import CredentialStore

_HEAD_START_SECONDS = 0.15


def a_little_before(deadline: Deadline) -> Deadline:
    """For work inside other work with the same deadline, so that the inner one, which knows more, speaks first."""
    left = deadline.left()
    return Deadline(max(left - _HEAD_START_SECONDS, left * 0.9))


class KnownHostsFiles:
    """The known_hosts files of a run, each set read once."""

    def __init__(self, sealed: Path | None, usual: Sequence[Path]) -> None:
        self._sealed = (sealed,) if sealed is not None else ()
        self._usual = tuple(usual)
        self._read: dict[tuple[Path, ...], HostKeys] = {}
        self._lock = threading.Lock()

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
        with self._lock:
            if files not in self._read:
                self._read[files] = HostKeys.read(files)
            return self._read[files]


@dataclass(slots=True)
class Shared:
    """What all connections of a run share."""

    known_hosts: KnownHostsFiles
    secrets: Secrets
    turns: LoginTurns = field(default_factory=LoginTurns)
    open_connections: OpenConnections = field(default_factory=lambda: OpenConnections(connections_for(raise_limit())))
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    hops: dict[str, Connection] = field(default_factory=dict)
    """Jump hosts that ssh_config names and the plan does not."""
    _credentials: CredentialStore | None = None

    def credentials(self) -> CredentialStore:
        from preflight.sessions.ssh.credentials import CredentialStore

        with self.lock:
            if self._credentials is None:
                self._credentials = CredentialStore(self.secrets)
            return self._credentials
