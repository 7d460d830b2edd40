"""What a server's own catalogue says of room: the sizes of a database and its cluster, the directories, how much
write-ahead log is written, and how many tables a full dump holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Annotated, ClassVar

from preflight.plan.limits import Between, Matches
from preflight.probe import Family, Reply, Unreadable
from preflight.questions.fields import Count, read_row, read_rows
from preflight.questions.sql import OWN_SCHEMA, SqlProbe, quote_literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What a database and its cluster hold now, in bytes."""

    database_bytes: Count
    """With indexes, free space and the catalogue; more than a dump reads."""
    table_bytes: Count
    """Heap and TOAST of all user tables, as stored; indexes are in no dump."""
    tables: Count
    largest_table_bytes: Count
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
        return self.table_bytes + self.large_object_bytes


class SizesProbe(SqlProbe[Sizes]):
    """Sizes by the catalogue. CONNECT is enough but for the cluster, which needs pg_read_all_stats."""

    family = Family.SPACE
    timeout_seconds: ClassVar[float] = 20.0

    # A tablespace's size may be asked by pg_read_all_stats (so by pg_monitor), by who may create in it, and for the
    # database's own one; asking for another would end the whole statement with an error.
    text = f"""\
SELECT pg_database_size(current_database())::text AS database_bytes,
  t.bytes::text AS table_bytes, t.tables::text AS tables, t.largest::text AS largest_table_bytes,
  coalesce(pg_table_size('pg_catalog.pg_largeobject'), 0)::text AS large_object_bytes,
  (SELECT count(*) FROM pg_largeobject_metadata)::text AS large_objects,
  CASE WHEN s.hidden = 0 THEN s.bytes END::text AS cluster_bytes, s.tablespaces::text AS tablespaces,
  ((SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'i', 't', 'm', 'S')) *
   (SELECT count(*) FROM pg_database))::text AS cluster_relations,
  pg_size_bytes(current_setting('wal_segment_size'))::text AS wal_segment_bytes
FROM
  (SELECT coalesce(sum(pg_table_size(c.oid)), 0) AS bytes, count(*) AS tables,
     coalesce(max(pg_table_size(c.oid)), 0) AS largest
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'm') AND {OWN_SCHEMA}) t,
  (SELECT sum(CASE WHEN v.visible THEN pg_tablespace_size(v.oid) END) AS bytes,
     count(*) FILTER (WHERE NOT v.visible) AS hidden, count(*) AS tablespaces
   FROM (SELECT p.oid, d.dattablespace = p.oid OR has_tablespace_privilege(p.oid, 'CREATE') OR coalesce(
           (SELECT pg_has_role(r.oid, 'USAGE') FROM pg_roles r WHERE r.rolname = 'pg_read_all_stats'), false)
           AS visible
         FROM pg_tablespace p, pg_database d WHERE d.datname = current_database()) v) s"""  # noqa: S608 - all of it is fixed text

    def read(self, reply: Reply) -> Sizes:
        return read_row(Sizes, reply)


@dataclass(frozen=True, slots=True)
class _Text:
    bytes: Count | None


class TextSizeProbe(SqlProbe[int | None]):
    """How many bytes of text a dump of all tables is, by a sample: what is stored says little, as long values are
    stored compressed and numbers in few bytes. None where the role may not read the tables, or time does not suffice.

    Of each of the 40 largest tables about 4 MiB are looked at, and some rows of them written as text. Where most of a
    table is long values out of line, that tells how much text a stored byte is, at least one, as a few rows may hold
    most of it; elsewhere how much text a row is, as a table may be mostly free space. query_to_xml() takes any name."""

    family = Family.SPACE
    timeout_seconds: ClassVar[float] = 20.0
    text = f"""\
WITH t AS (
  SELECT c.oid, pg_relation_size(c.oid) AS heap, coalesce(pg_relation_size(c.reltoastrelid), 0) AS toast,
    has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {OWN_SCHEMA}
    AND pg_relation_size(c.oid) > 0),
l AS (
  SELECT heap + toast AS stored, oid::regclass AS name,
    CASE WHEN toast > heap THEN 200 ELSE 2000 END AS rows,
    CASE WHEN toast > heap THEN heap + toast ELSE 0 END AS out_of_line,
    least(100, round(greatest(4e8 / (heap + toast), 500.0 * current_setting('block_size')::int / heap), 4)) AS part
  FROM t WHERE readable ORDER BY heap + toast DESC LIMIT 40),
s AS (
  SELECT stored, substring(query_to_xml(format(
    'WITH p AS (SELECT ctid AS id FROM ONLY %1$s TABLESAMPLE SYSTEM (%2$s) REPEATABLE (0)),
       r AS (SELECT octet_length(x::text) AS text, pg_column_size(x) AS stored FROM ONLY %1$s x
         WHERE ctid = ANY (ARRAY(SELECT id FROM p ORDER BY random() LIMIT %3$s)))
     SELECT round(coalesce(CASE WHEN %4$s > 0 THEN greatest(sum(text)::numeric / sum(stored), 1) * %4$s
       ELSE avg(text) * (SELECT count(*) FROM p) * 100 / %2$s END, 0)) AS bytes FROM r',
    name, part, rows, out_of_line), false, false, '')::text FROM '<bytes>([0-9]+)</bytes>')::numeric AS bytes
  FROM l)
SELECT CASE WHEN hidden.stored <= every.stored * 0.05
  THEN round(sampled.bytes * every.stored / greatest(sampled.stored, 1)) END::text AS bytes
FROM (SELECT coalesce(sum(heap + toast), 0) AS stored FROM t WHERE NOT readable) hidden,
  (SELECT coalesce(sum(heap + toast), 0) AS stored FROM t) every,
  (SELECT coalesce(sum(stored), 0) AS stored, coalesce(sum(bytes), 0) AS bytes FROM s) sampled"""  # noqa: S608 - all of it is fixed text

    def read(self, reply: Reply) -> int | None:
        return None if reply.code else read_row(_Text, reply).bytes


