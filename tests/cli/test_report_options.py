"""Which moment `--at` names."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pytest_mock import MockerFixture

from preflight.cli.console import CallError
from preflight.cli.options import ReportOptions, named_moment
from preflight.plan import Window
from tests.toy import MOMENT, toy_plan

NOW = datetime(2026, 10, 16, 15, 20, 40, tzinfo=UTC)  # 11:20 in New York
WINDOW = Window(
    zone="America/New_York", start=datetime(2026, 10, 17, 2, tzinfo=UTC), end=datetime(2026, 10, 17, 10, tzinfo=UTC)
)
"""From 22:00 on the 16th to 06:00 on the 17th, local time."""


@pytest.fixture(autouse=True)
def clock(mocker: MockerFixture) -> None:
    mocker.patch("preflight.cli.options.now", return_value=NOW)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-10-20 02:30", datetime(2026, 10, 20, 6, 30, tzinfo=UTC)),
        ("2026-10-20T02:30", datetime(2026, 10, 20, 6, 30, tzinfo=UTC)),
        ("02:30", datetime(2026, 10, 17, 6, 30, tzinfo=UTC)),
        ("22:00", datetime(2026, 10, 17, 2, 0, tzinfo=UTC)),
        ("23:59", datetime(2026, 10, 17, 3, 59, tzinfo=UTC)),
        ("06:00", datetime(2026, 10, 17, 10, 0, tzinfo=UTC)),
        ("06:01", datetime(2026, 10, 16, 10, 1, tzinfo=UTC)),
        ("21:59", datetime(2026, 10, 17, 1, 59, tzinfo=UTC)),
    ],
)
def test_a_bare_time_is_the_one_inside_the_window_else_todays(text: str, moment: datetime) -> None:
    assert named_moment(text, WINDOW) == moment


AUTUMN = Window(
    zone="America/New_York", start=datetime(2026, 11, 1, 2, tzinfo=UTC), end=datetime(2026, 11, 1, 10, tzinfo=UTC)
)


@pytest.mark.parametrize("text", ["01:30", "2026-11-01 01:30", "2026-11-01 01:30Z"])
def test_a_moment_that_exists_twice_is_refused_with_both_and_taken_as_either(text: str) -> None:
    with pytest.raises(ValueError, match="exists twice") as refused:
        named_moment(text, AUTUMN)
    moments = [named_moment(each, AUTUMN) for each in re.findall(r"write (\S+) .* or (\S+)", str(refused.value))[0]]
    assert moments == [datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (5, 6)]


def test_a_moment_of_the_window_that_the_zone_skips_is_not_taken_for_todays() -> None:
    spring = replace(WINDOW, start=datetime(2027, 3, 14, 3, tzinfo=UTC), end=datetime(2027, 3, 14, 10, tzinfo=UTC))
    with pytest.raises(ValueError, match=r"does not exist in America/New_York: .* write 2027-03-14T01:59:00 or"):
        named_moment("02:30", spring)


def test_an_offset_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="without an offset or Z"):
        named_moment("2026-10-17 02:30Z", WINDOW)


@pytest.mark.parametrize("text", ["25:00", "yesterday", "", "2026-10-17", "02:30Z", "2026-13-01 02:30"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write 'YYYY-MM-DD HH:MM'"):
        named_moment(text, WINDOW)


def test_a_moment_before_the_asking_is_refused_one_in_its_minute_is_not() -> None:
    options = ReportOptions(at="2026-10-16 19:00")
    asked_at = MOMENT.replace(second=59)
    assert options.moment(toy_plan(), asked_at) == MOMENT
    with pytest.raises(CallError, match="lies before the moment of asking"):
        ReportOptions(at="2026-10-16 18:59").moment(toy_plan(), asked_at)
