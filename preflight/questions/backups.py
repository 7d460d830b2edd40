"""Questions about the backups that lie on a host: which are the newest, and what they are by their first bytes; and how
one is read, for minutes, at the lowest priority."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Self, cast

from preflight.plan.limits import Matches
from preflight.plan.work import PlannedBackup
from preflight.probe import Family, Question, Reply, T, Unreadable
from preflight.questions import shell
from preflight.questions.fields import Birth, Count, Mode, output_of, read_fields, read_lines

MOST_LISTED = 6
MOST_NAMES = 10_000
"""Tables of a backup that are told by name."""
_FILE_IS_MADE_WITHIN = timedelta(seconds=5)
"""Of the time that pg_dump writes into an archive's header."""
PARTS_WITHIN = timedelta(minutes=10)
"""Files that follow each other faster are parts of one backup."""
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
    else case $(ls "$1/" 2>/dev/null) in *base.tar*) echo base-tar ;; *) echo folder ;; esac; fi
  elif [ ! -s "$1" ]; then echo empty
  else case $(od -An -tx1 -N 5 <"$1" | tr -d ' \\n') in
    5047444d50) echo custom ;; 1f8b*) echo gzip ;; 425a68*) echo bzip2 ;; fd377a585a) echo xz ;; 28b52ffd*) echo zstd ;;
    53616c7465 | 5532467364 | 2d2d2d2d2d) echo unknown ;; # encrypted by openssl, in base64 too, or by gpg or age
    *) if [ "$(od -An -c -j 257 -N 5 <"$1" 2>/dev/null | tr -d ' \\n')" = ustar ]; then
         if [ "$(head -c 8 <"$1" | tr -d '\\0')" = toc.dat ]; then echo tar; else echo unknown; fi # else not pg_dump's
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

OTHER_SHAPE = (AttributeError, LookupError, OverflowError, StopIteration, TypeError, ValueError)
"""What JSON of another shape raises where it is taken apart."""


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
    PART = "part"
    """One of several files into which a backup was split."""
    MANAGED = "managed"
    """In the repository of pgBackRest or Barman."""
    UNKNOWN = "unknown"
    """Encrypted, or packed in a way that is not known here."""
    EMPTY = "empty"
    UNREADABLE = "unreadable"

    @property
    def is_archive(self) -> bool:
        return self in (BackupKind.CUSTOM, BackupKind.DIRECTORY, BackupKind.TAR)

    @property
    def is_packed_text(self) -> bool:
        """It is text when it is unpacked, or anything else."""
        return self in (BackupKind.GZIP, BackupKind.BZIP2, BackupKind.XZ, BackupKind.ZSTD)


def is_begun_at_birth(born: datetime, shown: datetime, offsets: Iterable[timedelta]) -> bool:
    """Whether a backup was begun when its file was made: at `born` a clock so far ahead of UTC showed its `shown`."""
    return any(abs(born - (shown - offset)) <= _FILE_IS_MADE_WITHIN for offset in offsets)


_FOLDERS = (BackupKind.DIRECTORY, BackupKind.BASE, BackupKind.BASE_TAR, BackupKind.FOLDER)
_UNMARKED = (BackupKind.TEXT, BackupKind.PART, BackupKind.UNKNOWN)
"""What nothing at its beginning tells from the middle of another file."""


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

    @classmethod
    def in_repository(cls, label: str, size_bytes: Count, ended: datetime, begun: datetime | None) -> Self:
        """`begun`: None where it is no measure of how long a full one takes."""
        return cls(label, BackupKind.MANAGED, size_bytes, ended, 0, "", Mode(0), label, cast(Birth | None, begun))

    @property
    def identity(self) -> str:
        """Device and inode: equal for two names of one file."""
        return ":".join(self.stat.split(":")[:2])

    @property
    def state(self) -> str:
        """Equal as long as it is the same file; empty where none is told, and for a folder or one part of several."""
        told = re.fullmatch(r"(\d+:){3}\d+\.\d+:\d+\.\d+", self.stat)
        return self.stat if told and self.kind not in (*_FOLDERS, BackupKind.PART) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What pgBackRest or Barman says of what it keeps; WAL by the names of segments, empty for none."""

    problem: str = ""
    """Why nothing of it can be restored, in its words."""
    closed: bool = False
    """It could not be looked into."""
    system_identifier: str = ""
    """Of the server it saves; empty where it does not tell."""
    fault: str = ""
    """Of the newest backup."""
    failed: str = ""
    """A later one that came to nothing."""
    begin_wal: str = ""
    end_wal: str = ""
    """Between these the newest backup needs all of it."""
    first_wal: str = ""
    last_wal: str = ""
    """Between these it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(shell.Looked):
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
    repository: Repository | None = None
    """Of what pgBackRest or Barman keeps."""

    @classmethod
    def told(cls, backups: tuple[BackupFile, ...], now: datetime, repository: Repository) -> Self:
        """By a program, which ran as the account itself."""
        found = cls(ran_as=0, account=0, backups=backups, count=len(backups), dangling=0, folder="readable", now=now)
        return replace(found, repository=repository)

    def age(self, backup: BackupFile) -> timedelta:
        """When it was last changed, by the host's own clock."""
        return self.now - backup.changed_at


