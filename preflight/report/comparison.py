"""What became of each line between two runs. Pure.

A line is one check of one subject. Only a line that was looked at again and passes is cured: one that is gone, or was
not selected, has disappeared, whatever it said before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from preflight.finding import WORST_FIRST, Severity, Status
from preflight.report.json_report import Line, Report
from preflight.units import format_duration


class Change(StrEnum):
    """What became of a line."""

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
        if self.new is None:
            return Change.DISAPPEARED
        if self.old is None:
            return Change.ADDED if self.new.status in (Status.PASS, Status.SKIPPED) else Change.NEW
        return _change(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Difference:
    """Every line of both runs, each once, by what became of it; the worst first."""

    before: Report
    after: Report
    pairs: tuple[Pair, ...]

    def which(self, change: Change) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if pair.change is change)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before he compares; empty for two runs of one plan, the older one first."""
        return tuple(_notes(self.before, self.after))


def compare(old: Report, new: Report) -> Difference:
    """What became of each line of `old` and of `new`."""
    before, after = _numbered(old.findings), _numbered(new.findings)
    pairs = [Pair(before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]
    return Difference(old, new, tuple(sorted(pairs, key=_rank)))


def _numbered(lines: Iterable[Line]) -> Mapping[tuple[str, str, int], Line]:
    """By check and subject. Two lines may share them (two plug-ins of one name that do not load): then by number."""
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    for line in lines:
        key = (line.check, line.subject)
        found[*key, seen[key]] = line
        seen[key] += 1
    return found


def _rank(pair: Pair) -> tuple[bool, int]:
    return pair.line.severity is not Severity.BLOCKING, WORST_FIRST.index(pair.line.status)


def _change(old: Line, new: Line) -> Change:
    if new.status is Status.SKIPPED:
        return Change.STILL if old.status is Status.SKIPPED else Change.DISAPPEARED
    if new.status is Status.PASS and old.status not in (Status.PASS, Status.SKIPPED):
        return Change.CURED
    if new.status is not Status.PASS and old.status in (Status.PASS, Status.SKIPPED):
        return Change.NEW
    return Change.STILL if _values(old) == _values(new) else Change.CHANGED


def _values(line: Line) -> tuple[object, ...]:
    return line.status, line.severity, {point.value for point in line.telling}


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
