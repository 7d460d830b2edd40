"""One host's SSH connection: reached, verified and logged in once per run, shared by everything that needs it."""

from __future__ import annotations

import contextlib
import getpass
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from preflight.clock import Deadline, monotonic, now
from preflight.plan import Account, Host
from preflight.probe import Cause, NoReply
from preflight.sessions import SessionFailed
from preflight.sessions.channels import ChannelSlots
from preflight.sessions.ground import Ground, a_little_before
from preflight.sessions.known_hosts import HostKeys, KnownKeys, PublicKey
from preflight.sessions.remote_text import one_line
from preflight.sessions.ssh_config import Configured, configure
from preflight.sessions.trouble import Trouble
from preflight.sessions.way import JumpFailed, Way

if TYPE_CHECKING:
    from preflight.sessions.transport import Transport

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Login:
    """A connection that is logged in."""

    transport: Transport
    session: Mapping[str, str]
    vantage: str
    slots: ChannelSlots


class Connection:
    """Opened by the first who asks, in a thread of its own that can be abandoned (name resolution cannot be bounded
    otherwise); failed once, failed for the whole run: a refused login is never repeated."""

    def __init__(self, host: Host, ground: Ground, jump: Connection | None = None) -> None:
        self.host = host
        self.reached = host
        """The host as it is dialled: completed from ssh_config."""
        self._ground = ground
        self._planned_jump = self._jump = jump
        self._lock = threading.Lock()
        self._begun = False
        self._done = threading.Event()
        self._login: Login | None = None
        self._failure: NoReply | None = None
        self._way: Way | None = None
        self._session: dict[str, str] = {}
        self.password_refused = False
        """sudo has refused the login's password in this run; it is offered once."""

    @property
    def depth(self) -> int:
        """How many jump hosts lie before it."""
        return 0 if self._jump is None else self._jump.depth + 1

    @property
    def dialled(self) -> str:
        """Address of the first machine on the way, the one that is really connected to."""
        return self._session.get("address", "") if self._jump is None else self._jump.dialled

    @property
    def alive(self) -> bool:
        transport = self._transport
        return transport is not None and transport.is_active()

    def open(self, deadline: Deadline) -> Login:
        """The login, waited for no longer than the deadline. Raises SessionFailed."""
        with self._lock:
            if not self._begun:
                self._begun = True
                self._spawn(lambda: self._open(a_little_before(deadline)))
        self._done.wait(deadline.left())
        if self._failure is not None:
            raise SessionFailed(self._failure)
        if self._login is None:
            raise self._out_of_time("no login", deadline)
        return self._login

    def host_key(self, deadline: Deadline) -> PublicKey:
        """The key the host shows, without a login. Raises SessionFailed."""
        found: list[PublicKey | NoReply] = []
        done = threading.Event()

        def scan() -> None:
            found.append(self._guarded(lambda: self._scan(a_little_before(deadline))))
            done.set()

        self._spawn(scan)
        done.wait(deadline.left())
        if not found:
            raise self._out_of_time("no host key", deadline)
        if isinstance(found[0], NoReply):
            raise SessionFailed(found[0])
        return found[0]

    def no_reply(self, cause: Cause, detail: str, reason: str = "", took: float = 0.0) -> NoReply:
        """A `NoReply` with all that is known of this connection."""
        vantage = f"from here to {self.host.id} as {self.reached.user or '?'}"
        return NoReply(cause, detail, now(), took, vantage, reason, dict(self._session))

    def close(self) -> None:
        """Ends the transport. Safe to call twice and from any thread."""
        with self._lock:
            self._begun = True
            if self._failure is None and self._login is None:
                self._failure = self.no_reply(Cause.NOT_ASKED, f"{self.host.id}: the session was closed")
            way = self._way
        self._done.set()
        if way is not None:
            way.close()

    def join(self, seconds: float) -> None:
        """Waits for the transport's thread to end, after `close`."""
        transport = self._transport
        if transport is not None and transport.is_alive() and transport is not threading.current_thread():
            transport.join(seconds)

    @property
    def _transport(self) -> Transport | None:
        return None if self._way is None else self._way.transport

    def _spawn(self, run: Callable[[], None]) -> None:
        threading.Thread(target=run, name=f"ssh-open-{self.host.id}", daemon=True).start()

    def _out_of_time(self, what: str, deadline: Deadline) -> SessionFailed:
        stage = self._way.stage if self._way is not None else "running ssh -G"
        detail = f"{self.host.id}: {what} within {deadline.seconds:.0f} s; last seen {stage}"
        return SessionFailed(self.no_reply(Cause.TIMED_OUT, detail, took=deadline.seconds))

    def _open(self, deadline: Deadline) -> None:
        outcome = self._guarded(lambda: self._log_in(deadline))
        with self._lock:
            if self._failure is None:
                self._login, self._failure = (None, outcome) if isinstance(outcome, NoReply) else (outcome, None)
            abandoned = self._failure is not None
        self._done.set()
        if abandoned and self._way is not None:
            self._way.close()

    def _guarded(self, attempt: Callable[[], T]) -> T | NoReply:
        """What `attempt` returns, or the `NoReply` that its trouble is."""
        begun = monotonic()
        try:
            return attempt()
        except JumpFailed as trouble:
            return self.no_reply(trouble.cause, trouble.detail, trouble.reason, monotonic() - begun)
        except Trouble as trouble:
            detail = f"{self.host.id}: {trouble.detail}"
            return self.no_reply(trouble.cause, detail, trouble.reason, monotonic() - begun)
        except Exception as error:  # noqa: BLE001  # paramiko lets bare exceptions out; a host must not be lost by one
            detail = f"{self.host.id}: the login broke with {type(error).__name__}: {one_line(str(error))}"
            return self.no_reply(Cause.CUT_OFF, detail, "internal", monotonic() - begun)

    def _scan(self, deadline: Deadline) -> PublicKey:
        way = self._find_way(self._configure(deadline), deadline)
        try:
            return way.reach(None).server_key()
        finally:
            way.leave_gate()
            way.close()

    def _log_in(self, deadline: Deadline) -> Login:
        from preflight.sessions.credentials import log_in

        begun = monotonic()
        configured = self._configure(deadline)
        host = configured.host
        way = self._find_way(configured, deadline)
        known, files = self._ground.known_hosts.lookup(host, configured.known_hosts)
        try:
            way.stage = "reading the credential"
            credential = self._ground.credentials().of(host, configured.agent_socket, deadline)
            self._session["auth"] = credential.description
            transport = way.reach(known)
            self._check_host_key(transport, host, known, files)
            way.stage = f"logging in as {host.user}"
            log_in(transport, host.user, credential, deadline)
        finally:
            way.leave_gate()
            if way.transport is not None and way.transport.banners:
                self._session["banner"] = "\n".join(way.transport.banners)
        self._session["login_ms"] = str(round((monotonic() - begun) * 1000))
        return Login(transport, self._session, f"on {self.host.id} as {host.user}", ChannelSlots())

    def _configure(self, deadline: Deadline) -> Configured:
        """The host as ssh_config completes it."""
        host = self.host
        configured = configure(host, deadline) if host.ssh_config else Configured(_with_address(host))
        if not configured.host.user:
            configured = replace(configured, host=replace(configured.host, user=Account(_own_name())))
        self.reached = configured.host
        self._session |= {"user": configured.host.user, "port": str(configured.host.ssh_port)}
        return configured

    def _find_way(self, configured: Configured, deadline: Deadline) -> Way:
        with self._ground.lock:
            jump = self._planned_jump
            for hop in configured.jumps:
                jump = self._hop(hop, jump)
            before = jump
            while before is not None:
                if before is self:
                    raise Trouble(Cause.UNREACHABLE, "jump hosts go in a circle", "jump")
                before = before._jump
            self._jump = jump
        way = Way(configured.host, jump, self._ground, deadline, self._session)
        with self._lock:
            self._way = way
        return way

    def _hop(self, host: Host, before: Connection | None) -> Connection:
        """The connection to a ProxyJump host, shared by all hosts that go this way. Call it with the ground's lock."""
        name = f"{host.id} {before.host.id if before else ''}"
        return self._ground.hops.setdefault(name, Connection(host, self._ground, before))

    def _check_host_key(self, transport: Transport, host: Host, known: KnownKeys, files: HostKeys) -> None:
        from preflight.sessions.transport import pinned_text, verify_host_key

        key = transport.server_key()
        self._session["fingerprint"] = key.fingerprint
        self._session["key_type"] = key.type
        wrong = verify_host_key(key, host, known, files)
        if wrong is not None:
            self._session["pinned"] = pinned_text(known)
            raise wrong


def _with_address(host: Host) -> Host:
    return replace(host, address=host.address or host.id)


def _own_name() -> str:
    """The login name of whoever runs this, as ssh takes it."""
    with contextlib.suppress(KeyError, OSError):
        return getpass.getuser()
    return ""
