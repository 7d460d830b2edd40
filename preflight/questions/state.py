"""Questions to a database about the state that it is in, until somebody changes it: what is invalid, disabled, worn out
or held back. They read catalogues and counters, of sequences the last value, and whether their column holds the next
one; they take no lock beyond ACCESS SHARE."""

from dataclasses import dataclass
from typing import Annotated

from preflight.plan.limits import Matches
from preflight.probe import Reply, Unreadable
from preflight.questions.activity import MOST_SHOWN, touched_tables
from preflight.questions.fields import Count, read_rows
from preflight.questions.sql import SqlProbe, quote_identifier, quote_literal

_MOST_SEQUENCES = 100
"""Each is a relation that is opened and locked in one transaction."""
_HANGS_SECONDS, _SEGMENTS_BEHIND = 300, 10
"""How long nothing was archived, and how many finished files of write-ahead log wait by then."""
_UNCONFIRMED_SECONDS = 10
"""A statement of this age whose COMMIT waits for a standby: any network is faster."""
_SEGMENTS = "pg_size_bytes(current_setting('wal_segment_size'))"
_WRITTEN = f"""(CASE WHEN NOT pg_is_in_recovery()
      THEN floor(pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') / {_SEGMENTS}) END)"""
_ARCHIVED = f"""(('x' || substr(last_archived_wal, 9, 8))::bit(32)::bigint * (4294967296 / {_SEGMENTS})
      + ('x' || substr(last_archived_wal, 17, 8))::bit(32)::bigint)"""
"""Numbers of such files: the one being written, and the one whose name was archived last."""
_SMALL_BYTES = 2**20
"""Of a table of this size nobody misses statistics: autovacuum itself waits for some more rows before it gathers them.
"""
_AGE_SHARE = 0.9
"""Of the age at which autovacuum must prevent wraparound, as check_postgres warns."""
_SILENT_SECONDS = 60
"""A standby that says nothing for so long, and has not written all that it was sent, confirms no commit."""
_DATABASE_COLLATIONS = 150000
"""Since this version a database records the version of its own collation."""
_LOCKED = "SELECT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL"
_OBJECTS = f"""\
  SELECT 'index', schema, "table", c.relname, CASE c.relkind WHEN 'I' THEN 'partitioned' ELSE '' END, 0, touched
  FROM pg_index i JOIN tables t ON t.oid = i.indrelid JOIN pg_class c ON c.oid = i.indexrelid
  WHERE NOT (i.indisvalid AND i.indisready AND i.indislive)
    AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p
      WHERE p.relid = i.indrelid AND p.datname = current_database())
  UNION ALL
  SELECT 'constraint', schema, "table", conname, '', 0, touched
  FROM pg_constraint c JOIN tables t ON t.oid = c.conrelid
  WHERE NOT convalidated AND coninhcount = 0 AND coalesce(to_jsonb(c) ->> 'conenforced', 'true') = 'true'
  UNION ALL
  SELECT 'constraint', nspname, typname, conname, 'domain', 0, false
  FROM pg_constraint JOIN pg_type t ON t.oid = contypid JOIN pg_namespace n ON n.oid = typnamespace
  WHERE NOT convalidated
  UNION ALL
  SELECT DISTINCT 'trigger', schema, "table", CASE WHEN tgisinternal THEN '' ELSE tgname END, '', 0, touched
  FROM pg_trigger g JOIN tables t ON t.oid = g.tgrelid
  WHERE tgenabled = 'D' AND NOT EXISTS (SELECT FROM pg_trigger p WHERE p.oid = g.tgparentid AND p.tgenabled = 'D')
  UNION ALL
  SELECT 'narrow', schema, "table", a.attname, format_type(b.atttypid, NULL), 0, touched
  FROM pg_constraint c JOIN tables t ON t.oid = conrelid, unnest(conkey, confkey) AS k(own, target),
    pg_attribute a, pg_attribute b
  WHERE contype = 'f' AND conparentid = 0 AND a.attrelid = conrelid AND a.attnum = own
    AND b.attrelid = confrelid AND b.attnum = target AND a.attlen < b.attlen
    AND a.atttypid IN ('int2'::regtype, 'int4'::regtype) AND b.atttypid IN ('int4'::regtype, 'int8'::regtype)
  UNION ALL
  SELECT 'statistics', schema, "table", '', '', 0, touched
  FROM tables WHERE relkind IN ('r', 'm') AND reltuples < 0 AND schema !~ '^pg_' AND schema <> 'information_schema'
    AND CASE WHEN oid IN ({_LOCKED}) THEN 0 ELSE pg_relation_size(oid) END > {_SMALL_BYTES}
  UNION ALL
  SELECT 'unfilled', schema, "table", '', '', 0, touched
  FROM tables t JOIN pg_class c ON c.oid = t.oid WHERE NOT relispopulated
  UNION ALL
  SELECT 'gone', schema, "table", '', '', 0, touched FROM tables
  WHERE reltuples > 0 AND relkind <> 'p' AND CASE WHEN oid NOT IN ({_LOCKED}) THEN pg_relation_size(oid) = 0 END
  UNION ALL
  SELECT 'taken', schema, "table", attname, objid::regclass::text, 0, touched
  FROM tables t JOIN pg_depend d ON refclassid = 'pg_class'::regclass AND refobjid = t.oid
    JOIN pg_sequence ON classid = 'pg_class'::regclass AND objid = seqrelid AND deptype IN ('a', 'i')
    JOIN pg_attribute a ON attrelid = t.oid AND attnum = refobjsubid
  WHERE touched AND EXISTS (SELECT FROM pg_index WHERE indrelid = t.oid AND indisunique AND indisvalid
      AND indpred IS NULL AND indnkeyatts = 1 AND indkey[0] = attnum)
    AND CASE WHEN has_column_privilege(t.oid, attnum, 'SELECT') AND has_sequence_privilege(objid, 'SELECT')
        AND has_schema_privilege(schema, 'USAGE') AND NOT ARRAY[t.oid, objid] && ARRAY({_LOCKED})
      -- ts_stat runs a query that is made of names; query_to_xml does so only in a server with libxml
      THEN EXISTS (SELECT FROM ts_stat(format(
        'SELECT ''taken''::tsvector FROM %s AS t, %s AS s WHERE t.%I = last_value + %s * is_called::int',
        t.oid::regclass, objid::regclass, attname, seqincrement))) END"""  # noqa: S608 - all of it is fixed text
