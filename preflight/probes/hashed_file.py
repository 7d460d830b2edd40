"""A question about one file of a host: what it is, and its SHA-256, computed there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from preflight.probe import Family, Reply, Unreadable
from preflight.probes.fields import Mode, read_lines
from preflight.probes.shell import FIND_HASH_TOOL, ShellProbe, filled, quoted

_ASK = """\
exec </dev/null
LC_ALL=C; export LC_ALL
f=@FILE@
if [ -f "$f" ]; then :; elif [ -e "$f" ]; then echo state=other; exit 0; else
  p=$f; while [ ! -d "$p" ]; do p=${p%/*}; p=${p:-/}; done
  if [ -x "$p" ]; then echo state=missing; else printf 'state=hidden\\nbehind=%s\\n' "$p"; fi
  exit 0
fi
stat -L -c 'size_bytes=%s
changed_at=%Y
mode=%a
owner=%U' -- "$f"
if [ ! -r "$f" ]; then echo state=unreadable; exit 0; fi
echo state=file
@FIND_TOOL@[ -n "$tool" ] || { echo sha256=; exit 0; }
h=$($tool <"$f") || h=
printf 'sha256=%s\\n' "${h%%[!0-9a-f]*}"
exit 0"""


class FileState(StrEnum):
    FILE = "file"
    MISSING = "missing"
    OTHER = "other"
    """A folder, or no file at all."""
    UNREADABLE = "unreadable"
    HIDDEN = "hidden"
    """The login may not look into a folder on the way."""


@dataclass(frozen=True, slots=True)
class HashedFile:
    state: FileState
    sha256: str = ""
    size_bytes: int = 0
    changed_at: datetime | None = None
    """UTC."""
    owner: str = ""
    mode: Mode = field(default=Mode(0))
    behind: str = ""
    """The folder that cannot be entered."""


@dataclass(frozen=True)
class HashedFileProbe(ShellProbe[HashedFile]):
    """One file, as the host's login sees it."""

    family = Family.SCRIPTS
    own_channel: ClassVar[bool] = True
    timeout_seconds: ClassVar[float] = 60.0

    path: str

    def ask(self) -> str:
        return filled(_ASK, FILE=quoted(self.path), FIND_TOOL=FIND_HASH_TOOL)

    def read(self, reply: Reply) -> HashedFile:
        found = read_lines(HashedFile, reply)
        if found.state in (FileState.FILE, FileState.UNREADABLE) and found.changed_at is None:
            raise Unreadable("a file without its size and permissions")
        if found.state is FileState.FILE and not re.fullmatch(r"[0-9a-f]{64}", found.sha256):
            raise Unreadable("the file could not be hashed: no openssl, sha256sum or shasum, or an error of its disk")
        return found
