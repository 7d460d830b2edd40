"""Moments, also across clock changes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from preflight.clock import Deadline, format_moment, local_to_utc, now


def test_now_is_utc() -> None:
    assert now().tzinfo is UTC


def test_a_local_time_becomes_its_instant() -> None:
    assert local_to_utc(datetime(2026, 10, 17), "America/New_York") == datetime(2026, 10, 17, 4, tzinfo=UTC)


def test_a_night_with_a_clock_change_has_its_real_length() -> None:
    start, end = (local_to_utc(datetime(2026, 3, day, hour), "Europe/Prague") for day, hour in ((28, 22), (29, 6)))
    assert end - start == timedelta(hours=7)


@pytest.mark.parametrize(
    ("local", "zone", "neighbours"),
    [
        ("2026-03-29T02:30", "Europe/Prague", "from 02:00 to 03:00; write 2026-03-29T01:59:00 or 2026-03-29T03:00:00"),
        ("2026-10-04T02:10", "Australia/Lord_Howe", "write 2026-10-04T01:59:00 or 2026-10-04T02:30:00"),
        ("2011-12-30T12:00", "Pacific/Apia", "write 2011-12-29T23:59:00 or 2011-12-31T00:00:00"),
        ("2026-03-29T02:30+01:00", "Europe/Prague", "does not exist"),
    ],
)
def test_a_time_that_does_not_exist_is_refused_with_its_neighbours(local: str, zone: str, neighbours: str) -> None:
    with pytest.raises(ValueError, match="does not exist") as refused:
        local_to_utc(datetime.fromisoformat(local), zone)
    assert neighbours in str(refused.value)
    for near in re.findall(r"write (\S+) or (\S+)", str(refused.value))[0]:
        local_to_utc(datetime.fromisoformat(near), zone)


@pytest.mark.parametrize("written", ["2026-10-25T02:30", "2026-10-25T02:30+00:00", "2026-10-25T02:30-05:00"])
def test_a_time_that_exists_twice_is_taken_with_either_offset_and_refused_without(written: str) -> None:
    with pytest.raises(ValueError, match="exists twice") as refused:
        local_to_utc(datetime.fromisoformat(written), "Europe/Prague")
    first, second = re.findall(r"write (\S+) for the first or (\S+) for the second", str(refused.value))[0]
    instants = [local_to_utc(datetime.fromisoformat(each), "Europe/Prague") for each in (first, second)]
    assert instants == [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)]


def test_any_other_time_is_refused_with_an_offset() -> None:
    with pytest.raises(ValueError, match="without an offset or Z: only a time that exists twice has its offset"):
        local_to_utc(datetime.fromisoformat("2026-10-25T03:00+01:00"), "Europe/Prague")


@pytest.mark.parametrize("name", ["Europe/Pragu", "", "../etc/passwd", "/etc/passwd", "Europe"])
def test_an_unknown_zone_is_a_clear_error(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        local_to_utc(datetime(2026, 1, 1), name)


def test_moments_are_written_with_day_and_offset() -> None:
    moment = datetime(2026, 10, 17, 4, tzinfo=UTC)
    assert format_moment(moment, "America/New_York") == "Sat 2026-10-17 00:00 -04:00"


def test_a_deadline_never_leaves_negative_time_and_is_never_extended() -> None:
    over = Deadline(0)
    assert over.over
    assert over.left() == 0
    assert over.at_most(60).left() == 0
    assert Deadline(60).at_most(1).left() <= 1


def test_the_last_day_there_is_can_be_written_down_east_of_utc() -> None:
    assert format_moment(datetime.max.replace(tzinfo=UTC), "Asia/Tokyo") == "Fri 9999-12-31 23:59 +00:00"
