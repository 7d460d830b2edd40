"""version-pairs: every combination of versions that the window may leave behind has been tested, or is ruled out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from preflight.check import Check, Subject
from preflight.clock import format_moment
from preflight.finding import Judgement, failed, passed, warned
from preflight.judging.end_states import TEST_AGE, EndState, UnkeptRule, end_states, unkept_rules
from preflight.judging.version_tests import OPEN, Gap, StateStatus, Versions, in_words, is_of_use, rule_in_words
from preflight.plan import DecisionKind
from preflight.plan.limits import Above
from preflight.units import format_duration
from preflight.wording import listed

_MOST_NAMED = 6
_MOST_GAPS = 50
"""Told one by one; a release of a hundred applications may have thousands."""


class VersionPairs(Check):
    """Has every combination of versions that the window may leave behind been tested, or been ruled out?

    The night spent 70 minutes on whether the new App 2 may run with the old App 1: nobody had ever tried, and nobody
    had agreed what to do then (e). So every end state is looked at before the window: each application at `from` or
    at `to`, as the order of the steps and their undo allow, partial rollback included. It must be covered by a
    `[[tested]]` record that passed and is not older than `max_age`, or be ruled out by a `together` or `exclude` rule
    with somebody who decides. Never tested, tested and failed, tested too long ago, and never related are different
    answers, each said in words. A rule that cannot be kept, because an application that cannot be taken back is
    deployed before its partner, rules nothing out.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        max_age: Annotated[timedelta, Above(0)] = TEST_AGE
        """How old the date of a `[[tested]]` record may be at the moment judged."""

    id = "version-pairs"
    title = "the versions left behind work together"
    sections = ("applications", "tested")
    cure = "test the pair and write it under [[tested]], or agree a rule under [[rules]]"

    def subjects(self) -> Sequence[Subject]:
        if len(self.plan.applications) < 2 and not self.plan.tested:
            return []
        # Who decides about versions that meet; failing that, about a partial go-live.
        named = [rule.decides for rule in self.plan.rules if rule.decides]
        agreed = [each.decides for each in self.plan.decisions if each.on is DecisionKind.PARTIAL]
        return [Subject("end states", self.plan.applications, next(iter([*named, *agreed]), ""))]

    def judge(self, subject: Subject) -> Judgement:
        return Judgement.of(self._points())

    def _points(self) -> Iterator[Judgement]:
        max_age: timedelta = self.settings.max_age
        states = end_states(self.plan, self.moment, max_age)
        yield from self._gaps(states)
        yield from (self._unkept(each) for each in unkept_rules(self.plan, self.moment, max_age))
        for rule in (each for each in self.plan.rules if each.exclude and self._is_target(each.exclude)):
            yield failed(
                f"a rule excludes {in_words(rule.exclude)}, which is what the release brings",
                expected="rules that leave the release its own end",
                actual=rule_in_words(rule),
                remedy="correct `exclude` in [[rules]], or `to` of the applications",
            )
        for record in (each for each in self.plan.tested if not is_of_use(self.plan, each)):
            named = in_words(record.versions)
            yield warned(
                f"the record of {record.on} says nothing about this release: {named} ({record.result})",
                expected="versions of two applications or more, each the `from` or the `to` of its own",
                actual=f"{named}: {record.evidence}",
                remedy="correct `versions` in [[tested]], or take the record out",
            )
        if not any(state.status in OPEN for state in states):
            yield passed(self._told(states), expected=self._expected())

    def _expected(self) -> str:
        limit = format_duration(self.settings.max_age)
        return f"tested together not more than {limit} ago (max_age), or ruled out by a rule"

    def _gaps(self, states: Sequence[EndState]) -> Iterator[Judgement]:
        """One failure for each combination that is not shown to work, however many end states it is part of."""
        met: dict[Gap, list[EndState]] = {}
        for state in states:
            for gap in state.gaps:
                met.setdefault(gap, []).append(state)
        for gap, within in list(met.items())[:_MOST_GAPS]:
            yield failed(
                f"{gap.named}: {gap.reason}",
                expected=self._expected(),
                actual=f"{gap.named}: {gap.reason}",
                remedy=self._remedy(gap, within),
                details=_where(gap, within),
            )
        if len(met) > _MOST_GAPS:
            more = f"{len(met) - _MOST_GAPS} more combinations"
            yield failed(
                f"{more} are not shown to work",
                expected=self._expected(),
                actual=f"{more} without such a test",
                remedy="test the release as a whole, and agree [[rules]] with `together` for what goes back together",
            )

    def _remedy(self, gap: Gap, within: Sequence[EndState]) -> str:
        before = f"before {format_moment(self.plan.window.start, self.plan.window.zone)}"
        again = {StateStatus.FAILED: "mend and test again", StateStatus.TOO_OLD: "test again"}.get(gap.status, "test")
        test = f"{again} {gap.named} {before} and write it as [[tested]]"
        if any(self._is_target(state.versions) for state in within):
            return f"{test}; the release itself ends there, so no rule can take its place"
        return f"{test}, or agree [[rules]] with `together` or `exclude` and who `decides`"

    def _is_target(self, versions: Versions) -> bool:
        """Whether this is where the release itself ends."""
        return all(self.plan.applications[name].to == version for name, version in versions.items())

    def _unkept(self, unkept: UnkeptRule) -> Judgement:
        final, waiting, named = unkept.final, unkept.waiting, in_words(unkept.versions)
        return failed(
            f"the rule {rule_in_words(unkept.rule)} cannot be kept: {final} cannot be taken back, so {named} stays "
            f"when the deployment of {waiting} fails; {unkept.gap.reason}",
            expected="a rule that can be kept whatever fails, or versions tested together",
            actual=f"{named}: {unkept.gap.reason}; the undo of {final} is none",
            remedy=f"deploy {final} after {waiting}, or find a way to take {final} back, or test {named}",
        )

    def _told(self, states: Sequence[EndState]) -> str:
        if len(states) <= _MOST_NAMED:
            return "; ".join(f"{in_words(state.versions)} {state.in_a_word}" for state in states)
        counts = Counter(state.status for state in states)
        return f"{len(states)} end states: " + ", ".join(f"{count} {status}" for status, count in counts.items())


def _where(gap: Gap, within: Sequence[EndState]) -> str:
    """The end states a combination is part of, where it is not itself one."""
    named = [in_words(state.versions) for state in within]
    return "" if named == [gap.named] else "part of these end states:\n" + listed(named, _MOST_NAMED, "\n")
