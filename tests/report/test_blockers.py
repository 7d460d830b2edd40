"""What stands between a verdict and GO, as every format lists it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from preflight.finding import Severity, Status
from preflight.report.document.order import ask_by_words, blockers
from tests.report.formats.cases import go, hold, no_go, waived


def test_what_could_not_look_for_a_failure_names_it() -> None:
    *own, shared = blockers(no_go())
    assert [row.what for row in own] == ["login db1", "space orders", "hashes orders"]
    assert (shared.status, shared.behind, shared.waiting) == (Status.UNKNOWN, "login db1", 2)
    (alone,) = blockers(hold())
    assert (alone.behind, alone.waiting) == ("", 2)


def test_nothing_stands_before_go() -> None:
    assert blockers(go()) == blockers(waived()) == []


def test_a_cause_that_keeps_only_advisory_checks_from_looking_blocks_nothing() -> None:
    first, *others = hold().findings
    advisory = [replace(each, severity=Severity.ADVISORY) for each in (first, *others)]
    assert blockers(replace(hold(), findings=advisory)) == []
    unseen = [each.status is Status.UNKNOWN for each in hold().findings].index(True)
    advisory[unseen] = replace(advisory[unseen], severity=Severity.BLOCKING)
    (row,) = blockers(replace(hold(), findings=advisory))
    assert (row.what, row.waiting) == ("2 checks behind db1", 2)


@pytest.mark.parametrize(
    ("hours", "told"),
    [(-1, "overdue"), (0, "Sat 00:00"), (6 * 24, "Fri 00:00"), (7 * 24, "24 Oct")],
)
def test_by_when_to_ask_is_a_weekday_and_time_within_a_week(hours: int, told: str) -> None:
    assert ask_by_words(go(), go().moment + timedelta(hours=hours)) == told
