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
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.judging.backups import PlannedBackup, planned_backups
from preflight.judging.cures import seal_command
from preflight.judging.machines import Machine, grouped, machine_of
from preflight.plan import BackupFormat, BackupMethod, Database, Ref, RemotePath, Rollback, RollbackFile, Scripts
from preflight.plan.limits import Above, Between
from preflight.probe import NoReply, Probe
from preflight.questions.backup_files import BackupFile, BackupKind, Listing, PreviousBackups
from preflight.questions.backup_reads import ReadArchive, ReadText, VerifyBase
from preflight.questions.files import TARGET, LocalTexts, LocalTree
from preflight.questions.hashed_files import FileState, HashedFile, HashedFilesProbe
from preflight.questions.sizes import DataDirectories, DataDirectoriesProbe, LiveTables, LiveTablesProbe, SizesProbe
from preflight.questions.storage import PlacesProbe
from preflight.units import format_duration, format_size
from preflight.wording import beside

from .reading import judge_read
from .restore_room import RestoreRoom
from .seen import Read, SeenBackup, judge_age, judge_owner, judge_size, no_backup
from .ways_back import WaysBack

_PACKED = (BackupKind.TEXT, BackupKind.GZIP, BackupKind.BZIP2, BackupKind.XZ, BackupKind.ZSTD)
_FORMS = {
    BackupFormat.CUSTOM: BackupKind.CUSTOM,
    BackupFormat.DIRECTORY: BackupKind.DIRECTORY,
    BackupFormat.TAR: BackupKind.TAR,
}


@dataclass(frozen=True, slots=True)
class RollbackReadySettings:
    """Limits, and what the servers do not tell."""

    read_within: Annotated[timedelta, Above(0)] = timedelta(minutes=5)
    """How long reading the newest backup to its end may take. `--timeout` must allow for it too."""
    warn_size_ratio: Annotated[float, Between(0, 1)] = 0.8
    """A backup smaller than this part of the one before it is worth a warning."""
    least_size_ratio: Annotated[float, Between(0, 1)] = 0.5
    """A backup smaller than this part of the one before it fails: a dump of empty tables is whole and reads well."""
    written_within: timedelta = timedelta(minutes=2)
    """A backup that cannot be read and was changed so short a time ago may be one that is just being written."""
    growth: Annotated[float, Between(1)] = 1.2
    """A restored database may take so many times the room it takes now."""
    data_directory: Annotated[Mapping[str, RemotePath], Ref("databases")] = field(default_factory=dict)
    """Database -> its data directory, where its role is no member of pg_read_all_settings and so may not see it."""


