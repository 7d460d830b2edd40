"""Questions about the time that a backup takes: when an earlier one was begun, and how fast its folder is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar

from preflight.plan.limits import Between
from preflight.probe import Family, Reply
from preflight.questions.backups import ProgramRead, is_begun_at_birth
from preflight.questions.fields import output_of, read_fields, read_lines
from preflight.questions.shell import AccountProbe, filled, quoted

SAMPLE_BYTES = 64 * 1024**2
SAMPLE_SECONDS = 2.0

# An archive holds the clock of whoever dumped, without its zone (WriteHead in pg_backup_archiver.c), and pg_restore
# shows it as a time of its own zone; the session's own TZ is UTC. So the moment is sought at which the host's clock
# shows that very text, with the name of the zone, which tells the two hours of a change of the clocks apart.
_BEGAN = """\
unset TZ
list=$(run "$p" -l -- "$f" 2>&1); code=$?
text=$(printf '%s\\n' "$list" | sed -n 's/^; Archive created at //p' | head -n 1 | cut -c 1-60)
printf 'code=%s\\ntext=%s\\n' "$code" "$text"
zones() {
  { cat /etc/environment /etc/crontab /etc/cron.d/*; crontab -l; } 2>/dev/null </dev/null |
    sed -n "s|^ *TZ *= *[\\"']\\{0,1\\}\\([A-Za-z0-9_+/:-]*\\).*|\\1|p" | sort -u | head -n 20
}
[ -n "$text" ] && t=$(date -d "${text% *}" +%s 2>/dev/null) && for s in -3600 -1800 0 1800 3600; do
  at=$((t + s))
  [ "$(date -d "@$at" '+%Y-%m-%d %H:%M:%S %Z')" = "$text" ] || continue
  printf 'offset=%s\\n' "$(date -d "@$at" +%z)"
  zones | while IFS= read -r zone; do printf 'offset=%s\\n' "$(TZ=$zone date -d "@$at" +%z)"; done
done"""
_RATE = """\
said=$(nice -n 19 python3 -I -c '@SAMPLE@' @DIRECTORY@ 2>/dev/null)
printf '%s\\nend=yes\\n' "$said\""""
# O_TMPFILE makes a file without a name, gone when the program ends; each block is on the disk before the next one.
_SAMPLE = """\
import os, sys, time
block = os.urandom(1 << 20)
file = os.open(sys.argv[1], os.O_TMPFILE | os.O_WRONLY, 0o600)
begun = time.monotonic()
written = 0
while written < @BYTES@ and time.monotonic() - begun < @SECONDS@:
    written += os.write(file, block)
    os.fdatasync(file)
print(f"written={written}\\nmicroseconds={round((time.monotonic() - begun) * 1e6)}")
"""


@dataclass(frozen=True, slots=True)
class _Began:
    code: int
    text: str
    offset: tuple[timedelta, ...] = ()


@dataclass(frozen=True, slots=True)
class UnplacedTime:
    """When an archive was begun by its header, which the birth of its file does not confirm."""

    text: str
    """As pg_restore shows it."""


@dataclass(frozen=True)
class BackupBegan(ProgramRead[datetime | UnplacedTime | None]):
    """When pg_dump began an archive, by its own header, UTC; None where nothing tells it.

    pg_dump makes the file at the moment that it writes into the header. Where the birth of the file is the moment at
    which a clock in the host's own zone, or in one that cron or every session there has, showed that time, it is the
    beginning. Otherwise the file was copied, synced or written over, or dumped by a clock of another zone: which of
    these it was, and with it the time the backup took, cannot be told."""

    script = _BEGAN
    changed_at: datetime
    """When the archive was last changed, UTC."""
    born_at: datetime | None
    """When its file or folder was made, UTC; None where that is not known."""

    def read(self, reply: Reply) -> datetime | UnplacedTime | None:
        told = read_lines(_Began, reply)
        if told.code != 0 or not told.text:
            return None
        born = self.born_at
        try:
            shown = datetime.fromisoformat(told.text.rpartition(" ")[0]).replace(tzinfo=UTC)
            if born and born <= self.changed_at and is_begun_at_birth(born, shown, told.offset):
                return born
        except (ValueError, OverflowError):
            pass
        return UnplacedTime(told.text)


@dataclass(frozen=True, slots=True)
class _Sample:
    written: Annotated[int, Between(1)]
    microseconds: Annotated[int, Between(1)]


@dataclass(frozen=True)
class WriteRate(AccountProbe[float | None]):
    """Bytes a second that a directory takes, by writing at most `SAMPLE_BYTES` for at most `SAMPLE_SECONDS` to a file
    without a name; None where the host cannot do that."""

    family = Family.SPACE
    timeout_seconds: ClassVar[float] = 20.0
    directory: str

    def ask(self) -> str:
        sample = filled(_SAMPLE, BYTES=str(SAMPLE_BYTES), SECONDS=f"{SAMPLE_SECONDS:g}")
        return self.account.or_login(filled(_RATE, SAMPLE=sample, DIRECTORY=quoted(self.directory)))

    def read(self, reply: Reply) -> float | None:
        fields = read_fields(output_of(reply))
        if not fields:
            return None
        sample = read_lines(_Sample, fields)
        return sample.written / sample.microseconds * 1e6
