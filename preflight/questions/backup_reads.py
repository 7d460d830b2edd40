"""Questions that read an earlier backup to its end, since only that proves that it can be, and tell what it holds.

`pg_restore -l` shows a whole table of contents for an archive cut off after one per cent of its length, so the list
tells what the archive is, and the full read that it is there."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from preflight.plan import BackupFormat, BackupMethod
from preflight.plan.limits import Matches
from preflight.plan.release_plan import grouped
from preflight.plan.work import PlannedBackup
from preflight.probe import Reply, Unreadable
from preflight.questions.backups import BackupFile, BackupKind, Listing, LongRead, PreviousBackups, ProgramRead
from preflight.questions.fields import Count, output_of, read_fields, read_lines, whole_number
from preflight.questions.repositories import BarmanBackups, PgBackRestBackups
from preflight.questions.shell import FIND_HASH_TOOL, NOT_FOUND, AsAccount, Looked, quoted
from preflight.questions.sql import bare_name

_READS_TAR = 18
"""The major version from which on pg_verifybackup does."""
_WORDS_OF_ENTRY = 3
_Begun = Annotated[str, Matches(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.*)?", "when it was begun, or nothing")]


@dataclass(frozen=True, slots=True)
class Held:
    """What a dump holds of one database."""

    tables: int
    """Tables whose data is in it."""
    names: frozenset[str]
    """Of these, at most `MOST_NAMES`: schema and name with a blank between."""
    kinds: frozenset[str]
    """What else is in it, as pg_dump calls it: `TABLE`, `INDEX`, `FK CONSTRAINT`."""
    owners: frozenset[str]
    """Roles that own these tables; of an archive, those of tables whose names hold no blank."""
    others: frozenset[str] = frozenset()
    """All sequences and views that it defines, named alike."""


_NOTHING = Held(0, frozenset(), frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class ArchiveRead:
    list_code: int
    code: int
    """Exit status of the full read, or of the listing where that failed."""
    said: str
    """Its complaint; empty when there was none."""
    database: str
    server: str
    """`Dumped from database version`, the first word."""
    dumped_by: str
    """`Dumped by pg_dump version`, the first word."""
    tables: int
    """Tables whose data is in it."""
    entry: tuple[str, ...] = ()
    """Of these, at most `MOST_NAMES`: schema, name and owner with blanks between."""
    kind: tuple[str, ...] = ()
    """What else is in it, each once: `TABLE`, `INDEX`, `FK CONSTRAINT` and so on, as its table of contents says it."""
    other: tuple[str, ...] = ()
    """Its sequences and views, as `entry`."""
    text_bytes: Count = 0
    """Of the SQL that it is put back with; 0 where it was not read."""
    unended: Count = 0
    """Tables whose data does not end as pg_dump ends it: emptied, or cut off, which pg_restore takes for their end."""
    created: _Begun = ""
    """When it was begun, `2026-10-16 22:00:01` by the clock of whoever dumped, in a zone that it does not tell."""

    @property
    def held(self) -> Held:
        words, others = ([line.split(" ") for line in lines] for lines in (self.entry, self.other))
        owners = frozenset(each[2] for each in words if len(each) == _WORDS_OF_ENTRY)
        return Held(self.tables, _names(words), frozenset(self.kind), owners, _names(others))

    @property
    def listed(self) -> bool:
        return self.list_code == 0

    @property
    def is_whole(self) -> bool:
        """It was read to its end, and ends where it should."""
        return self.code == 0 and not self.unended


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
    dumped_by: str = ""
    databases: tuple[str, ...] = ()
    """Names after its `\\connect`s; most dumps of pg_dump have none."""
    held: Mapping[str, Held] = field(default_factory=dict)
    """By database; empty for what comes before any `\\connect`."""
    roles: tuple[str, ...] = ()
    """Those that it makes, at most `MOST_NAMES`."""
    created: _Begun = ""
    """As of an archive, with its zone's name; empty where that was not told (--verbose)."""

    @property
    def is_whole(self) -> bool:
        """It was read to its end, and ends where it should."""
        return self.readable and self.code == 0 and self.complete

    @property
    def is_closed(self) -> bool:
        """There is no text in it, or its unpacker is missing: it may well be whole."""
        return self.holds_archive or self.code == NOT_FOUND

    @property
    def of_cluster(self) -> bool:
        """It is pg_dumpall's."""
        return self.first_line == "-- PostgreSQL database cluster dump"

    @property
    def database(self) -> str:
        """Of its first `\\connect`."""
        return next(iter(self.databases), "")

    def of(self, database: str) -> Held:
        """What it holds of a database; a dump of a single one seldom names it."""
        names = [database] if self.of_cluster else [database, ""]
        found = [self.held[name] for name in names if name in self.held]
        return max(found, key=lambda held: held.tables, default=_NOTHING)


