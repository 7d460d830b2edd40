"""One batch of questions under way on a channel of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from preflight.clock import monotonic
from preflight.probe import Question
from preflight.reasons import Reason
from preflight.sessions.ssh import batch
from preflight.sessions.ssh.command_channel import CommandChannel, News

if TYPE_CHECKING:
    from preflight.sessions.ssh.transport import Channel

_GRACE_SECONDS = 3.0
"""More than the 2 s that `timeout -k 2` waits at the far end, so that the far end's own word arrives first."""
_TOTAL_CAP_BYTES = 32 * 1024 * 1024
_FOREVER_SECONDS = 3600.0


class Ending(Enum):
    """Why a batch is over."""

    ANSWERED = "every question has its answer"
    ENDED = "the shell ended"
    REFUSED = "the server did not run a shell"
    CUT_OFF = "the connection was lost"
    STUCK = "the question under way takes too long, or says too much"


class BatchRun:
    """Sends the script of a batch and takes its answers, a step at a time."""

    def __init__(
        self,
        questions: Sequence[Question],
        secret: str | None,
        answered: Callable[[Question, batch.Frame], None],
        channel: Channel,
        news: News,
    ) -> None:
        """`secret`: written to the only question's standard input once its command runs. `news`: see
        `CommandChannel`."""
        nonce = batch.new_nonce()
        self.begun = monotonic()
        self.reader = batch.BatchReader(nonce, questions)
        self._script: bytes | None = batch.script(nonce, questions)
        self._secret = secret
        self._open = dict(enumerate(questions))
        self._answered = answered
        self.command = CommandChannel(channel, batch.COMMAND, news)

    @property
    def unanswered(self) -> list[Question]:
        return list(self._open.values())

    @property
    def current(self) -> Question | None:
        """The question that is being answered."""
        number = self.reader.current
        return None if number is None else self._open[number]

    def advance(self) -> Ending | None:
        """Sends and receives what can be without waiting; how the batch ended, or None while it goes on."""
        self.command.receive(self._hear)
        self.command.send(self._more)  # after what was heard: a secret waits for its command to run
        if not self._open:
            return Ending.ANSWERED
        if self._patience() <= 0:
            return Ending.STUCK
        if not self.command.ended:
            return None
        if self.command.refused:
            return Ending.REFUSED
        # paramiko marks a lost channel closed; only a real end has a status
        return Ending.ENDED if self.command.exit_status >= 0 else Ending.CUT_OFF

    @property
    def wait_seconds(self) -> float:
        """How long there is nothing to do unless there is news."""
        return min(self._patience(), self.command.poll_seconds)

    def complaint(self) -> tuple[Reason, str]:
        """Why a batch was given up as stuck."""
        if self.reader.overflowing:
            return too_much(batch.OUTPUT_CAP_BYTES)
        if self.current is None or self.reader.total_bytes > _TOTAL_CAP_BYTES:
            return too_much(_TOTAL_CAP_BYTES)
        return Reason.QUESTION_LIMIT, f"took more than {self.current.timeout_seconds:.0f} s and did not end"

    def _hear(self, stream: batch.Stream, data: bytes) -> bool:
        for frame in self.reader.feed(stream, data):
            self._answered(self._open.pop(frame.number), frame)
        return self._patience() > 0

    def _more(self) -> bytes | None:
        if self._script is not None:
            script, self._script = self._script, None
            return script
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
