"""Questions that read an earlier backup, and about the time one takes: whether it can be read to its end, at the lowest
priority, since only that proves it; when it was begun; and how fast its folder takes what is written to it.

`pg_restore -l` shows a whole table of contents for an archive cut off after one per cent of its length, so the list
tells what the archive is, and the full read that it is there."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

from preflight.plan import BackupFormat, BackupMethod
from preflight.plan.limits import Between
from preflight.plan.work import PlannedBackup
from preflight.probe import Family, Question, Reply, T, Unreadable
from preflight.questions.backups import BackupFile, BackupKind, Listing
from preflight.questions.fields import Count, output_of, read_fields, read_lines, whole_number
from preflight.questions.shell import AccountProbe, AsAccount, Looked, filled, found_program, quoted

PROGRAM_MISSING = 127
"""Exit status, of a shell."""
MOST_NAMES = 10_000
"""Tables of a backup that are told by name."""
_BEGIN = """\
f=@FILE@
low() { if ionice -c 3 true 2>/dev/null; then nice -n 19 ionice -c 3 "$@"; else nice -n 19 "$@"; fi; }
t=; ! timeout 3 true 2>/dev/null || t='timeout -k 5 @SECONDS@'
"""
_RUN_AS_LOGIN = 'run() { low $t "$@" </dev/null; }'
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
class LongRead(AccountProbe[T]):
    """Reads a backup, for at most so many seconds."""

    family = Family.BACKUP
    own_channel: ClassVar[bool] = True
    path: str
    seconds: float
    state: str = field(default="", kw_only=True)
    """Of the file as it was listed (`BackupFile.state`). It stands in the text, so that another state of the file is
    another question."""

    def question(self) -> Question:
        return replace(super().question(), timeout_seconds=self.seconds)

    def _text(self, script: str, **values: str) -> str:
        # The session's own limit comes first, and says that it was the time.
        values |= {"FILE": quoted(self.path), "ACCOUNT": self.account.word}
        values |= {"SECONDS": f"{math.ceil(self.seconds) + 5}", "NAMES": str(MOST_NAMES)}
        listed = f"# as listed: {self.state}\n" if self.state else ""
        return filled(f"{listed}{_BEGIN}{script}", **values)


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
        run = _RUN_AS_LOGIN if self.account.is_login else run
        found = found_program(self.program, self.account)
        return self._text(f"LC_ALL=C; export LC_ALL\n{found}\n{run}\n{self.script}\nexit 0", CALL=self.call)


@dataclass(frozen=True, slots=True)
class ArchiveRead:
    """What pg_restore made of an archive."""

    list_code: int
    code: int
    """Exit status of the full read, or of the listing where that failed."""
    said: str
    """Its complaint; empty when there was none."""
    database: str
    server: str
    """`Dumped from database version`, the first word."""
    tables: int
    """Tables whose data is in it."""
    entry: tuple[str, ...] = ()
    """Of these, at most `MOST_NAMES`: schema, name and owner with blanks between."""
    text_bytes: Count = 0
    """Of the SQL that it is put back with; 0 where it was not read."""
    created: str = ""
    """When it was begun, `2026-10-16 22:00:01` by the clock of whoever dumped, in a zone that it does not tell."""

    @property
    def names(self) -> frozenset[str]:
        """Schema and name with a blank between; where one of them holds blanks, others beside."""
        words = [each.split(" ") for each in self.entry]
        return frozenset(" ".join(each[:count]) for each in words for count in range(2, len(each)))

    @property
    def listed(self) -> bool:
        return self.list_code == 0

    @property
    def is_whole(self) -> bool:
        """It was read to its end, and ends where it should."""
        return self.code == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRead(Looked):
    """What came of reading SQL text, compressed or not, to its end."""

    readable: bool
    code: int = 0
    """Exit status of what read it."""
    said: str = ""
    text_bytes: int = 0
    """Unpacked."""
    first_line: str = ""
    """The first line by which pg_dump or pg_dumpall says what it writes; empty for other text."""
    holds_archive: bool = False
    """Unpacked, it is no text: an archive for pg_restore, or encrypted."""
    complete: bool = False
    """It ends as what began it ends, with the first line and `complete` (since the minor releases of 2025 others may
    follow): of a whole cluster's dump, the end of one database is none."""
    server: str = ""
    databases: Mapping[str, int] = field(default_factory=dict)
    """Name -> COPY and INSERT commands after its `\\connect`; most dumps of pg_dump have none."""
    tables_before: int = 0
    """COPY and INSERT commands before any `\\connect`."""
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Database (empty before any `\\connect`) -> schema and name of the tables of these commands with a blank between,
    at most `MOST_NAMES`."""
    created: str = ""
    """As of an archive, with its zone's name; empty where that was not told (--verbose)."""

    @property
    def is_whole(self) -> bool:
        """It was read to its end, and ends where it should."""
        return self.readable and self.code == 0 and self.complete

    @property
    def is_closed(self) -> bool:
        """There is no text in it, or its unpacker is missing: it may well be whole."""
        return self.holds_archive or self.code == PROGRAM_MISSING

    @property
    def of_cluster(self) -> bool:
        """It is pg_dumpall's."""
        return self.first_line == "-- PostgreSQL database cluster dump"

    @property
    def database(self) -> str:
        """Of its first `\\connect`."""
        return next(iter(self.databases), "")

    @property
    def tables(self) -> int:
        return self.tables_before + sum(self.databases.values())


