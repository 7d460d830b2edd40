"""One earlier backup: what was seen of it, the words to speak of it, and what it is worth by its listing: how old, of
whom, and how large beside the one before. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from preflight.clock import format_moment
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import BackupFormat, BackupMethod
from preflight.plan.work import PlannedBackup
from preflight.probe import NoReply
from preflight.questions.backup_files import BackupFile, Listing
from preflight.questions.backup_reads import ArchiveRead, BaseRead, TextRead
from preflight.questions.sizes import LiveTables
from preflight.units import format_duration, format_size

Read = ArchiveRead | TextRead | BaseRead
_CLOCK_SLACK = timedelta(minutes=5)


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

    @property
    def host(self) -> str:
        return self.planned.host.id

    @property
    def who(self) -> str:
        return self.planned.who

    @property
    def is_whole(self) -> bool:
        """It was read to its end, and ends where it should."""
        match self.read:
            case ArchiveRead():
                return self.read.listed and self.read.whole
            case TextRead():
                return self.read.readable and self.read.code == 0 and self.read.complete
            case BaseRead():
                return self.read.code == 0
        return False

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
        account, path = self.planned.work.account, shlex.quote(self.file.path)
        remedy = f"let the login read {path} on {self.host}"
        if account:
            remedy = f"on {self.host}, as root: chown {shlex.quote(account)} {path}"
        return self.broken(f"the newest backup {by}", by, remedy=remedy)

    @property
    def _reading(self) -> str:
        """How the next one is read by hand."""
        if self.planned.backup.method is BackupMethod.PG_BASEBACKUP:
            return "pg_verifybackup DIRECTORY"
        if self.planned.backup.format is BackupFormat.PLAIN:
            return "tail -n 20 FILE"
        return f"{self.planned.program('pg_restore')} -f /dev/null FILE"


def no_backup(planned: PlannedBackup, listing: Listing) -> Judgement:
    """Nothing was listed."""
    backup, host, who = planned.backup, planned.host.id, planned.who
    expected = f"a backup on {host} that matches {backup.previous}"
    if not listing.as_account and (listing.folder != "readable" or listing.dangling):
        hidden = "leads where the login may not look" if listing.dangling else f"is {listing.folder} for the login"
        what = "what matches" if listing.dangling else "its folder"
        return unknown(
            "whether there is an earlier backup cannot be seen by the login",
            expected=expected,
            actual=f"{what} {hidden}, and sudo gives no shell of {who}",
            remedy=f"have sudo allow a shell of {who} on {host}, or let the login read the folder",
        )
    actual = f"0 matches in a {listing.folder} folder"
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
    if age < -_CLOCK_SLACK:
        return warned(
            f"{seen.file.path} was changed after the moment judged: {at}",
            expected=f"a time before {format_moment(moment, zone)}",
            actual=f"the host's clock says {format_moment(seen.listing.host_now, zone)}",
            remedy=f"compare the clock of {seen.host} with the time, and look when the backup was made",
        )
    return passed(f"{seen.file.path} of {at}, {_shown(seen.file.size_bytes)}, of {seen.file.owner}, "
                  f"not older than {format_duration(limit)}")  # fmt: skip


def judge_owner(seen: SeenBackup) -> Iterator[Judgement]:
    file, who = seen.file, seen.who
    if file.uid not in (0, seen.listing.uid):
        yield warned(
            f"the backup belongs to {file.owner}, not to {who}",
            expected=f"a file of {who}, who takes the backups",
            actual=f"{file.path} belongs to {file.owner} (user id {file.uid})",
            remedy=f"find out who made it; then on {seen.host}: chown {who} {shlex.quote(file.path)}",
        )
    if file.writable_by_others:
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


def _shown(size: int | None) -> str:
    return "of unknown size" if size is None else format_size(size)
