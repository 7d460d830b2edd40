"""What has to be asked for before a plan can be GO: accounts, sudo rules, grants, ways through firewalls. Pure.

Everything follows from the plan; nothing here knows whether it is there already.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from preflight.clock import format_moment
from preflight.plan import Plan
from preflight.prerequisites import databases, hosts, network
from preflight.prerequisites.requirement import Requirement
from preflight.units import format_duration


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that one role is asked for."""

    owner: str
    """Id of the role; empty for what nobody owns."""
    lead_time: timedelta
    """How long the role's answer takes, as the plan says; 0 where it does not."""
    requirements: tuple[Requirement, ...]


def requests(plan: Plan) -> list[Request]:
    """One for each owner; who needs longest comes first."""
    found: dict[str, list[Requirement]] = {}
    for requirement in _all(plan):
        found.setdefault(requirement.owner, []).append(requirement)
    made = [Request(owner, _lead_time(plan, owner), tuple(each)) for owner, each in found.items()]
    return sorted(made, key=lambda each: -each.lead_time)


def _all(plan: Plan) -> Iterator[Requirement]:
    yield from hosts.requirements(plan)
    yield from databases.requirements(plan)
    yield from network.requirements(plan)
    yield from _presence(plan)


def _lead_time(plan: Plan, owner: str) -> timedelta:
    role = plan.roles.get(owner)
    return (role.lead_time if role else None) or timedelta()


def _presence(plan: Plan) -> Iterator[Requirement]:
    """What people are asked for: to be there."""
    window, age = plan.window, format_duration(plan.freshness.people)
    for role in plan.roles.values():
        who = f"{role.primary} and, as standby, {role.standby}" if role.standby else f"{role.primary} and a standby"
        text = (
            f"{who} say that they will be there from {format_moment(window.start, window.zone)} until "
            f"{format_moment(window.needed_until, window.zone)}, not more than {age} before it begins."
        )
        yield Requirement(owner=role.id, text=text, checks=("on-call",))


__all__ = ["Request", "Requirement", "requests"]
