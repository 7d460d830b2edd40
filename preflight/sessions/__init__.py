"""The only folder that touches the network. Sessions carry questions and bring replies back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from preflight.clock import Deadline
from preflight.errors import PreflightError
from preflight.probe import Answer, NoReply, Question

Deliver = Callable[[Question, Answer], None]


class Session(Protocol):
    """What one target is asked through. Opened at the first question, kept for the second round."""

    @property
    def stage(self) -> str:
        """What it is waiting for just now, in words that follow "while": `connecting to 10.0.0.1:22`. Read from another
        thread."""

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        """Calls `deliver` once for every question, as answers arrive.

        Runs in a thread of its own. It may return after the deadline: by then the caller has answered what was missing,
        and takes nothing more. While questions with a channel of their own are under way, others may come by a second
        call. Trouble in the outside world is delivered as `NoReply`, never raised."""

    def close(self) -> None:
        """Ends the session and frees threads and sockets; safe to call twice and from another thread."""


class SessionFailed(PreflightError):
    """A session could not be opened or was lost; carries what every question on it gets for an answer."""

    def __init__(self, answer: NoReply) -> None:
        super().__init__(answer.detail)
        self.answer = answer
