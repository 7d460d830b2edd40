"""What people are asked for: to be there. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.clock import format_moment
from preflight.plan import Plan
from preflight.prerequisites.requirement import Requirement
from preflight.units import format_duration


def requirements(plan: Plan) -> Iterator[Requirement]:
    window, age = plan.window, format_duration(plan.freshness.people)
    for role in plan.roles.values():
        who = f"{role.primary} and, as standby, {role.standby}" if role.standby else f"{role.primary} and a standby"
        text = (
            f"{who} say that they will be there from {format_moment(window.start, window.zone)} until "
            f"{format_moment(window.needed_until, window.zone)}, not more than {age} before it begins."
        )
        yield Requirement(owner=role.id, text=text, checks=("on-call",))
