"""What became of each line between two runs: compared, and told to people in a terminal (100 columns, what is worse
first) and to programs. Pure.

A line is one check of one subject. Only a line that was looked at again and passes is cured: one that is gone, or was
not selected, has disappeared, whatever it said before."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from preflight.clock import format_moment
from preflight.finding import WORST_FIRST, Finding, Severity, Status
from preflight.report.harmless import clean, json_text
from preflight.report.json_report import Line, Report
from preflight.report.layout import BODY, WIDTH, Colours, detail, wrapped
from preflight.units import format_duration
from preflight.wording import MOST_NAMED, listed

SCHEMA = 1
"""Raised only when a field changes its meaning or goes away; new fields do not raise it."""
_NUMBER = re.compile(r"\d[\d.,:]*")
_GREEN = (Status.PASS, Status.SKIPPED)
"""Of a line that was not looked at nothing bad is known."""


class Change(StrEnum):
    NEW = "new"
    """Not green now, and was green, not selected, or not there."""
    CHANGED = "changed"
    DISAPPEARED = "disappeared"
    """No longer looked at."""
    CURED = "cured"
    """Was seen not to be green, and passes now."""
    ADDED = "added"
    """Was not there before, and is not bad."""
    STILL = "still"


_TITLES = {
    Change.NEW: "new",
    Change.CHANGED: "changed",
    Change.DISAPPEARED: "disappeared: no longer looked at, which is not cured",
    Change.CURED: "cured",
}
TOLD = tuple(_TITLES)
"""The changes that are told, in the order of the report."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A line in both runs; None where a run does not have it."""

    old: Line | None
    new: Line | None

    @property
    def line(self) -> Line:
        """The newer of the two."""
        found = self.new or self.old
        if found is None:
            raise ValueError("a pair of no lines")
        return found

    @property
    def change(self) -> Change:
        old, new = self.old, self.new
        if new is None:
            return Change.DISAPPEARED
        if old is None:
            return Change.ADDED if new.status in _GREEN else Change.NEW
        if new.status is Status.SKIPPED:
            return Change.STILL if old.status is Status.SKIPPED else Change.DISAPPEARED
        if new.status is Status.PASS and old.status not in _GREEN:
            return Change.CURED
        if new.status is not Status.PASS and old.status in _GREEN:
            return Change.NEW
        was, now = ((each.status, each.severity, {point.value for point in each.telling}) for each in (old, new))
        return Change.STILL if was == now else Change.CHANGED


