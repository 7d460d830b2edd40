"""Whether an earlier backup can be read to its end, which alone proves that it can be. Pure."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from preflight.clock import format_moment
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan.work import PlannedBackup, behind_become, no_shell
from preflight.probe import NoReply
from preflight.questions.backup_reads import ArchiveRead, Recorded, TextRead, Verified
from preflight.questions.backups import BackupFile, BackupKind, Listing, Repository
from preflight.questions.shell import NOT_EXECUTABLE, NOT_FOUND, Refusal
from preflight.questions.sizes import LiveContent
from preflight.reasons import Reason
from preflight.units import format_duration, format_size
from preflight.wording import counted

from .content import judge_content
from .seen_backup import NOT_READ, SeenBackup


def judge_read(seen: SeenBackup) -> Iterator[Judgement]:
    match seen.read:
        case NoReply() as lost:
            remedy = f"mend what keeps {seen.host} from answering, as the line host-login {seen.host} says"
            if lost.reason in (Reason.QUESTION_LIMIT, Reason.TARGET_LIMIT, Reason.RUN_DEADLINE):
                within = format_duration(seen.planned.backup.read_within)
                remedy = f"allow more than {within}: read_within in {seen.planned.table}, with a --timeout to match"
            found = seen.not_read(lost.detail, remedy)
            yield replace(found, summary=f"the backup was not read to its end: {lost.reason}")
        case ArchiveRead() as read if not read.listed:
            yield _not_listed(seen, read)
        case ArchiveRead() as read:
            if read.is_whole:
                yield passed("readable to its end by pg_restore")
            elif read.code == 0:
                what = f"the data of {counted(read.unended, 'table')} in it was emptied or cut off"
                yield seen.broken(what, "no line \\. ends it", expected="a line \\. after the data of each table")
            else:
                yield seen.broken("the newest backup cannot be read to its end", read.said)
            yield from judge_content(seen, read)
        case TextRead() as read:
            yield from _judge_text(seen, read)
        case Verified() as read:
            yield _judge_verified(seen, read)
        case None:
            yield _unread(seen)


def _unread(seen: SeenBackup) -> Judgement:
    """There was nothing to try."""
    kind, path = seen.file.kind, seen.file.path
    if kind is BackupKind.PART:
        return seen.not_read("it is one of the parts into which a backup was split")
    if kind is BackupKind.UNKNOWN:
        return seen.not_read("it is encrypted, or packed in a way that is not known here")
    if kind is BackupKind.UNREADABLE and not seen.listing.as_account:
        return no_shell(
            seen.planned.host,
            seen.who,
            NOT_READ,
            expected="the newest backup read to its end",
            actual=f"{path}: the login may not read it, and sudo gives no shell of {seen.who}",
        )
    if kind is BackupKind.UNREADABLE:
        return seen.may_not_be_read()
    if kind is not BackupKind.EMPTY and not seen.planned.target:
        return seen.not_read(f"what a backup of {seen.planned.engine} looks like is not known here")
    what = "is empty" if kind is BackupKind.EMPTY else "is a folder that holds no backup"
    return seen.broken(f"the newest backup {what}", what)


def _not_listed(seen: SeenBackup, read: ArchiveRead) -> Judgement:
    """pg_restore showed no table of contents: because of the archive, of pg_restore, or of sudo."""
    why = Refusal.of(read.said)
    if "pg_restore" in read.said.partition(" ")[0] or why is Refusal.OTHER:
        if "unsupported version" in read.said:
            summary = "the backup was made by a newer pg_dump than the server's pg_restore reads"
            remedy = f"have PostgreSQL's client programs on {seen.host} be of the version that wrote it, or newer"
            return seen.broken(summary, read.said, remedy=remedy)
        return seen.broken("pg_restore cannot open the newest backup", read.said)
    if why is Refusal.NOT_FOUND:  # without its reader on the host, the archive is of no use there, whole or not
        program = seen.planned.program("pg_restore")
        return failed(
            f"{program} is missing: the backup can neither be read nor restored on {seen.host}",
            expected=f"{program} reads {seen.file.path} to its end",
            actual=read.said,
            remedy=f"have PostgreSQL's client programs installed on {seen.host}, with pg_restore on the PATH of "
            f"{seen.who}, or name the full path: `program` of {seen.planned.table}",
        )
    return unknown(
        f"pg_restore does not run as {seen.who}: {why}",
        expected=f"{seen.file.path} read to its end",
        actual=read.said,
        remedy=f"cure the line `become {seen.who} on {seen.host}`, then run again",
        behind=behind_become(seen.planned.host, seen.who),
    )


def _judge_text(seen: SeenBackup, read: TextRead) -> Iterator[Judgement]:
    if not read.readable:
        yield seen.may_not_be_read() if read.as_account else _unread(seen)
        return
    if read.is_closed:
        what = "it holds no text: an archive for pg_restore, or what is encrypted" if read.holds_archive else read.said
        yield seen.not_read(what, "" if read.holds_archive else f"have its unpacker installed on {seen.host}")
        return
    maker = "pg_dumpall" if read.of_cluster else "pg_dump"
    if read.code != 0:
        yield seen.broken("the newest backup cannot be read to its end", read.said or f"status {read.code}")
    elif not read.first_line:
        yield seen.broken("the newest backup does not begin as pg_dump begins", "other text")
    elif not read.complete:
        last = f"{read.first_line} complete"
        yield seen.broken(f"the newest backup ends before {maker}'s last line", "no such line", expected=last)
    else:
        yield passed(f"readable to its end, {format_size(read.text_bytes)} of text by {maker}")
        yield from judge_content(seen, read)


def _judge_base(seen: SeenBackup, read: Verified) -> Judgement:
    """Of a base backup that its manifest finds whole."""
    live = seen.live.system_identifier if isinstance(seen.live, LiveContent) else ""
    if live and read.identifier and live != read.identifier:
        summary = f"the base backup is of another server: system identifier {read.identifier}"
        return seen.broken(summary, f"{read.identifier} in its pg_control", expected=f"of the server {live}")
    if seen.file.kind is BackupKind.BASE:
        return passed("readable to its end by pg_verifybackup; complete: every file of its manifest, the WAL it needs")
    if read.wal:
        return passed("readable to its end by pg_verifybackup: every file of its manifest, its WAL beside it")
    return seen.not_read("every file of its manifest is whole, but no write-ahead log is seen beside it")


def judge_recorded(seen: SeenBackup) -> Iterator[Judgement]:
    """The only defence of what is written without checksums: a flipped byte there reads well."""
    recorded = seen.recorded
    if not isinstance(recorded, Recorded) or not recorded.file:
        return
    if recorded.sha256 and recorded.sha256 == recorded.wanted.lower():
        yield passed(f"its SHA-256 is the one in {recorded.file}")
    elif recorded.sha256 and recorded.wanted:
        summary = "the newest backup was changed since its SHA-256 was written down"
        expected = f"{recorded.wanted}, as in {recorded.file}"
        yield seen.broken(summary, f"SHA-256 {recorded.sha256}", expected=expected)
    else:
        yield unknown(
            "its SHA-256 could not be compared with the one beside it",
            expected=f"the sum in {recorded.file}, and that of {seen.file.path}",
            actual="the sum beside it is not read" if not recorded.wanted else "it was not hashed",
            remedy=f"on {seen.host}: sha256sum {shlex.quote(seen.file.path)}; cat {shlex.quote(recorded.file)}",
        )


def _judge_verified(seen: SeenBackup, read: Verified) -> Judgement:
    """By pg_verifybackup, or by what the plan declares for what cannot be read here."""
    is_base = seen.planned.target is not None and (seen.file.kind is BackupKind.BASE or read.major is not None)
    own = "" if is_base else shlex.join(seen.planned.backup.verify)
    if read.is_whole and own:
        return warned(
            f"the newest backup is whole as `{own}` of the plan says, not observed",
            expected="the newest backup read to its end",
            actual=f"{seen.file.path} cannot be read here; status 0",
            remedy=f"try {seen.file.path} in a restore before the window: nothing here can tell what is in it",
        )
    if read.is_whole:
        return _judge_base(seen, read)
    why = Refusal.of(read.said)
    program = seen.planned.backup.verify[0] if own else "pg_verifybackup"
    not_run = read.code in (NOT_EXECUTABLE, NOT_FOUND)
    if not_run or (why is not Refusal.OTHER and program not in read.said.partition(" ")[0]):
        return unknown(
            f"{program} does not run as {seen.who}: {why}",
            expected=f"{seen.file.path} verified",
            actual=read.said or f"status {read.code}",
            remedy=f"have {program} run as {seen.who} on {seen.host}",
            behind="" if why in (Refusal.NOT_FOUND, Refusal.OTHER) else behind_become(seen.planned.host, seen.who),
        )
    if not own and seen.file.kind is BackupKind.BASE_TAR and not read.reads_tar:
        return seen.not_read(f"pg_verifybackup {read.major} reads no tar format")
    if own:
        summary = f"`{own}` does not find the newest backup whole: status {read.code}"
        return seen.broken(summary, read.said or "it says nothing", remedy=f"{seen.anew}, then: {own}")
    return seen.broken("the newest base backup is not whole", read.said)


def judge_repository(
    planned: PlannedBackup,
    listing: Listing,
    repository: Repository,
    live: LiveContent | NoReply | None,
    moment: datetime,
) -> Iterator[Judgement]:
    """Of pgBackRest or Barman, by what it says itself: the files in the repository are read by nothing here."""
    method, name = planned.backup.method, planned.backup.known_as
    expected, where = f"a whole backup of {name} by {method}", f"{planned.who} on {planned.host.id}"
    if repository.problem or not listing.backups:
        yield _nothing_kept(planned, repository, expected)
        return
    newest, live_system = listing.backups[0], live.system_identifier if isinstance(live, LiveContent) else ""
    yield _age(planned, newest, moment)
    kept = f"{repository.first_wal or 'none'} to {repository.last_wal or 'none'}"
    wal_is_there = repository.first_wal <= repository.begin_wal and repository.end_wal <= repository.last_wal
    anew = f"take a new backup of {name} as {where}"
    faults = (
        (repository.fault, f"{newest.path} is not whole: {repository.fault}", f"{method} says so", anew),
        (
            not (repository.end_wal and repository.last_wal and wal_is_there),
            f"write-ahead log that {newest.path} needs is not kept: it cannot be restored",
            f"it needs {repository.begin_wal} to {repository.end_wal}, {method} has {kept}",
            f"find out as {where} why it is not archived (archive_command, pg_stat_archiver), then {anew}",
        ),
        (
            live_system and repository.system_identifier not in ("", live_system),
            f"{method} saves another server as {name}: system identifier {repository.system_identifier}",
            repository.system_identifier,
            f"correct `known_as` of {planned.table}, or what {method} saves as {name}",
        ),
    )
    broken = [each[1:] for each in faults if each[0]]
    yield from (failed(what, expected=expected, actual=actual, remedy=cure) for what, actual, cure in broken)
    if repository.failed:
        yield warned(
            f"a later one failed: {repository.failed}",
            expected="the last one that was tried whole",
            actual=f"{newest.path} is the newest whole one",
            remedy=f"find out as {where} why, or the window's fails too",
        )
    if not live_system or not repository.system_identifier:
        yield unknown(
            f"whether {method} saves this server as {name} is not known",
            expected="the same system identifier here and there",
            actual=f"{repository.system_identifier or 'none'} by {method}, {live_system or 'none'} by the server",
            remedy=f"cure the line database-login {planned.database.id}, or have {method} reach its server",
        )
    elif not broken:
        yield passed(f"complete by {method}'s own records, with its WAL; kept up to {repository.last_wal}")


def _nothing_kept(planned: PlannedBackup, repository: Repository, expected: str) -> Judgement:
    method, said = planned.backup.method, repository.problem or "no backup"
    why = Refusal.of(said)
    if repository.closed:
        return unknown(
            f"whether there is an earlier backup is not known: {method} does not tell",
            expected=expected,
            actual=said,
            remedy=f"have {planned.who} on {planned.host.id} run {method} and read its repository and configuration; "
            f"or correct `program`, `options`, `account` or `kept_by` of {planned.table}",
            behind="" if why in (Refusal.NOT_FOUND, Refusal.OTHER) else behind_become(planned.host, planned.who),
        )
    return failed(
        f"there is no earlier backup that can be restored: {said}",
        expected=expected,
        actual=said,
        remedy=f"take one as {planned.who} on {planned.host.id}, or correct `known_as` of {planned.table}",
    )


def _age(planned: PlannedBackup, newest: BackupFile, moment: datetime) -> Judgement:
    zone, limit, age = planned.plan.window.zone, planned.backup.max_age, moment - newest.changed_at
    size = "of unknown size" if newest.size_bytes is None else f"{format_size(newest.size_bytes)} in the repository"
    what = f"{newest.path} of {format_moment(newest.changed_at, zone)}, {size}"
    if age > limit:
        return failed(
            f"the newest backup is {format_duration(age)} old: {newest.path}",
            expected=f"not older than {format_duration(limit)}",
            actual=what,
            remedy=f"find out on {planned.host.id} why none was taken since, and take one",
        )
    return passed(f"{what}, not older than {format_duration(limit)}")