@dataclass(frozen=True, slots=True)
class DataDirectories:
    data: str
    """`data_directory`; empty for a role that is no member of pg_read_all_settings (so not of pg_monitor)."""
    tablespaces: Mapping[str, int] = field(default_factory=dict)
    """Directories of tablespaces outside it, with the bytes that this database has there."""
    archive: str = ""
    """To which `archive_command` writes; empty where that names none, and like `data` for a role without the right."""

    @property
    def paths(self) -> tuple[str, ...]:
        """All that can be named; the write-ahead log first looked for where it lies by default."""
        own = (self.data, str(PurePosixPath(self.data) / "pg_wal")) if self.data else ()
        return tuple(dict.fromkeys((*own, *self.tablespaces)))


@dataclass(frozen=True, slots=True)
class LiveTable:
    name: str
    bytes: Count
    """With its indexes and its TOAST table."""
    of_rows: Count
    """Without them: 0 where there never was a row, and for a partitioned table."""
    tablespace: str
    """Its directory; empty where that is below the data directory."""


@dataclass(frozen=True)
class TableSizesProbe(SqlProbe[Mapping[str, LiveTable]]):
    """The tables of these names that exist, by name; each is quoted as PostgreSQL does: `billing."Events"`."""

    family = Family.SPACE
    names: tuple[str, ...]

    def ask(self) -> str:
        names = ", ".join(quote_literal(name) for name in self.names)
        # Names of tables are quoted as literals; everything else is fixed text.
        return f"""\
SELECT format('%I.%I', n.nspname, c.relname) AS name, pg_total_relation_size(c.oid)::text AS bytes,
  coalesce(pg_relation_size(c.oid), 0)::text AS of_rows,
  pg_tablespace_location(CASE WHEN c.reltablespace = 0 THEN d.dattablespace ELSE c.reltablespace END) AS tablespace
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_database d
WHERE d.datname = current_database() AND c.relkind IN ('r', 'm', 'p', 'f')
  AND format('%I.%I', n.nspname, c.relname) IN ({names})"""  # noqa: S608

    def read(self, reply: Reply) -> Mapping[str, LiveTable]:
        return {table.name: table for table in read_rows(LiveTable, reply)}


@dataclass(frozen=True, slots=True)
class _Directory:
    kind: Annotated[str, Matches("data|tablespace|archive", "what a directory is for")]
    path: Annotated[str, Matches(r"[^\n\0]*", "a path without a line break")]
    bytes: Count