@dataclass(frozen=True, slots=True)
class Verified:
    """What pg_verifybackup said of a base backup (every file, its WAL too), or the plan's own command of a backup."""

    code: int
    said: str
    major: int | None = None
    """Of pg_verifybackup."""
    identifier: str = ""
    """System identifier of the server whose base backup it is; empty where that is not seen."""
    wal: bool = False
    """The write-ahead log of a base backup in tar format is seen beside it."""

    @property
    def is_whole(self) -> bool:
        return self.code == 0

    @property
    def reads_tar(self) -> bool:
        """Of pg_verifybackup."""
        return self.major is not None and self.major >= _READS_TAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Looked):
    """The SHA-256 that was written down beside a backup, and its own."""

    file: str
    """Where it is written; empty for nowhere."""
    wanted: str
    """Its first word there."""
    sha256: str
    """Of the backup; empty where it was not hashed."""


def connected_to(argument: str) -> str:
    """The database's name in what pg_dump writes after `\\connect` (appendPsqlMetaConnect): the name alone, quoted
    unless it is plain, or a connection string where it holds more than letters, digits, `_` and `.`."""
    word = bare_name(argument.strip().removeprefix("-reuse-previous=on "))
    quoted_name = re.fullmatch(r"dbname='(.*)'", word)
    return re.sub(r"\\(.)", r"\1", quoted_name[1]) if quoted_name else word


