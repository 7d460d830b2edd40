"""The way to a host: its address, the jump hosts before it, the turn to knock, TCP and the key exchange."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any, Protocol

from preflight.clock import Deadline
from preflight.plan import Host
from preflight.plan.values import show_address
from preflight.probe import Cause
from preflight.sessions import SessionFailed, dial
from preflight.sessions.channels import ChannelRefused, open_forward
from preflight.sessions.ground import Ground
from preflight.sessions.known_hosts import KnownKeys
from preflight.sessions.remote_text import one_line
from preflight.sessions.trouble import Trouble

if TYPE_CHECKING:
    from preflight.sessions.transport import HandshakeFailed, Transport

_THROTTLED_RETRIES = 3


class HasTransport(Protocol):
    """A login, as far as the way behind it needs one."""

    @property
    def transport(self) -> Transport: ...


class Jump(Protocol):
    """A host that others are reached through."""

    @property
    def host(self) -> Host: ...

    @property
    def dialled(self) -> str:
        """Address of the first machine on the way there, the one that is really connected to."""

    def open(self, deadline: Deadline) -> HasTransport:
        """Raises SessionFailed."""


class JumpFailed(Trouble):
    """The trouble is a jump host's, and the same for all hosts behind it."""


class Way:
    """One attempt to reach a host. What is learned on the way goes into `session`, for replies and for the report."""

    def __init__(
        self, host: Host, jump: Jump | None, ground: Ground, deadline: Deadline, session: dict[str, str]
    ) -> None:
        self._host = host
        self._jump = jump
        self._ground = ground
        self._deadline = deadline
        self._session = session
        self._gate: threading.BoundedSemaphore | None = None
        self._closed = False
        self.transport: Transport | None = None
        self.stage = "connecting"
        """What is being waited for, for the report of whoever cannot wait any longer."""

    def close(self) -> None:
        """Ends the transport, from any thread and at any stage."""
        self._closed = True
        if self.transport is not None:
            self.transport.close()

    def reach(self, known: KnownKeys | None) -> Transport:
        """A transport with its key exchange done, asking for a key of a type in `known` first. Only a server that
        hangs up before it says anything is asked again: that is sshd throttling (MaxStartups), no verdict. Raises
        Trouble. Holds the turn to knock until `leave_gate`."""
        from preflight.sessions.transport import HandshakeFailed, Transport

        for attempt in range(_THROTTLED_RETRIES + 1):
            sock = self._socket()
            self.stage = "exchanging keys"
            self.transport = Transport(sock, self._deadline.left(), known)
            if self._closed:
                self.transport.close()
            try:
                self.transport.shake_hands(self._deadline)
            except HandshakeFailed as failed:
                self.leave_gate()
                pause = random.uniform(0.1, 0.3) * 2**attempt  # noqa: S311  # spreads the callers, keeps no secret
                last = attempt == _THROTTLED_RETRIES or self._deadline.left() <= pause
                if last or not failed.nothing_received:
                    raise self._handshake_trouble(failed, attempt) from None
                if self._ground.closing.wait(pause):
                    raise Trouble(Cause.NOT_ASKED, "the session was closed") from None
                continue
            self._session["server"] = one_line(self.transport.remote_version, 100)
            return self.transport
        raise AssertionError("the last attempt returns or raises")

    def leave_gate(self) -> None:
        """Lets the next one knock."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.release()

    def _enter_gate(self, address: str) -> None:
        gate = self._ground.gates.at(address)
        self.stage = f"waiting for other logins at {address}"
        if not gate.acquire(timeout=self._deadline.left()):
            raise Trouble(Cause.TIMED_OUT, f"other logins at {address} took all the time there was")
        self._gate = gate

    def _handshake_trouble(self, failed: HandshakeFailed, retries: int) -> Trouble:
        where = self._session.get("address", "")
        if failed.nothing_received and retries:
            detail = f"{where}: {failed.detail}, {retries + 1} times: sshd throttles (MaxStartups), or is shielded"
            return Trouble(Cause.REFUSED, detail, "throttled")
        return Trouble(failed.cause, f"{where}: {failed.detail}", failed.reason)

    def _socket(self) -> Any:
        if self._jump is not None:
            return self._through(self._jump)
        self.stage = f"resolving {self._host.address}"
        try:
            resolved = dial.resolve(self._host.address, self._host.ssh_port)
            self._enter_gate(resolved.first)
            self.stage = f"connecting to {resolved.first}"
            sock, self._session["address"] = dial.connect(resolved, self._deadline)
        except dial.DialFailed as failed:
            if failed.address:
                self._session["address"] = failed.address
            raise
        return sock

    def _through(self, jump: Jump) -> Any:
        name = jump.host.id
        self._session["jump"] = name
        self.stage = f"waiting for jump {name}"
        try:
            login = jump.open(self._deadline)
        except SessionFailed as failed:
            detail = f"through jump {name}: {failed.answer.detail.removeprefix(f'{name}: ')}"
            raise JumpFailed(failed.answer.cause, detail, "jump") from None
        self._enter_gate(jump.dialled)
        address = show_address(self._host.address, self._host.ssh_port)
        self._session["address"] = address
        self.stage = f"connecting to {address} through {name}"
        try:
            return open_forward(login.transport, self._host.address, self._host.ssh_port, self._deadline)
        except ChannelRefused as refused:
            reason = "jump" if refused.cause in (Cause.DENIED, Cause.CUT_OFF) else "from-jump"
            raise Trouble(refused.cause, f"{address} from jump {name}: {refused.detail}", reason) from None