@dataclass(frozen=True, slots=True)
class Verified:
    """What pg_verifybackup said of a base backup (every file against the manifest, and the WAL it needs), or the plan's
    own command of a backup."""

    code: int
    said: str

    @property
    def is_whole(self) -> bool:
        return self.code == 0


_COMMAND = re.compile(r'\d+ (?:COPY|INSERT INTO) ("(?:[^"]|"")+"|[^".]+)\.("(?:[^"]|"")+"|[^"( ]+) .*')


def _table(line: str) -> str:
    """Schema and name of a table, of a COPY or INSERT command; empty for what has none."""
    found = _COMMAND.fullmatch(line)
    words = [word[1:-1].replace('""', '"') if word[0] == '"' else word for word in found.groups()] if found else []
    return " ".join(words)


def connected_to(argument: str) -> str:
    """The database's name in what pg_dump writes after `\\connect` (appendPsqlMetaConnect): the name alone, quoted
    unless it is plain, or a connection string where it holds more than letters, digits, `_` and `.`."""
    word = argument.strip().removeprefix("-reuse-previous=on ")
    if len(word) > 1 and word[0] == word[-1] == '"':
        word = word[1:-1].replace('""', '"')
    quoted_name = re.fullmatch(r"dbname='(.*)'", word)
    return re.sub(r"\\(.)", r"\1", quoted_name[1]) if quoted_name else word


