"""What became of each line between two runs. Pure.

A line is one check of one subject. Only a line that was looked at again and passes is cured: one that is gone, or was
not selected, has disappeared, whatever it said before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from preflight.finding import WORST_FIRST, Finding, Severity, Status
from preflight.units import format_duration
from preflight.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One observation behind a line."""

    status: Status
    summary: str
    expected: str = ""
    actual: str = ""
    remedy: str = ""

    @property
    def value(self) -> tuple[Status, str, str]:
        """What makes it another observation. A pass differs in every run (times, free bytes) and is a pass; why
        nobody could look is compared by its cause, and evidence that is too old is just older the next time."""
        match self.status:
            case Status.PASS | Status.STALE:
                return self.status, "", ""
            case Status.UNKNOWN:
                return self.status, self.summary, ""
            case _:
                return self.status, self.summary, self.actual


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One check of one subject in one run."""

    check: str
    subject: str
    status: Status
    severity: Severity
    points: tuple[Point, ...]
    """What a reader must see: every observation that is no pass, worst first, or the one conclusion."""
    owner: str = ""
    cause: str = ""
    """Shared cause of an UNKNOWN."""

    @property
    def values(self) -> tuple[Status, Severity, frozenset[tuple[Status, str, str]]]:
        return self.status, self.severity, frozenset(point.value for point in self.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run concluded, from its verdict or from its saved report."""

    headline: str
    """`GO`, `GO with 2 waivers`, `NO-GO` or `HOLD`."""
    release: str
    plan_file: str
    plan_digest: str
    evidence_digest: str
    zone: str
    """Of the plan's window; its name."""
    moment: datetime
    """The instant judged, UTC."""
    collected_at: datetime
    """When the evidence was collected, UTC."""
    lines: tuple[Line, ...]

    @property
    def decision(self) -> str:
        """The first word of the headline."""
        return self.headline.partition(" ")[0].rstrip(";")

    @classmethod
    def of(cls, verdict: Verdict) -> Outcome:
        return cls(
            headline=verdict.headline,
            release=verdict.plan.release.id,
            plan_file=verdict.plan.path.name,
            plan_digest=verdict.plan.digest,
            evidence_digest=verdict.evidence_digest,
            zone=verdict.plan.window.zone,
            moment=verdict.moment,
            collected_at=verdict.collected_at,
            lines=tuple(map(_line, verdict.findings)),
        )


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

    before: Outcome
    after: Outcome
    pairs: tuple[Pair, ...]

    def which(self, change: Change) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if pair.change is change)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before he compares; empty for two runs of one plan, the older one first."""
        return tuple(_notes(self.before, self.after))


def compare(old: Outcome, new: Outcome) -> Difference:
    """What became of each line of `old` and of `new`."""
    before, after = _numbered(old.lines), _numbered(new.lines)
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
    return Change.STILL if old.values == new.values else Change.CHANGED


def _notes(old: Outcome, new: Outcome) -> Iterator[str]:
    if old.release != new.release:
        yield f"two different releases are compared: OLD is {old.release}, NEW is {new.release}"
    if old.plan_digest != new.plan_digest:
        yield f"the plan is not the same: sha256 {old.plan_digest[:12]} in OLD, {new.plan_digest[:12]} in NEW"
    ahead = old.collected_at - new.collected_at
    if old.collected_at > new.collected_at:
        yield (
            f"OLD is the later run: it was asked {format_duration(ahead)} after NEW, so what is called cured here has "
            "got worse since; give the older report first"
        )
    elif old.collected_at == new.collected_at and old.moment > new.moment:
        yield "OLD is judged for a later moment than NEW; give the earlier one first"
    if old.evidence_digest == new.evidence_digest:
        yield "both judge the same evidence: nothing was asked again between them"


def _line(finding: Finding) -> Line:
    own = finding.judgement
    return Line(
        check=finding.check,
        subject=finding.subject,
        status=finding.status,
        severity=finding.severity,
        points=tuple(
            Point(
                status=finding.status if point is own else point.status,  # its own may be waived, or too old
                summary=point.summary,
                expected=point.expected,
                actual=point.actual,
                remedy=point.remedy,
            )
            for point in own.telling_points()
        ),
        owner=finding.owner,
        cause=finding.cause,
    )
