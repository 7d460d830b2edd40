"""What failures cost in the window: the schedule with the steps over the network that lost the server path. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from preflight.finding import Finding, Price, Status
from preflight.judging.schedule import Schedule, schedule
from preflight.plan import Plan

_LOST = (Status.FAIL, Status.UNKNOWN, Status.STALE, Status.WAIVED)
"""A waiver accepts that the server path is lost; it does not give the minutes back."""


def priced(plan: Plan, findings: Sequence[Finding]) -> list[Finding]:
    """The findings, each that takes a server path away with what this alone costs."""
    planned = schedule(plan)
    prices = ((finding, _price(plan, planned, finding)) for finding in findings)
    return [replace(finding, price=price) if price else finding for finding, price in prices]


def as_found(plan: Plan, findings: Sequence[Finding]) -> Schedule | None:
    """The schedule with everything that failed or could not be confirmed; the plan's own when nothing did."""
    lost = {step for finding in findings if finding.status in _LOST for step in finding.steps}
    return schedule(plan, over_network=lost)


def _price(plan: Plan, planned: Schedule | None, finding: Finding) -> Price | None:
    if planned is None or not finding.steps or finding.status not in _LOST:
        return None
    found = schedule(plan, over_network=finding.steps)
    if found is None or not any(slot.over_network for slot in found.slots):
        return None
    return Price(max(0.0, (found.finish_at - planned.finish_at).total_seconds() / 60), found.finish_at, found.margin)
