"""Answers several questions at the same time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from preflight.probe import Answer, Question
from preflight.sessions import Deliver


def answer_in_threads(
    questions: Sequence[Question], answer: Callable[[Question], Answer], deliver: Deliver, *, most_at_once: int
) -> None:
    """Calls `deliver` once for each question, in this thread or another, and returns after the last. `answer` must not
    raise."""
    waiting = deque(questions)

    def work() -> None:
        while True:
            try:
                question = waiting.popleft()
            except IndexError:
                return
            deliver(question, answer(question))

    others = [
        threading.Thread(target=work, name=f"ask-{number}", daemon=True)
        for number in range(1, min(most_at_once, len(questions)))
    ]
    for thread in others:
        thread.start()
    work()
    for thread in others:
        thread.join()
