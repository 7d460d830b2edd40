"""`preflight init --look`: logs in as a run does, and tells what it sees as lines of the plan.

What is asked first is what checks ask: who answers at a database, what starts by itself, what endpoints tell. That
names what is asked then: the backups that a job writes, and the accounts that sudo gives."""

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from preflight.cli.asking import ask_by
from preflight.cli.console import complain
from preflight.cli.progress import progress_of_this_call
from preflight.clock import Deadline, now
from preflight.engine.answered import Answered
from preflight.engine.cut_off import TIMEOUT_SECONDS
from preflight.engine.gather import Asking
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.engine.selection import Selection
from preflight.errors import CRASHES
from preflight.evidence import Evidence
from preflight.finding import Status
from preflight.plan import Host, Plan
from preflight.plan.new_plan import RESTORE
from preflight.plan.release_plan import grouped
from preflight.probe import Answer, NoReply, Probe, Question, Reply, T, Unreadable, Via
from preflight.questions.backup_jobs import BackupJob, backup_jobs
from preflight.questions.backups import Listing, PreviousBackups
from preflight.questions.http import HttpGet, HttpRequest
from preflight.questions.jobs import CrontabProbe, HostJobsProbe
from preflight.questions.json_body import parse_json
from preflight.questions.postgres import DatabasesProbe, IdentityProbe
from preflight.questions.services import Services, ServicesProbe
from preflight.questions.shell import AsAccount
from preflight.questions.sudo import ReachProbe
from preflight.sessions.pools import Pools
from preflight.units import format_duration, format_size
from preflight.wording import in_toml, one_line

_ASKED = Selection.of_checks("competing-jobs", "database-login", "app-health")
_SERVER_ACCOUNT = "postgres"
"""Which a login to a database's host mostly may become."""
_MOST_OTHERS = 20


@dataclass(frozen=True, slots=True)
class _Found:
    """A job that takes a backup, and where."""

    host: Host
    job: BackupJob

    @property
    def listing(self) -> PreviousBackups:
        return PreviousBackups(self.host.id, AsAccount.on(self.host, self.job.user), self.job.pattern)


@dataclass
class Looked:
    """What was seen, and by whom."""

    plan: Plan
    moment: datetime
    lines: dict[str, list[str]] = field(default_factory=dict)

    def say(self, table: str, key: str, value: Any, source: str) -> None:
        """A value, with where and when it was seen."""
        self.lines.setdefault(table, []).append(f"{key} = {in_toml(value)}  # {self._seen(source)}")

    def note(self, table: str, text: str, source: str) -> None:
        self.lines.setdefault(table, []).append(f"# {one_line(text)}  ({self._seen(source)})")

    def to_do(self, table: str, text: str) -> None:
        self.lines.setdefault(table, []).append(f"# TODO: {one_line(text)}")

    def _seen(self, source: str) -> str:
        return f"seen on {source}, {self.moment:%Y-%m-%d}"


def look(plan: Plan, registry: Registry, pools: Pools) -> tuple[Mapping[str, Sequence[str]], bool]:
    """Asks all that the plan names: lines for its tables, and whether all answered; what did not is told and a TODO."""
    looked = Looked(plan, now())
    with progress_of_this_call(quiet=False) as tell:
        inspection = inspect(plan, registry, looked.moment, _ASKED)
        first = ask_by(pools, inspection, TIMEOUT_SECONDS, {}, tell, keep_open=True).answered
        lost = ((question.target, answer.detail) for question, answer in first.evidence if isinstance(answer, NoReply))
        silent = dict.fromkeys(f"{target}: {one_line(detail.removeprefix(f'{target}: '))}" for target, detail in lost)
        for place in silent:
            complain(f"not looked at: {place}")
        jobs = list(_jobs(plan, first.evidence))
        second = _ask(
            pools,
            [
                *(each.listing for each in jobs if each.job.pattern),
                *_accounts(plan, jobs),
                *map(DatabasesProbe, plan.databases),
                *(ServicesProbe(host) for name in plan.applications for host in _hosts_of(plan, name)),
            ],
        )
    _tell_hosts(looked, jobs, first, second)
    for name in plan.databases:
        _tell_database(looked, name, first.evidence, second)
        if plan.databases[name].host:
            _tell_backup(looked, name, jobs, second)
    for question, answer in first.evidence:
        if question.via is Via.HTTP:
            _tell_application(looked, question, answer)
    for name in plan.applications:
        _tell_services(looked, name, second)
    return looked.lines, not silent


