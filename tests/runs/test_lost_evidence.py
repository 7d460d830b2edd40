"""What three network zones bring, with a tenth of it lost, doubled or of another plan: never GO for a loss."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from preflight.engine.inspection import Inspection, inspect
from preflight.engine.run import judge
from preflight.evidence import Evidence
from preflight.finding import Finding, Status
from preflight.runs.merge import MergeError, merge
from preflight.verdict import Decision
from tests.runs.test_merge import part
from tests.toy import MOMENT, Deep, Ready, registry, toy_plan

ZONES = ("east", "west", "south")
SEEDS = range(10)
Parts = dict[str, Evidence]


@pytest.fixture(scope="module")
def inspection() -> Inspection:
    plan = toy_plan(f"h{number:03}" for number in range(200))
    placed = {name: replace(host, network_zone=ZONES[n % 3]) for n, (name, host) in enumerate(plan.hosts.items())}
    return inspect(replace(plan, hosts=placed), registry(Ready, Deep), MOMENT)


@pytest.fixture(scope="module")
def whole(inspection: Inspection) -> Parts:
    """What the zones bring on a good day; with the second questions, which `Deep` asks."""
    parts = {}
    for zone in ZONES:
        first = part(inspection, zone)
        more = merge(inspection, {zone: first}, first.inputs).answered.missing()
        again = [each for each in more if inspection.plan.is_asked_from(zone, each)]
        answer = next(iter(first.answers.values()))[1]
        parts[zone] = replace(first, answers={**first.answers, **{each.id: (each, answer) for each in again}})
    return parts


def judged(inspection: Inspection, parts: Parts) -> tuple[Decision, Mapping[str, Finding], str]:
    merged = merge(inspection, parts, {"plan": inspection.plan.digest})
    verdict = judge(merged.answered)
    assert len(verdict.findings) == 400, "nothing vanishes"
    return verdict.decision, {f"{each.check} {each.subject}": each for each in verdict.findings}, " ".join(merged.notes)


def tenth(parts: Parts, seed: int) -> list[tuple[str, str]]:
    """A tenth of all answers: the part that each is in, and its question's id."""
    every = [(name, question) for name, part in parts.items() for question in part.answers]
    return random.Random(seed).sample(every, len(every) // 10)


def test_all_of_it_is_a_go(inspection: Inspection, whole: Parts) -> None:
    decision, findings, notes = judged(inspection, whole)
    assert decision is Decision.GO
    assert {each.status for each in findings.values()} == {Status.PASS}
    assert "nobody asked" not in notes


@pytest.mark.parametrize("seed", SEEDS)
def test_each_lost_answer_is_named_and_nothing_else(inspection: Inspection, whole: Parts, seed: int) -> None:
    parts = dict(whole)
    lost: dict[str, set[str]] = {}
    for name, question in tenth(whole, seed):
        asked, _ = parts[name].answers[question]
        lost.setdefault(asked.target, set()).add(asked.text)
        parts[name] = parts[name].without(question)
    decision, findings, notes = judged(inspection, parts)
    assert decision is Decision.HOLD
    unknown = {key for key, each in findings.items() if each.status is Status.UNKNOWN}
    first, second = "echo ready", "echo again ready"
    assert unknown == {
        *(f"ready {target}" for target, texts in lost.items() if first in texts),
        *(f"deep {target}" for target, texts in lost.items() if texts & {first, second}),
    }
    assert all(each.status is Status.PASS for key, each in findings.items() if key not in unknown)
    for zone in ZONES:
        assert f"preflight collect toy.toml --zone {zone} --output {zone}.json" in notes


@pytest.mark.parametrize("seed", SEEDS)
def test_doubled_answers_do_no_harm(inspection: Inspection, whole: Parts, seed: int) -> None:
    """In a second file of the zone, asked a little later."""
    parts = dict(whole)
    for name, question in tenth(whole, seed):
        asked, answer = whole[name].answers[question]
        later = replace(answer, asked_at=answer.asked_at + timedelta(minutes=1))
        again = parts.get(f"{name} again", replace(whole[name], answers={}))
        parts[f"{name} again"] = replace(again, answers={**again.answers, question: (asked, later)})
    assert judged(inspection, parts)[0] is Decision.GO


@pytest.mark.parametrize("seed", SEEDS)
def test_doubled_and_different_answers_are_named_and_not_believed(
    inspection: Inspection, whole: Parts, seed: int
) -> None:
    parts = dict(whole)
    targets = set()
    for name, question in tenth(whole, seed):
        asked, answer = whole[name].answers[question]
        again = parts.get(f"{name} again", replace(whole[name], answers={}))
        other = replace(answer, text="off")  # type: ignore[call-arg]
        parts[f"{name} again"] = replace(again, answers={**again.answers, question: (asked, other)})
        targets.add(asked.target)
    decision, findings, notes = judged(inspection, parts)
    assert decision is Decision.HOLD
    assert {each.subject for each in findings.values() if each.status is Status.UNKNOWN} == targets
    assert all(f"{target}: " in notes for target in targets)


OF_OTHERS: Mapping[str, Callable[[Evidence], Evidence]] = {
    "was collected for another text of this plan": lambda part: replace(part, plan_digest="f" * 64),
    "is of network zone north, which the plan does not have": lambda part: replace(part, network_zone="north"),
    "is void: plan changed": lambda part: replace(part, inputs={"plan": "f" * 64}),
}


@pytest.mark.parametrize("said", OF_OTHERS)
@pytest.mark.parametrize("zone", ZONES)
def test_evidence_of_another_plan_is_refused_by_name(
    inspection: Inspection, whole: Parts, zone: str, said: str
) -> None:
    with pytest.raises(MergeError, match=f"^{zone} {said}"):
        judged(inspection, {**whole, zone: OF_OTHERS[said](whole[zone])})


@pytest.mark.parametrize("lost", ZONES)
def test_a_zone_that_is_lost_whole_is_named(inspection: Inspection, whole: Parts, lost: str) -> None:
    decision, findings, notes = judged(inspection, {zone: part for zone, part in whole.items() if zone != lost})
    of_it = {name for name, host in inspection.plan.hosts.items() if host.network_zone == lost}
    assert decision is Decision.HOLD
    assert {each.subject for each in findings.values() if each.status is Status.UNKNOWN} == of_it
    assert f"nobody asked {min(of_it)}, " in notes
    assert f"and {len(of_it) - 20} more: preflight collect toy.toml --zone {lost} --output {lost}.json" in notes
