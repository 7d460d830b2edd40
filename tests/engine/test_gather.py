"""Asking: limits, hanging targets, sessions that break their promises, what waits for what."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from preflight.clock import Deadline, monotonic
from preflight.engine import gather as gather_module
from preflight.engine.gather import Asking
from preflight.probe import Answer, NoReply, Question, Reply, Via
from preflight.reasons import Reason
from preflight.sessions import Deliver, Session
from tests.toy import Script, reply

ONE, TWO = Question(Via.SSH, "db1", "echo one"), Question(Via.SSH, "db1", "echo two")
ELSEWHERE = Question(Via.SSH, "db2", "echo one")
FAST = Question(Via.SSH, "db1", "echo fast", timeout_seconds=0.1)


Ask = Callable[[Sequence[Question], Deadline, Deliver], None]


class Fake:
    def __init__(self, ask: Ask, stage: str = "thinking") -> None:
        self.ask = ask
        self.stage = stage

    def close(self) -> None:
        """Nothing to free."""


def hangs(release: threading.Event, stage: str = "thinking") -> Fake:
    """A session that answers nothing until it is released."""

    def hang(_questions: Sequence[Question], _deadline: Deadline, _deliver: Deliver) -> None:
        release.wait(30)

    return Fake(hang, stage)


def opener(**sessions: Session) -> Callable[[Via, str], Session]:
    return lambda _via, target: sessions[target]


def gather(
    questions: Sequence[Question], open_session: Callable[[Via, str], Session], deadline: Deadline, **options: Any
) -> dict[str, Answer]:
    """The answer to each question, by its id; each comes once."""
    answers: dict[str, Answer] = {}
    with Asking(open_session, deadline, **options) as asking:
        asking.ask(questions)
        while (found := asking.next_answer()) is not None:
            assert found[0].id not in answers
            answers[found[0].id] = found[1]
    return answers


def test_every_question_is_answered_once() -> None:
    answers = gather([ONE, TWO, ONE, ELSEWHERE], Script("yes").open, Deadline(5))
    assert sorted(answers) == sorted({ONE.id, TWO.id, ELSEWHERE.id})


def test_a_hanging_target_costs_only_itself() -> None:
    release = threading.Event()
    hanging = hangs(release)
    started = monotonic()
    answers = gather([ONE, ELSEWHERE], opener(db1=hanging, db2=Script()), Deadline(1))
    release.set()
    assert monotonic() - started < 20
    assert isinstance(answers[ELSEWHERE.id], Reply)
    lost = answers[ONE.id]
    assert isinstance(lost, NoReply)
    assert lost.reason is Reason.RUN_DEADLINE


def test_what_arrived_before_a_hang_is_kept() -> None:
    release = threading.Event()

    def half(questions: Sequence[Question], _deadline: Deadline, deliver: Deliver) -> None:
        deliver(questions[0], reply("first"))
        release.wait(30)

    answers = gather([ONE, TWO], opener(db1=Fake(half)), Deadline(1))
    release.set()
    assert isinstance(answers[ONE.id], Reply)
    assert isinstance(answers[TWO.id], NoReply)


@pytest.mark.parametrize("raised", [RuntimeError("defect"), OSError("gone"), KeyError("x")])
def test_a_session_that_raises_loses_only_its_own_questions(raised: Exception) -> None:
    def boom(_questions: Sequence[Question], _deadline: Deadline, _deliver: Deliver) -> None:
        raise raised

    answers = gather([ONE, ELSEWHERE], opener(db1=Fake(boom), db2=Script()), Deadline(5))
    assert isinstance(answers[ONE.id], NoReply)
    assert isinstance(answers[ELSEWHERE.id], Reply)


def test_a_session_that_cannot_be_opened_loses_only_its_own_questions() -> None:
    answers = gather([ONE, ELSEWHERE], opener(db2=Script()), Deadline(5))
    lost = answers[ONE.id]
    assert isinstance(lost, NoReply)
    assert "KeyError" in lost.detail


def test_a_session_that_forgets_a_question_does_not_lose_it() -> None:
    silent = Fake(lambda _questions, _deadline, _deliver: None)
    assert isinstance(gather([ONE], opener(db1=silent), Deadline(5))[ONE.id], NoReply)


def test_the_first_answer_stands() -> None:
    def twice(questions: Sequence[Question], _deadline: Deadline, deliver: Deliver) -> None:
        deliver(questions[0], NoReply(Reason.CONNECTION_LOST, reply("").asked_at))
        deliver(questions[0], reply("late"))

    assert isinstance(gather([ONE], opener(db1=Fake(twice)), Deadline(5))[ONE.id], NoReply)


def test_a_thousand_targets_are_asked_by_a_bounded_number_of_workers() -> None:
    questions = [Question(Via.SSH, f"db{number}", "echo one") for number in range(1000)]
    most = 0

    def count(_questions: Sequence[Question], _deadline: Deadline, deliver: Deliver) -> None:
        nonlocal most
        most = max(most, sum(thread.name.startswith("gather") for thread in threading.enumerate()))
        deliver(_questions[0], reply("yes"))

    answers = gather(questions, lambda _via, _target: Fake(count), Deadline(20))
    assert all(isinstance(answer, Reply) for answer in answers.values())
    assert most <= 64


@pytest.fixture
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather_module, "MOST_WORKERS", dict.fromkeys(Via, 1))


def test_a_worker_that_hangs_is_replaced(short_limits: None, one_worker: None) -> None:
    release = threading.Event()
    hanging = hangs(release)
    answers = gather([FAST, ELSEWHERE], opener(db1=hanging, db2=Script()), Deadline(20))
    release.set()
    assert isinstance(answers[FAST.id], NoReply)
    assert isinstance(answers[ELSEWHERE.id], Reply)


def test_endpoints_that_wait_for_their_next_sample_hold_no_host_up(one_worker: None) -> None:
    release = threading.Event()
    waiting = Question(Via.HTTP, "app1", "GET http://app1/")
    sessions = {Via.HTTP: hangs(release), Via.SSH: Script()}
    with Asking(lambda via, _target: sessions[via], Deadline(20)) as asking:
        asking.ask([waiting, FAST])
        answered = asking.next_answer()
        release.set()
    assert answered is not None
    assert answered[0] == FAST


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target may take a fifth of a second."""
    for name, seconds in (("TARGET_SECONDS", 0.2), ("_QUESTION_MARGIN_SECONDS", 0.0), ("_GRACE_SECONDS", 0.0)):
        monkeypatch.setattr(gather_module, name, seconds)


