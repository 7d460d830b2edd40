"""Evidence of several network zones: joined, never chosen from."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from preflight.engine.inspection import Inspection, inspect
from preflight.engine.run import judge
from preflight.evidence import Evidence
from preflight.finding import Status
from preflight.probe import NoReply, Question, Reply
from preflight.reasons import Reason
from preflight.runs.gate import ABSENT
from preflight.runs.merge import Merged, MergeError, merge
from preflight.verdict import Decision
from tests.toy import MOMENT, Ready, registry, toy_plan

ZONES = {"db1": "east", "db2": "east", "app1": "west"}


@pytest.fixture
def inspection() -> Inspection:
    plan = toy_plan(list(ZONES))
    hosts = {name: replace(host, network_zone=ZONES[name]) for name, host in plan.hosts.items()}
    return inspect(replace(plan, hosts=hosts), registry(Ready), MOMENT)


def part(inspection: Inspection, zone: str, *, word: str = "ready", minutes: float = 0) -> Evidence:
    """What a collector in `zone` brings; an empty one asks everything."""
    at = MOMENT + timedelta(minutes=minutes)
    asked = [each for each in inspection.first_round() if not zone or inspection.plan.is_asked_from(zone, each)]
    answers: dict[str, tuple[Question, Reply | NoReply]] = {
        each.id: (each, Reply(0, word, at, 0.1, f"on {each.target}")) for each in asked
    }
    return Evidence(inspection.plan.digest, at, answers, {"plan": inspection.plan.digest}, zone)


def merged(inspection: Inspection, parts: dict[str, Evidence]) -> Merged:
    """Beside files that are as they were."""
    return merge(inspection, parts, {"plan": inspection.plan.digest})


def test_the_zones_of_a_plan_stand_in_its_order(inspection: Inspection) -> None:
    assert inspection.plan.network_zones == ("east", "west")


def test_all_zones_together_are_judged_as_one_run(inspection: Inspection) -> None:
    found = merged(inspection, {"e": part(inspection, "east"), "w": part(inspection, "west", minutes=3)})
    assert found.answered.evidence.collected_at == MOMENT + timedelta(minutes=3)
    assert judge(found.answered).decision is Decision.GO
    assert found.notes == (
        "e: network zone east, Fri 2026-10-16 19:00 +00:00, 2 questions",
        "w: network zone west, Fri 2026-10-16 19:03 +00:00, 1 question",
    )


def test_what_one_part_lets_not_pass_the_whole_lets_not_pass(inspection: Inspection) -> None:
    east = replace(part(inspection, "east"), no_warnings=True)
    west = replace(part(inspection, "west"), not_steady="not steady: GO for 1 min")
    found = merged(inspection, {"e": east, "w": west})
    assert found.answered.evidence.no_warnings
    verdict = judge(found.answered)
    assert (verdict.decision, verdict.reason) == (Decision.HOLD, "not steady: GO for 1 min")


@pytest.mark.parametrize(
    ("zone", "left_out"), [("east", "nobody asked app1: preflight collect toy.toml --zone west"),
                           ("west", "nobody asked db1, db2: preflight collect toy.toml --zone east")]
)  # fmt: skip
def test_a_zone_that_nobody_asked_is_named_and_never_go(inspection: Inspection, zone: str, left_out: str) -> None:
    found = merged(inspection, {"only": part(inspection, zone)})
    assert found.notes == (left_out,)
    assert judge(found.answered).decision is Decision.HOLD


def test_one_part_stays_as_it_is(inspection: Inspection) -> None:
    whole = part(inspection, "")
    assert merged(inspection, {"whole": whole}).answered.evidence == whole


def test_equal_answers_of_two_parts_count_as_the_newer_one(inspection: Inspection) -> None:
    found = merged(inspection, {"b": part(inspection, "east", minutes=9), "a": part(inspection, "")})
    assert {answer.asked_at for _, answer in found.answered.evidence} == {MOMENT, MOMENT + timedelta(minutes=9)}
    assert judge(found.answered).decision is Decision.GO


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_of_answers_that_contradict_each_other_none_is_believed(inspection: Inspection, order: tuple[str, str]) -> None:
    parts = {"a": part(inspection, ""), "b": part(inspection, "east", word="off")}
    found = merged(inspection, {name: parts[name] for name in order})
    assert found.notes[2:] == (
        "db1: a and b answer 1 question differently, and neither is believed: pass one of them",
        "db2: a and b answer 1 question differently, and neither is believed: pass one of them",
    )
    verdict = judge(found.answered)
    assert verdict.decision is Decision.HOLD
    assert [finding.subject for finding in verdict.findings if finding.status is Status.UNKNOWN] == ["db1", "db2"]
    lost, _ = [answer for _, answer in found.answered.evidence if isinstance(answer, NoReply)]
    assert (lost.reason, lost.detail) == (Reason.CONTRADICTION, "db1: a and b answer it differently")


def test_a_lost_and_a_good_reply_contradict_each_other(inspection: Inspection) -> None:
    good = part(inspection, "")
    lost = replace(
        good,
        answers={key: (asked, NoReply(Reason.NOT_LISTENING, "x", MOMENT)) for key, (asked, _) in good.answers.items()},
    )
    assert judge(merged(inspection, {"good": good, "lost": lost}).answered).decision is Decision.HOLD


def test_evidence_of_another_plan_is_refused(inspection: Inspection) -> None:
    other = replace(part(inspection, "west"), plan_digest="f" * 64)
    with pytest.raises(MergeError, match="w was collected for another text of this plan"):
        merged(inspection, {"e": part(inspection, "east"), "w": other})


@pytest.mark.parametrize(
    ("then", "now", "said"), [("1", "2", "changed from sha256 1 to 2"), ("absent", "2", "was added")]
)
def test_a_part_of_other_files_than_there_are_now_is_refused_by_name(
    inspection: Inspection, then: str, now: str, said: str
) -> None:
    name, parts = "scripts.orders.manifest", {zone: part(inspection, zone) for zone in ("east", "west")}
    plan = parts["east"].inputs
    parts["west"] = replace(parts["west"], inputs={**plan, name: then})
    assert merge(inspection, {"w": parts["west"]}, {**plan, name: then})
    with pytest.raises(MergeError, match=f"w is void: {name} {said}; run it again"):
        merge(inspection, {"w": parts["west"]}, {**plan, name: now})
    with pytest.raises(MergeError, match=f"e is void: {name} was added; run it again"):
        merge(inspection, {"e": parts["east"], "w": parts["west"]}, {**plan, name: "1"})


@pytest.mark.parametrize("here", [{"scripts.orders.manifest": "absent"}, {}])
def test_files_that_are_not_there_where_it_is_judged_are_not_compared(
    inspection: Inspection, here: dict[str, str]
) -> None:
    then = part(inspection, "west")
    told = replace(then, inputs={**then.inputs, "scripts.orders.manifest": "1"})
    assert merge(inspection, {"w": told}, {**then.inputs, **here})


def test_parts_of_different_files_are_refused_also_where_the_files_are_not(inspection: Inspection) -> None:
    sealed = "file of sealed database servers"
    parts = {name: part(inspection, name) for name in ("east", "west")}
    parts = {name: replace(each, inputs={**each.inputs, sealed: name}) for name, each in parts.items()}
    with pytest.raises(MergeError, match=rf"east and west were collected beside different files \({sealed}\)"):
        merge(inspection, parts, {**parts["east"].inputs, sealed: ABSENT})


def test_a_zone_that_the_plan_does_not_have_is_refused(inspection: Inspection) -> None:
    foreign = replace(part(inspection, "west"), network_zone="north")
    with pytest.raises(MergeError, match="w is of network zone north, which the plan does not have"):
        merged(inspection, {"e": part(inspection, "east"), "w": foreign})


def test_a_part_that_is_too_old_by_the_time_of_the_last_one_is_stale(inspection: Inspection) -> None:
    late = replace(inspection, moment=MOMENT + timedelta(hours=5))
    found = merged(late, {"e": part(late, "east"), "w": part(late, "west", minutes=300)})
    verdict = judge(found.answered)
    assert verdict.decision is Decision.HOLD
    assert [finding.status for finding in verdict.findings] == [Status.STALE, Status.STALE, Status.PASS]
