"""Asking a session the way the engine does: in a thread that is left behind when it does not come back in time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

from preflight.clock import Deadline, now
from preflight.probe import Answer, NoReply, Question
from preflight.reasons import Reason
from preflight.sessions import Session

GRACE_SECONDS = 0.5
"""As the engine gives it: a session knows best what it waited for, so its own word comes first."""


def ask_within(session: Session, questions: Sequence[Question], seconds: float) -> list[tuple[Question, Answer]]:
    """The answers as they arrive; what is missing at the end of the time is a timeout that names the stage."""
    arrived: queue.SimpleQueue[tuple[Question, Answer] | None] = queue.SimpleQueue()
    deadline = Deadline(seconds)

    def work() -> None:
        try:
            session.ask(questions, deadline, lambda asked, answer: arrived.put((asked, answer)))
        finally:
            arrived.put(None)

    threading.Thread(target=work, name="asking", daemon=True).start()
    answers: list[tuple[Question, Answer]] = []
    try:
        while (item := arrived.get(timeout=deadline.left() + GRACE_SECONDS)) is not None:
            answers.append(item)
    except queue.Empty:
        missing = [asked for asked in questions if asked not in [each for each, _ in answers]]
        lost = NoReply(Reason.TARGET_LIMIT, f"no answer in {seconds:g} s; last seen {session.stage}", now(), seconds)
        answers += [(asked, lost) for asked in missing]
    return answers
