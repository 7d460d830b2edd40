"""Which applications hold which others at `to`: the order of their steps, and what can be taken back. Pure.

A set of applications stands at `to` in the end if the deployments can stop somewhere and the others that were made by
then can be taken back. Only a deployment whose undo is `none` forces anything: whatever needs it before keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from preflight.plan import Plan, Step


class DeployOrder:
    """What the steps say about the applications that change their version; `moving`, in the plan's order."""

    def __init__(self, plan: Plan) -> None:
        applications = plan.applications.values()
        self.moving = tuple(each.id for each in applications if each.from_ != each.to)
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


def _earlier(step: Step, steps: Mapping[str, Step]) -> frozenset[str]:
    """The applications deployed by the steps that `step` waits for, however many steps lie between."""
    waiting, seen = list(step.after), set(step.after)
    while waiting:
        more = [name for name in steps[waiting.pop()].after if name not in seen]
        seen.update(more)
        waiting += more
    return frozenset(steps[name].deploys for name in seen if steps[name].deploys)