_ARCHIVE = """\
list=$(run "$p" -l -- "$f" 2>&1); code=$?
tables=$(printf '%s\\n' "$list" | grep -c '^[0-9]*; [0-9]* [0-9]* TABLE DATA ')
printf 'list_code=%s\\ntables=%s\\n' "$code" "$tables"
printf '%s\\n' "$list" | grep '^; ' | head -n 20 | cut -c 1-300 | sed 's/^; */header=/'
created=$(printf '%s\\n' "$list" | sed -n 's/^; Archive created at \\([-0-9]* [:0-9]*\\).*/\\1/p' | head -n 1)
printf 'created=%s\\n' "$created"
printf '%s\\n' "$list" | awk '/^[0-9]+; [0-9]+ [0-9]+ / {
    sub(/^[0-9]+; [0-9]+ [0-9]+ /, "")
    if (sub(/^TABLE DATA /, "")) { if (++names <= @NAMES@) print "entry=" $0 }
    else if (/^SEQUENCE (SET|OWNED BY) /) next
    else if (/^MATERIALIZED VIEW DATA /) kinds["MATERIALIZED VIEW DATA"]
    else if (sub(/^(SEQUENCE|(MATERIALIZED )?VIEW) /, "")) print "other=" $0
    else if (match($0, /^(TABLE|INDEX|CONSTRAINT|FK CONSTRAINT|FUNCTION|EXTENSION|PUBLICATION|BLOBS|ACL) /))
      kinds[substr($0, 1, RLENGTH - 1)]
  }
  END { for (kind in kinds) print "kind=" kind }'
said=$list
if [ "$code" -ne 0 ]; then
  printf '%s\\n' "$list" | tail -n 3 >&2
  printf 'text_bytes=0\\nunended=0\\n'
else
  # The data of each table ends with \\., which is no row; --inserts has none. Zeros are taken out: they are one line;
  # and long lines are folded: grep keeps a whole one in memory.
  said=$({ { run "$p" -f - -- "$f" 2>&4; echo "code=$?" >&4; } | low tr -d '\\000' | low fold -b -w 8192 |
    low grep -a -b -x -e '\\\\\\.' -e 'COPY .* FROM stdin;' -e '-- PostgreSQL database dump complete' |
    awk -v "tables=$tables" '{ split($0, at, ":"); sub(/^[0-9]*:/, "") }
      /^COPY / { begun = open = 1 }
      open && $0 == "\\\\." { ended++; open = 0 }
      END { printf "text_bytes=%s\\nunended=%d\\n", at[1] + 0 ? at[1] : 0, begun ? tables - ended : 0 }' >&4; } 4>&1)
  code=$(printf '%s\\n' "$said" | sed -n 's/^code=//p')
  printf '%s\\n' "$said" | grep '^text_bytes=\\|^unended='
  said=$(printf '%s\\n' "$said" | grep -v '^code=\\|^text_bytes=\\|^unended=')
fi
printf 'code=%s\\nsaid=%s\\n' "$code" "$([ "$code" -eq 0 ] || printf '%s\\n' "$said" | tail -n 1 | cut -c 1-300)\""""
_VERIFY = """\
said=$(run @CALL@ 2>&1); code=$?
said=$([ "$code" -eq 0 ] || printf '%s\\n' "$said" | grep . | head -n 1 | cut -c 1-300)
printf 'code=%s\\nsaid=%s\\n' "$code" "$said\""""
_UNSEEN = "printf 'major=\\nidentifier=\\nwal=no\\n'\n"
_BASE = """\
printf 'major=%s\\n' "$(run "$p" --version 2>/dev/null | sed 's/[^0-9]*\\([0-9]*\\).*/\\1/')"
control=$(run "${p%pg_verifybackup}pg_controldata" -- "$f" 2>/dev/null)
printf 'identifier=%s\\n' "$(printf '%s\\n' "$control" | sed -n 's/^Database system identifier: *//p')"
case $(ls -- "$f" 2>/dev/null) in *pg_wal.tar*) echo wal=yes ;; *) echo wal=no ;; esac
"""
_TEXT = """\
printf 'ran_as=%s\\naccount=%s\\n' "$(id -u)" "$(id -u @ACCOUNT@)"
if [ -r "$f" ]; then echo readable=yes; else echo readable=no; f=/dev/null; fi
{ low $t @READER@ <"$f"; printf '\\npreflight-status %s\\n' "$?"; } | awk '
  $1 == "preflight-status" { code = $2; next }
  { last[NR % 40] = $0; bytes += length($0) + 1 }
  NR <= 200 && begin == "" && /^-- PostgreSQL database (cluster )?dump$/ { begin = $0 }
  NR <= 200 && begin == "" && /^PGDMP|[\\001-\\010\\016-\\037]/ { inner = 1 }
  version == "" && /^-- Dumped from database version [0-9]/ { version = $6 }
  dumper == "" && /^-- Dumped by pg_dump version [0-9]/ { dumper = $6 }
  /^\\\\connect / { name[++databases] = substr($0, 10, 200) }
  created == "" && /^-- Started on / { created = substr($0, 15, 60) }
  /^CREATE ROLE .*;$/ && ++roles <= @NAMES@ { print "role=" substr($0, 13, length($0) - 13) }
  /^-- (Data for )?Name: .*; Type: .*; Schema: .*; Owner: / {
    kind = $0; sub(/.*; Type: /, "", kind); sub(/; Schema: .*/, "", kind)
    if (kind == "TABLE DATA" && ++tables[databases + 0] && ++names <= @NAMES@) print "into=" databases + 0 " " $0
    else if (kind ~ /^(SEQUENCE|(MATERIALIZED )?VIEW)$/) print "other=" databases + 0 " " $0
    else kinds[databases + 0 " " kind]
  }
  END {
    for (line in last) if (begin != "" && last[line] == begin " complete") complete = 1
    printf "code=%s\\ntext_bytes=%.0f\\nfirst_line=%s\\nholds_archive=%d\\n", code, bytes, begin, inner
    printf "server=%s\\ndumped_by=%s\\ncreated=%s\\ncomplete=%d\\n", version, dumper, created, complete
    for (line in kinds) print "kind=" line
    for (n = 0; n <= databases && n <= @MOST@; n++) printf "database=%d %s\\n", tables[n], name[n]
  }'
echo end=yes"""
_RECORDED = """\
printf 'ran_as=%s\\naccount=%s\\n' "$(id -u)" "$(id -u @ACCOUNT@)"
beside=; for r in "$f.sha256" "$f.sha256sum"; do [ ! -f "$r" ] || { beside=$r; break; }; done
wanted=; sum=
if [ -n "$beside" ]; then
  wanted=$(head -n 1 -- "$beside" 2>/dev/null | cut -c 1-200 | sed 's/^\\\\//; s/[^0-9A-Za-z].*//')
  @FIND_TOOL@
  [ -z "$tool" ] || sum=$(low $t $tool <"$f" 2>/dev/null | cut -d ' ' -f 1)
fi
printf 'file=%s\\nwanted=%s\\nsha256=%s\\n' "$beside" "$wanted" "$sum"
echo end=yes"""
_COMMENT = re.compile(r"-- (?:Data for )?Name: (.*); Type: .*; Schema: (.*); Owner: (.*)")
_VERSIONS = ("from database", "by pg_dump")
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
        header = {name: value.strip() for name, _, value in lines}
        server, dumped_by = (header.get(f"Dumped {by} version", "").partition(" ")[0] for by in _VERSIONS)
        found = read_lines(ArchiveRead, fields, database=header.get("dbname", ""), server=server, dumped_by=dumped_by)
        if found.is_whole and not found.listed:
            raise Unreadable("the full read ends well where the listing did not")
        if found.code == 0 and not found.text_bytes:
            raise Unreadable("how the data of its tables ends was not seen")
        if found.listed and not (found.database and server and found.created):
            raise Unreadable("the table of contents does not say what was dumped, or when")
        return found


