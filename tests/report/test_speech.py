"""Numbers, times and names for a voice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from preflight.report.formats import say as speech
from tests.toy import toy_plan

WINDOW = replace(
    toy_plan().window,
    start=datetime(2026, 10, 17, 4, 0, tzinfo=UTC),
    end=datetime(2026, 10, 17, 10, 0, tzinfo=UTC),
    zone="America/New_York",
)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "zero"), (7, "seven"), (12, "twelve"), (19, "nineteen"), (20, "twenty"), (21, "twenty-one"),
        (99, "ninety-nine"), (100, "one hundred"), (101, "one hundred and one"), (255, "two hundred and fifty-five"),
        (1000, "one thousand"), (1001, "one thousand and one"), (1100, "one thousand one hundred"),
        (70_000, "seventy thousand"), (999_999, "nine hundred and ninety-nine thousand nine hundred and ninety-nine"),
        (1_000_000, "1000000"), (-3, "minus three"),
    ],
)  # fmt: skip
def test_numbers(value: int, said: str) -> None:
    assert speech.number(value) == said


@pytest.mark.parametrize(
    ("hour", "minute", "said"),
    [
        (4, 0, "zero zero hundred"), (4, 5, "zero zero zero five"), (6, 30, "zero two thirty"),
        (9, 9, "zero five zero nine"), (14, 0, "ten hundred"), (3, 5, "Friday twenty-three zero five"),
    ],
)  # fmt: skip
def test_times_are_told_on_24_hours_in_the_windows_zone(hour: int, minute: int, said: str) -> None:
    assert speech.clock_time(datetime(2026, 10, 17, hour, minute, tzinfo=UTC), WINDOW) == said


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (-4, "Tuesday thirteen October, zero zero hundred"), (-3, "Wednesday zero zero hundred"),
        (3, "Tuesday zero zero hundred"), (7, "Saturday twenty-four October, zero zero hundred"),
        (80, "Monday four January two thousand and twenty-seven, twenty-three hundred"),
    ],
)  # fmt: skip
def test_a_weekday_stands_alone_only_where_no_other_week_can_be_meant(days: int, said: str) -> None:
    assert speech.clock_time(WINDOW.start + timedelta(days=days), WINDOW) == said


def test_the_hour_that_is_repeated_is_told_apart() -> None:
    window = replace(
        WINDOW, start=datetime(2026, 11, 1, 4, 0, tzinfo=UTC), end=datetime(2026, 11, 1, 11, 0, tzinfo=UTC)
    )
    said = [speech.clock_time(window.start + timedelta(minutes=minutes), window) for minutes in (60, 90, 150, 180)]
    assert said == [
        "zero one hundred before the clocks go back",
        "zero one thirty before the clocks go back",
        "zero one thirty after the clocks go back",
        "zero two hundred",
    ]


def test_a_day_is_the_one_of_the_windows_zone() -> None:
    assert speech.day(WINDOW.start - timedelta(seconds=1), WINDOW) == "Friday sixteen October"
    assert speech.day(WINDOW.start, WINDOW) == "Saturday seventeen October"


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (0, "zero minutes"),
        (1, "one minute"),
        (60, "one hour"),
        (133, "two hours thirteen minutes"),
        (-5, "zero minutes"),
        (0.5, "less than a minute"),
        (1.9, "one minute"),
    ],
)
def test_durations(minutes: float, said: str) -> None:
    assert speech.duration(timedelta(minutes=minutes)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("host-login db1", "host-login db1"),
        ("app-health app1 https://app1-b.example.net:8443/health?x=1", "app-health app1 at app1-b.example.net"),
        ("dbadmin@db1", "dbadmin at db1"),
        ("a_b\t<script>|`$(x)`", "a b script x"),
        ("\033[31mred \u202eevil\ud800", "31mred evil"),
        ("", ""),
    ],
)
def test_names_keep_what_can_be_said(text: str, said: str) -> None:
    assert speech.name(text) == said


def test_a_name_without_end_is_broken_off() -> None:
    assert speech.name("word " * 1000).endswith("word and so on")
    assert len(speech.name("x" * 1_000_000)) < 100


@pytest.mark.parametrize(("parts", "said"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_lists(parts: list[str], said: str) -> None:
    assert speech.listed(parts) == said


def test_one_is_not_told_in_the_plural() -> None:
    assert (speech.counted(1, "check"), speech.counted(2, "check")) == ("one check", "two checks")