def _ask(pools: Pools, probes: Collection[Probe[Any]]) -> Evidence:
    """By the sessions that are open already."""
    answers: dict[str, tuple[Question, Answer]] = {}
    with Asking(pools.session, Deadline(TIMEOUT_SECONDS)) as asking:
        asking.ask(probe.question() for probe in probes)
        while (arrived := asking.next_answer()) is not None:
            answers[arrived[0].id] = arrived
    return Evidence("", now(), answers)


def _read(evidence: Evidence, probe: Probe[T]) -> T | None:
    """None for what was not seen."""
    _, answer = evidence.answers.get(probe.question().id, (None, None))
    with suppress(*CRASHES):
        return probe.read(answer) if isinstance(answer, Reply) else None
    return None


def _jobs(plan: Plan, evidence: Evidence) -> Iterator[_Found]:
    for host in _database_hosts(plan):
        own = _read(evidence, CrontabProbe(host.id, AsAccount.on(host, "")))
        found = backup_jobs(_read(evidence, HostJobsProbe(host.id)), own.table if own else None)
        yield from (_Found(host, job) for job in found)


def _database_hosts(plan: Plan) -> Sequence[Host]:
    """A managed database has none."""
    names = dict.fromkeys(database.host for database in plan.databases.values() if database.host)
    return [plan.hosts[name] for name in names]


def _accounts(plan: Plan, jobs: Sequence[_Found]) -> Iterator[ReachProbe]:
    """The accounts that do the work with databases, as far as sudo gives them."""
    for host in _database_hosts(plan):
        users = [each.job.user for each in jobs if each.host == host and each.job.user]
        others = (name for name in dict.fromkeys((_SERVER_ACCOUNT, *users)) if name != host.user)
        yield from (ReachProbe(host.id, AsAccount(name, is_login=False)) for name in others)


def _tell_hosts(looked: Looked, jobs: Sequence[_Found], first: Answered, second: Evidence) -> None:
    accounts = grouped(_accounts(looked.plan, jobs), lambda each: each.target)
    for host in looked.plan.hosts.values():
        reached = {each.account.account: _read(second, each) for each in accounts.get(host.id, ())}
        if given := [account for account, reach in reached.items() if reach and reach.code == 0]:
            looked.say(f"hosts.{host.id}", "become", given, host.id)
        for reach in reached.values():
            for rule in reach.rules if reach and reach.code else ():
                looked.note(f"hosts.{host.id}", f"sudo allows {rule}", host.id)
    for finding in first.findings():
        if finding.check == "competing-jobs" and finding.subject in looked.plan.hosts:
            for point in finding.judgement.telling_points():
                if point.status is Status.WARN:
                    looked.note(f"hosts.{finding.subject}", point.summary, finding.subject)


