"""What an earlier backup is worth, from what was seen of it: part of the check rollback-ready. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from preflight.clock import format_duration, format_moment
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import Backup, BackupFormat, BackupMethod, Plan
from preflight.plan.work import Section, server_work
from preflight.probe import Cause, NoReply
from preflight.probes.backup_files import BackupFile, BackupKind, Listing
from preflight.probes.backup_reads import ArchiveRead, BaseRead, TextRead
from preflight.probes.live_tables import LiveTables
from preflight.probes.shell import AsAccount
from preflight.probes.sudo import Refusal, refusal
from preflight.probes.tools import major_of_server, shown

_CLOCK_SLACK = timedelta(minutes=5)
_PROGRAM_MISSING = 127

Read = ArchiveRead | TextRead | BaseRead


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings of the check that judge one backup."""

    read_within: timedelta
    warn_size_ratio: float
    least_size_ratio: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one earlier backup."""

    backup: Backup
    listing: Listing
    file: BackupFile
    before: BackupFile | None
    """The one made before it."""
    read: Read | NoReply | None
    """None where nothing could be tried."""
    live: LiveTables | NoReply


class EarlierBackup:
    """Judges what was seen of one earlier backup, as of a moment."""

    def __init__(self, plan: Plan, moment: datetime, limits: Limits) -> None:
        self.plan = plan
        self.moment = moment
        self.limits = limits

    def judge(self, seen: Seen) -> Iterator[Judgement]:
        yield from self._judge_age(seen)
        yield from self._judge_owner(seen)
        yield from self._judge_size(seen)
        match seen.read:
            case NoReply() as lost:
                yield self._not_read(seen, lost)
            case ArchiveRead() as read:
                yield from self._judge_archive(seen, read)
            case TextRead() as read:
                yield from self._judge_text(seen, read)
            case BaseRead() as read:
                yield self._judge_base(seen, read)
            case None:
                yield self._judge_unread(seen)

    def _judge_age(self, seen: Seen) -> Iterator[Judgement]:
        age = self.moment - seen.file.changed_at
        at, limit = self._moment(seen.file.changed_at), format_duration(seen.backup.max_age)
        if age > seen.backup.max_age:
            yield failed(
                f"the newest backup is {format_duration(age)} old: {seen.file.path}",
                expected=f"not older than {limit}",
                actual=f"last changed {at}",
                remedy=f"{self._anew(seen)}, and find out why the last ones were not made",
            )
        elif age < -_CLOCK_SLACK:
            yield warned(
                f"{seen.file.path} was changed after the moment judged: {at}",
                expected=f"a time before {self._moment(self.moment)}",
                actual=f"the host's clock says {self._moment(seen.listing.host_now)}",
                remedy=f"compare the clock of {self._host(seen)} with the time, and look when the backup was made",
            )
        else:
            size = format_size(seen.file.size_bytes)
            yield passed(f"{seen.file.path} of {at}, {size}, of {seen.file.owner}, not older than {limit}")

    def _judge_owner(self, seen: Seen) -> Iterator[Judgement]:
        file, who = seen.file, self._who(seen)
        if file.uid not in (0, seen.listing.uid):
            yield warned(
                f"the backup belongs to {file.owner}, not to {who}",
                expected=f"a file of {who}, who takes the backups",
                actual=f"{file.path} belongs to {file.owner} (user id {file.uid})",
                remedy=f"find out who made it; then on {self._host(seen)}: chown {who} {shlex.quote(file.path)}",
            )
        if file.writable_by_others:
            yield warned(
                "everybody on the server may change the backup",
                expected="a file only its account writes to",
                actual=f"{file.path} has mode {file.mode:04o}",
                remedy=f"on {self._host(seen)}: chmod o-w {shlex.quote(file.path)}",
            )

    def _judge_size(self, seen: Seen) -> Iterator[Judgement]:
        if seen.before is None:
            yield passed("the only one: its size cannot be compared")
            return
        ratio = seen.file.size_bytes / max(1, seen.before.size_bytes)
        actual = f"{format_size(seen.file.size_bytes)}; {seen.before.path} has {format_size(seen.before.size_bytes)}"
        summary = f"it has {ratio:.0%} of the size of the one before"
        remedy = f"find out what is missing in {seen.file.path} on {self._host(seen)}: deleted data, or a failed dump"
        for least, verdict in ((self.limits.least_size_ratio, failed), (self.limits.warn_size_ratio, warned)):
            if ratio < least:
                yield verdict(summary, expected=f"at least {least:.0%}", actual=actual, remedy=remedy)
                return
        yield passed(summary)

    def _judge_unread(self, seen: Seen) -> Judgement:
        kind, path = seen.file.kind, seen.file.path
        if kind is BackupKind.BASE_TAR or (kind is BackupKind.UNREADABLE and not seen.listing.as_account):
            why = (
                "pg_verifybackup reads no tar format before version 18"
                if kind is BackupKind.BASE_TAR
                else (f"the login may not read it, and sudo gives no shell of {self._who(seen)}")
            )
            return unknown(
                "whether the backup can be read was not tried",
                expected="the newest backup read to its end",
                actual=f"{path}: {why}",
                remedy=f"have it read by hand on {self._host(seen)}, or make it readable for this check",
            )
        what = {
            BackupKind.EMPTY: "is empty",
            BackupKind.UNREADABLE: f"may not be read by {self._who(seen)}",
        }.get(kind, "is a folder that holds no backup")
        return self._broken(seen, f"the newest backup {what}", what)

    def _not_read(self, seen: Seen, lost: NoReply) -> Judgement:
        limit = format_duration(self.limits.read_within)
        remedy = "cure the cause, then run again"
        if lost.cause is Cause.TIMED_OUT:
            remedy = (
                f"allow more than {limit}: read_within in [checks.rollback-ready], with a --timeout to match; or read "
                f"it by hand on {self._host(seen)}"
            )
        return unknown(f"the backup was not read to its end: {lost.cause}", actual=lost.detail, remedy=remedy)

    def _judge_archive(self, seen: Seen, read: ArchiveRead) -> Iterator[Judgement]:
        why = refusal(read.said)
        own_words = "pg_restore" in read.said.partition(" ")[0]
        if not read.listed and not own_words and why is Refusal.NOT_FOUND:
            yield self._no_reader(seen, read)
        elif not read.listed and not own_words and why is not Refusal.OTHER:
            yield unknown(
                f"pg_restore does not run as {self._who(seen)}: {why}",
                expected=f"{seen.file.path} read to its end",
                actual=read.said,
                remedy=f"cure the lines of become and script-runner about {self._host(seen)}, then run again",
            )
        elif not read.listed and "unsupported version" in read.said:
            yield self._broken(
                seen, "the backup was made by a newer pg_dump than the server's pg_restore reads", read.said
            )
        elif not read.listed:
            yield self._broken(seen, "pg_restore cannot open the newest backup", read.said)
        elif not read.whole:
            yield self._broken(seen, "the newest backup cannot be read to its end", read.said)
        else:
            yield passed("pg_restore reads it to its end")
        if read.listed:
            yield from self._judge_content(seen, read)

    def _no_reader(self, seen: Seen, read: ArchiveRead) -> Judgement:
        """Without its reader on the host, the archive is of no use there, whole or not."""
        program = client_program(self.plan, seen.backup, "pg_restore")
        return failed(
            f"{program} is missing: the backup can neither be read nor restored on {self._host(seen)}",
            expected=f"{program} reads {seen.file.path} to its end",
            actual=read.said,
            remedy=f"have PostgreSQL's client programs installed on {self._host(seen)}, with pg_restore on the PATH of "
            f"{self._who(seen)}, or name their folder in the run line",
        )

    def _judge_content(self, seen: Seen, read: ArchiveRead | TextRead) -> Iterator[Judgement]:
        """Whose data it is. SQL text seldom names its database, and its tables are counted as commands."""
        database = self.plan.databases[seen.backup.database]
        name = database.name or database.id
        if read.database and read.database != name:
            yield self._broken(
                seen, f"the backup is of another database: {read.database}", read.database, expected=name
            )
        elif read.database:
            yield passed(f"of the database {name}")
        else:
            yield passed("the text does not name its database")
        if read.tables == 0:
            yield self._broken(
                seen, "the backup holds no data (schema only)", "no table's data", expected="data of tables"
            )
        if isinstance(seen.live, NoReply):
            yield unknown("the server's own version and tables are not known", actual=seen.live.detail)
            return
        yield from self._judge_version(seen, read, major_of_server(seen.live.version_num))
        if isinstance(read, ArchiveRead) and 0 < read.tables < seen.live.count:
            yield warned(
                f"the backup holds data of {read.tables} tables, the database has {seen.live.count}",
                expected=f"data of {seen.live.count} tables",
                actual=f"{read.tables} entries TABLE DATA in {seen.file.path}",
                remedy=f"see which are missing: {client_program(self.plan, seen.backup, 'pg_restore')} -l "
                f"{shlex.quote(seen.file.path)}; new tables, or --exclude-table-data?",
            )

    def _judge_version(self, seen: Seen, read: ArchiveRead | TextRead, live: tuple[int, ...]) -> Iterator[Judgement]:
        major = read.server_major
        if major is None:
            yield warned(
                "the backup does not say of which server version it is",
                expected=f"a dump of version {shown(live)}",
                actual=f"version {read.server[:40]!r}",
                remedy=f"look into {seen.file.path} on {self._host(seen)}",
            )
        elif major != live:
            yield self._broken(
                seen,
                f"the backup is of a server of version {shown(major)}",
                f"dumped from {read.server}",
                expected=f"of version {shown(live)}, as the server is now",
            )

    def _judge_text(self, seen: Seen, read: TextRead) -> Iterator[Judgement]:
        if not read.readable:
            if read.as_account:
                yield self._broken(seen, f"the newest backup may not be read by {self._who(seen)}", "test -r says no")
            else:
                yield self._judge_unread(seen)
            return
        if read.code == _PROGRAM_MISSING or read.holds_archive:
            what = "an archive for pg_restore is packed in it" if read.holds_archive else read.said
            yield unknown(
                "whether the backup can be read was not tried",
                expected="the newest backup read to its end",
                actual=f"{seen.file.path}: {what}",
                remedy=f"unpack it on {self._host(seen)}, or have its unpacker installed there",
            )
            return
        if read.code != 0:
            yield self._broken(seen, "the newest backup cannot be read to its end", read.said or f"status {read.code}")
        elif not read.is_dump:
            yield self._broken(seen, "the newest backup does not begin as pg_dump begins", "other text")
        elif not read.complete:
            end = "-- PostgreSQL database dump complete"
            yield self._broken(seen, "the newest backup ends before pg_dump's last line", "no such line", expected=end)
        else:
            yield passed(f"it is complete, {format_size(read.size_bytes)} of text")
            yield from self._judge_content(seen, read)

    def _judge_base(self, seen: Seen, read: BaseRead) -> Judgement:
        if read.code == 0:
            return passed("pg_verifybackup finds every file whole, with the WAL it needs")
        why = refusal(read.said)
        if "pg_verifybackup:" not in read.said and why is not Refusal.OTHER:
            return unknown(
                f"pg_verifybackup does not run as {self._who(seen)}: {why}",
                expected=f"{seen.file.path} verified",
                actual=read.said,
                remedy=f"have pg_verifybackup run as {self._who(seen)} on {self._host(seen)}",
            )
        return self._broken(seen, "the newest base backup is not whole", read.said)

    def _broken(self, seen: Seen, summary: str, actual: str, *, expected: str = "read to its end") -> Judgement:
        return failed(
            summary,
            expected=f"{seen.file.path} on {self._host(seen)}: {expected}",
            actual=actual,
            remedy=f"{self._anew(seen)}, then read it: {self._reading(seen)}",
        )

    def _anew(self, seen: Seen) -> str:
        return f"take a new backup of {seen.backup.database} as {self._who(seen)} on {self._host(seen)}"

    def _reading(self, seen: Seen) -> str:
        if seen.backup.method is BackupMethod.PG_BASEBACKUP:
            return "pg_verifybackup DIRECTORY"
        if seen.backup.format is BackupFormat.PLAIN:
            return "tail -n 20 FILE"
        return f"{client_program(self.plan, seen.backup, 'pg_restore')} -f /dev/null FILE"

    def _host(self, seen: Seen) -> str:
        return self.plan.host_of(seen.backup.database).id

    def _who(self, seen: Seen) -> str:
        return AsAccount.on(self.plan.host_of(seen.backup.database), seen.backup.account).account or "the login"

    def _moment(self, moment: datetime) -> str:
        return format_moment(moment, self.plan.window.zone)


def is_whole(read: Read | NoReply | None) -> bool:
    """It was read to its end, and ends where it should."""
    match read:
        case ArchiveRead():
            return read.listed and read.whole
        case TextRead():
            return read.readable and read.code == 0 and read.complete
        case BaseRead():
            return read.code == 0
    return False


def client_program(plan: Plan, backup: Backup, name: str) -> str:
    """A client program as it is called, beside the one that takes the backup."""
    work = next(each for each in server_work(plan) if (each.section, each.id) == (Section.BACKUPS, backup.id))
    folder, slash, _ = work.programs[0].rpartition("/")
    return f"{folder}{slash}{name}"


def format_size(count: int) -> str:
    """`20.5 GiB`, `512 B`."""
    left = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if left < 1024:
            return f"{left:.0f} B" if unit == "B" else f"{left:.1f} {unit}"
        left /= 1024
    return f"{left:.1f} TiB"
