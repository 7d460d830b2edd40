"""Everything that ends or wakes up by itself inside the window and its reserve, on one axis. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preflight.clock import clock_changes, zone
from preflight.finding import Event, Finding
from preflight.plan import Plan, Window


def events_inside(plan: Plan, findings: Sequence[Finding]) -> tuple[Event, ...]:
    """What the findings, the waivers and the calendar bring, from the window's start until credentials are no longer
    needed; in time order, each once."""
    first, last = plan.window.start, plan.window.needed_until
    inside = {event for event in _all(plan, findings) if first <= event.at <= last}
    return tuple(sorted(inside, key=lambda event: (event.at, event.text)))


def _all(plan: Plan, findings: Sequence[Finding]) -> Iterator[Event]:
    for finding in findings:
        yield from finding.judgement.events
    for waiver in plan.waivers:
        yield Event(at=waiver.expires, text=f"waiver {waiver.id} expires")
    yield from _clock_changes(plan.window)


def _clock_changes(window: Window) -> Iterator[Event]:
    for change in clock_changes(zone(window.zone), window.start, window.needed_until):
        yield Event(at=change.at, text=change.text)