_ARCHIVE = """\
list=$(run "$p" -l -- "$f" 2>&1); code=$?
printf 'list_code=%s\\n' "$code"
printf '%s\\n' "$list" | grep '^; ' | head -n 20 | cut -c 1-300 | sed 's/^; */header=/'
printf '%s\\n' "$list" | sed -n 's/^; Archive created at \\([-0-9]* [:0-9]*\\).*/created=\\1/p' | head -n 1
data=$(printf '%s\\n' "$list" | sed -n 's/^[0-9]*; [0-9]* [0-9]* TABLE DATA /entry=/p')
printf 'tables=%s\\n%s\\n' "$(printf '%s' "$data" | grep -c .)" "$(printf '%s\\n' "$data" | head -n @NAMES@)"
said=$list
[ "$code" -eq 0 ] || printf '%s\\n' "$list" | tail -n 3 >&2
if [ "$code" -eq 0 ]; then
  said=$({ { run "$p" -f - -- "$f" 2>&4; echo "code=$?" >&4; } | wc -c | sed 's/^ */text_bytes=/' >&4; } 4>&1)
  code=$(printf '%s\\n' "$said" | sed -n 's/^code=//p')
  printf '%s\\n' "$said" | grep '^text_bytes='
  said=$(printf '%s\\n' "$said" | grep -v '^code=\\|^text_bytes=')
fi
printf 'code=%s\\nsaid=%s\\n' "$code" "$([ "$code" -eq 0 ] || printf '%s\\n' "$said" | tail -n 1 | cut -c 1-300)\""""
_VERIFY = """\
said=$(run @CALL@ 2>&1); code=$?
said=$([ "$code" -eq 0 ] || printf '%s\\n' "$said" | grep . | head -n 1 | cut -c 1-300)
printf 'code=%s\\nsaid=%s\\n' "$code" "$said\""""
_TEXT = """\
printf 'ran_as=%s\\naccount=%s\\n' "$(id -u)" "$(id -u @ACCOUNT@)"
if [ -r "$f" ]; then echo readable=yes; else echo readable=no; exit 0; fi
{ low $t @READER@ <"$f"; printf '\\npreflight-status %s\\n' "$?"; } | awk '
  $1 == "preflight-status" { code = $2; next }
  { last[NR % 40] = $0; bytes += length($0) + 1 }
  NR <= 200 && begin == "" && /^-- PostgreSQL database (cluster )?dump$/ { begin = $0 }
  NR <= 200 && begin == "" && /^PGDMP|[\\001-\\010\\016-\\037]/ { inner = 1 }
  version == "" && /^-- Dumped from database version [0-9]/ { version = $6 }
  /^\\\\connect / { name[++databases] = substr($0, 10, 200) }
  created == "" && /^-- Started on / { created = substr($0, 15, 60) }
  /^COPY .* FROM stdin;$/ || /^INSERT INTO / {
    tables[databases + 0]++
    line = databases + 0 " " substr($0, 1, 300)
    sub(/ (VALUES|\\().*/, " ", line)
    if (!(line in into) && ++names <= @NAMES@) into[line]
  }
  END {
    for (line in last) if (begin != "" && last[line] == begin " complete") complete = 1
    printf "code=%s\\ntext_bytes=%.0f\\nfirst_line=%s\\nholds_archive=%d\\n", code, bytes, begin, inner
    printf "server=%s\\ncreated=%s\\ncomplete=%d\\ntables_before=%d\\n", version, created, complete, tables[0]
    for (line in into) printf "into=%s\\n", line
    for (n = 1; n <= databases && n <= @MOST@; n++) printf "database=%d %s\\n", tables[n], name[n]
  }'"""
_READERS = {BackupKind.TEXT: "cat"} | {
    kind: f"{kind} -dc" for kind in (BackupKind.GZIP, BackupKind.BZIP2, BackupKind.XZ, BackupKind.ZSTD)
}


class ReadArchive(ProgramRead[ArchiveRead]):
    """Lists an archive of pg_dump with pg_restore, and reads all of it."""

    script = _ARCHIVE

    def may_be_kept(self, reply: Reply) -> bool:
        """A read that failed is tried again: it may have been for want of a program, a right or time."""
        return bool(self.state) and self.read(reply).is_whole

    def read(self, reply: Reply) -> ArchiveRead:
        fields = read_fields(output_of(reply))
        lines = (line.partition(":") for line in fields.pop("header", []))
        header = {"dbname": "", "Dumped from database version": "", **{name: value.strip() for name, _, value in lines}}
        server = header["Dumped from database version"].partition(" ")[0]
        found = read_lines(ArchiveRead, fields, database=header["dbname"], server=server)
        if found.is_whole and not found.listed:
            raise Unreadable("the full read ends well where the listing did not")
        if found.listed and not (found.database and server):
            raise Unreadable("the table of contents does not say what was dumped")
        return found


