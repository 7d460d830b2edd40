"""earlier-backup: the newest earlier backup is there, young, readable to its end and complete."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any

from preflight.check import Check, Probes, Subject, asked
from preflight.finding import Judgement, passed, warned
from preflight.plan.limits import Between
from preflight.plan.work import PlannedBackup, planned_backups
from preflight.probe import NoReply
from preflight.questions import backup_reads
from preflight.questions.backups import BackupKind, Listing, PreviousBackups
from preflight.questions.shell import AsAccount
from preflight.questions.sizes import LiveContent, LiveContentProbe, TextSizeProbe
from preflight.units import format_duration

from .reading import judge_read, judge_recorded, judge_repository
from .seen_backup import Read, SeenBackup, may_be_written, no_backup


class EarlierBackup(Check):
    """Can the newest earlier backup be read to its end, and is it complete?

    A backup nobody has read is none: an archive cut off in the middle still shows a whole table of contents. So the
    newest earlier backup is read to its end on its host, at the lowest priority: an archive by pg_restore, SQL text to
    pg_dump's last line, packed text through its unpacker, a base backup by pg_verifybackup against its manifest. Of
    what cannot be read here, the entry's own `verify` says whether it is whole, which is no more than a warning: nobody
    saw it. Readable is not complete: a dump must be of the right database and server version, by a pg_dump that the
    server is not older than, hold data of every table and every sequence and view that the database has now but for
    those of `left_out`, the definitions of the tables, its indexes, keys, functions, extensions and large objects, and
    about as much as the database holds now (far more is a WARN: it may have been emptied); a base backup must be of
    this server. Whether a dump is of a database of the same name on another server cannot be told: pg_dump writes down
    no identity. The roles that own the tables must be on the server or in a dump of the `globals`. It must be young
    enough by its file and by what it says of itself, not be much smaller than the one before, and not bear the name to
    which the window's backup is written. Where its SHA-256 was written down beside it (FILE.sha256), it is compared: an
    archive written without compression has no checksums, and a flipped byte in it shows nowhere else.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        warn_size_ratio: Annotated[float, Between(0, 1)] = 0.8
        """A backup smaller than this part of the one before it, or of what the database holds now, is a warning."""
        least_size_ratio: Annotated[float, Between(0, 1)] = 0.5
        """A smaller one fails: a dump of empty tables is whole and reads well."""
        written_within: timedelta = timedelta(minutes=2)
        """A backup that cannot be read and was changed so short a time ago may be one that is just being written."""

    id = "earlier-backup"
    title = "the newest earlier backup is readable to its end and complete"
    sections = ("backups",)
    needs = (
        "as the backup's account: read the newest backup and its folder; CONNECT for the tables, SELECT on them for "
        "how much they hold"
    )
    cure = "take a new backup and read it"
    judges_no_reply = frozenset(
        {"live", "now", "read", "read_by_plan", "earlier", "earlier_by_plan", "recorded", "globals_read"}
    )

    def subjects(self) -> Sequence[Subject]:
        kept = (each for each in planned_backups(self.plan) if backup_reads.earlier_backups(each))
        return [Subject(each.id, each, each.owner) for each in kept]

    def probes(self, subject: Subject) -> Probes:
        planned: PlannedBackup = subject.item
        kept, database, roles = planned.kept, planned.backup.database, planned.backup.globals
        return asked(
            listing=backup_reads.earlier_backups(planned),
            # Of another engine's database nobody here asks what it holds now.
            live=LiveContentProbe(database) if database else None,
            now=TextSizeProbe(database) if database else None,
            globals=PreviousBackups(kept.host.id, AsAccount.of(kept), roles) if roles else None,
        )

    def follow_up(self, subject: Subject, *, listing: Listing, **facts: Any) -> Probes:
        """On the host, as the account that takes the backup: the newest earlier backup is read to its end at the lowest
        priority, and the one before it too where the newest may still be written (`pg_restore -l`, then `pg_restore -f
        -` into `wc`; a text through gzip or its like; `pg_verifybackup` and `pg_controldata` for a base backup; the
        entry's own `verify`): minutes of reading for a large one. It is hashed where a sum was written down beside it.
        The newest dump of the globals is read."""
        planned: PlannedBackup = subject.item.kept
        names = ("read", "earlier") if may_be_written(listing, self.settings.written_within) else ("read",)
        probes: dict[str, Any] = {}
        for name, file in zip(names, listing.backups, strict=False):
            probes[name] = backup_reads.read_in_full(planned, listing, file)
            probes[f"{name}_by_plan"] = backup_reads.verify_by_plan(planned, file)
        seconds = planned.backup.read_within.total_seconds()
        place = planned.host.id, AsAccount.of(planned)
        for file in listing.backups[:1]:
            if file.state:
                probes["recorded"] = backup_reads.RecordedSum(*place, file.path, seconds, state=file.state)
        roles: Listing | None = facts.get("globals")
        for file in roles.backups[:1] if roles else ():
            kind = file.kind if file.kind.is_packed_text else BackupKind.TEXT
            probes["globals_read"] = backup_reads.ReadText(*place, file.path, seconds, kind, state=file.state)
        return asked(**probes)

    def judge(self, subject: Subject, *, listing: Listing, **facts: Any) -> Judgement:
        planned: PlannedBackup = subject.item.kept
        live: LiveContent | NoReply | None = facts.get("live")
        if listing.repository:
            return Judgement.of(judge_repository(planned, listing, listing.repository, live, self.moment))
        if not listing.backups:
            return no_backup(planned, listing)
        newest, before, third = (*listing.backups, None, None)[:3]
        assert newest is not None  # noqa: S101 - there are backups
        now, recorded, globals_read = (facts.get(name) for name in ("now", "recorded", "globals_read"))
        text_bytes = None if isinstance(now, NoReply) else now
        read = _read("read", facts)
        parts = self.settings.least_size_ratio, self.settings.warn_size_ratio
        seen = SeenBackup(planned, listing, newest, before, read, live, text_bytes, *parts, recorded, globals_read)
        judged = self._judge_seen(seen, facts.get("globals"))
        if before is None or seen.is_whole or not may_be_written(listing, self.settings.written_within):
            return judged
        one_before = replace(seen, file=before, before=third, read=_read("earlier", facts), recorded=None)
        instead = self._judge_seen(one_before, facts.get("globals"))
        return Judgement.of([seen.being_written(judged), *(instead.points or [instead])])

    def _judge_seen(self, seen: SeenBackup, roles: Listing | None) -> Judgement:
        own = seen.planned.at_database.host
        elsewhere = f"it lies on {seen.host}: a restore brings it to {own.id} first"
        return Judgement.of(
            [
                *([] if seen.planned.host == own else [passed(elsewhere)]),
                seen.judge_age(self.moment),
                *self._globals_age(seen.planned, roles),
                *seen.judge_name(self.moment),
                *seen.judge_owner(),
                seen.judge_size(),
                *judge_read(seen),
                *judge_recorded(seen),
            ]
        )

    def _globals_age(self, planned: PlannedBackup, roles: Listing | None) -> Iterator[Judgement]:
        for file in roles.backups[:1] if roles else ():
            if (age := self.moment - file.changed_at) > planned.backup.max_age:
                yield warned(
                    f"the dump of the globals is {format_duration(age)} old: roles made since are not in it",
                    expected=f"not older than {format_duration(planned.backup.max_age)}, as the backup",
                    actual=file.path,
                    remedy="have pg_dumpall --globals-only run with each backup",
                )


def _read(name: str, reads: Mapping[str, Read | NoReply | None]) -> Read | NoReply | None:
    """What came of reading it here; the word of the plan's command only for what cannot be read here."""
    read, by_plan = reads.get(name), reads.get(f"{name}_by_plan")
    match read:
        case backup_reads.TextRead():
            is_read = read.readable and not read.is_closed
        case backup_reads.Verified():
            is_read = read.reads_tar and (read.wal or not read.is_whole)
        case backup_reads.ArchiveRead():
            is_read = read.listed
        case _:
            is_read = isinstance(read, NoReply)
    return read if is_read or by_plan is None else by_plan
