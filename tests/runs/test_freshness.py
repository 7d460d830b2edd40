"""Evidence ages: what is too old for the moment judged is STALE, and the gate asks for just that again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from preflight.check import Check, Probes, Subject
from preflight.evidence import Evidence
from preflight.finding import Judgement, Status, passed
from preflight.inspection import Inspection, inspect
from preflight.plan import Freshness
from preflight.probe import Answer, Family, NoReply, Question, Reply
from preflight.run import collect, judge
from preflight.runs.gate import start_from
from preflight.runs.saved_runs import SavedRun
from preflight.verdict import Decision
from tests.toy import MOMENT, Deep, Echo, Ready, Script, lost, registry, toy_plan

SECOND = timedelta(seconds=1)
INPUTS = {"preflight": "1", "plan": "0" * 64, "scripts.orders.manifest": "a"}
AT_START = toy_plan().window.start


@dataclass(frozen=True)
class Health(Echo):
    family: ClassVar[Family] = Family.HEALTH


@dataclass(frozen=True)
class Staged(Echo):
    family: ClassVar[Family] = Family.SCRIPTS


class Mixed(Ready):
    """State, health and scripts in one check each."""

    id = "mixed"

    def subjects(self) -> Sequence[Subject]:
        return [Subject(probe.__name__, probe) for probe in (Echo, Health, Staged)]

    def probes(self, subject: Subject) -> Probes:
        return {"word": subject.item("db1", subject.id)}

    def judge(self, subject: Subject, *, word: str) -> Judgement:
        return passed(word)


def at(moment: datetime, *checks: type[Check], **plan: object) -> Inspection:
    return inspect(toy_plan(**plan), registry(*(checks or (Mixed,))), moment)  # type: ignore[arg-type]


def asked_at(moment: datetime, word: str = "ready") -> Script:
    return Script(lambda _: Reply(0, word, moment, 0.1, "on db1 as dbadmin"))


def answers(inspection: Inspection, moment: datetime) -> Evidence:
    return replace(collect(inspection, asked_at(moment).open, 5, inputs=INPUTS), collected_at=moment)


def saved(evidence: Evidence) -> SavedRun:
    return SavedRun(Path("run.json"), evidence, None)


@pytest.mark.parametrize(
    ("subject", "most"),
    [("Echo", timedelta(minutes=30)), ("Health", timedelta(hours=4)), ("Staged", timedelta(minutes=30))],
)
def test_each_family_has_its_age_and_a_second_more_is_stale(subject: str, most: timedelta) -> None:
    inspection = at(MOMENT)
    for age, status in ((most, Status.PASS), (most + SECOND, Status.STALE)):
        found = {finding.subject: finding for finding in inspection.findings(answers(inspection, MOMENT - age))}
        assert found[subject].status is status


def test_the_plan_sets_another_age() -> None:
    inspection = at(MOMENT, Ready, freshness=Freshness(state=timedelta(minutes=5)))
    evidence = answers(inspection, MOMENT - timedelta(minutes=6))
    assert judge(inspection, evidence).decision is Decision.HOLD


def test_stale_is_hold_and_says_how_old_and_how_old_it_may_be() -> None:
    inspection = at(MOMENT, Ready)
    verdict = judge(inspection, answers(inspection, MOMENT - timedelta(minutes=31)))
    assert verdict.decision is Decision.HOLD
    told = verdict.findings[0].judgement
    assert "31 min" in told.summary
    assert "30 min" in told.expected


def test_an_old_failure_stays_a_failure_until_it_is_asked_again() -> None:
    inspection = at(MOMENT, Ready)
    old = Script(lambda _: Reply(0, "asleep", MOMENT - timedelta(days=1), 0.1, ""))
    assert judge(inspection, collect(inspection, old.open, 5)).decision is Decision.NO_GO


def test_one_old_answer_of_two_rounds_is_enough() -> None:
    inspection = at(MOMENT, Deep)

    def answer(question: Question) -> Answer:
        age = timedelta(minutes=31) if "again" in question.text else timedelta()
        return Reply(0, "ready", MOMENT - age, 0.1, "")

    assert inspection.findings(collect(inspection, Script(answer).open, 5))[0].status is Status.STALE


def asks_again(inspection: Inspection, old: Evidence, **how: bool) -> tuple[list[str], tuple[str, ...], Decision]:
    """The subjects asked for again, what the report says of the start, and the decision."""
    now = inspection.moment
    basis = start_from(inspection, saved(old), INPUTS, now, **how)
    script = asked_at(now)
    evidence = collect(inspection, script.open, 5, known=basis.known, inputs=INPUTS)
    return [question.text.split()[-1] for question in script.asked], basis.lines, judge(inspection, evidence).decision


def test_the_gate_asks_again_what_is_stale_and_the_scripts_always() -> None:
    inspection = at(AT_START)
    asked, lines, decision = asks_again(inspection, answers(inspection, AT_START - timedelta(hours=1)))
    assert sorted(asked) == ["Echo", "Staged"]
    assert "1 of 3 answers are still good" in lines[0]
    assert decision is Decision.GO


def test_the_gate_asks_again_what_was_not_answered() -> None:
    inspection = at(AT_START, Ready)
    asked, _, _ = asks_again(inspection, collect(inspection, Script(lambda _: lost()).open, 5, inputs=INPUTS))
    assert asked == ["ready"]


def test_fresh_keeps_nothing() -> None:
    inspection = at(AT_START)
    asked, lines, _ = asks_again(inspection, answers(inspection, AT_START), fresh=True)
    assert len(asked) == 3
    assert "set aside" in lines[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scripts.orders.manifest": "b"}, "scripts.orders.manifest changed"),
        ({"plan": "1" * 64}, "plan changed"),
        ({"preflight": "2"}, "preflight was 2, now 1"),
        ({"sealed host keys": "c"}, "sealed host keys is gone"),
    ],
)
def test_what_changed_since_voids_the_earlier_run_by_name(change: dict[str, str], said: str) -> None:
    inspection = at(AT_START)
    old = replace(answers(inspection, AT_START), inputs={**INPUTS, **change})
    asked, lines, _ = asks_again(inspection, old)
    assert len(asked) == 3
    assert f"is void: {said}" in lines[0]


def test_without_asking_a_void_run_is_hold() -> None:
    inspection = at(AT_START)
    old = replace(answers(inspection, AT_START), inputs={})
    basis = start_from(inspection, saved(old), INPUTS, AT_START, ask=False)
    verdict = judge(inspection, basis.known, basis=basis.lines)
    assert verdict.decision is Decision.HOLD
    assert not basis.known.answers


def test_without_asking_fresh_evidence_is_judged_and_stale_is_hold() -> None:
    inspection = at(AT_START)
    for age, decision in ((timedelta(minutes=30), Decision.GO), (timedelta(minutes=31), Decision.HOLD)):
        basis = start_from(inspection, saved(answers(inspection, AT_START - age)), INPUTS, AT_START, ask=False)
        assert judge(inspection, basis.known).decision is decision


def test_evidence_from_the_future_is_void() -> None:
    inspection = at(AT_START)
    old = answers(inspection, AT_START + SECOND)
    basis = start_from(inspection, saved(old), INPUTS, AT_START)
    assert not basis.known.answers
    assert "dated in the future" in basis.lines[0]


def test_a_single_answer_from_the_future_is_asked_again() -> None:
    inspection = at(AT_START)
    old = replace(answers(inspection, AT_START + SECOND), collected_at=AT_START)
    assert not start_from(inspection, saved(old), INPUTS, AT_START).known.answers


def test_no_earlier_run_means_everything_is_asked() -> None:
    inspection = at(AT_START)
    basis = start_from(inspection, None, INPUTS, AT_START)
    assert not basis.known.answers
    assert "no earlier run" in basis.lines[0]


def test_a_gate_long_before_the_window_says_that_it_cannot_be_go() -> None:
    inspection = at(AT_START)
    basis = start_from(inspection, None, INPUTS, AT_START - timedelta(hours=9))
    assert "9 h away" in basis.lines[-1]


def test_what_was_never_answered_is_not_kept_as_good() -> None:
    inspection = at(AT_START, Ready)
    evidence = collect(inspection, Script(lambda _: lost()).open, 5)
    assert all(isinstance(answer, NoReply) for _, answer in evidence)
    assert not inspection.still_good(evidence).answers
