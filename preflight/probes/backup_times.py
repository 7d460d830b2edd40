"""Questions about time: when an earlier backup was begun, and how fast its folder takes what is written to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

from preflight.probe import Family, Question, Reply, Unreadable
from preflight.probes.backup_reads import LongRead
from preflight.probes.fields import one, read_fields, whole_number
from preflight.probes.shell import AsAccount, ShellProbe, filled, quoted

SAMPLE_BYTES = 64 * 1024**2
SAMPLE_SECONDS = 2.0

# pg_restore writes the time in its own zone, which sudo may have changed; date(1) knows the zone's name on its host.
_BEGAN = """\
LC_ALL=C; export LC_ALL
f=@FILE@
@LOW@@RUN@
list=$(run @PROGRAM@ -l -- "$f" 2>&1); code=$?
text=$(printf '%s\\n' "$list" | sed -n 's/^; Archive created at //p' | head -n 1 | cut -c 1-60)
at=; [ -z "$text" ] || at=$(date -d "$text" +%s 2>/dev/null)
printf 'code=%s\\nat=%s\\n' "$code" "$at"
exit 0"""
_RATE = """\
exec </dev/null
LC_ALL=C; export LC_ALL
said=$(nice -n 19 python3 -I -c '@SAMPLE@' @DIRECTORY@ 2>/dev/null)
printf 'sample=%s\\nend=yes\\n' "$said"
exit 0"""
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
print(written, round((time.monotonic() - begun) * 1e6))
"""


@dataclass(frozen=True)
class BackupBegan(LongRead, ShellProbe[datetime | None]):
    """When pg_dump began an archive, by its own header, UTC; None where it cannot be told."""

    family = Family.BACKUP

    program: str
    """pg_restore, as it is called."""

    def ask(self) -> str:
        return self._text(_BEGAN, PROGRAM=quoted(self.program))

    def question(self) -> Question:
        return replace(super().question(), timeout_seconds=self.seconds)

    def read(self, reply: Reply) -> datetime | None:
        fields = read_fields(reply.text)
        code, at = whole_number(one(fields, "code"), "an exit status"), one(fields, "at")
        if reply.code != 0:
            raise Unreadable(f"the script ended with {reply.code}")
        return datetime.fromtimestamp(whole_number(at, "a time"), UTC) if code == 0 and at else None


@dataclass(frozen=True)
class WriteRate(ShellProbe[float | None]):
    """Bytes a second that a directory takes, by writing at most `SAMPLE_BYTES` for at most `SAMPLE_SECONDS` to a file
    without a name; None where the host cannot do that."""

    family = Family.SPACE
    timeout_seconds: ClassVar[float] = 20.0

    account: AsAccount
    directory: str

    def ask(self) -> str:
        sample = filled(_SAMPLE, BYTES=str(SAMPLE_BYTES), SECONDS=f"{SAMPLE_SECONDS:g}")
        return self.account.or_login(filled(_RATE, SAMPLE=sample, DIRECTORY=quoted(self.directory)))

    def stdin_secret(self) -> str:
        return self.account.password

    def read(self, reply: Reply) -> float | None:
        fields = read_fields(reply.text)
        if reply.code != 0 or one(fields, "end") != "yes":
            raise Unreadable(f"the script ended with {reply.code}")
        words = one(fields, "sample").split()
        if not words:
            return None
        if len(words) != 2:
            raise Unreadable("no two numbers")
        written, microseconds = (whole_number(word, "a number") for word in words)
        if written <= 0 or microseconds <= 0:
            raise Unreadable("nothing was written in no time")
        return written / microseconds * 1e6