"""What is not as it should be with tables, one part for each kind of fault."""
_KIND = (
    "server|index|constraint|trigger|gone|unfilled|taken|narrow|statistics|sequence|hidden|collation|slot|archiver|"
    "standbys|commits|age|checksum|restart|silent"
)
_SERVER = """\
  SELECT 'server' AS kind, '' AS schema, '' AS "table", '' AS name, '' AS detail,
    current_setting('server_version_num')::numeric AS number, pg_is_in_recovery() AS touched"""


@dataclass(frozen=True, slots=True)
class Item:
    kind: Annotated[str, Matches(_KIND, "a kind of fault")]
    """`hidden` is a sequence that the role may not read, `taken` a column with the next value of its sequence, `narrow`
    a foreign key, `commits` are those that no standby confirms. One of `server` is always there."""
    schema: str
    table: str
    name: str
    detail: str
    """In particular, as the `wal_status` of a slot; of `standbys`, how many there are, or who may not see it; of the
    end of a sequence, how ALTER SEQUENCE takes it away, and the statement that widens the sequence's own column."""
    number: int
    """Bytes that a slot holds, an age in transactions, a count; of a sequence, where it ends; of `standbys`, how many
    are wanted; of the server, its version."""
    touched: bool
    """Of a table that the scripts touch, or a partition or parent of one; of a slot, in use; of `standbys`, seen to be
    too few; of the server, a standby; of the last value of a sequence, that no next one fits."""
    total: Count
    """How many there are of this kind with the same `touched`."""


class _Items(SqlProbe[tuple[Item, ...]]):
    def read(self, reply: Reply) -> tuple[Item, ...]:
        items = tuple(read_rows(Item, reply))
        if not any(item.kind == "server" for item in items):
            raise Unreadable("the server does not name its version")
        return items


