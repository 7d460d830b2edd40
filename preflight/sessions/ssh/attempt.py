"""One attempt to reach a host: its address, the jump host before it, a turn to log in, TCP and the key exchange."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from preflight.clock import Deadline, monotonic
from preflight.plan import Host
from preflight.plan.values import show_address
from preflight.questions.authorized_keys import UserCertificate
from preflight.reasons import Reason
from preflight.sessions import CannotAsk, Closed, SessionFailed, dial
from preflight.sessions.ssh.channels import ChannelRefused, open_forward
from preflight.sessions.ssh.known_hosts import KnownKeys
from preflight.sessions.ssh.shared import Dropped, Shared
from preflight.wording import one_line

if TYPE_CHECKING:
    from preflight.sessions.ssh.connection import Connection
    from preflight.sessions.ssh.transport import Transport

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0


class JumpFailed(CannotAsk):
    """What failed is a jump host, and the same for all hosts behind it."""


@dataclass(eq=False)
class Attempt:
    _host: Host
    _jump: Connection | None
    _shared: Shared
    _deadline: Deadline
    """The time there is for this host; within it, each connection has `login_within` for its login."""
    _session: dict[str, str]
    """What is learned on the way, for replies and for the report."""
    _server: str = ""
    _closed: bool = False
    _held_jump: Connection | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    transport: Transport | None = None
    stage: str = "connecting"
    """What is being waited for, for the report of whoever cannot wait any longer."""

    def __post_init__(self) -> None:
        self.limit = self._deadline
        """Until when the login must be accepted; runs from the TCP connect."""

    def close(self) -> None:
        """Ends the transport, from any thread and at any stage."""
        self._closed = True
        if self.transport is not None:
            self.transport.close()
        with self._lock:
            jump, self._held_jump = self._held_jump, None
        if jump is not None:
            jump.release()

    def reach(self, known: KnownKeys | None) -> Transport:
        """A transport with its key exchange done, asking for a key of a type in `known` first; holds the turn to log
        in until `end_turn`. A server that hangs up before it says anything is crowded (MaxStartups): it is connected
        to again, later and later, until the deadline. Raises CannotAsk."""
        with self.limited():
            try:
                return self._connect(known)
            except Dropped as dropped:
                return self._connect_again(known, dropped)

    def end_turn(self, *, dropped: bool = False) -> None:
        server, self._server = self._server, ""
        if server:
            self._shared.turns.give_back(server, dropped=dropped)

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Says of a step that ran out of time which limit that was."""
        try:
            yield
        except CannotAsk as failed:
            if failed.reason not in (Reason.NO_ANSWER, Reason.HANDSHAKE, Reason.LOGIN_LATE):
                raise
            if self.limit.left() < self._deadline.left():
                detail = f"{failed.detail}: login_within ended after {self.limit.seconds:.1f} s"
                raise CannotAsk(failed.reason, detail) from None
            # Ours, and shorter than what a login may take: it tells nothing of the server.
            detail = f"{failed.detail}: the time left for this host ended after {self.limit.seconds:.1f} s"
            raise CannotAsk(Reason.TARGET_LIMIT, detail) from None

    def _connect_again(self, known: KnownKeys | None, dropped: Dropped) -> Transport:
        begun, times, pause = monotonic(), 1, _FIRST_PAUSE_SECONDS
        while True:
            self.stage = f"waiting to come again: {dropped.detail}"
            wait = pause * random.uniform(0.5, 1.5)  # noqa: S311  # spreads the callers, keeps no secret
            if self._deadline.left() <= wait:
                break
            if self._shared.closing.wait(wait) or self._closed:
                raise Closed
            with self._shared.turns.returning(self._deadline) as taken:
                if not taken:
                    break
                try:
                    return self._connect(known)
                except Dropped as again:
                    dropped, times = again, times + 1
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        detail = f"{dropped.detail}, {times} times in {monotonic() - begun:.1f} s: sshd is crowded (MaxStartups)"
        raise CannotAsk(Reason.THROTTLED, f"{detail}, or turns this machine away")

    def _connect(self, known: KnownKeys | None) -> Transport:
        from preflight.sessions.ssh.transport import Transport

        sock = self._socket()
        self.stage = "exchanging keys"
        self.transport = Transport(sock, self.limit.left(), known)
        if self._closed:
            self.transport.close()
            raise Closed
        try:
            self.transport.shake_hands(self.limit)
        except CannotAsk as failed:
            self.end_turn(dropped=isinstance(failed, Dropped))
            if self._closed:
                raise Closed from None
            raise type(failed)(failed.reason, f"{self._session['address']}: {failed.detail}") from None
        self._session["server"] = one_line(self.transport.remote_version, 100)
        return self.transport

    def _take_turn(self, server: str) -> None:
        self.stage = f"waiting for other logins at {server}"
        if not self._shared.turns.take(server, self._deadline):
            if self._closed or self._shared.closing.is_set():
                raise Closed
            raise CannotAsk(Reason.TURN, f"other logins at {server} took all the time there was")
        self._server = server
        self.limit = self._deadline.at_most(self._host.login_within.total_seconds())

    def _socket(self) -> Any:
        if self._jump is not None:
            return self._through(self._jump)
        self.stage = f"resolving {self._host.address}"
        resolved = dial.resolve(self._host.address, self._host.ssh_port, self._deadline)
        self._take_turn(resolved.first)
        self.stage = f"connecting to {resolved.first}"
        try:
            sock, self._session["address"] = dial.connect(resolved, self.limit)
        except dial.DialFailed as failed:
            self._session["address"] = failed.address
            raise
        alike = [show_address(*where[:2]) for family, where in resolved.addresses if family == sock.family]
        if len(alike) > 1:
            self._session["addresses"] = ", ".join(alike)
        return sock

    def _through(self, jump: Connection) -> Any:
        name = jump.host.id
        self._session["jump"] = name
        self.stage = f"waiting for jump {name}"
        try:
            login = jump.hold(self._deadline)
        except SessionFailed as failed:
            detail = f"through jump {name}: {failed.answer.detail.removeprefix(f'{name}: ')}"
            raise JumpFailed(Reason.JUMP, detail) from None
        with self._lock:
            before, self._held_jump = self._held_jump, jump
        if before is not None:  # held for the connection that was dropped
            before.release()
        own = [each for each in UserCertificate.in_session(self._session) if not each.hop]
        before_it = [replace(each, hop=each.hop or name) for each in UserCertificate.in_session(login.session)]
        self._session["user_certificates"] = UserCertificate.as_json([*own, *before_it])
        address = show_address(self._host.address, self._host.ssh_port)
        self._session["address"] = address
        self._take_turn(f"{address} through {name}")
        self.stage = f"connecting to {address} through {name}"
        try:
            return open_forward(login.transport, self._host.address, self._host.ssh_port, self.limit)
        except ChannelRefused as refused:
            told = {Reason.FORWARDING_REFUSED: Reason.NOT_LET_THROUGH, Reason.CONNECTION_LOST: Reason.JUMP}
            reason = told.get(refused.reason, Reason.NOT_FROM_JUMP)
            raise CannotAsk(reason, f"{address} from jump {name}: {refused.detail}") from None
