"""Answers several questions at the same time, in daemon threads that nobody has to wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

from preflight.clock import Deadline, monotonic, now
from preflight.probe import Answer, Cause, NoReply, Question
from preflight.sessions import Deliver


def answer_in_threads(
    questions: Sequence[Question],
    deadline: Deadline,
    deliver: Deliver,
    answer: Callable[[Question, Deadline], Answer],
    *,
    most_at_once: int,
    vantage: str,
) -> None:
    """Calls `deliver` once for each question, in the calling thread, and returns by the deadline.

    A question without an answer by then is `timed out` with the reason `run-deadline`, and its thread is abandoned;
    one whose `answer` raises is `not asked`."""
    waiting: queue.SimpleQueue[Question] = queue.SimpleQueue()
    arrived: queue.SimpleQueue[tuple[Question, Answer]] = queue.SimpleQueue()
    for question in questions:
        waiting.put(question)

    def work() -> None:
        while True:
            try:
                question = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                arrived.put((question, answer(question, deadline)))
            except Exception as error:  # noqa: BLE001 - a defect must cost one question only
                detail = f"{question.target}: the session failed itself: {type(error).__name__}: {error}"
                arrived.put((question, NoReply(Cause.NOT_ASKED, detail, now(), vantage=vantage)))

    for number in range(min(most_at_once, len(questions))):
        threading.Thread(target=work, name=f"ask-{number}", daemon=True).start()
    begun, missing = monotonic(), {question.id: question for question in questions}
    while missing:
        try:
            question, found = arrived.get(timeout=deadline.left())
        except queue.Empty:
            break
        del missing[question.id]
        deliver(question, found)
    for question in missing.values():
        detail = f"{question.target}: no answer within {monotonic() - begun:.1f} s, when the time for it was over"
        deliver(question, NoReply(Cause.TIMED_OUT, detail, now(), monotonic() - begun, vantage, "run-deadline"))
