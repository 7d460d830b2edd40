"""What was seen of one earlier backup, and the words to speak of it. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from preflight.finding import Judgement, failed
from preflight.judging.backups import PlannedBackup
from preflight.plan import BackupFormat, BackupMethod
from preflight.probe import NoReply
from preflight.questions.backup_files import BackupFile, Listing
from preflight.questions.backup_reads import ArchiveRead, BaseRead, TextRead
from preflight.questions.sizes import LiveTables

Read = ArchiveRead | TextRead | BaseRead


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
        account, path = self.planned.account.account, shlex.quote(self.file.path)
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
