"""What the first screen of a terminal answers: the verdict, of what, when, from where, what blocks, who cures it."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.clock import format_moment
from preflight.finding import Status
from preflight.report import window
from preflight.report.blockers import Blocker, ask_by, blockers
from preflight.report.layout import WIDTH, Paint, clean, counted, cut, wrapped
from preflight.verdict import Decision, Verdict
from preflight.window.schedule import time_in_window

SCREEN_LINES = 24
_LEAST_ROWS = 3
_BODY = " " * 9
_DECISION_STATUS = {Decision.GO: Status.PASS, Decision.NO_GO: Status.FAIL, Decision.HOLD: Status.UNKNOWN}


def first_screen(verdict: Verdict, paint: Paint, took_seconds: float | None, *, verbose: bool = False) -> Iterator[str]:
    """Not more than SCREEN_LINES with the prompt below it, but where waivers and the grounds of a gate fill it."""
    head = [headline(verdict, paint), *_when_and_where(verdict, took_seconds), *window.waivers(verdict)]
    head += [*counts(verdict, verbose), *_not_checked(verdict)]
    yield from head
    rows = blockers(verdict)
    if rows:
        yield ""
        room = max(SCREEN_LINES - len(head) - 4, _LEAST_ROWS)
        shown = rows if len(rows) <= room + 1 else rows[:room]
        yield paint.dim(f"{'':51}  {'cost':>8}  {'ask by':9}  owner")
        for row in shown:
            yield paint.status(row.status, f"{row.status.upper():<9}") + _row(row, verdict)
        if len(shown) < len(rows):
            yield f"{_BODY}and {len(rows) - len(shown)} more, all below"


def headline(verdict: Verdict, paint: Paint) -> str:
    plan = verdict.plan
    title = "  ".join(part for part in (plan.release.id, plan.release.title, plan.release.ticket) if part)
    return f"{decision(verdict, paint)}  {clean(title)[: WIDTH - len(verdict.headline) - 2]}"


def decision(verdict: Verdict, paint: Paint) -> str:
    return paint.bold(paint.status(_DECISION_STATUS[verdict.decision], verdict.headline))


def window_line(verdict: Verdict) -> Iterator[str]:
    when = verdict.plan.window
    end = time_in_window(when, when.end)
    yield from wrapped(f"{format_moment(when.start, when.zone)} to {end} ({when.zone})", _BODY, "window   ")


def times(verdict: Verdict) -> Iterator[str]:
    for number, line in enumerate(window.times(verdict)):
        yield from wrapped(line, _BODY, _BODY if number else "finish   ")


def counts(verdict: Verdict, verbose: bool = False) -> Iterator[str]:
    hint = "" if verbose or not verdict.counts.get(Status.PASS) else " (-v shows the passes)"
    yield from wrapped(window.counts(verdict) + hint, _BODY, "checks   ")


def _when_and_where(verdict: Verdict, took_seconds: float | None) -> Iterator[str]:
    plan, when = verdict.plan, verdict.plan.window
    yield from window_line(verdict)
    judged = f"for {format_moment(verdict.moment, when.zone)}"
    needed = time_in_window(when, when.needed_until)
    yield from wrapped(f"{judged}; what is used must last until {needed}", _BODY, "judged   ")
    took = "" if took_seconds is None else f", took {took_seconds:.1f} s"
    asked = f"{format_moment(verdict.collected_at, when.zone)} {verdict.vantage}".rstrip() + took
    yield from wrapped(asked, _BODY, "asked    ")
    digests = f"sha256 {plan.digest[:12]}, evidence {verdict.evidence_digest[:12]}"
    yield from wrapped(f"{plan.path.name}, {digests}", _BODY, "plan     ")
    yield from times(verdict)
    for number, line in enumerate(verdict.basis):
        yield from wrapped(line, _BODY, _BODY if number else "basis    ")
    if verdict.reason:
        yield from wrapped(verdict.reason, _BODY, "because  ")


def _not_checked(verdict: Verdict) -> Iterator[str]:
    """What no verdict speaks of: what was deselected, and what the plan does not ask."""
    skipped, parts = window.not_selected(verdict), []
    if skipped:
        parts.append(f"not selected: {', '.join(skipped)}")
    if verdict.unconfirmed:
        parts.append(f"the plan leaves {counted(len(verdict.unconfirmed), 'thing')} unconfirmed, below")
    if parts:
        yield from wrapped("; ".join(parts), _BODY, "open     ")


def _row(blocker: Blocker, verdict: Verdict) -> str:
    cost = f"{blocker.minutes:.0f} min" if blocker.minutes else ""
    what, owner = cut(clean(blocker.what), 42), cut(clean(blocker.name), 26)
    return f"{what:42}  {cost:>8}  {ask_by(verdict, blocker.ask_by):9}  {owner}".rstrip()
