"""Crontabs: their lines and the schedules in them. Pure.

The rules are those of crontab(5) and cron(8) as Vixie cron has them, from which Debian's cron, cronie and pg_cron
come: a day of the month and a weekday that are both given are alternatives, unless one begins with `*`; after a clock
change, jobs at fixed times run once (a skipped one right after the change, a repeated one the first time only), and
jobs with `*` as minute or hour go by what the clock shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from preflight.questions.timers import Schedule, read_numbers

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTH_NAMES = {name: number for number, name in enumerate(_MONTHS, 1)}
_WEEKDAY_NAMES = {name: number for number, name in enumerate(_WEEKDAYS)}
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
AT_BOOT = "@reboot"
_VARIABLE = re.compile(r"""\s*(["']?)([A-Za-z_][\w.]*)\1\s*=\s*(.*?)\s*""", re.DOTALL)
_ANACRON_JOB = re.compile(r"(\d{1,4}|@\w+)\s+\d{1,5}\s+\S+\s+(\S.*)")


@dataclass(frozen=True, slots=True)
class CronJob:
    """One line of a crontab that starts something."""

    when: str
    """The schedule as it is written; of anacron, its days."""
    schedule: Schedule | None
    """None for `@reboot` and for anacron, which go by no time of the clock."""
    user: str
    command: str
    """Without the text after the first `%`, which cron feeds to the command's standard input."""
    zone: str = ""
    """What CRON_TZ says above the line. cronie goes by it; Debian's cron does not."""


@dataclass(frozen=True, slots=True)
class Crontab:
    """What a crontab starts."""

    jobs: tuple[CronJob, ...]
    unreadable: tuple[str, ...] = ()
    """Lines that are neither a job, a variable nor a comment."""


@dataclass(frozen=True, slots=True)
class Anacrontab:
    """What anacron starts, and when it may."""

    jobs: tuple[CronJob, ...]
    """Each once in so many days, or `@monthly`."""
    first_hour: int = 0
    last_hour: int = 24
    """Nothing is started from this hour on."""
    unreadable: tuple[str, ...] = ()


def parse_schedule(text: str) -> Schedule:
    """The schedule of `30 2 * * 1-5` or `@daily`. Raises ValueError."""
    fields = _NAMED.get(text.strip().lower(), text).split()
    if len(fields) != 5:
        raise ValueError(f"{text!r} is no schedule of cron")
    minute, hour, day, month, weekday = fields
    # `5/15` is 5 alone to some crons and 5,20,35,50 to others: what may start is what counts here.
    by_the_clock = minute.startswith("*") or hour.startswith("*")
    return Schedule(
        minutes=read_numbers(minute, 0, 59),
        hours=read_numbers(hour, 0, 23),
        days=read_numbers(day, 1, 31),
        months=read_numbers(month, 1, 12, _MONTH_NAMES),
        weekdays=frozenset(number % 7 for number in read_numbers(weekday, 0, 7, _WEEKDAY_NAMES)),
        either_day=not day.startswith("*") and not weekday.startswith("*"),
        catches_up=not by_the_clock,
        repeats=by_the_clock,
    )


def read_crontab(lines: Iterable[str], user: str = "") -> Crontab:
    """`user`: whose crontab it is; empty for a table of the system, whose lines name the user."""
    jobs: list[CronJob] = []
    unreadable: list[str] = []
    zone = ""
    for line in _telling(lines):
        variable = _VARIABLE.fullmatch(line)
        if variable:
            zone = variable[3].strip("\"'") if variable[2] == "CRON_TZ" else zone
            continue
        try:
            jobs.append(_job(line, user, zone))
        except ValueError:
            unreadable.append(line)
    return Crontab(tuple(jobs), tuple(unreadable))


def read_anacrontab(lines: Iterable[str]) -> Anacrontab:
    """Without START_HOURS_RANGE, anacron may start a job at any hour."""
    jobs: list[CronJob] = []
    unreadable: list[str] = []
    first_hour, last_hour = 0, 24
    for line in _telling(lines):
        variable, job = _VARIABLE.fullmatch(line), _ANACRON_JOB.fullmatch(line)
        hours = re.fullmatch(r"(\d{1,2})-(\d{1,2})", variable[3]) if variable else None
        if variable and variable[2] == "START_HOURS_RANGE" and hours:
            first_hour, last_hour = int(hours[1]), int(hours[2])
        elif job:
            jobs.append(CronJob(job[1], None, "root", job[2]))
        elif not variable or variable[2] == "START_HOURS_RANGE":
            unreadable.append(line)
    if not 0 <= first_hour < last_hour <= 24:
        first_hour, last_hour = 0, 24  # a range that is none must not hide a job
    return Anacrontab(tuple(jobs), first_hour, last_hour, tuple(unreadable))


def _telling(lines: Iterable[str]) -> Iterable[str]:
    stripped = (line.strip() for line in lines)
    return (line for line in stripped if line and not line.startswith("#"))


def _job(line: str, user: str, zone: str) -> CronJob:
    """Raises ValueError."""
    fields = line.removeprefix("-").split(None, 1 if line.startswith("@") else 5)  # `-`: cronie does not log the job
    if len(fields) not in (2, 6):
        raise ValueError("no schedule and command")
    when, rest = " ".join(fields[:-1]), fields[-1]
    schedule = None if when.lower() == AT_BOOT else parse_schedule(when)
    if not user:
        user, _, rest = rest.replace("\t", " ").partition(" ")
    command = re.split(r"(?<!\\)%", rest, maxsplit=1)[0].strip()
    if not command:
        raise ValueError("no command")
    return CronJob(when, schedule, user, command, zone)