@pytest.mark.parametrize(
    ("question_seconds", "run_seconds", "reason", "said"),
    [
        (0.1, 20.0, Reason.TARGET_LIMIT, "0.2 s are the limit of one target"),
        (0.4, 20.0, Reason.TARGET_LIMIT, "0.4 s are the limit of its slowest question"),
        (0.1, 0.1, Reason.RUN_DEADLINE, "the 0.1 s of the whole run were over"),
    ],
)
def test_what_is_missing_names_the_limit_the_stage_and_the_true_seconds(
    short_limits: None, question_seconds: float, run_seconds: float, reason: Reason, said: str
) -> None:
    release = threading.Event()
    hanging = hangs(release, "connecting to 10.0.0.1:22")
    question = Question(Via.SSH, "db1", "echo one", question_seconds)
    begun = monotonic()
    lost = gather([question], opener(db1=hanging), Deadline(run_seconds))[question.id]
    release.set()
    assert isinstance(lost, NoReply)
    assert lost.reason is reason
    assert lost.detail.endswith(f", while connecting to 10.0.0.1:22: {said}")
    assert 0.05 <= lost.took_seconds <= monotonic() - begun
    assert f"no answer within {lost.took_seconds:.1f} s" in lost.detail


def test_what_never_had_its_turn_says_so(one_worker: None) -> None:
    release = threading.Event()
    hanging = hangs(release)
    answers = gather([ONE, ELSEWHERE], opener(db1=hanging, db2=Script()), Deadline(0.3))
    release.set()
    lost = answers[ELSEWHERE.id]
    assert isinstance(lost, NoReply)
    assert lost.detail == "db2: not asked: the 0.3 s of the whole run were over before its turn came"
    assert lost.took_seconds == 0


