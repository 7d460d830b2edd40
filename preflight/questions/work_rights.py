"""Which rights a role lacks for its scripts, from catalogues that every role may read; no table is read or locked."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from preflight.probe import Family, Reply
from preflight.questions.fields import Count, hidden_catalogue, read_rows
from preflight.questions.sql import INHERITS, SqlProbe, array_of, as_regular_expression, quote_literal

MOST_FOUND = 20
"""Objects of one owner that lack one right and are named; all are counted."""
OWNER = "OWNER"
"""What is wanted of an object that is altered or dropped; where it is not there: CREATE on its schema."""


@dataclass(frozen=True, slots=True, order=True)
class Wanted:
    """A right that the scripts need, or may need."""

    right: str
    """OWNER, or a privilege on tables or sequences."""
    name: str = ""
    """Identity of the object, quoted as PostgreSQL does it; or"""
    pattern: str = ""
    """a regular expression for SCHEMA.NAME, of several."""
    certain: bool = True
    """False where the scripts were seen to lock the object, and not what for."""
    made: bool = False
    """The scripts were seen to make it."""


class Lacks(StrEnum):
    ROLE = "role"
    """The role itself, whatever is wanted: `superuser` or `role` as its kind, and how it inherits as its right."""
    OWNER = "owner"
    """It is not, and is no member of the owner that inherits its rights."""
    PRIVILEGE = "privilege"
    SEQUENCE = "sequence"
    """USAGE on what gives a column of the table its values."""
    ROW_SECURITY = "row security"
    """Policies decide which rows it sees and changes."""
    USAGE = "usage"
    """On the schema."""
    CREATE = "create"
    """In the schema."""
    DATABASE = "database"
    """CREATE, for schemas and extensions that are not there."""
    TEMPORARY = "temporary"
    """On the database, which everybody has unless it was revoked: for temporary tables."""
    INVOKER = "invoker"
    """The view reads and changes its tables with the rights of the role that names it, not with its owner's."""
    EXTENSION = "extension"
    """It is there and another's; or a superuser alone may make it."""
    REQUIRED = "required"
    """By an extension, which is its right. Certain where it is not even available on the server."""
    VERSION = "version"
    """The server gives another one than was rehearsed, which is its right."""
    NOTHING = "nothing"
    """No object fits the pattern."""
    ABSENT = "absent"
    """It was altered and never made, and is not there: it had another name before, or is gone."""
    OTHERS = "others"
    """Tables of the database that the role does not own, whatever is wanted."""


@dataclass(frozen=True, slots=True)
class Lack:
    """One object for which a right is lacking."""

    lacks: Lacks
    right: str
    kind: str
    """PostgreSQL's word, as in GRANT and ALTER."""
    name: str
    """Quoted as SQL wants it; a pattern of the plan as it was asked."""
    owner: str
    takes_members: bool
    """False for a superuser, one of PostgreSQL's own roles, and a member of the role itself."""
    member: bool
    """The role may become the owner by SET ROLE."""
    certain: bool
    """False where it depends on what the scripts do with the object whether they need it."""
    total: Count
    """Objects like it."""


@dataclass(frozen=True, slots=True)
class WorkRights:
    lacks: Sequence[Lack] = ()
    hidden: str = ""
    """The catalogue that the asking role may not read; then nothing else is known."""


@dataclass(frozen=True)
class WorkRightsProbe(SqlProbe[WorkRights]):
    """Asks for any role, as any role. What comes with membership in the owners that it lacks is not told again."""

    family = Family.ACCESS
    role: str
    wanted: tuple[Wanted, ...] = ()
    schemas: tuple[str, ...] = ()
    """That are made, altered or dropped."""
    extensions: tuple[tuple[str, str], ...] = ()
    """With the version that a rehearsal got; empty where that is not known."""

    def ask(self) -> str:
        rows = [
            f"({', '.join(map(quote_literal, (each.right, each.name, each.pattern)))}, "
            f"{quote_literal(as_regular_expression(each.pattern))}, {each.certain}, {each.made})"
            for each in self.wanted
        ]
        # Names and patterns are quoted as literals; everything else is fixed text.
        return _SQL.format(
            role=quote_literal(self.role),
            wanted=f"VALUES {', '.join(rows)}" if rows else "SELECT '', '', '', '', true, true WHERE false",
            schemas=array_of(self.schemas),
            extensions=array_of(name for name, _ in self.extensions),
            versions=array_of(version for _, version in self.extensions),
            inherits=INHERITS,
            most=MOST_FOUND,
        )

    def read(self, reply: Reply) -> WorkRights:
        if hidden := hidden_catalogue(reply):
            return WorkRights(hidden=hidden)
        return WorkRights(read_rows(Lack, reply))


