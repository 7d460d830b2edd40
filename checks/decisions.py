"""decisions: who decides in the window, and what is done when nobody can be reached, is agreed beforehand."""

from collections.abc import Iterator, Sequence

from preflight.check import Check, Subject
from preflight.finding import Judgement, Severity, passed, warned
from preflight.judging.end_states import can_go_live_in_part
from preflight.plan import Decision, DecisionKind, Step
from preflight.plan.values import is_named

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
        agreed = (each for each in self.plan.decisions if is_named(each.rule) and is_named(each.default))
        about = [each for each in agreed if each.on is kind]
        named = [each for each in about if step is not None and step.id in each.steps]
        found = named or [each for each in about if not each.steps] or (about[:1] if step is None else [])
        if len(found) == 1:
            decision = found[0]
            who = self.plan.person(decision.decides)
            return passed(f"{kind}: {who} decides: {_one_line(decision.rule)}; not reached: {decision.default}")
        if found:
            return warned(
                f"{kind}: {len(found)} decisions speak about it",
                expected="one decision, so that nobody argues which one holds",
                actual=" / ".join(_one_line(decision.rule) for decision in found),
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
        yield from map(self._can_be_taken, self.plan.decisions)
        release = self.plan.release
        if release.attempt > 1:  # then the plan must say both
            because, since = _one_line(release.backed_out_because), _one_line(release.changed_since)
            yield passed(f"attempt {release.attempt}: backed out because {because}; changed since: {since}")

    def _can_be_taken(self, decision: Decision) -> Judgement:
        what = f"{decision.on} of {', '.join(decision.steps)}" if decision.steps else str(decision.on)
        who = self.plan.person(decision.decides)
        if self.plan.roles[decision.decides].contact.strip():
            return passed(f"{what}: {who}")
        return warned(
            f"{what}: {who} cannot be called",
            expected="a role with a contact",
            actual="no contact",
            remedy=f"write `contact` into [roles.{decision.decides}]",
        )


def _one_line(text: str) -> str:
    return " ".join(text.split())
