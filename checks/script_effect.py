"""script-effect: the live database bears what the rehearsal saw the scripts do."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, Quantity, failed, passed, unknown, warned
from preflight.judging.backup_size import Seen, size_of
from preflight.judging.data_directory import data_directory, not_measured, not_shown, without_inodes
from preflight.plan import BackupMethod, Plan, Scripts
from preflight.plan.limits import Between
from preflight.plan.release_plan import Machine, grouped, machine_of
from preflight.plan.work import PlannedBackup, ServerWork, logins_in, planned_backups, rehearsed_work
from preflight.questions import sizes
from preflight.questions.backups import PreviousBackups
from preflight.questions.postgres import AllowedProbe, Identity, IdentityProbe
from preflight.questions.rehearsed import RehearsalProbe, Rehearsed, RehearsedDatabase, RehearsedEntry, Run
from preflight.questions.shell import AsAccount
from preflight.questions.storage import Directory, DirectoryProbe, Place, PlacesProbe
from preflight.units import format_duration, format_need, format_size
from preflight.wording import MOST_NAMED, counted, listed, named

_TEMPORARY_BYTES = 16 * 1024 * 1024
"""So much is wanted at least for temporary files, for shared memory and for the archive."""
_SHARED = "/dev/shm"  # noqa: S108 - asked, and not written to
"""Of parallel work, as PostgreSQL has it on Linux by default (`dynamic_shared_memory_type = posix`)."""
_PARALLEL = "statements that the server runs in parallel, as it may make an index, end for want of shared memory"
_ARCHIVE = "the place to which archive_command writes has no room for the write-ahead log of the scripts"
_TELLING_BYTES = 1024 * 1024
"""The time that a script takes with a smaller table is not that of its rows."""
_OPENS = re.compile(r"\+  grant .* to PUBLIC\b|-  revoke .* from PUBLIC\b")


@dataclass(frozen=True, slots=True)
class _Effect:
    """What the rehearsal of one entry says of the live database."""

    entry: RehearsedEntry
    of: RehearsedDatabase
    live: sizes.Sizes
    tables: Mapping[str, sizes.LiveTable]
    """Those that a script touched, by name."""

    @property
    def growth(self) -> float:
        """How many times the live database is as large as the rehearsed one; 0 where that had no rows."""
        tells = self.of.has_rows and self.of.size_bytes
        return max(self.live.database_bytes / self.of.size_bytes, 1.0) if tells else 0.0

    @property
    def minutes(self) -> float:
        """Of all scripts in the live database; 0 where the rehearsal had no rows."""
        return self.entry.minutes * self.growth

    @property
    def minutes_by_tables(self) -> float:
        """Likewise, where a table that a script touched has grown more than the database."""
        return sum(run.seconds * max([self.growth, *self.grown(run).values()]) for run in self.entry.forward) / 60

    def grown(self, run: Run) -> Mapping[str, float]:
        """The tables that grew more, and how many times they are as large."""
        then = {each.name: self.of.table_bytes.get(each.name, 0) for each in run.touched if self.of.has_rows}
        known = {name: self.tables[name].bytes / size for name, size in then.items() if size and name in self.tables}
        return {name: times for name, times in known.items() if times > self.growth and then[name] >= _TELLING_BYTES}

    @property
    def temporary_bytes(self) -> int:
        """Of the script with most temporary files."""
        return math.ceil(max((run.temporary_bytes for run in self.entry.forward), default=0) * self.growth)

    def written(self, runs: Sequence[Run]) -> Mapping[str, int]:
        """Bytes by tablespace: what is rewritten takes its own size again until the transaction ends. All that changes
        is in the WAL, so that at least so much is written; where, the WAL does not tell."""
        found: Counter[str] = Counter()
        for name in {each.name for run in runs for each in run.touched if each.rewritten}:
            if name in self.tables:
                found[self.tables[name].tablespace] += self.tables[name].bytes
        in_wal = math.ceil(sum(run.wal_bytes for run in runs) * self.growth)
        found[""] += max(0, in_wal - found.total())
        return found


class ScriptEffect(Check):
    """Does the live database bear what the rehearsal saw the scripts do: is there room, and time?

    That night the scripts took 115 minutes instead of 90, and nobody had counted what they would write. The rehearsal
    saw which tables each script rewrites, how much WAL it writes and how long it takes; here that meets the database
    as it is now. A rewritten table needs its own size again where the data lies, and as much WAL where that lies,
    beside the backup that is written before. Where temporary files of the role go (`temp_tablespaces`), 16 MiB have to
    be free; WARN where those of the rehearsal do not fit, where shared memory (`/dev/shm`) is full, and where the
    place that `archive_command` names has no room. Minutes and WAL of a rehearsal on a restore grow with the database
    since; one on the schema alone tells neither. FAIL where the room does not suffice `headroom` times, or where the
    minutes are more than the step has (WARN where only a table that they touch has grown so much); UNKNOWN where the
    role begins with other settings than in the rehearsal, another search path say, or where the server lets them do
    less than then: a role that they name is gone, a membership was taken back. What is dropped, opened to everybody or
    given to another owner is listed for whoever reviews the scripts, and so is each table that a script locks against
    all who write without a `lock_timeout`: one open transaction there makes it wait, and the whole application behind
    it. Who that is at this moment, database-state names.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        """How much more than was rehearsed the real work may take."""

        headroom: Annotated[float, Between(1)] = 1.2
        """Room for the scripts is wanted so many times."""

    id = "script-effect"
    title = "the database bears what the scripts do"
    sections = ("scripts",)
    needs = "CONNECT for the sizes; pg_read_all_settings for the data directory's place; the account enters its folder"
    cure = "have room made, or plan the minutes that it takes"

    def subjects(self) -> Sequence[Subject]:
        return [Subject(work.id, work, work.owner) for work in rehearsed_work(self.plan)]

    def probes(self, subject: Subject) -> Probes:
        work: ServerWork = subject.item
        database = work.database.id
        probes: dict[str, Any] = {
            "rehearsed": RehearsalProbe.of(self.plan),
            "live": sizes.SizesProbe(database),
            "data": sizes.DataDirectoriesProbe(database),
            "identity": IdentityProbe(database),
            "temporary": sizes.TemporaryFilesProbe(database, work.login),
        }
        for each in self._backups(work):
            probes[f"directory {each.id}"] = DirectoryProbe.of(each)
            if each.backup.expected or not each.target:
                continue
            probes[f"sizes {each.backup.database}"] = sizes.SizesProbe(each.backup.database)
            if previous := each.backup.previous:
                probes[f"previous {each.id}"] = PreviousBackups(each.kept.host.id, AsAccount.of(each.kept), previous)
            if each.backup.method is BackupMethod.PG_DUMP and not each.is_packed:
                probes[f"text {each.backup.database}"] = sizes.TextSizeProbe(each.backup.database)
        return probes

    def follow_up(
        self, subject: Subject, *, rehearsed: Rehearsed, data: sizes.DataDirectories, identity: Identity, **_: Any
    ) -> Probes:
        """In the database session: the size of each table that a script touched in the rehearsal, what the server lets
        the scripts do, and how much write-ahead log may stay. On the host, as the account that runs the scripts: where
        the data directory, its WAL and the tablespaces lie, and what is free there and for shared memory."""
        work: ServerWork = subject.item
        tried = rehearsed.entry(work.id)
        if tried is None:
            return {}
        touched = [each for run in tried.forward for each in run.touched]
        names = {each.name for each in touched if each.rewritten}
        if rehearsed.record:
            names |= {each.name for each in touched} & rehearsed.record.databases[work.database.id].table_bytes.keys()
        logins, version = logins_in(self.plan, work.database.id), identity.version_num
        probes: dict[str, Any] = {"wal": sizes.WalRateProbe(work.database.id)}
        probes["allowed"] = AllowedProbe(work.database.id, logins, version)
        if names:
            probes["tables"] = sizes.TableSizesProbe(work.database.id, tuple(sorted(names)))
        if root := data_directory(work.database, data):
            paths = (*replace(data, data=root).paths, *filter(None, [data.archive]), _SHARED)
            probes["places"] = PlacesProbe(work.host.id, AsAccount.of(work), paths)
        return probes

    def judge(self, subject: Subject, **facts: Any) -> Judgement:
        work: ServerWork = subject.item
        rehearsed: Rehearsed = facts["rehearsed"]
        tried = rehearsed.entry(work.id)
        if tried is None:
            return unknown(
                "what the scripts do is not known (see rehearsal)",
                expected="a rehearsal that shows what they rewrite and how long they take",
                actual="no record of theirs",
                remedy=f"cure what rehearsal says of {work.id}",
            )
        assert rehearsed.record is not None  # noqa: S101 - it holds the entry
        of = rehearsed.record.databases[work.database.id]
        effect = _Effect(tried, of, facts["live"], facts.get("tables", {}))
        # Seen of the role that asks.
        own = facts["identity"].settings.of_scripts if work.login == work.database.user else {}
        begins = f"{work.login} begins with other settings than in the rehearsal"
        allows = f"the server of {work.database.id} is no longer as it was in the rehearsal"
        return Judgement.of(
            [
                *self._room(work, effect, facts),
                *self._time(work, effect),
                *self._as_then(begins, of.settings, {**of.settings, **own}),
                *self._as_then(allows, of.allowed, facts["allowed"]),
                *_strong_locks(tried),
                *_for_reviewer(self.plan.scripts[work.id], tried),
            ]
        )

    def _as_then(self, what: str, then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Judgement]:
        """Of the rehearsal: settings, rights and memberships."""
        if others := [name for name, value in then.items() if now.get(name) != value]:
            yield unknown(
                f"{what}: {named(others)}",
                expected=", ".join(f"{name} is {then[name]}" for name in others[:MOST_NAMED]),
                actual=", ".join(f"{name} is {now.get(name, 'not there')}" for name in others[:MOST_NAMED]),
                remedy=f"have the change taken back, or run: {self.plan.call('rehearse')}",
            )

    def _room(self, work: ServerWork, effect: _Effect, facts: Mapping[str, Any]) -> Iterator[Judgement]:
        """Where the data and the WAL lie, for the script that writes most; for all where they are one transaction."""
        forward = effect.entry.forward
        together = [forward] if self.plan.scripts[work.id].single_transaction else [[run] for run in forward]
        written = max(map(effect.written, together), key=lambda each: sum(each.values()), default={})
        root, at_once = data_directory(work.database, facts["data"]), sum(written.values())
        if not at_once:
            yield passed("they rewrite no table")
        elif not root:
            summary = "whether what the scripts write has room cannot be seen"
            yield not_shown(self.plan, self.moment, work.database, summary)
        if not root:
            return
        places: Mapping[str, Place] = facts["places"]
        needs = Counter({path or root: count for path, count in written.items() if count})
        if at_once:
            wal: sizes.WalRate | None = facts["wal"]
            needs[f"{root}/pg_wal"] += at_once if wal is None or wal.held else min(at_once, wal.most_bytes)
        temporary = {path or root for path in facts["temporary"]}
        if new := min((needs.keys() | temporary) - places.keys(), default=""):
            actual, remedy = "a tablespace was made meanwhile", "run it again"
            yield unknown(f"what is free in {new} cannot be seen", expected="to see it", actual=actual, remedy=remedy)
            return
        for path, need, what, cure in (
            (_SHARED, _TEMPORARY_BYTES, _PARALLEL, f"or, where it is small: mount -o remount,size=1G {_SHARED}"),
            (facts["data"].archive, max(at_once, _TEMPORARY_BYTES), _ARCHIVE, "the server keeps its WAL until then"),
        ):
            if path and (place := places[path]).measured and place.free_bytes < need:
                yield warned(
                    what,
                    expected=f"{format_need(need)} free on {place.label} of {work.host.id}",
                    actual=f"{format_size(place.free_bytes)} free",
                    remedy=f"have what fills it removed; {cure}",
                )
        unseen = [places[path] for path in needs if not places[path].measured]
        yield from (not_measured(self.plan, self.moment, work.database, place, work.who) for place in unseen)
        used = [place for path, place in places.items() if place.measured and (path in needs or path in temporary)]
        for here in grouped(used, lambda each: each.storage).values():
            yield from without_inodes(work.database, here[0])
            needed, where = sum(needs[place.path] for place in here), f"{here[0].label} of {work.host.id}"
            spilt = effect.temporary_bytes if any(place.path in temporary for place in here) else 0
            if (more := math.ceil((needed + spilt) * self.settings.headroom) - here[0].free_bytes) > 0 and spilt:
                yield warned(
                    f"temporary files of {work.login} may fill the disk: one script wrote so many in the rehearsal",
                    expected=f"{format_need(spilt)} free on {where}, beside {format_need(needed)} that is written; "
                    "less where one file goes before the next is made",
                    actual=f"{format_size(here[0].free_bytes)} free",
                    remedy=f"have {format_need(more)} more made free on {where}",
                )
            if needed:
                yield self._judge_storage(work, here[0], needed, facts)
            elif here[0].free_bytes < _TEMPORARY_BYTES:
                more = _TEMPORARY_BYTES - here[0].free_bytes
                yield failed(
                    f"there is no room for temporary files of {work.login}",
                    expected=f"{format_need(_TEMPORARY_BYTES)} free on {where}, for what is sorted beyond work_mem",
                    actual=f"{format_size(here[0].free_bytes)} free",
                    remedy=f"have {format_need(more)} more made free on {where}; or have temp_tablespaces name another",
                )

    def _judge_storage(self, work: ServerWork, place: Place, written: int, facts: Mapping[str, Any]) -> Judgement:
        need = math.ceil(written * self.settings.headroom)
        beside = self._backups_on(work, place.storage, facts)
        where = f"{place.label} of {work.host.id}"
        wanted = f"{format_need(need)} for what the scripts write, {self.settings.headroom:g} times"
        if beside:
            wanted += f", and {format_need(sum(beside.values()))} for the backup of {' and '.join(beside)} before them"
        need += sum(beside.values())
        if need > place.free_bytes:
            return failed(
                "there is no room for what the scripts write",
                expected=f"free on {where}: {wanted}",
                actual=f"{format_size(place.free_bytes)} free",
                remedy=f"have {format_need(need - place.free_bytes)} more made free on {where}",
                quantity=Quantity(need - place.free_bytes, "B"),
            )
        if unsized := [f"[backups.{name}]" for name, size in beside.items() if not size]:
            return unknown(
                f"whether the scripts have room beside the backup is not known: {listed(unsized, MOST_NAMED)}",
                expected=f"free on {where}: {wanted}, and for each backup there before them",
                actual=f"{format_size(place.free_bytes)} free, and nothing here tells how large the backup will be",
                remedy=f'declare the size in {" and ".join(unsized)}, for example: expected = "20GiB"',
            )
        return passed(f"{format_size(place.free_bytes)} free on {where}; needed {wanted}")

    def _backups(self, work: ServerWork) -> Sequence[PlannedBackup]:
        """Those that are written to the same machine before the scripts begin."""
        return self.plan.once(_written_backups).get(machine_of(work.host), ())

    def _backups_on(self, work: ServerWork, storage: str, facts: Mapping[str, Any]) -> Mapping[str, int]:
        """What each will have written on this storage; 0 where that is not known, as of a repository, which is not
        asked here. How much a database may have grown since its last backup, backup-space tells."""
        found = {}
        for each in self._backups(work):
            directory: Directory = facts[f"directory {each.id}"]
            if storage and directory.place.storage == storage:
                name = each.backup.database
                seen = Seen(facts.get(f"previous {each.id}"), facts.get(f"sizes {name}"), facts.get(f"text {name}"))
                known = each.backup.expected or not each.backup.method.has_repository
                found[each.id] = math.ceil(size_of(each, seen).expected * each.backup.headroom) if known else 0
        return found

    def _time(self, work: ServerWork, effect: _Effect) -> Iterator[Judgement]:
        step = self.plan.step(work.step)
        if not effect.minutes or step is None:
            return
        takes, planned = timedelta(minutes=effect.minutes), timedelta(minutes=step.minutes)
        known = f"{format_duration(timedelta(minutes=effect.entry.minutes))} on a restore of "
        known += format_size(effect.of.size_bytes)
        if effect.growth > 1:
            known += f", so {format_duration(takes)} in {format_size(effect.live.database_bytes)}"
        likely = timedelta(minutes=effect.minutes_by_tables)
        if takes <= planned < likely:
            grown = {name: times for run in effect.entry.forward for name, times in effect.grown(run).items()}
            yield warned(
                f"they may take {format_duration(likely)}: tables that they touch have grown more than the database",
                expected=f"at most {format_duration(planned)}, as step {step.id} plans",
                actual=f"{known}; since then {named(f'{name} {times:.1f} times' for name, times in grown.items())}",
                remedy=f"have a new backup taken and run: {self.plan.call('rehearse')}",
            )
            return
        if takes <= planned:
            yield passed(f"they took {known}; step {step.id} has {format_duration(planned)}")
            return
        over = takes - planned
        yield failed(
            f"they take {format_duration(takes)}: {format_duration(over)} longer than planned",
            expected=f"at most {format_duration(planned)}, as step {step.id} plans",
            actual=known,
            remedy=f"plan {math.ceil(effect.minutes)} min for step {step.id}",
            minutes_at_stake=over.total_seconds() / 60,
            quantity=Quantity(over.total_seconds(), "s"),
        )