_SQL = """\
WITH role AS (SELECT oid, rolname, rolsuper, {inherits} AS inherits,
    rolsuper OR rolbypassrls AS bypasses FROM pg_roles WHERE rolname = {role}),
owners AS (SELECT o.oid, o.rolname,
    NOT (o.rolsuper OR o.rolname ~ '^pg_' OR pg_has_role(o.oid, role.oid, 'MEMBER')) AS takes_members
  FROM pg_roles o, role),
wanted ("right", name, pattern, expression, certain, made) AS ({wanted}),
schemas AS (
  SELECT oid, nspname, nspowner FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
relations AS (
  SELECT c.oid, c.relkind::text AS relkind, n.oid AS schema, n.nspname || '.' || c.relname AS plain,
    format('%I.%I', n.nspname, c.relname) AS name, c.relowner AS owner, c.relrowsecurity, c.relforcerowsecurity,
    EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
      AND (d.deptype = 'e' OR d.deptype IN ('a', 'i') AND d.refobjsubid > 0)) AS belongs
  FROM pg_class c JOIN schemas n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')),
objects AS (
  SELECT oid, relkind, schema, plain, name, name AS shown, owner, belongs, CASE relkind WHEN 'v' THEN 'view'
    WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type'
    ELSE 'table' END AS kind
  FROM relations
  UNION ALL SELECT i.indexrelid, 'i', t.schema, n.nspname || '.' || c.relname,
    format('%I.%I', n.nspname, c.relname), t.name, t.owner, true,
    CASE t.relkind WHEN 'm' THEN 'materialized view' ELSE 'table' END
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN relations t ON t.oid = i.indrelid
  JOIN schemas n ON n.oid = t.schema
  UNION ALL SELECT p.oid, '', n.oid, n.nspname || '.' || p.proname, i.identity, i.identity, p.proowner,
    EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'),
    CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END
  FROM pg_proc p JOIN schemas n ON n.oid = p.pronamespace, pg_identify_object('pg_proc'::regclass, p.oid, 0) i
  UNION ALL SELECT t.oid, '', n.oid, n.nspname || '.' || t.typname, format('%I.%I', n.nspname, t.typname),
    format('%I.%I', n.nspname, t.typname), t.typowner,
    EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'),
    CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END
  FROM pg_type t JOIN schemas n ON n.oid = t.typnamespace WHERE t.typtype IN ('d', 'e', 'r')),
matched AS (
  SELECT w."right", w.certain, w.pattern, o.* FROM wanted w JOIN objects o ON o.name = w.name
  UNION SELECT w."right", w.certain, w.pattern, o.* FROM wanted w JOIN objects o ON o.plain ~ w.expression
    WHERE w.pattern <> '' AND NOT (o.belongs AND w."right" = 'OWNER' AND w.pattern ~ '[*]')),
absent AS (SELECT w.name, w.made, (parse_ident(w.name, false))[1] AS schema FROM wanted w
  WHERE w."right" = 'OWNER' AND w.name <> '' AND w.certain AND w.name NOT IN (SELECT name FROM matched)),
declared AS (SELECT split_part(pattern, '.', 1) AS schema FROM wanted WHERE "right" = 'OWNER' AND pattern <> ''),
used AS (
  SELECT n.nspname::text AS schema, 'usage' AS needed FROM matched m JOIN schemas n ON n.oid = m.schema
  UNION SELECT n.nspname, 'create' FROM matched m JOIN schemas n ON n.oid = m.schema
    WHERE m."right" = 'OWNER' AND m.pattern <> ''
  UNION SELECT schema, 'create' FROM absent UNION SELECT schema, 'create' FROM declared),
acting AS (
  SELECT oid, has_database_privilege(oid, current_database(), 'CREATE') AS may_create FROM (
    SELECT oid FROM role UNION SELECT m.owner FROM matched m JOIN owners o ON o.oid = m.owner
    WHERE m."right" = 'OWNER' AND m.certain AND o.takes_members) a),
tables AS (SELECT m.*, r.relrowsecurity, r.relforcerowsecurity FROM matched m JOIN relations r ON r.oid = m.oid
  WHERE m."right" <> 'OWNER' AND m.relkind <> 'c'),
made AS (SELECT x.name, x.version AS rehearsed, e.extversion IS NULL AS is_new, v.version, v.requires,
    v.superuser AND NOT coalesce((to_jsonb(v) ->> 'trusted')::boolean, false) AS untrusted
  FROM unnest({extensions}, {versions}) AS x (name, version) LEFT JOIN pg_extension e ON e.extname = x.name
  LEFT JOIN (pg_available_extensions a JOIN pg_available_extension_versions v ON v.name = a.name
    AND v.version = a.default_version) ON v.name = x.name
  WHERE e.extversion IS NULL OR x.version NOT IN ('', e.extversion)),
lacking ("lacks", "right", kind, name, owner, certain) AS (
  SELECT 'role', inherits, CASE WHEN rolsuper THEN 'superuser' ELSE 'role' END, rolname::text, oid, true FROM role
  UNION ALL SELECT 'owner', '', m.kind, m.shown, m.owner, bool_or(m.certain) FROM matched m, role
    WHERE m."right" = 'OWNER' AND NOT pg_has_role(role.oid, m.owner, 'USAGE') GROUP BY m.kind, m.shown, m.owner
  UNION ALL SELECT 'privilege', t."right", CASE t.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, t.name, t.owner,
    t.certain
      AND NOT CASE WHEN t."right" IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') AND t.relkind <> 'S'
        THEN has_any_column_privilege(role.oid, t.oid, t."right") ELSE false END
      AND NOT (t.pattern = '' AND (EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = t.oid AND k.contype = 'f'
          AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')))
        OR EXISTS (SELECT FROM pg_proc p JOIN schemas n ON n.oid = p.pronamespace WHERE p.prosecdef)))
    FROM tables t, role WHERE NOT EXISTS (SELECT FROM acting a WHERE CASE
      WHEN t.relkind = 'S' THEN t."right" <> 'USAGE' OR has_sequence_privilege(a.oid, t.oid, 'USAGE, UPDATE')
      WHEN t."right" = 'USAGE' THEN true
      ELSE has_table_privilege(a.oid, t.oid, t."right") OR EXISTS (SELECT FROM pg_partition_ancestors(t.oid) p
        WHERE t.pattern = '' AND has_table_privilege(a.oid, p.relid, t."right")) END)
  UNION ALL SELECT 'sequence', 'USAGE', 'sequence', q.name, q.owner, false FROM relations q
    WHERE q.relkind = 'S' AND q.oid IN (SELECT d.refobjid FROM pg_attrdef f JOIN pg_depend d
        ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
        WHERE f.adrelid IN (SELECT oid FROM tables WHERE "right" = 'INSERT'))
      AND NOT EXISTS (SELECT FROM acting a WHERE has_sequence_privilege(a.oid, q.oid, 'USAGE, UPDATE'))
  UNION ALL SELECT DISTINCT 'row security', '', 'table', t.name, t.owner, false FROM tables t, role
    WHERE t."right" IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND t.relrowsecurity AND NOT role.bypasses
      AND (t.relforcerowsecurity OR NOT EXISTS (SELECT FROM acting a WHERE pg_has_role(a.oid, t.owner, 'USAGE')))
  UNION ALL SELECT u.needed, '', 'schema', quote_ident(n.nspname), n.nspowner, true
    FROM (TABLE used UNION SELECT schema, 'usage' FROM used) u JOIN pg_namespace n ON n.nspname = u.schema
    WHERE NOT EXISTS (SELECT FROM acting a WHERE has_schema_privilege(a.oid, n.oid, u.needed))
  UNION ALL SELECT 'owner', '', 'schema', quote_ident(n.nspname), n.nspowner, true FROM schemas n, role
    WHERE n.nspname = ANY ({schemas}) AND NOT pg_has_role(role.oid, n.nspowner, 'USAGE')
  UNION ALL SELECT 'database', '', 'database', quote_ident(current_database()), role.oid, true FROM role
    WHERE NOT EXISTS (SELECT FROM acting WHERE may_create) AND EXISTS (SELECT FROM (SELECT unnest({schemas}) AS schema
      UNION SELECT schema FROM declared WHERE schema !~ '[*]') s WHERE schema NOT IN (SELECT nspname FROM pg_namespace))
  UNION ALL SELECT 'temporary', '', 'database', quote_ident(current_database()), role.oid, false FROM role
    WHERE NOT EXISTS (SELECT FROM acting a WHERE has_database_privilege(a.oid, current_database(), 'TEMPORARY'))
  UNION ALL SELECT DISTINCT 'invoker', '', 'view', t.name, t.owner, false FROM tables t JOIN pg_class c ON c.oid = t.oid
    WHERE t.relkind = 'v' AND 'security_invoker' IN (SELECT option_name FROM pg_options_to_table(c.reloptions)
      WHERE option_value::boolean)
  UNION ALL SELECT 'owner', '', 'extension', quote_ident(e.extname), e.extowner, true FROM pg_extension e, role
    WHERE e.extname = ANY ({extensions}) AND NOT pg_has_role(role.oid, e.extowner, 'USAGE')
  UNION ALL SELECT 'extension', CASE WHEN m.untrusted THEN 'superuser' WHEN m.untrusted IS NULL THEN 'package'
      ELSE 'create' END, 'extension', quote_ident(m.name), role.oid, true FROM made m, role
    WHERE m.untrusted IS NULL OR m.is_new AND (m.untrusted AND NOT role.rolsuper
      OR NOT EXISTS (SELECT FROM acting WHERE may_create))
  UNION ALL SELECT 'required', quote_ident(m.name), 'extension', quote_ident(r), role.oid,
      r NOT IN (SELECT name FROM pg_available_extensions) FROM role, made m, unnest(m.requires) r
    WHERE r NOT IN (SELECT extname FROM pg_extension) AND r <> ALL ({extensions})
  UNION ALL SELECT 'version', m.rehearsed, 'extension', format('%I %s', m.name, m.version), role.oid, false
    FROM made m, role WHERE m.rehearsed NOT IN ('', m.version)
  UNION ALL SELECT 'nothing', w."right", 'pattern', w.pattern, role.oid, true FROM wanted w, role
    WHERE w.pattern <> '' AND w.pattern NOT IN (SELECT pattern FROM matched)
  UNION ALL SELECT 'absent', '', 'object', a.name, role.oid, false FROM absent a, role
    WHERE NOT a.made AND a.name NOT IN (SELECT quote_ident(nspname) FROM schemas)
  UNION ALL SELECT 'others', '', 'table', r.name, r.owner, true FROM relations r, role
    WHERE r.relkind IN ('r', 'p') AND NOT pg_has_role(role.oid, r.owner, 'USAGE')),
numbered AS (SELECT l.*, count(*) OVER alike AS total, row_number() OVER (alike ORDER BY kind, name) AS number
  FROM lacking l
  WINDOW alike AS (PARTITION BY "lacks", "right", owner, certain, CASE "lacks" WHEN 'privilege' THEN kind END))
SELECT "lacks", "right", n.kind, n.name, o.rolname::text AS owner, o.takes_members::text AS takes_members,
  pg_has_role(role.oid, n.owner, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER'
    ELSE 'SET' END)::text AS member, n.certain::text AS certain, n.total::text AS total
FROM numbered n JOIN owners o ON o.oid = n.owner, role
WHERE number <= {most} AND (NOT role.rolsuper OR "lacks" IN ('role', 'extension', 'required', 'version'))
ORDER BY "lacks", "right", owner, number"""