class SequencesProbe(_Items):
    """Asks any role for the sequences that end sooner than a bigint, with their own type or with that of the column
    they are for: the ones that it may read, and how many it may not. For a locked one it would wait: left out."""

    text = f"""\
WITH item AS (
{_SERVER}
  UNION ALL
  SELECT CASE WHEN has_schema_privilege(n.oid, 'USAGE') AND has_sequence_privilege(c.oid, 'SELECT')
    THEN 'sequence' ELSE 'hidden' END, n.nspname, c.relname, '',
    CASE WHEN seqincrement > 0 THEN 'NO MAXVALUE;' ELSE 'NO MINVALUE;' END || coalesce(widen, ''),
    CASE WHEN seqincrement > 0 THEN least(seqmax, top) ELSE greatest(seqmin, -top - 1) END, false
  FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN LATERAL (SELECT min(power(2::numeric, 8 * attlen - 1) - 1)::bigint AS top,
        string_agg(format(' ALTER TABLE %s ALTER COLUMN %I TYPE bigint;', attrelid::regclass, attname), '') AS widen
      FROM (SELECT refobjid, refobjsubid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = seqrelid
          AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass
        UNION SELECT adrelid, adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
        WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = seqrelid)
        AS filled JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
      WHERE atttypid IN ('int2'::regtype, 'int4'::regtype)) AS own ON true
  WHERE NOT seqcycle AND c.relpersistence <> 't' AND NOT EXISTS (
      SELECT FROM pg_locks l WHERE l.relation = seqrelid AND l.mode = 'AccessExclusiveLock')
    AND (top IS NOT NULL OR seqmax < 9223372036854775807)),
counted AS (
  SELECT *, count(*) OVER k AS total, row_number() OVER (k ORDER BY abs(number), schema, name) AS place
  FROM item WINDOW k AS (PARTITION BY kind))
SELECT kind, schema, "table", name, detail, number::bigint::text AS number, touched::text, total::text
FROM counted WHERE place <= CASE kind WHEN 'hidden' THEN 1 ELSE {_MOST_SEQUENCES} END"""  # noqa: S608 - all of it is fixed text


