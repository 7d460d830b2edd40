"""What stands between a role and a whole dump of a database: rights that pg_dump needs, row security, and what it
leaves out without an error. From catalogues that every role may read; no table is read or locked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from preflight.plan.release_plan import grouped
from preflight.probe import Family, Reply
from preflight.questions.fields import Count, hidden_catalogue, read_rows
from preflight.questions.sql import INHERITS, SqlProbe, quote_literal

MOST_FOUND = 20
"""Objects of each kind that are named; all are counted."""

_SEQUENCES_BY_OID = 180000
"""Since this version pg_dump reads sequences by pg_get_sequence_data(), for which their schema need not be open."""


class Kind(StrEnum):
    """What a row tells of the objects it counts."""

    SUPERUSER = "superuser"
    """The role itself, or"""
    ROLE = "role"
    """the role that is none, named by what `INHERITS` tells of it."""
    SAVED = "saved"
    """Tables whose rows pg_dump copies."""
    SCHEMA = "schema"
    """No USAGE on it, and it holds what pg_dump reads by name."""
    TABLE = "table"
    """No SELECT on the table as a whole: pg_dump locks it, for which SELECT on each column does not suffice."""
    SEQUENCE = "sequence"
    """No SELECT."""
    CONFIGURATION = "configuration table of an extension"
    """No SELECT; pg_dump does not lock it, and copies it with the other tables."""
    ROW_SECURITY = "table with row security"
    """Policies hold for the role, and pg_dump runs with row_security = off, which makes reading the table an error."""
    LARGE_OBJECT = "large object"
    """No SELECT."""
    FOREIGN = "foreign table"
    UNLOGGED = "unlogged table"
    EXTENSION = "table of an extension"
    """Made by it, and not declared as its configuration: CREATE EXTENSION makes it anew, without rows."""
    SUBSCRIPTION = "subscription"
    REPLICA = "replica"
    """The server itself, where it is one."""
    LOCKS = "lock"
    """As many as the server is made for, by its settings, where pg_dump takes more: one on each table and sequence."""


@dataclass(frozen=True, slots=True)
class _Found:
    """One object of a kind, or the role."""

    kind: Kind
    name: str
    """Quoted as SQL wants it."""
    total: Count
    """Objects of this kind."""


@dataclass(frozen=True, slots=True)
class DumpRights:
    names: Mapping[Kind, Sequence[str]] = field(default_factory=dict)
    """At most MOST_FOUND of each."""
    totals: Mapping[Kind, int] = field(default_factory=dict)
    hidden: str = ""
    """The catalogue that the asking role may not read; then nothing else is known."""

    def count(self, kind: Kind) -> int:
        return self.totals.get(kind, 0)


@dataclass(frozen=True)
class DumpRightsProbe(SqlProbe[DumpRights]):
    """Asks for any role, as any role."""

    family = Family.ACCESS
    role: str

    def ask(self) -> str:
        # The name of the role is quoted as a literal; everything else is fixed text.
        return _SQL.format(role=quote_literal(self.role), by_oid=_SEQUENCES_BY_OID, inherits=INHERITS, most=MOST_FOUND)

    def read(self, reply: Reply) -> DumpRights:
        if hidden := hidden_catalogue(reply):
            return DumpRights(hidden=hidden)
        rows = read_rows(_Found, reply)
        names = {kind: [row.name for row in each] for kind, each in grouped(rows, lambda row: row.kind).items()}
        return DumpRights(names, {row.kind: row.total for row in rows})


_SQL = """\
WITH role AS (SELECT oid, rolsuper, {inherits} AS inherits, rolsuper OR rolbypassrls AS bypasses FROM pg_roles
  WHERE rolname = {role}),
relations AS (
  SELECT c.oid, c.relkind, c.relpersistence, c.relowner, c.relnamespace, format('%I.%I', n.nspname, c.relname) AS name,
    c.relrowsecurity, c.relforcerowsecurity, d.refobjid AS extension
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'
  WHERE c.relkind IN ('r', 'p', 'S', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),
saved AS (SELECT r.* FROM relations r LEFT JOIN pg_extension e ON e.oid = r.extension
  WHERE r.relkind <> 'f' AND (r.extension IS NULL OR r.oid = ANY (e.extconfig))),
found AS (
  SELECT CASE WHEN rolsuper THEN 'superuser' ELSE 'role' END AS kind, inherits AS name FROM role
  UNION ALL SELECT 'saved', name FROM saved WHERE relkind = 'r'
  UNION ALL SELECT 'schema', quote_ident(n.nspname) FROM pg_namespace n, role
    WHERE NOT has_schema_privilege(role.oid, n.oid, 'USAGE') AND n.oid IN (SELECT relnamespace FROM saved
      WHERE relkind <> 'S' OR current_setting('server_version_num')::int < {by_oid})
  UNION ALL SELECT CASE WHEN extension IS NULL THEN 'table' ELSE 'configuration table of an extension' END, name
    FROM saved, role WHERE relkind <> 'S' AND NOT has_table_privilege(role.oid, saved.oid, 'SELECT')
  UNION ALL SELECT 'sequence', name FROM saved, role
    WHERE relkind = 'S' AND NOT has_sequence_privilege(role.oid, saved.oid, 'SELECT')
  UNION ALL SELECT 'table with row security', name FROM saved, role
    WHERE relkind = 'r' AND relrowsecurity AND NOT role.bypasses
      AND (relforcerowsecurity OR NOT pg_has_role(role.oid, relowner, 'USAGE'))
      AND NOT (relpersistence = 'u' AND pg_is_in_recovery())
  UNION ALL SELECT 'large object', m.oid::text FROM pg_largeobject_metadata m, role
    WHERE NOT role.rolsuper AND current_setting('lo_compat_privileges') <> 'on'
      AND NOT pg_has_role(role.oid, m.lomowner, 'USAGE')
      AND NOT EXISTS (SELECT FROM aclexplode(m.lomacl) a WHERE a.privilege_type = 'SELECT'
        AND (a.grantee = 0 OR pg_has_role(role.oid, a.grantee, 'USAGE')))
  UNION ALL SELECT 'foreign table', name FROM relations WHERE relkind = 'f'
  UNION ALL SELECT 'unlogged table', name FROM saved WHERE relkind = 'r' AND relpersistence = 'u'
  UNION ALL SELECT 'table of an extension', name FROM relations
    WHERE relkind = 'r' AND extension IS NOT NULL AND oid NOT IN (SELECT oid FROM saved)
  UNION ALL SELECT 'subscription', quote_ident(subname) FROM pg_subscription
    WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  UNION ALL SELECT 'replica', '' WHERE pg_is_in_recovery()
  UNION ALL SELECT 'lock', most::text FROM (SELECT current_setting('max_locks_per_transaction')::int
      * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) AS most) m
    WHERE most < (SELECT count(*) FROM saved)),
numbered AS (SELECT kind, name, count(*) OVER (PARTITION BY kind) AS total,
  row_number() OVER (PARTITION BY kind ORDER BY name) AS number FROM found)
SELECT kind, name, total::text AS total FROM numbered WHERE number <= {most} ORDER BY kind, number"""
