"""Questions about the backups that lie on a host: which are the newest, and what they are by their first bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import zip_longest
from typing import Annotated, ClassVar

from preflight.plan.limits import Matches
from preflight.probe import Family, Reply, Unreadable
from preflight.questions.fields import Count, End, Mode, output_of, read_fields, read_lines
from preflight.questions.shell import AccountProbe, filled, quoted

MOST_LISTED = 6

_STATE = re.compile(r"\d+:\d+:\d+:\d+\.\d+:\d+\.\d+")

_LIST = """\
exec </dev/null
LC_ALL=C; export LC_ALL
folder=@FOLDER@
if [ ! -d "$folder" ]; then echo folder=missing
elif [ -r "$folder" ] && [ -x "$folder" ]; then echo folder=readable; else echo folder=unreadable; fi
printf 'ran_as=%s\\naccount=%s\\nnow=%s\\n' "$(id -u)" "$(id -u @ACCOUNT@)" "$(date +%s)"
set -- @GLOB@
[ -e "$1" ] || [ -h "$1" ] || shift
dangling=0; for f do [ -e "$f" ] || dangling=$((dangling + 1)); done
printf 'count=%s\\ndangling=%s\\n' "$#" "$dangling"
case $* in *[[:cntrl:]]*) echo odd=yes; exit 0 ;; esac
kind() {
  if [ ! -r "$1" ]; then echo unreadable
  elif [ -d "$1" ]; then
    if [ -e "$1/toc.dat" ]; then echo directory; elif [ -e "$1/PG_VERSION" ]; then echo base
    elif [ -e "$1/base.tar" ] || [ -e "$1/base.tar.gz" ]; then echo base-tar; else echo folder; fi
  elif [ ! -s "$1" ]; then echo empty
  else case $(od -An -tx1 -N 5 <"$1" | tr -d ' \\n') in
    5047444d50) echo custom ;; 1f8b*) echo gzip ;; 425a68*) echo bzip2 ;; fd377a585a) echo xz ;; 28b52ffd*) echo zstd ;;
    *) if [ "$(od -An -c -j 257 -N 5 <"$1" 2>/dev/null | tr -d ' \\n')" = ustar ]; then echo tar; else echo text; fi ;;
  esac; fi
}
[ "$#" -eq 0 ] || ls -dtL -- "$@" | head -n @MOST@ | while IFS= read -r f; do
  # pg_dump writes a directory's table of contents last.
  m=$f; [ ! -e "$f/toc.dat" ] || m=$f/toc.dat
  if [ -d "$f" ]; then b=$(du -sb -- "$f/" 2>/dev/null) || b=
    b=${b%%[!0-9]*}
  else b=$(stat -L -c %s -- "$f"); fi
  s=$(stat -L -c '%u %a %d:%i:%s:%.9Y:%.9Z %U' -- "$f")
  printf 'backup=%s\\n' "$(stat -L -c %Y -- "$m") ${b:-?} $s $(kind "$f") $f"
  printf 'born=%s\\n' "$(stat -L -c %W -- "$f")"
done
echo end=yes
exit 0"""


class BackupKind(StrEnum):
    """What a backup is, by its first bytes or by what is in its folder."""

    CUSTOM = "custom"
    DIRECTORY = "directory"
    TAR = "tar"
    TEXT = "text"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTD = "zstd"
    BASE = "base"
    BASE_TAR = "base-tar"
    FOLDER = "folder"
    EMPTY = "empty"
    UNREADABLE = "unreadable"

    @property
    def is_archive(self) -> bool:
        """pg_restore reads it."""
        return self in (BackupKind.CUSTOM, BackupKind.DIRECTORY, BackupKind.TAR)


_FOLDERS = (BackupKind.DIRECTORY, BackupKind.BASE, BackupKind.BASE_TAR, BackupKind.FOLDER)


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One backup: a file, or a folder."""

    words: ClassVar = ("changed_at", "size_bytes", "uid", "mode", "stat", "owner", "kind", "path")

    path: str
    kind: BackupKind
    size_bytes: Count | None
    """Of a folder, all files below it; None where not all of it can be seen."""
    changed_at: datetime
    """UTC."""
    uid: int
    owner: str
    mode: Mode
    stat: str
    """Device, inode, size, and the times of the last change of content and of status, as stat(1) tells them."""
    born_at: datetime | None = None
    """When the file or folder was made, UTC; None where its file system or its host's stat does not tell."""

    @property
    def identity(self) -> str:
        """Device and inode: equal for two names of one file."""
        return ":".join(self.stat.split(":")[:2])

    @property
    def state(self) -> str:
        """Equal as long as it is the very same file; empty for a folder, whose files may change without it, and where
        the host does not tell."""
        return self.stat if self.kind not in _FOLDERS and _STATE.fullmatch(self.stat) else ""

    @property
    def writable_by_others(self) -> bool:
        return bool(self.mode & 0o002)


