"""Questions about pg_cron, which starts SQL at times inside a database server."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

from preflight.probe import Reply, Unreadable
from preflight.questions.fields import read_row, read_rows
from preflight.questions.jobs import sql_redacted
from preflight.questions.sql import SqlProbe
from preflight.questions.timers import shown

_MOST_JOBS = 500


@dataclass(frozen=True, slots=True)
class PgCron:
    """Whether a database holds pg_cron's table, and what the role may see of it."""

    found: bool
    readable: bool
    only_own: bool
    """Row security shows the role its own jobs only."""
    home: str
    """The database pg_cron works from; empty where the role may not see it, or pg_cron is not loaded."""
    zone: str
    """cron.timezone; empty where the role may not see it."""
    sees_settings: bool
    """Whether an empty `home` means that pg_cron is not loaded."""


@dataclass(frozen=True)
class PgCronProbe(SqlProbe[PgCron]):
    """Looks in the catalogue only, so that any role may ask."""

    def ask(self) -> str:
        return """\
SELECT (c.oid IS NOT NULL)::text AS found,
  coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), false)::text AS readable,
  coalesce(row_security_active(c.oid), false)::text AS only_own,
  coalesce((SELECT setting FROM pg_settings WHERE name = 'cron.database_name'), '') AS home,
  coalesce((SELECT setting FROM pg_settings WHERE name = 'cron.timezone'), '') AS zone,
  coalesce((SELECT pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname = 'pg_read_all_settings'), false)::text
    AS sees_settings
FROM (SELECT 1) AS always LEFT JOIN pg_namespace n ON n.nspname = 'cron'
  LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'job' AND c.relkind IN ('r', 'p', 'v')"""

    def read(self, reply: Reply) -> PgCron:
        found = read_row(PgCron, reply)
        return replace(found, home=shown(found.home))


@dataclass(frozen=True, slots=True)
class PgCronJob:
    """One active row of cron.job."""

    name: str
    schedule: str
    user: str
    database: str
    command: str


@dataclass(frozen=True)
class PgCronJobsProbe(SqlProbe[tuple[PgCronJob, ...]]):
    """The active jobs that the role may see; asked only where the table may be read."""

    def ask(self) -> str:
        # Old versions have no columns jobname and active, hence the way through jsonb. All text is fixed.
        return f"""\
SELECT coalesce(to_jsonb(j) ->> 'jobname', 'job ' || jobid::text) AS name, schedule::text AS schedule,
  username::text AS "user", database::text AS database, left({sql_redacted("command::text")}, 400) AS command
FROM cron.job j WHERE coalesce(to_jsonb(j) ->> 'active', 'true') = 'true' ORDER BY jobid LIMIT {_MOST_JOBS + 1}"""  # noqa: S608

    def read(self, reply: Reply) -> tuple[PgCronJob, ...]:
        jobs = read_rows(PgCronJob, reply)
        if len(jobs) > _MOST_JOBS:
            raise Unreadable(f"more than {_MOST_JOBS} jobs")
        return tuple(PgCronJob(*map(shown, astuple(job))) for job in jobs)
