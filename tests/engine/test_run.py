"""A whole run: two rounds without a barrier between them, and everything read once."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import ClassVar

import pytest

from preflight.check import Probes, Subject
from preflight.clock import Deadline
from preflight.engine import run
from preflight.engine.answered import Answered
from preflight.engine.cut_off import at_deadline
from preflight.engine.inspection import inspect
from preflight.engine.run import collect, judge
from preflight.evidence import Evidence
from preflight.finding import Judgement, Status
from preflight.probe import Question, Reply, Via
from preflight.sessions import Deliver
from preflight.verdict import Decision
from tests.toy import MOMENT, Deep, Echo, Ready, Script, registry, reply, toy_plan


class Rounds:
    """Sessions that count the second questions; those of `silent` answer nothing until all the others have theirs."""

    stage = "thinking"

    def __init__(self, silent: str, others: int) -> None:
        self.silent = silent
        self.others = others
        self.followed_up: set[str] = set()
        self.all_followed_up = threading.Event()

    def open(self, _via: Via, _target: str) -> Rounds:
        return self

    def ask(self, questions: Sequence[Question], _deadline: Deadline, deliver: Deliver) -> None:
        for question in questions:
            if question.target == self.silent:
                assert self.all_followed_up.wait(30), "the others wait for the silent one"
            elif "again" in question.text:
                self.followed_up.add(question.target)
                if len(self.followed_up) == self.others:
                    self.all_followed_up.set()
            deliver(question, reply("ready"))

    def close(self) -> None:
        """Nothing to free."""


@pytest.mark.parametrize("others", [1, 49])
def test_a_silent_target_holds_nobodys_second_question_back(others: int) -> None:
    names = [f"db{number}" for number in range(others + 1)]
    rounds = Rounds("db0", others)
    answered = collect(inspect(toy_plan(names), registry(Deep), MOMENT), rounds.open, 60)
    assert rounds.followed_up == set(names[1:])
    assert judge(answered).decision is Decision.GO


class Slow(Echo):
    timeout_seconds = 20.0


class Foreign(Echo):
    """Of the plan's own, with a short limit."""

    timeout_seconds = 1.0
    asked_last = True


class OfAllKinds(Ready):
    def probes(self, subject: Subject) -> Probes:
        return {"foreign": Foreign(subject.id, "a"), "slow": Slow(subject.id, "b"), "quick": Echo(subject.id, "c")}


def test_what_is_not_ours_is_asked_last_and_the_quick_before_the_slow() -> None:
    inspection = inspect(toy_plan(["db1", "db2"]), registry(OfAllKinds), MOMENT)
    due = Answered(inspection, Evidence("", MOMENT)).begin()
    for host in ("db1", "db2"):
        assert [each.text for each in due if each.target == host] == ["echo c", "echo b", "echo a"]


class Closing(Script):
    """One target's session, which remembers what was asked when it is closed."""

    asked_before_close: Sequence[str] = ()

    def close(self) -> None:
        self.asked_before_close = [question.text for question in self.asked]


def test_a_host_is_closed_when_both_its_rounds_are_answered() -> None:
    sessions = {f"db{number}": Closing() for number in range(5)}
    collect(inspect(toy_plan(list(sessions)), registry(Deep), MOMENT), lambda _via, target: sessions[target], 60)
    for session in sessions.values():
        assert any("again" in text for text in session.asked_before_close)


READ: Counter[Echo] = Counter()


class Counted(Echo):
    def read(self, reply: Reply) -> str:
        READ[self] += 1
        return super().read(reply)


def counting(name: str) -> type[Deep]:
    """A check of two rounds; its probes equal those of others made here."""

    class Counting(Deep):
        """How often is each thing done?"""

        id = name
        followed_up: ClassVar[Counter[str]] = Counter()
        judged: ClassVar[Counter[str]] = Counter()

        def probes(self, subject: Subject) -> Probes:
            return {"word": Counted(subject.id)}

        def follow_up(self, subject: Subject, *, word: str) -> Probes:
            """Once more."""
            self.followed_up[subject.id] += 1
            return {"more": Counted(subject.id, f"again {word}")}

        def judge(self, subject: Subject, *, word: str, more: str) -> Judgement:  # type: ignore[override]
            self.judged[subject.id] += 1
            return super().judge(subject, word=word, more=more)

    return Counting


def test_in_a_whole_run_each_reply_is_read_once_and_each_subject_followed_up_and_judged_once() -> None:
    READ.clear()
    checks = [counting("one"), counting("two"), counting("three")]
    names = ("db1", "db2")
    answered = collect(inspect(toy_plan(names), registry(*checks), MOMENT), Script().open, 20)
    verdict = judge(answered)
    assert answered.evidence.to_json()
    assert {finding.status for finding in verdict.findings} == {Status.PASS}
    assert {Counted(name, word): 1 for name in names for word in ("ready", "again ready")} == READ
    for check in checks:
        assert check.followed_up == check.judged == dict.fromkeys(names, 1)  # type: ignore[attr-defined]


def test_what_two_checks_ask_is_asked_once_and_the_second_round_asks_nothing_twice() -> None:
    script = Script()
    plan = toy_plan(("db1",))
    collect(inspect(plan, registry(Deep, Ready), MOMENT), script.open, 20)
    assert [question.text for question in script.asked] == ["echo ready", "echo again ready"]


@pytest.mark.case(30)
def test_answers_are_judged_as_they_came_and_are_told_and_kept_masked() -> None:
    def mask(text: str) -> str:
        return text.replace("ready", "[secret]")

    script = Script(lambda question: reply("ready" if question.target == "db1" else "already"))
    answered = collect(inspect(toy_plan(["db1", "db2"]), registry(Ready), MOMENT), script.open, 60, mask=mask)
    good, bad = answered.findings()
    assert (good.status, bad.status) == (Status.PASS, Status.FAIL)
    assert (good.judgement.summary, bad.judgement.actual) == ("[secret]", "al[secret]")
    assert [answer.text for _, answer in answered.evidence if isinstance(answer, Reply)] == ["[secret]", "al[secret]"]
    assert judge(answered).evidence_digest == Evidence.from_json(answered.evidence.to_json()).digest


def test_the_time_begins_once_who_types_a_code_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[object] = []
    left: list[float] = []

    def begin(seconds: float) -> Deadline:
        happened.append("begun")
        return Deadline(seconds)

    monkeypatch.setattr(run, "Deadline", begin)
    inspection = inspect(toy_plan(["db1"]), registry(Deep), MOMENT)

    def log_in(hosts: Iterable[str]) -> None:
        happened.append(list(hosts))
        left.append(signal.getitimer(signal.ITIMER_REAL)[0])
        signal.setitimer(signal.ITIMER_REAL, 500)  # the rest was spent on typing

    with at_deadline(1000):
        collect(inspection, Script("ready").open, 60, log_in=log_in)
        assert left[1] > 900
    assert happened == [["db1"], "begun", ["db1"]], "and before what is asked then"
