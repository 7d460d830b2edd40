"""The question to a database about what goes on in it at this moment: transactions, locks, clients. One statement that
takes no lock on any table; what it tells ends by itself, but for a prepared transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Annotated

from preflight.plan.limits import Matches
from preflight.probe import Reply, Unreadable
from preflight.questions.fields import Count, read_rows
from preflight.questions.sql import SqlProbe, quote_literal

MOST_SHOWN = 5
"""Of one kind; more are counted."""
_LOCKS = """\
array_to_string((array_agg(DISTINCT held))[1:3], ', ')
    || CASE WHEN count(DISTINCT held) > 3 THEN format(' and %s more', count(DISTINCT held) - 3) ELSE '' END"""
_KIND = "visible|hidden|untracked|blocks|snapshot|idle|long|backup|prepared|client|stranger"
_MOST_WORDS = 60
"""Characters of a query that are told, up to its first quote: what is quoted may be anybody's data."""


def touched_tables(condition: str) -> str:
    """The common table expression `touched (oid)`, with those before it: relations that fit `condition` on
    `n.nspname` and `c.relname`, their partitions and children, and what they are partitions or children of."""
    # The condition's values are quoted as literals; everything else is fixed text.
    return f"""\
WITH RECURSIVE named AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f') AND ({condition})),
below AS (SELECT oid FROM named UNION SELECT i.inhrelid FROM pg_inherits i JOIN below b ON i.inhparent = b.oid),
above AS (SELECT oid FROM named UNION SELECT i.inhparent FROM pg_inherits i JOIN above a ON i.inhrelid = a.oid),
touched AS (SELECT oid FROM below UNION SELECT oid FROM above)"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Seen:
    """A session, a group of clients, or a prepared transaction."""

    kind: Annotated[str, Matches(_KIND, "what a session does")]
    """`blocks`: holds a lock on a touched table; `snapshot`: keeps one; `idle` in a transaction; `long` transaction;
    `backup`: pg_dump of a backup of the plan; `prepared` transaction; `client` and, from an address that is not listed,
    `stranger`. One row is always there: `hidden` tells how many sessions the role may not see, `visible` that it may
    see all. `untracked` tells how many the server does not watch."""
    since: datetime
    """By the server's clock: when the transaction began, the session became idle, or the first client connected."""
    seconds: Count
    """For how long, when it was asked."""
    pid: int | None
    user: str
    client: str | None
    """Address; None for a socket of the server's own machine."""
    application: str
    state: str
    """As pg_stat_activity calls it, or `autovacuum worker` and the like for what is no client."""
    words: str
    """Of its query, the first ones; of a prepared transaction, its identifier."""
    locks: str
    """Touched tables, each with the lock that is held on it; and advisory locks, where scripts take any."""
    sessions: Count
    total: Count
    """How many of this kind there are."""


