"""What is asked of those who own the databases: roles, grants, lines of pg_hba.conf. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.clock import format_moment
from preflight.plan import BackupMethod, Connect, Database, Plan, SslMode
from preflight.plan.work import ServerWork, work_with
from preflight.prerequisites import Requirement
from preflight.questions.sql import always_quoted, quote_identifier


def requirements(plan: Plan) -> Iterator[Requirement]:
    for database in plan.databases.values():
        yield _roles(plan, database)
        yield _way_in(database)
        for work in _connecting(plan, database):
            who = work.account or work.host.who
            text = (
                f"On {work.host.id}: {who} logs in to {work.dbname} as {work.login} without a prompt "
                "(peer, ~/.pgpass with mode 0600, or a certificate)."
            )
            yield Requirement(owner=database.owner, text=text, checks=("script-runner",))


def _connecting(plan: Plan, database: Database) -> list[ServerWork]:
    """Work with the database that logs in to it, each connection once."""
    acts = [act for work in work_with(plan, database.id) for act in work.acts if act.connects]
    return list({(act.host.id, act.account, act.connection): act for act in acts}.values())


def _roles(plan: Plan, database: Database) -> Requirement:
    until = format_moment(plan.window.needed_until, plan.window.zone)
    logins = dict.fromkeys([database.user, *(work.login for work in _connecting(plan, database))])
    text = (
        f"In {database.id}: login roles {', '.join(logins)}, valid past {until} (VALID UNTIL), with these grants for "
        "the checks. What the scripts and the backup themselves may do is granted with the release."
    )
    return Requirement(
        owner=database.owner,
        text=text,
        lines=tuple(statement for role in logins for statement in grants(plan, database, role)),
        language="sql",
        checks=("database-login", *(("backup-location", "backup-space") if _backed_up(plan, database) else ())),
    )


def grants(plan: Plan, database: Database, role: str) -> Iterator[str]:
    """The least that preflight's own questions need of a role; statements for a superuser. The role `postgres`, which
    initdb makes as one, needs none."""
    if role == "postgres":
        return
    yield f"GRANT CONNECT ON DATABASE {quote_identifier(database.dbname)} TO {quote_identifier(role)};"
    if role != database.user:
        return
    if _backed_up(plan, database):  # where the data directory lies, which the backup must outlive
        yield f"GRANT pg_read_all_settings TO {quote_identifier(role)};"
    if any(
        backup.database == database.id and backup.method is BackupMethod.PG_BASEBACKUP
        for backup in plan.backups.values()
    ):  # the size of every tablespace
        yield f"GRANT pg_read_all_stats TO {quote_identifier(role)};"


def _way_in(database: Database) -> Requirement:
    kind = "host" if database.sslmode is SslMode.DISABLE else "hostssl"
    here = database.connect is Connect.DIRECT
    source = "ADDRESS/32" if here else "127.0.0.1/32"
    origin = "ADDRESS: of the machine that runs preflight." if here else "Through the host's own SSH login."
    line = f"{kind} {always_quoted(database.dbname)} {always_quoted(database.user)} {source} scram-sha-256"
    text = f"For {database.id}: a line of pg_hba.conf that lets {database.user} in. {origin}"
    return Requirement(
        owner=database.owner, text=text, lines=(line,), language="pg_hba.conf", checks=("database-login",)
    )


def _backed_up(plan: Plan, database: Database) -> bool:
    return any(backup.database == database.id for backup in plan.backups.values())
