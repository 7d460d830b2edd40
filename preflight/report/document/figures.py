"""The times that a call looks at, one figure each: as the clock on the wall shows it, in UTC, with a remark. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from preflight.judging.schedule import Schedule, time_in_window
from preflight.report.document.window import WRITTEN, unknown_way_back, unpriced_steps, utc_time
from preflight.units import format_duration
from preflight.verdict import Verdict

NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Figure:
    """One time, in the window's zone."""

    label: str
    value: str
    """`04:33`, `1 h 3 min`; words where there is no such time."""
    utc: str = ""
    """`09:33 UTC`; empty where it is the same, and for lengths of time."""
    note: str = ""
    bad: bool = False
    """Whether it is over, not kept or not known."""


def without_times(verdict: Verdict) -> str:
    """Why there are no figures."""
    if verdict.expect:
        return f"Of what was verified no times are reckoned; run: {verdict.plan.call('run')}"
    if verdict.plan.steps:
        return "" if verdict.found_schedule else "The window is over: there are no times to keep."
    return "The plan has no [[steps]], so nobody knows when the work ends and until when it can be taken back."


def figures(verdict: Verdict) -> tuple[Figure, ...]:
    """With what failed: finish, decide-by, start-rollback-by, latest start, margin. None without steps or once over."""
    planned, found = verdict.planned_schedule, verdict.found_schedule
    return () if planned is None or found is None else tuple(_figures(verdict, planned, found))


def _figures(verdict: Verdict, planned: Schedule, found: Schedule) -> Iterator[Figure]:
    known = found.known
    yield _finish(verdict, planned, found)
    if known.decide_by and known.start_rollback_by:
        yield _clock(verdict, "decide by", known.decide_by)
        yield _clock(verdict, "start rollback by", known.start_rollback_by)
    elif found.unknown_undo:
        yield Figure("decide by", NOT_KNOWN, note=unknown_way_back(found), bad=True)
        yield Figure("start rollback by", NOT_KNOWN, bad=True)
    else:
        yield Figure("decide by", "none", note="" if found.point_of_no_return else "nothing to take back")
    if found.point_of_no_return is not None:
        yield _clock(verdict, "no way back from", found.point_of_no_return)
    yield _latest_start(verdict, found)
    if known.margin is not None and known.margin < timedelta():
        yield Figure("margin", "none", note=WRITTEN.margin(known.margin), bad=True)
    elif known.margin is not None:
        yield Figure("margin", format_duration(known.margin), note="left to decide in")
    elif known.decide_by or found.unknown_undo:
        yield Figure("margin", NOT_KNOWN, bad=True)


def _finish(verdict: Verdict, planned: Schedule, found: Schedule) -> Figure:
    window, notes = verdict.plan.window, []
    notes += ["if the work begins now"] if verdict.moment > window.start else []
    notes += [WRITTEN.longer(planned, found)] if found.finish_at != planned.finish_at else []
    if not found.unpriced:
        late = found.finish_at > window.end
        notes += ["past the window's end"] * late
        return _clock(verdict, "finish", found.finish_at, ", ".join(notes), late=late)
    not_before = f"not before {WRITTEN.moment(found.finish_at, window)}"
    note = ", ".join([not_before, *notes, unpriced_steps(found.unpriced)])
    return Figure("finish", NOT_KNOWN, note=note, bad=True)


def _latest_start(verdict: Verdict, found: Schedule) -> Figure:
    window, at = verdict.plan.window, found.known.latest_start
    if at is None:
        return Figure("latest start", NOT_KNOWN, bad=True)
    if at < window.start:
        return Figure("latest start", "none", note=WRITTEN.too_long(found, at), bad=True)
    return _clock(verdict, "latest start", at)


def _clock(verdict: Verdict, label: str, at: datetime, note: str = "", *, late: bool = False) -> Figure:
    window, over = verdict.plan.window, at < verdict.moment
    notes = ", ".join(filter(None, ["is over" * over, note]))
    return Figure(label, time_in_window(window, at), utc_time(window, at), notes, bad=over or late)