class RollbackReady(Check):
    """If the decision is "back", is what it takes there, whole, and tried?

    A backup nobody has read is none: an archive cut off in the middle still shows a whole table of contents (the
    night's own lesson is that nobody knew until when a rollback could be finished, g). So the newest earlier backup
    is read to its end on its host, at the lowest priority: pg_restore to the null device, SQL text to pg_dump's last
    line, packed text through its unpacker. It must be of the right database and server version, hold data, be young
    enough, and not be much smaller than the one before. An archive written without compression has no checksums: a
    flipped byte in it shows nowhere. Each listed rollback file must be there with its SHA-256, each script must have
    its way back beside it, approved and not empty, a restore must have room, and the way back must have been rehearsed.
    """

    id = "rollback-ready"
    title = "the way back is there and whole"
    sections = ("backups", "scripts", "rollback")
    needs = (
        "as the backup's account: read the newest backup and its folder; read the rollback files; CONNECT for the sizes"
    )
    cure = "take a new backup and read it; stage what is missing; rehearse"
    Settings = RollbackReadySettings
    judges_no_reply = frozenset({"live", "read", "earlier"})

    def subjects(self) -> Sequence[Subject]:
        return [*self._backups(), *self._files(), *self._scripts(), *self._databases(), *self._rehearsal()]

    def probes(self, subject: Subject) -> Probes:
        match subject.item:
            case PlannedBackup() as planned:
                listing = PreviousBackups(planned.host.id, planned.account, planned.backup.previous)
                return {"listing": listing, "live": LiveTablesProbe(planned.backup.database)}
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
                names = ("read", "earlier") if self._may_be_written(listing) else ("read",)
                wanted = zip(names, listing.backups, strict=False)
                probes = {name: self._reader(planned, listing, file) for name, file in wanted}
                return {name: probe for name, probe in probes.items() if probe is not None}
            case Database() as database:
                data = [path for path in self._data_paths(database, facts).values() if path]
                paths = tuple(dict.fromkeys((*data, *_tablespaces(database, facts))))
                taker = next(each for each in planned_backups(self.plan) if each.backup.database == database.id)
                return {"places": PlacesProbe(taker.host.id, taker.account, paths)} if paths else {}
        return {}

    def judge(self, subject: Subject, **facts: Any) -> Judgement:
        match subject.item:
            case PlannedBackup() as planned:
                return self._judge_backup(planned, **facts)
            case RollbackFile() as file:
                return _judge_file(file, facts["files"][file.path])
            case Scripts() as scripts:
                folder = beside(self.plan.folder, scripts.approved)
                ways = WaysBack(scripts, folder, seal_command(self.plan), facts["approved"], facts["texts"])
                return Judgement.of(ways.judge())
            case Database() as database:
                return self._room(database, facts).judge()
            case Rollback() as rollback:
                return self._judge_rehearsal(rollback)
        raise TypeError(f"no subject of this check: {subject.id}")

    # What there is to judge.

    def _backups(self) -> Iterator[Subject]:
        for planned in planned_backups(self.plan):
            if planned.backup.previous:
                yield Subject(f"{planned.id} previous backup", planned, planned.owner)

    @cached_property
    def _beside_each_other(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """Host and folder -> the files there, which are one question."""
        places: dict[tuple[str, str], set[str]] = {}
        for file in self.plan.rollback.files if self.plan.rollback else ():
            places.setdefault(_place(file), set()).add(file.path)
        return {place: tuple(sorted(paths)) for place, paths in places.items()}

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

    def _scripts(self) -> Iterator[Subject]:
        for scripts in self.plan.scripts.values():
            if scripts.way_back:
                yield Subject(f"{scripts.id} way back", scripts, self.plan.owner_of(scripts))

    def _databases(self) -> Iterator[Subject]:
        for database in self._restored():
            yield Subject(f"{database.id} room to restore", database, database.owner)

    def _rehearsal(self) -> Iterator[Subject]:
        if self.plan.rollback is not None:
            yield Subject("rehearsal", self.plan.rollback, self.plan.rollback.owner)

    def _restored(self) -> list[Database]:
        """Databases that a backup could be restored to."""
        named = {backup.database for backup in self.plan.backups.values()}
        return [database for database in self.plan.databases.values() if database.id in named]

    def _restored_beside(self, database: Database) -> list[Database]:
        """Those on the same machine, itself included: all of them may have to be restored."""
        return self._restored_by_machine[self._machine_of(database)]

    @cached_property
    def _restored_by_machine(self) -> Mapping[Machine, list[Database]]:
        return grouped(self._restored(), self._machine_of)

    def _machine_of(self, database: Database) -> Machine:
        return machine_of(self.plan.host_of(database))

    # The newest earlier backup.

    def _may_be_written(self, listing: Listing) -> bool:
        return bool(listing.backups) and listing.age(listing.backups[0]) < self.settings.written_within

    def _reader(self, planned: PlannedBackup, listing: Listing, file: BackupFile) -> Probe[Any] | None:
        host, account = planned.host.id, planned.account
        seconds = self.settings.read_within.total_seconds()
        kind = _kind(planned, listing, file)
        if kind.is_archive:
            return ReadArchive(host, account, file.path, seconds, planned.program("pg_restore"), state=file.state)
        if kind is BackupKind.BASE:
            return VerifyBase(host, account, file.path, seconds, planned.program("pg_verifybackup"))
        return ReadText(host, account, file.path, seconds, kind, state=file.state) if kind in _PACKED else None

    def _judge_backup(
        self,
        planned: PlannedBackup,
        *,
        listing: Listing,
        live: LiveTables | NoReply,
        read: Read | NoReply | None = None,
        earlier: Read | NoReply | None = None,
    ) -> Judgement:
        if not listing.backups:
            return no_backup(planned, listing)
        newest, before, third = (*listing.backups, None, None)[:3]
        assert newest is not None  # noqa: S101 - there are backups
        seen = SeenBackup(planned, listing, newest, before, read, live)
        judged = self._judge_seen(seen)
        if before is None or seen.is_whole or not self._may_be_written(listing):
            return judged
        being_written = warned(
            f"{newest.path} is not whole and was changed {format_duration(listing.age(newest))} ago: it may be being "
            "written",
            expected="the newest backup whole",
            actual=judged.summary,
            remedy="run again when it must be finished; until then, the one before it was judged",
        )
        instead = self._judge_seen(SeenBackup(planned, listing, before, third, earlier, live))
        return Judgement.of([being_written, *(instead.points or [instead])])

    def _judge_seen(self, seen: SeenBackup) -> Judgement:
        settings = self.settings
        return Judgement.of(
            [
                judge_age(seen, self.moment),
                *judge_owner(seen),
                judge_size(seen, least=settings.least_size_ratio, usual=settings.warn_size_ratio),
                *judge_read(seen, settings.read_within),
            ]
        )

    # Room for what is restored.

    def _data_paths(self, database: Database, facts: Mapping[str, Any]) -> dict[str, str]:
        """Database -> its data directory; empty where nobody tells."""
        declared = self.settings.data_directory
        beside = self._restored_beside(database)
        return {each.id: declared.get(each.id, facts[f"data {each.id}"].data) for each in beside}

    def _room(self, database: Database, facts: Mapping[str, Any]) -> RestoreRoom:
        paths = self._data_paths(database, facts)
        return RestoreRoom(
            database=database,
            database_bytes={name: facts[f"sizes {name}"].database_bytes for name in paths},
            data_paths=paths,
            tablespaces=_tablespaces(database, facts),
            places=facts.get("places", {}),
            growth=self.settings.growth,
            keeps_broken=bool(self.plan.rollback and self.plan.rollback.keep_broken),
        )

    # The rehearsal.

    def _judge_rehearsal(self, rollback: Rollback) -> Judgement:
        start, limit = self.plan.window.start, rollback.max_rehearsal_age
        expected = f"a rehearsal not more than {format_duration(limit)} before the window"
        remedy = "rehearse the way back on a copy, note its minutes, and put the day into `rehearsed` of [rollback]"
        if rollback.rehearsed is None:
            return warned("the way back was never rehearsed", expected=expected, actual="no date", remedy=remedy)
        day = rollback.rehearsed
        age = start.date() - day
        if age > limit:
            summary = f"the rehearsal of {day} will be {format_duration(age)} old"
            return warned(summary, expected=expected, actual=str(day), remedy=remedy)
        if day > self.moment.date() + timedelta(days=1):
            return warned(f"the rehearsal is still to come: {day}", expected=expected, actual=str(day), remedy=remedy)
        return passed(f"rehearsed {day}")


def _tablespaces(database: Database, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Directories of the server's tablespaces outside its data directory."""
    shown: DataDirectories = facts[f"data {database.id}"]
    return shown.tablespaces


def _kind(planned: PlannedBackup, listing: Listing, file: BackupFile) -> BackupKind:
    """What the file is; by the plan's word where only the account itself may look into it."""
    backup = planned.backup
    if file.kind is BackupKind.UNREADABLE and not listing.as_account and backup.method is BackupMethod.PG_DUMP:
        return _FORMS.get(backup.format, BackupKind.UNREADABLE)
    return file.kind


def _place(file: RollbackFile) -> tuple[str, str]:
    return file.host, file.path.rpartition("/")[0]


def _judge_file(file: RollbackFile, seen: HashedFile) -> Judgement:
    expected = f"{file.path} on {file.host} with SHA-256 {file.sha256}"
    put_back = f"put the file of the running release back on {file.host}: {file.path}"
    if seen.state is FileState.MISSING:
        return failed("the file is not there", expected=expected, actual="no such file", remedy=put_back)
    if seen.state is FileState.OTHER:
        return failed("it is no regular file", expected=expected, actual="no regular file", remedy=put_back)
    if seen.state is FileState.UNREADABLE:
        return unknown(
            "the login may not read the file",
            expected=expected,
            actual=f"mode {seen.mode:04o} of {seen.owner}",
            remedy=f"let the login read it on {file.host}: chmod or setfacl {shlex.quote(file.path)}",
        )
    if seen.state is FileState.HIDDEN:
        return unknown(
            f"the login may not look into {seen.behind}",
            expected=expected,
            actual=f"nothing beyond {seen.behind} can be seen",
            remedy=f"let the login on {file.host} enter {seen.behind}",
        )
    if not seen.sha256:
        return unknown(
            "the file could not be hashed",
            expected=expected,
            actual="no SHA-256: no sha256sum, shasum or openssl there, or an error of its disk",
            remedy=f"run on {file.host}: sha256sum {shlex.quote(file.path)}",
        )
    if seen.sha256 != file.sha256:
        changed = f", changed {seen.changed_at:%Y-%m-%d %H:%M} UTC" if seen.changed_at else ""
        return failed(
            "the file is another one than the plan names",
            expected=expected,
            actual=f"SHA-256 {seen.sha256}, {format_size(seen.size_bytes)}, of {seen.owner}{changed}",
            remedy=f"{put_back}; or correct `sha256` in [rollback] when this one is right",
        )
    return passed(f"{format_size(seen.size_bytes)}, SHA-256 as in the plan")
