"""How large a backup will be: what the catalogue says of the data, and how large the earlier backups are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from preflight.probe import Reply, Unreadable
from preflight.probes.fields import one, read_fields, whole_number
from preflight.probes.postgres import Row, SqlProbe, read_rows
from preflight.probes.shell import AsAccount, ShellProbe, quoted
from preflight.probes.storage import as_account_or_login, filled

_NEWEST = 2
_SECONDS = 20.0

# A tablespace's size may be asked by pg_read_all_stats (so by pg_monitor), by who may create in it, and for the
# database's own one; asking for another would end the whole statement with an error.
_CATALOGUE = """\
SELECT pg_database_size(current_database())::text AS database_bytes,
  t.bytes::text AS table_bytes, t.tables::text AS tables,
  coalesce(pg_table_size('pg_catalog.pg_largeobject'), 0)::text AS large_object_bytes,
  (SELECT count(*) FROM pg_largeobject_metadata)::text AS large_objects,
  s.bytes::text AS cluster_bytes, s.hidden::text AS hidden_tablespaces, s.tablespaces::text AS tablespaces,
  ((SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'i', 't', 'm', 'S')) *
   (SELECT count(*) FROM pg_database))::text AS cluster_relations,
  pg_size_bytes(current_setting('wal_segment_size'))::text AS wal_segment_bytes
FROM
  (SELECT coalesce(sum(pg_table_size(c.oid)), 0) AS bytes, count(*) AS tables
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema') t,
  (SELECT sum(CASE WHEN v.visible THEN pg_tablespace_size(v.oid) END) AS bytes,
     count(*) FILTER (WHERE NOT v.visible) AS hidden, count(*) AS tablespaces
   FROM (SELECT p.oid, d.dattablespace = p.oid OR has_tablespace_privilege(p.oid, 'CREATE') OR coalesce(
           (SELECT pg_has_role(r.oid, 'USAGE') FROM pg_roles r WHERE r.rolname = 'pg_read_all_stats'), false)
           AS visible
         FROM pg_tablespace p, pg_database d WHERE d.datname = current_database()) v) s"""

_PREVIOUS = """\
exec </dev/null
LC_ALL=C; export LC_ALL
pattern=@PATTERN@
IFS=
set -- $pattern
stat -L -c '%Y %n' -- "$@" 2>/dev/null | sort -rn | head -n @NEWEST@ | while read -r line; do
  path=${line#* }
  if [ -d "$path" ]; then bytes=$(du -sb -- "$path" 2>/dev/null) || bytes=
    bytes=${bytes%%[!0-9]*}
  else bytes=$(stat -L -c %s -- "$path"); fi
  printf 'backup=%s %s %s\\n' "${line%% *}" "${bytes:-?}" "$path"
done
echo end=yes
exit 0"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What a database and its cluster hold now, in bytes."""

    database_bytes: int
    """With indexes, free space and the catalogue; more than a dump reads."""
    table_bytes: int
    """Heap and TOAST of all user tables, as stored; indexes are in no dump."""
    tables: int
    large_object_bytes: int
    large_objects: int
    cluster_bytes: int | None
    """Of all tablespaces; None where the role may not see one of them."""
    tablespaces: int
    cluster_relations: int
    """Relations with files in all databases, as if each had as many as this one."""
    wal_segment_bytes: int

    @property
    def dumped_bytes(self) -> int:
        """What a dump reads."""
        return self.table_bytes + self.large_object_bytes


@dataclass(frozen=True)
class SizesProbe(SqlProbe[Sizes]):
    """Sizes by the catalogue. CONNECT is enough but for the cluster, which needs pg_monitor."""

    timeout_seconds: ClassVar[float] = _SECONDS

    def ask(self) -> str:
        return _CATALOGUE

    def read(self, reply: Reply) -> Sizes:
        rows = read_rows(reply)
        if len(rows) != 1:
            raise Unreadable(f"{len(rows)} rows, expected one")
        row = rows[0]
        return Sizes(
            database_bytes=_count(row, "database_bytes"),
            table_bytes=_count(row, "table_bytes"),
            tables=_count(row, "tables"),
            large_object_bytes=_count(row, "large_object_bytes"),
            large_objects=_count(row, "large_objects"),
            cluster_bytes=None if _count(row, "hidden_tablespaces") else _count(row, "cluster_bytes"),
            tablespaces=_count(row, "tablespaces"),
            cluster_relations=_count(row, "cluster_relations"),
            wal_segment_bytes=_count(row, "wal_segment_bytes"),
        )


@dataclass(frozen=True, slots=True)
class PreviousBackup:
    """An earlier backup."""

    path: str
    made_at: datetime
    """Last change, UTC."""
    size_bytes: int | None
    """Of a directory, all files below it; None where not all of it can be read."""


@dataclass(frozen=True)
class PreviousBackupsProbe(ShellProbe[tuple[PreviousBackup, ...]]):
    """The two newest backups that a glob names, the newest first; fewer where there are no more to be seen."""

    own_channel: ClassVar[bool] = True  # a backup in directory format may have many files
    timeout_seconds: ClassVar[float] = _SECONDS

    account: AsAccount
    pattern: str

    def ask(self) -> str:
        script = filled(_PREVIOUS, PATTERN=quoted(self.pattern), NEWEST=str(_NEWEST))
        return as_account_or_login(self.account, script)

    def stdin_secret(self) -> str:
        return self.account.password

    def read(self, reply: Reply) -> tuple[PreviousBackup, ...]:
        fields = read_fields(reply.text)
        if reply.code != 0 or one(fields, "end") != "yes":
            raise Unreadable(f"the script ended with {reply.code}: {reply.error[-200:].strip()}")
        return tuple(_previous(line) for line in fields.get("backup", []))


def _count(row: Row, name: str) -> int:
    value = row.get(name)
    if value is None:
        raise Unreadable(f"no {name}")
    return _not_negative(value, name)


def _not_negative(text: str, what: str) -> int:
    number = whole_number(text, what)
    if number < 0:
        raise Unreadable(f"{what} is negative: {number}")
    return number


def _previous(line: str) -> PreviousBackup:
    seconds, _, rest = line.partition(" ")
    size, _, path = rest.partition(" ")
    if not path.startswith("/"):
        raise Unreadable(f"no backup: {line[:60]!r}")
    try:
        made_at = datetime.fromtimestamp(_not_negative(seconds, "a time"), UTC)
    except (OverflowError, OSError, ValueError):
        raise Unreadable(f"no time: {seconds[:20]!r}") from None
    return PreviousBackup(path, made_at, None if size == "?" else _not_negative(size, "a size"))
