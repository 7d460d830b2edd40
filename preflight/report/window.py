"""What the report says of the window itself: its times, what ends inside it, who is there, which versions may meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from preflight.finding import Price, Status
from preflight.report.layout import WIDTH, clean, wrapped
from preflight.report.order import WORST_FIRST
from preflight.units import format_duration
from preflight.verdict import Verdict
from preflight.versions.end_states import matrix
from preflight.waivers import WaiverState
from preflight.window.schedule import Schedule, time_in_window

_BODY = " " * 9
_MOST_EVENTS = 8


def times(verdict: Verdict) -> Iterator[str]:
    """When the work ends, until when it can be taken back, and the same with what failed; nothing without steps."""
    planned, found = verdict.planned_schedule, verdict.found_schedule
    if planned is None or found is None:
        return
    yield _times(verdict, planned)
    if (found.finish_at, found.margin, found.decide_by) != (planned.finish_at, planned.margin, planned.decide_by):
        longer = format_duration(found.finish_at - planned.finish_at)
        at = verdict.plan.window
        finish = time_in_window(at, found.finish_at)
        moved = ""
        if found.start_rollback_by != planned.start_rollback_by:
            decide, back = (time_in_window(at, each) for each in (found.decide_by, found.start_rollback_by))
            moved = f"decide by {decide}, start rollback by {back}, "
        yield f"with what failed: {finish}, {longer} later, {moved}{margin(found.margin)}"


def counts(verdict: Verdict) -> str:
    """Every planned check, by what became of it."""
    told = [f"{verdict.counts[each]} {each}" for each in (*WORST_FIRST, Status.PASS) if verdict.counts.get(each)]
    return f"{verdict.planned} planned: {', '.join(told) or 'none'}"


def not_selected(verdict: Verdict) -> list[str]:
    """Ids of the checks that were left out, each once."""
    return list(dict.fromkeys(each.check for each in verdict.findings if each.status is Status.SKIPPED))


def _times(verdict: Verdict, schedule: Schedule) -> str:
    window = verdict.plan.window
    parts = [
        f"{time_in_window(window, schedule.finish_at)} as planned",
        f"decide by {time_in_window(window, schedule.decide_by)}",
        f"start rollback by {time_in_window(window, schedule.start_rollback_by)}",
        margin(schedule.margin),
    ]
    if schedule.point_of_no_return is not None:
        parts.append(f"no way back from {time_in_window(window, schedule.point_of_no_return)}")
    return ", ".join(parts)


def price(verdict: Verdict, price: Price) -> str:
    """What a failure costs if it stays so: the work over the network, its end and the margin left."""
    longer = f"{price.minutes:g} min longer" if price.minutes else "longer, but the work ends no later,"
    finish = time_in_window(verdict.plan.window, price.finish_at)
    return f"{longer} over the network: finish {finish}, {margin(price.margin)}"


def margin(left: timedelta) -> str:
    """What is left between the end of the last risky step and decide-by."""
    if left < timedelta():
        return f"{format_duration(-left)} too late to decide"
    return f"margin {format_duration(left)}"


def waivers(verdict: Verdict) -> Iterator[str]:
    """Every waiver of the plan, what became of it, who approved it; loud where it covers nothing."""
    for use in verdict.waivers:
        waiver = use.waiver
        state = use.state if use.state is WaiverState.COVERS else use.state.upper()
        text = f"{waiver.id} for {waiver.check} {waiver.subject}: {state}; {use.text}"
        approved = (
            f"{verdict.plan.person(waiver.approved_by)} until {time_in_window(verdict.plan.window, waiver.expires)}"
        )
        yield from wrapped(
            f"{text} (up to {waiver.limit}, {waiver.reason}, approved by {approved})", _BODY, "waiver   "
        )


def events(verdict: Verdict) -> Iterator[str]:
    """What ends or wakes up by itself between the window's start and the end of its reserve."""
    shown = verdict.events[:_MOST_EVENTS]
    for number, event in enumerate(shown):
        text = f"{time_in_window(verdict.plan.window, event.at)}  {event.text}"
        yield from wrapped(text, _BODY + " " * 7, _BODY if number else "inside   ")
    if len(verdict.events) > len(shown):
        yield f"{_BODY}and {len(verdict.events) - len(shown)} more"


def versions(verdict: Verdict) -> Iterator[str]:
    """The end states: a table of two applications, a list of more; nothing for a single one."""
    if len(verdict.plan.applications) < 2:
        return
    rows = [[clean(cell) for cell in row] for row in matrix(verdict.plan, verdict.end_states)]
    widths = _widths(rows)
    for number, row in enumerate(rows):
        cells = "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        yield (("versions " if number == 0 else _BODY) + cells).rstrip()[:WIDTH]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    columns = max(map(len, rows), default=0)
    return [max((len(row[column]) for row in rows if column < len(row)), default=0) for column in range(columns)]


def people(verdict: Verdict) -> Iterator[str]:
    """Who is called for what, and who takes over."""
    for number, role in enumerate(verdict.plan.roles.values()):
        standby = f", standby {role.standby}" if role.standby else ", NO STANDBY"
        contact = f", {role.contact}" if role.contact else ""
        yield from wrapped(f"{role.id}: {role.primary}{standby}{contact}", _BODY, _BODY if number else "people   ")
