"""What the catalogue says of the sizes of a database and its cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from preflight.probe import Family, Reply
from preflight.probes.fields import Count, read_row
from preflight.probes.postgres import SqlProbe

_SECONDS = 20.0

# A tablespace's size may be asked by pg_read_all_stats (so by pg_monitor), by who may create in it, and for the
# database's own one; asking for another would end the whole statement with an error.
_CATALOGUE = """\
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


@dataclass(frozen=True)
class SizesProbe(SqlProbe[Sizes]):
    """Sizes by the catalogue. CONNECT is enough but for the cluster, which needs pg_read_all_stats."""

    family = Family.SPACE
    timeout_seconds: ClassVar[float] = _SECONDS

    def ask(self) -> str:
        return _CATALOGUE

    def read(self, reply: Reply) -> Sizes:
        return read_row(Sizes, reply)
