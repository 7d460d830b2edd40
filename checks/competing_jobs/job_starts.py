"""When the jobs of a host or a database start, reckoned from what the probes saw. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import PurePosixPath

from preflight.clock import zone
from preflight.plan.work import PlannedBackup
from preflight.questions.jobs import HostJobs, PgCronJob, Systemd, Table
from preflight.questions.timers import Timer, shown
from preflight.wording import one_line

from .cron import CronJob, parse_schedule, read_anacrontab, read_crontab

_RISKY = re.compile(
    r"backup|dump|pgbackrest|barman|wal-?g|rsync|snapshot|vacuum|reindex|cluster(?:db)?\b|reboot|shutdown|poweroff"
    r"|upgrade|\b(?:apt|apt-get|yum|dnf|zypper)\b|clean-?up|purge|prune|retention|-delete\b|\brm -|restart",
    re.IGNORECASE,
)
PG_CRON = "pg_cron"
"""The source of its jobs."""
_Guard = tuple[re.Pattern[str], Callable[[HostJobs], bool]]
_GUARDS: tuple[_Guard, ...] = (
    (re.compile(r"(?:test|\[) -[xef] /usr/sbin/anacron *\]? *\|\|"), lambda jobs: jobs.has_anacron),
    (re.compile(r"(?:test|\[) -[ed] /run/systemd/system *\]? *\|\|"), lambda jobs: jobs.systemd is Systemd.RUNNING),
    (re.compile(r"! -d /run/systemd/system *\]? *&&"), lambda jobs: jobs.systemd is Systemd.RUNNING),
)
"""How the tables of distributions say `not where anacron, or a timer, does it`, and when that holds."""
_SHELL_FILLS_IN = re.compile(r"\$\([^()]*\)|`[^`]*`|\$\w+|\$\{\w+\}")
"""Mostly the day in the name of a file."""
_REDIRECTION = re.compile(r"\s*\d?>>?\s*\S+")
_FURTHER_COMMAND = re.compile(r";|&&|\|\||(?<!>)&(?!>)")
_SECONDS = re.compile(r"\d{1,2} seconds?")


@dataclass(frozen=True, slots=True)
class Interval:
    """The time in which a start matters. UTC."""

    since: datetime
    """What started from here on may still be going at the start."""
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class JobStarts:
    """One job with its starts in the interval."""

    source: str
    """Where it is written: `crontab of postgres`, `/etc/cron.d/backup`, `backup.timer`, `pg_cron`."""
    user: str
    when: str
    """Its schedule, as it is written."""
    command: str
    runs: tuple[datetime, ...]
    late: timedelta = timedelta()
    """How much later than that it may really start."""

    @property
    def risky(self) -> bool:
        """Its words speak of what stops, locks or takes away what a deployment needs."""
        return bool(_RISKY.search(f"{self.command} {self.source}"))

    @property
    def label(self) -> str:
        return f"{self.command or self.source} ({', '.join(filter(None, (self.user, self.when, self.source)))})"


@dataclass(slots=True)
class Found:
    """What was reckoned: the jobs that start in the interval, and what could not be reckoned."""

    jobs: list[JobStarts] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """(source, line or expression)."""
    counted: int = 0
    """Jobs looked at, also those that do not start in the interval."""

    def add(self, job: JobStarts) -> None:
        self.counted += 1
        if job.runs:
            self.jobs.append(job)


def takes(job: JobStarts, planned: PlannedBackup) -> bool:
    """Whether a job of the backup's host is the one that takes it, as far as the plan tells, so that no other one is
    meant: `taken_by` names its timer, or its command in full; or the account of the backup calls nothing but the
    backup's own program, which writes a file that `previous` finds."""
    backup = planned.backup
    if backup.taken_by in (job.source, _words(job)):
        return bool(backup.taken_by)
    if not backup.taken_by or job.user not in ("", planned.account) or _FURTHER_COMMAND.search(job.command):
        return False
    written = re.split(r"[\s\"'<>=|]+", _SHELL_FILLS_IN.sub("-", job.command))
    calls = any(posixpath.basename(word) == backup.method for word in written)
    return calls and any(word.startswith("/") and PurePosixPath(word).match(backup.previous) for word in written)


def name_of(job: JobStarts) -> str:
    """How `taken_by` names it, as TOML."""
    return json.dumps(job.source if job.source.endswith(".timer") else _words(job), ensure_ascii=False)


