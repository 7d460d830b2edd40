"""Numbers, times and names for a voice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from preflight.report import speech
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
    ],
)
def test_durations(minutes: int, said: str) -> None:
    assert speech.duration(timedelta(minutes=minutes)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("host-login db1", "host-login db1"),
        ("app-health app1 https://app1-b.example.net:8443/health?x=1", "app-health app1 at app1-b.example.net:8443"),
        ("a_b\t<script>|`$(x)`", "a b script x"),
        ("\033[31mred", "x1b 31mred"),
        ("", ""),
    ],
)
def test_names_keep_what_can_be_said(text: str, said: str) -> None:
    assert speech.name(text) == said


def test_a_name_without_end_is_broken_off() -> None:
    assert speech.name("word " * 1000).endswith("word and so on")
    assert len(speech.name("x" * 1_000_000)) < 100


def test_one_is_not_told_in_the_plural() -> None:
    assert (speech.counted(1, "check"), speech.counted(2, "check")) == ("one check", "two checks")