@dataclass(frozen=True, slots=True)
class Difference:
    """Every line of both runs, each once, by what became of it; the worst first."""

    before: Report
    after: Report
    pairs: tuple[Pair, ...]

    def which(self, change: Change) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if pair.change is change)

    @property
    def is_worse(self) -> bool:
        """Something is not what it was, other than cured or added well."""
        return any(self.which(each) for each in (Change.NEW, Change.CHANGED, Change.DISAPPEARED))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before he compares; empty for two runs of one plan, the older one first."""
        return tuple(_notes(self.before, self.after))


def in_words(difference: Difference | None) -> str:
    """`since the run of Sat 2026-11-28 22:44 +00:00 (GO): 2 new, 1 cured`; empty without a run before."""
    if difference is None:
        return ""
    before = difference.before
    told = [f"{len(pairs)} {change}" for change in TOLD if (pairs := difference.which(change))]
    at = format_moment(before.collected_at, before.window.zone)
    return f"since the run of {at} ({before.headline}): {', '.join(told) or 'nothing changed'}"


def in_lines(difference: Difference) -> Iterator[str]:
    """One line for each change, blockers first: `host-login db1: pass -> FAIL: no login`. A new number is none."""
    for group in pairs_by_cause([pair for pair in difference.pairs if _is_told(pair)]):
        names = listed([f"{pair.line.check} {pair.line.subject}" for pair in group], MOST_NAMED)
        old, new = group[0].old, group[0].new
        was, now = (line.status if line else "not there" for line in (old, new))
        seen = f": {new.cause or new.telling[0].summary}" if new and new.status is not Status.PASS else ""
        advisory = " (advisory)" if group[0].line.severity is Severity.ADVISORY else ""
        number = f"{len(group)} checks: " if len(group) > 1 else ""
        yield clean(f"{number}{names}: {was} -> {now.upper() if now is not Status.PASS else now}{seen}{advisory}")


def _is_told(pair: Pair) -> bool:
    old, new = pair.old, pair.new
    if pair.change is Change.CHANGED and old and new and old.status is new.status:
        was, now = ([_NUMBER.sub("", str(point.value)) for point in line.telling] for line in (old, new))
        return was != now
    return pair.change not in (Change.STILL, Change.ADDED)


def _notes(old: Report, new: Report) -> Iterator[str]:
    if old.release.id != new.release.id:
        yield f"two different releases are compared: OLD is {old.release.id}, NEW is {new.release.id}"
    if old.plan.sha256 != new.plan.sha256:
        yield f"the plan is not the same: sha256 {old.plan.sha256[:12]} in OLD, {new.plan.sha256[:12]} in NEW"
    ahead = old.collected_at - new.collected_at
    if old.collected_at > new.collected_at:
        yield (
            f"OLD is the later run: it was asked {format_duration(ahead)} after NEW, so what is called cured here has "
            "got worse since; give the older report first"
        )
    elif old.collected_at == new.collected_at and old.moment > new.moment:
        yield "OLD is judged for a later moment than NEW; give the earlier one first"
    if old.evidence_sha256 == new.evidence_sha256:
        yield "both judge the same evidence: nothing was asked again between them"


def compare(old: Report, new: Report) -> Difference:
    """What became of each line of `old` and of `new`."""
    before, after = _numbered(old.findings), _numbered(new.findings)
    pairs = [Pair(before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]
    pairs.sort(key=lambda pair: (tuple(Severity).index(pair.line.severity), WORST_FIRST.index(pair.line.status)))
    return Difference(old, new, tuple(pairs))


def _numbered(lines: Iterable[Line]) -> dict[tuple[str, str, int], Line]:
    """By check and subject. Two lines may share them (two plug-ins of one name that do not load): then by number."""
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    for line in lines:
        key = (line.check, line.subject)
        found[*key, seen[key]] = line
        seen[key] += 1
    return found


def pairs_by_cause(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Lines that could not look, or are too old, for one shared cause together; each other one alone."""
    groups: dict[object, list[Pair]] = {}
    for number, pair in enumerate(pairs):
        lines = (pair.old, pair.new)
        causes = tuple(line.cause if line and line.status in (Status.UNKNOWN, Status.STALE) else "" for line in lines)
        statuses = tuple(line.status if line else None for line in lines)
        groups.setdefault((causes, statuses) if any(causes) else number, []).append(pair)
    return list(groups.values())


def owners(findings: Iterable[Finding | Line]) -> str:
    """Who owns any of them, each once."""
    return ", ".join(dict.fromkeys(each.owner for each in findings if each.owner))


def render(difference: Difference, *, color: bool = False) -> str:
    colours, before, after = Colours(color), difference.before, difference.after
    headline = f"{clean(before.headline)} -> {clean(after.headline)}  {clean(after.release.id)}"
    lines = [colours.bold(headline[:WIDTH])]
    for label, report in (("OLD", before), ("NEW", after)):
        asked, judged = (format_moment(at, report.window.zone) for at in (report.collected_at, report.moment))
        told = (
            f"{report.headline}, asked {asked}, judged for {judged}; {report.plan.file} sha256 "
            f"{report.plan.sha256[:12]}, evidence {report.evidence_sha256[:12]}"
        )
        lines += wrapped(told, BODY, f"{label:<9}")
    if apart := after.collected_at - before.collected_at:
        lines += wrapped(f"{format_duration(abs(apart))} lie between them", BODY)
    for note in difference.notes:
        lines += wrapped(note, BODY, colours.status(Status.WARN, f"{'NOTE':<9}"))
    lines.append("")
    for change, title in _TITLES.items():
        if pairs := difference.which(change):
            lines += [colours.bold(f"{len(pairs)} {title}"), ""]
            for group in pairs_by_cause(pairs):
                lines += [*_group(group, change, colours), ""]
    return "\n".join([*lines, *_unchanged(difference, colours)]) + "\n"