class DataDirectoriesProbe(SqlProbe[DataDirectories]):
    """Asks pg_settings: for a role without the right it has no such row, where current_setting() is an error."""

    text = """\
WITH placed AS (
  SELECT reltablespace, sum(pg_relation_size(oid)) AS bytes FROM pg_class
  WHERE reltablespace <> 0 AND NOT relisshared GROUP BY reltablespace)
SELECT 'data' AS kind, setting AS path, '0' AS bytes FROM pg_settings WHERE name = 'data_directory'
UNION ALL SELECT 'archive', substring(setting FROM '(/[^ "'']+)/%f'), '0' FROM pg_settings
WHERE name = 'archive_command' AND setting ~ '/[^ "'']+/%f' AND current_setting('archive_mode') <> 'off'
UNION ALL SELECT 'tablespace', pg_tablespace_location(t.oid),
  CASE WHEN t.oid = d.dattablespace THEN pg_database_size(d.oid) - coalesce((SELECT sum(bytes) FROM placed), 0)
    ELSE coalesce(p.bytes, 0) END::text
FROM pg_database d, pg_tablespace t LEFT JOIN placed p ON p.reltablespace = t.oid
WHERE d.datname = current_database()
ORDER BY kind, path"""

    def read(self, reply: Reply) -> DataDirectories:
        rows = read_rows(_Directory, reply)
        data = "".join(row.path for row in rows if row.kind == "data")
        if data and not data.startswith("/"):
            raise Unreadable(f"data_directory is {data[:60]!r}")
        # The two standard tablespaces have no place of their own.
        outside = {row.path: row.bytes for row in rows if row.kind == "tablespace" and row.path.startswith("/")}
        return DataDirectories(data, outside, "".join(row.path for row in rows if row.kind == "archive"))


@dataclass(frozen=True, slots=True)
class _Path:
    path: str


@dataclass(frozen=True)
class TemporaryFilesProbe(SqlProbe[tuple[str, ...]]):
    """Directories of the tablespaces for the temporary files of a role: what its sorts, hashes and index
    builds need beyond `work_mem`. Empty where a tablespace lies below the data directory."""

    family = Family.SPACE
    login: str
    """The role; `temp_tablespaces` of its own or of the database goes before the asking session's."""

    def ask(self) -> str:
        # Names are quoted as literals; everything else is fixed text.
        return f"""\
WITH named AS (
  SELECT dattablespace, r.oid AS role, coalesce(
    (SELECT substring(c FROM '=(.*)') FROM pg_db_role_setting s, unnest(s.setconfig) c
     WHERE s.setrole IN (0, r.oid) AND s.setdatabase IN (0, d.oid) AND c LIKE 'temp_tablespaces=%'
     ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1), current_setting('temp_tablespaces')) AS names
  FROM pg_database d LEFT JOIN pg_roles r ON r.rolname = {quote_literal(self.login)}
  WHERE d.datname = current_database()),
chosen AS (
  SELECT t.oid FROM named, pg_tablespace t, regexp_split_to_table(btrim(names), ' *, *') name
  WHERE (name = quote_ident(spcname) OR lower(name) = spcname) AND has_tablespace_privilege(role, t.oid, 'CREATE'))
SELECT pg_tablespace_location(oid) AS path FROM chosen
UNION SELECT pg_tablespace_location(dattablespace) FROM named WHERE NOT EXISTS (SELECT FROM chosen)"""  # noqa: S608

    def read(self, reply: Reply) -> tuple[str, ...]:
        if found := tuple(row.path for row in read_rows(_Path, reply)):
            return found
        raise Unreadable("no tablespace")


_TELLING_SECONDS = 3600
"""Counters that began later tell nothing of a day: the work after a start is not the usual one."""


@dataclass(frozen=True, slots=True)
class WalRate:
    """Write-ahead log since its counters began; they outlive a clean restart."""

    seen_at: datetime
    """By the server's clock, UTC."""
    bytes: Count
    seconds: Annotated[int, Between(1)]
    most_bytes: Count
    """About so much stays on disk while nothing holds it back for ever: `max_wal_size`, and with a slot that nobody
    reads `max_slot_wal_keep_size`."""
    held: bool
    """Something holds it back for ever: a slot that nobody reads, or an archive command that fails."""

    @property
    def bytes_per_hour(self) -> float | None:
        """None where the counters are too young to tell."""
        return self.bytes / self.seconds * 3600 if self.seconds >= _TELLING_SECONDS else None

    def growth(self, time: timedelta, bytes_per_hour: float | None) -> int | None:
        """Bytes that it may grow by in so much time at most; None where that has no bound that is known."""
        if bytes_per_hour is None:
            return None if self.held else self.most_bytes
        written = int(bytes_per_hour * max(time.total_seconds(), 0) / 3600)
        return written if self.held else min(written, self.most_bytes)


