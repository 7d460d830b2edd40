"""For people in a terminal: 100 columns, what is not good first, passes counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preflight.clock import format_moment, zone
from preflight.finding import Finding, Judgement, Severity, Status
from preflight.report import difference, window
from preflight.report.layout import WIDTH, Paint, clean, clean_lines, counted, wrapped
from preflight.report.order import WORST_FIRST, by_cause, told_one_by_one
from preflight.report.view import PLAIN, View
from preflight.verdict import Decision, Verdict
from preflight.window.schedule import time_in_window

_DECISION_STATUS = {Decision.GO: Status.PASS, Decision.NO_GO: Status.FAIL, Decision.HOLD: Status.UNKNOWN}
_BODY = " " * 9


def render(verdict: Verdict, view: View = PLAIN) -> str:
    """The whole report, and below it what changed since the run that a gate started from."""
    text = "\n".join(_lines(verdict, view)) + "\n"
    if view.difference is not None:
        text += "\n" + difference.render(view.difference, color=view.color)
    return text


def _lines(verdict: Verdict, view: View) -> list[str]:
    paint, verbose = Paint(view.color), view.verbose
    lines = [*_head(verdict, paint, view.took_seconds), ""]
    for finding in told_one_by_one(verdict.plan, verdict.findings, Severity.BLOCKING):
        lines += [*_finding(finding, verdict, paint), ""]
    for folded in by_cause(verdict.findings):
        lines += [*_cause(folded, paint), ""]
    advisory = [
        line
        for finding in told_one_by_one(verdict.plan, verdict.findings, Severity.ADVISORY)
        for line in [*_finding(finding, verdict, paint), ""]
    ]
    lines += advisory
    lines += _skipped(verdict)
    if verbose and verdict.counts.get(Status.PASS):
        lines += [*_passes(verdict.findings, paint), ""]
    lines += _about_the_window(verdict, verbose)
    lines += _unconfirmed(verdict, verbose)
    lines += _foot(verdict, paint, verbose)
    return lines


def _head(verdict: Verdict, paint: Paint, took_seconds: float | None) -> Iterator[str]:
    plan = verdict.plan
    word = paint.bold(paint.status(_DECISION_STATUS[verdict.decision], verdict.headline))
    title = "  ".join(part for part in (plan.release.id, plan.release.title, plan.release.ticket) if part)
    yield f"{word}  {clean(title)[: WIDTH - len(verdict.headline) - 2]}"
    when = plan.window
    end = time_in_window(when, when.end)
    yield from wrapped(f"{format_moment(when.start, when.zone)} to {end} ({when.zone})", _BODY, "window   ")
    needed = time_in_window(when, when.needed_until)
    took = "" if took_seconds is None else f", took {took_seconds:.1f} s"
    judged = f"for {format_moment(verdict.moment, when.zone)}; what is used must last until {needed}"
    yield from wrapped(judged, _BODY, "judged   ")
    asked = f"{format_moment(verdict.collected_at, when.zone)} {verdict.vantage}".rstrip() + took
    yield from wrapped(asked, _BODY, "asked    ")
    digests = f"sha256 {plan.digest[:12]}, evidence {verdict.evidence_digest[:12]}"
    yield from wrapped(f"{plan.path.name}, {digests}", _BODY, "plan     ")
    yield from window.times(verdict)
    for number, line in enumerate(verdict.basis):
        yield from wrapped(line, _BODY, _BODY if number else "gate     ")
    if verdict.reason:
        yield from wrapped(verdict.reason, _BODY, "because  ")
    yield from window.waivers(verdict)


def _finding(finding: Finding, verdict: Verdict, paint: Paint) -> Iterator[str]:
    status = finding.status
    advisory = " (advisory)" if finding.severity is Severity.ADVISORY else ""
    yield (
        paint.status(status, f"{status.upper():<9}")
        + paint.bold(f"{finding.check}  {clean(finding.subject)}")
        + advisory
    )
    for point in finding.judgement.telling_points():
        yield from _point(point, status, priced=finding.price is not None)
    yield from wrapped(finding.owner or "nobody named in the plan", _BODY + " " * 8, _BODY + "owner   ")
    yield from _cost(finding, verdict)
    if finding.vantage:
        seen = f"{finding.vantage}, {_clock(finding, verdict)}"
        yield from wrapped(seen, _BODY + " " * 8, _BODY + "seen    ")


def _point(point: Judgement, status: Status, *, priced: bool) -> Iterator[str]:
    mark = "" if point.status is status else f"{point.status}: "
    yield from wrapped(mark + point.summary, _BODY)
    label_indent = _BODY + " " * 8
    if point.actual and point.actual not in point.summary:
        yield from wrapped(point.actual, label_indent, _BODY + "found   ")
    if point.expected:
        yield from wrapped(point.expected, label_indent, _BODY + "wanted  ")
    if point.remedy:
        yield from wrapped(point.remedy, label_indent, _BODY + "cure    ")
    if point.minutes_at_stake and not priced:
        yield from wrapped(f"{point.minutes_at_stake:g} min longer if it stays so", label_indent, _BODY + "cost    ")
    for line in clean_lines(point.details) if point.details else []:
        yield (_BODY + "  | " + line)[:WIDTH]


def _cost(finding: Finding, verdict: Verdict) -> Iterator[str]:
    """What it costs in the window, and by when the cure must have been asked for."""
    when, indent = verdict.plan.window, _BODY + " " * 8
    if finding.price is not None:
        price = finding.price
        longer = f"{price.minutes:g} min longer" if price.minutes else "longer, but the work ends no later,"
        text = f"{longer} over the network: finish {time_in_window(when, price.finish_at)}"
        yield from wrapped(f"{text}, {window.margin(price.margin)}", indent, _BODY + "price   ")
    if finding.cure_by is None or finding.status not in (Status.FAIL, Status.UNKNOWN) or finding.cure_by >= when.start:
        return
    late = finding.cure_by < verdict.moment
    by = f"ask by {format_moment(finding.cure_by, when.zone)}"
    yield from wrapped(f"{by}{': that is over, so escalate now' if late else ''}", indent, _BODY + "lead    ")


def _clock(finding: Finding, verdict: Verdict) -> str:
    if finding.oldest_evidence_at is None:
        return "not asked"
    local = finding.oldest_evidence_at.astimezone(zone(verdict.plan.window.zone))
    return f"{local:%H:%M:%S}, {finding.took_seconds:.1f} s"


def _cause(folded: Sequence[Finding], paint: Paint) -> Iterator[str]:
    first = folded[0]
    yield paint.status(Status.UNKNOWN, f"{Status.UNKNOWN.upper():<9}") + paint.bold(
        f"{counted(len(folded), 'check')} could not look"
    )
    yield from wrapped(first.cause, _BODY + " " * 8, _BODY + "cause   ")
    names = ", ".join(f"{finding.check} {finding.subject}" for finding in folded)
    yield from wrapped(names, _BODY + " " * 8, _BODY + "open    ")
    if first.judgement.remedy:
        yield from wrapped(first.judgement.remedy, _BODY + " " * 8, _BODY + "cure    ")
    owners = ", ".join(dict.fromkeys(finding.owner for finding in folded if finding.owner))
    if owners:
        yield from wrapped(owners, _BODY + " " * 8, _BODY + "owner   ")


def _skipped(verdict: Verdict) -> Iterator[str]:
    names = dict.fromkeys(finding.check for finding in verdict.findings if finding.status is Status.SKIPPED)
    if names:
        yield from wrapped(f"not selected: {', '.join(names)}", _BODY, f"{'SKIPPED':<9}")
        yield ""


def _passes(findings: Sequence[Finding], paint: Paint) -> Iterator[str]:
    for finding in findings:
        if finding.status is Status.PASS:
            yield paint.status(Status.PASS, f"{'PASS':<9}") + f"{finding.check}  {clean(finding.subject)}"
            yield from wrapped(finding.judgement.summary, _BODY)


def _about_the_window(verdict: Verdict, verbose: bool) -> Iterator[str]:
    parts = [window.events(verdict), window.versions(verdict)]
    if verbose:
        parts.append(window.people(verdict))
    for part in parts:
        lines = list(part)
        yield from lines
        if lines:
            yield ""


def _unconfirmed(verdict: Verdict, verbose: bool) -> Iterator[str]:
    if not verdict.unconfirmed:
        return
    yield f"The plan leaves {counted(len(verdict.unconfirmed), 'thing')} unconfirmed:"
    shown = verdict.unconfirmed if verbose else verdict.unconfirmed[:5]
    for line in shown:
        yield from wrapped(line, "    ", "  - ")
    if len(shown) < len(verdict.unconfirmed):
        yield f"  - and {len(verdict.unconfirmed) - len(shown)} more (-v shows them)"
    yield ""


def _foot(verdict: Verdict, paint: Paint, verbose: bool) -> Iterator[str]:
    counts = ", ".join(
        f"{verdict.counts[status]} {status}" for status in (*WORST_FIRST, Status.PASS) if verdict.counts.get(status)
    )
    hint = "" if verbose or not verdict.counts.get(Status.PASS) else " (-v shows the passes)"
    yield f"{counted(verdict.planned, 'check')} planned: {counts or 'none'}{hint}"
    word = paint.status(_DECISION_STATUS[verdict.decision], verdict.headline)
    yield f"{word} (exit code {int(verdict.exit_code)})"