def _tell_database(looked: Looked, name: str, first: Evidence, second: Evidence) -> None:
    table, database = f"databases.{name}", looked.plan.databases[name]
    identity = _read(first, IdentityProbe(name))
    if identity is None:
        looked.to_do(table, "its server was not seen: version, role")
        return
    looked.say(table, "version", str(identity.version_num // 10_000), name)
    if identity.in_recovery:
        looked.say(table, "role", "replica", name)
    if data_directory := identity.settings.shown("data_directory"):
        looked.note(table, f"data directory {data_directory}", name)
    if others := [each for each in _read(second, DatabasesProbe(name)) or () if each != database.dbname]:
        shown = ", ".join(others[:_MOST_OTHERS])
        looked.to_do(table, f"also on this server, add those that the release changes: {shown}")


def _tell_backup(looked: Looked, name: str, jobs: Sequence[_Found], second: Evidence) -> None:
    table, database = f"backups.{name}", looked.plan.databases[name]
    own = [each for each in jobs if each.host.id == database.host]
    found = next((each for each in own if each.job.pattern and each.job.saves(database, each.host.address)), None)
    if found is None:
        for each in own:
            looked.to_do(table, f"perhaps taken by ({each.job.user}, {each.job.source}): {each.job.command}")
        return
    job, folder = found.job, posixpath.dirname(found.job.pattern)
    source = f"{found.host.id} in {job.source}"
    if "*" not in folder:
        looked.say(table, "directory", folder, source)
    for key, value in (("previous", job.pattern), ("taken_by", job.taken_by), ("format", job.format.value)):
        looked.say(table, key, value, source)
    if job.server:
        looked.say(table, "server", job.server, source)
        looked.say(f"scripts.{name}", "server", job.server, source)
    if job.login:
        looked.say(table, "login", job.login, source)
    if not job.user:
        looked.to_do(table, f"account: as whom {job.source} runs it, where that is not the login")
    elif job.user != found.host.user:
        looked.say(table, "account", job.user, source)
    looked.lines[table].append(RESTORE)
    _tell_newest(looked, table, found, _read(second, found.listing))


def _tell_newest(looked: Looked, table: str, found: _Found, listing: Listing | None) -> None:
    if listing is None or not listing.backups:
        # To a login that may not enter it, or what is above it, a folder is missing.
        seen = listing and listing.folder != "unreadable" and (listing.as_account or listing.folder == "readable")
        closed = f"the folder of {found.job.pattern} could not be read: whether a backup is there was not seen"
        looked.to_do(table, f"no file was seen that {found.job.pattern} finds" if seen else closed)
        return
    newest = listing.backups[0]
    size = "" if newest.size_bytes is None else f", {format_size(newest.size_bytes)}"
    looked.note(table, f"newest: {newest.path}, {format_duration(listing.age(newest))} old{size}", found.host.id)


def _tell_application(looked: Looked, question: Question, answer: Answer) -> None:
    name, table = question.target, f"applications.{question.target}"
    if not isinstance(answer, Reply):
        return
    try:
        samples = HttpGet(name, HttpRequest.parse(question.text)).read(answer)
        path, version = next(_versions(parse_json(samples.answers[0].body)))
    except (Unreadable, ValueError, StopIteration):
        return
    looked.say(table, "from", version, name)
    looked.lines[table].append(f"to = {in_toml(version)}  # TODO: the version that answers after the window")
    looked.say(f"{table}.health", "version", path, name)


def _hosts_of(plan: Plan, application: str) -> Sequence[str]:
    """The host that answers at its health endpoint, by the address that the plan has; else it may be any."""
    asked = {urlsplit(each.url).hostname for each in plan.applications[application].health}
    return [host.id for host in plan.hosts.values() if host.address.lower() in asked] or list(plan.hosts)


def _tell_services(looked: Looked, application: str, second: Evidence) -> None:
    """A running service is taken for the application's where it alone bears the application's name."""
    seen = {host: _read(second, ServicesProbe(host)) for host in _hosts_of(looked.plan, application)}
    running = {host: told.running if told else () for host, told in seen.items()}
    named = {host: [each for each in names if application.lower() in each.lower()] for host, names in running.items()}
    for host, services in named.items():
        if len(services) == 1:
            table = f"checks.command.run.{application}-on-{host}"
            entry = {"host": host, "owner": application, "program": "systemctl"}
            looked.lines[table] = [f"{key} = {in_toml(value)}" for key, value in entry.items()]
            looked.say(table, "arguments", ["is-active", services[0]], host)
            looked.say(table, "wanted", f"{services[0]} runs", host)
        elif services or not any(named.values()):
            looked.to_do(f"applications.{application}", _which_service(host, seen[host], services))


def _which_service(host: str, told: Services | None, fits: Sequence[str]) -> str:
    asks = f"its service on {host}, to be asked for as in [checks.command.run.NAME]"
    if told is None or told.said:
        return f"{asks}; none was seen: {told.said if told else 'the host did not answer'}"
    shown = ", ".join((fits or told.running)[:_MOST_OTHERS]) or "none"
    return f"{asks}; running there{'' if fits else ', none with its name'}: {shown}"


def _versions(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Where a JSON answer tells a version, the outermost first."""
    if not isinstance(value, Mapping):
        return
    found = value.get("version")
    if isinstance(found, str) and found.strip() and not any("." in part for part in path):
        yield ".".join((*path, "version")), found
    for key, each in value.items():
        yield from _versions(each, (*path, str(key)))
