"""Questions about the backups that lie on a host: which are the newest, and what they are by their first bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from preflight.probe import Family, Reply, Unreadable
from preflight.probes.fields import one, read_fields, whole_number
from preflight.probes.shell import AsAccount, ShellProbe, filled, quoted

MOST_LISTED = 6

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
  printf 'backup=%s\\n' "$(stat -L -c %Y -- "$m") ${b:-?} $(stat -L -c '%u %a %d:%i %U' -- "$f") $(kind "$f") $f"
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


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One backup: a file, or a folder."""

    path: str
    kind: BackupKind
    size_bytes: int | None
    """Of a folder, all files below it; None where not all of it can be seen."""
    changed_at: datetime
    """UTC."""
    uid: int
    owner: str
    mode: int
    identity: str
    """Equal for two names of one file."""

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


@dataclass(frozen=True)
class PreviousBackups(ShellProbe[Listing]):
    """Lists the newest matches of a glob, as the account that takes the backups."""

    family = Family.BACKUP
    timeout_seconds: ClassVar[float] = 20.0

    account: AsAccount
    pattern: str

    def ask(self) -> str:
        script = filled(
            _LIST,
            FOLDER=quoted(fixed_folder(self.pattern)),
            GLOB=glob_word(self.pattern),
            ACCOUNT="" if self.account.is_login else quoted(self.account.account),
            MOST=str(MOST_LISTED),
        )
        return self.account.or_login(script)

    def stdin_secret(self) -> str:
        return self.account.password

    def read(self, reply: Reply) -> Listing:
        fields = read_fields(reply.text)
        if "odd" in fields:
            raise Unreadable("a name that matches holds a control character")
        folder, account = one(fields, "folder"), one(fields, "account")
        if reply.code != 0 or one(fields, "end") != "yes" or folder not in ("readable", "unreadable", "missing"):
            raise Unreadable(f"the listing ended with {reply.code}")
        backups = {backup.identity: backup for backup in reversed([_backup(line) for line in fields.get("backup", [])])}
        count = whole_number(one(fields, "count"), "a count")
        dangling = whole_number(one(fields, "dangling"), "a count")
        if count > dangling and not backups:
            raise Unreadable("files match, but none is listed")
        uid = whole_number(account, "a user id") if account else -1
        return Listing(
            tuple(sorted(backups.values(), key=lambda backup: backup.changed_at, reverse=True)),
            count,
            dangling,
            folder,
            whole_number(one(fields, "ran_as"), "a user id") == uid,
            uid,
            _moment(one(fields, "now")),
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


def _backup(line: str) -> BackupFile:
    parts: Sequence[str] = line.split(" ", 7)
    if len(parts) != 8 or not re.fullmatch(r"[0-7]{1,5}", parts[3]):
        raise Unreadable(f"no line about a backup: {line[:60]!r}")
    changed, size, uid, mode, identity, owner, kind, path = parts
    try:
        known = BackupKind(kind)
    except ValueError:
        raise Unreadable(f"an unknown kind of backup: {kind[:20]!r}") from None
    return BackupFile(
        path,
        known,
        None if size == "?" else _not_negative(size),
        _moment(changed),
        whole_number(uid, "a user id"),
        owner,
        int(mode, 8),
        identity,
    )


def _not_negative(size: str) -> int:
    number = whole_number(size, "a size")
    if number < 0:
        raise Unreadable(f"a size is negative: {number}")
    return number


def _moment(seconds: str) -> datetime:
    try:
        return datetime.fromtimestamp(whole_number(seconds, "a time"), UTC)
    except (OverflowError, OSError, ValueError):
        raise Unreadable(f"no time: {seconds[:20]!r}") from None
