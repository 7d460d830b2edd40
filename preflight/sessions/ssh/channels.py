"""Channels of one SSH transport: how many at once, and what a refused one means."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

from preflight.clock import Deadline
from preflight.reasons import Reason
from preflight.sessions import CannotAsk

if TYPE_CHECKING:
    from preflight.sessions.ssh.transport import Channel, Transport

CHANNELS_AT_ONCE = 4
"""Per transport; sshd's MaxSessions is 10, and a slot is free only after the server has noticed the close."""
_OPEN_RETRIES = 3
WINDOW_BYTES = 2 * 1024 * 1024
"""What the far end may send before it is read."""


class ChannelRefused(CannotAsk):
    """No channel could be opened."""


class ChannelSlots:
    """The session channels of one connection; learns from refusals how many the server allows (MaxSessions)."""

    def __init__(self) -> None:
        self._most = CHANNELS_AT_ONCE
        self._open = 0
        self._refusals = 0
        self._lock = threading.Lock()

    def open(self, transport: Transport, deadline: Deadline) -> Channel | None:
        """A session channel, given back with `close`; None while the server allows no more. Raises ChannelRefused."""
        with self._lock:
            if self._open >= self._most:
                return None
            self._open += 1
        try:
            opened: Channel = transport.open_session(window_size=WINDOW_BYTES, timeout=max(deadline.left(), 0.1))
        except Exception as error:  # noqa: BLE001  # paramiko hands errors of one channel to another, so all alike
            self._learn(transport, deadline, error)
            return None
        self._refusals = 0
        return opened

    def close(self, channel: Channel) -> None:
        channel.close()
        with self._lock:
            self._open -= 1

    def _learn(self, transport: Transport, deadline: Deadline, error: Exception) -> None:
        """After a refusal no more are opened at once than the server has just allowed. Raises ChannelRefused when
        ours was the only one, so that waiting for another of ours is no way out, and coming again did not help."""
        with self._lock:
            self._open -= 1
            self._most = max(1, min(self._most, self._open))
            alone = not self._open
        if not transport.is_active():
            raise ChannelRefused(Reason.CONNECTION_LOST, "the connection was lost") from None
        if deadline.over or "Timeout" in str(error):
            raise ChannelRefused(Reason.QUESTION_LIMIT, "the server did not open a channel in time") from None
        if not alone:
            return
        self._refusals += 1
        if self._refusals > _OPEN_RETRIES:
            detail = "the login succeeded, but the server opens no session channel"
            raise ChannelRefused(Reason.NO_SESSION, detail) from None
        threading.Event().wait(random.uniform(0.05, 0.2) * self._refusals)  # noqa: S311  # no secret


def open_forward(transport: Transport, address: str, port: int, deadline: Deadline) -> Channel:
    """A connection from the far end to `address:port` (`direct-tcpip`). Raises ChannelRefused."""
    from preflight.sessions.ssh.transport import paramiko

    try:
        seconds = max(deadline.left(), 0.1)
        opened: Channel = transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=seconds)
        return opened
    except paramiko.ChannelException as refused:
        if refused.code == 1:
            raise ChannelRefused(Reason.FORWARDING_REFUSED, "the server does not allow port forwarding") from None
        said = f" ({transport.refused_channel})" if transport.refused_channel else ""
        raise ChannelRefused(Reason.UNREACHABLE, f"refused, unknown name or no route, seen from there{said}") from None
    except Exception as error:  # noqa: BLE001  # SSHException, EOFError, OSError, and what another channel ran into
        if transport.is_active() and (deadline.over or "Timeout" in str(error)):
            raise ChannelRefused(Reason.NO_ANSWER, "no answer") from None
        raise ChannelRefused(Reason.CONNECTION_LOST, "the connection was lost") from None