@dataclass(frozen=True)
class ActivityProbe(SqlProbe[tuple[Seen, ...]]):
    """Asks any role; one without pg_read_all_stats sees its own sessions only, and prepared transactions.

    Ordinary autovacuum gives way to whoever waits for its lock, so it is left out; the kind that prevents wraparound
    does not. Of locks on a catalogue (numbers below 16384) those count for which DDL waits. Parallel workers count with
    their leader. Sessions called `preflight` are this program's."""

    touched: str
    """Condition on `n.nspname` and `c.relname` of the tables that the scripts touch."""
    holds: timedelta
    """From which age a transaction that holds a lock on one of them counts, and a prepared one."""
    idle: timedelta
    """From which time idle in a transaction one counts."""
    open: timedelta
    """From which age any other transaction counts."""
    clients: tuple[str, ...] | None = None
    """Addresses and networks from which clients may be connected; None for all."""
    dumps_by: tuple[str, ...] = ()
    """Roles whose pg_dump is a backup of the plan."""
    dumps_for: timedelta = timedelta()
    """How long that may take."""
    snapshots: bool = False
    """Whether scripts wait for transactions that keep a snapshot: these count from the age `holds`, too."""
    advisory: bool = False
    """Whether scripts wait for advisory locks: whoever holds one counts as for a touched table."""

    def ask(self) -> str:
        roles = ", ".join(map(quote_literal, self.dumps_by))
        networks = ", ".join(f"'{ip_network(each)}'" for each in self.clients or ())
        listed = "true" if self.clients is None else f"client_addr <<= ANY (ARRAY[{networks}]::inet[])"
        # Roles, networks and the condition's values are quoted as literals; everything else is fixed text.
        return f"""\
{touched_tables(self.touched)},
here AS (SELECT oid FROM pg_database WHERE datname = current_database()),
lock AS (
  SELECT pid, virtualtransaction, coalesce(relation::regclass::text, 'advisory lock ' || CASE objsubid
      WHEN 1 THEN ((classid::bigint << 32) | objid::bigint)::text ELSE classid || ', ' || objid END)
    || ' (' || mode || ')' AS held FROM pg_locks
  WHERE granted AND database IN (0, (TABLE here)) AND (locktype = 'advisory' AND {self.advisory}
    OR locktype = 'relation' AND relation IN (SELECT oid FROM touched)
    AND (relation >= 16384 OR mode ~ '^(Share|(ShareRow|Access)?Exclusive)Lock'))),
backend AS (
  SELECT *, coalesce(leader_pid, pid) AS leader, query LIKE '%(to prevent wraparound)' AS prevents_wraparound
  FROM pg_stat_activity
  WHERE datid = (SELECT oid FROM here) AND pid <> pg_backend_pid() AND application_name IS DISTINCT FROM 'preflight'),
held AS (
  SELECT leader AS pid, {_LOCKS} AS locks
  FROM lock JOIN backend USING (pid) GROUP BY leader),
found AS (
  SELECT CASE WHEN bool_or(pg_has_role(r.oid, 'USAGE')) THEN 'visible' ELSE 'hidden' END AS kind,
    clock_timestamp() AS began, NULL::timestamptz AS state_change, NULL::int AS pid, NULL::name AS "user",
    NULL AS client, NULL AS application, NULL AS state, NULL AS words, NULL AS locks,
    (SELECT count(*) FROM backend WHERE backend_type IS NULL) AS sessions
  FROM pg_roles r WHERE rolname = 'pg_read_all_stats'
  UNION ALL
  SELECT 'untracked', clock_timestamp(), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, count(*)
  FROM backend WHERE state = 'disabled' HAVING count(*) > 0
  UNION ALL
  SELECT CASE
      WHEN application_name = 'pg_dump' AND usename = ANY (ARRAY[{roles}]::name[])
        AND xact_start > clock_timestamp() - {_interval(self.dumps_for)} THEN 'backup'
      WHEN locks IS NOT NULL AND (backend_type <> 'autovacuum worker' OR prevents_wraparound)
        AND coalesce(xact_start, backend_start) <= clock_timestamp() - {_interval(self.holds)} THEN 'blocks'
      WHEN {self.snapshots} AND backend_xmin IS NOT NULL AND backend_type <> 'autovacuum worker'
        AND pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
        AND xact_start <= clock_timestamp() - {_interval(self.holds)} THEN 'snapshot'
      WHEN backend_type <> 'client backend' THEN NULL
      WHEN state LIKE 'idle in transaction%' AND state_change <= clock_timestamp() - {_interval(self.idle)} THEN 'idle'
      WHEN xact_start <= clock_timestamp() - {_interval(self.open)} THEN 'long' END,
    coalesce(xact_start, backend_start), state_change, pid, usename, host(client_addr), application_name,
    CASE backend_type WHEN 'client backend' THEN state ELSE backend_type END,
    left(regexp_replace(substring(query FROM '^[^''"$]*'), '\\s+', ' ', 'g'), {_MOST_WORDS}), locks, 1
  FROM backend LEFT JOIN held USING (pid) WHERE pid = leader
  UNION ALL
  SELECT 'prepared', prepared, NULL, NULL, owner, NULL, '', '', gid,
    (SELECT {_LOCKS}
      FROM lock JOIN pg_locks x USING (virtualtransaction)
      WHERE x.transactionid = transaction AND x.pid IS NULL AND lock.pid IS NULL), 1
  FROM pg_prepared_xacts WHERE database = current_database() AND prepared <= clock_timestamp() - {_interval(self.holds)}
  UNION ALL
  SELECT CASE WHEN client_addr IS NULL OR client_addr IN ('127.0.0.1', '::1') OR {listed}
      THEN 'client' ELSE 'stranger' END,
    min(backend_start), NULL, min(pid), usename, host(client_addr), application_name, '', '', '', count(*)
  FROM backend WHERE backend_type = 'client backend' GROUP BY usename, client_addr, application_name),
counted AS (
  SELECT *, CASE kind WHEN 'idle' THEN state_change ELSE began END AS since, count(*) OVER k AS total,
    row_number() OVER (k ORDER BY began) AS place
  FROM found WHERE kind IS NOT NULL WINDOW k AS (PARTITION BY kind))
SELECT kind, floor(extract(epoch FROM since))::bigint::text AS since,
  greatest(floor(extract(epoch FROM clock_timestamp() - since)), 0)::bigint::text AS seconds, pid::text,
  coalesce("user"::text, '') AS "user", client, coalesce(application, '') AS application, coalesce(state, '') AS state,
  coalesce(words, '') AS words, coalesce(locks, '') AS locks, sessions::text,
  total::text
FROM counted WHERE place <= {MOST_SHOWN} ORDER BY kind, place"""  # noqa: S608

    def read(self, reply: Reply) -> tuple[Seen, ...]:
        seen = tuple(read_rows(Seen, reply))
        if not any(each.kind in ("hidden", "visible") for each in seen):
            raise Unreadable("it does not say what the role may see")
        return seen


def _interval(duration: timedelta) -> str:
    return f"interval '{duration.total_seconds():.0f} s'"
