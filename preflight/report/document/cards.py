"""Who must do what by when: what stands between a verdict and GO, by the people who cure it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from preflight.plan.release_plan import grouped
from preflight.report.document.order import Blocker


@dataclass(frozen=True, slots=True)
class Act:
    blocker: Blocker
    waiting: int
    """How many checks could not look because of it."""


@dataclass(frozen=True, slots=True)
class Card:
    """All that one owner must do."""

    acts: tuple[Act, ...]

    @property
    def name(self) -> str:
        """Empty where the plan names nobody."""
        return self.acts[0].blocker.name

    @property
    def contact(self) -> str:
        """Role and contact: `(dba), ext. 4411`."""
        return self.acts[0].blocker.owner.removeprefix(self.name).strip()

    @property
    def first(self) -> Blocker:
        """What must be asked for first."""
        return min((act.blocker for act in self.acts), key=lambda blocker: blocker.ask_by)


def cards(blockers: Sequence[Blocker]) -> tuple[Card, ...]:
    """By deadline. What only waits for another cure is told with that one."""
    waiting = {each.behind: each.waiting for each in blockers if each.behind}
    acts = (Act(each, waiting.get(each.what, 0) or each.waiting) for each in blockers if not each.behind)
    told = [Card(tuple(own)) for own in grouped(acts, lambda act: act.blocker.name).values()]
    return tuple(sorted(told, key=lambda card: card.first.ask_by))
