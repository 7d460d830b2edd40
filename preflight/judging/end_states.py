"""The versions in which a release may leave its applications, and what is known about each combination. Pure.

Every application ends at its `from` or its `to`. Which combinations can occur follows from the steps (their order, and
what can be taken back) and from the agreed rules; each one that can occur must have been tested."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from itertools import combinations, product

from preflight.judging.version_tests import OPEN, Gap, StateStatus, Versions, VersionTests, covers, in_words, is_of_use
from preflight.plan import Application, Plan, Rule, Step, TestResult

MOST_ENUMERATED = 12
"""With more applications that change, the pairs of applications are judged, not the 2^n combinations. That asks for
the same tests, or for more where `exclude` rules together, or one of more than two applications, rule a pair out."""
TEST_AGE = timedelta(days=90)
"""How old a test of two versions may be, unless the plan says otherwise."""
_MOST_ROWS = 24

REMOVED = (StateStatus.UNREACHABLE, StateStatus.TOGETHER, StateStatus.EXCLUDED)
"""It cannot occur, or was agreed not to be left standing: it needs no test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndState:
    """One combination of versions, and what is known about it."""

    versions: Versions
    """Of all applications; of those concerned where the pairs are judged (see `MOST_ENUMERATED`)."""
    status: StateStatus
    on: date | None = None
    """Date of the oldest record that it rests on."""
    evidence: str = ""
    reason: str = ""
    """One line in words, for every status."""
    decides: str = ""
    """Role that the rule names, where a rule removes it."""
    gaps: tuple[Gap, ...] = ()
    """What keeps it from being shown to work, worst first."""

    @property
    def in_a_word(self) -> str:
        """What is known about it, as short as a cell: `tested 2026-10-01`."""
        words = {
            StateStatus.RUNS_NOW: "runs now",
            StateStatus.TESTED: f"tested {self.on}",
            StateStatus.UNRELATED: "unrelated",
            StateStatus.FAILED: f"FAILED {self.on}",
            StateStatus.UNTESTED: f"dated {self.on}, still to come" if self.on else "NEVER TESTED",
            StateStatus.TOO_OLD: f"TOO LONG AGO, {self.on}",
            StateStatus.EXCLUDED: "excluded",
            StateStatus.TOGETHER: "together only",
            StateStatus.UNREACHABLE: "cannot occur",
        }
        return words[self.status]


@dataclass(frozen=True, slots=True)
class UnkeptRule:
    """A rule that may leave the very versions standing that it forbids, and those are not shown to work."""

    rule: Rule
    versions: Versions
    final: str
    """The application that cannot be taken back."""
    waiting: str
    """The one whose deployment may fail after that."""
    gap: Gap


class DeployOrder:
    """Which applications hold which others at `to`: the order of their steps, and what can be taken back.

    A set of applications stands at `to` in the end if the deployments can stop somewhere and the others that were made
    by then can be taken back. Only a deployment whose undo is `none` forces anything: whatever needs it before keeps
    it. `moving`: those that change their version, in the plan's order."""

    def __init__(self, plan: Plan) -> None:
        self.moving = tuple(each.id for each in plan.applications.values() if each.from_ != each.to)
        deploying = {step.deploys: step for step in plan.steps if step.deploys in self.moving}
        self.unplanned = tuple(name for name in self.moving if name not in deploying)
        """Those that no step deploys: their order is free, and they are taken to be undoable."""
        self.final = frozenset(name for name, step in deploying.items() if step.is_final)
        """Those that cannot be taken back."""
        steps = {step.id: step for step in plan.steps}
        self._before = {name: _earlier(step, steps) for name, step in deploying.items()}

    def before(self, name: str) -> Set[str]:
        """The applications that are deployed before this one can be."""
        return self._before.get(name, frozenset())

    def forced(self, at_to: Iterable[str]) -> frozenset[str]:
        """The applications that stand at `to` at least, when those of `at_to` do."""
        names = frozenset(at_to)
        return names.union(*(self.before(name) & self.final for name in names))