@dataclass(frozen=True)
class StateProbe(_Items):
    """Asks any role.

    An index that is just being built is not yet valid, and no finding. A constraint counts where it is made, a trigger
    too, not once more in each partition. Tables without statistics have rows, and were never analyzed; a partitioned
    table, which has no rows of its own, is left out. An archive command that does nothing and says yes leaves no trace
    in the counters. A setting of the server's command line is the same after a restart. A slot that a replica keeps for
    others counts once it holds too much. Who replicates, without which commits wait, only pg_read_all_stats shows. Of
    collations those count by which the database or an index is sorted. Of the `sequences` the last value is read."""

    touched: str
    """Condition on `n.nspname` and `c.relname` of the tables that the scripts touch."""
    sequences: tuple[tuple[str, str, int], ...]
    """Schema, name and end of those that the role may read."""
    version: int
    """Of the server, as `server_version_num`."""

    def ask(self) -> str:
        reads = [
            f"""
  UNION ALL
  SELECT 'sequence', {quote_literal(schema)}, {quote_literal(name)}, '', '', last_value,
    ({end}::numeric - last_value) / seqincrement < is_called::int
  FROM {quote_identifier(schema)}.{quote_identifier(name)} AS s JOIN pg_sequence ON seqrelid = s.tableoid"""  # noqa: S608
            for schema, name, end in self.sequences
        ]
        own = """
  UNION ALL
  SELECT 'collation', '', '', datname, pg_database_collation_actual_version(oid), 0, false FROM pg_database
  WHERE datname = current_database() AND datcollversion <> pg_database_collation_actual_version(oid)"""
        # Names, and the condition's values, are quoted; everything else is fixed text.
        return f"""\
{touched_tables(self.touched)},
tables AS (
  SELECT c.oid, n.nspname AS schema, c.relname AS "table", c.relkind, c.reltuples,
    c.oid IN (SELECT oid FROM touched) AS touched
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'm', 't') AND c.relpersistence <> 't'),
archiver AS (
  SELECT command, last_failed_time, last_archived_time, CASE
    WHEN command !~ '\\S' THEN 'none'
    WHEN command ~ '^\\s*(((/usr)?/bin/)?true|:|exit\\s+0)(\\s+["'']?%[fp]["'']?)*\\s*$' THEN 'pretends'
    WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN 'fails'
    WHEN last_archived_time < clock_timestamp() - interval '{_HANGS_SECONDS} s' AND NOT pg_is_in_recovery()
      AND last_archived_wal ~ '^[0-9A-F]{{24}}' AND {_WRITTEN} - {_ARCHIVED} > {_SEGMENTS_BEHIND}
      THEN 'hangs' END AS fault
  FROM pg_stat_archiver a, (SELECT max(setting) FILTER (WHERE name = 'archive_mode') AS mode,
      max(setting) FILTER (WHERE name = 'archive_command') AS command,
      coalesce(max(setting) FILTER (WHERE name = 'archive_library'), '') AS library
    FROM pg_settings WHERE name LIKE 'archive\\_%') AS set
  WHERE library = '' AND (mode = 'always' OR mode = 'on' AND NOT pg_is_in_recovery())),
standbys AS (
  SELECT coalesce(substring(names FROM '(?i)^\\s*(?:(?:first|any)\\s+)?(\\d+)\\s*\\(')::int, 1) AS wanted, names,
    (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum') AND coalesce(
      flush_lsn >= sent_lsn OR reply_time > clock_timestamp() - interval '{_SILENT_SECONDS} s', true)) AS standing,
    pg_has_role('pg_read_all_stats', 'USAGE') AS shown
  FROM current_setting('synchronous_standby_names') AS names
  WHERE names ~ '\\S' AND NOT pg_is_in_recovery() AND current_setting('synchronous_commit') NOT IN ('off', 'local')),
item AS (
{_SERVER}
  UNION ALL
{_OBJECTS}
  UNION ALL
  SELECT 'standbys', '', '', names, CASE WHEN shown THEN standing::text ELSE current_user END, wanted, shown
  FROM standbys WHERE standing < wanted
  UNION ALL
  SELECT 'commits', '', '', current_setting('synchronous_standby_names'), '', count(*), false FROM pg_stat_activity
  WHERE wait_event = 'SyncRep' AND query_start < clock_timestamp() - interval '{_UNCONFIRMED_SECONDS} s'
    AND NOT EXISTS (SELECT FROM standbys WHERE standing < wanted) HAVING count(*) > 0
  UNION ALL
  SELECT 'slot', '', coalesce(database, ''), slot_name, wal_status, pg_wal_lsn_diff(
    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn), active
  FROM pg_replication_slots s WHERE wal_status IS NOT NULL AND coalesce(to_jsonb(s) ->> 'synced', 'false') = 'false'
    AND NOT (pg_is_in_recovery() AND wal_status = 'reserved')
  UNION ALL
  SELECT 'archiver', '', '', CASE fault WHEN 'pretends' THEN command END, fault,
    extract(epoch FROM CASE fault WHEN 'fails' THEN last_failed_time WHEN 'hangs' THEN last_archived_time END), false
  FROM archiver WHERE fault IS NOT NULL
  UNION ALL
  SELECT 'age', '', '', datname, of, age, false FROM (
    SELECT DISTINCT ON (of) datname, of, age, most FROM pg_database, LATERAL (VALUES
      ('transactions', age(datfrozenxid), current_setting('autovacuum_freeze_max_age')::int),
      ('multixacts', mxid_age(datminmxid), current_setting('autovacuum_multixact_freeze_max_age')::int))
      AS each(of, age, most)
    WHERE datallowconn ORDER BY of, age DESC, datname = current_database() DESC) AS oldest
  WHERE age >= {_AGE_SHARE} * most
  UNION ALL
  SELECT 'checksum', '', '', coalesce(datname, 'shared catalogues'), '', checksum_failures, false
  FROM pg_stat_database WHERE checksum_failures > 0
  UNION ALL
  SELECT 'silent', '', '', name, setting, 0, false FROM pg_settings
  WHERE name IN ('zero_damaged_pages', 'ignore_checksum_failure') AND setting = 'on'
    OR name = 'old_snapshot_threshold' AND setting <> '-1'
  UNION ALL
  SELECT 'restart', '', '', name, '', 0, false FROM pg_settings WHERE pending_restart AND source <> 'command line'
  UNION ALL
  SELECT 'collation', nspname, '', collname, pg_collation_actual_version(c.oid), 0, false
  FROM pg_collation c JOIN pg_namespace n ON n.oid = collnamespace
  WHERE collversion <> pg_collation_actual_version(c.oid) AND c.oid IN (SELECT unnest(indcollation) FROM pg_index)\
{own if self.version >= _DATABASE_COLLATIONS else ""}{"".join(reads)}),
counted AS (
  SELECT *, count(*) OVER k AS total, row_number() OVER (k ORDER BY number DESC, schema, "table", name) AS place
  FROM item WINDOW k AS (PARTITION BY kind, touched))
SELECT kind, schema, "table", coalesce(name, '') AS name, detail, coalesce(floor(number), 0)::bigint::text AS number,
  touched::text, total::text
FROM counted WHERE place <= CASE kind WHEN 'sequence' THEN {_MOST_SEQUENCES} ELSE {MOST_SHOWN} END
ORDER BY kind, touched DESC, place"""  # noqa: S608