@dataclass(frozen=True, slots=True)
class Listing:
    """The newest backups that match a pattern."""

    backups: tuple[BackupFile, ...]
    """Newest first, each file once, at most `MOST_LISTED`."""
    count: int
    """How many names match."""
    dangling: int
    """How many of them lead to nothing that whoever looked can see: links to nothing, or into a closed folder."""
    folder: str
    """The pattern's folder: `readable`, `unreadable` or `missing`, for whoever looked."""
    as_account: bool
    """The account itself looked."""
    uid: int
    """User id of the account; -1 when the host does not know it."""
    host_now: datetime
    """By the host's clock, UTC."""

    def age(self, backup: BackupFile) -> timedelta:
        """When it was last changed, by the host's own clock."""
        return self.host_now - backup.changed_at


@dataclass(frozen=True, slots=True)
class _Told:
    folder: Annotated[str, Matches("readable|unreadable|missing", "what can be seen of a folder")]
    ran_as: int
    account: int | None
    now: datetime
    count: int
    dangling: int
    end: End
    backup: tuple[BackupFile, ...] = ()
    born: tuple[str, ...] = ()


@dataclass(frozen=True)
class PreviousBackups(AccountProbe[Listing]):
    """Lists the newest matches of a glob, as the account that takes the backups."""

    family = Family.BACKUP
    timeout_seconds: ClassVar[float] = 20.0

    pattern: str

    def ask(self) -> str:
        script = filled(
            _LIST,
            FOLDER=quoted(fixed_folder(self.pattern)),
            GLOB=glob_word(self.pattern),
            ACCOUNT=self.account.word,
            MOST=str(MOST_LISTED),
        )
        return self.account.or_login(script)

    def read(self, reply: Reply) -> Listing:
        fields = read_fields(output_of(reply))
        if "odd" in fields:
            raise Unreadable("a name that matches holds a control character")
        told = read_lines(_Told, fields)
        listed = [replace(backup, born_at=_born(born)) for backup, born in zip_longest(told.backup, told.born)]
        backups = {backup.identity: backup for backup in reversed(listed)}
        if told.count > told.dangling and not backups:
            raise Unreadable("files match, but none is listed")
        uid = -1 if told.account is None else told.account
        return Listing(
            tuple(sorted(backups.values(), key=lambda backup: backup.changed_at, reverse=True)),
            told.count,
            told.dangling,
            told.folder,
            told.ran_as == uid,
            uid,
            told.now,
        )


def glob_word(pattern: str) -> str:
    """A shell word in which `*`, `?` and `[...]` of plain characters are wild and nothing else means anything.

    Raises ValueError for NUL and newline."""
    parts = re.split(r"(\*|\?|\[!?[A-Za-z0-9_.-]+\])", pattern)
    return "".join(part if number % 2 else quoted(part) for number, part in enumerate(parts) if part)


def fixed_folder(pattern: str) -> str:
    """The folder in which the pattern's first wild part is looked for."""
    fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    return fixed.rpartition("/")[0] or "/"


def _born(seconds: str | None) -> datetime | None:
    """stat(1) prints 0 or a sign where the birth is not known."""
    return datetime.fromtimestamp(int(seconds), UTC) if seconds and seconds.isdecimal() and int(seconds) else None
