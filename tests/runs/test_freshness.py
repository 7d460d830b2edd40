"""Evidence ages: what is too old for the moment judged is STALE, and the gate asks again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from preflight.check import Check, Probes, Subject
from preflight.clock import now
from preflight.engine.answered import Answered
from preflight.engine.inspection import Inspection, inspect
from preflight.engine.run import collect, judge
from preflight.evidence import Evidence
from preflight.finding import Judgement, Status, passed
from preflight.plan import Freshness
from preflight.probe import Answer, Family, Question, Reply
from preflight.runs.gate import start_from
from preflight.runs.saved_runs import SavedRun
from preflight.verdict import Decision
from tests.toy import MOMENT, Deep, Echo, Ready, Script, lost, registry, reply, toy_plan

SECOND = timedelta(seconds=1)
INPUTS = {"preflight": "1", "plan": "0" * 64, "scripts.orders.manifest": "a"}
AT_START = toy_plan().window.start


@dataclass(frozen=True)
class Health(Echo):
    family: ClassVar[Family] = Family.HEALTH


@dataclass(frozen=True)
class Staged(Echo):
    family: ClassVar[Family] = Family.SCRIPTS


@dataclass(frozen=True)
class FullRead(Echo):
    family: ClassVar[Family] = Family.BACKUP

    def may_be_kept(self, reply: Reply) -> bool:
        return self.read(reply) == "ready"


class Backup(Ready):
    """A listing, and the full read of what it shows."""

    id = "backup"

    def probes(self, subject: Subject) -> Probes:
        return {"listing": Echo(subject.id, "list")}

    def follow_up(self, subject: Subject, *, listing: str) -> Probes:
        return {"read": FullRead(subject.id, f"read {listing}")}

    def judge(self, subject: Subject, *, listing: str, read: str) -> Judgement:
        return passed(read)


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


def asked_at(moment: datetime, text: str = "ready") -> Script:
    return Script(lambda _: Reply(0, text, moment, 0.1, "on db1 as dbadmin"))


def answers(inspection: Inspection, moment: datetime) -> Evidence:
    return replace(collect(inspection, asked_at(moment).open, 5, inputs=INPUTS).evidence, collected_at=moment)


def saved(evidence: Evidence) -> SavedRun:
    return SavedRun(Path("run.json"), evidence, None)


@pytest.mark.parametrize(
    ("subject", "most"),
    [("Echo", timedelta(minutes=30)), ("Health", timedelta(hours=4)), ("Staged", timedelta(minutes=30))],
)
def test_each_family_has_its_age_and_a_second_more_is_stale(subject: str, most: timedelta) -> None:
    inspection = at(MOMENT)
    for age, status in ((most, Status.PASS), (most + SECOND, Status.STALE)):
        found = {
            finding.subject: finding for finding in Answered(inspection, answers(inspection, MOMENT - age)).findings()
        }
        assert found[subject].status is status


def test_the_plan_sets_another_age() -> None:
    inspection = at(MOMENT, Ready, freshness=Freshness(state=timedelta(minutes=5)))
    evidence = answers(inspection, MOMENT - timedelta(minutes=6))
    assert judge(Answered(inspection, evidence)).decision is Decision.HOLD


def test_stale_is_hold_and_says_how_old_and_how_old_it_may_be() -> None:
    inspection = at(MOMENT, Ready)
    verdict = judge(Answered(inspection, answers(inspection, MOMENT - timedelta(minutes=31))))
    assert verdict.decision is Decision.HOLD
    told = verdict.findings[0].judgement
    assert "31 min" in told.summary
    assert "30 min" in told.expected


def test_who_asks_too_early_is_told_once_from_when_on_to_ask_again() -> None:
    now = MOMENT - timedelta(hours=15)
    freshness = Freshness(state=timedelta(hours=4))
    inspection = inspect(toy_plan(["db1", "db2"], freshness=freshness), registry(Ready), MOMENT, asked_at=now)
    verdict = judge(Answered(inspection, answers(inspection, now)))
    assert {finding.cause for finding in verdict.findings} == {"asked too early for the moment judged"}
    assert {(finding.owner, finding.price) for finding in verdict.findings} == {("whoever runs preflight", None)}
    remedies = {finding.judgement.remedy for finding in verdict.findings}
    # Not from 15:00, four hours before: other answers would be too old again, and the line would stay.
    assert remedies == {"ask again from Fri 2026-10-16 18:30 +00:00 on: preflight gate toy.toml"}


def test_an_old_failure_stays_a_failure_until_it_is_asked_again() -> None:
    inspection = at(MOMENT, Ready)
    old = Script(lambda _: Reply(0, "asleep", MOMENT - timedelta(days=1), 0.1, ""))
    assert judge(collect(inspection, old.open, 5)).decision is Decision.NO_GO


def test_one_old_answer_of_two_rounds_is_enough() -> None:
    inspection = at(MOMENT, Deep)

    def answer(question: Question) -> Answer:
        age = timedelta(minutes=31) if "again" in question.text else timedelta()
        return Reply(0, "ready", MOMENT - age, 0.1, "")

    assert collect(inspection, Script(answer).open, 5).findings()[0].status is Status.STALE


def asks_again(inspection: Inspection, old: Evidence, answer: str = "ready") -> tuple[list[str], str, Decision]:
    """The questions asked again, what the report says of the start, and the decision."""
    basis = start_from(inspection, saved(old), INPUTS, inspection.moment)
    script = asked_at(inspection.moment, answer)
    answered = collect(inspection, script.open, 5, earlier=basis.earlier, inputs=INPUTS)
    told = basis.grounds(answered.evidence)[0]
    return [question.text for question in script.asked], told, judge(answered).decision


def test_the_gate_asks_everything_again_however_fresh_it_is() -> None:
    inspection = at(AT_START)
    asked, told, decision = asks_again(inspection, answers(inspection, AT_START))
    assert sorted(asked) == ["echo Echo", "echo Health", "echo Staged"]
    assert told.endswith("everything is asked again")
    assert decision is Decision.GO


def test_what_broke_since_the_run_is_seen() -> None:
    inspection = at(AT_START, Ready)
    _, _, decision = asks_again(inspection, answers(inspection, AT_START), answer="asleep")
    assert decision is Decision.NO_GO


def test_the_full_read_of_the_very_same_file_is_kept() -> None:
    inspection = at(AT_START, Backup)
    asked, told, decision = asks_again(inspection, answers(inspection, AT_START - timedelta(hours=8)))
    assert asked == ["echo list"], "the listing is asked again, the read is not"
    assert told.endswith("everything is asked again but the full read of 1 backup, unchanged since")
    assert decision is Decision.GO


def test_a_file_in_another_state_is_read_again() -> None:
    inspection = at(AT_START, Backup)
    asked, told, _ = asks_again(inspection, answers(inspection, AT_START - SECOND), answer="changed")
    assert asked == ["echo list", "echo read changed"]
    assert told.endswith("everything is asked again")


@pytest.mark.parametrize(
    "old",
    [
        Reply(0, "failed", AT_START, 0.1, ""),
        Reply(0, "unreadable", AT_START, 0.1, ""),
        Reply(0, "ready", AT_START - timedelta(hours=24, seconds=1), 0.1, ""),
        Reply(0, "ready", now() + timedelta(days=1), 0.1, ""),
        replace(lost(), asked_at=AT_START),
    ],
    ids=["failed", "unreadable", "too old", "of the future", "no reply"],
)
def test_a_read_that_proves_nothing_is_made_again(old: Answer) -> None:
    inspection = at(AT_START, Backup)
    before = Script(lambda question: old if "read" in question.text else reply("ready"))
    evidence = replace(collect(inspection, before.open, 5, inputs=INPUTS).evidence, collected_at=AT_START)
    asked, _, decision = asks_again(inspection, evidence)
    assert asked == ["echo list", "echo read ready"]
    assert decision is Decision.GO


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scripts.orders.manifest": "b"}, "scripts.orders.manifest changed"),
        ({"plan": "1" * 64}, "plan changed"),
        ({"preflight": "2"}, "preflight was 2, now 1"),
        ({"file of sealed host keys": "c"}, "file of sealed host keys was removed"),
    ],
)
def test_what_changed_since_voids_the_earlier_run_by_name(change: dict[str, str], said: str) -> None:
    inspection = at(AT_START)
    old = replace(answers(inspection, AT_START), inputs={**INPUTS, **change})
    asked, told, _ = asks_again(inspection, old)
    assert len(asked) == 3
    assert f"is void: {said}" in told


def test_without_asking_nothing_of_a_void_run_is_judged() -> None:
    inspection = at(AT_START)
    old = replace(answers(inspection, AT_START), inputs={})
    basis = start_from(inspection, saved(old), INPUTS, AT_START, ask=False)
    assert basis.earlier is None
    assert basis.grounds(None)[0].endswith("nothing of it is judged")


def test_without_asking_fresh_evidence_is_judged_and_stale_is_hold() -> None:
    inspection = at(AT_START)
    for age, decision in ((timedelta(minutes=30), Decision.GO), (timedelta(minutes=31), Decision.HOLD)):
        basis = start_from(inspection, saved(answers(inspection, AT_START - age)), INPUTS, AT_START, ask=False)
        assert basis.earlier is not None
        assert judge(Answered(inspection, basis.earlier)).decision is decision
        assert basis.grounds(None)[0].endswith("judged again without asking")


def test_evidence_from_the_future_is_void() -> None:
    inspection = at(AT_START)
    old = answers(inspection, AT_START + SECOND)
    basis = start_from(inspection, saved(old), INPUTS, AT_START)
    assert basis.earlier is None
    assert "dated in the future" in basis.run


def test_no_earlier_run_means_everything_is_asked() -> None:
    inspection = at(AT_START)
    basis = start_from(inspection, None, INPUTS, AT_START)
    assert basis.earlier is None
    assert "no earlier run" in basis.run


def test_a_gate_long_before_the_window_says_that_it_cannot_be_go() -> None:
    inspection = at(AT_START)
    basis = start_from(inspection, None, INPUTS, AT_START - timedelta(hours=9))
    assert "9 h away" in basis.remarks[-1]
