"""SSH sessions of one run: one connection per host, shared by its questions, its tunnels and the hosts behind it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from preflight.clock import Deadline, now
from preflight.plan import Host
from preflight.probe import NoReply, Question
from preflight.reasons import Reason
from preflight.sessions import Deliver, Session, SessionFailed
from preflight.sessions.secrets import Secrets
from preflight.sessions.ssh.channels import ChannelRefused, open_forward
from preflight.sessions.ssh.connection import Connection
from preflight.sessions.ssh.known_hosts import PublicKey
from preflight.sessions.ssh.session import SshSession
from preflight.sessions.ssh.shared import KnownHostsFiles, Shared

if TYPE_CHECKING:
    import paramiko

USER_KNOWN_HOSTS = (Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts"))
_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class HostKeySeen:
    """The host key a server showed; `preflight seal` pins it once a person has agreed."""

    key_type: str
    base64: str
    fingerprint: str
    """As `ssh-keygen -l` prints it: `SHA256:...`."""
    address: str
    """The name it is to be pinned under; with ssh_config, that may be another than the plan's."""
    port: int
    alias: str

    @property
    def key(self) -> PublicKey:
        key = PublicKey.parse(self.key_type, self.base64)
        if key is None:
            raise ValueError("no public key")
        return key


class SshPool:
    """The SSH sessions of one run. Nothing is connected, and paramiko is not imported, before somebody asks."""

    def __init__(
        self,
        hosts: Mapping[str, Host],
        secrets: Secrets,
        *,
        sealed_known_hosts: Path | None = None,
        user_known_hosts: Sequence[Path] = USER_KNOWN_HOSTS,
    ) -> None:
        self._hosts = hosts
        self._secrets = secrets
        self._shared = Shared(KnownHostsFiles(sealed_known_hosts, user_known_hosts), secrets)
        self._connections: dict[str, Connection] = {}
        self._sessions: dict[str, Session] = {}
        self._lock = threading.RLock()

    def session(self, host_id: str) -> Session:
        """The session with a host; logs in at its first question."""
        with self._lock:
            if host_id not in self._sessions:
                try:
                    session: Session = SshSession(self._connection(host_id), self._secrets)
                except SessionFailed as failed:
                    session = _Unreachable(failed.answer)
                self._sessions[host_id] = session
            return self._sessions[host_id]

    def open_channel(self, host_id: str, address: str, port: int, deadline: Deadline) -> paramiko.Channel:
        """A connection from the host to `address:port` (`direct-tcpip`), usable like a socket; the host's connection
        stays open for it until `close`. Raises SessionFailed."""
        connection = self._connection(host_id)
        login = connection.hold(deadline)
        try:
            return open_forward(login.transport, address, port, deadline)
        except ChannelRefused as refused:
            connection.release()
            detail = f"{address} port {port} from {host_id}: {refused.detail}"
            raise SessionFailed(connection.no_reply(Reason.FORWARDING_REFUSED, detail)) from None

    def scan_host_key(self, host_id: str, deadline: Deadline) -> HostKeySeen:
        """The key a host shows, by a key exchange without a login (jump hosts are logged in). Raises SessionFailed."""
        connection = self._connection(host_id)
        key = connection.host_key(deadline)
        host = connection.reached
        return HostKeySeen(key.type, key.base64, key.fingerprint, host.address, host.ssh_port, host.host_key_alias)

    def close(self) -> None:
        """Ends all connections, those behind a jump host before it. Safe to call twice and from any thread."""
        self._shared.closing.set()
        self._shared.turns.close()
        with self._lock, self._shared.lock:
            connections = [*self._connections.values(), *self._shared.hops.values()]
        connections.sort(key=lambda connection: connection.depth, reverse=True)
        for connection in connections:
            connection.finish()
        deadline = Deadline(_CLOSE_SECONDS)
        for connection in connections:
            connection.join(deadline.left())

    def _connection(self, host_id: str, behind: tuple[str, ...] = ()) -> Connection:
        """The connection to a host of the plan and, through its `jump`, to those before it. Raises SessionFailed."""
        if host_id in behind:
            circle = " -> ".join([*behind, host_id])
            raise SessionFailed(_no_reply(behind[0], f"jump hosts go in a circle: {circle}"))
        with self._lock:
            if host_id not in self._connections:
                host = self._hosts.get(host_id)
                if host is None:
                    raise SessionFailed(_no_reply(host_id, f"the plan has no host {host_id}"))
                jump = self._connection(host.jump, (*behind, host_id)) if host.jump else None
                connection = Connection(host, self._shared, jump)
                if self._shared.closing.is_set():
                    connection.finish()
                self._connections[host_id] = connection
            return self._connections[host_id]


class _Unreachable:
    """The session with a host that the plan gives no way to."""

    stage = "looking for a way to it"

    def __init__(self, answer: NoReply) -> None:
        self._answer = answer

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        for question in questions:
            deliver(question, self._answer)

    def close(self) -> None:
        """Nothing is open."""


def _no_reply(host_id: str, detail: str) -> NoReply:
    return NoReply(Reason.JUMP, f"{host_id}: {detail}", now(), vantage=f"from here to {host_id}")
