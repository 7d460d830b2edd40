"""Crontabs, systemd's calendars, and the starts they stand for, on both nights of a clock change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from preflight_checks.competing_jobs.job_starts import parse_schedule, read_anacrontab, read_crontab

from preflight.clock import ClockChange, clock_changes, zone
from preflight.questions.timers import Timer, parse_calendar, parse_span

PRAGUE = zone("Europe/Prague")
SPRING = (datetime(2026, 3, 28, 21, tzinfo=UTC), datetime(2026, 3, 29, 4, tzinfo=UTC))
"""22:00 to 06:00: 02:00 to 03:00 does not exist."""
AUTUMN = (datetime(2026, 10, 24, 20, tzinfo=UTC), datetime(2026, 10, 25, 5, tzinfo=UTC))
"""22:00 to 06:00: 02:00 to 03:00 is there twice."""


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def starts(text: str, start: str, end: str) -> list[str]:
    """Of a schedule, in UTC: `Sat 17 02:30`."""
    return [f"{run:%a %d %H:%M}" for run in parse_schedule(text).runs(utc(start), utc(end), UTC)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30 2 * * *", ["Sat 17 02:30", "Sun 18 02:30"]),
        ("0 1,3 17 * *", ["Sat 17 01:00", "Sat 17 03:00"]),
        ("0 22-23/1 * * *", ["Fri 16 22:00", "Fri 16 23:00", "Sat 17 22:00", "Sat 17 23:00"]),
        ("*/30 0 * * sat", ["Sat 17 00:00", "Sat 17 00:30"]),
        ("0 0 * oct SUN", ["Sun 18 00:00"]),
        ("0 0 * * 7", ["Sun 18 00:00"]),
        ("0 0 * * 0", ["Sun 18 00:00"]),
        ("0 0 * * 6-7", ["Sat 17 00:00", "Sun 18 00:00"]),
        ("0 5 17 * 0", ["Sat 17 05:00", "Sun 18 05:00"]),  # both given: one of them is enough
        ("0 5 17 * *", ["Sat 17 05:00"]),
        ("0 5 */2 * 6", ["Sat 17 05:00"]),  # begins with *: both must be so, and the 17th is odd
        ("0 5 */2 * 0", []),
        ("0 5 31 2 *", []),
        ("5/20 7 17 * *", ["Sat 17 07:05", "Sat 17 07:25", "Sat 17 07:45"]),
        ("@daily", ["Sat 17 00:00", "Sun 18 00:00"]),
        ("@weekly", ["Sun 18 00:00"]),
        ("@monthly", []),
        ("@yearly", []),
    ],
)
def test_schedules_are_read_as_cron_reads_them(text: str, expected: list[str]) -> None:
    assert starts(text, "2026-10-16 20:00", "2026-10-18 12:00") == expected


def test_hourly_starts_every_hour() -> None:
    assert starts("@hourly", "2026-10-17 00:00", "2026-10-17 02:00") == ["Sat 17 00:00", "Sat 17 01:00", "Sat 17 02:00"]


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        ("2026-10-17 02:30", "2026-10-17 02:30", 1),
        ("2026-10-17 02:30:01", "2026-10-18 02:29:59", 0),
        ("2026-10-17 02:00", "2026-10-17 02:29:59", 0),
    ],
)
def test_both_ends_of_an_interval_count(start: str, end: str, count: int) -> None:
    assert len(starts("30 2 * * *", start, end)) == count


@pytest.mark.parametrize(
    "text",
    [
        "", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *",
        "5-1 * * * *", "a * * * *", "* * * foo *", "1,,2 * * * *", "0~30 * * * *", "@never", "-1 * * * *",
        "* * * * mon-x", "* * * * */mon", "* * * * 1sun", "½ * * * *",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_schedule(text)


@pytest.mark.parametrize(
    ("text", "night", "expected"),
    [
        ("30 2 * * *", SPRING, ["01:00"]),  # skipped, so right after the change: 03:00 local
        ("0 3 * * *", SPRING, ["01:00"]),
        ("30 1 * * *", SPRING, ["00:30"]),
        ("30 * * * *", SPRING, ["21:30", "22:30", "23:30", "00:30", "01:30", "02:30", "03:30"]),
        ("* 2 * * *", SPRING, []),
        ("30 2 * * *", AUTUMN, ["00:30"]),  # the first time only
        ("0 3 * * *", AUTUMN, ["02:00"]),
        ("*/30 2 * * *", AUTUMN, ["00:00", "00:30", "01:00", "01:30"]),
        ("15 */2 * * *", AUTUMN, ["20:15", "22:15", "00:15", "01:15", "03:15"]),
    ],
)
def test_clock_changes_are_handled_as_cron_does(
    text: str, night: tuple[datetime, datetime], expected: list[str]
) -> None:
    assert [f"{run:%H:%M}" for run in parse_schedule(text).runs(*night, PRAGUE)] == expected


def test_a_host_without_a_zone_name_never_changes_its_clocks() -> None:
    fixed = timezone(timedelta(hours=1))
    assert [f"{run:%H:%M}" for run in parse_schedule("30 2 * * *").runs(*SPRING, fixed)] == ["01:30"]


def test_a_crontab_is_read_line_by_line() -> None:
    crontab = read_crontab(
        [
            "# nightly",
            "MAILTO=dba",
            'PATH = "/usr/bin:/bin"',
            "  0 1 * * *   pg_dump -Fc orders > /backup/orders-$(date +\\%F).dump % stdin",
            "CRON_TZ=America/New_York",
            "-*/5\t* * * * /usr/bin/check --fast",
            "@reboot /usr/bin/start",
            "@daily  clean up",
            "61 * * * * never",
            "0 1 * * *",
            "nonsense",
        ],
        "postgres",
    )
    assert [(job.when, job.user, job.command, job.zone) for job in crontab.jobs] == [
        ("0 1 * * *", "postgres", "pg_dump -Fc orders > /backup/orders-$(date +\\%F).dump", ""),
        ("*/5 * * * *", "postgres", "/usr/bin/check --fast", "America/New_York"),
        ("@reboot", "postgres", "/usr/bin/start", "America/New_York"),
        ("@daily", "postgres", "clean up", "America/New_York"),
    ]
    assert crontab.jobs[2].schedule is None
    assert crontab.unreadable == ("61 * * * * never", "0 1 * * *", "nonsense")


def test_a_table_of_the_system_names_the_user() -> None:
    crontab = read_crontab(["17 *\t* * *\troot\tcd / && run-parts --report /etc/cron.hourly", "0 1 * * * root"])
    (job,) = crontab.jobs
    assert (job.user, job.command) == ("root", "cd / && run-parts --report /etc/cron.hourly")
    assert crontab.unreadable == ("0 1 * * * root",)


def test_an_anacrontab_is_read() -> None:
    found = read_anacrontab(
        ["SHELL=/bin/sh", "RANDOM_DELAY=45", "START_HOURS_RANGE=3-22", "1\t5\tcron.daily\trun-parts /etc/cron.daily",
         "@monthly 45 cron.monthly nice run-parts /etc/cron.monthly", "what"]
    )  # fmt: skip
    assert [(job.when, job.command) for job in found.jobs] == [
        ("1", "run-parts /etc/cron.daily"),
        ("@monthly", "nice run-parts /etc/cron.monthly"),
    ]
    assert (found.first_hour, found.last_hour, found.unreadable) == (3, 22, ("what",))


@pytest.mark.parametrize("hours", ["22-3", "0-25", "x", ""])
def test_a_range_of_hours_that_is_none_hides_nothing(hours: str) -> None:
    found = read_anacrontab([f"START_HOURS_RANGE={hours}", "1 5 cron.daily true"])
    assert (found.first_hour, found.last_hour, len(found.jobs)) == (0, 24, 1)


@pytest.mark.parametrize(
    ("text", "start", "end", "expected"),
    [
        ("*-*-* 02:30:00", "2026-10-16", "2026-10-18", ["Fri 16 02:30", "Sat 17 02:30"]),
        ("Mon..Fri *-*-* 06,18:00:00", "2026-10-16 12:00", "2026-10-19 12:00", ["Fri 16 18:00", "Mon 19 06:00"]),
        ("*-*-* *:00/15:00", "2026-10-16", "2026-10-16 00:30", ["Fri 16 00:00", "Fri 16 00:15", "Fri 16 00:30"]),
        ("*-*-* 00/2:30:00", "2026-10-16 05:00", "2026-10-16 09:00", ["Fri 16 06:30", "Fri 16 08:30"]),
        ("Sun *-*-01..07 03:10:00", "2026-10-01", "2026-10-31", ["Sun 04 03:10"]),  # both: the first Sunday
        ("Mon,Sat *-*-* 01:02:03.500000 UTC", "2026-10-16", "2026-10-19 12:00", ["Sat 17 01:02", "Mon 19 01:02"]),
        ("2026-10-17 01:00:00", "2025-01-01", "2028-01-01", ["Sat 17 01:00"]),
        ("2026..2028-*-17 00:00:00", "2026-10-01", "2026-10-31", ["Sat 17 00:00"]),
        # As `systemd-analyze calendar` of systemd 252 prints them:
        ("Mon *-05~07/1 00:00:00", "2026-04-30", "2027-06-01", ["Mon 25 00:00", "Mon 31 00:00"]),
        ("*-*~03 00:00:00", "2026-04-30", "2026-07-31", ["Fri 29 00:00", "Sun 28 00:00", "Wed 29 00:00"]),
        ("*-*~01,05 00:00:00", "2026-05-01", "2026-06-27", ["Wed 27 00:00", "Sun 31 00:00", "Fri 26 00:00"]),
    ],
)  # fmt: skip
def test_calendars_are_read_as_systemd_reads_them(text: str, start: str, end: str, expected: list[str]) -> None:
    schedule, _ = parse_calendar(text)
    assert [f"{run:%a %d %H:%M}" for run in schedule.runs(utc(start), utc(end), UTC)] == expected


@pytest.mark.parametrize(
    ("text", "night", "expected"),
    [
        # As `systemd-analyze calendar --base-time` of systemd 252 prints them:
        ("*-*-* 02:30:00", SPRING, []),
        ("*-*-* 03:00:00", SPRING, ["01:00"]),
        ("*-*-* *:30:00", SPRING, ["21:30", "22:30", "23:30", "00:30", "01:30", "02:30", "03:30"]),
        ("*-*-* 00/2:30:00", SPRING, ["21:30", "23:30", "02:30"]),
        ("*-*-* 02:30:00", AUTUMN, ["00:30"]),
        ("*-*-* *:30:00", AUTUMN, ["20:30", "21:30", "22:30", "23:30", "00:30", "02:30", "03:30", "04:30"]),
        ("*-*-* 00/2:30:00", AUTUMN, ["20:30", "22:30", "00:30", "03:30"]),
    ],
)
def test_clock_changes_are_handled_as_systemd_does(
    text: str, night: tuple[datetime, datetime], expected: list[str]
) -> None:
    schedule, _ = parse_calendar(text)
    assert [f"{run:%H:%M}" for run in schedule.runs(*night, PRAGUE)] == expected


@pytest.mark.parametrize(
    "text", ["", "daily", "*-*-* 25:00:00", "*-13-* 00:00:00", "Foo *-*-* 00:00:00", "*-*~32 00:00:00", "*-*-* 0:0"]
)
def test_what_is_no_normalized_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_calendar(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("20min", 1200), ("1h 30min", 5400), ("1d", 86400), ("1w 2d 3h 4min 5.5s", 788645.5), ("12h", 43200),
     ("100us", 0.0001), ("1month", 2629800)],
)  # fmt: skip
def test_time_spans_are_read(text: str, seconds: float) -> None:
    assert parse_span(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "infinity", "5 parsecs", "n/a"])
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no time span"):
        parse_span(text)


def timer_runs(timer: Timer) -> list[str]:
    return [f"{run:%d %H:%M}" for run in timer.runs(utc("2026-10-17"), utc("2026-10-17 06:00"), UTC)]


def test_a_timer_of_the_calendar_starts_again_and_again() -> None:
    timer = Timer("a.timer", "a.service", ("*-*-* 00/4:00:00",), next_at=utc("2026-10-16 16:13"))
    assert timer_runs(timer) == ["17 00:00", "17 04:00"]


def test_a_calendar_may_name_its_own_zone() -> None:
    assert timer_runs(Timer("a.timer", "a.service", ("*-*-* 03:00:00 Europe/Prague",))) == ["17 01:00"]
    with pytest.raises(ValueError, match="no time zone"):
        timer_runs(Timer("a.timer", "a.service", ("*-*-* 03:00:00 Mars/Olympus",)))


@pytest.mark.parametrize(
    ("next_at", "expected"),
    [
        ("2026-10-16 12:00", ["17 00:00", "17 04:00"]),
        ("2026-10-17 05:00", ["17 05:00"]),
        ("2026-10-17 06:01", []),
        ("2026-10-20 00:00", []),
    ],
)
def test_a_timer_that_counts_from_its_last_start_goes_on(next_at: str, expected: list[str]) -> None:
    assert timer_runs(Timer("a.timer", "a.service", every=timedelta(hours=4), next_at=utc(next_at))) == expected


def test_a_timer_that_counts_from_the_boot_starts_once() -> None:
    assert timer_runs(Timer("a.timer", "a.service", next_at=utc("2026-10-17 01:00"))) == ["17 01:00"]
    assert timer_runs(Timer("a.timer", "a.service")) == []


@pytest.mark.parametrize(
    ("night", "at", "text"),
    [
        (SPRING, "2026-03-29 01:00", "clocks go forward 1 h, from 02:00 to 03:00"),
        (AUTUMN, "2026-10-25 01:00", "clocks go back 1 h, from 03:00 to 02:00"),
    ],
)
def test_a_clock_change_inside_is_found(night: tuple[datetime, datetime], at: str, text: str) -> None:
    (change,) = clock_changes(PRAGUE, *night)
    assert (change.at, change.text) == (utc(at), text)


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        ("2026-03-29 00:59:59", "2026-03-29 01:00", 1),
        ("2026-03-29 00:00", "2026-03-29 00:59:59", 0),
        ("2026-03-29 01:00", "2026-03-29 09:00", 0),
        ("2026-01-01", "2027-01-01", 2),
        ("2026-10-25 00:59:59.5", "2026-10-25 01:00:00.5", 1),
        ("2026-03-29 01:00", "2026-03-29 01:00", 0),
    ],
)
def test_a_change_counts_after_the_start_and_up_to_the_end(start: str, end: str, count: int) -> None:
    assert len(clock_changes(PRAGUE, utc(start), utc(end))) == count


def test_a_change_of_half_an_hour_is_told_as_it_is() -> None:
    (change,) = clock_changes(zone("Australia/Lord_Howe"), utc("2026-04-04"), utc("2026-04-05"))
    assert change == ClockChange(utc("2026-04-04 15:00"), timedelta(hours=11), timedelta(hours=10, minutes=30))
    assert change.text == "clocks go back 30 min, from 02:00 to 01:30"


def test_a_zone_that_never_changes_has_no_change() -> None:
    assert clock_changes(UTC, utc("2026-01-01"), utc("2027-01-01")) == []
