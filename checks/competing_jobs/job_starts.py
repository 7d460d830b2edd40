"""When the jobs of a host or a database start, reckoned from what the probes saw: crontabs, anacron, systemd's timers,
pg_cron. Pure.

The rules of crontabs are those of crontab(5) and cron(8) as Vixie cron has them, from which Debian's cron, cronie and
pg_cron come: a day of the month and a weekday that are both given are alternatives, unless one begins with `*`; after a
clock change, jobs at fixed times run once (a skipped one right after the change, a repeated one the first time only),
and jobs with `*` as minute or hour go by what the clock shows."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from pathlib import PurePosixPath

from preflight.clock import zone
from preflight.plan import BackupMethod
from preflight.plan.work import PlannedBackup
from preflight.questions.jobs import FURTHER_COMMAND, SHELL_FILLS_IN, HostJobs, PgCronJob, Systemd, Table
from preflight.questions.timers import Schedule, Timer, read_numbers, shown
from preflight.units import format_duration
from preflight.wording import in_toml, one_line

_RISKY = re.compile(
    r"backup|dump|pgbackrest|barman|wal-?g|rsync|snapshot|vacuum|reindex|cluster(?:db)?\b|reboot|shutdown|poweroff"
    r"|upgrade|\b(?:apt|apt-get|yum|dnf|zypper)\b|clean-?up|purge|prune|retention|-delete\b|\brm -|restart",
    re.IGNORECASE,
)
PG_CRON, AT = "pg_cron", "at"
"""The sources of their jobs."""
_Guard = tuple[re.Pattern[str], Callable[[HostJobs], bool]]
_GUARDS: tuple[_Guard, ...] = (
    (re.compile(r"(?:test|\[) -[xef] /usr/sbin/anacron *\]? *\|\|"), lambda jobs: jobs.has_anacron),
    (re.compile(r"(?:test|\[) -[ed] /run/systemd/system *\]? *\|\|"), lambda jobs: jobs.systemd is Systemd.RUNNING),
    (re.compile(r"! -d /run/systemd/system *\]? *&&"), lambda jobs: jobs.systemd is Systemd.RUNNING),
)
"""How the tables of distributions say `not where anacron, or a timer, does it`, and when that holds."""
_REDIRECTION = re.compile(r"\s*\d?>>?\s*\S+")
_DBNAME = re.compile(r"(?:^|\s)(?:-d\s*|--dbname[=\s]\s*)(\S+)")
_TAKES_VALUE = re.compile(r"-[fFhpUZjE]|--[a-z-]+")
"""Of pg_dump's options."""
_OF_A_PART = re.compile(
    r"-[bBcCOvxw]*[aestnTN].*|--(?:data|schema|table|section|exclude|extension|no-blobs|no-large).*"
)
_SECONDS = re.compile(r"\d{1,2} seconds?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = dict(zip(("sun", "mon", "tue", "wed", "thu", "fri", "sat"), range(7), strict=True))
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_VARIABLE = re.compile(r"""\s*(["']?)([A-Za-z_][\w.]*)\1\s*=\s*(.*?)\s*""", re.DOTALL)
_ANACRON_JOB = re.compile(r"(\d{1,4}|@\w+)\s+(\d{1,5})\s+\S+\s+(\S.*)")
_KNOWS_NO_DELAY = "cron"
"""Debian's: to it RANDOM_DELAY is a variable of the job's environment."""


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
    """What was reckoned, and what could not be."""

    looked_at: list[JobStarts] = field(default_factory=list)
    """Also those that do not start in the interval."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """(source, line or expression)."""

    @property
    def jobs(self) -> Sequence[JobStarts]:
        """Those that start in the interval."""
        return [job for job in self.looked_at if job.runs]


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
    late: timedelta = timedelta()
    """How much later it may start: by RANDOM_DELAY of cronie and anacron, and by anacron's delay of the job."""


@dataclass(frozen=True, slots=True)
class Crontab:
    """What a crontab starts, or anacron: its jobs each once in so many days, or `@monthly`."""

    jobs: tuple[CronJob, ...]
    unreadable: tuple[str, ...] = ()
    """Lines that are neither a job, a variable nor a comment."""
    first_hour: int = 0
    """Of anacron, like the last one, from which on nothing is started."""
    last_hour: int = 24


def takes(job: JobStarts, planned: PlannedBackup) -> bool:
    """Whether a job of the backup's host is the one that takes it, as far as the plan tells, so that no other one is
    meant: `taken_by` names its timer, or its command in full; or the account of the backup calls nothing but the
    backup's own program, which writes a file that `previous` finds, and names neither another database nor a part."""
    backup = planned.backup
    if backup.taken_by == job.source or words_of(shown(backup.taken_by)) == words_of(job.command):
        return bool(backup.taken_by)
    is_named = backup.taken_by and planned.target  # another engine's program is not known
    if not is_named or job.user not in ("", planned.account) or FURTHER_COMMAND.search(job.command):
        return False
    written = re.split(r"[\s\"'<>=|]+", SHELL_FILLS_IN.sub("-", job.command))
    call = re.search(rf"(?:^|[\s/]){re.escape(backup.method)}(?:\s+([^|<>]*))?(?:$|[|<>])", job.command)
    if call is None or not _is_whole(call[1] or "", planned):
        return False
    return any(word.startswith("/") and PurePosixPath(word).match(backup.previous) for word in written)


def _is_whole(arguments: str, planned: PlannedBackup) -> bool:
    """Whether pg_dump is asked for no part, and for no other database. Of another program that is not known."""
    if planned.backup.method is not BackupMethod.PG_DUMP:
        return True
    *options, last = ["", *arguments.split()]
    named = _DBNAME.search(arguments)
    database = named[1] if named else "" if options and _TAKES_VALUE.fullmatch(options[-1]) else last
    if re.fullmatch(r"[\"']?\w[\w.-]*[\"']?", database) and database.strip("\"'") != planned.dbname:
        return False
    return bool(planned.backup.left_out) or not any(map(_OF_A_PART.fullmatch, [*options, last]))


def name_of(job: JobStarts) -> str:
    """How `taken_by` names it, as TOML."""
    return in_toml(job.source if job.source.endswith(".timer") else words_of(job.command))


def words_of(command: str) -> str:
    """By which a job is told apart: without where its output goes, and the mark of what is not shown of it."""
    return " ".join(_REDIRECTION.sub("", command).split()).rstrip("…")


def host_starts(jobs: HostJobs, crontabs: Iterable[Table], interval: Interval) -> Found:
    """`crontabs`: those of single accounts. Without a cron daemon its tables start nothing."""
    found = Found()
    where = jobs.zone.where
    if jobs.cron != "none":
        # root reads its own crontab twice: as its own, and in the spool.
        for table in {table.source: table for table in [*jobs.tables, *crontabs]}.values():
            crontab = read_crontab(table.lines, table.user)
            found.unreadable += [(table.source, shown(line)) for line in crontab.unreadable]
            if table.cut:
                found.unreadable.append((table.source, f"more than {len(table.lines)} lines"))
            for job in crontab.jobs:
                if not any(guard.search(job.command) and holds(jobs) for guard, holds in _GUARDS):
                    found.looked_at.append(_cron_starts(table.source, job, jobs, interval, where))
        if jobs.anacrontab:
            _add_anacron(jobs.anacrontab, found, interval, where)
    for once in jobs.at:
        runs = (once.starts_at,) if interval.since <= once.starts_at <= interval.end else ()
        found.looked_at.append(JobStarts(AT, once.user, "once", f"job {once.number}", runs))
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
        found.looked_at.append(JobStarts(PG_CRON, job.user, job.schedule, command, runs))
    return found


def _cron_starts(source: str, job: CronJob, jobs: HostJobs, interval: Interval, where: tzinfo) -> JobStarts:
    zones = {where}
    if job.zone:  # not every cron goes by CRON_TZ, so the host's own zone counts as well
        with suppress(ValueError):
            zones.add(zone(job.zone))
    late = timedelta() if jobs.cron == _KNOWS_NO_DELAY else job.late
    since, schedule = interval.since - late, job.schedule
    runs = {run for each in zones if schedule for run in schedule.runs(since, interval.end, each)}
    command = shown(job.command)
    if parts := [name for folder, names in sorted(jobs.parts.items()) if folder in job.command for name in names]:
        command += f" [{shown(', '.join(parts))}]"
    when = f"{job.when} CRON_TZ={one_line(job.zone, 40)}" if job.zone else job.when
    when += f", up to {format_duration(late)} later" if late else ""
    return JobStarts(source, one_line(job.user, 40), when, command, tuple(sorted(runs)), late)


def _add_anacron(table: Table, found: Found, interval: Interval, where: tzinfo) -> None:
    anacrontab = read_anacrontab(table.lines)
    found.unreadable += [(table.source, shown(line)) for line in anacrontab.unreadable]
    daily = parse_schedule(f"0 {anacrontab.first_hour} * * *")
    for job in anacrontab.jobs:
        late = job.late + timedelta(hours=anacrontab.last_hour - anacrontab.first_hour)
        starts = daily.runs(interval.start - late, interval.end, where)
        runs = tuple(run for run in starts if run + late > interval.start)
        period = f"every {job.when} d" if job.when.isdecimal() else job.when
        found.looked_at.append(JobStarts(table.source, job.user, period, shown(job.command), runs, late))


def _add_timer(timer: Timer, found: Found, interval: Interval, where: tzinfo) -> None:
    command = timer.command or timer.starts
    try:
        runs = timer.runs(interval.since - timer.delay, interval.end, where)
    except (ValueError, OverflowError):
        found.unreadable.append((timer.name, timer.when))
        return
    reaching = tuple(run for run in runs if run + timer.delay >= interval.since)
    found.looked_at.append(JobStarts(timer.name, "", timer.when, command, reaching, timer.delay))


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
        months=read_numbers(month, 1, 12, dict(zip(_MONTHS, range(1, 13), strict=True))),
        weekdays=frozenset(number % 7 for number in read_numbers(weekday, 0, 7, _WEEKDAYS)),
        either_day=not day.startswith("*") and not weekday.startswith("*"),
        catches_up=not by_the_clock,
        repeats=by_the_clock,
    )


