"""rollback-ready: if the decision is "back", what it takes is there, whole, and has been tried."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any

from preflight.check import Check, Probes, Subject
from preflight.clock import zone
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import Host, Rollback, RollbackFile, Scripts
from preflight.plan.gaps import REHEARSED
from preflight.plan.limits import Between
from preflight.plan.release_plan import grouped
from preflight.plan.work import PlannedBackup, acl_cure, planned_backups
from preflight.probe import NoReply
from preflight.questions.backup_reads import ArchiveRead, LongRead, TextRead, read_in_full, verify_by_plan
from preflight.questions.backups import Listing, PreviousBackups
from preflight.questions.files import TARGET, FileState, HashedFile, HashedFilesProbe, LocalTexts, LocalTree
from preflight.questions.shell import AsAccount
from preflight.questions.sizes import LiveTables, LiveTablesProbe, TextSizeProbe
from preflight.units import format_duration, format_size
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


class RollbackReady(Check):
    """If the decision is "back", is what it takes there, whole, and tried?

    A backup nobody has read is none: an archive cut off in the middle still shows a whole table of contents (the
    night's own lesson is that nobody knew until when a rollback could be finished, g). So the newest earlier backup is
    read to its end on its host, at the lowest priority: an archive by pg_restore, SQL text to pg_dump's last line,
    packed text through its unpacker. Of what cannot be read here, the entry's own `verify` says whether it is whole,
    which is no more than a warning: nobody saw it. It must be of the right database, with the tables that it has now,
    and server version, hold about as much as the database holds now, be young enough by its file and by what it says of
    itself, not be much smaller than the one before, and not bear the name to which the window's backup is written. An
    archive written without compression has no checksums: a flipped byte in it shows nowhere. Each listed rollback file
    must be there with its SHA-256, each script must have its way back beside it, approved and not empty, and the way
    back must have been rehearsed.
    """

    id = "rollback-ready"
    title = "the way back is there and whole"
    sections = ("backups", "scripts", "rollback")
    needs = (
        "as the backup's account: read the newest backup and its folder; read the rollback files; CONNECT for the "
        "tables, SELECT on them for how much they hold"
    )
    cure = "take a new backup and read it; stage what is missing; rehearse"
    Settings = RollbackReadySettings
    judges_no_reply = frozenset({"live", "now", "read", "read_by_plan", "earlier", "earlier_by_plan"})

    def subjects(self) -> Sequence[Subject]:
        plan, rollback = self.plan, self.plan.rollback
        earlier = [each for each in planned_backups(plan) if each.backup.previous]
        backups = [Subject(f"{each.id} previous backup", each, each.owner) for each in earlier]
        ways = [each for each in plan.scripts.values() if each.way_back]
        scripts = [Subject(f"{each.id} way back", each, plan.owner_of(each)) for each in ways]
        rehearsal = [Subject("rehearsal", rollback, rollback.owner)] if rollback else []
        return [*backups, *self._files(), *scripts, *rehearsal]

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
        return {}

    def follow_up(self, subject: Subject, **facts: Any) -> Probes:
        """On the host, as the account that takes the backup: the newest earlier backup is read to its end at the lowest
        priority, and the one before it too where the newest may still be written (`pg_restore -l`, then `pg_restore -f
        -` into `wc`; a text through gzip or its like; `pg_verifybackup` for a base backup; the entry's own `verify`):
        minutes of reading for a large one."""
        planned = subject.item
        if not isinstance(planned, PlannedBackup):
            return {}
        listing: Listing = facts["listing"]
        names = ("read", "earlier") if may_be_written(listing, self.settings.written_within) else ("read",)
        probes: dict[str, LongRead[Any] | None] = {}
        for name, file in zip(names, listing.backups, strict=False):
            probes[name] = read_in_full(planned, listing, file)
            probes[f"{name}_by_plan"] = verify_by_plan(planned, file)
        return {name: probe for name, probe in probes.items() if probe is not None}

    def judge(self, subject: Subject, **facts: Any) -> Judgement:
        match subject.item:
            case PlannedBackup() as planned:
                return self._judge_backup(planned, **facts)
            case RollbackFile() as file:
                return _judge_file(file, self.plan.hosts[file.host], facts["files"][file.path])
            case Scripts() as scripts:
                folder = beside(self.plan.folder, scripts.approved)
                ways = WaysBack(scripts, folder, self.plan, self.moment, facts["approved"], facts["texts"])
                return Judgement.of(ways.judge())
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

    def _judge_backup(
        self,
        planned: PlannedBackup,
        *,
        listing: Listing,
        live: LiveTables | NoReply,
        now: int | NoReply | None = None,
        **reads: Read | NoReply | None,
    ) -> Judgement:
        if not listing.backups:
            return no_backup(planned, listing)
        newest, before, third = (*listing.backups, None, None)[:3]
        assert newest is not None  # noqa: S101 - there are backups
        text_bytes = None if isinstance(now, NoReply) else now
        seen = SeenBackup(planned, listing, newest, before, _read("read", reads), live, text_bytes)
        judged = self._judge_seen(seen)
        if before is None or seen.is_whole or not may_be_written(listing, self.settings.written_within):
            return judged
        instead = self._judge_seen(
            SeenBackup(planned, listing, before, third, _read("earlier", reads), live, text_bytes)
        )
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


def _read(name: str, reads: Mapping[str, Read | NoReply | None]) -> Read | NoReply | None:
    """What came of reading it here; the word of the plan's command only for what cannot be read here."""
    read, by_plan = reads.get(name), reads.get(f"{name}_by_plan")
    is_text = isinstance(read, TextRead) and read.readable and not read.is_closed
    is_read = is_text or isinstance(read, NoReply) or (isinstance(read, ArchiveRead) and read.listed)
    return read if is_read or by_plan is None else by_plan


def _place(file: RollbackFile) -> tuple[str, str]:
    return file.host, file.path.rpartition("/")[0]


def _judge_file(file: RollbackFile, host: Host, seen: HashedFile) -> Judgement:
    expected = f"{file.path} on {file.host} with SHA-256 {file.sha256}"
    put_back = f"put the file of the running release back on {file.host}: {file.path}"
    if seen.state in (FileState.MISSING, FileState.OTHER):
        missing = seen.state is FileState.MISSING
        actual = "no such file" if missing else "no regular file"
        summary = "the file is not there" if missing else "it is no regular file"
        return failed(summary, expected=expected, actual=actual, remedy=put_back)
    if not seen.sha256:
        summary = "the file could not be hashed"
        actual = "no SHA-256: no sha256sum, shasum or openssl there, or an error of its disk"
        remedy = f"look what it says on {host.id}: sha256sum {shlex.quote(file.path)}"
        if seen.state is FileState.UNREADABLE:
            summary, actual = "the login may not read the file", f"mode {seen.mode:04o} of {seen.owner}"
            remedy = acl_cure(host, host.user, "r", file.path)
        elif seen.state is FileState.HIDDEN:
            summary, actual = f"the login may not look into {seen.behind}", f"nothing beyond {seen.behind} can be seen"
            remedy = acl_cure(host, host.user, "x", seen.behind)
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
