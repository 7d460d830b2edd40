"""One batch of questions under way on a channel of its own."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from preflight.clock import monotonic
from preflight.probe import Question
from preflight.reasons import Reason
from preflight.sessions.ssh import batch
from preflight.sessions.ssh.batch import Stream

if TYPE_CHECKING:
    from preflight.sessions.ssh.transport import Channel

_READ_BYTES = 65536
_LINGER_SECONDS = 0.3  # after the exit status: output still under way, not a child that keeps the stream open
_SEND_POLL_SECONDS = 0.02  # a full send window has no event to wait for
_GRACE_SECONDS = 3.0
"""More than the 2 s that `timeout -k 2` waits at the far end, so that the far end's own word arrives first."""
_TOTAL_CAP_BYTES = 32 * 1024 * 1024
_FOREVER_SECONDS = 3600.0


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


class Ending(Enum):
    """Why a batch is over."""

    ANSWERED = "every question has its answer"
    ENDED = "the shell ended"
    REFUSED = "the server did not run a shell"
    CUT_OFF = "the connection was lost"
    STUCK = "the question under way takes too long, or says too much"


class BatchRun:
    """Sends the script of a batch and takes its answers, a step at a time, without ever waiting. None of paramiko's
    timeouts bounds a command as a whole, its two output streams share one window (reading one while the other fills is
    a deadlock), and a background child can keep the output open after the command has ended."""

    def __init__(
        self,
        questions: Sequence[Question],
        secret: str | None,
        answered: Callable[[Question, batch.Frame], None],
        channel: Channel,
        news: News,
    ) -> None:
        """`secret`: written to the only question's standard input once its command runs. `news`: set whenever there is
        more to be done. The answer to the request for a shell is not waited for: what follows is sent at once."""
        nonce = secrets.token_hex(16)
        self.begun = self._heard_at = monotonic()
        self.reader = batch.BatchReader(nonce, questions)
        self.channel, self._secret = channel, secret
        self._open = dict(enumerate(questions))
        self._answered = answered
        self._unsent = batch.script(nonce, questions)
        self._input_open = True
        channel.setblocking(0)
        # Not the channel's descriptor: paramiko's thread may still write to that pipe while close() takes it away,
        # which ends the whole connection with EBADF or, worse, writes into whatever has got the number meanwhile.
        channel.in_buffer.set_event(news)
        channel.in_stderr_buffer.set_event(news)
        channel.status_event = _Status(news)
        channel.request_command(batch.COMMAND)

    @property
    def unanswered(self) -> list[Question]:
        return list(self._open.values())

    @property
    def current(self) -> Question | None:
        number = self.reader.current
        return None if number is None else self._open[number]

    def advance(self) -> Ending | None:
        """Sends and receives what can be without waiting; how the batch ended, or None while it goes on."""
        self._receive()
        self._send()  # after what was heard: a secret waits for its command to run
        if not self._open:
            return Ending.ANSWERED
        if self._patience() <= 0:
            return Ending.STUCK
        if not self._ended:
            return None
        if self.channel.closed and not self.channel.event_ready:
            return Ending.REFUSED
        # paramiko marks a lost channel closed; only a real end has a status
        return Ending.ENDED if self.channel.exit_status >= 0 else Ending.CUT_OFF

    @property
    def wait_seconds(self) -> float:
        """How long there is nothing to do unless there is news."""
        if self._unsent and self._input_open:
            return min(self._patience(), _SEND_POLL_SECONDS)
        if self.channel.exit_status_ready():
            return min(self._patience(), _LINGER_SECONDS / 4)
        return self._patience()

    def complaint(self) -> tuple[Reason, str]:
        """Why a batch was given up as stuck."""
        if self.reader.overflowing:
            return too_much(batch.OUTPUT_CAP_BYTES)
        if self.current is None or self.reader.total_bytes > _TOTAL_CAP_BYTES:
            return too_much(_TOTAL_CAP_BYTES)
        return Reason.QUESTION_LIMIT, f"took more than {self.current.timeout_seconds:.0f} s and did not end"

    @property
    def _ended(self) -> bool:
        """The shell has ended, or its channel, and all it said has been received."""
        over = self.channel.closed or (
            self.channel.exit_status_ready()
            and (self.channel.eof_received or monotonic() - self._heard_at > _LINGER_SECONDS)
        )
        # Last: what arrives between the two looks comes before the end, and must not be lost.
        return over and not (self.channel.recv_ready() or self.channel.recv_stderr_ready())

    def _receive(self) -> None:
        """Takes what has arrived, until it is more than may be waited for: the window then stops the sender."""
        for stream, ready, read in (
            (Stream.OUT, self.channel.recv_ready, self.channel.recv),
            (Stream.ERR, self.channel.recv_stderr_ready, self.channel.recv_stderr),
        ):
            while ready():
                self._heard_at = monotonic()
                for frame in self.reader.feed(stream, read(_READ_BYTES)):
                    self._answered(self._open.pop(frame.number), frame)
                if self._patience() <= 0:
                    return

    def _send(self) -> None:
        try:
            while self._input_open:
                data = self._unsent or self._more()
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

    def _more(self) -> bytes | None:
        """Empty for nothing yet, None for nothing ever again."""
        if self._secret is None:
            return None
        if self.reader.current is None:
            return b""  # the secret goes to the command and to nobody else: not before it runs
        secret, self._secret = self._secret, None
        return secret.encode() + b"\n"

    def _patience(self) -> float:
        """Seconds the far side may still take for what it is doing; the deadline alone bounds the start of a shell."""
        if self.reader.overflowing or self.reader.total_bytes > _TOTAL_CAP_BYTES:
            return 0.0
        if self.current is None:
            return _FOREVER_SECONDS
        return max(0.0, self.current.timeout_seconds + _GRACE_SECONDS - self.reader.current_seconds)


def too_much(cap_bytes: int) -> tuple[Reason, str]:
    return Reason.TOO_MUCH, f"more than {cap_bytes // 1024} KiB of output"
