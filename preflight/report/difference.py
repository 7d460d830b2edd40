"""What changed between two runs: for people in a terminal, 100 columns, what is worse first; and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from preflight.clock import format_moment
from preflight.finding import Severity, Status
from preflight.report.comparison import Change, Difference, Pair
from preflight.report.document.order import owners, pairs_by_cause
from preflight.report.harmless import clean, json_text
from preflight.report.json_report import Line, Point, Report
from preflight.report.layout import BODY, WIDTH, Colours, detail, wrapped
from preflight.units import format_duration

SCHEMA = 1
"""Raised only when a field changes its meaning or goes away; new fields do not raise it."""
_TITLES = {
    Change.NEW: "new",
    Change.CHANGED: "changed",
    Change.DISAPPEARED: "disappeared: no longer looked at, which is not cured",
    Change.CURED: "cured",
}
"""In the order of the report."""


def render(difference: Difference, *, color: bool = False) -> str:
    """The whole comparison."""
    colours = Colours(color)
    lines = [*_head(difference, colours), ""]
    for change, title in _TITLES.items():
        pairs = difference.which(change)
        if pairs:
            lines += [colours.bold(f"{len(pairs)} {title}"), ""]
            for group in pairs_by_cause(pairs):
                lines += [*_group(group, change, colours), ""]
    lines += _unchanged(difference, colours)
    return "\n".join(lines) + "\n"


def as_json(difference: Difference) -> str:
    """One JSON object, deterministic for equal differences: each line once, in the list of what became of it."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "old": _report(difference.before),
        "new": _report(difference.after),
        "notes": list(difference.notes),
        "lines": {change: [_pair(pair) for pair in difference.which(change)] for change in Change},
    }
    return json_text(document)


def _report(report: Report) -> dict[str, Any]:
    return {
        "headline": report.headline,
        "release": report.release.id,
        **_fields(report, "plan", "evidence_sha256", "moment", "collected_at"),
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "check": pair.line.check,
        "subject": pair.line.subject,
        "old": _line(pair.old),
        "new": _line(pair.new),
    }


def _line(line: Line | None) -> dict[str, Any] | None:
    if line is None:
        return None
    points = [_fields(point, "status", "summary", "expected", "actual", "remedy") for point in line.telling]
    return {
        **_fields(line, "check", "subject", "status", "severity"),
        "points": points,
        **_fields(line, "owner", "cause"),
    }


def _fields(value: object, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def _head(difference: Difference, colours: Colours) -> Iterator[str]:
    before, after = difference.before, difference.after
    release = clean(after.release.id)
    yield colours.bold(f"{clean(before.headline)} -> {clean(after.headline)}  {release}"[:WIDTH])
    for label, report in (("OLD", before), ("NEW", after)):
        yield from wrapped(_told(report), BODY, f"{label:<9}")
    apart = after.collected_at - before.collected_at
    if apart:
        yield from wrapped(f"{format_duration(abs(apart))} lie between them", BODY)
    for note in difference.notes:
        yield from wrapped(note, BODY, colours.status(Status.WARN, f"{'NOTE':<9}"))


def _told(report: Report) -> str:
    asked, judged = (format_moment(at, report.window.zone) for at in (report.collected_at, report.moment))
    return (
        f"{report.headline}, asked {asked}, judged for {judged}; {report.plan.file} sha256 "
        f"{report.plan.sha256[:12]}, evidence {report.evidence_sha256[:12]}"
    )


def _group(group: Sequence[Pair], change: Change, colours: Colours) -> Iterator[str]:
    first = group[0]
    old, new = (line.status if line else None for line in (first.old, first.new))
    word = f"{old or 'not there'} -> {new.upper() if new else 'not there'}"
    what = f"{first.line.check}  {clean(first.line.subject)}" if len(group) == 1 else f"{len(group)} checks"
    advisory = " (advisory)" if first.line.severity is Severity.ADVISORY else ""
    if len(f"{word}  {what}{advisory}") <= WIDTH:
        yield colours.status(new or Status.SKIPPED, word) + "  " + colours.bold(what) + advisory
    else:
        yield word
        yield from wrapped(f"{what}{advisory}", BODY)
    if len(group) > 1:
        names = ", ".join(f"{pair.line.check} {pair.line.subject}" for pair in group)
        yield from detail("lines", names)
    if first.old and first.new and first.old.severity is not first.new.severity:
        yield from wrapped(f"was {first.old.severity}, is {first.new.severity}", BODY)
    yield from _values(first, change)
    if change is not Change.CURED:
        yield from detail("owner", owners(pair.line for pair in group))


def _values(pair: Pair, change: Change) -> Iterator[str]:
    """The observations that are not in both, old before new; cures for what is new."""
    was, now = (line.telling if line else () for line in (pair.old, pair.new))
    if change is Change.CHANGED:
        shared = {point.value for point in was} & {point.value for point in now}
        was, now = (tuple(point for point in points if point.value not in shared) for points in (was, now))
    for point in was:
        yield from _point(point, "was")
    if pair.new is None:
        yield from detail("now", "no such line in NEW")
    for point in now:
        yield from _point(point, "now")
        if point.status is not Status.PASS:
            yield from detail("wanted", point.expected)
            yield from detail("cure", point.remedy)


def _point(point: Point, label: str) -> Iterator[str]:
    found = f"; found {point.actual}" if point.actual and point.actual not in point.summary else ""
    yield from detail(label, point.summary + found)


def _unchanged(difference: Difference, colours: Colours) -> Iterator[str]:
    """What is still not green, one line each, and how much there is."""
    still, added = difference.which(Change.STILL), difference.which(Change.ADDED)
    open_lines = [pair.line for pair in still if pair.line.status not in (Status.PASS, Status.SKIPPED)]
    if open_lines:
        yield colours.bold(f"{len(open_lines)} still open")
        for line in open_lines:
            text = f"{line.check}  {line.subject}: {line.telling[0].summary}"
            yield from wrapped(text, BODY, f"{line.status.upper():<9}")
        yield ""
    if added:
        yield from wrapped(f"not in OLD: {_counted(added)}", "")
    counts = [f"{len(difference.which(change))} {change}" for change in Change if difference.which(change)]
    yield from wrapped(f"{len(difference.pairs)} lines: {', '.join(counts) or 'none'}", "")
    if still:
        yield from wrapped(f"still: {_counted(still)}", "")


def _counted(pairs: Iterable[Pair]) -> str:
    counts = Counter(pair.line.status for pair in pairs)
    return ", ".join(f"{counts[each]} {each}" for each in Status if counts[each])
