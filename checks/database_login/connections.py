"""How many connections are left of the server's, the database's and the role's limits. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from preflight.finding import Judgement, passed, warned
from preflight.judging.machines import server_of
from preflight.questions.postgres import DatabaseRole, Slots

from .planned_login import PlannedLogin


@dataclass(frozen=True, slots=True)
class Room:
    """What should be left; settings of the check."""

    spare_sessions: int
    warn_used: float
    fail_used: float


def judge_connections(login: PlannedLogin, slots: Slots, role: DatabaseRole | None, room: Room) -> Iterator[Judgement]:
    """Our own connection is counted as free: it will be gone."""
    database = login.database
    plan, server = login.plan, server_of(login.plan, database)
    same = [each for each in plan.databases.values() if server_of(plan, each) == server]
    need = sum(each.sessions for each in same)
    free, share = slots.most - slots.used + 1, (slots.used - 1) / max(slots.most, 1)
    limits = [("server", free, need)]
    if slots.database_limit >= 0:
        limits.append((f"database {login.name}", slots.database_limit - slots.database_used + 1,
                       database.sessions))  # fmt: skip
    if role is not None and role.connection_limit >= 0 and not role.is_superuser:
        wanted = sum(each.sessions for each in same if each.user == role.name)
        limits.append((f"role {role.name}", role.connection_limit - role.sessions + 1, wanted))
    for whose, left, needed in limits:
        yield _judge_limit(login, room, whose, left, needed, share if whose == "server" else 0.0)


def _judge_limit(login: PlannedLogin, room: Room, whose: str, left: int, need: int, share: float) -> Judgement:
    seen = f"{max(left, 0)} connections of the {whose} are free, {need} needed"
    expected = f"at least {need + room.spare_sessions} free"
    remedy = f"have idle connections ended, or the limit of the {whose} raised"
    if left < need or share >= room.fail_used:
        return login.failed(seen, expected, f"{left} free, {share:.0%} used", remedy)
    # A limit set for this very work has no spare; only the server's own is shared with strangers.
    if whose == "server" and (left < need + room.spare_sessions or share >= room.warn_used):
        return warned(seen, expected=expected, actual=f"{left} free, {share:.0%} used", remedy=remedy)
    return passed(seen)
