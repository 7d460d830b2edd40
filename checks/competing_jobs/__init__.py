"""competing-jobs: nothing that starts by itself gets in the way of the window's work."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from preflight.check import Check, Probes, Subject
from preflight.finding import Event, Judgement, Severity, failed, passed, unknown, warned
from preflight.judging.schedule import schedule, time_in_window
from preflight.plan import Database, Host, Said
from preflight.plan.limits import Matches
from preflight.plan.release_plan import machine_of
from preflight.plan.said import answered_for
from preflight.plan.work import PlannedBackup, other_accounts, planned_backups
from preflight.questions import jobs as asked
from preflight.questions.shell import AsAccount
from preflight.questions.sql import quote_literal
from preflight.units import format_duration
from preflight.wording import counted

from .job_starts import AT, PG_CRON, Found, Interval, JobStarts, host_starts, name_of, pg_cron_starts, takes, words_of

_MOST_TIMES = 4
"""Shown of one job; the axis shows as many."""
_MOST_UNREADABLE = 10


class CompetingJobs(Check):
    """Does any job start by itself between the start of the window and the end of a rollback?

    The nightly backup that begins in the middle of a deployment takes the disk's time and its space; a cleanup deletes
    the backup just taken; VACUUM and REINDEX hold locks; an upgrade restarts the server. Nobody in the call knows of
    them, because they were set up years ago. So crontabs (of the login, and of the accounts it becomes), the system's
    tables, anacron, `at`, systemd's timers and its waiting `shutdown` are read on every host, and pg_cron in every
    database, and every start in the window is a warning with its time; those that smell of backup, deletion or restart
    come first. The job that takes a backup of the plan by itself (`taken_by`) may start before its step has ended, or
    ahead of the window; that no job seen takes it, or none starts within the backup's `max_age` before it is needed, is
    a warning, and where cron is to start it, a cron daemon must run. A table of the system that cron refuses, as not
    root alone may write to it or its last line does not end, is a warning. What may start at random
    (RandomizedDelaySec, AccuracySec, cronie's RANDOM_DELAY) is told with all of its time. A crontab that the login may
    not see, or a line that cannot be read, is UNKNOWN until somebody answers for it by `asked`. Not asked: what a
    crontab's variables (PATH, SHELL) do to its jobs; other schedulers (pgAgent, one of an enterprise): name what they
    start as a step, or ask by a query of the plan.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        """What has been agreed about jobs."""

        known: tuple[Annotated[str, Matches(r"\S.{2,}\S", "at least 4 letters, as fewer are in any line")], ...] = ()
        """Parts of commands, crontabs or timers whose jobs may start in the window: they are named, not warned of."""
        asked: Mapping[str, Said] = field(default_factory=dict)
        """What a line is about (`db1`, `pg_cron of orders`) -> who answers for the jobs that the login does not see, or
        preflight does not understand."""
        may_run_for: timedelta = timedelta(hours=2)
        """A job that starts this long before the window may still be going when it begins."""

    id = "competing-jobs"
    title = "no job starts by itself in the window"
    sections = ("hosts",)
    severity = Severity.ADVISORY
    needs = (
        "read one's own crontab, the system's tables and `systemctl list-timers`; other accounts' crontabs "
        "through the accounts it becomes; for pg_cron the jobs the role may see"
    )
    cure = "have the job moved or held for the window, or name it in `known` once that is agreed"

    def subjects(self) -> Sequence[Subject]:
        hosts = [Subject(host.id, host, host.owner) for host in self.plan.hosts_with_shell]
        entries = self.plan.databases.values()
        return hosts + [Subject(f"pg_cron of {entry.id}", entry, entry.owner) for entry in entries]

    def probes(self, subject: Subject) -> Probes:
        if isinstance(subject.item, Database):
            return {"pg_cron": asked.PgCronProbe(subject.item.id)}
        host: Host = subject.item
        accounts = [AsAccount.on(host, name) for name in ("", *other_accounts(self.plan, host))]
        crontabs = {f"crontab_of_{each.account}": asked.CrontabProbe(host.id, each) for each in accounts}
        return {"jobs": asked.HostJobsProbe(host.id), **crontabs}

    def follow_up(self, subject: Subject, *, pg_cron: asked.PgCron | None = None, **_facts: object) -> Probes:
        """In the database session, only where pg_cron is installed and the role may read it: its jobs."""
        return {"pg_jobs": asked.PgCronJobsProbe(subject.item.id)} if pg_cron and pg_cron.readable else {}

    def judge(self, subject: Subject, **facts: Any) -> Judgement:
        if isinstance(subject.item, Database):
            return Judgement.of(self._judge_database(subject, facts["pg_cron"], facts.get("pg_jobs", ())))
        jobs: asked.HostJobs = facts.pop("jobs")
        return Judgement.of(self._judge_host(subject, jobs, tuple(facts.values())))

    @property
    def _interval(self) -> Interval:
        window = self.plan.window
        return Interval(window.start - self.settings.may_run_for, window.start, window.needed_until)

    def _judge_host(
        self, subject: Subject, jobs: asked.HostJobs, crontabs: Sequence[asked.OwnCrontab]
    ) -> Iterator[Judgement]:
        own = [crontab.table for crontab in crontabs if crontab.table]
        found = host_starts(jobs, own, self._interval)
        looked_at = _looked_at(jobs, crontabs, found)
        yield from self._judge_found(subject, found, looked_at)
        yield from self._judge_takers(subject, jobs, own, found, looked_at)
        yield from self._judge_expired(subject, crontabs, found)
        for path, mode in jobs.refused.items() if jobs.cron != "none" else ():
            file = shlex.quote(path)
            act = f"echo >> {file}" if mode == asked.UNENDED else f"chown root {file} && chmod a-x,go-w {file}"
            yield warned(
                f"cron refuses {path}, and starts none of its jobs",
                expected="a table that is root's, that nobody else may write to, or execute, and whose last line ends",
                actual=mode,
                remedy=f"where they are to start, as root on {subject.id}: {act}; where not, have it removed",
            )
        if jobs.systemd is asked.Systemd.FAILED:
            unseen_timers = unknown(
                "the timers of systemd are not seen",
                expected="the answer of systemctl show",
                actual=jobs.said or "systemctl fails without a word",
                remedy=f"have systemctl on {subject.id} answer the login: systemctl list-timers --all",
            )
            yield self._answered(subject, unseen_timers)
        refused = [f"the crontab of {each.account} ({each.refused})" for each in crontabs if each.refused]
        at_jobs = [path for path in jobs.unread if path in asked.AT_SPOOLS]
        unread = [path for path in jobs.unread if path not in at_jobs]
        spool = [path for path in unread if path.startswith("/var/spool/cron/") and path.count("/") == 4]
        others = ["the crontabs of root and all other accounts"] if spool else []
        unseen = [*refused, *others, *(path for path in unread if path not in spool)]
        # Without a cron daemon, crontabs start nothing.
        yield from self._judge_unseen(subject, [] if jobs.cron == "none" else unseen, "crontab -l as each of them")
        if at_jobs and (jobs.daemons is None or "atd" in jobs.daemons):
            yield from self._judge_unseen(subject, ["what others gave to at"], "atq as root")

    def _judge_takers(
        self, subject: Subject, jobs: asked.HostJobs, own: Sequence[asked.Table], found: Found, looked_at: str
    ) -> Iterator[Judgement]:
        """Without a daemon a crontab starts nothing, the backup of the plan neither."""
        has_daemon = jobs.daemons is None or bool(jobs.daemons & asked.CRONS)
        lines = [line for table in (*jobs.tables, *own) for line in table.lines]
        for planned in self._taken_here(subject):
            by, end = planned.backup.taken_by, self._needed_by(planned)
            since = end - planned.backup.max_age
            takers = [
                job for job in host_starts(jobs, own, Interval(since, since, end)).looked_at if takes(job, planned)
            ]
            if not has_daemon and ("cron" in by.split() or any(words_of(by) in words_of(line) for line in lines)):
                service = jobs.cron if jobs.cron in asked.CRONS else "cron"
                yield failed(
                    f"no cron daemon runs, so nothing takes the backup of {planned.table}",
                    expected=f"a cron daemon on {subject.id}, which starts {by}",
                    actual="no process is called cron, crond or fcron",
                    remedy=f"have it started on {subject.id}, as root: systemctl enable --now {service}; or correct "
                    f"`taken_by` of {planned.table}",
                )
            elif not takers:
                calls = [name_of(job) for job in found.looked_at if planned.backup.method in job.command]
                not_seen = warned(
                    f"no job was seen that takes the backup of {planned.table}",
                    expected=f"a job on {subject.id} as `taken_by` says: {by}",
                    actual=f"none of {looked_at}",
                    remedy=f"have it put back on {subject.id}; or name the job that takes it in `taken_by` of "
                    f"{planned.table}: {', or '.join(calls) or 'its timer, or its whole command'}",
                )
                yield self._answered(subject, not_seen)
            # Of a timer without a calendar only the next start is known.
            elif not any(job.runs or job.source.endswith(".timer") for job in takers):
                yield warned(
                    f"the job that takes the backup of {planned.table} does not start in time for it",
                    expected=f"a start between {self._time(since)} and {self._time(end)}",
                    actual="; ".join(job.label for job in takers),
                    remedy=f"have it start then on {subject.id}, or that backup taken by hand",
                )

    def _judge_expired(
        self, subject: Subject, crontabs: Sequence[asked.OwnCrontab], found: Found
    ) -> Iterator[Judgement]:
        """Whether cron still starts what takes a backup: sudo looks at no date of the account that it becomes."""
        until = {each.account: each.starts_until for each in crontabs if each.starts_until}
        for planned in self._taken_here(subject):
            who, end = planned.account, self._needed_by(planned)
            by_cron = any(job.user == who and takes(job, planned) for job in found.looked_at)
            if by_cron and who in until and until[who] < end.date():
                last = f"by chage until {until[who]}" if until[who] > date.min else "its password must be changed first"
                yield warned(
                    f"cron starts nothing for {who} by then, so nothing takes the backup of {planned.table}",
                    expected=f"neither {who} nor its password expired by {self._time(end)}",
                    actual=last,
                    remedy=f"as root on {subject.id}: chage -E -1 -M -1 {shlex.quote(who)}; or have it taken by hand",
                )

    def _judge_database(
        self, subject: Subject, pg_cron: asked.PgCron, pg_jobs: tuple[asked.PgCronJob, ...]
    ) -> Iterator[Judgement]:
        database: Database = subject.item
        name = database.dbname
        unseen = [f"jobs in cron.job of other roles than {database.user}"] if pg_cron.only_own else []
        if not pg_cron.found:
            yield passed("pg_cron has no table in this database")
        elif pg_cron.readable:
            yield from self._judge_pg_jobs(subject, pg_cron, pg_jobs)
        else:
            unseen = ["cron.job, which the role may not read"]
        if pg_cron.home and pg_cron.home != name and not pg_cron.found:
            unseen.append(f"the jobs of pg_cron, which works from the database {pg_cron.home}")
        if not (pg_cron.found or pg_cron.sees_settings):
            unseen.append("whether pg_cron works from another database (pg_read_all_settings shows it to the role)")
        query = "SELECT schedule, username, database, command FROM cron.job WHERE active, as a superuser"
        yield from self._judge_unseen(subject, unseen, query)

    def _judge_pg_jobs(
        self, subject: Subject, pg_cron: asked.PgCron, pg_jobs: tuple[asked.PgCronJob, ...]
    ) -> Iterator[Judgement]:
        zone_name = pg_cron.zone or "GMT"  # unless somebody sets it
        try:
            found = pg_cron_starts(pg_jobs, zone_name, self._interval)
        except ValueError as error:
            remedy = "have the system's zone data updated here (tzdata), or cron.timezone corrected there"
            unread = unknown(f"cron.timezone cannot be read: {error}", actual=zone_name, remedy=remedy)
            yield self._answered(subject, unread)
            return
        assumed = "" if pg_cron.zone else " (assumed: cron.timezone is not shown to the role)"
        looked_at = f"{counted(len(pg_jobs), 'job')} in cron.job, in {zone_name}{assumed}"
        yield from self._judge_found(subject, found, looked_at)

    def _judge_found(self, subject: Subject, found: Found, looked_at: str) -> Iterator[Judgement]:
        parts = self.settings.known
        known = [job for job in found.jobs if any(part in f"{job.command} {job.source}" for part in parts)]
        by_jobs = self._taken_by_jobs(subject)
        untaken = [each for each in by_jobs if not any(takes(job, each) for job in found.looked_at)]
        rest = (job for job in found.jobs if job not in known)
        takers = [(job, next((each for each in by_jobs if takes(job, each)), None)) for job in rest]
        # Ahead of the window, or before the step that waits for the backup has ended.
        ours = [(job, own) for job, own in takers if own and max(job.runs) + job.late < self._needed_by(own)]
        if warned_of := [each for each in takers if each not in ours]:
            yield passed(f"looked at {looked_at}")
        else:
            other = " other" if known or ours else ""
            yield passed(f"no{other} job starts {self._in_the_window}; looked at {looked_at}")
        if known:
            agreed = passed(f"known, and agreed: {'; '.join(job.label for job in known)}")
            yield replace(agreed, events=tuple(event for job in known for event in self._events(job, subject)))
        for job, planned in ours:
            taken = passed(f"takes the backup of {planned.table}: {job.label}")
            yield replace(taken, events=tuple(self._events(job, subject)))
        for job, backup in sorted(warned_of, key=lambda each: (not each[0].risky, each[0].runs[0])):
            yield self._judge_job(subject, job, backup, untaken)
        for source, line in found.unreadable[:_MOST_UNREADABLE]:
            unread = unknown(
                f"a line of {source} cannot be read: {line}",
                expected="a schedule of cron, or a calendar of systemd",
                actual=line,
                remedy=f"read it by hand, and have {self._owner(subject)} say when it starts",
            )
            yield self._answered(subject, unread)
        if (more := len(found.unreadable) - _MOST_UNREADABLE) > 0:
            remedy = f"read the crontabs of {subject.id} by hand"
            yield self._answered(subject, unknown(f"{more} more lines cannot be read", remedy=remedy))

    def _taken_by_jobs(self, subject: Subject) -> Sequence[PlannedBackup]:
        """The backups on the host's machine, by whichever login of it, that something takes by itself."""
        machine = machine_of(subject.item) if isinstance(subject.item, Host) else ()
        return [each for each in planned_backups(self.plan) if each.taken_by and machine_of(each.host) == machine]

    def _taken_here(self, subject: Subject) -> Sequence[PlannedBackup]:
        """Those of them that are the entry's own: what they lack is told once."""
        return [each for each in self._taken_by_jobs(subject) if each.host == subject.item]

    def _needed_by(self, planned: PlannedBackup) -> datetime:
        current = schedule(self.plan)
        slot = current.slot(planned.step) if current else None
        return slot.ends_at if slot else self.plan.window.start

    def _judge_job(
        self, subject: Subject, job: JobStarts, planned: PlannedBackup | None, untaken: Sequence[PlannedBackup]
    ) -> Judgement:
        remedy = (
            f"agree with {self._owner(subject)} who switches it off before the window and on again after it "
            f"({_switch_off(job, subject)}); name what may run all the same in `known` of [checks.competing-jobs]"
        )
        perhaps = [each.table for each in untaken if job.user in ("", "root", each.account)]
        if planned:
            in_its_step = f"to before the end of its step {planned.step}"
            ahead = f"ahead of the window; if it is to run in it, name its step: `step` of {planned.table}"
            remedy = f"it takes the backup of {planned.table}: have it moved {in_its_step if planned.step else ahead}"
        elif perhaps:
            remedy += f"; if it takes the backup of {' or '.join(perhaps)}, say so there: taken_by = {name_of(job)}"
        judgement = warned(
            f"{self._starts(job)}: {job.label}",
            expected=f"no job starts {self._in_the_window}, nor up to {format_duration(self.settings.may_run_for)} "
            "before (still going)",
            actual=f"{job.when}: {job.command}",
            remedy=remedy,
        )
        return replace(judgement, events=tuple(self._events(job, subject)))

    def _starts(self, job: JobStarts) -> str:
        """`starts 02:00, 03:00`, `may still be going (started 23:30)` or `starts between 06:00 and 18:00`."""
        start = self._interval.start
        if job.late:
            spans = [f"{self._time(run)} and {self._time(run + job.late)}" for run in job.runs[:_MOST_TIMES]]
            return f"starts at some time between {', or '.join(spans)}"
        inside = [run for run in job.runs if run >= start]
        if not inside:
            return f"may still be going at the start (starts {self._time(job.runs[-1])})"
        times = ", ".join(self._time(run) for run in inside[:_MOST_TIMES])
        more = f" and {len(inside) - _MOST_TIMES} times more" if len(inside) > _MOST_TIMES else ""
        return f"starts {times}{more}"

    def _events(self, job: JobStarts, subject: Subject) -> Iterator[Event]:
        start = self._interval.start
        inside = [run for run in job.runs if run + job.late >= start]
        if not inside:
            yield Event(at=start, text=f"{job.label} may still be going on {subject.id}")
        for number, run in enumerate(inside[:_MOST_TIMES], 1):
            more = len(inside) - number if number == _MOST_TIMES else 0
            text = f"{job.label} {'may start' if job.late else 'starts'} on {subject.id}"
            yield Event(at=max(run, start), text=text + (f", and {more} times more" if more else ""))

    def _judge_unseen(self, subject: Subject, unseen: Sequence[str], how: str) -> Iterator[Judgement]:
        if unseen:
            what = ", ".join(unseen)
            not_seen = unknown(
                f"not seen: {what}",
                expected="every job of the host and its databases is known",
                actual=what,
                remedy=f"ask {self._owner(subject)} what of it starts {self._in_the_window} ({how})",
            )
            yield self._answered(subject, not_seen)

    def _answered(self, subject: Subject, unseen: Judgement) -> Judgement:
        said, keys = self.settings.asked.get(subject.id), ("checks", self.id, "asked", subject.id)
        return answered_for(self.plan, self.moment, unseen, said, keys, subject.owner)

    def _owner(self, subject: Subject) -> str:
        return self.plan.person(subject.owner) or f"the owner of {subject.item.id}"

    @property
    def _in_the_window(self) -> str:
        return f"from {self._time(self._interval.start)} to {self._time(self._interval.end)}"

    def _time(self, moment: datetime) -> str:
        return time_in_window(self.plan.window, moment)


def _switch_off(job: JobStarts, subject: Subject) -> str:
    if job.source == PG_CRON:  # a job without a name is called by its number
        name = job.command.partition(" in ")[0]
        which = f"jobid = {name[4:]}" if re.fullmatch(r"job \d+", name) else f"jobname = {quote_literal(name)}"
        return f"SELECT cron.alter_job(jobid, active := false) FROM cron.job WHERE {which};"  # noqa: S608 - only shown
    if job.source == AT:
        return f"on {subject.id}, as {job.user}: atrm {job.command.removeprefix('job ')}"
    if job.source == asked.SHUTDOWN:
        return f"on {subject.id}, as root: shutdown -c"
    if job.source.endswith(".timer"):
        return f"on {subject.id}, as root: systemctl stop {shlex.quote(job.source)}"  # escaped names have backslashes
    if job.source.startswith("/"):
        return f"on {subject.id}: a # before its line in {job.source}"
    return f"on {subject.id}: crontab -e as {job.user}, a # before its line"


def _looked_at(jobs: asked.HostJobs, crontabs: Iterable[asked.OwnCrontab], found: Found) -> str:
    read = [crontab.account for crontab in crontabs if not crontab.refused]
    tables = counted(len(jobs.tables), "table") + " of the system"
    cron = f"the crontab of {' and '.join(read)}, {tables}" if read else tables
    if jobs.cron == "none":
        cron = "no cron is installed, its tables start nothing"
    timers = {
        asked.Systemd.RUNNING: counted(len(jobs.timers), "timer"),
        asked.Systemd.OFFLINE: "systemd does not run, so no timers",
        asked.Systemd.ABSENT: "no systemd, so no timers",
        asked.Systemd.FAILED: "no timers",
    }[jobs.systemd]
    return f"{counted(len(found.looked_at), 'job')}: {cron}; {timers}; zone {jobs.zone.text}"
