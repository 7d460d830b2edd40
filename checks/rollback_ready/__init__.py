"""rollback-ready: if the decision is "back", what it takes is there, whole, and has been tried."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any

from preflight.check import Check, Probes, Subject
from preflight.clock import zone
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import Database, RemotePath, Rollback, RollbackFile, Scripts
from preflight.plan.gaps import REHEARSED
from preflight.plan.limits import Between
from preflight.plan.release_plan import Machine, grouped, machine_of
from preflight.plan.values import DatabaseRef
from preflight.plan.work import PlannedBackup, planned_backups
from preflight.probe import NoReply, Probe
from preflight.questions.backups import Listing, PreviousBackups, read_in_full
from preflight.questions.files import TARGET, LocalTexts, LocalTree
from preflight.questions.hashed_files import FileState, HashedFile, HashedFilesProbe
from preflight.questions.shell import AsAccount
from preflight.questions.sizes import (
    DataDirectories,
    DataDirectoriesProbe,
    LiveTables,
    LiveTablesProbe,
    SizesProbe,
    TextSizeProbe,
)
from preflight.questions.sql import quote_identifier
from preflight.questions.storage import Place, PlacesProbe
from preflight.units import format_duration, format_need, format_size
from preflight.wording import beside

from .earlier_backup import (
    Read,
    SeenBackup,
    being_written,
    judge_age,
    judge_name,
    judge_owner,
    judge_read,
    judge_size,
    may_be_written,
    no_backup,
)
from .ways_back import WaysBack


@dataclass(frozen=True, slots=True)
class RollbackReadySettings:
    """Limits, and what the servers do not tell."""

    warn_size_ratio: Annotated[float, Between(0, 1)] = 0.8
    """A backup smaller than this part of the one before it, or of what the database holds now, is worth a warning."""
    least_size_ratio: Annotated[float, Between(0, 1)] = 0.5
    """A smaller one fails: a dump of empty tables is whole and reads well."""
    written_within: timedelta = timedelta(minutes=2)
    """A backup that cannot be read and was changed so short a time ago may be one that is just being written."""
    growth: Annotated[float, Between(1)] = 1.2
    """A restored database may take so many times the room it takes now."""
    data_directory: Mapping[DatabaseRef, RemotePath] = field(default_factory=dict)
    """Database -> its data directory, where its role is no member of pg_read_all_settings and so may not see it."""


class RollbackReady(Check):
    """If the decision is "back", is what it takes there, whole, and tried?

    A backup nobody has read is none: an archive cut off in the middle still shows a whole table of contents (the
    night's own lesson is that nobody knew until when a rollback could be finished, g). So the newest earlier backup is
    read to its end on its host, at the lowest priority: pg_restore to the null device, SQL text to pg_dump's last line,
    packed text through its unpacker. It must be of the right database and server version, hold data, be young enough,
    not be much smaller than the one before, and not bear the name to which the window's backup is written. An archive
    written without compression has no checksums: a flipped byte in it shows nowhere. Each listed rollback file must be
    there with its SHA-256, each script must have its way back beside it, approved and not empty, a restore must have
    room, and the way back must have been rehearsed.
    """

    id = "rollback-ready"
    title = "the way back is there and whole"
    sections = ("backups", "scripts", "rollback")
    needs = (
        "as the backup's account: read the newest backup and its folder; read the rollback files; CONNECT for the sizes"
    )
    cure = "take a new backup and read it; stage what is missing; rehearse"
    Settings = RollbackReadySettings
    judges_no_reply = frozenset({"live", "now", "read", "earlier"})

    def subjects(self) -> Sequence[Subject]:
        plan, rollback = self.plan, self.plan.rollback
        earlier = [each for each in planned_backups(plan) if each.backup.previous]
        backups = [Subject(f"{each.id} previous backup", each, each.owner) for each in earlier]
        ways = [each for each in plan.scripts.values() if each.way_back]
        scripts = [Subject(f"{each.id} way back", each, plan.owner_of(each)) for each in ways]
        room = [Subject(f"{each.id} room to restore", each, each.owner) for each in self._restored]
        rehearsal = [Subject("rehearsal", rollback, rollback.owner)] if rollback else []
        return [*backups, *self._files(), *scripts, *room, *rehearsal]

    def probes(self, subject: Subject) -> Probes:
        match subject.item:
            case PlannedBackup() as planned:
                listing = PreviousBackups(planned.host.id, AsAccount.of(planned), planned.backup.previous)
                live = LiveTablesProbe(planned.backup.database)
                return {"listing": listing, "live": live, "now": TextSizeProbe(planned.backup.database)}
            case RollbackFile() as file:
                return {"files": HashedFilesProbe(file.host, self._beside_each_other[_place(file)])}
            case Scripts() as scripts:
                folder = beside(self.plan.folder, scripts.approved)
                return {"approved": LocalTree(TARGET, folder), "texts": LocalTexts(TARGET, folder)}
            case Database() as database:
                probes: dict[str, Probe[Any]] = {}
                for each in self._restored_beside(database):
                    probes[f"sizes {each.id}"] = SizesProbe(each.id)
                    probes[f"data {each.id}"] = DataDirectoriesProbe(each.id)
                return probes
        return {}

    def follow_up(self, subject: Subject, **facts: Any) -> Probes:
        """On the host, as the account that takes the backup: the newest earlier backup is read to its end at the lowest
        priority, and the one before it too where the newest may still be written (`pg_restore -l`, then `pg_restore -f
        /dev/null`; a text through gzip or its like; `pg_verifybackup` for a base backup): minutes of reading for a
        large one. And where the data directory and the tablespaces lie, and what is free there."""
        match subject.item:
            case PlannedBackup() as planned:
                listing: Listing = facts["listing"]
                names = ("read", "earlier") if may_be_written(listing, self.settings.written_within) else ("read",)
                wanted = zip(names, listing.backups, strict=False)
                probes = {name: read_in_full(planned, listing, file) for name, file in wanted}
                return {name: probe for name, probe in probes.items() if probe is not None}
            case Database() as database:
                data = [path for path in self._data_paths(database, facts).values() if path]
                paths = tuple(dict.fromkeys((*data, *_tablespaces(database, facts))))
                taker = next(each for each in planned_backups(self.plan) if each.backup.database == database.id)
                return {"places": PlacesProbe(taker.host.id, AsAccount.of(taker), paths)} if paths else {}
        return {}

    def judge(self, subject: Subject, **facts: Any) -> Judgement:
        match subject.item:
            case PlannedBackup() as planned:
                return self._judge_backup(planned, **facts)
            case RollbackFile() as file:
                return _judge_file(file, facts["files"][file.path])
            case Scripts() as scripts:
                folder = beside(self.plan.folder, scripts.approved)
                ways = WaysBack(scripts, folder, self.plan.seal_command, facts["approved"], facts["texts"])
                return Judgement.of(ways.judge())
            case Database() as database:
                return self._judge_room(database, facts)
            case Rollback() as rollback:
                return self._judge_rehearsal(rollback)
        raise TypeError(f"no subject of this check: {subject.id}")

    @cached_property
    def _beside_each_other(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """Host and folder -> the files there, which are one question."""
        places = grouped(self.plan.rollback.files if self.plan.rollback else (), _place)
        return {place: tuple(sorted({file.path for file in files})) for place, files in places.items()}

    def _files(self) -> Iterator[Subject]:
        rollback = self.plan.rollback
        seen: dict[tuple[str, str, str], RollbackFile] = {}
        for file in rollback.files if rollback else ():
            seen.setdefault((file.host, file.path, file.sha256), file)
        places = Counter((file.host, file.path) for file in seen.values())
        for file in seen.values():
            twice = f" {file.sha256[:8]}" if places[file.host, file.path] > 1 else ""
            owner = (rollback.owner if rollback else "") or self.plan.hosts[file.host].owner
            yield Subject(f"{file.host}:{file.path}{twice}", file, owner)

    @cached_property
    def _restored(self) -> list[Database]:
        """Databases that a backup could be restored to."""
        named = {backup.database for backup in self.plan.backups.values()}
        return [database for database in self.plan.databases.values() if database.id in named]

    def _restored_beside(self, database: Database) -> list[Database]:
        """Those on the same machine, itself included: all of them may have to be restored."""
        return self._restored_by_machine[machine_of(self.plan.host_of(database))]

    @cached_property
    def _restored_by_machine(self) -> Mapping[Machine, list[Database]]:
        return grouped(self._restored, lambda database: machine_of(self.plan.host_of(database)))

    def _judge_backup(
        self,
        planned: PlannedBackup,
        *,
        listing: Listing,
        live: LiveTables | NoReply,
        now: int | NoReply | None = None,
        read: Read | NoReply | None = None,
        earlier: Read | NoReply | None = None,
    ) -> Judgement:
        if not listing.backups:
            return no_backup(planned, listing)
        newest, before, third = (*listing.backups, None, None)[:3]
        assert newest is not None  # noqa: S101 - there are backups
        text_bytes = None if isinstance(now, NoReply) else now
        seen = SeenBackup(planned, listing, newest, before, read, live, text_bytes)
        judged = self._judge_seen(seen)
        if before is None or seen.is_whole or not may_be_written(listing, self.settings.written_within):
            return judged
        instead = self._judge_seen(SeenBackup(planned, listing, before, third, earlier, live, text_bytes))
        return Judgement.of([being_written(seen, judged), *(instead.points or [instead])])

    def _judge_seen(self, seen: SeenBackup) -> Judgement:
        settings = self.settings
        return Judgement.of(
            [
                judge_age(seen, self.moment),
                *judge_name(seen, self.moment),
                *judge_owner(seen),
                judge_size(seen, least=settings.least_size_ratio, usual=settings.warn_size_ratio),
                *judge_read(seen, settings.least_size_ratio, settings.warn_size_ratio),
            ]
        )

    def _data_paths(self, database: Database, facts: Mapping[str, Any]) -> dict[str, str]:
        """Database -> its data directory; empty where nobody tells."""
        declared = self.settings.data_directory
        beside = self._restored_beside(database)
        return {each.id: declared.get(each.id, facts[f"data {each.id}"].data) for each in beside}

    def _judge_room(self, database: Database, facts: Mapping[str, Any]) -> Judgement:
        """A directory that nobody shows may lie on the same file system: it is counted too."""
        paths, places = self._data_paths(database, facts), facts.get("places", {})
        own = paths[database.id]
        if not own or not places[own].measured:
            return _no_place(database, f"{own} is seen as far as {places[own].reached}" if own else "")
        place: Place = places[own]
        sharing = [name for name, path in paths.items() if not path or places[path].storage == place.storage]
        keeps_broken = bool(self.plan.rollback and self.plan.rollback.keep_broken)
        growth, bytes_now = self.settings.growth, {name: facts[f"sizes {name}"].database_bytes for name in sharing}
        need = sum(round(size * (growth if keeps_broken else growth - 1)) for size in bytes_now.values())
        where = place.mount.label if place.mount else place.path
        whose = f"{', '.join(sharing)} {'beside' if keeps_broken else 'over'} the broken one"
        if place.free_bytes < need:
            return failed(
                f"there is no room to restore {whose}",
                expected=f"{format_need(need)} free on {where}: {growth:g} times the size now, {whose}",
                actual=f"{format_size(place.free_bytes)} free; {database.id} has {format_size(bytes_now[database.id])}",
                remedy=f"have {format_need(need - place.free_bytes)} more made free on {where} of {database.host}",
            )
        free = f"{format_size(place.free_bytes)} free on {where}, {format_need(need)} needed to restore {whose}"
        elsewhere: Iterator[Place] = (places[path] for path in _tablespaces(database, facts))
        # The catalogue does not tell an ordinary role which share of the room each tablespace takes: at most all of it.
        doubtful = [
            each
            for each in elsewhere
            if not each.measured or (each.storage != place.storage and each.free_bytes < need)
        ]
        return Judgement.of([passed(free), *(_in_tablespace(database, each, need) for each in doubtful)])

    def _judge_rehearsal(self, rollback: Rollback) -> Judgement:
        window, limit = self.plan.window, rollback.max_rehearsal_age
        expected = f"a rehearsal not more than {format_duration(limit)} before the window"
        remedy = "rehearse the way back on a copy, note its minutes, and put the day into `rehearsed` of [rollback]"
        day = rollback.rehearsed
        if day is None:
            summary = "the way back was never rehearsed"
            if reason := self.plan.absent.get(REHEARSED):
                return warned(f"{summary}: {reason}", expected=expected, actual="no date", remedy=remedy)
            why = 'or say in [rollback] why not: rehearsed = { none = "" }'
            return unknown(summary, expected=expected, actual="no date", remedy=f"{remedy}; {why}")
        start, today = (at.astimezone(zone(window.zone)).date() for at in (window.start, self.moment))
        if day > today:
            summary = f"the rehearsal is still to come: {day}"
            return unknown(summary, expected=expected, actual=str(day), remedy=remedy)
        if start - day > limit:
            summary = f"the rehearsal of {day} will be {format_duration(start - day)} old"
            return unknown(summary, expected=expected, actual=str(day), remedy=remedy)
        return passed(f"rehearsed {day}")


def _tablespaces(database: Database, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Directories of the server's tablespaces outside its data directory."""
    shown: DataDirectories = facts[f"data {database.id}"]
    return shown.tablespaces


def _in_tablespace(database: Database, place: Place, need: int) -> Judgement:
    seen = f"{format_size(place.free_bytes)} free" if place.measured else f"seen as far as {place.reached}"
    return warned(
        f"whether a restore has room in the tablespace {place.path} is not known",
        expected=f"what {database.id} keeps there, at most {format_need(need)}",
        actual=f"{place.path}: {seen}",
        remedy=f"compare what psql shows for it (\\db+ in {database.id}) with: df -h {shlex.quote(place.path)} on "
        f"{database.host}; have room made there",
    )


def _no_place(database: Database, seen: str) -> Judgement:
    return warned(
        "whether a restore has room cannot be seen",
        expected="the free room where the data directory lies",
        actual=seen or "the role may not see data_directory",
        remedy=f"GRANT pg_read_all_settings TO {quote_identifier(database.user)}; or declare it: "
        f'[checks.rollback-ready] data_directory = {{ {database.id} = "/var/lib/..." }}',
    )


def _place(file: RollbackFile) -> tuple[str, str]:
    return file.host, file.path.rpartition("/")[0]


def _judge_file(file: RollbackFile, seen: HashedFile) -> Judgement:
    expected = f"{file.path} on {file.host} with SHA-256 {file.sha256}"
    put_back = f"put the file of the running release back on {file.host}: {file.path}"
    if seen.state in (FileState.MISSING, FileState.OTHER):
        missing = seen.state is FileState.MISSING
        actual = "no such file" if missing else "no regular file"
        summary = "the file is not there" if missing else "it is no regular file"
        return failed(summary, expected=expected, actual=actual, remedy=put_back)
    if not seen.sha256:
        path = shlex.quote(file.path)
        summary = "the file could not be hashed"
        actual = "no SHA-256: no sha256sum, shasum or openssl there, or an error of its disk"
        remedy = f"run on {file.host}: sha256sum {path}"
        if seen.state is FileState.UNREADABLE:
            summary, actual = "the login may not read the file", f"mode {seen.mode:04o} of {seen.owner}"
            remedy = f"let the login read it on {file.host}: chmod or setfacl {path}"
        elif seen.state is FileState.HIDDEN:
            summary, actual = f"the login may not look into {seen.behind}", f"nothing beyond {seen.behind} can be seen"
            remedy = f"let the login on {file.host} enter {seen.behind}"
        return unknown(summary, expected=expected, actual=actual, remedy=remedy)
    if seen.sha256 != file.sha256:
        changed = f", changed {seen.changed_at:%Y-%m-%d %H:%M} UTC" if seen.changed_at else ""
        return failed(
            "the file is another one than the plan names",
            expected=expected,
            actual=f"SHA-256 {seen.sha256}, {format_size(seen.size_bytes)}, of {seen.owner}{changed}",
            remedy=f"{put_back}; or correct `sha256` in [rollback] when this one is right",
        )
    return passed(f"{format_size(seen.size_bytes)}, SHA-256 as in the plan")