def end_states(plan: Plan, moment: datetime, max_age: timedelta) -> tuple[EndState, ...]:
    """Every end state in the plan's order, the running one first. `max_age`: how old a test may be at `moment`."""
    removal = _Removal(plan)
    tests = VersionTests(plan, moment, max_age)
    return tuple(removal.state(versions) or _judged(plan, tests, versions) for versions in removal.candidates())


def most_test_age(plan: Plan) -> timedelta:
    """How old a test of two versions may be: `max_age` of `[checks.version-pairs]`."""
    written = plan.checks.get("version-pairs", {}).get("max_age")
    return written if isinstance(written, timedelta) else TEST_AGE


def can_go_live_in_part(plan: Plan) -> bool:
    """Whether an application may be left at `to` while another one stays at `from`."""
    removal = _Removal(plan)
    return any(
        removal.state(versions) is None
        for versions in removal.candidates()
        if any(removal.is_at_to(name, version) for name, version in versions.items())
        and any(removal.stays(name, version) for name, version in versions.items())
    )


def unkept_rules(plan: Plan, moment: datetime, max_age: timedelta) -> tuple[UnkeptRule, ...]:
    """A rule is kept by taking back or by going on. Once an application that cannot be taken back is deployed, only
    going on is left, and that deployment may fail."""
    tests = VersionTests(plan, moment, max_age)
    return tuple(
        UnkeptRule(rule, versions, final, waiting, gaps[0])
        for rule in plan.rules
        for final, waiting, versions in _forbidden(plan, rule)
        if (gaps := tests.gaps(versions))
    )


def telling_first(states: Iterable[EndState]) -> list[EndState]:
    """What is not shown to work stands first, what needs no test last."""
    return sorted(states, key=lambda state: (state.status in REMOVED, state.status not in OPEN))


def matrix(plan: Plan, states: Sequence[EndState]) -> tuple[tuple[str, ...], ...]:
    """The states as rows of cells. Two applications: their versions cross, the second one's in the first row. More:
    one row for each state that can occur, what is not shown to work first, and one line about the others."""
    if len(plan.applications) == 2:
        first, second = plan.applications.values()
        cells = {(state.versions[first.id], state.versions[second.id]): state.in_a_word for state in states}
        across = list(dict.fromkeys((second.from_, second.to)))
        header = ("", *(f"{second.id} {version}" for version in across))
        down = dict.fromkeys((first.from_, first.to))
        return (header, *((f"{first.id} {mine}", *(cells[mine, other] for other in across)) for mine in down))
    open_first = [state for state in telling_first(states) if state.status not in REMOVED]
    rows = [(in_words(state.versions), state.in_a_word) for state in open_first[:_MOST_ROWS]]
    rows += _counted("more", open_first[_MOST_ROWS:])
    return (*rows, *_counted("that need no test", [state for state in states if state.status in REMOVED]))


def _crossings(applications: Iterable[Application]) -> Iterator[Versions]:
    ends = ([(each.id, version) for version in dict.fromkeys((each.from_, each.to))] for each in applications)
    return map(dict, product(*ends))


def _earlier(step: Step, steps: Mapping[str, Step]) -> frozenset[str]:
    """The applications deployed by the steps that `step` waits for, however many steps lie between."""
    waiting, seen = list(step.after), set(step.after)
    while waiting:
        more = [name for name in steps[waiting.pop()].after if name not in seen]
        seen.update(more)
        waiting += more
    return frozenset(steps[name].deploys for name in seen if steps[name].deploys)


