"""Questions about the tables in which migration tools keep what they have applied: which ones a database has, known by
their columns in any schema, and what each says. One statement each; only the tools' own small tables are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from preflight.probe import Reply
from preflight.questions.fields import read_rows
from preflight.questions.sql import OWN_SCHEMA, SqlProbe, quote_identifier, quote_literal
from preflight.wording import one_line

_MOST_TABLES = 50
_MOST_ROWS = 6
"""Of heads, and of what is amiss, in one table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """How one kind of table is known and read. `{t}` in a statement is the table."""

    name: str
    columns: tuple[str, ...]
    """Those it has, and no other tool's."""
    more: bool = True
    """It may have further columns."""
    table: str = ""
    """Its name, where the columns alone say too little."""
    heads: str = ""
    """Gives as `told` where the history ends, mostly one row; empty for a table that holds none."""
    troubles: str = ""
    """Gives as `told`, in words, what did not end well or is in the way."""
    cure: str = ""
    """What takes such a trouble away, once what it left is mended."""


_TOOLS = (
    Tool(
        name="Flyway",
        columns=("installed_rank", "version", "type", "script", "checksum", "installed_by", "installed_on", "success"),
        # The newest line of a version counts; an UNDO takes it back. Flyway's current version is the highest.
        heads="""\
SELECT version AS told FROM (SELECT DISTINCT ON (version) version, type, success FROM {t}
  WHERE version IS NOT NULL ORDER BY version, installed_rank DESC) newest
WHERE success AND type NOT LIKE 'UNDO%' AND type <> 'DELETE'
ORDER BY string_to_array(version, '.')::numeric[] DESC LIMIT 1""",
        troubles="""\
SELECT format('%s failed on %s, run by %s', script, installed_on, installed_by) AS told FROM {t} WHERE NOT success""",
        cure="flyway repair",
    ),
    Tool(
        name="Liquibase",
        columns=("id", "author", "filename", "dateexecuted", "orderexecuted", "exectype", "md5sum"),
        heads="SELECT id AS told FROM {t} ORDER BY dateexecuted DESC, orderexecuted DESC LIMIT 1",
        troubles="""\
SELECT format('changeset %s of %s in %s failed on %s', id, author, filename, dateexecuted) AS told FROM {t}
WHERE exectype = 'FAILED'""",
        cure="liquibase update",
    ),
    Tool(
        name="Liquibase's lock",
        columns=("id", "locked", "lockgranted", "lockedby"),
        more=False,
        troubles="SELECT format('locked since %s by %s', lockgranted, lockedby) AS told FROM {t} WHERE locked",
        cure="when nobody there is at work: liquibase release-locks",
    ),
    Tool(
        name="Alembic",
        columns=("version_num",),
        more=False,
        heads="SELECT version_num AS told FROM {t}",
        cure="alembic merge heads",
    ),
    Tool(
        name="Sqitch's log",
        columns=("event", "change_id", "change", "project", "committed_at", "committer_name"),
        troubles="""\
SELECT format('%s of %s failed on %s, run by %s', change, project, committed_at, committer_name) AS told
FROM (SELECT DISTINCT ON (project) * FROM {t} ORDER BY project, committed_at DESC) newest WHERE event = 'fail'""",
        cure="sqitch deploy --verify",
    ),
    Tool(
        name="Sqitch",
        columns=("change_id", "change", "project", "committed_at", "planned_at", "planner_name"),
        table="changes",
        heads="SELECT change AS told FROM {t} ORDER BY committed_at DESC LIMIT 1",
    ),
    Tool(
        name="Django",
        columns=("id", "app", "name", "applied"),
        more=False,
        heads="SELECT app || '.' || name AS told FROM {t} ORDER BY id DESC LIMIT 1",
    ),
    Tool(
        name="golang-migrate",
        columns=("version", "dirty"),
        more=False,
        heads="SELECT version AS told FROM {t}",
        troubles="SELECT format('version %s is dirty: it did not end well', version) AS told FROM {t} WHERE dirty",
        cure="migrate force VERSION",
    ),
    Tool(
        name="Rails",
        columns=("version",),
        more=False,
        table="schema_migrations",
        heads="SELECT version AS told FROM {t} ORDER BY length(version::text) DESC, version DESC LIMIT 1",
    ),
    Tool(
        name="Ecto",
        columns=("version", "inserted_at"),
        more=False,
        table="schema_migrations",
        heads="SELECT version AS told FROM {t} ORDER BY version DESC LIMIT 1",
    ),
    Tool(
        name="goose",
        columns=("id", "version_id", "is_applied", "tstamp"),
        more=False,
        heads="""\
SELECT version_id AS told FROM (SELECT DISTINCT ON (version_id) * FROM {t} ORDER BY version_id, id DESC) newest
WHERE is_applied ORDER BY id DESC LIMIT 1""",
    ),
    Tool(
        name="Atlas",
        columns=("version", "applied", "total", "executed_at", "error", "hash"),
        heads="SELECT version AS told FROM {t} ORDER BY version DESC LIMIT 1",
        troubles="""\
SELECT format('%s stopped after %s of %s statements on %s: %s', version, applied, total, executed_at, error) AS told
FROM {t} WHERE applied < total OR error <> ''""",
        cure="atlas migrate apply",
    ),
    Tool(
        name="Prisma",
        columns=("migration_name", "checksum", "started_at", "finished_at", "rolled_back_at", "applied_steps_count"),
        heads="""\
SELECT migration_name AS told FROM {t} WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL
ORDER BY finished_at DESC LIMIT 1""",
        troubles="""\
SELECT format('%s began on %s and did not end', migration_name, started_at) AS told FROM {t}
WHERE finished_at IS NULL AND rolled_back_at IS NULL""",
        cure="prisma migrate resolve",
    ),
    Tool(
        name="Entity Framework",
        columns=("MigrationId", "ProductVersion"),
        more=False,
        heads="""SELECT "MigrationId" AS told FROM {t} ORDER BY "MigrationId" COLLATE "C" DESC LIMIT 1""",
    ),
)
TOOLS: Mapping[str, Tool] = {tool.name: tool for tool in _TOOLS}