class WalRateProbe(SqlProbe[WalRate | None]):
    """Asks pg_stat_wal, which every role may read; None from a server before PostgreSQL 14, which has no such view.

    A crash resets the counters and says so in `stats_reset`; a clean restart keeps both."""

    family = Family.SPACE
    text = """\
SELECT extract(epoch FROM now())::bigint::text AS seen_at, wal_bytes::bigint::text AS bytes,
  greatest(extract(epoch FROM now() - coalesce(stats_reset, pg_postmaster_start_time())), 1)::bigint::text AS seconds,
  greatest(pg_size_bytes(current_setting('max_wal_size')), CASE WHEN unread THEN slot_bytes END)::text AS most_bytes,
  (unread AND slot_bytes < 0 OR current_setting('archive_mode') <> 'off' AND coalesce(
    (SELECT last_failed_time > coalesce(last_archived_time, '-infinity') FROM pg_stat_archiver), false))::text AS held
FROM pg_stat_wal, (SELECT pg_size_bytes(current_setting('max_slot_wal_keep_size')) AS slot_bytes,
  EXISTS (SELECT FROM pg_replication_slots
    WHERE NOT active AND restart_lsn IS NOT NULL AND wal_status <> 'lost') AS unread) slots"""

    def read(self, reply: Reply) -> WalRate | None:
        return None if reply.code and reply.error.startswith("42P01") else read_row(WalRate, reply)  # undefined_table


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveContent:
    """What a full dump of a database would hold now, and what its restore needs."""

    system_identifier: str
    version_num: int
    """`server_version_num`."""
    count: int
    """Tables of its own: none of the system's, none that an extension brought, no temporary ones."""
    stored_bytes: Count = 0
    """What they hold, as stored."""
    listed: str = ""
    """Schema and name of each with a blank between, on a line; empty where there are more than 10000."""
    others: str = ""
    """All its sequences and views likewise; after the name of a column's sequence, a tab and the name of its table."""
    kinds: str = ""
    """What it has besides, as pg_dump calls it, each on a line: `INDEX`, `FK CONSTRAINT`."""
    roles: str = ""
    """The cluster's, each on a line."""

    @property
    def tables(self) -> frozenset[str]:
        return frozenset(self.listed.splitlines())


class LiveContentProbe(SqlProbe[LiveContent]):
    """CONNECT is enough for it."""

    text = f"""\
WITH c AS (
  SELECT c.oid, relkind, n.nspname || ' ' || relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE relkind IN ('r', 'S', 'v', 'm') AND relpersistence <> 't' AND {OWN_SCHEMA}
    AND NOT EXISTS (SELECT FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')),
t AS (SELECT oid, name FROM c WHERE relkind = 'r'),
o AS (
  SELECT c.name || coalesce(chr(9) || (SELECT t.name FROM pg_depend d JOIN t ON t.oid = d.refobjid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
      AND d.deptype IN ('a', 'i') AND relkind = 'S'), '') AS name
  FROM c WHERE relkind <> 'r'),
k AS (
  SELECT CASE contype WHEN 'f' THEN 'FK CONSTRAINT' ELSE 'CONSTRAINT' END AS kind
  FROM pg_constraint JOIN t ON t.oid = conrelid WHERE contype IN ('f', 'p', 'u', 'x') AND conparentid = 0
  UNION SELECT 'INDEX' FROM pg_index JOIN t ON t.oid = indrelid
  WHERE indisvalid AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
  UNION SELECT 'FUNCTION' FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
  WHERE prokind IN ('f', 'w') AND {OWN_SCHEMA} AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
  UNION SELECT 'ACL' FROM pg_class JOIN t USING (oid)
  WHERE EXISTS (SELECT * FROM aclexplode(relacl) EXCEPT SELECT * FROM aclexplode(acldefault('r', relowner)))
  UNION SELECT 'MATERIALIZED VIEW DATA' FROM pg_class p JOIN c USING (oid) WHERE p.relkind = 'm' AND relispopulated
  UNION SELECT 'EXTENSION' FROM pg_extension WHERE extname <> 'plpgsql'
  UNION SELECT 'PUBLICATION' FROM pg_publication
  UNION SELECT 'BLOBS' FROM pg_largeobject_metadata)
SELECT (SELECT system_identifier FROM pg_control_system())::text AS system_identifier,
  current_setting('server_version_num') AS version_num, count(*)::text AS count,
  coalesce(sum(pg_table_size(oid)), 0)::text AS stored_bytes,
  CASE WHEN count(*) <= 10000 THEN coalesce(string_agg(name, chr(10)), '') ELSE '' END AS listed,
  (SELECT coalesce(string_agg(name, chr(10)), '') FROM o) AS others,
  (SELECT coalesce(string_agg(kind, chr(10)), '') FROM k) AS kinds,
  (SELECT string_agg(rolname, chr(10)) FROM pg_roles) AS roles
FROM t"""  # noqa: S608 - all of it is fixed text

    def read(self, reply: Reply) -> LiveContent:
        return read_row(LiveContent, reply)
