"""What `[[tested]]` says about versions that meet: shown to work, never tried, tried and failed, or too long ago. Pure.

Applications meet in pairs, so a combination is shown to work by one record that covers all of it or by records that
cover each related pair of it. Two applications that both keep their version run together now and need no record."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import combinations

from preflight.clock import zone
from preflight.plan import Plan, Rule, Tested, TestResult
from preflight.units import format_duration

Versions = Mapping[str, str]
"""Application -> version, of all applications or of some."""
_Item = tuple[str, str]


class StateStatus(StrEnum):
    RUNS_NOW = "runs-now"
    """All applications at `from`: what answers before the window."""
    TESTED = "tested"
    UNRELATED = "unrelated"
    """Those that change never talk to the others."""
    FAILED = "failed"
    UNTESTED = "untested"
    TOO_OLD = "too-old"
    EXCLUDED = "excluded"
    """A rule says that it is never left standing."""
    TOGETHER = "together"
    """A rule says that its applications go forward and back together."""
    UNREACHABLE = "unreachable"
    """The order of the steps, and what cannot be taken back, leave no way there."""


OPEN = (StateStatus.FAILED, StateStatus.UNTESTED, StateStatus.TOO_OLD)
"""They can occur and are not shown to work, worst first."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Versions that are not shown to work together."""

    status: StateStatus
    """One of `OPEN`."""
    named: str
    """The versions it is about, in words: `app1 4.2 with app2 2.7`."""
    reason: str
    """What the records say instead: `never tested together`."""
    on: date | None = None
    evidence: str = ""


class VersionTests:
    """The records of one plan as they stand at one moment."""

    def __init__(self, plan: Plan, moment: datetime, max_age: timedelta) -> None:
        """`max_age`: how old a record may be at `moment`. Its date is one of the window's zone; days are counted."""
        self._running = {name: application.from_ for name, application in plan.applications.items()}
        self._unrelated = [frozenset(rule.unrelated) for rule in plan.rules]
        self._failed = [record for record in plan.tested if record.result is TestResult.FAILED]
        self._passed = [record for record in plan.tested if record.result is TestResult.PASSED]
        self._today = moment.astimezone(zone(plan.window.zone)).date()
        self._max_age = max_age
        self._pairs: dict[tuple[_Item, _Item], Tested | Gap | None] = {}

    def gaps(self, versions: Versions) -> tuple[Gap, ...]:
        """Everything that keeps `versions` from being shown to work, worst first; none where no pair needs a test."""
        failed = [each for each in self._failed if covers(versions, each.versions) and not self._is_cured(each)]
        lacking = ((dict(pair), gap) for pair, gap in self._each_pair(versions) if isinstance(gap, Gap))
        found = [gap for pair, gap in lacking if not any(covers(each.versions, pair) for each in failed)]
        return (*dict.fromkeys(map(_failure, failed)), *sorted(found, key=lambda gap: OPEN.index(gap.status)))

    def proofs(self, versions: Versions) -> tuple[Tested, ...]:
        """The records that show `versions` to work, oldest first, where there is no gap; none where no pair needs
        one. A record of all versions at once speaks for itself."""
        records = [found for _, found in self._each_pair(versions) if isinstance(found, Tested)]
        whole = self._newest(versions)
        if records and whole is not None and self._is_fresh(whole):
            return (whole,)
        return tuple(sorted({id(record): record for record in records}.values(), key=lambda record: record.on))

    def _each_pair(self, versions: Versions) -> Iterator[tuple[Iterable[_Item], Tested | Gap | None]]:
        """What is known about each pair; None where it needs no record."""
        for pair in combinations(versions.items(), 2):
            if pair not in self._pairs:
                self._pairs[pair] = self._judged(dict(pair)) if self._needs_a_test(pair) else None
            yield pair, self._pairs[pair]

    def _needs_a_test(self, pair: Iterable[_Item]) -> bool:
        """Not where both keep their version, which run together now, and not where they never talk to each other."""
        names = {name for name, _ in pair}
        runs_now = all(version == self._running.get(name) for name, version in pair)
        return not runs_now and not any(names <= group for group in self._unrelated)

    def _judged(self, pair: Versions) -> Tested | Gap:
        newest = self._newest(pair)
        if newest is None:
            return self._untested(pair)
        if self._is_fresh(newest):
            return newest
        reason = f"tested too long ago, {newest.on}; a test counts for {format_duration(self._max_age)}"
        return Gap(StateStatus.TOO_OLD, in_words(pair), reason, newest.on, newest.evidence)

    def _untested(self, pair: Versions) -> Gap:
        planned = [record for record in self._passed if covers(record.versions, pair)]
        if not planned:
            return Gap(StateStatus.UNTESTED, in_words(pair), "never tested together")
        first = min(planned, key=lambda record: record.on)
        reason = f"not tested yet: its record bears the date {first.on}, which is still to come"
        return Gap(StateStatus.UNTESTED, in_words(pair), reason, first.on, first.evidence)

    def _is_cured(self, record: Tested) -> bool:
        """Whether the same was tried again later and passed. Of one day nobody knows which was the later."""
        newest = self._newest(record.versions)
        return newest is not None and newest.on > record.on

    def _newest(self, versions: Versions) -> Tested | None:
        """The newest passed record of all `versions`, those still to come left out."""
        past = [each for each in self._passed if each.on <= self._today and covers(each.versions, versions)]
        return max(past, key=lambda record: record.on, default=None)

    def _is_fresh(self, record: Tested) -> bool:
        return self._today - record.on <= self._max_age


def _failure(record: Tested) -> Gap:
    reason = f"tested {record.on} and failed ({record.evidence})"
    return Gap(StateStatus.FAILED, in_words(record.versions), reason, record.on, record.evidence)


def covers(whole: Versions, part: Versions) -> bool:
    """Whether `whole` holds every application of `part` at just that version."""
    return part.items() <= whole.items()


def is_of_use(plan: Plan, record: Tested) -> bool:
    """Whether a record can tell anything about this release: it names versions that the release replaces or brings,
    a failed one only such, and a passed one at least two."""
    ours = [
        name
        for name, version in record.versions.items()
        if name in plan.applications and version in (plan.applications[name].from_, plan.applications[name].to)
    ]
    return len(ours) == len(record.versions) if record.result is TestResult.FAILED else len(ours) > 1


def in_words(versions: Versions) -> str:
    """`app1 4.2 with app2 2.7`; more than two are listed with commas."""
    names = [f"{name} {version}" for name, version in versions.items()]
    return " with ".join(names) if len(names) == 2 else ", ".join(names)


def rule_in_words(rule: Rule) -> str:
    """The rule as the plan writes it, without its reason."""
    for key, names in (("together", rule.together), ("unrelated", rule.unrelated)):
        if names:
            return f"{key} = [{', '.join(names)}]"
    return f"exclude = {{{', '.join(f'{name} {version}' for name, version in rule.exclude.items())}}}"