class _Removal:
    """Which combinations need no test, because they cannot occur or are not left standing."""

    def __init__(self, plan: Plan) -> None:
        self.order = DeployOrder(plan)
        self._plan = plan
        self._together = [rule for rule in plan.rules if rule.together]
        self._excluded = [rule for rule in plan.rules if rule.exclude]

    def candidates(self) -> Iterator[Versions]:
        applications = list(self._plan.applications.values())
        if len(self.order.moving) <= MOST_ENUMERATED:
            yield from _crossings(applications)
            return
        for pair in combinations(applications, 2):
            yield from _crossings(pair)
        for record in self._plan.tested:
            if record.result is TestResult.FAILED and len(record.versions) > 2 and is_of_use(self._plan, record):
                yield record.versions

    def is_at_to(self, name: str, version: str) -> bool:
        return name in self.order.moving and version == self._plan.applications[name].to

    def stays(self, name: str, version: str) -> bool:
        return name in self.order.moving and version == self._plan.applications[name].from_

    def state(self, versions: Versions) -> EndState | None:
        """The end state, where it needs no test; None where it does."""
        found = partial(EndState, versions=versions)
        if all(version == self._plan.applications[name].from_ for name, version in versions.items()):
            return found(status=StateStatus.RUNS_NOW, reason="runs now")
        at_to = frozenset(name for name, version in versions.items() if self.is_at_to(name, version))
        staying = frozenset(name for name, version in versions.items() if self.stays(name, version))
        if early := self.order.forced(at_to) & staying:
            reason = f"{min(early)} is deployed before and cannot be taken back"
            return found(status=StateStatus.UNREACHABLE, reason=reason)
        if rule := self._splitting(at_to, staying):
            reason = _because(f"{', '.join(rule.together)} go forward and back together", rule)
            return found(status=StateStatus.TOGETHER, reason=reason, decides=rule.decides)
        for rule in self._excluded:
            if covers(versions, rule.exclude):
                reason = _because("is never left standing", rule)
                return found(status=StateStatus.EXCLUDED, reason=reason, decides=rule.decides)
        return None

    def _splitting(self, at_to: frozenset[str], staying: frozenset[str]) -> Rule | None:
        """The rule that would bring one of `staying` to `to` too. Rules and order may need several rounds."""
        names = self.order.forced(at_to)
        while True:
            before = names
            for rule in self._together:
                if names.isdisjoint(rule.together):
                    continue
                names = self.order.forced(names.union(rule.together))
                if names & staying:
                    return rule
            if names == before:
                return None


def _because(what: str, rule: Rule) -> str:
    reason = f": {' '.join(rule.reason.split())}" if rule.reason.strip() else ""
    return what + reason + (f" ({rule.decides} decides)" if rule.decides else "")


def _judged(plan: Plan, tests: VersionTests, versions: Versions) -> EndState:
    found = partial(EndState, versions=versions)
    if gaps := tests.gaps(versions):
        worst, reason = gaps[0], "; ".join(f"{gap.named}: {gap.reason}" for gap in gaps)
        return found(status=worst.status, on=worst.on, evidence=worst.evidence, reason=reason, gaps=gaps)
    if proofs := tests.proofs(versions):
        on, evidence = proofs[0].on, ", ".join(dict.fromkeys(record.evidence for record in proofs))
        return found(status=StateStatus.TESTED, on=on, evidence=evidence, reason=f"tested {on} ({evidence})")
    alone = len(plan.applications) < 2
    reason = "there is no other application" if alone else "what changes never talks to the others"
    return found(status=StateStatus.UNRELATED, reason=reason)


def _forbidden(plan: Plan, rule: Rule) -> Iterator[tuple[str, str, Versions]]:
    """What a rule forbids and can still be left standing: (cannot be taken back, may fail after it, versions)."""
    removal, applications = _Removal(plan), plan.applications
    order = removal.order
    for final in (name for name in rule.together if name in order.final):
        for waiting in rule.together:
            if waiting in order.moving and waiting != final and waiting not in order.before(final):
                yield final, waiting, {final: applications[final].to, waiting: applications[waiting].from_}
    standing = [name for name, version in rule.exclude.items() if removal.is_at_to(name, version)]
    missing = [name for name, version in rule.exclude.items() if removal.stays(name, version)]
    if standing and order.final.issuperset(standing) and order.forced(standing).isdisjoint(missing):
        later = [name for name in missing if not any(name in order.before(each) for each in standing)]
        if later:
            yield standing[0], later[0], rule.exclude


def _counted(what: str, states: Sequence[EndState]) -> list[tuple[str, str]]:
    counts = ", ".join(f"{count} {status}" for status, count in Counter(state.status for state in states).items())
    return [(f"{len(states)} {what}", counts)] if states else []
