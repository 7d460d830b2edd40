"""The only folder that touches the network. Sessions carry questions and bring replies back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from preflight.clock import Deadline
from preflight.errors import PreflightError
from preflight.probe import Answer, Cause, NoReply, Question

Deliver = Callable[[Question, Answer], None]


class Session(Protocol):
    """One conversation with one target. Opened at the first question, kept for the second round."""

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        """Calls `deliver` once for every question, as answers arrive, and returns by the deadline.

        CannotAsk in the outside world is delivered as `NoReply`, never raised."""

    def close(self) -> None:
        """Ends the conversation and frees threads and sockets; safe to call twice and from another thread."""


class SessionFailed(PreflightError):
    """A session could not be opened or was lost; carries what every question on it gets for an answer."""

    def __init__(self, answer: NoReply) -> None:
        super().__init__(answer.detail)
        self.answer = answer


class CannotAsk(Exception):
    """Why something could not be asked, on its way up to the `NoReply` it becomes; never leaves the sessions."""

    def __init__(self, cause: Cause, detail: str, reason: str = "") -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail
        self.reason = reason
