"""decisions: who decides in the window, and what is done when nobody can be reached, is agreed beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preflight.check import Check, Subject
from preflight.finding import Judgement, Severity, passed, warned
from preflight.judging.end_states import can_go_live_in_part
from preflight.plan import Decision, DecisionKind, Release, Step

_OF_A_STEP = (DecisionKind.RETRY, DecisionKind.ROLLBACK)


class Decisions(Check):
    """Is it agreed who decides in the window, and what is done when nobody can be reached?

    The night's debate (e) was long because nobody knew whose it was: 70 minutes are what a missing rule costs at
    02:00. Each blocking step that leaves something to undo wants an agreed answer to "again?" and to "back?"; a
    release that may go live in part wants one to that too. Each names a role that can be called and a default for
    when it cannot. A later attempt says why the last one was backed out and what has changed, so that the same night
    is not run twice. It only warns: a decision can still be taken without having been prepared.
    """

    id = "decisions"
    title = "the decisions of the window are agreed"
    severity = Severity.ADVISORY
    needs = "none: it reads the plan"
    cure = "agree the rule and write it under [[decisions]]"

    def subjects(self) -> Sequence[Subject]:
        owner = self.plan.decided_by
        steps = [Subject(step.id, step, owner) for step in self.plan.steps if step.blocking and step.is_risky]
        release = [Subject("release", self.plan.release, owner)] if any(self._of_release()) else []
        return [*steps, *release]

    def judge(self, subject: Subject) -> Judgement:
        if isinstance(subject.item, Step):
            return Judgement.of(self._agreed(kind, subject.item) for kind in _OF_A_STEP)
        return Judgement.of(self._of_release())

    def _agreed(self, kind: DecisionKind, step: Step | None = None) -> Judgement:
        """Whether exactly one decision is about this; one that names the step goes before those about all steps."""
        about = [each for each in self.plan.decisions if each.on is kind]
        named = [each for each in about if step is not None and step.id in each.steps]
        found = named or [each for each in about if not each.steps] or (about[:1] if step is None else [])
        if len(found) == 1:
            decision = found[0]
            who = self.plan.person(decision.decides)
            return passed(f"{kind}: {who} decides: {_one_line(decision.rule)}; not reached: {decision.default}")
        if found:
            rules = " / ".join(_one_line(decision.rule) for decision in found)
            return warned(
                f"{kind}: {len(found)} decisions speak about it",
                expected="one decision, so that nobody argues which one holds",
                actual=rules,
                remedy=f'leave one [[decisions]] with on = "{kind}"' + (f" for step {step.id}" if step else ""),
            )
        of_step = f' (steps = ["{step.id}"], or no `steps` for all)' if step else ""
        return warned(
            f"{kind}: nobody has agreed who decides",
            expected="a decision with a rule, a role that decides and a default",
            actual=f"none for step {step.id}" if step else "none",
            remedy=f'agree it and write [[decisions]] with on = "{kind}"{of_step}, `rule`, `decides` and `default`',
        )

    def _of_release(self) -> Iterator[Judgement]:
        if can_go_live_in_part(self.plan):
            yield self._agreed(DecisionKind.PARTIAL)
        for decision in self.plan.decisions:
            yield from self._can_be_taken(decision)
        if self.plan.release.attempt > 1:
            yield _attempt(self.plan.release)

    def _can_be_taken(self, decision: Decision) -> Iterator[Judgement]:
        what = f"{decision.on} of {', '.join(decision.steps)}" if decision.steps else str(decision.on)
        role = self.plan.roles.get(decision.decides)
        if role is None or not role.contact.strip():
            yield warned(
                f"{what}: {self.plan.person(decision.decides) or 'nobody'} cannot be called",
                expected="a role with a contact",
                actual="no contact" if role else "no such role",
                remedy=f"write `contact` into [roles.{decision.decides}]",
            )
        elif not decision.default.strip():
            yield warned(
                f"{what}: what is done when {self.plan.person(decision.decides)} is not reached is not agreed",
                expected="a default",
                actual="none",
                remedy=f'write `default` into [[decisions]] with on = "{decision.on}"',
            )
        else:
            yield passed(f"{what}: {self.plan.person(decision.decides)}")


def _attempt(release: Release) -> Judgement:
    because, since = _one_line(release.backed_out_because), _one_line(release.changed_since)
    told = f"attempt {release.attempt}: backed out because {because or '?'}; changed since: {since or '?'}"
    if because and since:
        return passed(told)
    return warned(
        told,
        expected="why the last attempt was backed out, and what has changed since",
        actual="not said",
        remedy="write `backed_out_because` and `changed_since` into [release]",
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
