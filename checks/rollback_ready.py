"""rollback-ready: if the decision is "back", what it takes is there, whole, and has been tried."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any

from preflight.check import Check, Probes, Subject
from preflight.clock import format_duration
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import (
    Backup,
    BackupFormat,
    BackupMethod,
    Database,
    Host,
    RemotePath,
    Rollback,
    RollbackFile,
    Scripts,
)
from preflight.plan.limits import Above, Between
from preflight.previous_backup import EarlierBackup, Limits, Read, Seen, client_program, format_size, is_whole
from preflight.probe import NoReply, Probe
from preflight.probes.backup_files import BackupFile, BackupKind, Listing, PreviousBackups
from preflight.probes.backup_reads import ReadArchive, ReadText, VerifyBase
from preflight.probes.data_directory import DataDirectories, DataDirectoriesProbe
from preflight.probes.files import TARGET, LocalTexts, LocalTree, Texts, Tree
from preflight.probes.hashed_file import FileState, HashedFile, HashedFileProbe
from preflight.probes.live_tables import LiveTables, LiveTablesProbe
from preflight.probes.shell import AsAccount
from preflight.probes.sizes import Sizes, SizesProbe
from preflight.probes.storage import Place, PlacesProbe
from preflight.scripts.way_back import Pair, does_nothing, does_the_same, pairs

_PACKED = (BackupKind.TEXT, BackupKind.GZIP, BackupKind.BZIP2, BackupKind.XZ, BackupKind.ZSTD)
_FORMS = {
    BackupFormat.CUSTOM: BackupKind.CUSTOM,
    BackupFormat.DIRECTORY: BackupKind.DIRECTORY,
    BackupFormat.TAR: BackupKind.TAR,
}
_MOST_NAMED = 8


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
    data_directory: Mapping[str, RemotePath] = field(default_factory=dict)
    """Database -> its data directory, where its role is no member of pg_monitor and so may not see it."""


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
    Settings = RollbackReadySettings
    judges_no_reply = frozenset({"live", "read", "earlier"})

    def subjects(self) -> Sequence[Subject]:
        return [*self._backups(), *self._files(), *self._scripts(), *self._databases(), *self._rehearsal()]

    def probes(self, subject: Subject) -> Probes:
        match subject.item:
            case Backup() as backup:
                host, account = self._account(backup)
                listing = PreviousBackups(host.id, account, backup.previous)
                return {"listing": listing, "live": LiveTablesProbe(backup.database)}
            case RollbackFile() as file:
                return {"file": HashedFileProbe(file.host, file.path)}
            case Scripts() as scripts:
                folder = self._beside(scripts)
                return {"approved": LocalTree(TARGET, folder), "texts": LocalTexts(TARGET, folder)}
            case Database() as database:
                probes: dict[str, Probe[Any]] = {}
                for each in self._restored_beside(database):
                    probes[f"sizes {each.id}"] = SizesProbe(each.id)
                    probes[f"data {each.id}"] = DataDirectoriesProbe(each.id)
                return probes
        return {}

    def follow_up(self, subject: Subject, **facts: Any) -> Probes:
        match subject.item:
            case Backup() as backup:
                listing: Listing = facts["listing"]
                names = ("read", "earlier") if self._may_be_written(listing) else ("read",)
                wanted = zip(names, listing.backups, strict=False)
                probes = {name: self._reader(backup, listing, file) for name, file in wanted}
                return {name: probe for name, probe in probes.items() if probe is not None}
            case Database() as database:
                data = [path for path in self._data_paths(database, facts).values() if path]
                paths = tuple(dict.fromkeys((*data, *_tablespaces(database, facts))))
                backup = next(each for each in self.plan.backups.values() if each.database == database.id)
                host, account = self._account(backup)
                return {"places": PlacesProbe(host.id, account, paths)} if paths else {}
        return {}

    def judge(self, subject: Subject, **facts: Any) -> Judgement:
        match subject.item:
            case Backup() as backup:
                return self._judge_backup(backup, **facts)
            case RollbackFile() as file:
                return _judge_file(file, facts["file"])
            case Scripts() as scripts:
                return Judgement.of(self._judge_scripts(scripts, facts["approved"], facts["texts"]))
            case Database() as database:
                return self._judge_room(database, facts)
            case Rollback() as rollback:
                return self._judge_rehearsal(rollback)
        raise TypeError(f"no subject of this check: {subject.id}")

    # What there is to judge.

    def _backups(self) -> Iterator[Subject]:
        for backup in self.plan.backups.values():
            if backup.previous:
                owner = backup.owner or self.plan.databases[backup.database].owner
                yield Subject(f"{backup.id} previous backup", backup, owner)

    def _files(self) -> Iterator[Subject]:
        rollback = self.plan.rollback
        seen: dict[tuple[str, str, str], RollbackFile] = {}
        for file in rollback.files if rollback else ():
            seen.setdefault((file.host, file.path, file.sha256), file)
        places = [(file.host, file.path) for file in seen.values()]
        for file in seen.values():
            twice = f" {file.sha256[:8]}" if places.count((file.host, file.path)) > 1 else ""
            owner = (rollback.owner if rollback else "") or self.plan.hosts[file.host].owner
            yield Subject(f"{file.host}:{file.path}{twice}", file, owner)

    def _scripts(self) -> Iterator[Subject]:
        for scripts in self.plan.scripts.values():
            if scripts.way_back:
                owner = scripts.owner or self.plan.databases[scripts.database].owner
                yield Subject(f"{scripts.id} way back", scripts, owner)

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
        """Those on the same host, itself included: all of them may have to be restored."""
        return [each for each in self._restored() if each.host == database.host]

    def _account(self, backup: Backup) -> tuple[Host, AsAccount]:
        host = self.plan.host_of(backup.database)
        return host, AsAccount.on(host, backup.account)

    def _beside(self, scripts: Scripts) -> str:
        """The approved folder as seen from the plan's, where it lies below."""
        folder, top = scripts.approved, self.plan.folder
        return str(folder.relative_to(top) if folder.is_relative_to(top) else folder)

    # The newest earlier backup.

    def _may_be_written(self, listing: Listing) -> bool:
        return bool(listing.backups) and listing.age(listing.backups[0]) < self.settings.written_within

    def _reader(self, backup: Backup, listing: Listing, file: BackupFile) -> Probe[Any] | None:
        host, account = self._account(backup)
        seconds = self.settings.read_within.total_seconds()
        kind = _kind(backup, listing, file)
        if kind.is_archive:
            return ReadArchive(host.id, account, file.path, seconds, client_program(self.plan, backup, "pg_restore"))
        if kind is BackupKind.BASE:
            return VerifyBase(
                host.id, account, file.path, seconds, client_program(self.plan, backup, "pg_verifybackup")
            )
        return ReadText(host.id, account, file.path, seconds, kind) if kind in _PACKED else None

    def _judge_backup(
        self,
        backup: Backup,
        *,
        listing: Listing,
        live: LiveTables | NoReply,
        read: Read | NoReply | None = None,
        earlier: Read | NoReply | None = None,
    ) -> Judgement:
        if not listing.backups:
            return self._no_backup(backup, listing)
        files = [*listing.backups, None, None]
        newest, second, third = files[:3]
        assert newest is not None  # noqa: S101 - there are backups
        limits = self.settings
        judged = EarlierBackup(
            self.plan,
            self.moment,
            Limits(limits.read_within, limits.warn_size_ratio, limits.least_size_ratio),
        )
        points = [*judged.judge(Seen(backup, listing, newest, second, read, live))]
        if second is not None and self._may_be_written(listing) and not is_whole(read):
            age = format_duration(listing.age(newest))
            being_written = warned(
                f"{newest.path} is not whole and was changed {age} ago: it may be being written",
                expected="the newest backup whole",
                actual=Judgement.of(points).summary,
                remedy="run again when it must be finished; until then, the one before it was judged",
            )
            points = [being_written, *judged.judge(Seen(backup, listing, second, third, earlier, live))]
        return Judgement.of(points)

    def _no_backup(self, backup: Backup, listing: Listing) -> Judgement:
        host, account = self._account(backup)
        expected = f"a backup on {host.id} that matches {backup.previous}"
        if listing.folder != "readable" and not listing.as_account:
            return unknown(
                "whether there is an earlier backup cannot be seen by the login",
                expected=expected,
                actual=f"its folder is {listing.folder} for the login, and sudo gives no shell of {account.account}",
                remedy=f"have sudo allow a shell of {account.account} on {host.id}, or let the login read the folder",
            )
        return failed(
            f"there is no earlier backup: nothing matches {backup.previous}",
            expected=expected,
            actual="no such folder" if listing.folder == "missing" else f"0 matches in a {listing.folder} folder",
            remedy=f"take a backup of {backup.database} on {host.id} now, or correct `previous` of "
            f"[backups.{backup.id}]",
        )

    # The scripts that take the scripts back.

    def _judge_scripts(self, scripts: Scripts, approved: Tree, texts: Texts) -> Iterator[Judgement]:
        folder = self._beside(scripts)
        if approved.problem or texts.problem:
            yield failed(
                "the approved scripts cannot be read",
                expected=f"scripts in {folder}, each with its way back",
                actual=approved.problem or texts.problem,
                remedy=f"check out {folder} beside the plan, or correct `approved` of [scripts.{scripts.id}]",
            )
            return
        found = pairs(scripts.way_back, scripts.run, scripts.staged, approved.files, texts.texts)
        if not found:
            yield unknown(
                "there is no script to take back", expected=f"scripts in {folder}", remedy=f"look into {folder}"
            )
            return
        points = [point for pair in found for point in self._judge_pair(scripts, pair, texts)]
        yield from points
        if not points:
            names = ", ".join(pair.forward for pair in found[:_MOST_NAMED])
            more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
            yield passed(f"{len(found)} scripts have their way back: {names}{more}")

    def _judge_pair(self, scripts: Scripts, pair: Pair, texts: Texts) -> Iterator[Judgement]:
        place = posixpath.join(self._beside(scripts), pair.back)
        expected = f"{place} takes {pair.forward} back"
        remedy = f"write {place}, have it reviewed, then: preflight seal {shlex.quote(self.plan.path.name)}"
        if not pair.present:
            yield failed(f"{pair.forward} has no way back", expected=expected, actual="no such file", remedy=remedy)
            return
        back, forward = texts.texts.get(pair.back), texts.texts.get(pair.forward)
        if back is None or forward is None:
            name = pair.back if back is None else pair.forward
            yield unknown(
                f"{name} could not be read",
                expected=expected,
                actual=texts.unread.get(name, "it is no .sql or .psql file"),
                remedy=f"make {name} a text file that ends in .sql",
            )
        elif does_nothing(back):
            yield failed(
                f"the way back of {pair.forward} does nothing",
                expected=expected,
                actual=f"{pair.back} holds comments and settings only",
                remedy=remedy,
            )
        elif does_the_same(back, forward):
            yield failed(
                f"the way back of {pair.forward} is the same script",
                expected=expected,
                actual=f"{pair.back} differs from it in comments at most",
                remedy=remedy,
            )

    # Room for what is restored.

    def _data_paths(self, database: Database, facts: Mapping[str, Any]) -> dict[str, str]:
        """Database -> its data directory; empty where nobody tells."""
        declared = self.settings.data_directory
        beside = self._restored_beside(database)
        return {each.id: declared.get(each.id, facts[f"data {each.id}"].data) for each in beside}

    def _judge_room(self, database: Database, facts: Mapping[str, Any]) -> Judgement:
        paths = self._data_paths(database, facts)
        places: Mapping[str, Place] = facts.get("places", {})
        sizes: dict[str, Sizes] = {name: facts[f"sizes {name}"] for name in paths}
        own = paths[database.id]
        if not own or not places[own].measured:
            return self._no_place(database, own, places.get(own))
        place = places[own]
        # A directory nobody shows may lie on the same file system: it is counted too.
        sharing = [name for name, path in paths.items() if not path or places[path].storage == place.storage]
        keeps = bool(self.plan.rollback and self.plan.rollback.keep_broken)
        freed = 0 if keeps else 1
        need = sum(round(sizes[name].database_bytes * (self.settings.growth - freed)) for name in sharing)
        where = place.mount.label if place.mount else own
        how = "beside the broken one" if keeps else "over the broken one"
        whose = f"{', '.join(sharing)} {how}"
        expected = f"{format_size(need)} free on {where}: {self.settings.growth:g} times the size now, {whose}"
        actual = (
            f"{format_size(place.free_bytes)} free; {database.id} has {format_size(sizes[database.id].database_bytes)}"
        )
        if place.free_bytes < need:
            return failed(
                f"there is no room to restore {whose}",
                expected=expected,
                actual=actual,
                remedy=f"have {format_size(need - place.free_bytes)} more made free on {where} of {database.host}",
            )
        has_room = passed(
            f"{format_size(place.free_bytes)} free on {where}, {format_size(need)} needed to restore {whose}"
        )
        elsewhere = (places[path] for path in _tablespaces(database, facts))
        return Judgement.of([has_room, *self._judge_tablespaces(database, place, elsewhere, need)])

    def _judge_tablespaces(
        self, database: Database, data: Place, elsewhere: Iterable[Place], need: int
    ) -> Iterator[Judgement]:
        """The catalogue does not tell an ordinary role which share of the room each of them takes."""
        for place in elsewhere:
            if place.measured and (place.storage == data.storage or place.free_bytes >= need):
                continue
            seen = f"{format_size(place.free_bytes)} free" if place.measured else f"seen as far as {place.reached}"
            yield warned(
                f"whether a restore has room in the tablespace {place.path} is not known",
                expected=f"what {database.id} keeps there, at most {format_size(need)}",
                actual=f"{place.path}: {seen}",
                remedy=f"compare what psql shows for it (\\db+ in {database.id}) with: df -h {shlex.quote(place.path)} "
                f"on {database.host}; have room made there",
            )

    def _no_place(self, database: Database, data: str, place: Place | None) -> Judgement:
        return warned(
            "whether a restore has room cannot be seen",
            expected="the free room where the data directory lies",
            actual=f"{data} is seen as far as {place.reached}" if place else "the role may not see data_directory",
            remedy=f"GRANT pg_monitor TO {database.user}; or declare it: [checks.rollback-ready] "
            f'data_directory = {{ {database.id} = "/var/lib/..." }}',
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


def _kind(backup: Backup, listing: Listing, file: BackupFile) -> BackupKind:
    """What the file is; by the plan's word where only the account itself may look into it."""
    if file.kind is BackupKind.UNREADABLE and not listing.as_account and backup.method is BackupMethod.PG_DUMP:
        return _FORMS.get(backup.format, BackupKind.UNREADABLE)
    return file.kind


def _judge_file(file: RollbackFile, seen: HashedFile) -> Judgement:
    expected = f"{file.path} on {file.host} with SHA-256 {file.sha256}"
    put_back = f"put the file of the running release back on {file.host}: {file.path}"
    what = {
        FileState.MISSING: "the file is not there",
        FileState.OTHER: "it is no regular file",
        FileState.UNREADABLE: "the login may not read the file",
    }.get(seen.state)
    if what:
        actual = f"mode {seen.mode:04o} of {seen.owner}" if seen.state is FileState.UNREADABLE else "no such file"
        read = f"let the login read it on {file.host}: chmod or setfacl {shlex.quote(file.path)}"
        remedy = read if seen.state is FileState.UNREADABLE else put_back
        verdict = unknown if seen.state is FileState.UNREADABLE else failed
        return verdict(what, expected=expected, actual="no regular file" if seen.state is FileState.OTHER else actual,
                       remedy=remedy)  # fmt: skip
    if seen.state is FileState.HIDDEN:
        return unknown(
            f"the login may not look into {seen.behind}",
            expected=expected,
            actual=f"nothing beyond {seen.behind} can be seen",
            remedy=f"let the login on {file.host} enter {seen.behind}",
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
