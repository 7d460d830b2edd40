"""For people in a terminal: 100 columns, what is not good first, passes counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preflight.clock import format_moment, zone
from preflight.finding import Finding, Judgement, Severity, Status
from preflight.report import difference, window
from preflight.report.blockers import blockers
from preflight.report.drawing import drawn
from preflight.report.first_screen import counts, decision, first_screen, headline, times, window_line
from preflight.report.layout import WIDTH, Paint, clean, clean_lines, counted, cut, wrapped
from preflight.report.order import by_cause, by_host, told_one_by_one
from preflight.report.view import PLAIN, View
from preflight.verdict import Verdict

_BODY = " " * 9
_SHORT_BLOCKERS = 3
_LONGEST_SUBJECT = 300


def render(verdict: Verdict, view: View = PLAIN) -> str:
    """The whole report, and below it what changed since the run that a gate started from."""
    if view.short:
        return "\n".join(_short(verdict, Paint(view.color))) + "\n"
    text = "\n".join(_lines(verdict, view)) + "\n"
    if view.difference is not None:
        text += "\n" + difference.render(view.difference, color=view.color)
    return text


def _lines(verdict: Verdict, view: View) -> list[str]:
    paint, verbose = Paint(view.color), view.verbose
    lines = [*first_screen(verdict, paint, view.took_seconds, verbose=verbose), ""]
    picture = drawn(verdict, ascii=view.ascii)
    lines += [*picture, ""] if picture else []
    for finding in told_one_by_one(verdict.plan, verdict.findings, Severity.BLOCKING):
        lines += [*_finding(finding, verdict, paint), ""]
    for folded in by_cause(verdict.findings):
        lines += [*_cause(folded, paint), ""]
    for finding in told_one_by_one(verdict.plan, verdict.findings, Severity.ADVISORY):
        lines += [*_finding(finding, verdict, paint), ""]
    if verbose:
        lines += _passes(verdict, paint)
    lines += _about_the_window(verdict, verbose)
    lines += _unconfirmed(verdict, verbose)
    return [*lines, _foot(verdict, paint)]


def _short(verdict: Verdict, paint: Paint) -> Iterator[str]:
    """The verdict, the window, its times, what blocks, the counts; waivers are never left out."""
    yield headline(verdict, paint)
    yield from window_line(verdict)
    yield from times(verdict)
    rows = blockers(verdict)
    if rows:
        named = "; ".join(row.what for row in rows[:_SHORT_BLOCKERS])
        more = f"; and {len(rows) - _SHORT_BLOCKERS} more" if len(rows) > _SHORT_BLOCKERS else ""
        yield from wrapped(f"{named}{more}", _BODY, "blocks   ")
    if verdict.reason:
        yield from wrapped(verdict.reason, _BODY, "because  ")
    yield from window.waivers(verdict)
    yield from counts(verdict, verbose=True)


def _finding(finding: Finding, verdict: Verdict, paint: Paint) -> Iterator[str]:
    status = finding.status
    advisory = " (advisory)" if finding.severity is Severity.ADVISORY else ""
    yield (
        paint.status(status, f"{status.upper():<9}")
        + paint.bold(f"{finding.check}  {cut(clean(finding.subject), _LONGEST_SUBJECT)}")
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
        yield from wrapped(window.price(verdict, finding.price), indent, _BODY + "price   ")
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


def _passes(verdict: Verdict, paint: Paint) -> Iterator[str]:
    passes = [finding for finding in verdict.findings if finding.status is Status.PASS]
    for host, findings in by_host(verdict.plan, passes).items():
        yield paint.bold(clean(host) or "no host")
        for finding in findings:
            yield (
                paint.status(Status.PASS, f"{'PASS':<9}")
                + f"{finding.check}  {cut(clean(finding.subject), _LONGEST_SUBJECT)}"
            )
            yield from wrapped(finding.judgement.summary, _BODY)
        yield ""


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


def _foot(verdict: Verdict, paint: Paint) -> str:
    return f"{decision(verdict, paint)} (exit code {int(verdict.exit_code)})"
