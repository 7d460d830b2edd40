"""What the work did, as PostgreSQL itself tells it: event triggers, statistics and catalogues of the scratch server.

Event triggers see every DDL statement, also one inside a function, and are part of its transaction: what is rolled
back leaves no trace. What they do not see (TRUNCATE, VACUUM FULL, CLUSTER, REINDEX, changed rows, roles, settings) is
compared: file nodes, statistics, pg_roles and pg_settings before and after. An explicit LOCK TABLE is not seen."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import psycopg

from preflight.questions.rehearsed import LOCKS, Touched
from preflight.questions.schema import Schema, SchemaProbe
from preflight.questions.schema_sql import WITNESS_SCHEMA as SCHEMA

_DERIVED = (
    *("type", "toast table", "index column", "table constraint", "default value", "rule", "trigger"),
    *("function of access method", "operator of access method"),
)
"""Kinds that are dropped with what they belong to, and are told with it."""
_WAYS = ("inserted", "updated", "deleted")
"""In which rows change: fields of `Relation` and of `Touched`."""
_INSTALL = f"""
CREATE SCHEMA {SCHEMA};
CREATE TABLE {SCHEMA}.seen (
  at timestamptz DEFAULT clock_timestamp(), kind text, name text, objid oid,
  defined boolean DEFAULT false, created boolean DEFAULT false, dropped boolean DEFAULT false,
  rewritten boolean DEFAULT false, lock text DEFAULT '',
  lock_timeout int DEFAULT extract(epoch FROM current_setting('lock_timeout')::interval) * 1000,
  xact xid8 DEFAULT pg_current_xact_id());
CREATE TABLE {SCHEMA}.members AS SELECT classid, objid FROM pg_depend WHERE deptype = 'e';
CREATE FUNCTION {SCHEMA}.of_command() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $witness$ BEGIN
  INSERT INTO {SCHEMA}.seen (kind, name, objid, defined, created)
    SELECT i.type, i.identity, c.objid, true, c.command_tag LIKE 'CREATE %'
    FROM pg_event_trigger_ddl_commands() c
    CROSS JOIN LATERAL pg_identify_object(c.classid, c.objid,
      CASE WHEN c.classid = 'pg_class'::regclass THEN 0 ELSE c.objsubid END) i
    WHERE c.object_identity <> '' AND i.schema IS DISTINCT FROM 'pg_temp' AND NOT c.in_extension;
  INSERT INTO {SCHEMA}.seen (kind, name, objid, lock)
    SELECT i.type, i.identity, l.relation, l.mode
    FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL pg_identify_object('pg_class'::regclass, c.oid, 0) i
    WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', '{SCHEMA}') AND c.relpersistence <> 't'
      AND NOT EXISTS (SELECT FROM {SCHEMA}.seen s
        WHERE s.xact = pg_current_xact_id() AND s.objid = l.relation AND s.lock = l.mode);
  INSERT INTO {SCHEMA}.members SELECT classid, objid FROM pg_depend WHERE deptype = 'e' AND tg_tag LIKE '% EXTENSION';
END $witness$;
CREATE FUNCTION {SCHEMA}.of_drop() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $witness$ BEGIN
  INSERT INTO {SCHEMA}.seen (kind, name, objid, defined, dropped, lock)
    SELECT object_type, object_identity, objid, true, true,
      CASE WHEN object_type IN ('table', 'index', 'view', 'materialized view', 'sequence')
          AND NOT EXISTS (SELECT FROM {SCHEMA}.seen s
            WHERE s.xact = pg_current_xact_id() AND s.objid = d.objid AND s.lock = 'AccessExclusiveLock')
        THEN 'AccessExclusiveLock' ELSE '' END
    FROM pg_event_trigger_dropped_objects() d
    WHERE (original OR normal AND (classid, objid) NOT IN (SELECT m.classid, m.objid FROM {SCHEMA}.members m))
      AND NOT is_temporary AND schema_name IS DISTINCT FROM 'pg_toast';
END $witness$;
CREATE FUNCTION {SCHEMA}.of_rewrite() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $witness$ BEGIN
  INSERT INTO {SCHEMA}.seen (kind, name, objid, rewritten)
    SELECT i.type, i.identity, r, true
    FROM pg_event_trigger_table_rewrite_oid() r, pg_identify_object('pg_class'::regclass, r, 0) i;