def _written_backups(plan: Plan) -> Mapping[Machine, Sequence[PlannedBackup]]:
    written = (each for each in planned_backups(plan) if each.backup.directory)
    return grouped(written, lambda each: machine_of(each.host))


def _strong_locks(tried: RehearsedEntry) -> Iterator[Judgement]:
    """What they wait for, and everybody behind them; `database-state` tells for whom at this moment."""
    locked = ((run, each) for run in tried.forward for each in run.touched if each.waits)
    told = [f"{each.name} for {run.script} ({each.waits})" for run, each in locked]
    if told:
        yield passed(f"wait for whoever is at work on {listed(told, MOST_NAMED)}: database-state tells who that is")


def _for_reviewer(entry: Scripts, tried: RehearsedEntry) -> Iterator[Judgement]:
    """What a script drops, opens to everybody or gives to another owner."""
    for run in tried.forward:
        gone = (f"drops {each.kind} {each.name}" for each in run.touched if each.dropped and not each.created)
        if told := [*gone, *_rights_changed(run)]:
            yield warned(
                f"{run.script} {listed(told, MOST_NAMED)}",
                expected="that its reviewer knows it",
                actual=f"{counted(len(told), 'such change')} in the rehearsal",
                remedy=f"have {entry.reviewer or 'the reviewer'} confirm that it is meant",
            )


def _rights_changed(run: Run) -> Iterator[str]:
    """Rights that everybody gets, other owners, other default privileges; by the schema before and after the script."""
    name = ""
    for line in run.changes.splitlines():
        new_owner = name.startswith(" ") and line.startswith("+  owner ")
        if not line[1:].startswith(" "):
            name = line
        elif _OPENS.match(line) or new_owner or name[1:].startswith("default privileges "):
            yield f"changes {name[1:]}: {line[0]} {line[3:]}"
