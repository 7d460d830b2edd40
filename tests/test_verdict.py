"""The verdict table of the design, line by line."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from preflight.engine.conclude import decide
from preflight.errors import ExitCode
from preflight.finding import Finding, Judgement, Severity, Status
from preflight.plan import Waiver
from preflight.verdict import Decision
from tests.toy import MOMENT, conclude, toy_plan

GREEN = {Status.PASS, Status.WARN, Status.WAIVED}


def finding(status: Status, severity: Severity = Severity.BLOCKING) -> Finding:
    shown = Status.FAIL if status is Status.WAIVED else status
    judgement = Judgement(status=shown, summary="seen", remedy="mend it")
    waiver = "W-1" if status is Status.WAIVED else ""
    return Finding(
        check="toy", title="it is so", subject="x", severity=severity, judgement=judgement, waiver=waiver,
        oldest_evidence_at=MOMENT,
    )  # fmt: skip


@pytest.mark.parametrize("statuses", list(itertools.combinations_with_replacement(Status, 2)))
def test_the_worst_blocking_line_decides(statuses: tuple[Status, Status]) -> None:
    decision, _ = decide([finding(status) for status in statuses], partial=False)
    if Status.FAIL in statuses:
        assert decision is Decision.NO_GO
    elif set(statuses) <= GREEN:
        assert decision is Decision.GO
    else:
        assert decision is Decision.HOLD


@pytest.mark.parametrize("status", list(Status))
def test_an_advisory_line_never_decides_against_a_passing_blocking_one(status: Status) -> None:
    findings = [finding(Status.PASS), finding(status, Severity.ADVISORY)]
    assert decide(findings, partial=False)[0] is Decision.GO


@pytest.mark.parametrize("blocking", list(Status))
@pytest.mark.parametrize("status", list(Status))
def test_a_required_line_holds_what_would_be_a_go_and_is_never_a_no_go(status: Status, blocking: Status) -> None:
    alone = decide([finding(Status.PASS), finding(blocking)], partial=False)[0]
    decision, _ = decide([finding(Status.PASS), finding(blocking), finding(status, Severity.REQUIRED)], partial=False)
    held = alone is Decision.GO and status not in GREEN
    assert decision is (Decision.HOLD if held else alone)


@pytest.mark.parametrize("findings", [[], [finding(Status.PASS, Severity.ADVISORY)], [finding(Status.SKIPPED)]])
def test_nothing_blocking_judged_is_hold_with_a_reason(findings: list[Finding]) -> None:
    decision, reason = decide(findings, partial=False)
    assert decision is Decision.HOLD
    assert reason


@pytest.mark.parametrize("status", sorted(GREEN))
def test_a_partial_run_is_never_go(status: Status) -> None:
    assert decide([finding(status)], partial=True)[0] is Decision.HOLD


def test_a_vanished_check_is_a_defect_and_not_a_verdict() -> None:
    with pytest.raises(AssertionError, match="2 checks were planned, 1 are in the report"):
        conclude(toy_plan(), [finding(Status.PASS)], planned=2, evidence_digest="", collected_at=MOMENT, moment=MOMENT)


@pytest.mark.parametrize(
    ("status", "code"), [(Status.PASS, ExitCode.GO), (Status.FAIL, ExitCode.NO_GO), (Status.UNKNOWN, ExitCode.HOLD)]
)
def test_each_decision_has_its_exit_code(status: Status, code: ExitCode) -> None:
    verdict = conclude(toy_plan(), [finding(status)], planned=1, evidence_digest="", collected_at=MOMENT, moment=MOMENT)
    assert verdict.exit_code is code


def test_what_rests_on_the_plan_alone_confirms_nothing() -> None:
    alone = replace(finding(Status.WARN), oldest_evidence_at=None)
    assert decide([alone], partial=False) == (
        Decision.HOLD, "no blocking check saw anything, so nothing is confirmed"
    )  # fmt: skip
    assert decide([alone, finding(Status.PASS)], partial=False)[0] is Decision.GO


def test_waivers_are_in_the_headline() -> None:
    accepted = [
        Waiver(
            id=f"W-{subject}",
            check="toy",
            subject=subject,
            reason="known",
            limit="slow",
            approved_by="dba",
            granted=MOMENT,
            expires=MOMENT + timedelta(days=2),
        )
        for subject in "ab"
    ]
    slow = Judgement(status=Status.FAIL, summary="slow", actual="slow", remedy="mend it")
    two = [replace(finding(Status.FAIL), subject=subject, judgement=slow) for subject in "ab"]
    for waivers, headline in (((), "NO-GO"), (accepted[:1], "NO-GO"), (accepted, "GO with 2 waivers")):
        plan = toy_plan(waivers=tuple(waivers))
        verdict = conclude(plan, two, planned=2, evidence_digest="", collected_at=MOMENT, moment=MOMENT)
        assert verdict.headline == headline


def test_no_observation_is_unknown_and_a_failure_without_a_cure_cannot_be_written() -> None:
    assert Judgement.of([]).status is Status.UNKNOWN
    with pytest.raises(ValueError, match="needs a remedy"):
        Judgement(status=Status.FAIL, summary="bad")


def test_several_observations_give_the_worst_and_keep_all() -> None:
    points = [Judgement(status=status, summary=status.value, remedy="act") for status in (Status.PASS, Status.FAIL)]
    worst = Judgement.of(points)
    assert worst.status is Status.FAIL
    assert [point.status for point in worst.points] == [Status.FAIL, Status.PASS]
    assert [point.summary for point in worst.telling_points()] == ["fail"]


@pytest.mark.parametrize("status", [Status.PASS, Status.WARN])
def test_nothing_green_holds_an_observation_that_is_not(status: Status) -> None:
    points = (
        Judgement(status=Status.UNKNOWN, summary="not seen", remedy="look"),
        Judgement(status=Status.PASS, summary="seen"),
    )
    with pytest.raises(ValueError, match="holds a point that is worse"):
        Judgement(status=status, summary="fine", remedy="act", points=points)


def test_a_window_that_is_over_is_hold_whatever_passes() -> None:
    plan = toy_plan()
    for moment, decision in ((plan.window.start, Decision.GO), (plan.window.end, Decision.HOLD)):
        verdict = conclude(
            plan, [finding(Status.PASS)], planned=1, evidence_digest="", collected_at=moment, moment=moment
        )
        assert verdict.decision is decision
        assert bool(verdict.reason) is (decision is Decision.HOLD)