def read_crontab(lines: Iterable[str], user: str = "") -> Crontab:
    """`user`: whose crontab it is; empty for a table of the system, whose lines name the user."""
    jobs: list[CronJob] = []
    unreadable: list[str] = []
    zone, late = "", timedelta()
    for line in _telling(lines):
        if variable := _VARIABLE.fullmatch(line):
            zone = variable[3].strip("\"'") if variable[2] == "CRON_TZ" else zone
            late = _minutes(variable[3]) if variable[2] == "RANDOM_DELAY" else late
            continue
        try:
            jobs.append(replace(_job(line, user, zone), late=late))
        except ValueError:
            unreadable.append(line)
    return Crontab(tuple(jobs), tuple(unreadable))


def read_anacrontab(lines: Iterable[str]) -> Crontab:
    """Without START_HOURS_RANGE, anacron may start a job at any hour."""
    jobs: list[CronJob] = []
    unreadable: list[str] = []
    first_hour, last_hour = 0, 24
    random = timedelta()
    for line in _telling(lines):
        variable, job = _VARIABLE.fullmatch(line), _ANACRON_JOB.fullmatch(line)
        hours = re.fullmatch(r"(\d{1,2})-(\d{1,2})", variable[3]) if variable else None
        if variable and variable[2] == "START_HOURS_RANGE" and hours:
            first_hour, last_hour = int(hours[1]), int(hours[2])
        elif variable and variable[2] == "RANDOM_DELAY":
            random = _minutes(variable[3])
        elif job:
            jobs.append(CronJob(job[1], None, "root", job[3], late=_minutes(job[2]) + random))
        elif not variable or variable[2] == "START_HOURS_RANGE":
            unreadable.append(line)
    if not 0 <= first_hour < last_hour <= 24:
        first_hour, last_hour = 0, 24  # a range that is none must not hide a job
    return Crontab(tuple(jobs), tuple(unreadable), first_hour, last_hour)


def _minutes(text: str) -> timedelta:
    found = re.fullmatch(r"[\"']?(\d{1,5})[\"']?", text)
    return timedelta(minutes=int(found[1])) if found else timedelta()


def _telling(lines: Iterable[str]) -> Iterable[str]:
    stripped = (line.strip(" \t") for line in lines if line.strip())
    return (line for line in stripped if not line.startswith("#"))


def _job(line: str, user: str, zone: str) -> CronJob:
    """Raises ValueError."""
    fields = line.removeprefix("-").split(None, 1 if line.startswith("@") else 5)  # `-`: cronie does not log the job
    if len(fields) not in (2, 6) or line.endswith("\r"):  # which the shell would take for a letter of the last word
        raise ValueError("no schedule and command")
    when, rest = " ".join(fields[:-1]), fields[-1]
    schedule = None if when.lower() == "@reboot" else parse_schedule(when)
    if not user:
        user, _, rest = rest.replace("\t", " ").partition(" ")
    command = re.split(r"(?<!\\)%", rest, maxsplit=1)[0].strip()
    if not command:
        raise ValueError("no command")
    return CronJob(when, schedule, user, command, zone)
