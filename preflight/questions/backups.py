"""Questions about the backups that lie on a host: which are the newest, and what they are by their first bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from preflight.plan.limits import Matches
from preflight.probe import Family, Reply, Unreadable
from preflight.questions.fields import Birth, Count, Mode, output_of, read_fields, read_lines
from preflight.questions.shell import AccountProbe, Looked, filled, fixed_folder, glob_word, quoted

MOST_LISTED = 6
_LIST = """\
folder=@FOLDER@
if [ ! -d "$folder" ]; then echo folder=missing
elif [ -r "$folder" ] && [ -x "$folder" ]; then echo folder=readable; else echo folder=unreadable; fi
printf 'ran_as=%s\\naccount=%s\\nnow=%s\\n' "$(id -u)" "$(id -u @ACCOUNT@)" "$(date +%s)"
printf 'zone_offset=%s\\n' "$(unset TZ; date +%z)"
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
    53616c7465 | 5532467364 | 2d2d2d2d2d) echo unknown ;; # encrypted by openssl, in base64 too, or by gpg or age
    *) if [ "$(od -An -c -j 257 -N 5 <"$1" 2>/dev/null | tr -d ' \\n')" = ustar ]; then echo tar
       elif [ "$(head -c 512 <"$1" | tr -d '\\11-\\15\\40-\\176\\200-\\377' | wc -c)" -eq 0 ]; then echo text
       else echo unknown; fi ;;
  esac; fi
}
[ "$#" -eq 0 ] || ls -dtL -- "$@" | head -n @MOST@ | while IFS= read -r f; do
  # pg_dump writes a directory's table of contents last.
  m=$f; [ ! -e "$f/toc.dat" ] || m=$f/toc.dat
  if [ -d "$f" ]; then b=$(du -sb -- "$f/" 2>/dev/null) || b=
    b=${b%%[!0-9]*}
  else b=$(stat -L -c %s -- "$f"); fi
  s=$(stat -L -c '%W %u %a %d:%i:%s:%.9Y:%.9Z %U' -- "$f")
  printf 'backup=%s\\n' "$(stat -L -c %Y -- "$m") ${b:-?} $s $(kind "$f") $f"
done
echo end=yes"""


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
    UNKNOWN = "unknown"
    """Encrypted, or packed in a way that is not known here."""
    EMPTY = "empty"
    UNREADABLE = "unreadable"

    @property
    def is_archive(self) -> bool:
        return self in (BackupKind.CUSTOM, BackupKind.DIRECTORY, BackupKind.TAR)


_FOLDERS = (BackupKind.DIRECTORY, BackupKind.BASE, BackupKind.BASE_TAR, BackupKind.FOLDER)


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One backup: a file, or a folder."""

    words: ClassVar = ("changed_at", "size_bytes", "born_at", "uid", "mode", "stat", "owner", "kind", "path")

    path: str
    kind: BackupKind
    size_bytes: Count | None
    """Of a folder, all files below it; None where not all of it can be seen."""
    changed_at: datetime
    uid: int
    owner: str
    mode: Mode
    stat: str
    """Device, inode, size, and the times of the last change of content and of status, as stat(1) tells them."""
    born_at: Birth | None = None
    """When the file or folder was made; None where its file system or its host's stat does not tell."""

    @property
    def identity(self) -> str:
        """Device and inode: equal for two names of one file."""
        return ":".join(self.stat.split(":")[:2])

    @property
    def state(self) -> str:
        """Equal as long as it is the very same file; empty for a folder, whose files may change without it, and where
        the host does not tell."""
        told = re.fullmatch(r"(\d+:){3}\d+\.\d+:\d+\.\d+", self.stat)
        return self.stat if told and self.kind not in _FOLDERS else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Looked):
    """The newest backups that match a pattern."""

    backups: tuple[BackupFile, ...]
    """Newest first, each file once, at most `MOST_LISTED`."""
    count: int
    """How many names match."""
    dangling: int
    """How many of them lead to nothing that whoever looked can see: links to nothing, or into a closed folder."""
    folder: Annotated[str, Matches("readable|unreadable|missing", "what can be seen of a folder")]
    """The pattern's, for whoever looked."""
    now: datetime
    """By the host's clock."""
    zone_offset: timedelta = timedelta()
    """Of the host's zone from UTC."""

    def age(self, backup: BackupFile) -> timedelta:
        """When it was last changed, by the host's own clock."""
        return self.now - backup.changed_at


@dataclass(frozen=True)
class PreviousBackups(AccountProbe[Listing]):
    """Lists the newest matches of a glob, as the account that takes the backups."""

    family = Family.BACKUP
    timeout_seconds: ClassVar[float] = 20.0
    pattern: str

    def ask(self) -> str:
        words = {"FOLDER": quoted(fixed_folder(self.pattern)), "GLOB": glob_word(self.pattern)}
        return self.account.or_login(filled(_LIST, **words, ACCOUNT=self.account.word, MOST=str(MOST_LISTED)))

    def read(self, reply: Reply) -> Listing:
        if "\nodd=yes" in reply.text:
            raise Unreadable("a name that matches holds a control character")
        fields = read_fields(output_of(reply), ended=True)
        found = read_lines(Listing, {"backups": fields.pop("backup", []), **fields})
        if found.count > found.dangling and not found.backups:
            raise Unreadable("files match, but none is listed")
        backups = {backup.identity: backup for backup in reversed(found.backups)}.values()
        newest_first = sorted(backups, key=lambda backup: backup.changed_at, reverse=True)
        return replace(found, backups=tuple(newest_first))
