"""The role's effective settings that break scripts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from preflight.clock import format_duration
from preflight.databases.planned_login import PlannedLogin
from preflight.finding import Judgement, unknown, warned
from preflight.plan import ServerRole
from preflight.probes.postgres import Identity

_REPLACED = "\N{REPLACEMENT CHARACTER}"
"""What a session reads for bytes that are no text, as a server with a database in SQL_ASCII sends them."""


def judge_settings(login: PlannedLogin, identity: Identity) -> Iterator[Judgement]:
    """Those that break scripts."""
    database, user = login.database, login.database.user
    read_only = identity.setting("default_transaction_read_only")
    if read_only is None:
        yield unknown("the role's own settings could not be seen", remedy="run again")
        return
    if read_only == "on" and database.role is ServerRole.PRIMARY:
        yield login.failed(
            f"{user} starts read-only transactions",
            "default_transaction_read_only = off",
            "default_transaction_read_only = on",
            f"ALTER ROLE {user} RESET default_transaction_read_only, also IN DATABASE {login.name}",
        )
    yield from _judge_timeouts(login, identity)
    path = identity.setting("search_path") or ""
    names = [name.strip().strip('"') for name in path.split(",")]
    if not {"$user", "public"} & set(names):
        yield warned(
            f"unusual search_path: {path or 'empty'}",
            expected="a search_path with public or $user",
            actual=path or "empty",
            remedy=f"make sure the scripts name their schemas, or: ALTER ROLE {user} SET search_path = ...",
        )
    if _REPLACED in path:
        yield warned(
            "the search_path holds bytes that are no UTF-8",
            expected="names that every client reads alike",
            actual=f"{path}, where {_REPLACED} stands for such a byte",
            remedy=f"ALTER ROLE {user} SET search_path = ... in ASCII, or move to a database in UTF8",
        )
    if identity.setting("session_replication_role") == "replica":
        yield warned(
            "triggers and foreign keys are off for the role (session_replication_role)",
            expected="origin",
            actual="replica",
            remedy=f"ALTER ROLE {user} RESET session_replication_role",
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
        remedy = f"ALTER ROLE {user} SET {name} = 0, or SET {name} at the head of the scripts"
        if name == "statement_timeout" and limit < longest:
            summary = f"{seen}, shorter than the step of {format_duration(longest)} it may end"
            yield login.failed(summary, f"{name} = 0", f"{raw} ms", remedy)
        elif name != "lock_timeout":  # a lock_timeout is what scripts should have
            yield warned(seen, expected=f"{name} = 0", actual=f"{raw} ms", remedy=remedy)
