"""Where in the night a watch is: now, what comes next, how long until decide-by. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from preflight.judging.schedule import time_in_window
from preflight.plan import Window
from preflight.report import Watch
from preflight.report.document.blocks import Section
from preflight.report.document.order import blockers
from preflight.report.document.window import WRITTEN, unknown_way_back
from preflight.units import format_duration
from preflight.verdict import Verdict
from preflight.wording import counted, listed

_MOST_NAMED = 3


def now(verdict: Verdict, watch: Watch | None) -> Section:
    """Empty for a report that no watch made."""
    if watch is None:
        return Section(title="Now")
    at = watch.at.replace(microsecond=0)
    told = (_here(verdict, at), _next(verdict, at), decide_by(verdict, at), watch.steady, *_rounds(verdict, watch))
    return Section(title="Now", items=tuple(filter(None, told)))


def stamp(window: Window, at: datetime) -> str:
    """`23:41:05` in the window's zone, with the date on another day than that of its start."""
    return time_in_window(window, at.replace(microsecond=0))


def _here(verdict: Verdict, at: datetime) -> str:
    window = verdict.plan.window
    told = f"{format_duration(abs(at - window.start))} {'before' if at < window.start else 'after'} the start"
    return f"{WRITTEN.moment(at, window)}, {'the window is over' if at >= window.end else told}"


def _next(verdict: Verdict, at: datetime) -> str:
    ahead = [(when, what) for when, what in _ahead(verdict) if when > at]
    if not ahead:
        return ""
    first = min(when for when, _ in ahead)
    what = listed([what for when, what in ahead if when == first], _MOST_NAMED)
    return f"next: {WRITTEN.moment(first, verdict.plan.window)} {what}, {_in(first - at)}"


def _ahead(verdict: Verdict) -> Iterator[tuple[datetime, str]]:
    """Every moment that people wait for."""
    window, found = verdict.plan.window, verdict.found_schedule
    yield window.start, "the window opens"
    for each in blockers(verdict):
        if each.ask_by < window.start and not each.behind:
            yield each.ask_by, f"the last moment to ask {each.name or 'its owner'} for the cure of {each.what}"
    if found is not None:
        known = found.known
        if verdict.moment <= window.start:  # later, nobody here knows when the work was begun
            yield from ((slot.begins_at, f"{slot.step.id} begins") for slot in found.slots)
        if known.latest_start is not None and known.latest_start >= window.start:
            yield known.latest_start, "the latest start"
        times = {"decide by": known.decide_by, "start rollback by": known.start_rollback_by}
        yield from ((when, what) for what, when in times.items() if when is not None)
    yield from ((event.at, event.text) for event in verdict.events)
    yield window.end, "the window ends"


def decide_by(verdict: Verdict, at: datetime) -> str:
    """`decide by 04:33 (08:33 UTC): in 4 h 52 min`; nothing once the window is over."""
    found, window = verdict.found_schedule, verdict.plan.window
    if found is None:
        return "" if at >= window.end else "decide by not known: the plan has no steps"
    if found.unknown_undo:
        return f"decide by not known: {unknown_way_back(found)}"
    when = found.known.decide_by
    if when is None:
        last = found.point_of_no_return
        return WRITTEN.no_way_back(verdict, last) if last else "nothing to take back"
    return f"decide by {WRITTEN.moment(when, window)}: {'is over' if when < at else _in(when - at)}"


def _in(left: timedelta) -> str:
    return f"in {format_duration(left)}"


def _rounds(verdict: Verdict, watch: Watch) -> Iterator[str]:
    since = WRITTEN.moment(watch.begun_at.replace(microsecond=0), verdict.plan.window)
    again = f", again every {watch.every_seconds:g} s" if watch.goes_on else ""
    yield f"{counted(watch.rounds, 'round')} since {since}{again}"
    if watch.refused:
        names = listed(watch.refused, _MOST_NAMED)
        why = "whose login was refused or got no code"
        yield f"not tried again: {names}, {why}; until r is typed on its terminal, or a new call is made"
