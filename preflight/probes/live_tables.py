"""A question to a database server: its version, and how many tables a full dump must hold data of."""

from __future__ import annotations

from dataclasses import dataclass

from preflight.probe import Reply
from preflight.probes.fields import read_row
from preflight.probes.postgres import SqlProbe


@dataclass(frozen=True, slots=True)
class LiveTables:
    version_num: int
    """`server_version_num`."""
    count: int
    """Tables of its own: none of the system's, none that an extension brought, no temporary ones."""


@dataclass(frozen=True)
class LiveTablesProbe(SqlProbe[LiveTables]):
    """CONNECT is enough for it."""

    def ask(self) -> str:
        return """\
SELECT current_setting('server_version_num') AS version_num, count(*)::text AS count
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"""

    def read(self, reply: Reply) -> LiveTables:
        return read_row(LiveTables, reply)