@dataclass(frozen=True)
class PreviousBackups(shell.AccountProbe[Listing]):
    """Lists the newest matches of a glob, as the account that takes the backups."""

    family = Family.BACKUP
    timeout_seconds: ClassVar[float] = 20.0
    pattern: str

    def ask(self) -> str:
        words = {"FOLDER": shell.quoted(shell.fixed_folder(self.pattern)), "GLOB": shell.glob_word(self.pattern)}
        return self.account.or_login(shell.filled(_LIST, **words, ACCOUNT=self.account.word, MOST=str(MOST_LISTED)))

    def read(self, reply: Reply) -> Listing:
        if "\nodd=yes" in reply.text:
            raise Unreadable("a name that matches holds a control character")
        fields = read_fields(output_of(reply))
        found = read_lines(Listing, {"backups": fields.pop("backup", []), **fields}, repository=None)
        if found.count > found.dangling and not found.backups:
            raise Unreadable("files match, but none is listed")
        backups = {backup.identity: backup for backup in reversed(found.backups)}.values()
        newest_first = sorted(backups, key=lambda backup: backup.changed_at, reverse=True)
        return replace(found, backups=tuple(_put_together(newest_first)))


def _put_together(newest_first: Iterable[BackupFile]) -> list[BackupFile]:
    """Each backup once: of one that is split, its newest part, without a size, as not all of them are listed."""
    found: list[BackupFile] = []
    for file in newest_first:
        if found and _are_parts(found[-1], file):
            found[-1] = replace(found[-1], kind=BackupKind.PART, size_bytes=None)
        else:
            found.append(file)
    return found


def _are_parts(later: BackupFile, earlier: BackupFile) -> bool:
    """Names that differ in their last letters or digits alone, changed one after the other; of the parts of a file only
    the first one begins as such a file does."""
    one, other = (re.sub(r"[0-9A-Za-z]{1,3}$", "", file.path) for file in (later, earlier))
    kinds = [file.kind for file in (later, earlier) if file.kind not in _UNMARKED]
    return (
        one == other
        and len(later.path) == len(earlier.path)
        and len(kinds) <= 1
        and not set(kinds) & {*_FOLDERS, BackupKind.EMPTY, BackupKind.UNREADABLE}
        and later.changed_at - earlier.changed_at < PARTS_WITHIN
    )


_BEGIN = """\
f=@FILE@
low() { if ionice -c 3 true 2>/dev/null; then nice -n 19 ionice -c 3 "$@"; else nice -n 19 "$@"; fi; }
t=; ! timeout 3 true 2>/dev/null || t='timeout -k 5 @SECONDS@'
"""
# The processor time is limited too: where sudo lists single programs, nobody but root can end them from outside.
_RUN_WITHOUT_PROMPT = """\
ulimit -t @SECONDS@
sudo -k -n -l -u @ACCOUNT@ -- $t @CALL@ >/dev/null 2>&1 </dev/null || t=
run() { low sudo -k -n -u @ACCOUNT@ -- $t "$@" </dev/null; }"""
_RUN_WITH_PASSWORD = """\
ulimit -t @SECONDS@
IFS= read -r secret
run() { printf '%s\\n' "$secret" | low sudo -S -k -p '' -u @ACCOUNT@ -- "$@"; }"""


@dataclass(frozen=True)
class LongRead(shell.AccountProbe[T]):
    """Reads a backup, for at most so many seconds."""

    family = Family.BACKUP
    own_channel: ClassVar[bool] = True
    path: str
    seconds: float
    state: str = field(default="", kw_only=True)
    """Of the file as listed (`BackupFile.state`). It stands in the text: another state is another question."""

    def question(self) -> Question:
        return replace(super().question(), timeout_seconds=self.seconds)

    def _text(self, script: str, **values: str) -> str:
        # The session's own limit comes first, and says that it was the time.
        values |= {"FILE": shell.quoted(self.path), "ACCOUNT": self.account.word}
        values |= {"SECONDS": f"{math.ceil(self.seconds) + 5}", "NAMES": str(MOST_NAMES)}
        listed = f"# as listed: {self.state}\n" if self.state else ""
        return shell.filled(f"{listed}{_BEGIN}{script}", **values)


@dataclass(frozen=True)
class ProgramRead(LongRead[T]):
    """Reads it with a program, as the account; one of PostgreSQL's where it lies, PATH or not."""

    script: ClassVar[str]
    """Calls the program as `run "$p"`."""
    call: ClassVar[str] = '"$p" -l -- "$f"'
    """One call of it, for which sudo is asked whether it may be limited in time."""
    program: str

    def ask(self) -> str:
        run = _RUN_WITH_PASSWORD if self.account.password else _RUN_WITHOUT_PROMPT
        run = 'run() { low $t "$@" </dev/null; }' if self.account.is_login else run
        found = shell.found_program(self.program, self.account)
        return self._text(f"LC_ALL=C; export LC_ALL\n{found}\n{run}\n{self.script}\necho end=yes", CALL=self.call)


@dataclass(frozen=True)
class RepositoryProbe(ProgramRead[Listing]):
    """Asks the program of a repository for its backups of one server."""

    name: str
    """What the program calls the server."""
    options: tuple[str, ...]

    @classmethod
    def of(cls, planned: PlannedBackup) -> Self:
        backup, account = planned.backup, shell.AsAccount.of(planned)
        within, program = backup.read_within.total_seconds(), planned.program(backup.method)
        return cls(planned.host.id, account, "", within, program, backup.known_as, planned.asking_options)

    def read(self, reply: Reply) -> Listing:
        fields = read_fields(output_of(reply))
        try:
            now = datetime.fromtimestamp(int(fields["now"][0]), UTC)
            return self.listing({name: lines[0].strip() for name, lines in fields.items()}, now, reply.error.strip())
        except OTHER_SHAPE as error:
            raise Unreadable(f"no answer of {self.program}: {error}") from None

    def listing(self, told: Mapping[str, str], now: datetime, error: str) -> Listing:
        """Of JSON by its names, `error` where there is none. Raises one of `OTHER_SHAPE`."""
        raise NotImplementedError
