"""Asking: deadlines, hanging targets, sessions that break their promises."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from preflight.clock import Deadline, monotonic
from preflight.gather import gather
from preflight.probe import Cause, NoReply, Question, Reply, Via
from preflight.sessions import Deliver, Session
from tests.toy import Script, reply

ONE, TWO = Question(Via.SSH, "db1", "echo one"), Question(Via.SSH, "db1", "echo two")
ELSEWHERE = Question(Via.SSH, "db2", "echo one")


class Fake:
    def __init__(self, ask: Callable[[Sequence[Question], Deadline, Deliver], None]) -> None:
        self.ask = ask

    def close(self) -> None:
        """Nothing to free."""


def opener(**sessions: Session) -> Callable[[Via, str], Session]:
    return lambda _via, target: sessions[target]


def test_every_question_is_answered_once() -> None:
    answers = gather([ONE, TWO, ONE, ELSEWHERE], Script("yes").open, Deadline(5))
    assert sorted(answers) == sorted({ONE.id, TWO.id, ELSEWHERE.id})


def test_a_hanging_target_costs_only_itself() -> None:
    release = threading.Event()
    hanging = Fake(lambda _questions, _deadline, _deliver: release.wait(30) and None)
    started = monotonic()
    answers = gather([ONE, ELSEWHERE], opener(db1=hanging, db2=Script()), Deadline(0.3))
    release.set()
    assert monotonic() - started < 5
    assert isinstance(answers[ELSEWHERE.id][1], Reply)
    lost = answers[ONE.id][1]
    assert isinstance(lost, NoReply)
    assert lost.cause is Cause.TIMED_OUT


def test_what_arrived_before_a_hang_is_kept() -> None:
    release = threading.Event()

    def half(questions: Sequence[Question], _deadline: Deadline, deliver: Deliver) -> None:
        deliver(questions[0], reply("first"))
        release.wait(30)

    answers = gather([ONE, TWO], opener(db1=Fake(half)), Deadline(0.3))
    release.set()
    assert isinstance(answers[ONE.id][1], Reply)
    assert isinstance(answers[TWO.id][1], NoReply)


@pytest.mark.parametrize("raised", [RuntimeError("defect"), OSError("gone"), KeyError("x")])
def test_a_session_that_raises_loses_only_its_own_questions(raised: Exception) -> None:
    def boom(_questions: Sequence[Question], _deadline: Deadline, _deliver: Deliver) -> None:
        raise raised

    answers = gather([ONE, ELSEWHERE], opener(db1=Fake(boom), db2=Script()), Deadline(5))
    assert isinstance(answers[ONE.id][1], NoReply)
    assert isinstance(answers[ELSEWHERE.id][1], Reply)


def test_a_session_that_cannot_be_opened_loses_only_its_own_questions() -> None:
    answers = gather([ONE, ELSEWHERE], opener(db2=Script()), Deadline(5))
    lost = answers[ONE.id][1]
    assert isinstance(lost, NoReply)
    assert "KeyError" in lost.detail


def test_a_session_that_forgets_a_question_does_not_lose_it() -> None:
    silent = Fake(lambda _questions, _deadline, _deliver: None)
    assert isinstance(gather([ONE], opener(db1=silent), Deadline(5))[ONE.id][1], NoReply)


def test_the_first_answer_stands() -> None:
    def twice(questions: Sequence[Question], _deadline: Deadline, deliver: Deliver) -> None:
        deliver(questions[0], NoReply(Cause.CUT_OFF, "lost", reply("").asked_at))
        deliver(questions[0], reply("late"))

    assert isinstance(gather([ONE], opener(db1=Fake(twice)), Deadline(5))[ONE.id][1], NoReply)


def test_answers_are_masked_before_anybody_sees_them() -> None:
    seen: list[str] = []
    answers = gather(
        [ONE],
        Script("password hunter22").open,
        Deadline(5),
        mask=lambda text: text.replace("hunter22", "[secret]"),
        on_answer=lambda _question, answer: seen.append(str(answer)),
    )
    assert "hunter22" not in str(answers) + str(seen)


def test_a_thousand_targets_are_asked_by_a_bounded_number_of_workers() -> None:
    questions = [Question(Via.SSH, f"db{number}", "echo one") for number in range(1000)]
    most = 0

    def count(_questions: Sequence[Question], _deadline: Deadline, deliver: Deliver) -> None:
        nonlocal most
        most = max(most, sum(thread.name.startswith("gather") for thread in threading.enumerate()))
        deliver(_questions[0], reply("yes"))

    answers = gather(questions, lambda _via, _target: Fake(count), Deadline(20))
    assert all(isinstance(answer, Reply) for _, answer in answers.values())
    assert most <= 64