@dataclass(frozen=True)
class Verify(ProgramRead[Verified]):
    """Has a backup verified: a base backup by pg_verifybackup, against its manifest; any by the plan's own command."""

    script = _UNSEEN + _VERIFY
    words: tuple[str, ...]
    """What the program gets."""

    @property
    def call(self) -> str:  # type: ignore[override]
        return " ".join(['"$p"', *map(quoted, self.words)])

    def may_be_kept(self, reply: Reply) -> bool:
        return bool(self.state) and self.read(reply).code == 0

    def read(self, reply: Reply) -> Verified:
        return read_lines(Verified, reply)


class VerifyBase(Verify):
    """Has pg_verifybackup hold a base backup against its manifest, and asks pg_controldata of which server it is."""

    script = _BASE + _VERIFY


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
        names, held = list[str](), dict[str, Held]()
        by_line = (fields.pop(name, []) for name in ("into", "kind", "other"))
        by_place = [grouped(lines, lambda line: line.partition(" ")[0]) for lines in by_line]
        for place, line in enumerate(fields.pop("database", [])):
            tables, _, argument = line.partition(" ")
            told = ([line.partition(" ")[2] for line in each.get(str(place), [])] for each in by_place)
            names.append(connected_to(argument))
            held[names[-1]] = _held(whole_number(tables), *told)
        if not names:
            raise Unreadable("what it holds is not told")
        said = " ".join(reply.error.split())[:300]
        roles = tuple(map(bare_name, fields.pop("role", [])))
        return read_lines(TextRead, fields, said=said, databases=tuple(names[1:]), held=held, roles=roles)


