"""The role's effective settings that break scripts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from preflight.finding import Judgement, unknown, warned
from preflight.plan import ServerRole
from preflight.questions.postgres import Identity
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


def undo_setting(login: PlannedLogin, identity: Identity, name: str) -> str:
    """Statements for a superuser, where the setting was made; where that is not told, wherever the role has it."""
    template = _UNDONE.get(identity.setting_source(name), _WHEREVER)
    return template.format(name=name, role=login.role, database=login.database_name)


_REPLACED = "\N{REPLACEMENT CHARACTER}"
"""What a session reads for bytes that are no text, as a server with a database in SQL_ASCII sends them."""


def judge_settings(login: PlannedLogin, identity: Identity) -> Iterator[Judgement]:
    """Those that break scripts."""
    database, user = login.database, login.database.user
    read_only = identity.setting("default_transaction_read_only")
    if read_only is None:
        remedy = f"look by hand as {user} in {login.name}: SHOW default_transaction_read_only;"
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
