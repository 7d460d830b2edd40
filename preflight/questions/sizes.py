"""What a server's own catalogue says of room: the sizes of a database and its cluster, the directories, how much
write-ahead log is written, and how many tables a full dump holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Annotated, ClassVar

from preflight.plan.limits import Between, Matches
from preflight.probe import Family, Reply, Unreadable
from preflight.questions.fields import Count, read_row, read_rows
from preflight.questions.sql import SqlProbe


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What a database and its cluster hold now, in bytes."""

    database_bytes: Count
    """With indexes, free space and the catalogue; more than a dump reads."""
    table_bytes: Count
    """Heap and TOAST of all user tables, as stored; indexes are in no dump."""
    tables: Count
    large_object_bytes: Count
    large_objects: Count
    cluster_bytes: Count | None
    """Of all tablespaces; None where the role may not see one of them."""
    tablespaces: Count
    cluster_relations: Count
    """Relations with files in all databases, as if each had as many as this one."""
    wal_segment_bytes: Count

    @property
    def dumped_bytes(self) -> int:
        """What a dump reads."""
        return self.table_bytes + self.large_object_bytes


class SizesProbe(SqlProbe[Sizes]):
    """Sizes by the catalogue. CONNECT is enough but for the cluster, which needs pg_read_all_stats."""

    family = Family.SPACE
    timeout_seconds: ClassVar[float] = 20.0

    # A tablespace's size may be asked by pg_read_all_stats (so by pg_monitor), by who may create in it, and for the
    # database's own one; asking for another would end the whole statement with an error.
    text = """\
SELECT pg_database_size(current_database())::text AS database_bytes,
  t.bytes::text AS table_bytes, t.tables::text AS tables,
  coalesce(pg_table_size('pg_catalog.pg_largeobject'), 0)::text AS large_object_bytes,
  (SELECT count(*) FROM pg_largeobject_metadata)::text AS large_objects,
  CASE WHEN s.hidden = 0 THEN s.bytes END::text AS cluster_bytes, s.tablespaces::text AS tablespaces,
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

    def read(self, reply: Reply) -> Sizes:
        return read_row(Sizes, reply)


@dataclass(frozen=True, slots=True)
class DataDirectories:
    """Directories on the server's machine."""

    data: str
    """`data_directory`; empty for a role that is no member of pg_read_all_settings (so not of pg_monitor)."""
    tablespaces: tuple[str, ...] = ()
    """Of tablespaces outside it."""

    @property
    def paths(self) -> tuple[str, ...]:
        """All that can be named; the write-ahead log first looked for where it lies by default."""
        own = (self.data, str(PurePosixPath(self.data) / "pg_wal")) if self.data else ()
        return tuple(dict.fromkeys((*own, *self.tablespaces)))


@dataclass(frozen=True, slots=True)
class _Directory:
    kind: Annotated[str, Matches("data|tablespace", "what a directory is for")]
    path: Annotated[str, Matches(r"[^\n\0]*", "a path without a line break")]


class DataDirectoriesProbe(SqlProbe[DataDirectories]):
    """Asks pg_settings: for a role without the right it has no such row, where current_setting() is an error."""

    text = """\
SELECT 'data' AS kind, setting AS path FROM pg_settings WHERE name = 'data_directory'
UNION ALL SELECT 'tablespace', pg_tablespace_location(oid) FROM pg_tablespace
ORDER BY kind, path"""

    def read(self, reply: Reply) -> DataDirectories:
        rows = read_rows(_Directory, reply)
        data = "".join(row.path for row in rows if row.kind == "data")
        if data and not data.startswith("/"):
            raise Unreadable(f"data_directory is {data[:60]!r}")
        # The two standard tablespaces have no place of their own.
        outside = (row.path for row in rows if row.kind == "tablespace" and row.path.startswith("/"))
        return DataDirectories(data, tuple(outside))


@dataclass(frozen=True, slots=True)
class WalRate:
    """Write-ahead log since the statistics began."""

    seen_at: datetime
    """By the server's clock, UTC."""
    bytes: Count
    seconds: Annotated[int, Between(1)]
    most_bytes: Count
    """`max_wal_size`: about so much stays on disk while nothing holds it back."""
    held: bool
    """Something holds it back: a slot that nobody reads, or an archive command that fails."""

    def growth(self, time: timedelta) -> int:
        """Bytes that it may grow by in so much time, at the rate it had."""
        written = int(self.bytes / self.seconds * max(time.total_seconds(), 0))
        return written if self.held else min(written, self.most_bytes)


class WalRateProbe(SqlProbe[WalRate | None]):
    """Asks pg_stat_wal, which every role may read; None from a server before PostgreSQL 14, which has no such view."""

    family = Family.SPACE
    # A server that keeps WAL back does so for an archive that fails or a slot.
    text = """\
SELECT extract(epoch FROM now())::bigint::text AS seen_at, wal_bytes::bigint::text AS bytes,
  greatest(extract(epoch FROM now() - greatest(stats_reset, pg_postmaster_start_time())), 1)::bigint::text AS seconds,
  pg_size_bytes(current_setting('max_wal_size'))::text AS most_bytes,
  (EXISTS (SELECT FROM pg_replication_slots WHERE NOT active) OR coalesce(
    (SELECT last_failed_time > coalesce(last_archived_time, '-infinity') FROM pg_stat_archiver), false))::text AS held
FROM pg_stat_wal"""

    def read(self, reply: Reply) -> WalRate | None:
        if reply.code and reply.error.startswith("42P01"):  # undefined_table
            return None
        return read_row(WalRate, reply)


@dataclass(frozen=True, slots=True)
class LiveTables:
    version_num: int
    """`server_version_num`."""
    count: int
    """Tables of its own: none of the system's, none that an extension brought, no temporary ones."""


class LiveTablesProbe(SqlProbe[LiveTables]):
    """CONNECT is enough for it."""

    text = """\
SELECT current_setting('server_version_num') AS version_num, count(*)::text AS count
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"""

    def read(self, reply: Reply) -> LiveTables:
        return read_row(LiveTables, reply)
