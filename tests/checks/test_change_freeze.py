"""change-freeze: what of a window lies in a freeze, at its bounds, on nights of clock changes, through a whole year."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from preflight_checks.change_freeze import ChangeFreeze

from preflight.clock import local_to_utc
from preflight.errors import PlanError
from preflight.finding import Judgement, Status
from preflight.plan import Decision, DecisionKind, Freeze, Plan, Role, Window
from preflight.plan.freeze import next_free, periods
from preflight.plan.load import load_plan
from preflight.testing import Trial, answered, plan_of
from tests.cli.program import preflight
from tests.toy import toy_plan

ZONE = "Europe/Berlin"
WEEKEND = Freeze(id="weekend", from_="Fri 16:00", until="Mon 06:00")
YEAR_END = Freeze(id="year-end", from_=date(2026, 12, 20), until=date(2027, 1, 3), reason="the books are closed")
LEAD = Role(id="lead", primary="A. Haddad", contact="ext. 1")
DECISION = Decision(on=DecisionKind.RETRY, rule="one", decides="lead", default="back")


def plan(start: str, end: str, *freezes: Freeze, zone: str = ZONE, **fields: Any) -> Plan:
    """`start` and `end`: local times of the zone."""
    first, last = (local_to_utc(datetime.fromisoformat(each), zone) for each in (start, end))
    window = Window(zone=zone, start=first, end=last)
    return toy_plan((), window=window, freeze={each.id: each for each in freezes}, **fields)


def judged(of: Plan, moment: datetime | None = None) -> dict[str, Judgement]:
    check = ChangeFreeze(of, moment or of.window.start - timedelta(hours=12))
    return {subject.id: check.judge(subject) for subject in check.subjects()}


def only(of: Plan) -> Judgement:
    (judgement,) = judged(of).values()
    return judgement


def test_a_plan_without_a_freeze_has_no_subject() -> None:
    assert judged(plan("2026-10-17T00:00", "2026-10-17T06:00")) == {}


def test_a_window_in_a_freeze_fails_with_its_end_the_overlap_and_the_next_free_window() -> None:
    found = only(plan("2026-10-16T12:00", "2026-10-16T18:30", WEEKEND))
    assert found.status is Status.FAIL
    lasts = "it lasts from Fri 2026-10-16 16:00 +02:00 until Mon 2026-10-19 06:00 +02:00"
    assert found.summary == f"2 h 30 min of the window lie in it: {lasts}"
    assert "the next begins Mon 2026-10-19 06:00 +02:00: start = 2026-10-19T06:00:00, end = 2026-10-19T12:30:00" in (
        found.remedy
    )
    assert 'check = "change-freeze", subject = "weekend", limit = "150 min"' in found.remedy
    assert found.quantity is not None
    assert found.quantity.value == 150 * 60


@pytest.mark.parametrize(
    ("start", "end", "minutes"),
    [
        ("2026-10-16T10:00", "2026-10-16T16:00", 0),  # ends exactly when it begins
        ("2026-10-16T10:00", "2026-10-16T16:01", 1),
        ("2026-10-19T06:00", "2026-10-19T08:00", 0),  # begins exactly when it ends
        ("2026-10-19T05:59", "2026-10-19T08:00", 1),
        ("2026-10-17T00:00", "2026-10-17T06:00", 360),  # within it
        ("2026-10-16T15:00", "2026-10-19T07:00", 62 * 60),  # around it
        ("2026-10-12T06:00", "2026-10-26T06:00", 62 * 60 * 2 + 60),  # two of them, one with the longer night
    ],
)
def test_bounds_of_every_week(start: str, end: str, minutes: int) -> None:
    found = only(plan(start, end, WEEKEND))
    assert found.status is (Status.FAIL if minutes else Status.PASS)
    assert (found.quantity.value / 60 if found.quantity else 0) == minutes


@pytest.mark.parametrize(
    ("start", "end", "minutes"),
    [
        ("2026-12-19T20:00", "2026-12-20T00:00", 0),
        ("2026-12-19T20:00", "2026-12-20T00:01", 1),
        ("2027-01-03T23:59", "2027-01-04T02:00", 1),  # the last day is frozen too
        ("2027-01-04T00:00", "2027-01-04T02:00", 0),
    ],
)
def test_bounds_of_dates(start: str, end: str, minutes: int) -> None:
    found = only(plan(start, end, YEAR_END))
    assert found.status is (Status.FAIL if minutes else Status.PASS)
    assert (found.quantity.value / 60 if found.quantity else 0) == minutes


def test_bounds_of_dates_with_times() -> None:
    begins, ends = (datetime(2026, 10, 16, hour, tzinfo=UTC) for hour in (10, 12))
    freeze = Freeze(id="x", from_=begins, until=ends)
    assert only(plan("2026-10-16T08:00", "2026-10-16T10:00", freeze, zone="UTC")).status is Status.PASS
    assert only(plan("2026-10-16T12:00", "2026-10-16T14:00", freeze, zone="UTC")).status is Status.PASS
    assert only(plan("2026-10-16T11:59", "2026-10-16T14:00", freeze, zone="UTC")).status is Status.FAIL


@pytest.mark.parametrize(
    ("start", "status"),
    [("2027-12-19T20:00", Status.PASS), ("2027-12-20T00:00", Status.WARN), ("2028-01-03T20:00", Status.WARN),
     ("2028-01-04T00:00", Status.PASS), ("2027-06-01T00:00", Status.PASS), ("2025-12-24T00:00", Status.PASS)],
)  # fmt: skip
def test_the_days_of_a_freeze_of_the_year_before_are_a_warning(start: str, status: Status) -> None:
    found = only(plan(start, f"{start[:11]}23:59", YEAR_END))
    assert found.status is status
    if status is Status.WARN:
        assert found.summary.startswith(
            "it is over, and its days of a year later touch the window: it lasts from Sun 2026"
        )
        assert found.remedy == "correct the year in [freeze.year-end], or take it out of the plan"
    assert only(plan(start, f"{start[:11]}23:59", WEEKEND)).status is not Status.WARN


def test_a_pass_tells_the_nearest_one() -> None:
    before = only(plan("2026-10-19T08:00", "2026-10-19T10:00", WEEKEND))
    assert before.summary == "nearest: ended Mon 2026-10-19 06:00 +02:00, 2 h before the window"
    after = only(plan("2026-10-16T10:00", "2026-10-16T15:00", WEEKEND))
    assert after.summary == "nearest: begins Fri 2026-10-16 16:00 +02:00, 1 h after the window"


def test_the_rollback_reserve_may_reach_into_a_freeze() -> None:
    assert only(plan("2026-10-16T10:00", "2026-10-16T15:59", WEEKEND)).status is Status.PASS


def test_each_freeze_is_a_line_of_its_own_and_the_free_window_keeps_clear_of_all() -> None:
    daily = Freeze(id="monday", from_="Mon 05:00", until="Mon 20:00")
    found = judged(plan("2026-10-17T00:00", "2026-10-17T06:00", WEEKEND, daily))
    assert {name: each.status for name, each in found.items()} == {"weekend": Status.FAIL, "monday": Status.PASS}
    assert "start = 2026-10-19T20:00:00, end = 2026-10-20T02:00:00" in found["weekend"].remedy


def test_no_time_is_free_within_a_year() -> None:
    found = only(plan("2026-10-12T06:00", "2026-10-18T06:00", WEEKEND))
    assert found.remedy.endswith("; no time of 6 d is free within a year")


def test_who_decides_owns_it() -> None:
    of = plan("2026-10-17T00:00", "2026-10-17T06:00", WEEKEND, roles=[LEAD], decisions=(DECISION,))
    assert [each.owner for each in ChangeFreeze(of, of.window.start).subjects()] == ["lead"]
    assert "have A. Haddad (lead), ext. 1 grant a waiver" in only(of).remedy


def test_the_next_free_window_is_never_in_the_past() -> None:
    of = plan("2026-10-17T00:00", "2026-10-17T06:00", WEEKEND)
    later = judged(of, datetime(2026, 10, 19, 9, 30, tzinfo=UTC))["weekend"]
    assert "the next begins Mon 2026-10-19 11:30 +02:00" in later.remedy


# Nights on which clocks change, in Berlin: forward 2026-03-29 02:00, back 2026-10-25 03:00.


@pytest.mark.parametrize(
    ("freeze", "hours"),
    [
        (Freeze(id="x", from_="Sat 23:00", until="Sun 06:00"), (6, 8)),
        (
            Freeze(id="x", from_="Sun 02:30", until="Sun 06:00"),
            (3, 4.5),
        ),  # skipped: from the change on; twice: the first
        (Freeze(id="x", from_="Sun 00:00", until="Sun 02:30"), (2, 3.5)),  # skipped: to the change; twice: the second
        (Freeze(id="x", from_=date(2026, 3, 29), until=date(2026, 3, 29)), (23, None)),
        (Freeze(id="x", from_=date(2026, 10, 25), until=date(2026, 10, 25)), (None, 25)),
    ],
)
def test_nights_of_a_clock_change(freeze: Freeze, hours: tuple[float | None, float | None]) -> None:
    nights = [("2026-03-28T12:00", "2026-03-30T12:00"), ("2026-10-24T12:00", "2026-10-26T12:00")]
    for (start, end), wanted in zip(nights, hours, strict=True):
        found = only(plan(start, end, freeze))
        assert (found.quantity.value / 3600 if found.quantity else None) == wanted


def test_one_that_a_clock_change_swallows_touches_nothing() -> None:
    swallowed = Freeze(id="x", from_="Sun 02:10", until="Sun 02:50")
    assert only(plan("2026-03-29T00:00", "2026-03-29T06:00", swallowed)).status is Status.PASS
    assert only(plan("2026-03-22T00:00", "2026-03-22T06:00", swallowed)).status is Status.FAIL


def test_a_day_may_begin_with_a_clock_change() -> None:
    """In Santiago clocks go forward at midnight: 2026-09-06 begins at 01:00."""
    day = Freeze(id="x", from_=date(2026, 9, 6), until=date(2026, 9, 6))
    found = only(plan("2026-09-05T12:00", "2026-09-07T12:00", day, zone="America/Santiago"))
    assert found.actual == "23 h"


def _by_hand(at: datetime, first: int, last: int) -> bool:
    """Whether a minute lies in a freeze of every week, told by what a clock on the wall shows; its bounds are minutes
    of the week."""
    local = at.astimezone(ZoneInfo(ZONE))
    minute = local.weekday() * 1440 + local.hour * 60 + local.minute
    return first <= minute < last if first < last else minute >= first or minute < last


MINUTE_OF_WEEK = (
    st.integers(0, 7 * 24 * 4 - 1)
    .map(lambda quarter: quarter * 15)
    .filter(
        lambda minute: (
            not (minute // 1440 == 6 and 120 <= minute % 1440 < 180)
        )  # that hour of Sunday has a test of its own
    )
)


@given(st.integers(0, 366 * 24 * 4), st.integers(1, 4 * 40), MINUTE_OF_WEEK, MINUTE_OF_WEEK)
def test_a_year_of_windows_against_a_clock_on_the_wall(quarter: int, quarters: int, first: int, last: int) -> None:
    if first == last:
        return
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarter)
    end = start + timedelta(minutes=15 * quarters)
    freeze = Freeze(id="x", from_=_written(first), until=_written(last))
    overlap = sum((each.overlap(start, end) for each in periods(freeze, ZONE, start, end)), timedelta())
    by_hand = [_by_hand(start + timedelta(minutes=15 * each), first, last) for each in range(quarters)]
    assert overlap == timedelta(minutes=15) * sum(by_hand)
    free = next_free([freeze], ZONE, start, timedelta(minutes=15))
    assert free is not None
    waited = (free - start) // timedelta(minutes=15)
    assert not _by_hand(free, first, last)
    assert all(_by_hand(start + timedelta(minutes=15 * each), first, last) for each in range(waited))


def _written(minute: int) -> str:
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[minute // 1440]
    return f"{day} {minute % 1440 // 60:02}:{minute % 60:02}"


# As it is written


HEAD = (
    '[release]\nid = "R"\n[window]\nzone = "UTC"\nstart = 2026-10-17T00:00:00\nend = 2026-10-17T06:00:00\n[freeze.x]\n'
)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('from = "Fri 16:00"\nuntil = 2026-12-20', "freeze.x.until: is of another kind than `from`"),
        ('from = "Fri 16:00"\nuntil = "Fri 16:00"', "freeze.x.until: is when it begins"),
        ("from = 2026-12-20\nuntil = 2026-12-19", "freeze.x.until: the freeze must end after it begins"),
        ("from = 2026-12-20T10:00:00\nuntil = 2026-12-20T10:00:00", "freeze.x.until: the freeze must end after"),
        (
            'from = "Friday 16:00"\nuntil = "Mon 06:00"',
            'freeze.x.from: expected a weekday and a time such as "Fri 16:00"',
        ),
        ('from = "Fri 24:00"\nuntil = "Mon 06:00"', "freeze.x.from: expected a weekday and a time"),
        (
            'from = 16\nuntil = "Mon 06:00"',
            "freeze.x.from: expected a string, a date or a date and time, found an integer",
        ),
        ('until = "Mon 06:00"', "freeze.x.from: is required"),
        ('from = "Fri 16:00"\nuntil = "Mon 06:00"\nowner = "boss"', 'freeze.x.owner: "boss" is not declared'),
    ],
)
def test_what_makes_no_period_is_an_error_with_its_line(tmp_path: Path, written: str, told: str) -> None:
    (tmp_path / "plan.toml").write_text(HEAD + written)
    with pytest.raises(PlanError) as caught:
        load_plan(tmp_path / "plan.toml")
    (problem,) = caught.value.errors
    assert told in str(problem)
    assert problem.line


def test_as_written_in_a_plan(tmp_path: Path) -> None:
    text = '[freeze.weekend]\nfrom = "Sat 00:00"\nuntil = "Mon 06:00"\n'
    trial = Trial(ChangeFreeze, plan_of(text, tmp_path, ChangeFreeze), lambda _question: answered(""))
    assert trial.finding.status is Status.FAIL
    trial.assert_contract()


def test_a_waiver_covers_the_freeze_as_far_as_it_was_granted(tmp_path: Path) -> None:
    start = (datetime.now(UTC) + timedelta(days=2)).replace(minute=0, second=0, microsecond=0, tzinfo=None)
    text = (
        '[release]\nid = "R"\n[window]\nzone = "UTC"\nstart = {0}\nend = {1}\n[roles.rm]\nprimary = "A"\n'
        "[freeze.x]\nfrom = {0}\nuntil = {2}\n"
        '[[waivers]]\nid = "W"\ncheck = "change-freeze"\nsubject = "x"\nreason = "agreed"\nlimit = "90 min"\n'
        'approved_by = "rm"\ngranted = {3}\nexpires = {4}\n'
    )
    for minutes, status in ((90, "waived"), (91, "fail")):
        hours = (start, start + timedelta(hours=2), start + timedelta(minutes=minutes))
        validity = (start - timedelta(days=4), start + timedelta(days=4))
        (tmp_path / "plan.toml").write_text(text.format(*(each.isoformat() for each in (*hours, *validity))))
        report = json.loads(preflight("run", tmp_path / "plan.toml", "--format", "json").stdout)
        (found,) = [each for each in report["findings"] if each["check"] == "change-freeze"]
        assert found["status"] == status
