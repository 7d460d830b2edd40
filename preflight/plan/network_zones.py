"""From which part of the network each target of a plan is asked. Pure."""

from __future__ import annotations

from preflight.plan import Plan
from preflight.probe import Question, Via


def network_zones(plan: Plan) -> tuple[str, ...]:
    """Every zone that the plan names, in its order; none when everything is asked from one place."""
    named = [host.network_zone for host in plan.hosts.values()]
    named += [application.network_zone for application in plan.applications.values()]
    return tuple(dict.fromkeys(zone for zone in named if zone))


def is_asked_from(plan: Plan, zone: str, question: Question) -> bool:
    """Whether `question` is asked in this zone. Files beside the plan are read in every one: each works from a
    checkout of its own, and merging compares them."""
    match question.via:
        case Via.SSH:
            return plan.hosts[question.target].network_zone == zone
        case Via.SQL:
            return plan.host_of(question.target).network_zone == zone
        case Via.HTTP:
            return plan.applications[question.target].network_zone == zone
        case Via.LOCAL:
            return True
