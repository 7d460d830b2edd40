"""What an earlier backup is worth by having been read to its end, which alone proves that it can be, and by what was
read: of which database, of which version, with how much. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import timedelta

from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.probe import NoReply
from preflight.questions.backup_files import BackupKind
from preflight.questions.backup_reads import ArchiveRead, BaseRead, TextRead
from preflight.questions.sizes import LiveTables
from preflight.questions.sudo import Refusal
from preflight.questions.tools import major_of_server, shown
from preflight.reasons import Reason
from preflight.units import format_duration, format_size
from preflight.wording import listed

from .seen import SeenBackup

_MOST_NAMED = 8
_PROGRAM_MISSING = 127


def judge_read(seen: SeenBackup, within: timedelta) -> Iterator[Judgement]:
    """`within`: the limit the read had, to be named where it was too short."""
    match seen.read:
        case NoReply() as lost:
            yield _not_read(seen, lost, within)
        case ArchiveRead() as read:
            yield from _judge_archive(seen, read)
        case TextRead() as read:
            yield from _judge_text(seen, read)
        case BaseRead() as read:
            yield _judge_base(seen, read)
        case None:
            yield _unread(seen)


def _unread(seen: SeenBackup) -> Judgement:
    """There was nothing to try."""
    kind, path = seen.file.kind, seen.file.path
    if kind is BackupKind.BASE_TAR:
        return _not_tried(seen, f"{path}: pg_verifybackup reads no tar format before version 18")
    if kind is BackupKind.UNREADABLE and not seen.listing.as_account:
        return _not_tried(seen, f"{path}: the login may not read it, and sudo gives no shell of {seen.who}")
    if kind is BackupKind.UNREADABLE:
        return seen.may_not_be_read()
    what = "is empty" if kind is BackupKind.EMPTY else "is a folder that holds no backup"
    return seen.broken(f"the newest backup {what}", what)


def _not_tried(seen: SeenBackup, actual: str) -> Judgement:
    return unknown(
        "whether the backup can be read was not tried",
        expected="the newest backup read to its end",
        actual=actual,
        remedy=f"have it read by hand on {seen.host}, or make it readable for this check",
    )


def _not_read(seen: SeenBackup, lost: NoReply, within: timedelta) -> Judgement:
    remedy = f"mend what keeps {seen.host} from answering, as the line host-login {seen.host} says"
    if lost.reason in (Reason.QUESTION_LIMIT, Reason.TARGET_LIMIT, Reason.RUN_DEADLINE):
        remedy = (
            f"allow more than {format_duration(within)}: read_within in [checks.rollback-ready], with a --timeout to "
            f"match; or read it by hand on {seen.host}"
        )
    return unknown(f"the backup was not read to its end: {lost.reason}", actual=lost.detail, remedy=remedy)


def _judge_archive(seen: SeenBackup, read: ArchiveRead) -> Iterator[Judgement]:
    if not read.listed:
        yield _not_listed(seen, read)
        return
    if read.whole:
        yield passed("pg_restore reads it to its end")
    else:
        yield seen.broken("the newest backup cannot be read to its end", read.said)
    yield from _content(seen, read)


def _not_listed(seen: SeenBackup, read: ArchiveRead) -> Judgement:
    """pg_restore showed no table of contents: because of the archive, of pg_restore, or of sudo."""
    why = Refusal.of(read.said)
    if "pg_restore" in read.said.partition(" ")[0] or why is Refusal.OTHER:
        if "unsupported version" in read.said:
            summary = "the backup was made by a newer pg_dump than the server's pg_restore reads"
            remedy = f"have PostgreSQL's client programs on {seen.host} be of the version that wrote it, or newer"
            return seen.broken(summary, read.said, remedy=remedy)
        return seen.broken("pg_restore cannot open the newest backup", read.said)
    if why is Refusal.NOT_FOUND:
        return _no_reader(seen, read)
    return unknown(
        f"pg_restore does not run as {seen.who}: {why}",
        expected=f"{seen.file.path} read to its end",
        actual=read.said,
        remedy=f"cure the lines of become and script-runner about {seen.host}, then run again",
    )


def _no_reader(seen: SeenBackup, read: ArchiveRead) -> Judgement:
    """Without its reader on the host, the archive is of no use there, whole or not."""
    program = seen.planned.program("pg_restore")
    return failed(
        f"{program} is missing: the backup can neither be read nor restored on {seen.host}",
        expected=f"{program} reads {seen.file.path} to its end",
        actual=read.said,
        remedy=f"have PostgreSQL's client programs installed on {seen.host}, with pg_restore on the PATH of "
        f"{seen.who}, or name psql with its full path: `program` in [scripts.NAME]",
    )


def _judge_text(seen: SeenBackup, read: TextRead) -> Iterator[Judgement]:
    if not read.readable and not read.as_account:
        yield _unread(seen)
        return
    if not read.readable:
        yield seen.may_not_be_read()
        return
    if read.code == _PROGRAM_MISSING or read.holds_archive:
        what = "an archive for pg_restore is packed in it" if read.holds_archive else read.said
        yield unknown(
            "whether the backup can be read was not tried",
            expected="the newest backup read to its end",
            actual=f"{seen.file.path}: {what}",
            remedy=f"unpack it on {seen.host}, or have its unpacker installed there",
        )
        return
    maker = "pg_dumpall" if read.of_cluster else "pg_dump"
    if read.code != 0:
        yield seen.broken("the newest backup cannot be read to its end", read.said or f"status {read.code}")
    elif not read.is_dump:
        yield seen.broken("the newest backup does not begin as pg_dump begins", "other text")
    elif not read.complete:
        yield seen.broken(f"the newest backup ends before {maker}'s last line", "no such line", expected=read.last_line)
    else:
        yield passed(f"it is complete, {format_size(read.size_bytes)} of text by {maker}")
        yield from _content(seen, read)


def _judge_base(seen: SeenBackup, read: BaseRead) -> Judgement:
    if read.code == 0:
        return passed("pg_verifybackup finds every file whole, with the WAL it needs")
    why = Refusal.of(read.said)
    if "pg_verifybackup:" not in read.said and why is not Refusal.OTHER:
        return unknown(
            f"pg_verifybackup does not run as {seen.who}: {why}",
            expected=f"{seen.file.path} verified",
            actual=read.said,
            remedy=f"have pg_verifybackup run as {seen.who} on {seen.host}",
        )
    return seen.broken("the newest base backup is not whole", read.said)


def _content(seen: SeenBackup, read: ArchiveRead | TextRead) -> Iterator[Judgement]:
    """SQL text of pg_dump seldom names its database, and its tables are counted as commands."""
    name = seen.planned.work.database.name or seen.planned.backup.database
    if isinstance(read, TextRead) and read.of_cluster:
        yield from _in_cluster(seen, read, name)
    else:
        yield _database(seen, read.database, name)
        if read.tables == 0:
            yield _no_data(seen)
    if isinstance(seen.live, NoReply):
        yield unknown("the server's own version and tables are not known", actual=seen.live.detail)
        return
    yield from _version(seen, read, major_of_server(seen.live.version_num))
    if isinstance(read, ArchiveRead):
        yield from _tables(seen, read, seen.live)


def _database(seen: SeenBackup, found: str, name: str) -> Judgement:
    if not found:
        return passed("the text does not name its database")
    if found == name:
        return passed(f"of the database {name}")
    return seen.broken(f"the backup is of another database: {found}", found, expected=name)


def _in_cluster(seen: SeenBackup, read: TextRead, name: str) -> Iterator[Judgement]:
    """pg_dumpall connects to one database after the other; with --globals-only to none."""
    if name not in read.databases:
        held = listed(read.databases, _MOST_NAMED)
        yield seen.broken(
            f"the backup of the whole cluster does not hold the database {name}",
            f"it holds {held or 'no database (roles and tablespaces only)'}",
            expected=f"\\connect {name}, and what follows it",
        )
    elif not read.databases[name]:
        yield _no_data(seen)
    else:
        yield passed(f"of the whole cluster, the database {name} in it")


def _no_data(seen: SeenBackup) -> Judgement:
    return seen.broken("the backup holds no data (schema only)", "no table's data", expected="data of tables")


def _version(seen: SeenBackup, read: ArchiveRead | TextRead, live: tuple[int, ...]) -> Iterator[Judgement]:
    major = read.server_major
    if major is None:
        yield warned(
            "the backup does not say of which server version it is",
            expected=f"a dump of version {shown(live)}",
            actual=f"version {read.server[:40]!r}",
            remedy=f"look into {seen.file.path} on {seen.host}",
        )
    elif major != live:
        yield seen.broken(
            f"the backup is of a server of version {shown(major)}",
            f"dumped from {read.server}",
            expected=f"of version {shown(live)}, as the server is now",
        )


def _tables(seen: SeenBackup, read: ArchiveRead, live: LiveTables) -> Iterator[Judgement]:
    if 0 < read.tables < live.count:
        yield warned(
            f"the backup holds data of {read.tables} tables, the database has {live.count}",
            expected=f"data of {live.count} tables",
            actual=f"{read.tables} entries TABLE DATA in {seen.file.path}",
            remedy=f"see which are missing: {seen.planned.program('pg_restore')} -l {shlex.quote(seen.file.path)}; new "
            "tables, or --exclude-table-data?",
        )