def test_what_a_session_delivers_too_late_is_dropped(short_limits: None) -> None:
    release, delivered = threading.Event(), threading.Event()

    def late(questions: Sequence[Question], _deadline: Deadline, deliver: Deliver) -> None:
        release.wait(30)
        deliver(questions[0], reply("late"))
        delivered.set()

    with Asking(opener(db1=Fake(late), db2=Script()), Deadline(20)) as asking:
        asking.ask([FAST])
        lost = asking.next_answer()
        assert lost is not None
        assert isinstance(lost[1], NoReply)
        release.set()
        assert delivered.wait(20)
        asking.ask([ELSEWHERE])
        found = asking.next_answer()
        assert found is not None
        assert found[0] == ELSEWHERE
        assert asking.next_answer() is None


def own_channel(text: str, **more: Any) -> Question:
    return Question(Via.SSH, "db1", text, own_channel=True, **more)


class Recorder:
    """A session that notes what comes together, and answers the first call's own-channel questions when told to."""

    stage = "thinking"

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.release = threading.Event()

    def ask(self, questions: Sequence[Question], _deadline: Deadline, deliver: Deliver) -> None:
        self.calls.append([question.text for question in questions])
        for question in sorted(questions, key=lambda each: each.own_channel):
            if question.own_channel and len(self.calls) == 1:
                assert self.release.wait(20)
            deliver(question, reply(question.text))

    def close(self) -> None:
        """Nothing to free."""


def asked_later(first: Sequence[Question], later: Sequence[Question], until: str) -> list[list[str]]:
    """What came together, when `later` is asked at the first answer; the slow ones end with the answer to `until`."""
    session = Recorder()
    with Asking(opener(db1=session), Deadline(20)) as asking:
        asking.ask(first)
        found = asking.next_answer()
        asking.ask(later)
        while found is not None:
            if found[0].text == until:
                session.release.set()
            found = asking.next_answer()
    return session.calls


def test_a_question_in_its_own_channel_does_not_hold_back_the_next_ones() -> None:
    calls = asked_later([own_channel("slow"), ONE], [TWO], until="echo two")
    assert calls == [["slow", "echo one"], ["echo two"]]


def test_a_secret_is_typed_in_one_place_at_a_time() -> None:
    slow, typed = own_channel("slow", stdin_secret="env:A"), own_channel("typed", stdin_secret="env:A")
    calls = asked_later([slow, ONE], [typed, TWO], until="echo two")
    assert calls == [["slow", "echo one"], ["echo two"], ["typed"]]


def test_what_waits_for_a_target_goes_together() -> None:
    calls: list[list[str]] = []
    asked_more = threading.Event()

    def slowly(questions: Sequence[Question], _deadline: Deadline, deliver: Deliver) -> None:
        calls.append([question.text for question in questions])
        deliver(questions[0], reply("yes"))
        if len(calls) == 1:
            assert asked_more.wait(20)
        for question in questions[1:]:
            deliver(question, reply("yes"))

    more = [Question(Via.SSH, "db1", f"echo {word}") for word in ("three", "four")]
    with Asking(opener(db1=Fake(slowly)), Deadline(20)) as asking:
        asking.ask([ONE, TWO])
        for question in more:
            assert asking.next_answer() is not None or question is more[1]
            asking.ask([question])
            asked_more.set()
        while asking.next_answer() is not None:
            pass
    assert calls == [["echo one", "echo two"], ["echo three", "echo four"]]
