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
        """What it is doing or waiting for, as a participle: `resolving db1.example.net`. Read by another thread."""

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        """Calls `deliver` once for every question, from any thread, as answers arrive.

        Trouble in the outside world is delivered as `NoReply`, never raised. What nothing can bound (the system's
        resolver, a file system that hangs) may hold it beyond the deadline: whoever calls it does not wait for it."""

    def close(self) -> None:
        """Ends the session and frees threads and sockets; safe to call twice and from another thread."""


class SessionFailed(PreflightError):
    """A session could not be opened or was lost; carries what every question on it gets for an answer."""

    def __init__(self, answer: NoReply) -> None:
        super().__init__(answer.detail)
        self.answer = answer
