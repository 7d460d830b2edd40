"""Channels of one SSH transport: how many at once, and what a refused one means."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from preflight.clock import Deadline
from preflight.probe import Cause
from preflight.sessions import CannotAsk
from preflight.sessions.ssh.command_channel import WINDOW_BYTES

if TYPE_CHECKING:
    from paramiko import Channel

    from preflight.sessions.ssh.transport import Transport

CHANNELS_AT_ONCE = 4
"""Per transport; sshd's MaxSessions is 10, and a slot is free only after the server has noticed the close."""
_OPEN_RETRIES = 3


class ChannelRefused(CannotAsk):
    """No channel could be opened."""


class ChannelSlots:
    """Counts the session channels in flight, and learns from refusals how many the server allows (MaxSessions)."""

    def __init__(self, limit: int = CHANNELS_AT_ONCE) -> None:
        self._limit = limit
        self._in_flight = 0
        self._changed = threading.Condition()

    @contextmanager
    def session(self, transport: Transport, deadline: Deadline) -> Iterator[Channel]:
        """A session channel, closed at the end. Raises ChannelRefused."""
        channel = self._open(transport, deadline)
        try:
            yield channel
        finally:
            channel.close()
            self._release()

    def _open(self, transport: Transport, deadline: Deadline) -> Channel:
        refusals = 0
        while True:
            if not self._acquire(deadline):
                raise ChannelRefused(Cause.TIMED_OUT, "no time was left to open a channel")
            try:
                seconds = max(deadline.left(), 0.1)
                opened: Channel = transport.open_session(window_size=WINDOW_BYTES, timeout=seconds)
                return opened
            except Exception as error:  # noqa: BLE001  # paramiko hands errors of one channel to another, so all alike
                alone = self._release(refused=True)
                if not transport.is_active():
                    raise ChannelRefused(Cause.CUT_OFF, "the connection was lost") from None
                if deadline.over or "Timeout" in str(error):
                    raise ChannelRefused(Cause.TIMED_OUT, "the server did not open a channel in time") from None
                refusals += alone
                if refusals > _OPEN_RETRIES:
                    detail = "the server opens no session channel (MaxSessions, or commands are not allowed)"
                    raise ChannelRefused(Cause.CUT_OFF, detail) from None
                if alone:
                    threading.Event().wait(random.uniform(0.05, 0.2) * refusals)  # noqa: S311  # no secret

    def _acquire(self, deadline: Deadline) -> bool:
        with self._changed:
            free = self._changed.wait_for(lambda: self._in_flight < self._limit, timeout=deadline.left())
            if free:
                self._in_flight += 1
            return free

    def _release(self, *, refused: bool = False) -> bool:
        """Gives the slot back. After a refusal no more are opened at once than the server has just allowed; whether
        ours was the only one, so that waiting for another of ours is no way out."""
        with self._changed:
            self._in_flight -= 1
            if refused:
                self._limit = max(1, min(self._limit, self._in_flight))
            self._changed.notify_all()
            return self._in_flight == 0


def open_forward(transport: Transport, address: str, port: int, deadline: Deadline) -> Channel:
    """A connection from the far end to `address:port` (`direct-tcpip`). Raises ChannelRefused."""
    from preflight.sessions.ssh.transport import paramiko

    try:
        seconds = max(deadline.left(), 0.1)
        opened: Channel = transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=seconds)
        return opened
    except paramiko.ChannelException as refused:
        if refused.code == 1:
            raise ChannelRefused(Cause.DENIED, "the server does not allow port forwarding") from None
        said = f" ({transport.refused_channel})" if transport.refused_channel else ""
        detail = f"refused, unknown name or no route, seen from there{said}"
        raise ChannelRefused(Cause.UNREACHABLE, detail) from None
    except Exception as error:  # noqa: BLE001  # SSHException, EOFError, OSError, and what another channel ran into
        if transport.is_active() and (deadline.over or "Timeout" in str(error)):
            raise ChannelRefused(Cause.TIMED_OUT, "no answer in time") from None
        raise ChannelRefused(Cause.CUT_OFF, "the connection was lost") from None
