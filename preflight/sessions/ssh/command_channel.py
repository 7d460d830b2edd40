"""Runs one command over a channel and never waits longer than it may.

None of paramiko's timeouts bounds a command as a whole, its two output streams share one window (reading one while
the other fills is a deadlock), and a background child can keep the output open after the command has ended.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from preflight.clock import Deadline, monotonic
from preflight.sessions.ssh.batch import Stream

if TYPE_CHECKING:
    import paramiko

WINDOW_BYTES = 2 * 1024 * 1024
_READ_BYTES = 65536
_LINGER_SECONDS = 0.3  # after the exit status: output still under way, not a child that keeps the stream open
_STATUS_POLL_SECONDS = 0.25  # a status without an end of output (a child keeps it open) is no event for the buffers
_SEND_POLL_SECONDS = 0.02  # a full send window has no event to wait for


class Ending(Enum):
    """Why a conversation stopped."""

    ENOUGH = "everything wanted has arrived"
    ENDED = "the command ended"
    CUT_OFF = "the connection was lost"
    DEADLINE = "no time left"
    STUCK = "the question under way takes too long, or says too much"


class Talk(Protocol):
    """What is said and heard on a channel."""

    def hear(self, stream: Stream, data: bytes) -> None: ...

    def say(self) -> bytes | None:
        """More for the standard input: empty for nothing yet, None for nothing ever again."""

    def satisfied(self) -> bool: ...

    def patience(self) -> float:
        """Seconds the far side may still take for what it is doing; 0 ends the conversation."""


@dataclass(frozen=True, slots=True)
class Outcome:
    ending: Ending
    exit_status: int = -1
    """-1: none arrived."""


def converse(channel: paramiko.Channel, talk: Talk, deadline: Deadline) -> Outcome:
    """Talks until `talk` is satisfied or patience, command, connection or deadline end. Blocks no longer than the
    deadline; the caller closes the channel."""
    channel.setblocking(0)
    news = _News()
    # Not the channel's descriptor: paramiko's thread may still write to that pipe while close() takes it away, which
    # ends the whole connection with EBADF or, worse, writes into whatever has got the number meanwhile.
    channel.in_buffer.set_event(news)
    channel.in_stderr_buffer.set_event(news)
    return _Conversation(channel, talk, deadline, news).run()


class _News(threading.Event):
    """Set by paramiko when output arrives or ends. Two buffers share it, so only the reader clears it."""

    def clear(self) -> None:
        """What one buffer says of itself is no news of the other."""

    def wait_once(self, seconds: float) -> None:
        self.wait(seconds)
        super().clear()


class _Conversation:
    def __init__(self, channel: paramiko.Channel, talk: Talk, deadline: Deadline, news: _News) -> None:
        self._channel = channel
        self._talk = talk
        self._deadline = deadline
        self._news = news
        self._unsent = b""
        self._stdin_open = True
        self._heard_at = monotonic()

    def run(self) -> Outcome:
        while True:
            self._send()
            heard = self._receive()
            if self._talk.satisfied():
                return Outcome(Ending.ENOUGH)
            if not heard and self._command_ended():
                # paramiko marks a lost channel closed; only a real end has a status
                status = self._channel.exit_status
                return Outcome(Ending.ENDED if status >= 0 else Ending.CUT_OFF, status)
            if self._deadline.over:
                return Outcome(Ending.DEADLINE)
            if self._talk.patience() <= 0:
                return Outcome(Ending.STUCK)
            if not heard:
                self._wait()

    def _send(self) -> None:
        if not self._stdin_open:
            return
        try:
            if not self._unsent:
                more = self._talk.say()
                if more is None:
                    self._stdin_open = False
                    self._channel.shutdown_write()
                    return
                self._unsent = more
            while self._unsent:
                sent = self._channel.send(self._unsent)
                if sent == 0:
                    raise EOFError
                self._unsent = self._unsent[sent:]
        except TimeoutError:
            return  # the window is full; later
        except (OSError, EOFError):
            self._stdin_open = False  # nobody reads; what has been written still comes

    def _receive(self) -> bool:
        heard = False
        while self._channel.recv_ready():
            self._talk.hear(Stream.OUT, self._channel.recv(_READ_BYTES))
            heard = True
            if self._talk.patience() <= 0:
                break  # a flood: stop reading, the window stops the sender
        while self._channel.recv_stderr_ready():
            self._talk.hear(Stream.ERR, self._channel.recv_stderr(_READ_BYTES))
            heard = True
            if self._talk.patience() <= 0:
                break
        if heard:
            self._heard_at = monotonic()
        return heard

    def _command_ended(self) -> bool:
        if self._channel.closed:
            return not (self._channel.recv_ready() or self._channel.recv_stderr_ready())
        if not self._channel.exit_status_ready():
            return False
        return bool(self._channel.eof_received) or monotonic() - self._heard_at > _LINGER_SECONDS

    def _wait(self) -> None:
        seconds = min(self._deadline.left(), self._talk.patience())
        if self._unsent:
            seconds = min(seconds, _SEND_POLL_SECONDS)
        if self._channel.exit_status_ready():
            seconds = min(seconds, _LINGER_SECONDS / 4)
        if self._channel.eof_received:
            self._channel.status_event.wait(seconds)  # no more output will come, but the status
        else:
            self._news.wait_once(min(seconds, _STATUS_POLL_SECONDS))
