"""SSH sessions of one run: one connection per host, shared by its questions, its tunnels and the hosts behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from preflight.clock import Deadline
from preflight.plan import Host
from preflight.reasons import Reason
from preflight.sessions import AskLine, CannotAsk, SessionFailed
from preflight.sessions.secrets import Secrets
from preflight.sessions.ssh.channels import ChannelRefused, open_forward
from preflight.sessions.ssh.connection import Connection
from preflight.sessions.ssh.known_hosts import HostKeySeen
from preflight.sessions.ssh.session import SshSession
from preflight.sessions.ssh.shared import KnownHostsFiles, Shared
from preflight.sessions.ssh.stream import stream

if TYPE_CHECKING:
    import paramiko

USER_KNOWN_HOSTS = (Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts"))
_CLOSE_SECONDS = 1.0


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
        self._files = partial(KnownHostsFiles, sealed_known_hosts, user_known_hosts)
        self._shared = Shared(self._files(), secrets)
        self._connections = {host_id: Connection(host, self._shared) for host_id, host in hosts.items()}
        for connection in self._connections.values():
            if connection.host.jump:
                connection.planned_jump = self._connections[connection.host.jump]
        self._sessions = {each.host.id: SshSession(each, secrets) for each in self._connections.values()}

    def session(self, host_id: str) -> SshSession:
        """The session with a host; logs in at its first question."""
        return self._sessions[host_id]

    def log_in_by_code(self, host_ids: Iterable[str], ask_line: AskLine) -> None:
        """Logs in, one after another, to those of the hosts that want a code, and keeps them open: nobody is asked
        twice. Why one failed is told to whoever asks it."""
        for connection in (self._connections[host_id] for host_id in host_ids):
            if connection.host.second_factor:
                connection.log_in_by_code(ask_line)

    def open_channel(self, host_id: str, address: str, port: int, deadline: Deadline) -> paramiko.Channel:
        """A connection from the host to `address:port` (`direct-tcpip`), usable like a socket; the host's connection
        stays open for it until `close`. Raises SessionFailed."""
        connection = self._connections[host_id]
        login = connection.hold(deadline)
        try:
            return open_forward(login.transport, address, port, deadline)
        except ChannelRefused as refused:
            connection.release()
            detail = f"{address} port {port} from {host_id}: {refused.detail}"
            raise SessionFailed(connection.no_reply(Reason.FORWARDING_REFUSED, detail)) from None

    def stream(
        self, host_id: str, script: str, secret: str, take: Callable[[bytes], object], deadline: Deadline
    ) -> tuple[int, str]:
        """Runs a script of sh on the host, as `preflight.sessions.ssh.stream.stream`. Raises SessionFailed."""
        connection = self._connections[host_id]
        login = connection.hold(deadline)
        channel = None
        try:
            channel = login.slots.open(login.transport, deadline)
            if channel is None:
                raise ChannelRefused(Reason.BUSY, "the server opens no session channel just now")
            return stream(channel, script, secret, take, deadline)
        except CannotAsk as failed:
            raise SessionFailed(connection.no_reply(failed.reason, f"{host_id}: {failed.detail}")) from None
        finally:
            if channel is not None:
                login.slots.close(channel)
            connection.release()

    def scan_host_key(self, host_id: str, deadline: Deadline) -> HostKeySeen:
        """The key a host shows, by a key exchange without a login (jump hosts are logged in). Raises SessionFailed."""
        connection = self._connections[host_id]
        key = connection.host_key(deadline)
        host = connection.reached
        return HostKeySeen(key, host.address, host.ssh_port, host.host_key_alias)

    def begin_round(self, oldest: float, oldest_by_code: float) -> None:
        """See `Connection.begin_round`. Pinned keys, key files and the agent are read again for what is opened anew."""
        self._shared.read_again(self._files())
        for connection in self._all():
            connection.begin_round(oldest, oldest_by_code)

    def refused(self) -> list[str]:
        """Ids of the hosts whose account was refused."""
        return [connection.host.id for connection in self._all() if connection.is_refused]

    def _all(self) -> list[Connection]:
        """Those behind a jump host before it."""
        with self._shared.lock:
            connections = [*self._connections.values(), *self._shared.hops.values()]
        return sorted(connections, key=lambda connection: len(connection.way), reverse=True)

    def close(self) -> None:
        """Ends all connections. Safe to call twice and from any thread."""
        self._shared.closing.set()
        self._shared.turns.close()
        connections = self._all()
        for connection in connections:
            connection.finish()
        deadline = Deadline(_CLOSE_SECONDS)
        for connection in connections:
            connection.join(deadline.left())
