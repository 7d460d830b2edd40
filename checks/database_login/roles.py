"""The roles that the work needs: until when they may log in, whether they may at all, and with which settings. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from preflight.finding import Judgement, passed, unknown, warned
from preflight.judging.ends import End, TimeOfNeed
from preflight.plan import ServerRole
from preflight.plan.work import Section
from preflight.questions.postgres import DatabaseRole, Identity
from preflight.questions.sql import quote_identifier
from preflight.units import format_duration

from .planned_login import PlannedLogin

_UNDONE = {
    "user": "ALTER ROLE {role} RESET {name};",
    "database": "ALTER DATABASE {database} RESET {name};",
    "database user": "ALTER ROLE {role} IN DATABASE {database} RESET {name};",
    "global": "SET default_transaction_read_only = off; ALTER ROLE ALL RESET {name};",  # it holds for the DBA, too
    "configuration file": "ALTER SYSTEM RESET {name}; SELECT pg_reload_conf();",
}
"""Source of pg_settings -> what undoes a setting there."""
_WHEREVER = f"{_UNDONE['user']} {_UNDONE['database user']}"
_REPLACED = "\N{REPLACEMENT CHARACTER}"
"""What a session reads for bytes that are no text, as a server with a database in SQL_ASCII sends them."""


def judge_credential(
    login: PlannedLogin, identity: Identity, role: DatabaseRole | None, need: TimeOfNeed
) -> Iterator[Judgement]:
    """The role that logs in from here: how it proved itself, and until when it may."""
    database = login.database
    used = identity.session.get("used_password") == "yes"
    if database.password is not None and not used:
        yield warned(
            "the password was not asked for: the server lets anybody in (trust, peer or certificate)",
            expected="a login that proves the plan's password",
            actual="no password was used",
            remedy=f"have pg_hba.conf ask {database.user} for scram-sha-256; until then the password is unproven",
        )
    if role is None:
        yield unknown(
            f"the role {database.user} is not in pg_roles",
            remedy="ask the DBA what hides the catalogue from the role",
        )
        return
    yield _judge_expiry(login, role, need, used_password=used)
    if role.is_superuser:
        yield warned(
            f"{role.name} is a superuser",
            expected="a role with the rights the scripts need and no others",
            actual="rolsuper",
            remedy=f"have the scripts run as a role without SUPERUSER, or: ALTER ROLE {login.role} NOSUPERUSER;",
        )


def _judge_expiry(login: PlannedLogin, role: DatabaseRole, need: TimeOfNeed, *, used_password: bool) -> Judgement:
    if role.valid_until is None:
        return passed(f"role {role.name} does not expire")
    end = End(
        seen=f"role {role.name} is valid until",
        at=role.valid_until,
        remedy=f"ALTER ROLE {quote_identifier(role.name)} VALID UNTIL '{need.good_date()}';",
        event=f"password of role {role.name} on {login.database.id} ends",
        actual=f"VALID UNTIL {need.told(role.valid_until)}",
        tolerated="" if used_password else "which counts as soon as it logs in with a password",
        minutes_at_stake=login.minutes_at_stake,
    )
    return need.judge(end)


def backup_roles(login: PlannedLogin) -> list[str]:
    """Roles that take the backups and put them back, where they are others than the one that logs in from here."""
    logins = [act.login for each in login.work if each.section is Section.BACKUPS for act in each.acts]
    return [name for name in dict.fromkeys(logins) if name != login.database.user]


def judge_backup_roles(login: PlannedLogin, roles: Mapping[str, DatabaseRole], need: TimeOfNeed) -> Iterator[Judgement]:
    """Roles that log in on the server only; how is not seen from here, so a password is taken for granted."""
    for name in backup_roles(login):
        role, quoted = roles.get(name), quote_identifier(name)
        expected = f"a role {name} that may log in to {login.database.dbname}"
        if role is None:
            remedy = f"have the role made, or correct `login` of the backup: CREATE ROLE {quoted} LOGIN;"
            yield login.failed(f"the backup's role {name} does not exist", expected, "no role", remedy)
        elif not role.can_login:
            remedy = f"ALTER ROLE {quoted} LOGIN;"
            yield login.failed(f"the backup's role {name} may not log in", expected, "NOLOGIN", remedy)
        elif not role.has_connect:
            remedy = f"GRANT CONNECT ON DATABASE {login.database_name} TO {quoted};"
            yield login.failed(f"the backup's role {name} may not connect", expected, "none", remedy)
        else:
            yield _judge_expiry(login, role, need, used_password=True)


def undo_setting(login: PlannedLogin, identity: Identity, name: str) -> str:
    """Statements for a superuser, where the setting was made; where that is not told, wherever the role has it."""
    template = _UNDONE.get(identity.setting(name, "source") or "", _WHEREVER)
    return template.format(name=name, role=login.role, database=login.database_name)


def judge_settings(login: PlannedLogin, identity: Identity) -> Iterator[Judgement]:
    """Those that break scripts."""
    database, user = login.database, login.database.user
    read_only = identity.setting("default_transaction_read_only")
    if read_only is None:
        remedy = f"look by hand as {user} in {database.dbname}: SHOW default_transaction_read_only;"
        yield unknown("the role's own settings could not be seen", remedy=remedy)
        return
    if read_only == "on" and database.role is ServerRole.PRIMARY:
        yield login.failed(
            f"{user} starts read-only transactions",
            "default_transaction_read_only = off",
            "default_transaction_read_only = on",
            undo_setting(login, identity, "default_transaction_read_only"),
        )
    yield from _judge_timeouts(login, identity)
    path = identity.setting("search_path") or ""
    names = [name.strip().strip('"') for name in path.split(",")]
    if not {"$user", "public"} & set(names):
        yield warned(
            f"unusual search_path: {path or 'empty'}",
            expected="a search_path with public or $user",
            actual=path or "empty",
            remedy=f"make sure the scripts name their schemas, or: {undo_setting(login, identity, 'search_path')}",
        )
    if _REPLACED in path:
        yield warned(
            "the search_path holds bytes that are no UTF-8",
            expected="names that every client reads alike",
            actual=f"{path}, where {_REPLACED} stands for such a byte",
            remedy=undo_setting(login, identity, "search_path"),
        )
    if identity.setting("session_replication_role") == "replica":
        yield warned(
            "triggers and foreign keys are off for the role (session_replication_role)",
            expected="origin",
            actual="replica",
            remedy=undo_setting(login, identity, "session_replication_role"),
        )


def _judge_timeouts(login: PlannedLogin, identity: Identity) -> Iterator[Judgement]:
    user, steps = login.database.user, [work.step for work in login.work]
    minutes = [step.minutes for step in map(login.plan.step, dict.fromkeys(steps)) if step]
    longest = timedelta(minutes=max(minutes, default=0))
    for name in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"):
        raw = identity.setting(name) or "0"
        limit = timedelta(milliseconds=int(raw)) if raw.isdecimal() else timedelta()
        if not limit:
            continue
        seen = f"{name} of {user} is {format_duration(limit) if limit.seconds else f'{raw} ms'}"
        remedy = f"{undo_setting(login, identity, name)} or SET {name} = 0; at the head of the scripts"
        if name == "statement_timeout" and limit < longest:
            summary = f"{seen}, shorter than the step of {format_duration(longest)} it may end"
            yield login.failed(summary, f"{name} = 0", f"{raw} ms", remedy)
        elif name != "lock_timeout":  # a lock_timeout is what scripts should have
            yield warned(seen, expected=f"{name} = 0", actual=f"{raw} ms", remedy=remedy)