def _words(job: JobStarts) -> str:
    return " ".join(_REDIRECTION.sub("", job.command).split())


def host_starts(jobs: HostJobs, crontabs: Iterable[Table], interval: Interval) -> Found:
    """`crontabs`: those of single accounts. Without a cron daemon its tables start nothing."""
    found = Found()
    where = jobs.zone.where
    if jobs.cron != "none":
        for table in _each_once([*jobs.tables, *crontabs]):
            for source, job in _cron_jobs(table, found):
                if not any(guard.search(job.command) and holds(jobs) for guard, holds in _GUARDS):
                    found.add(_cron_starts(source, job, jobs, interval, where))
        if jobs.anacrontab:
            _add_anacron(jobs.anacrontab, found, interval, where)
    for timer in jobs.timers:
        _add_timer(timer, found, interval, where)
    found.unreadable += [(name, "its times are not understood") for name in jobs.unread_timers]
    return found


def pg_cron_starts(jobs: Sequence[PgCronJob], zone_name: str, interval: Interval) -> Found:
    """`zone_name`: cron.timezone. Raises ValueError for a zone that this machine does not know."""
    found = Found()
    where = zone(zone_name)
    for job in jobs:
        every_minute = "* * * * *" if _SECONDS.fullmatch(job.schedule) else job.schedule
        try:
            schedule = parse_schedule(every_minute)
        except ValueError:
            found.unreadable.append((f"pg_cron job {job.name}", job.schedule))
            continue
        runs = tuple(schedule.runs(interval.since, interval.end, where))
        command = f"{job.name} in {job.database}: {job.command}"
        found.add(JobStarts(PG_CRON, job.user, job.schedule, command, runs))
    return found


def _each_once(tables: Iterable[Table]) -> Iterator[Table]:
    """root reads its own crontab twice: as its own, and in the spool."""
    seen: set[str] = set()
    for table in tables:
        if table.source not in seen:
            seen.add(table.source)
            yield table


def _cron_jobs(table: Table, found: Found) -> Iterator[tuple[str, CronJob]]:
    crontab = read_crontab(table.lines, table.user)
    found.unreadable += [(table.source, shown(line)) for line in crontab.unreadable]
    if table.cut:
        found.unreadable.append((table.source, f"more than {len(table.lines)} lines"))
    return ((table.source, job) for job in crontab.jobs)


def _cron_starts(source: str, job: CronJob, jobs: HostJobs, interval: Interval, where: tzinfo) -> JobStarts:
    runs: set[datetime] = set()
    if job.schedule is not None:
        for each in {where, *_zone_of(job)}:
            runs.update(job.schedule.runs(interval.since, interval.end, each))
    command = shown(job.command)
    parts = [name for folder, names in sorted(jobs.parts.items()) if folder in job.command for name in names]
    if parts:
        command += f" [{shown(', '.join(parts))}]"
    when = f"{job.when} CRON_TZ={one_line(job.zone, 40)}" if job.zone else job.when
    return JobStarts(source, one_line(job.user, 40), when, command, tuple(sorted(runs)))


def _zone_of(job: CronJob) -> list[tzinfo]:
    """The zone of CRON_TZ, where one is named; not every cron goes by it, so the host's counts as well."""
    try:
        return [zone(job.zone)] if job.zone else []
    except ValueError:
        return []


def _add_anacron(table: Table, found: Found, interval: Interval, where: tzinfo) -> None:
    anacrontab = read_anacrontab(table.lines)
    found.unreadable += [(table.source, shown(line)) for line in anacrontab.unreadable]
    late = timedelta(hours=anacrontab.last_hour - anacrontab.first_hour)
    daily = parse_schedule(f"0 {anacrontab.first_hour} * * *")
    runs = tuple(run for run in daily.runs(interval.start - late, interval.end, where) if run + late > interval.start)
    for job in anacrontab.jobs:
        period = f"every {job.when} d" if job.when.isdecimal() else job.when
        found.add(JobStarts(table.source, job.user, period, shown(job.command), runs, late))


def _add_timer(timer: Timer, found: Found, interval: Interval, where: tzinfo) -> None:
    command = timer.command or timer.starts
    try:
        runs = timer.runs(interval.since - timer.delay, interval.end, where)
    except (ValueError, OverflowError):
        found.unreadable.append((timer.name, timer.when))
        return
    reaching = tuple(run for run in runs if run + timer.delay >= interval.since)
    found.add(JobStarts(timer.name, "", timer.when, command, reaching, timer.delay))
