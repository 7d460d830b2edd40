"""What stands at the head of every report: of what, when, from where, and how it ended. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preflight.clock import format_moment
from preflight.finding import WORST_FIRST, Status
from preflight.judging.schedule import time_in_window
from preflight.report.document.blocks import Labelled
from preflight.report.document.times import in_utc, times, window_span
from preflight.verdict import Verdict
from preflight.wording import counted


def facts(verdict: Verdict, took_seconds: float | None = None) -> tuple[Labelled, ...]:
    """In the order of the report, without those that have nothing to say."""
    return tuple(Labelled(label, tuple(lines)) for label, lines in _facts(verdict, took_seconds) if any(lines))


def counts(verdict: Verdict) -> str:
    """Every planned check, by what became of it."""
    told = [f"{verdict.counts[each]} {each}" for each in WORST_FIRST if verdict.counts.get(each)]
    return f"{verdict.planned} planned: {', '.join(told) or 'none'}"


def not_selected(verdict: Verdict) -> list[str]:
    """Ids of the checks that were left out, each once."""
    return list(dict.fromkeys(each.check for each in verdict.findings if each.status is Status.SKIPPED))


def unconfirmed_in_words(gaps: Sequence[str]) -> str:
    """`the plan leaves 2 things unconfirmed`."""
    return f"the plan leaves {counted(len(gaps), 'thing')} unconfirmed"


def _facts(verdict: Verdict, took_seconds: float | None) -> Iterator[tuple[str, list[str]]]:
    plan, window = verdict.plan, verdict.plan.window
    yield "window", [window_span(window)]
    needed = time_in_window(window, window.needed_until)
    yield "judged", [f"for {format_moment(verdict.moment, window.zone)}; what is used must last until {needed}"]
    took = "" if took_seconds is None else f", took {took_seconds:.1f} s"
    yield "asked", [f"{format_moment(verdict.collected_at, window.zone)} {verdict.vantage}".rstrip() + took]
    yield "plan", [f"{plan.path.name}, sha256 {plan.digest[:12]}, evidence {verdict.evidence_digest[:12]}"]
    yield "finish", list(times(verdict))
    yield "in UTC", [in_utc(verdict)]
    yield "basis", list(verdict.basis)
    yield "because", [verdict.reason]
    yield "checks", [counts(verdict)]
    yield "open", ["; ".join(_not_checked(verdict))]


def _not_checked(verdict: Verdict) -> Iterator[str]:
    """What no verdict speaks of: what was deselected, and what the plan does not ask."""
    skipped = not_selected(verdict)
    if skipped:
        yield f"not selected: {', '.join(skipped)}"
    if verdict.unconfirmed:
        yield f"{unconfirmed_in_words(verdict.unconfirmed)}, below"
