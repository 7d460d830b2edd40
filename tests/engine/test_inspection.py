"""The engine: nothing vanishes, nothing unobserved is green, a replay equals the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from preflight.check import Check, Probes, Subject
from preflight.engine.answered import Answered
from preflight.engine.inspection import inspect
from preflight.engine.registry import BrokenSource, Registry
from preflight.engine.run import collect, judge
from preflight.engine.selection import Selection
from preflight.evidence import Evidence
from preflight.finding import Judgement, Severity, Status, passed, unknown
from preflight.probe import Answer, NoReply, Question
from preflight.reasons import Reason
from preflight.verdict import Decision
from tests.toy import MOMENT, Crashing, Deep, Echo, Ready, Script, lost, registry, reply, toy_plan


class Seeing(Ready):
    """Does a check that sees a lost answer share its cause?"""

    id = "seeing"
    judges_no_reply = frozenset({"word"})

    def judge(self, subject: Subject, *, word: str | NoReply) -> Judgement:
        return unknown("could not look", remedy="look") if isinstance(word, NoReply) else passed("seen")


class Twice(Ready):
    """Is one wait counted twice?"""

    id = "twice"

    def probes(self, subject: Subject) -> Probes:
        return {"word": Echo(subject.id), "other": Echo(subject.id, "other")}

    def judge(self, subject: Subject, **words: str) -> Judgement:
        return passed("seen")


def run(*checks: type[Check], answer: Callable[[Question], Answer] | str = "ready", **plan: object) -> Answered:
    inspection = inspect(toy_plan(**plan), registry(*checks), MOMENT)  # type: ignore[arg-type]
    return collect(inspection, Script(answer).open, 5)


def statuses(answered: Answered) -> list[Status]:
    return [finding.status for finding in answered.findings()]


def test_all_passing_is_go() -> None:
    assert judge(run(Ready, Deep, hosts=("db1", "db2"))).decision is Decision.GO


def test_one_failing_host_is_no_go() -> None:
    assert judge(run(Ready, answer="asleep")).decision is Decision.NO_GO


def test_an_empty_plan_is_hold() -> None:
    verdict = judge(run(Ready, hosts=()))
    assert verdict.decision is Decision.HOLD
    assert verdict.planned == 0


def test_no_checks_at_all_is_hold() -> None:
    inspection = inspect(toy_plan(), Registry(()), MOMENT)
    assert judge(collect(inspection, Script().open, 5)).decision is Decision.HOLD


def test_an_unanswered_question_makes_the_subject_unknown_with_the_shared_cause() -> None:
    verdict = judge(run(Ready, Deep, answer=lambda _: lost()))
    assert verdict.decision is Decision.HOLD
    assert {finding.cause for finding in verdict.findings} == {"from here to db1 as dbadmin: db1: unreachable"}


def test_a_reply_that_cannot_be_read_is_unknown() -> None:
    verdict = judge(run(Ready, answer="unreadable"))
    assert verdict.decision is Decision.HOLD
    assert "cannot be read" in verdict.findings[0].judgement.actual


def test_a_crashed_check_is_one_unknown_line_and_the_others_are_judged() -> None:
    verdict = judge(run(Crashing, Ready))
    assert [finding.status for finding in verdict.findings] == [Status.UNKNOWN, Status.PASS]
    assert "RuntimeError: boom" in verdict.findings[0].judgement.summary
    assert verdict.decision is Decision.HOLD


@pytest.mark.parametrize("method", ["subjects", "probes", "follow_up", "judge", "__init__"])
def test_a_crash_anywhere_in_a_check_is_unknown(method: str) -> None:
    def boom(self: object, *_args: object, **_facts: object) -> None:
        raise ZeroDivisionError("anywhere")

    broken = type("Broken", (Deep,), {method: boom, "id": "broken", "__doc__": "Broken?"})
    verdict = judge(run(broken, Ready))
    assert [finding.status for finding in verdict.findings] == [Status.UNKNOWN, Status.PASS]
    assert "anywhere" in verdict.findings[0].judgement.summary


@pytest.mark.parametrize("method", ["probes", "follow_up"])
def test_a_host_that_the_plan_does_not_have_is_the_checks_own_fault(method: str) -> None:
    def elsewhere(self: object, *_args: object, **_facts: object) -> Probes:
        return {"word": Echo("nowhere"), "more": Echo("nowhere", "more")}

    broken = type("Broken", (Deep,), {method: elsewhere, "id": "broken", "__doc__": "Broken?"})
    verdict = judge(run(broken, Ready))
    assert [finding.status for finding in verdict.findings] == [Status.UNKNOWN, Status.PASS]
    assert "the plan has no host nowhere" in verdict.findings[0].judgement.summary


@pytest.mark.parametrize("result", [None, True, "pass", Status.PASS])
def test_a_check_that_returns_no_judgement_is_unknown(result: object) -> None:
    broken = type("Broken", (Ready,), {"judge": lambda self, subject, **_: result, "__doc__": "Broken?"})
    assert statuses(run(broken)) == [Status.UNKNOWN]


def test_a_broken_plug_in_is_an_unknown_line_that_names_it() -> None:
    inspection = inspect(toy_plan(), Registry((Ready,), (BrokenSource("acme 1.0", "ImportError: no acme"),)), MOMENT)
    verdict = judge(collect(inspection, Script().open, 5))
    assert verdict.decision is Decision.HOLD
    assert [finding.check for finding in verdict.findings] == ["ready", "acme 1.0"]


class Tolerant(Ready):
    """Does a check that looks at missing answers pass by them?"""

    id = "tolerant"
    judges_no_reply = frozenset({"word"})

    def judge(self, subject: Subject, *, word: str | NoReply) -> Judgement:
        return passed("all is well")


def test_a_check_that_sees_missing_answers_still_cannot_pass_without_them() -> None:
    assert statuses(run(Tolerant)) == [Status.PASS]
    assert statuses(run(Tolerant, answer=lambda _: lost())) == [Status.UNKNOWN]


def test_deselected_checks_are_counted_and_the_run_is_never_go() -> None:
    inspection = inspect(toy_plan(), registry(Ready, Deep), MOMENT, Selection.of_checks("ready"))
    verdict = judge(collect(inspection, Script().open, 5))
    assert [finding.status for finding in verdict.findings] == [Status.PASS, Status.SKIPPED]
    assert verdict.decision is Decision.HOLD


def test_deselecting_a_check_that_has_nothing_to_do_is_never_go_either() -> None:
    class Idle(Ready):
        """Nothing to do?"""

        id = "idle"

        def subjects(self) -> list[Subject]:
            return []

    inspection = inspect(toy_plan(), registry(Ready, Idle), MOMENT, Selection.of_checks("ready"))
    assert judge(collect(inspection, Script().open, 5)).decision is Decision.HOLD


def test_equal_probes_of_different_checks_are_asked_once() -> None:
    class Twin(Ready):
        """The same question?"""

        id = "twin"

    script = Script()
    inspection = inspect(toy_plan(), registry(Ready, Twin), MOMENT)
    collect(inspection, script.open, 5)
    assert len(script.asked) == 1


def test_the_second_round_asks_only_what_the_first_made_necessary() -> None:
    script = Script()
    inspection = inspect(toy_plan(), registry(Deep), MOMENT)
    collect(inspection, script.open, 5)
    assert [question.text for question in script.asked] == ["echo ready", "echo again ready"]


def test_dropping_any_one_reply_is_never_go() -> None:
    answered = run(Ready, Deep, Tolerant, hosts=("db1", "db2"))
    assert judge(answered).decision is Decision.GO
    for question, _ in answered.evidence:
        less = Answered(answered.inspection, answered.evidence.without(question.id))
        assert judge(less).decision is not Decision.GO, question.text


def test_saved_evidence_is_judged_equally(tmp_path: Path) -> None:
    answered = run(Ready, Deep, hosts=("db1", "db2"))
    again = Evidence.from_json(answered.evidence.to_json())
    assert Answered(answered.inspection, again).findings() == answered.findings()
    assert again.digest == answered.evidence.digest


def test_plan_severity_and_settings_reach_the_check() -> None:
    plan = toy_plan(checks={"ready": {"severity": "advisory"}})
    inspection = inspect(plan, registry(Ready), MOMENT)
    assert inspection.items[0].severity is Severity.ADVISORY


def test_two_subjects_of_one_name_are_a_defect_of_the_check() -> None:
    class Twice(Ready):
        """The same subject twice?"""

        def subjects(self) -> list[Subject]:
            return [Subject("db1", None), Subject("db1", None)]

        def probes(self, subject: Subject) -> Probes:
            return {"word": Echo("db1")}

    assert statuses(run(Twice)) == [Status.UNKNOWN]
    assert reply("x").text == "x"


@pytest.mark.parametrize("method", ["subjects", "probes", "follow_up", "judge", "__init__"])
@pytest.mark.parametrize("death", [SystemExit(0), SystemExit(1), GeneratorExit()])
def test_a_check_that_ends_the_program_is_unknown_and_ends_nothing(method: str, death: BaseException) -> None:
    def end(self: object, *_args: object, **_facts: object) -> None:
        raise death

    broken = type("Broken", (Deep,), {method: end, "id": "broken", "__doc__": "Broken?"})
    verdict = judge(run(broken, Ready))
    assert [finding.status for finding in verdict.findings] == [Status.UNKNOWN, Status.PASS]


@pytest.mark.parametrize("status", ["green", Status.WAIVED])
def test_a_status_that_does_not_exist_or_is_none_of_a_check_is_unknown(status: Any) -> None:
    class Green(Ready):
        """Is it green?"""

        id = "green"

        def judge(self, subject: Subject, *, word: str) -> Judgement:
            return Judgement(status=status, summary=word)

    assert statuses(run(Green)) == [Status.UNKNOWN]
    assert judge(run(Green)).decision is Decision.HOLD


def test_a_secret_that_is_not_set_is_one_cause_with_one_cure_and_no_failure_of_the_far_end() -> None:
    def answer(question: Question) -> Answer:
        detail = f"{question.target}: the environment variable DB_PASSWORD is not set"
        return NoReply(Reason.NO_SECRET, detail, MOMENT, vantage=f"from here to {question.target}")

    verdict = judge(run(Ready, Seeing, answer=answer, hosts=("db1", "db2")))
    assert verdict.decision is Decision.HOLD
    said = "not tried: the environment variable DB_PASSWORD is not set (where preflight runs)"
    assert {(found.cause, found.owner) for found in verdict.findings} == {(said, "whoever runs preflight")}
    assert {found.judgement.remedy for found in verdict.findings} == {
        "set it where preflight runs, or name another reference in the plan"
    }


def test_a_wait_that_several_questions_shared_is_counted_once() -> None:
    (found,) = judge(run(Twice, answer=lambda _: replace(lost(), took_seconds=30.0))).findings
    assert found.took_seconds == 30.0
