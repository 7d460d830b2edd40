"""A question about one file of a host: what it is, and its SHA-256, computed there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import ClassVar

from preflight.probe import Family, Reply, Unreadable
from preflight.probes.fields import one, read_fields, whole_number
from preflight.probes.shell import FIND_HASH_TOOL, ShellProbe, filled, quoted

_ASK = """\
exec </dev/null
LC_ALL=C; export LC_ALL
f=@FILE@
if [ -f "$f" ]; then :; elif [ -e "$f" ]; then echo kind=other; exit 0; else
  p=$f; while [ ! -d "$p" ]; do p=${p%/*}; p=${p:-/}; done
  if [ -x "$p" ]; then echo kind=missing; else printf 'kind=hidden\\nbehind=%s\\n' "$p"; fi
  exit 0
fi
printf 'stat=%s\\n' "$(stat -L -c '%s %Y %a %U' -- "$f")"
if [ ! -r "$f" ]; then echo kind=unreadable; exit 0; fi
echo kind=file
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
    mode: int = 0
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
        fields = read_fields(reply.text)
        try:
            state = FileState(one(fields, "kind"))
        except ValueError:
            raise Unreadable(f"kind={one(fields, 'kind')[:20]!r}") from None
        if reply.code != 0:
            raise Unreadable(f"the script ended with {reply.code}")
        if state not in (FileState.FILE, FileState.UNREADABLE):
            return HashedFile(state, behind=next(iter(fields.get("behind", [])), ""))
        sha256 = one(fields, "sha256") if state is FileState.FILE else ""
        if state is FileState.FILE and not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise Unreadable("the file could not be hashed: no openssl, sha256sum or shasum, or an error of its disk")
        size, changed, mode, owner = _stat(one(fields, "stat"))
        return HashedFile(state, sha256, size, datetime.fromtimestamp(changed, UTC), owner, mode)


def _stat(text: str) -> tuple[int, int, int, str]:
    size, changed, mode, owner = (*text.split(" ", 3), "", "", "", "")[:4]
    if not re.fullmatch(r"[0-7]{1,5}", mode):
        raise Unreadable(f"stat says nothing: {text[:40]!r}")
    return whole_number(size, "a size"), whole_number(changed, "a time"), int(mode, 8), owner