def _names(words: Iterable[Sequence[str]]) -> frozenset[str]:
    """Of entries, schema and name; where a name holds blanks, others beside it."""
    return frozenset(" ".join(each[:count]) for each in words for count in range(2, len(each)))


def _held(tables: int, comments: Iterable[str], kinds: Iterable[str], others: Iterable[str]) -> Held:
    """By what pg_dump writes before the data of each table, and before each sequence and view."""
    data, defined = ([match for match in map(_COMMENT.fullmatch, lines) if match] for lines in (comments, others))
    names, named = (frozenset(each.expand(r"\2 \1") for each in found) for found in (data, defined))
    return Held(tables, names, frozenset(kinds), frozenset(each[3] for each in data), named)


@dataclass(frozen=True)
class RecordedSum(LongRead[Recorded]):
    """Hashes a file beside which its SHA-256 was written down, which is no work where there is none; always anew, since
    the file beside it may be another one."""

    def ask(self) -> str:
        return self.account.or_login(self._text(_RECORDED, FIND_TOOL=FIND_HASH_TOOL))

    def read(self, reply: Reply) -> Recorded:
        return read_lines(Recorded, reply)


def earlier_backups(planned: PlannedBackup) -> PreviousBackups | ProgramRead[Listing] | None:
    """The question for the earlier ones, where they are kept; None where the plan names none."""
    backup, kept = planned.backup, planned.kept
    if backup.method is BackupMethod.PGBACKREST:
        return PgBackRestBackups.of(planned)
    if backup.method is BackupMethod.BARMAN:
        return BarmanBackups.of(planned)
    return PreviousBackups(kept.host.id, AsAccount.of(kept), backup.previous) if backup.previous else None


def read_in_full(planned: PlannedBackup, listing: Listing, file: BackupFile) -> LongRead[Any] | None:
    """The question that reads `file` to its end, as the account that takes the backup; None for what nothing reads."""
    if planned.target is None:  # another engine's: SQL text that pg_dump did not write
        return None
    planned, backup, kind = planned.kept, planned.backup, file.kind
    place = planned.host.id, AsAccount.of(planned), file.path, backup.read_within.total_seconds()
    if kind is BackupKind.UNREADABLE and not listing.as_account and backup.method is BackupMethod.PG_DUMP:
        # Only the account itself may look into it: by the plan's word. A plain dump may be compressed in any way.
        kind = BackupKind.UNREADABLE if backup.format is BackupFormat.PLAIN else BackupKind(backup.format)
    if kind.is_archive:
        return ReadArchive(*place, planned.program("pg_restore"), state=file.state)
    if kind in (BackupKind.BASE, BackupKind.BASE_TAR):
        # Of WAL in tar format pg_verifybackup reads nothing.
        skip = ("-n",) if kind is BackupKind.BASE_TAR else ()
        return VerifyBase(*place, planned.program("pg_verifybackup"), ("-q", "-e", *skip, "--", file.path))
    return ReadText(*place, kind, state=file.state) if kind in _READERS else None


def verify_by_plan(planned: PlannedBackup, file: BackupFile) -> Verify | None:
    """The plan's own command for what may turn out to be readable by nothing here."""
    readable = file.kind is BackupKind.EMPTY
    if planned.target is not None:
        readable |= file.kind.is_archive or file.kind in (BackupKind.BASE, BackupKind.FOLDER)
    planned = planned.kept
    if not planned.backup.verify or readable:
        return None
    program, *words = (word.replace("{file}", file.path) for word in planned.backup.verify)
    within = planned.backup.read_within.total_seconds()
    return Verify(planned.host.id, AsAccount.of(planned), file.path, within, program, tuple(words), state=file.state)
