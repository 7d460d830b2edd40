"""Asks many targets at a time. Each target has a queue of questions of its own; a daemon worker takes all that waits
there and hands it to the target's session. Nobody waits for a session: one that is still busy when its time is over is
left behind, and what it owes is answered here. Never raises for the outside world."""

from __future__ import annotations

import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Self

from preflight.clock import Deadline, monotonic, now
from preflight.probe import Answer, NoReply, Question, Via
from preflight.reasons import Reason
from preflight.sessions import Session

MOST_WORKERS = dict.fromkeys(Via, 64) | {Via.HTTP: 256}
"""For each kind of session, so that none waits for another kind's. Those of endpoints mostly wait for a sample."""
TARGET_SECONDS = 30.0
"""What one target may take to answer what was asked at once, unless its slowest question asks for more."""
_QUESTION_MARGIN_SECONDS = 10.0
"""What a target may take beyond its slowest question: to connect, to log in, to answer the others."""

_GRACE_SECONDS = 0.5
"""A session knows best what it waited for; so much later its silence is answered here."""
_WAKE_SECONDS = 0.2
"""Seconds. The kernel may hand a signal to a worker thread; the main thread sees it only when it wakes, so it does."""

OpenSession = Callable[[Via, str], Session]


@dataclass(slots=True, eq=False)
class _Target:
    """One target: what waits to be asked there, and what is being asked."""

    via: Via
    id: str
    session: Session | None = None
    waiting: dict[str, Question] = field(default_factory=dict)
    batches: list[_Batch] = field(default_factory=list)

    def take(self) -> dict[str, Question]:
        """What may be asked now. While something is being asked, further questions wait for it and go together;
        only what has a channel of its own holds nobody back. A secret is never typed in two places at once: a refused
        one must not be offered again."""
        if not self.waiting:
            return {}
        asked = [question for batch in self.batches for question in batch.open.values()]
        all_own = all(question.own_channel and question.via is Via.SSH for question in asked)
        if not all_own or not all(batch.open for batch in self.batches):  # one without is about to return
            return {}
        typing = any(question.stdin_secret for question in asked)
        taken = {key: each for key, each in self.waiting.items() if not (typing and each.stdin_secret)}
        for key in taken:
            del self.waiting[key]
        return taken


@dataclass(slots=True, eq=False)
class _Batch:
    """Questions that are asked at once; a worker has them, or will."""

    target: _Target
    open: dict[str, Question]
    questions: Sequence[Question]
    begun_at: float | None = None
    """By the monotonic clock; None while no worker is free."""
    session: Session | None = None
    left_behind: bool = False

    @property
    def limit_seconds(self) -> float:
        return max(TARGET_SECONDS, max(each.timeout_seconds for each in self.questions) + _QUESTION_MARGIN_SECONDS)

    @property
    def waited_seconds(self) -> float:
        return 0.0 if self.begun_at is None else monotonic() - self.begun_at

    def no_reply(self, run: Deadline) -> NoReply:
        """The answer to what is still open: which limit struck, after how many seconds, in the middle of what."""
        waited, name = self.waited_seconds, self.target.id
        whole = f"the {run.seconds:g} s of the whole run were over"
        if self.begun_at is None:
            return NoReply(Reason.RUN_DEADLINE, f"{name}: not asked: {whole} before its turn came", now(), 0.0)
        doing = self.session.stage if self.session else "opening the session"
        limit, reason = f"{self.limit_seconds:g} s are the limit of one target", Reason.TARGET_LIMIT
        if run.over:
            limit, reason = whole, Reason.RUN_DEADLINE
        elif self.limit_seconds > TARGET_SECONDS:
            limit = f"{self.limit_seconds:g} s are the limit of its slowest question"
        return NoReply(reason, f"{name}: no answer within {waited:.1f} s, while {doing}: {limit}", now(), waited)


_Arrival = tuple[_Batch, Question, Answer] | tuple[_Batch, None, str]
"""An answer; or that a session has returned, and what is said of questions that it left open."""


