"""Asks: many targets at a time, each in a daemon worker, all against one deadline. Never raises for the outside
world and never waits for a target that hangs longer than the deadline allows."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from preflight.clock import Deadline, now
from preflight.evidence import redact
from preflight.probe import Answer, Cause, NoReply, Question, Via
from preflight.sessions import Session

MOST_WORKERS = 64
TARGET_SECONDS = 30.0
"""What one target may take in one round, in seconds, unless a question of its own asks for more."""

_WAKE_SECONDS = 0.2
"""Seconds. The kernel may hand a signal to a worker thread; the main thread sees it only when it wakes, so it does."""

OpenSession = Callable[[Via, str], Session]
Answers = dict[str, tuple[Question, Answer]]
_Group = tuple[Via, str, Sequence[Question]]


def gather(
    questions: Iterable[Question],
    open_session: OpenSession,
    deadline: Deadline,
    *,
    mask: Callable[[str], str] = str,
    on_answer: Callable[[Question, Answer], None] = lambda _question, _answer: None,
) -> Answers:
    """The answer to every question, by question id. What is missing at the deadline is `timed out`.

    `mask` redacts each answer before it is kept. `on_answer` is called in the calling thread as answers arrive."""
    groups = _by_target(questions)
    arrived: queue.SimpleQueue[tuple[Question, Answer] | None] = queue.SimpleQueue()
    waiting: queue.SimpleQueue[_Group] = queue.SimpleQueue()
    for group in groups:
        waiting.put(group)
    for number in range(min(MOST_WORKERS, len(groups))):
        worker = threading.Thread(
            target=_work, args=(waiting, arrived, open_session, deadline), name=f"gather-{number}", daemon=True
        )
        worker.start()
    answers = _receive(arrived, len(groups), deadline, mask, on_answer)
    for via, target, asked in groups:
        for question in asked:
            if question.id not in answers:
                detail = f"{via} {target}: no answer within the {deadline.seconds:g} s of the whole run"
                answers[question.id] = (question, NoReply(Cause.TIMED_OUT, detail, now(), deadline.seconds))
    return answers


def _by_target(questions: Iterable[Question]) -> list[_Group]:
    groups: dict[tuple[Via, str], dict[str, Question]] = {}
    for question in questions:
        groups.setdefault((question.via, question.target), {})[question.id] = question
    return [(via, target, list(asked.values())) for (via, target), asked in groups.items()]


def _receive(
    arrived: queue.SimpleQueue[tuple[Question, Answer] | None],
    groups: int,
    deadline: Deadline,
    mask: Callable[[str], str],
    on_answer: Callable[[Question, Answer], None],
) -> Answers:
    answers: Answers = {}
    while groups:
        try:
            item = arrived.get(timeout=min(deadline.left(), _WAKE_SECONDS))
        except queue.Empty:
            if deadline.over:
                break
            continue
        if item is None:
            groups -= 1
            continue
        question, answer = item[0], redact(item[1], mask)
        # The first answer stands: a second one would come from a session that breaks its promise.
        if question.id not in answers:
            answers[question.id] = (question, answer)
            on_answer(question, answer)
    return answers


def _work(
    waiting: queue.SimpleQueue[_Group],
    arrived: queue.SimpleQueue[tuple[Question, Answer] | None],
    open_session: OpenSession,
    deadline: Deadline,
) -> None:
    while True:
        try:
            via, target, questions = waiting.get_nowait()
        except queue.Empty:
            return
        delivered: set[str] = set()

        def deliver(question: Question, answer: Answer, delivered: set[str] = delivered) -> None:
            delivered.add(question.id)
            arrived.put((question, answer))

        slowest = max(question.timeout_seconds for question in questions)
        detail = "the session returned without an answer"
        try:
            open_session(via, target).ask(questions, deadline.at_most(max(TARGET_SECONDS, slowest + 10.0)), deliver)
        except Exception as error:  # noqa: BLE001 - a defect of one session must not lose the other targets
            detail = f"the {via} session to {target} failed itself: {type(error).__name__}: {error}"
        for question in questions:
            if question.id not in delivered:
                arrived.put((question, NoReply(Cause.NOT_ASKED, detail, now())))
        arrived.put(None)


def targets(questions: Iterable[Question]) -> Mapping[tuple[Via, str], int]:
    """How many questions each target gets."""
    return {(via, target): len(asked) for via, target, asked in _by_target(questions)}