END $witness$;
CREATE EVENT TRIGGER {SCHEMA}_command ON ddl_command_end EXECUTE FUNCTION {SCHEMA}.of_command();
CREATE EVENT TRIGGER {SCHEMA}_drop ON sql_drop EXECUTE FUNCTION {SCHEMA}.of_drop();
CREATE EVENT TRIGGER {SCHEMA}_rewrite ON table_rewrite EXECUTE FUNCTION {SCHEMA}.of_rewrite();
ALTER EVENT TRIGGER {SCHEMA}_command ENABLE ALWAYS;
ALTER EVENT TRIGGER {SCHEMA}_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER {SCHEMA}_rewrite ENABLE ALWAYS;
"""  # noqa: S608
"""ALWAYS: a script may set session_replication_role. A lock is noted once in each transaction, when it is first seen:
that is when it was waited for, with the lock_timeout of then."""
_BEGIN = f"SELECT max(oid)::bigint FROM pg_proc WHERE pronamespace = '{SCHEMA}'::regnamespace"  # noqa: S608
"""Numbers of objects only grow: what has a greater one was made by the work."""
_TABLE_BYTES = (
    "SELECT format('%I.%I', nspname, relname), pg_total_relation_size(c.oid) FROM pg_class c, pg_namespace n "
)
_TABLE_BYTES += "WHERE n.oid = relnamespace AND relkind IN ('r', 'm')"
_NOW = """
SELECT clock_timestamp(), pg_current_wal_insert_lsn() - '0/0'::pg_lsn, temp_bytes
FROM pg_stat_database WHERE datname = current_database()"""
_RELATIONS = f"""
SELECT c.oid::bigint, i.type, i.identity, c.relfilenode::bigint,
  coalesce(pg_stat_get_tuples_inserted(c.oid), 0), coalesce(pg_stat_get_tuples_updated(c.oid), 0),
  coalesce(pg_stat_get_tuples_deleted(c.oid), 0), coalesce(pg_stat_get_live_tuples(c.oid), 0),
  pg_stat_get_last_analyze_time(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_identify_object('pg_class'::regclass, c.oid, 0) i
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', '{SCHEMA}')
  AND c.relpersistence <> 't' AND c.relkind IN ('r', 'm', 'p', 'i')"""  # noqa: S608
_SHARED = """
SELECT 'role', quote_ident(rolname), (to_jsonb(r) - '{oid, rolconfig}'::text[] || jsonb_build_object('member_of', ARRAY(
    SELECT m.roleid::regrole::text || m.admin_option FROM pg_auth_members m WHERE m.member = r.oid ORDER BY 1)))::text
  FROM pg_roles r WHERE rolname !~ '^pg_'
UNION ALL SELECT 'database', quote_ident(datname), datacl::text FROM pg_database
UNION ALL SELECT 'tablespace', quote_ident(spcname), spcacl::text FROM pg_tablespace
UNION ALL SELECT 'setting', name, setting FROM pg_file_settings WHERE sourcefile LIKE '%postgresql.auto.conf'
UNION ALL SELECT 'setting of', concat_ws(' in ', nullif(setrole, 0)::regrole, quote_ident(datname)), setconfig::text
  FROM pg_db_role_setting LEFT JOIN pg_database d ON d.oid = setdatabase"""
_END_SESSIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""
_LOCKED = """
SELECT EXISTS (SELECT FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND locktype = 'relation'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid())"""
_ROLLED_BACK = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, materialized view or index at one moment."""

    kind: str
    name: str
    filenode: int
    inserted: int
    """Rows since the server was started; updated and deleted likewise."""
    updated: int
    deleted: int
    live: int
    """Rows that are there, as the statistics count them."""
    analyzed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Observation:
    """The scratch server between two scripts, as far as transactions are committed."""

    at: datetime
    """By the server's clock, before it was looked at."""
    until: datetime
    """After it."""
    wal: int
    """Bytes written since the server was made."""
    temporary_bytes: int
    """Of all temporary files since then."""
    relations: Mapping[int, Relation]
    shared: Mapping[tuple[str, str], str]
    """What belongs to the server: roles, databases, settings by kind and name."""
    schema: Schema = field(repr=False)


class Witness:
    """Looks at one scratch database, in which it has a schema of its own."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """`connection`: the superuser's, to the database before the work."""
        self._connection = connection
        connection.execute(_INSTALL)
        self._newest = self._value(_BEGIN)
        self._rolled_back = 0
        self.rolled_back()  # what pg_dump has ended with

    @property
    def database_bytes(self) -> int:
        return int(self._value("SELECT pg_database_size(current_database())"))

    @property
    def table_bytes(self) -> Mapping[str, int]:
        """With indexes and TOAST, by name. It waits for whoever has a table locked."""
        return dict(self._connection.execute(_TABLE_BYTES).fetchall())

    def look(self, before: Observation | None = None) -> Observation:
        """`before`: the last one. Its schema counts where an open transaction of the work keeps the new one locked:
        what that changes is told when it commits."""
        at, wal, temporary_bytes = self._row(_NOW)
        relations = {row[0]: Relation(*row[1:]) for row in self._connection.execute(_RELATIONS)}
        shared = {(kind, name): told or "" for kind, name, told in self._connection.execute(_SHARED)}
        schema = before.schema if before and self._value(_LOCKED) else Schema.parse(self._value(SchemaProbe.text))
        until = self._row(_NOW)[0]
        return Observation(at, until, int(wal), temporary_bytes, relations, shared, schema)

    def rolled_back(self) -> int:
        """How many transactions were rolled back since the last call. Ends the sessions of the work, whose clients have
        ended, and which count their last one then."""
        while self._value(_END_SESSIONS):
            self._connection.execute("SELECT pg_sleep(0.01)")
        before, self._rolled_back = self._rolled_back, int(self._value(_ROLLED_BACK))
        return self._rolled_back - before

    def touched(self, before: Observation, after: Observation) -> tuple[Touched, ...]:
        """What was touched between the two, sorted by kind and name."""
        found: dict[tuple[str, str], Touched] = {}
        for each in (*self._by_statements(before, after), *self._by_comparison(before, after)):
            known = found.get((each.kind, each.name))
            found[each.kind, each.name] = _together(known, each) if known else each
        return tuple(each for (kind, _), each in sorted(found.items()) if kind not in _DERIVED or not each.dropped)

    def rows_lost(self, before: Observation, after: Observation) -> Iterator[str]:
        """Tables that have fewer rows afterwards. Where the statistics say so, or were gathered anew, they are counted:
        on the scratch server nobody waits for that."""
        now = {each.name: each for each in after.relations.values()}
        for each in before.relations.values():
            later = now.get(each.name)
            if each.kind != "table" or not each.live:
                continue
            rows = later.live if later else 0
            if later and (rows < each.live or later.analyzed_at != each.analyzed_at):
                rows = int(self._value(f"SELECT count(*) FROM {each.name}"))  # noqa: S608 - as PostgreSQL quoted it
            if rows < each.live:
                yield f"{each.name}: {each.live - rows} rows of {each.live}"

    def _by_statements(self, before: Observation, after: Observation) -> Iterator[Touched]:
        from psycopg.rows import class_row

        yield from self._connection.cursor(row_factory=class_row(Touched)).execute(
            "SELECT kind, name, defined, created AND objid > %s AS created, dropped, rewritten, lock, "  # noqa: S608
            f"CASE WHEN lock <> '' THEN lock_timeout END AS lock_timeout_ms FROM {SCHEMA}.seen "
            "WHERE at > %s AND at <= %s ORDER BY at",
            (self._newest, before.until, after.at),
        )

    def _by_comparison(self, before: Observation, after: Observation) -> Iterator[Touched]:
        for oid, now in after.relations.items():
            then = before.relations.get(oid)
            rows = {way: getattr(now, way) - (getattr(then, way) if then else 0) for way in _WAYS}
            rewritten = then is not None and then.filenode != now.filenode
            if any(rows.values()) or rewritten:
                lock = LOCKS[-1] if rewritten else "RowExclusiveLock" if now.kind == "table" else ""
                yield Touched(kind=now.kind, name=now.name, rewritten=rewritten, lock=lock, **rows)
        for kind, name in before.shared.keys() | after.shared.keys():
            then_told, now_told = before.shared.get((kind, name)), after.shared.get((kind, name))
            if then_told != now_told:
                yield Touched(kind=kind, name=name, defined=True, created=then_told is None, dropped=now_told is None)

    def _row(self, statement: str) -> Any:
        return self._connection.execute(statement.encode()).fetchall()[0]

    def _value(self, statement: str) -> Any:
        return self._row(statement)[0]


def _together(one: Touched, other: Touched) -> Touched:
    """Of one object: all that was done to it, and the strongest lock."""
    strongest = max(one, other, key=_strength)
    done = {act: getattr(one, act) or getattr(other, act) for act in ("defined", "created", "dropped", "rewritten")}
    rows = {way: getattr(one, way) + getattr(other, way) for way in _WAYS}
    return replace(one, **done, **rows, lock=strongest.lock, lock_timeout_ms=strongest.lock_timeout_ms)


def _strength(touched: Touched) -> tuple[int, float]:
    """Of equal locks the one that may be waited for longest comes last; first those of which that was not seen."""
    timeout = touched.lock_timeout_ms
    longest = -1 if timeout is None else timeout or math.inf
    return LOCKS.index(touched.lock) if touched.lock else -1, longest
