"""One earlier backup: what was seen of it, how it is said, and what its listing tells: name, age, owner, size. Pure."""

import posixpath
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from preflight.clock import format_moment
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import BackupFormat, BackupMethod
from preflight.plan.command_lines import backup_path
from preflight.plan.work import PlannedBackup, acl_cure, behind_become, no_shell
from preflight.probe import NoReply
from preflight.questions.backup_reads import ArchiveRead, Recorded, TextRead, Verified
from preflight.questions.backups import BackupFile, BackupKind, Listing, is_begun_at_birth
from preflight.questions.shell import glob_word
from preflight.questions.sizes import LiveContent
from preflight.units import format_duration, format_size

Read = ArchiveRead | TextRead | Verified
NOT_READ = "the newest backup cannot be read here"
_CLOCK_SLACK = timedelta(minutes=5)
_WESTERNMOST = timedelta(hours=12)
_ZONES = [timedelta(minutes=15 * quarters) for quarters in range(-4 * 12, 4 * 14 + 1)]
"""How far clocks anywhere are ahead of UTC."""


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
    live: LiveContent | NoReply | None
    """None of a database that is not PostgreSQL."""
    text_bytes: int | None
    """What a dump of the database is now, as text; None where that could not be seen."""
    least: float
    """Part of the size of the one before, and of what the database holds now, below which it fails;"""
    usual: float
    """below this one it is warned of."""
    recorded: Recorded | NoReply | None = None
    """Its SHA-256; None of what is no single file."""
    globals_read: TextRead | NoReply | None = None
    """The newest dump of roles and tablespaces; None where the plan names none, or none was found."""

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
        if born and is_begun_at_birth(born, shown, _ZONES):
            return born, born
        return shown - self.listing.zone_offset, shown + _WESTERNMOST

    @property
    def anew(self) -> str:
        return f"take a new backup of {self.planned.what} as {self.who} on {self.host}"

    def broken(self, summary: str, actual: str, *, expected: str = "read to its end", remedy: str = "") -> Judgement:
        """`remedy`: where the backup itself is well and a new one would not be better."""
        cure = remedy or f"{self.anew}, then read it: {self._reading}"
        return failed(summary, expected=f"{self.file.path} on {self.host}: {expected}", actual=actual, remedy=cure)

    def may_not_be_read(self) -> Judgement:
        """By the account that takes the backups, which would restore it, too."""
        by = f"may not be read by {self.who}"
        account, path = self.planned.account, shlex.quote(self.file.path)
        remedy = acl_cure(self.planned.host, self.planned.host.user, "r", self.file.path)
        if account:
            remedy = f"on {self.host}, as root: chown -R {shlex.quote(account)} {path} && chmod -R u+rX {path}"
        return self.broken(f"the newest backup {by}", by, remedy=remedy)

    def not_read(self, actual: str, remedy: str = "") -> Judgement:
        """It may well be whole: only this tool, or who looked, cannot tell."""
        verify = "or let a command of yours say whether it is whole, and declare it: "
        verify += f'{self.planned.table} verify = ["/usr/local/bin/check-backup", "{{file}}"]'
        return unknown(
            NOT_READ,
            expected="the newest backup read to its end",
            actual=f"{self.file.path}: {actual}",
            remedy=f"{remedy}; {verify}" if remedy else verify.removeprefix("or "),
        )

    @property
    def _reading(self) -> str:
        """How the next one is read by hand."""
        if not self.planned.target:
            return shlex.join(self.planned.backup.verify) or f"restore {self.file.path} somewhere else"
        newest = f'"$(ls -td -- {glob_word(self.planned.backup.previous)} | head -n 1)"'
        if self.planned.backup.method is BackupMethod.PG_BASEBACKUP:
            return f"pg_verifybackup {newest}"
        if self.planned.backup.format is BackupFormat.PLAIN:
            return f"tail -n 20 {newest}"
        return f"{self.planned.program('pg_restore')} -f /dev/null {newest}"

    def judge_name(self, moment: datetime) -> Iterator[Judgement]:
        """The backup of the window must not be written over one that the way back counts on. Where no step takes it, it
        may have been taken early: the name does not tell."""
        planned, backup = self.planned, self.planned.backup
        path = posixpath.normpath(backup_path(planned.plan, backup))
        there = next((each for each in self.listing.backups if each.path == path), None)
        if there is None or not planned.connects or planned.is_this_windows(there.changed_at, moment):
            return
        name, suffix = posixpath.splitext(backup.file or f"{backup.id}-{{date}}{posixpath.splitext(path)[1]}")
        told = f"{backup.method} refuses to write into it" if planned.writes_many_files else "it would be overwritten"
        before, who = f" before step {backup.step}", f"have step {backup.step}"
        if not backup.step:
            before, who = " before its line is pasted", "unless that is the window's own, have it"
        yield (failed if backup.step else warned)(
            f"the backup of the window has the name of an earlier one: {told}",
            expected=f"no {path} on {self.host}{before}",
            actual=f"{path} of {format_moment(there.changed_at, planned.plan.window.zone)}",
            remedy=f'{who} write another file: file = "{name}-window{suffix}" in [backups.{backup.id}]',
        )

    def being_written(self, judged: Judgement) -> Judgement:
        age = format_duration(self.listing.age(self.file))
        return warned(
            f"{self.file.path} is not whole and was changed {age} ago: it may be being written",
            expected="the newest backup whole",
            actual=judged.summary,
            remedy="run again when it must be finished; until then, the one before it was judged",
        )

    def judge_age(self, moment: datetime) -> Judgement:
        """As of `moment`, UTC."""
        zone, most = self.planned.plan.window.zone, self.planned.backup.max_age
        age, at = moment - self.file.changed_at, format_moment(self.file.changed_at, zone)
        if age > most:
            return failed(
                f"the newest backup is {format_duration(age)} old: {self.file.path}",
                expected=f"not older than {format_duration(most)}",
                actual=f"last changed {at}",
                remedy=f"{self.anew}, and find out why the last ones were not made",
            )
        if self.begun and moment - self.begun[0] > most:
            return self._begun_before(moment - self.begun[0], moment - self.begun[1])
        if min(age, self.listing.age(self.file)) < -_CLOCK_SLACK:
            dated = f"{self.file.path}/toc.dat" if self.file.kind is BackupKind.DIRECTORY else self.file.path
            return unknown(
                f"how old the newest backup is cannot be known: {self.file.path} is of a time to come",
                expected=f"last changed before {format_moment(min(moment, self.listing.now), zone)}",
                actual=f"last changed {at}; the host's clock says {format_moment(self.listing.now, zone)}",
                remedy=f"is the clock of {self.host} right, give the file the time at which it was made, on "
                f"{self.host}: touch -d 'YYYY-MM-DD HH:MM' {shlex.quote(dated)}",
            )
        size = "of unknown size" if self.file.size_bytes is None else format_size(self.file.size_bytes)
        return passed(f"{self.file.path} of {at}, {size}, of {self.file.owner}, not older than {format_duration(most)}")

    def _begun_before(self, age: timedelta, least: timedelta) -> Judgement:
        """A file that was touched or copied is younger than what is in it. `least`: its age in any zone."""
        limit, begun = self.planned.backup.max_age, getattr(self.read, "created", None)
        expected = f"not begun more than {format_duration(limit)} ago"
        actual = f"{self.file.path} says that it was begun {begun} by the clock of whoever dumped"
        if least <= limit:
            return unknown(
                f"the newest backup may be {format_duration(age)} old: nothing tells in which zone it was begun",
                expected=expected,
                actual=f"{actual}; its file was made at another time",
                remedy=f"{self.anew}, into a new file each time; or allow more: `max_age` of {self.planned.table}",
            )
        return failed(
            f"the newest backup is {format_duration(age)} old, whatever its file says: {self.file.path}",
            expected=expected,
            actual=actual,
            remedy=f"{self.anew}, and find out why the last ones were not made",
        )

    def judge_owner(self) -> Iterator[Judgement]:
        file, who = self.file, self.who
        if file.uid not in (0, self.listing.account):
            yield warned(
                f"the backup belongs to {file.owner}, not to {who}",
                expected=f"a file of {who}, who takes the backups",
                actual=f"{file.path} belongs to {file.owner} (user id {file.uid})",
                remedy=f"find out who made it; then on {self.host}: chown {who} {shlex.quote(file.path)}",
            )
        if file.mode & 0o002:
            yield warned(
                "everybody on the server may change the backup",
                expected="a file only its account writes to",
                actual=f"{file.path} has mode {file.mode:04o}",
                remedy=f"on {self.host}: chmod o-w {shlex.quote(file.path)}",
            )

    def too_small(self, ratio: float, summary: str, actual: str, remedy: str) -> Judgement | None:
        """None where it is not. `ratio`: the part of what it is held against."""
        for limit, verdict in ((self.least, failed), (self.usual, warned)):
            if ratio < limit:
                return verdict(summary, expected=f"at least {limit:.0%}", actual=actual, remedy=remedy)
        return None

    def judge_size(self) -> Judgement:
        """A dump of emptied tables is whole and reads well: only its size tells."""
        if self.before is None:
            return passed("the only one: its size cannot be compared")
        if self.file.kind is BackupKind.PART:
            return passed("one of the parts of a backup that was split: their sizes are not compared")
        size, before = self.file.size_bytes, self.before.size_bytes
        if size is None or before is None:
            unseen = self.file.path if size is None else self.before.path
            return unknown(
                "its size cannot be compared with the one before",
                expected="both sizes seen",
                actual=f"not every file below {unseen} can be seen",
                remedy=f"have sudo allow a shell of {self.who} on {self.host}, or let the login read {unseen}",
                behind="" if self.listing.as_account else behind_become(self.planned.host, self.who),
            )
        ratio = size / max(1, before)
        summary = f"it has {ratio:.0%} of the size of the one before"
        remedy = f"find out what is missing in {self.file.path} on {self.host}: deleted data, or a failed dump"
        actual = f"{format_size(size)}; {self.before.path} has {format_size(before)}"
        return self.too_small(ratio, summary, actual, remedy) or passed(summary)


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
        remedy=f"take a backup of {planned.what} on {host} now, or correct `previous` of [backups.{backup.id}]",
    )


def may_be_written(listing: Listing, within: timedelta) -> bool:
    """Whether the newest backup was changed so short a time ago that it may be one that is just being written."""
    return bool(listing.backups) and listing.age(listing.backups[0]) < within
