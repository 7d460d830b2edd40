"""Answers several questions at the same time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from preflight.clock import Deadline
from preflight.probe import Answer, Question
from preflight.sessions import Deliver

VANTAGE = "from here"


class ParallelSession:
    """A session whose questions share no connection. Safe to ask from many threads."""

    stage: str
    most_at_once: ClassVar[int]

    def answer(self, question: Question, deadline: Deadline) -> Answer:
        """Must not raise."""
        raise NotImplementedError

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        """See `preflight.sessions.Session`. Calls `deliver` in this thread or another, and returns after the last."""
        waiting = deque(questions)

        def work() -> None:
            while True:
                try:
                    question = waiting.popleft()
                except IndexError:
                    return
                deliver(question, self.answer(question, deadline))

        others = [
            threading.Thread(target=work, name=f"ask-{number}", daemon=True)
            for number in range(1, min(self.most_at_once, len(questions)))
        ]
        for thread in others:
            thread.start()
        work()
        for thread in others:
            thread.join()

    def close(self) -> None:
        """Nothing outlives a question, and each of those ends by its own deadline."""