def as_json(difference: Difference) -> str:
    """One JSON object, deterministic for equal differences: each line once, in the list of what became of it."""
    document: dict[str, Any] = {"schema": SCHEMA}
    for name, report in (("old", difference.before), ("new", difference.after)):
        rest = _fields(report, "plan", "evidence_sha256", "moment", "collected_at")
        document[name] = {"headline": report.headline, "release": report.release.id, **rest}
    document["notes"], document["lines"] = difference.notes, {}
    for change in Change:
        document["lines"][change] = [
            {**_fields(pair.line, "check", "subject"), "old": _line(pair.old), "new": _line(pair.new)}
            for pair in difference.which(change)
        ]
    return json_text(document)


def _line(line: Line | None) -> dict[str, Any] | None:
    if line is None:
        return None
    points = [_fields(point, "status", "summary", "expected", "actual", "remedy") for point in line.telling]
    head, tail = _fields(line, "check", "subject", "status", "severity"), _fields(line, "owner", "cause")
    return {**head, "points": points, **tail}


def _fields(value: object, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def _group(group: Sequence[Pair], change: Change, colours: Colours) -> Iterator[str]:
    first = group[0]
    old, new = (line.status if line else None for line in (first.old, first.new))
    word = f"{old or 'not there'} -> {new.upper() if new else 'not there'}"
    what = f"{first.line.check}  {clean(first.line.subject)}" if len(group) == 1 else f"{len(group)} checks"
    mark = first.line.severity.mark
    if len(f"{word}  {what}{mark}") <= WIDTH:
        yield colours.status(new or Status.SKIPPED, word) + "  " + colours.bold(what) + mark
    else:
        yield word
        yield from wrapped(f"{what}{mark}", BODY)
    if len(group) > 1:
        yield from detail("lines", ", ".join(f"{pair.line.check} {pair.line.subject}" for pair in group))
    if first.old and first.new and first.old.severity is not first.new.severity:
        yield from wrapped(f"was {first.old.severity}, is {first.new.severity}", BODY)
    if len(group) > 1 and first.new and first.new.cause:  # what was seen of each before is another thing
        yield from detail("now", first.new.cause)
        yield from detail("cure", first.new.telling[0].remedy)
    else:
        yield from _observations(first, change)
    if change is not Change.CURED:
        yield from detail("owner", owners(pair.line for pair in group))


def _observations(pair: Pair, change: Change) -> Iterator[str]:
    """The observations that are not in both, old before new; cures for what is new."""
    was, now = (line.telling if line else () for line in (pair.old, pair.new))
    if change is Change.CHANGED:
        shared = {point.value for point in was} & {point.value for point in now}
        was, now = (tuple(point for point in points if point.value not in shared) for points in (was, now))
    for label, points in (("was", was), ("now", now)):
        if label == "now" and pair.new is None:
            yield from detail("now", "no such line in NEW")
        for point in points:
            found = f"; found {point.actual}" if point.actual and point.actual not in point.summary else ""
            yield from detail(label, point.summary + found)
            if label == "now" and point.status is not Status.PASS:
                yield from detail("wanted", point.expected)
                yield from detail("cure", point.remedy)


def _unchanged(difference: Difference, colours: Colours) -> Iterator[str]:
    still, added = difference.which(Change.STILL), difference.which(Change.ADDED)
    if open_pairs := [pair for pair in still if pair.line.status not in _GREEN]:
        yield colours.bold(f"{len(open_pairs)} still open")
        for group in pairs_by_cause(open_pairs):
            line = group[0].line
            text = f"{line.check}  {line.subject}: {line.telling[0].summary}"
            if len(group) > 1:
                text = f"{len(group)} checks: {line.cause}"
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
