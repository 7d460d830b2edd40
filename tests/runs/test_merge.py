"""Evidence of several network zones: joined, never chosen from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from preflight.check import Probes, Subject
from preflight.engine.inspection import Inspection, inspect
from preflight.engine.run import judge
from preflight.engine.shards import Split
from preflight.evidence import Evidence, Shard
from preflight.finding import Judgement, Status, passed
from preflight.probe import NoReply, Question, Reply, Via
from preflight.reasons import Reason
from preflight.runs.gate import ABSENT
from preflight.runs.merge import Merged, MergeError, merge
from preflight.verdict import Decision
from tests.toy import MOMENT, Deep, Echo, Ready, registry, toy_plan

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
    ("zone", "left_out"), [("east", "nobody asked app1: preflight collect toy.toml --zone west --output west.json"),
                           ("west", "nobody asked db1, db2: preflight collect toy.toml --zone east --output east.json")]
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


def sharded(inspection: Inspection, number: int, of: int, zone: str = "", **changed: Any) -> Evidence:
    """What a job brings that asks one shard."""
    asks = Split(inspection.plan, inspection.registry, zone, of).part(number).asks
    whole = part(inspection, zone, **changed)
    answers = {id_: pair for id_, pair in whole.answers.items() if asks(pair[0])}
    return replace(whole, answers=answers, shard=Shard(number, of))


@pytest.fixture
def many() -> Inspection:
    return inspect(toy_plan([f"h{number}" for number in range(10)]), registry(Ready), MOMENT)


def test_all_shards_together_are_judged_as_one_run(many: Inspection) -> None:
    parts = {f"{number}": sharded(many, number, 4, minutes=number) for number in range(1, 5)}
    found = merged(many, parts)
    assert found.answered.evidence.answers.keys() == part(many, "").answers.keys()
    assert judge(found.answered).decision is Decision.GO
    assert found.notes[0] == "1: shard 1/4, Fri 2026-10-16 19:01 +00:00, 3 questions"


@pytest.mark.parametrize("missing", [{3}, {1, 4}, {2, 3, 4}])
def test_a_shard_that_is_missing_is_named_with_what_it_asks(many: Inspection, missing: set[int]) -> None:
    found = merged(many, {f"{each}": sharded(many, each, 4) for each in range(1, 5) if each not in missing})
    shard_of = Split(many.plan, many.registry, "", 4).shard_of
    told = [note for note in found.notes if "missing" in note]
    assert told == [
        f"shard {number} of 4 is missing, which asks "
        f"{', '.join(name for name in many.plan.hosts if shard_of[Via.SSH, name] == number)}: "
        f"preflight collect toy.toml --shard {number}/4 --output shard-{number}.json"
        for number in sorted(missing)
    ]
    assert not [note for note in found.notes if "nobody asked" in note]
    verdict = judge(found.answered)
    assert verdict.decision is Decision.HOLD
    lost = {finding.subject for finding in verdict.findings if finding.status is Status.UNKNOWN}
    assert lost == {name for (_, name), number in shard_of.items() if number in missing}


def test_the_shards_of_a_zone_are_its_own(inspection: Inspection) -> None:
    parts = {"e1": sharded(inspection, 1, 2, "east"), "w": part(inspection, "west")}
    notes = merged(inspection, parts).notes
    assert notes[0].startswith("e1: network zone east, shard 1/2, ")
    cure = "preflight collect toy.toml --zone east --shard 2/2 --output east-2.json"
    assert notes[2:] == (f"shard 2 of 2 is missing, which asks db2: {cure}",)
    whole = merged(inspection, {**parts, "e2": sharded(inspection, 2, 2, "east")})
    assert judge(whole.answered).decision is Decision.GO


def test_a_shard_that_had_nothing_to_ask_is_not_missed(many: Inspection) -> None:
    found = merged(many, {f"{number}": sharded(many, number, 12) for number in range(1, 11)})
    assert judge(found.answered).decision is Decision.GO
    assert not [note for note in found.notes if "missing" in note]


def test_a_shard_given_twice_is_told_and_does_no_harm(many: Inspection) -> None:
    parts = {"1": sharded(many, 1, 2), "2": sharded(many, 2, 2), "2 again": sharded(many, 2, 2, minutes=1)}
    found = merged(many, parts)
    assert "shard 2/2 is given 2 times: 2, 2 again" in found.notes
    assert judge(found.answered).decision is Decision.GO


def test_shards_of_two_numbers_are_refused(many: Inspection) -> None:
    with pytest.raises(MergeError, match="a is shard 1/2 and b shard 2/4: run all by one number"):
        merged(many, {"a": sharded(many, 1, 2), "b": sharded(many, 2, 4)})


def test_a_shard_of_another_plan_is_refused(many: Inspection) -> None:
    with pytest.raises(MergeError, match="b was collected for another text of this plan"):
        merged(many, {"a": sharded(many, 1, 2), "b": replace(sharded(many, 2, 2), plan_digest="f" * 64)})


def test_a_shard_of_an_older_run_is_told_and_stale(many: Inspection) -> None:
    late = replace(many, moment=MOMENT + timedelta(days=2))
    parts = {"old": sharded(late, 1, 2), "new": sharded(late, 2, 2, minutes=2 * 24 * 60)}
    found = merged(late, parts)
    assert "old is 2 d older than the newest part: is it of an earlier run?" in found.notes
    verdict = judge(found.answered)
    assert verdict.decision is Decision.HOLD
    assert [finding.status for finding in verdict.findings].count(Status.STALE) == 5


def test_what_a_subject_of_several_shards_asks_second_is_missed_by_name() -> None:
    """No shard can ask it: the first answers are known to none of them together."""
    inspection = inspect(toy_plan(["a", "b"]), registry(Together), MOMENT)
    shards = {f"{number}": sharded(inspection, number, 2) for number in (1, 2)}
    found = merged(inspection, shards)
    assert judge(found.answered).decision is Decision.HOLD
    assert found.notes[-1] == "nobody asked a: preflight run toy.toml"


class Together(Deep):
    """Asks a host again by what two have said."""

    id = "together"

    def subjects(self) -> Sequence[Subject]:
        return [Subject("both", None)]

    def probes(self, subject: Subject) -> Probes:
        return {name: Echo(name) for name in self.plan.hosts}

    def follow_up(self, subject: Subject, **words: str) -> Probes:
        return {"more": Echo("a", " ".join(words.values()))}

    def judge(self, subject: Subject, *, more: str, **_words: str) -> Judgement:
        return passed(more)


def test_a_plan_with_zones_may_be_split_as_a_whole(inspection: Inspection) -> None:
    notes = merged(inspection, {"1": sharded(inspection, 1, 3)}).notes
    assert [note.partition(",")[0] for note in notes] == ["shard 2 of 3 is missing", "shard 3 of 3 is missing"]
