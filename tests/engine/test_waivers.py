"""Waivers cover exactly what they were granted for, up to their limit, as long as it is needed; and none is silent."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from preflight.engine.waivers import apply_waivers
from preflight.finding import Finding, Judgement, Quantity, Severity, Status, failed, passed, unknown, warned
from preflight.plan import Plan, Waiver
from preflight.verdict import WaiverState, WaiverUse
from tests.toy import MOMENT, toy_plan

PLAN = toy_plan()
NEEDED_UNTIL = PLAN.window.needed_until


def waiver(**fields: Any) -> Waiver:
    values: dict[str, Any] = {
        "id": "W-3",
        "check": "app-health",
        "subject": "app1",
        "reason": "known slow disk",
        "limit": "900 ms",
        "approved_by": "release-manager",
        "granted": MOMENT - timedelta(hours=1),
        "expires": NEEDED_UNTIL + timedelta(seconds=1),
    }
    return Waiver(**{**values, **fields})


def slow(seconds: float = 0.9, **fields: Any) -> Judgement:
    return Judgement(
        status=Status.FAIL,
        summary="answered late",
        actual=f"{seconds} s",
        expected="0.5 s",
        remedy="make it quicker",
        quantity=Quantity(seconds, "s"),
        **fields,
    )


def finding(judgement: Judgement, check: str = "app-health", subject: str = "app1") -> Finding:
    return Finding(check=check, title="", subject=subject, severity=Severity.BLOCKING, judgement=judgement)


def applied(judgement: Judgement, *waivers: Waiver, moment: datetime = MOMENT) -> tuple[Finding, tuple[WaiverUse, ...]]:
    plan: Plan = toy_plan(waivers=waivers or (waiver(),))
    findings, uses = apply_waivers(plan, [finding(judgement)], moment)
    return findings[0], uses


def test_a_failure_within_the_limit_is_waived_and_keeps_its_real_status() -> None:
    found, uses = applied(slow())
    assert found.status is Status.WAIVED
    assert found.judgement.status is Status.FAIL
    assert found.waiver == "W-3"
    assert uses[0].state is WaiverState.COVERS


def test_a_hair_beyond_the_limit_is_not_covered() -> None:
    found, uses = applied(slow(0.900001))
    assert found.status is Status.FAIL
    assert uses[0].state is WaiverState.BEYOND


@pytest.mark.parametrize(("size", "status"), [(12 * 2**30, Status.WAIVED), (12 * 2**30 + 1, Status.FAIL)])
def test_a_limit_in_bytes_is_kept_to_the_byte(size: int, status: Status) -> None:
    short = failed("too small", expected="", actual="", remedy="more", quantity=Quantity(size, "B"))
    assert applied(short, waiver(limit="12 GiB"))[0].status is status


@pytest.mark.parametrize(("left", "status"), [(86400, Status.WAIVED), (86399, Status.FAIL)])
def test_where_less_is_worse_the_limit_is_the_least(left: int, status: Status) -> None:
    ends = failed(
        "ends soon", expected="", actual="", remedy="renew", quantity=Quantity(left, "s", more_is_worse=False)
    )
    assert applied(ends, waiver(limit="1 d"))[0].status is status


@pytest.mark.parametrize("limit", ["900", "900 B", "much", "", "900 parsecs"])
def test_a_limit_in_another_unit_covers_nothing(limit: str) -> None:
    assert applied(slow(), waiver(limit=limit))[0].status is Status.FAIL


def test_without_a_number_the_limit_is_the_very_text_that_was_found() -> None:
    strange = failed("another text", expected="UP", actual="DEGRADED", remedy="mend it")
    assert applied(strange, waiver(limit="DEGRADED"))[0].status is Status.WAIVED
    assert applied(strange, waiver(limit="DEGRADED."))[0].status is Status.FAIL


def test_a_failure_that_says_nothing_of_what_was_found_cannot_be_waived() -> None:
    assert applied(failed("no", expected="", actual="", remedy="mend it"), waiver(limit=" "))[0].status is Status.FAIL


def test_a_waiver_for_one_point_does_not_cover_another() -> None:
    both = Judgement.of([slow(), failed("is down", expected="UP", actual="DOWN", remedy="start it")])
    assert applied(both)[0].status is Status.FAIL
    covered, uses = applied(both, waiver(), waiver(id="W-4", limit="DOWN"))
    assert covered.status is Status.WAIVED
    assert covered.waiver == "W-3, W-4"
    assert {use.state for use in uses} == {WaiverState.COVERS}


def test_a_point_that_could_not_be_seen_is_not_covered_with_the_others() -> None:
    assert (
        applied(Judgement.of([slow(), unknown("could not look", actual="0.9 s", remedy="look")]))[0].status
        is Status.FAIL
    )


def test_warnings_beside_a_covered_failure_do_not_matter() -> None:
    assert applied(Judgement.of([slow(), warned("a detail", remedy="look")]))[0].status is Status.WAIVED


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.STALE, Status.SKIPPED])
def test_what_was_not_seen_is_never_waived(status: Status) -> None:
    found, uses = applied(
        Judgement(status=status, summary="", actual="0.9 s", remedy="look", quantity=Quantity(0, "s"))
    )
    assert found.status is status
    assert uses[0].state is WaiverState.NOT_A_FAILURE


def test_identity_script_content_and_server_role_are_never_waived() -> None:
    found, uses = applied(slow(waivable=False))
    assert found.status is Status.FAIL
    assert uses[0].state is WaiverState.FORBIDDEN


def test_a_waiver_must_outlive_the_window_and_its_reserve() -> None:
    found, uses = applied(slow(), waiver(expires=NEEDED_UNTIL))
    assert found.status is Status.FAIL
    assert uses[0].state is WaiverState.EXPIRED


@pytest.mark.parametrize(("late", "state"), [(0, WaiverState.COVERS), (1, WaiverState.TOO_LATE)])
def test_a_waiver_that_was_granted_after_the_cutoff_does_not_count(late: int, state: WaiverState) -> None:
    """The window begins nine hours after the moment judged."""
    release = replace(PLAN.release, waiver_cutoff=timedelta(hours=10))
    granted = waiver(granted=MOMENT - timedelta(hours=1) + timedelta(seconds=late))
    plan = replace(PLAN, release=release, waivers=(granted,))
    found = Finding(check="app-health", title="-", subject="app1", severity=Severity.BLOCKING, judgement=slow())
    ((seen,), (use,)) = apply_waivers(plan, [found], MOMENT)
    assert (use.state, seen.status is Status.WAIVED) == (state, state is WaiverState.COVERS)
    if late:
        assert use.text == "was granted Fri 2026-10-16 18:00 +00:00, later than 10 h before the start"


@pytest.mark.parametrize(("early", "state"), [(0, WaiverState.COVERS), (1, WaiverState.NOT_YET)])
def test_a_waiver_begins_when_it_is_granted(early: int, state: WaiverState) -> None:
    granted = waiver(granted=MOMENT)
    assert applied(slow(), granted, moment=MOMENT - timedelta(seconds=early))[1][0].state is state


@pytest.mark.parametrize(
    "fields", [{"subject": "app"}, {"subject": "app11"}, {"subject": "App1"}, {"check": "app-healt"}, {"subject": "*"}]
)
def test_a_waiver_is_matched_by_exact_names(fields: dict[str, str]) -> None:
    found, uses = applied(slow(), waiver(**fields))
    assert found.status is Status.FAIL
    assert uses[0].state is WaiverState.UNMATCHED


def test_a_waiver_for_a_pass_is_told_as_unused() -> None:
    found, uses = applied(passed("quick"))
    assert found.status is Status.PASS
    assert uses[0].state is WaiverState.UNUSED
