"""What one earlier backup is worth: by its listing (how old, of whom, how large beside the one before), and by having
been read to its end, which alone proves that it can be. Pure."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from preflight.clock import format_moment
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import BackupFormat, BackupMethod
from preflight.plan.command_lines import backup_path
from preflight.plan.work import PlannedBackup, behind_become, no_shell
from preflight.probe import NoReply
from preflight.questions.backup_reads import PROGRAM_MISSING, ArchiveRead, TextRead, Verified
from preflight.questions.backups import BackupFile, BackupKind, Listing
from preflight.questions.shell import Refusal, glob_word
from preflight.questions.sizes import LiveTables
from preflight.questions.sql import major_in, major_of_server, shown
from preflight.reasons import Reason
from preflight.units import format_duration, format_size
from preflight.wording import MOST_NAMED, listed

Read = ArchiveRead | TextRead | Verified
_NOT_READ = "the newest backup cannot be read here"
_NOT_RUN = (126, PROGRAM_MISSING)
_MOST_STORED_FOR_TEXT = 10
"""Tables take less room than this many times their text, but for those that are mostly free space."""
_LEAST_COMPARED = 64 * 1024
"""Bytes; a smaller database is mostly its definitions."""
_CLOCK_SLACK = timedelta(minutes=5)
_FILE_IS_MADE_WITHIN = timedelta(seconds=5)
_ZONE_STEP = timedelta(minutes=15)
_WIDEST_ZONE, _WESTERNMOST = timedelta(hours=14), timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class SeenBackup:
    """One earlier backup."""

    planned: PlannedBackup
    listing: Listing
    file: BackupFile
    before: BackupFile | None
    """The one made before it."""
    read: Read | NoReply | None
    """None where nothing could be tried."""
    live: LiveTables | NoReply
    text_bytes: int | None
    """What a dump of the database is now, as text; None where that could not be seen."""

    @property
    def host(self) -> str:
        return self.planned.host.id

    @property
    def who(self) -> str:
        return self.planned.who

    @property
    def is_whole(self) -> bool:
        return isinstance(self.read, Read) and self.read.is_whole

    @property
    def begun(self) -> tuple[datetime, datetime] | None:
        """When it was begun by what it says of itself: by its host's clock, and at the latest. A file that was made
        in that very second, seen in any zone, was begun then. None where it does not tell."""
        told = self.read.created if isinstance(self.read, (ArchiveRead, TextRead)) else ""
        try:
            shown = datetime.fromisoformat(told[:19]).replace(tzinfo=UTC)
        except ValueError:
            return None
        born: datetime | None = self.file.born_at
        if born and abs(born - shown) <= _WIDEST_ZONE:
            past = (born - shown) % _ZONE_STEP
            if min(past, _ZONE_STEP - past) <= _FILE_IS_MADE_WITHIN:
                return born, born
        return shown - self.listing.zone_offset, shown + _WESTERNMOST

    @property
    def anew(self) -> str:
        return f"take a new backup of {self.planned.backup.database} as {self.who} on {self.host}"

    def broken(self, summary: str, actual: str, *, expected: str = "read to its end", remedy: str = "") -> Judgement:
        """`remedy`: where the backup itself is well and a new one would not be better."""
        return failed(
            summary,
            expected=f"{self.file.path} on {self.host}: {expected}",
            actual=actual,
            remedy=remedy or f"{self.anew}, then read it: {self._reading}",
        )

    def may_not_be_read(self) -> Judgement:
        """By the account that takes the backups, which would restore it, too."""
        by = f"may not be read by {self.who}"
        account, path = self.planned.account, shlex.quote(self.file.path)
        remedy = f"let the login read {path} on {self.host}"
        if account:
            remedy = f"on {self.host}, as root: chown {shlex.quote(account)} {path}"
        return self.broken(f"the newest backup {by}", by, remedy=remedy)

    def not_read(self, actual: str, remedy: str = "", behind: str = "") -> Judgement:
        """It may well be whole: only this tool, or who looked, cannot tell."""
        verify = "or let a command of yours say whether it is whole, and declare it: "
        verify += f'{self.planned.table} verify = ["/usr/local/bin/check-backup", "{{file}}"]'
        return unknown(
            _NOT_READ,
            expected="the newest backup read to its end",
            actual=f"{self.file.path}: {actual}",
            remedy=f"{remedy}; {verify}" if remedy else verify.removeprefix("or "),
            behind=behind,
        )

    @property
    def _reading(self) -> str:
        """How the next one is read by hand."""
        newest = f'"$(ls -td -- {glob_word(self.planned.backup.previous)} | head -n 1)"'
        if self.planned.backup.method is BackupMethod.PG_BASEBACKUP:
            return f"pg_verifybackup {newest}"
        if self.planned.backup.format is BackupFormat.PLAIN:
            return f"tail -n 20 {newest}"
        return f"{self.planned.program('pg_restore')} -f /dev/null {newest}"


def no_backup(planned: PlannedBackup, listing: Listing) -> Judgement:
    """Nothing was listed."""
    backup, host, who = planned.backup, planned.host.id, planned.who
    expected = f"a backup on {host} that matches {backup.previous}"
    if not listing.as_account and (listing.folder != "readable" or listing.dangling):
        hidden = "leads where the login may not look" if listing.dangling else f"is {listing.folder} for the login"
        what = "what matches" if listing.dangling else "its folder"
        return no_shell(
            planned.host,
            who,
            "whether there is an earlier backup cannot be seen by the login",
            expected=expected,
            actual=f"{what} {hidden}, and sudo gives no shell of {who}",
        )
    if listing.folder == "unreadable":
        folder = glob_word(posixpath.dirname(backup.previous))
        return failed(
            f"{who} may not list the folder of the earlier backups, so none of them can be restored",
            expected=expected,
            actual=f"{backup.previous} lies in a folder that {who} cannot read",
            remedy=f"on {host}, as root: setfacl -m u:{who}:rx {folder}; or correct `previous` of {planned.table}",
        )
    actual = "0 matches in a readable folder"
    if listing.dangling:
        actual = f"{listing.dangling} links to nothing"
    elif listing.folder == "missing":
        actual = "no such folder"
    return failed(
        f"there is no earlier backup: nothing matches {backup.previous}",
        expected=expected,
        actual=actual,
        remedy=f"take a backup of {backup.database} on {host} now, or correct `previous` of [backups.{backup.id}]",
    )


def judge_name(seen: SeenBackup, moment: datetime) -> Iterator[Judgement]:
    """The backup of the window must not be written over one that the way back counts on. Where no step takes it, it may
    have been taken early: the name does not tell."""
    planned, backup = seen.planned, seen.planned.backup
    path = posixpath.normpath(backup_path(planned.plan, backup))
    there = next((each for each in seen.listing.backups if each.path == path), None)
    if there is None or not planned.connects or planned.is_this_windows(there.changed_at, moment):
        return
    name, suffix = posixpath.splitext(backup.file or f"{backup.id}-{{date}}{posixpath.splitext(path)[1]}")
    refused = f"{backup.method} refuses to write into it" if planned.writes_many_files else "it would be overwritten"
    before, who = f" before step {backup.step}", f"have step {backup.step}"
    if not backup.step:
        before, who = " before its line is pasted", "unless that is the window's own, have it"
    yield (failed if backup.step else warned)(
        f"the backup of the window has the name of an earlier one: {refused}",
        expected=f"no {path} on {seen.host}{before}",
        actual=f"{path} of {format_moment(there.changed_at, planned.plan.window.zone)}",
        remedy=f'{who} write another file: file = "{name}-window{suffix}" in [backups.{backup.id}]',
    )


def may_be_written(listing: Listing, within: timedelta) -> bool:
    """Whether the newest backup was changed so short a time ago that it may be one that is just being written."""
    return bool(listing.backups) and listing.age(listing.backups[0]) < within


def being_written(seen: SeenBackup, judged: Judgement) -> Judgement:
    age = format_duration(seen.listing.age(seen.file))
    return warned(
        f"{seen.file.path} is not whole and was changed {age} ago: it may be being written",
        expected="the newest backup whole",
        actual=judged.summary,
        remedy="run again when it must be finished; until then, the one before it was judged",
    )


def judge_age(seen: SeenBackup, moment: datetime) -> Judgement:
    """As of `moment`, UTC."""
    zone, limit = seen.planned.plan.window.zone, seen.planned.backup.max_age
    age, at = moment - seen.file.changed_at, format_moment(seen.file.changed_at, zone)
    if age > limit:
        return failed(
            f"the newest backup is {format_duration(age)} old: {seen.file.path}",
            expected=f"not older than {format_duration(limit)}",
            actual=f"last changed {at}",
            remedy=f"{seen.anew}, and find out why the last ones were not made",
        )
    if seen.begun and moment - seen.begun[0] > limit:
        return _begun_before(seen, moment - seen.begun[0], moment - seen.begun[1])
    if age < -_CLOCK_SLACK:
        return warned(
            f"{seen.file.path} was changed after the moment judged: {at}",
            expected=f"a time before {format_moment(moment, zone)}",
            actual=f"the host's clock says {format_moment(seen.listing.now, zone)}",
            remedy=f"compare the clock of {seen.host} with the time, and look when the backup was made",
        )
    size = "of unknown size" if seen.file.size_bytes is None else format_size(seen.file.size_bytes)
    return passed(f"{seen.file.path} of {at}, {size}, of {seen.file.owner}, not older than {format_duration(limit)}")


def _begun_before(seen: SeenBackup, age: timedelta, least: timedelta) -> Judgement:
    """A file that was touched or copied is younger than what is in it. `least`: its age in any zone."""
    limit, begun = seen.planned.backup.max_age, getattr(seen.read, "created", None)
    expected = f"not begun more than {format_duration(limit)} ago"
    actual = f"{seen.file.path} says that it was begun {begun} by the clock of whoever dumped"
    if least <= limit:
        return unknown(
            f"the newest backup may be {format_duration(age)} old: nothing tells in which zone it was begun",
            expected=expected,
            actual=f"{actual}; its file was made at another time",
            remedy=f"{seen.anew}, into a new file each time; or allow more: `max_age` of {seen.planned.table}",
        )
    return failed(
        f"the newest backup is {format_duration(age)} old, whatever its file says: {seen.file.path}",
        expected=expected,
        actual=actual,
        remedy=f"{seen.anew}, and find out why the last ones were not made",
    )


def judge_owner(seen: SeenBackup) -> Iterator[Judgement]:
    file, who = seen.file, seen.who
    if file.uid not in (0, seen.listing.account):
        yield warned(
            f"the backup belongs to {file.owner}, not to {who}",
            expected=f"a file of {who}, who takes the backups",
            actual=f"{file.path} belongs to {file.owner} (user id {file.uid})",
            remedy=f"find out who made it; then on {seen.host}: chown {who} {shlex.quote(file.path)}",
        )
    if file.mode & 0o002:
        yield warned(
            "everybody on the server may change the backup",
            expected="a file only its account writes to",
            actual=f"{file.path} has mode {file.mode:04o}",
            remedy=f"on {seen.host}: chmod o-w {shlex.quote(file.path)}",
        )


def judge_size(seen: SeenBackup, *, least: float, usual: float) -> Judgement:
    """A dump of emptied tables is whole and reads well: only its size tells. `least`, `usual`: parts of the size of the
    one before, below which it fails and is warned of."""
    if seen.before is None:
        return passed("the only one: its size cannot be compared")
    size, before = seen.file.size_bytes, seen.before.size_bytes
    if size is None or before is None:
        unseen = seen.file.path if size is None else seen.before.path
        return unknown(
            "its size cannot be compared with the one before",
            expected="both sizes seen",
            actual=f"not every file below {unseen} can be seen",
            remedy=f"have sudo allow a shell of {seen.who} on {seen.host}, or let the login read {unseen}",
            behind="" if seen.listing.as_account else behind_become(seen.planned.host, seen.who),
        )
    ratio = size / max(1, before)
    summary = f"it has {ratio:.0%} of the size of the one before"
    for limit, verdict in ((least, failed), (usual, warned)):
        if ratio < limit:
            return verdict(
                summary,
                expected=f"at least {limit:.0%}",
                actual=f"{format_size(size)}; {seen.before.path} has {format_size(before)}",
                remedy=f"find out what is missing in {seen.file.path} on {seen.host}: deleted data, or a failed dump",
            )
    return passed(summary)


def judge_read(seen: SeenBackup, least: float, usual: float) -> Iterator[Judgement]:
    """`least`, `usual`: parts of what the database holds now, below which the backup fails and is warned of."""
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
                yield passed("pg_restore reads it to its end")
            else:
                yield seen.broken("the newest backup cannot be read to its end", read.said)
            yield from _content(seen, read, least, usual)
        case TextRead() as read:
            yield from _judge_text(seen, read, least, usual)
        case Verified() as read:
            yield _judge_verified(seen, read)
        case None:
            yield _unread(seen)


def _unread(seen: SeenBackup) -> Judgement:
    """There was nothing to try."""
    kind, path = seen.file.kind, seen.file.path
    if kind is BackupKind.BASE_TAR:
        return seen.not_read("pg_verifybackup reads no tar format before version 18")
    if kind is BackupKind.UNKNOWN:
        return seen.not_read("it is encrypted, or packed in a way that is not known here")
    if kind is BackupKind.UNREADABLE and not seen.listing.as_account:
        return no_shell(
            seen.planned.host,
            seen.who,
            _NOT_READ,
            expected="the newest backup read to its end",
            actual=f"{path}: the login may not read it, and sudo gives no shell of {seen.who}",
        )
    if kind is BackupKind.UNREADABLE:
        return seen.may_not_be_read()
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


def _judge_text(seen: SeenBackup, read: TextRead, least: float, usual: float) -> Iterator[Judgement]:
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
        yield passed(f"it is complete, {format_size(read.text_bytes)} of text by {maker}")
        yield from _content(seen, read, least, usual)


def _judge_verified(seen: SeenBackup, read: Verified) -> Judgement:
    """By pg_verifybackup, or by what the plan declares for what cannot be read here."""
    own = "" if seen.file.kind is BackupKind.BASE else shlex.join(seen.planned.backup.verify)
    if read.is_whole and own:
        return warned(
            f"the newest backup is whole as `{own}` of the plan says, not observed",
            expected="the newest backup read to its end",
            actual=f"{seen.file.path} cannot be read here; status 0",
            remedy=f"try {seen.file.path} in a restore before the window: nothing here can tell what is in it",
        )
    if read.is_whole:
        return passed("pg_verifybackup finds every file whole, with the WAL it needs")
    why = Refusal.of(read.said)
    program = seen.planned.backup.verify[0] if own else "pg_verifybackup"
    if read.code in _NOT_RUN or (why is not Refusal.OTHER and program not in read.said.partition(" ")[0]):
        return unknown(
            f"{program} does not run as {seen.who}: {why}",
            expected=f"{seen.file.path} verified",
            actual=read.said or f"status {read.code}",
            remedy=f"have {program} run as {seen.who} on {seen.host}",
            behind="" if why in (Refusal.NOT_FOUND, Refusal.OTHER) else behind_become(seen.planned.host, seen.who),
        )
    if own:
        summary = f"`{own}` does not find the newest backup whole: status {read.code}"
        return seen.broken(summary, read.said or "it says nothing", remedy=f"{seen.anew}, then: {own}")
    return seen.broken("the newest base backup is not whole", read.said)


def _content(seen: SeenBackup, read: ArchiveRead | TextRead, least: float, usual: float) -> Iterator[Judgement]:
    """SQL text of pg_dump seldom names its database; then its tables tell."""
    name = seen.planned.database.dbname
    if isinstance(read, TextRead) and read.of_cluster:
        yield from _in_cluster(seen, read, name)
    else:
        if not read.database:
            yield _by_tables(seen, read)
        elif read.database == name:
            yield passed(f"of the database {name}")
        else:
            yield seen.broken(f"the backup is of another database: {read.database}", read.database, expected=name)
        if read.tables == 0:
            yield _no_data(seen)
    if isinstance(seen.live, NoReply):
        remedy = f"cure the line database-login {seen.planned.database.id}, then run again"
        yield unknown("the server's own version and tables are not known", actual=seen.live.detail, remedy=remedy)
        return
    yield from _version(seen, read, major_of_server(seen.live.version_num))
    yield from _tables(seen, seen.live, read.names if isinstance(read, ArchiveRead) else _names_of(read, name))
    now = seen.text_bytes or seen.live.stored_bytes // _MOST_STORED_FOR_TEXT
    if now >= _LEAST_COMPARED and not (isinstance(read, TextRead) and read.of_cluster):
        yield from _amount(seen, read.text_bytes, now, least, usual)


def _names_of(read: TextRead, name: str) -> frozenset[str]:
    return read.names.get(name, frozenset()) | (frozenset() if read.of_cluster else read.names.get("", frozenset()))


def _tables(seen: SeenBackup, live: LiveTables, held: frozenset[str]) -> Iterator[Judgement]:
    """Names tell another database of the same name, whose dump is as whole as it can be."""
    missing = sorted(name.replace(" ", ".") for name in live.names - held)
    if not missing or not held:
        return
    actual = (
        f"{len(live.names) - len(missing)} of the {len(live.names)} tables; not in it: {listed(missing, MOST_NAMED)}"
    )
    expected = f"data of the tables that {seen.planned.database.dbname} has"
    if len(missing) * 2 > len(live.names):
        yield seen.broken("the backup holds other tables than the database", actual, expected=expected)
        return
    yield warned(
        f"the backup lacks data of {len(missing)} of the {len(live.names)} tables",
        expected=expected,
        actual=actual,
        remedy=f"find out on {seen.host} why they are missing (made since, or left out with --exclude-table-data?); "
        f"{seen.anew} where they matter",
    )


def _amount(seen: SeenBackup, held: int, now: int, least: float, usual: float) -> Iterator[Judgement]:
    """A dump of emptied tables has all their names."""
    ratio = held / now
    for limit, verdict in ((least, failed), (usual, warned)):
        if ratio < limit:
            yield verdict(
                f"the backup holds {ratio:.0%} of what the database holds now",
                expected=f"at least {limit:.0%}",
                actual=f"{seen.file.path} is {format_size(held)} of text, the database now about {format_size(now)}",
                remedy=f"find out whether the database has grown since, or what is missing in it; {seen.anew}",
            )
            return


def _by_tables(seen: SeenBackup, read: ArchiveRead | TextRead) -> Judgement:
    """Text that does not name its database."""
    if isinstance(seen.live, NoReply) or not isinstance(read, TextRead) or seen.live.names & _names_of(read, ""):
        return passed("the text does not name its database, its tables are those of it")
    return seen.not_read("the text does not name its database, and none of its tables is known")


def _in_cluster(seen: SeenBackup, read: TextRead, name: str) -> Iterator[Judgement]:
    """pg_dumpall connects to one database after the other; with --globals-only to none."""
    if name not in read.databases:
        held = listed(read.databases, MOST_NAMED)
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
    major = major_in(read.server)
    if major is None:
        yield replace(
            seen.not_read(f"version {read.server[:40]!r}"),
            summary="the backup does not say of which server version it is",
            expected=f"a dump of version {shown(live)}",
        )
    elif major != live:
        yield seen.broken(
            f"the backup is of a server of version {shown(major)}",
            f"dumped from {read.server}",
            expected=f"of version {shown(live)}, as the server is now",
        )
