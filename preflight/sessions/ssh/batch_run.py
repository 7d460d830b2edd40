"""One batch of questions as a conversation on a channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from preflight.probe import Cause, Question
from preflight.sessions.ssh import batch

_GRACE_SECONDS = 3.0
"""More than the 2 s that `timeout -k 2` waits at the far end, so that the far end's own word arrives first."""
_TOTAL_CAP_BYTES = 32 * 1024 * 1024
_FOREVER_SECONDS = 3600.0

Numbered = tuple[int, Question]
"""A question and its number among those that were asked together."""


class BatchTalk:
    """A `preflight.sessions.ssh.command_channel.Talk`: says the script, hears the answers."""

    def __init__(
        self, questions: Sequence[Numbered], secret: str | None, answered: Callable[[Numbered, batch.Frame], None]
    ) -> None:
        """`secret`: written to the only question's standard input once its command runs."""
        nonce = batch.new_nonce()
        asked = [question for _, question in questions]
        self.reader = batch.BatchReader(nonce, asked)
        self._script: bytes | None = batch.script(nonce, asked)
        self._secret = secret
        self._open = dict(enumerate(questions))
        self._answered = answered

    @property
    def unanswered(self) -> list[Numbered]:
        return list(self._open.values())

    @property
    def current(self) -> Numbered | None:
        """The question that is being answered."""
        number = self.reader.current
        return None if number is None else self._open[number]

    def complaint(self) -> tuple[Cause, str]:
        """Why the conversation was given up."""
        if self.reader.overflowing:
            return too_much(batch.OUTPUT_CAP_BYTES)
        if self.current is None or self.reader.total_bytes > _TOTAL_CAP_BYTES:
            return too_much(_TOTAL_CAP_BYTES)
        return Cause.TIMED_OUT, f"took more than {self.current[1].timeout_seconds:.0f} s and did not end"

    def hear(self, stream: batch.Stream, data: bytes) -> None:
        for frame in self.reader.feed(stream, data):
            self._answered(self._open.pop(frame.number), frame)

    def say(self) -> bytes | None:
        if self._script is not None:
            script, self._script = self._script, None
            return script
        if self._secret is None:
            return None
        if self.reader.current is None:
            return b""  # the secret goes to the command and to nobody else: not before it runs
        secret, self._secret = self._secret, None
        return secret.encode() + b"\n"

    def satisfied(self) -> bool:
        return not self._open

    def patience(self) -> float:
        if self.reader.overflowing or self.reader.total_bytes > _TOTAL_CAP_BYTES:
            return 0.0
        if self.current is None:
            return _FOREVER_SECONDS  # the deadline alone bounds the start of a shell
        return max(0.0, self.current[1].timeout_seconds + _GRACE_SECONDS - self.reader.current_seconds)


def too_much(cap_bytes: int) -> tuple[Cause, str]:
    return Cause.CUT_OFF, f"more than {cap_bytes // 1024} KiB of output"
