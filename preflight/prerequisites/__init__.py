"""What has to be asked for before a plan can be GO: accounts, sudo rules, grants, ways through firewalls. Pure.

Everything follows from the plan; nothing here knows whether it is there already.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from preflight.plan import Plan
from preflight.prerequisites import databases, hosts, network, people
from preflight.prerequisites.requirement import Requirement


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
    yield from people.requirements(plan)


def _lead_time(plan: Plan, owner: str) -> timedelta:
    role = plan.roles.get(owner)
    return (role.lead_time if role else None) or timedelta()


__all__ = ["Request", "Requirement", "requests"]
