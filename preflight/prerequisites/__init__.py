"""What has to be asked for before a plan can be GO: accounts, sudo rules, grants, ways through firewalls. Pure.

Everything follows from the plan; nothing here knows whether it is there already.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from preflight.clock import format_moment
from preflight.plan import Plan
from preflight.units import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One thing to ask for, in words, and the lines that grant it."""

    owner: str
    """Id of the role that can grant it."""
    text: str
    lines: tuple[str, ...] = ()
    """Ready to be used: lines of sudoers, SQL statements, shell commands."""
    language: str = ""
    """Of the lines: `sudoers`, `sql`, `sh`, `pg_hba.conf`."""
    checks: tuple[str, ...] = ()
    """The checks that cannot pass without it."""


def presence(plan: Plan) -> Iterator[Requirement]:
    """What is asked of people: to be there."""
    window, age = plan.window, format_duration(plan.freshness.people)
    for role in plan.roles.values():
        who = f"{role.primary} and, as standby, {role.standby}" if role.standby else f"{role.primary} and a standby"
        text = (
            f"{who} say that they will be there from {format_moment(window.start, window.zone)} until "
            f"{format_moment(window.needed_until, window.zone)}, not more than {age} before it begins."
        )
        yield Requirement(owner=role.id, text=text, checks=("on-call",))