@dataclass(frozen=True, slots=True)
class HistoryTable:
    """A table that has the columns of a tool's."""

    tool: str
    schema: str
    name: str
    usage: bool
    """The role may use the schema."""
    select: bool
    """The role may read the table."""
    filtered: bool
    """Row security may hide lines of it from the role: no policy lets it see all."""

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def readable(self) -> bool:
        """All of it."""
        return self.usage and self.select and not self.filtered

    @property
    def quoted(self) -> str:
        return f"{quote_identifier(self.schema)}.{quote_identifier(self.name)}"


def _shape(tool: Tool) -> str:
    columns = ", ".join(map(quote_literal, tool.columns))
    return f"({quote_literal(tool.name)}, ARRAY[{columns}], {str(tool.more).lower()}, {quote_literal(tool.table)})"


_SHAPES = ",\n  ".join(map(_shape, _TOOLS))


class HistoryTablesProbe(SqlProbe[Sequence[HistoryTable]]):
    """The tables of migration tools, from the catalogue, whether the role may read them or not."""

    # The shapes are fixed text.
    text = f"""\
SELECT tool.name AS tool, n.nspname::text AS schema, c.relname::text AS name,
  has_schema_privilege(n.oid, 'USAGE')::text AS usage, has_table_privilege(c.oid, 'SELECT')::text AS select,
  (row_security_active(c.oid) AND (NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive
      AND p.polcmd IN ('r', '*') AND pg_get_expr(p.polqual, p.polrelid) = 'true'
      AND (0 = ANY (p.polroles) OR EXISTS (SELECT FROM unnest(p.polroles) r WHERE r <> 0 AND pg_has_role(r, 'USAGE'))))
    OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive)))::text AS filtered
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT array_agg(a.attname::text) AS columns FROM pg_attribute a
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) has
JOIN (VALUES
  {_SHAPES}
) tool (name, columns, more, "table")
  ON has.columns @> tool.columns AND (tool.more OR tool.columns @> has.columns)
  AND tool."table" IN ('', c.relname)
WHERE c.relkind IN ('r', 'p') AND {OWN_SCHEMA}
ORDER BY 2, 3, 1 LIMIT {_MOST_TABLES}"""  # noqa: S608

    def read(self, reply: Reply) -> Sequence[HistoryTable]:
        return read_rows(HistoryTable, reply)


@dataclass(frozen=True, slots=True)
class _Row:
    kind: str
    told: str


@dataclass(frozen=True, slots=True)
class History:
    heads: tuple[str, ...] = ()
    """Where it ends, in order; none where nothing is applied."""
    troubles: tuple[str, ...] = ()
    """What did not end well or is in the way, in words."""


@dataclass(frozen=True)
class HistoryProbe(SqlProbe[History]):
    """Reads one tool's table."""

    tool: str
    table: str
    """Quoted."""

    def ask(self) -> str:
        tool = TOOLS[self.tool]
        parts = {"head": tool.heads, "trouble": tool.troubles}
        # The tool's statements are fixed text, the table is quoted.
        rows = {kind: text.format(t=self.table) for kind, text in parts.items() if text}
        selects = [f"SELECT '{kind}' AS kind, told::text AS told FROM ({rows[kind]}\n) {kind}_rows" for kind in rows]  # noqa: S608
        return "\nUNION ALL\n".join(f"({select} LIMIT {_MOST_ROWS})" for select in selects)

    def read(self, reply: Reply) -> History:
        rows = read_rows(_Row, reply)
        heads, troubles = ([one_line(row.told) for row in rows if row.kind == kind] for kind in ("head", "trouble"))
        return History(tuple(sorted(heads)), tuple(troubles))