class Asking:
    """A context manager: inside, questions are asked at any time and their answers come in any order. For one thread.
    Every question gets exactly one answer; what is missing when the time of its target or of the run is over gets
    `timed out`."""

    def __init__(self, open_session: OpenSession, deadline: Deadline) -> None:
        self._open_session, self._deadline = open_session, deadline
        self._workers: Counter[Via] = Counter()
        self._targets: dict[tuple[Via, str], _Target] = {}
        self._stirred: dict[_Target, None] = {}
        """Targets where something may be asked now."""
        self._batches: dict[_Batch, None] = {}
        """Handed out, and their session has not returned."""
        self._handed_out: Counter[Via] = Counter()
        """How many of them are of each kind."""
        self._ready: dict[Via, queue.SimpleQueue[_Batch | None]] = {via: queue.SimpleQueue() for via in Via}
        self._arrived: queue.SimpleQueue[_Arrival] = queue.SimpleQueue()
        self._lost: deque[tuple[Question, Answer]] = deque()
        """Answers that no session gave."""
        self._look_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for via in self._workers.elements():
            self._ready[via].put(None)

    def ask(self, questions: Iterable[Question]) -> None:
        """Never blocks."""
        for question in questions:
            target = self._targets.setdefault((question.via, question.target), _Target(question.via, question.target))
            target.waiting[question.id] = question
            self._stirred[target] = None

    def close(self, via: Via, target_id: str) -> None:
        """Closes the session with a target that most likely gets no more questions, unless it owes an answer."""
        target = self._targets[via, target_id]
        if target.session is not None and not target.waiting and not any(batch.open for batch in target.batches):
            target.session.close()

    def next_answer(self) -> tuple[Question, Answer] | None:
        """The next answer; None when every question that was asked has one."""
        while True:
            if self._lost:
                return self._lost.popleft()
            try:
                arrival = self._arrived.get_nowait()
            except queue.Empty:
                # Not before all that has arrived was taken: what it makes necessary to ask goes out together.
                self._hand_out()
                if not self._batches and not self._lost:
                    return None
                self._give_up()
                try:
                    arrival = self._arrived.get(timeout=0 if self._lost else min(self._deadline.left(), _WAKE_SECONDS))
                except queue.Empty:
                    continue
            if found := self._take(arrival):
                return found

    def _take(self, arrival: _Arrival) -> tuple[Question, Answer] | None:
        batch = arrival[0]
        if batch.left_behind:
            return None
        self._stirred[batch.target] = None
        if arrival[1] is None:
            self._end(batch)
            self._lose(batch, NoReply(Reason.NOT_ASKED, arrival[2], now()))
            return None
        _, question, answer = arrival
        # The first answer stands: a second one would come from a session that breaks its promise.
        return (question, answer) if batch.open.pop(question.id, None) else None

    def _hand_out(self) -> None:
        """Gives to the workers what may be asked now; at the run's end, gives it up instead."""
        stirred, self._stirred = self._stirred, {}
        # The first target of each kind, then the second of each: a host whose checks wait for its database or for the
        # files beside the plan would keep its connection open until all other hosts were asked.
        turns = {via: count() for via in Via}
        for target in sorted(stirred, key=lambda each: next(turns[each.via])):
            taken = target.take()
            if not taken:
                continue
            batch = _Batch(target, taken, list(taken.values()))
            if self._deadline.over:
                self._lose(batch, batch.no_reply(self._deadline))
                continue
            target.batches.append(batch)
            self._batches[batch] = None
            self._handed_out[target.via] += 1
            self._ready[target.via].put(batch)
        self._start_workers()

    def _start_workers(self) -> None:
        for via, batches in self._handed_out.items():
            while self._workers[via] < min(MOST_WORKERS[via], batches):
                self._workers[via] += 1
                name = f"gather-{via}-{self._workers[via]}"
                threading.Thread(target=self._work, args=(self._ready[via],), name=name, daemon=True).start()

    def _give_up(self) -> None:
        """Leaves behind every batch whose time is over, with its worker."""
        if monotonic() < self._look_at and not self._deadline.over:
            return
        self._look_at = monotonic() + _WAKE_SECONDS
        for batch in list(self._batches):
            if self._deadline.over or batch.waited_seconds > batch.limit_seconds + _GRACE_SECONDS:
                batch.left_behind = True
                self._workers[batch.target.via] -= batch.begun_at is not None
                self._end(batch)
                self._lose(batch, batch.no_reply(self._deadline))
                self._stirred[batch.target] = None
        self._start_workers()

    def _end(self, batch: _Batch) -> None:
        del self._batches[batch]
        self._handed_out[batch.target.via] -= 1
        batch.target.batches.remove(batch)

    def _lose(self, batch: _Batch, answer: NoReply) -> None:
        self._lost += [(question, answer) for question in batch.open.values()]
        batch.open.clear()

    def _work(self, ready: queue.SimpleQueue[_Batch | None]) -> None:
        """In a worker: hands one batch after another to its session."""
        while (batch := ready.get()) is not None:
            if batch.left_behind:
                continue
            batch.begun_at = monotonic()
            self._arrived.put((batch, None, self._ask_session(batch)))
            if batch.left_behind:
                return

    def _ask_session(self, batch: _Batch) -> str:
        """In a worker: asks one batch; what is said of questions that stay without an answer."""
        target = batch.target

        limit = self._deadline.at_most(batch.limit_seconds)
        cut_short = limit.seconds < batch.limit_seconds

        def deliver(question: Question, answer: Answer) -> None:
            # A session does not know whose limit it is given.
            if isinstance(answer, NoReply) and answer.reason is Reason.TARGET_LIMIT and cut_short:
                answer = replace(answer, reason=Reason.RUN_DEADLINE)
            self._arrived.put((batch, question, answer))

        try:
            batch.session = target.session = self._open_session(target.via, target.id)
            batch.session.ask(batch.questions, limit, deliver)
        except Exception as error:  # noqa: BLE001 - a defect of one session must not lose the other targets
            return f"the {target.via} session to {target.id} failed itself: {type(error).__name__}: {error}"
        return "the session returned without an answer"