@dataclass(frozen=True)
class Verify(ProgramRead[Verified]):
    """Has a backup verified: a base backup by pg_verifybackup, against its manifest; any by the plan's own command."""

    script = _VERIFY
    words: tuple[str, ...]
    """What the program gets."""

    @property
    def call(self) -> str:  # type: ignore[override]
        return " ".join(['"$p"', *map(quoted, self.words)])

    def may_be_kept(self, reply: Reply) -> bool:
        return bool(self.state) and self.read(reply).code == 0

    def read(self, reply: Reply) -> Verified:
        return read_lines(Verified, reply)


@dataclass(frozen=True)
class ReadText(LongRead[TextRead]):
    """Reads SQL text to its end, unpacking it on the way; its size before and after costs nothing more."""

    kind: BackupKind

    def ask(self) -> str:
        return self.account.or_login(self._text(_TEXT, READER=_READERS[self.kind], MOST="1000"))

    def may_be_kept(self, reply: Reply) -> bool:
        read = self.read(reply)
        return bool(self.state) and read.readable and read.code == 0

    def read(self, reply: Reply) -> TextRead:
        fields = read_fields(output_of(reply))
        if fields.get("readable") == ["no"]:
            return read_lines(TextRead, fields)
        databases: Counter[str] = Counter()
        connected = [""]
        for line in fields.pop("database", []):
            tables, _, argument = line.partition(" ")
            connected.append(connected_to(argument))
            databases[connected[-1]] += whole_number(tables)
        into = [(connected[int(line.partition(" ")[0])], _table(line)) for line in fields.pop("into", [])]
        names = {name: frozenset(table for held, table in into if held == name and table) for name in connected}
        said = " ".join(reply.error.split())[:300]
        return read_lines(TextRead, fields, complete=True, said=said, databases=databases, names=names)


def read_in_full(planned: PlannedBackup, listing: Listing, file: BackupFile) -> LongRead[Any] | None:
    """The question that reads `file` to its end, as the account that takes the backup; None for what nothing reads."""
    backup, kind = planned.backup, file.kind
    place = planned.host.id, AsAccount.of(planned), file.path, backup.read_within.total_seconds()
    if kind is BackupKind.UNREADABLE and not listing.as_account and backup.method is BackupMethod.PG_DUMP:
        # Only the account itself may look into it: by the plan's word. A plain dump may be compressed in any way.
        kind = BackupKind.UNREADABLE if backup.format is BackupFormat.PLAIN else BackupKind(backup.format)
    if kind.is_archive:
        return ReadArchive(*place, planned.program("pg_restore"), state=file.state)
    if kind is BackupKind.BASE:
        return Verify(*place, planned.program("pg_verifybackup"), ("-q", "-e", "--", file.path))
    return ReadText(*place, kind, state=file.state) if kind in _READERS else None


def verify_by_plan(planned: PlannedBackup, file: BackupFile) -> Verify | None:
    """The plan's own command for what may turn out to be readable by nothing here."""
    readable = file.kind.is_archive or file.kind in (BackupKind.BASE, BackupKind.FOLDER, BackupKind.EMPTY)
    if not planned.backup.verify or readable:
        return None
    program, *words = (word.replace("{file}", file.path) for word in planned.backup.verify)
    within = planned.backup.read_within.total_seconds()
    return Verify(planned.host.id, AsAccount.of(planned), file.path, within, program, tuple(words), state=file.state)


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
[ -n "$text" ] && t=$(date -d "${text% *}" +%s 2>/dev/null) || exit 0
for s in -3600 -1800 0 1800 3600; do
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
_FILE_IS_MADE_WITHIN = timedelta(seconds=5)


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
            # The moments at which clocks in the zones of this host showed it.
            moments = [shown - offset for offset in told.offset]
        except (ValueError, OverflowError):
            moments = []
        if born and born <= self.changed_at and any(abs(born - each) <= _FILE_IS_MADE_WITHIN for each in moments):
            return born
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
        fields = read_fields(output_of(reply), ended=True)
        if not fields:
            return None
        sample = read_lines(_Sample, fields)
        return sample.written / sample.microseconds * 1e6
