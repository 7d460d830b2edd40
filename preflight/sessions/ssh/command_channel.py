"""One command on a channel, read and written without ever waiting.

None of paramiko's timeouts bounds a command as a whole, its two output streams share one window (reading one while
the other fills is a deadlock), and a background child can keep the output open after the command has ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from preflight.clock import monotonic
from preflight.sessions.ssh.batch import Stream

if TYPE_CHECKING:
    from preflight.sessions.ssh.transport import Channel

_READ_BYTES = 65536
_LINGER_SECONDS = 0.3  # after the exit status: output still under way, not a child that keeps the stream open
_SEND_POLL_SECONDS = 0.02  # a full send window has no event to wait for


class News(threading.Event):
    """Set when any of several channels has something new. Buffers clear the event they are given when they are empty,
    which is no news of the others: only `wait_once` clears this one."""

    def clear(self) -> None:
        """See the class."""

    def wait_once(self, seconds: float) -> None:
        self.wait(seconds)
        super().clear()


class _Status(threading.Event):
    """A channel's event for its exit status, which is news, too."""

    def __init__(self, news: News) -> None:
        super().__init__()
        self._news = news

    def set(self) -> None:
        super().set()
        self._news.set()


class CommandChannel:
    """A channel that runs one command. `news` is set whenever there is more to be done."""

    def __init__(self, channel: Channel, command: str, news: News) -> None:
        """Sends the command. The answer to the request is not waited for: what follows is sent at once."""
        channel.setblocking(0)
        # Not the channel's descriptor: paramiko's thread may still write to that pipe while close() takes it away,
        # which ends the whole connection with EBADF or, worse, writes into whatever has got the number meanwhile.
        channel.in_buffer.set_event(news)
        channel.in_stderr_buffer.set_event(news)
        channel.status_event = _Status(news)
        self.channel = channel
        self._unsent = b""
        self._input_open = True
        self._heard_at = monotonic()
        channel.request_command(command)

    @property
    def refused(self) -> bool:
        """The server did not run the command."""
        return bool(self.channel.closed and not self.channel.event_ready)

    @property
    def exit_status(self) -> int:
        """-1: none has arrived."""
        return int(self.channel.exit_status)

    @property
    def ended(self) -> bool:
        """The command has ended, or its channel, and all it said has been received."""
        over = self.channel.closed or (
            self.channel.exit_status_ready()
            and (self.channel.eof_received or monotonic() - self._heard_at > _LINGER_SECONDS)
        )
        # Last: what arrives between the two looks comes before the end, and must not be lost.
        return over and not (self.channel.recv_ready() or self.channel.recv_stderr_ready())

    @property
    def poll_seconds(self) -> float:
        """How soon to look again, news or not."""
        if self._unsent and self._input_open:
            return _SEND_POLL_SECONDS
        return _LINGER_SECONDS / 4 if self.channel.exit_status_ready() else 3600.0

    def send(self, more: Callable[[], bytes | None]) -> None:
        """Sends what `more` gives, as far as the window allows: empty for nothing yet, None for nothing ever again."""
        try:
            while self._input_open:
                data = self._unsent or more()
                if data is None:
                    self._input_open = False
                    self.channel.shutdown_write()
                elif not data:
                    return
                else:
                    self._unsent = data
                    sent = self.channel.send(data)
                    if sent == 0:
                        raise EOFError
                    self._unsent = data[sent:]
        except TimeoutError:
            return  # the window is full; later
        except (OSError, EOFError):
            self._input_open = False  # nobody reads; what has been written still comes

    def receive(self, hear: Callable[[Stream, bytes], bool]) -> None:
        """Hands over what has arrived, until `hear` says that it is enough: the window then stops the sender."""
        for stream, ready, read in (
            (Stream.OUT, self.channel.recv_ready, self.channel.recv),
            (Stream.ERR, self.channel.recv_stderr_ready, self.channel.recv_stderr),
        ):
            while ready():
                self._heard_at = monotonic()
                if not hear(stream, read(_READ_BYTES)):
                    return
