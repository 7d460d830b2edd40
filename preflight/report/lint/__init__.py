"""What `preflight lint` found, in the formats of this folder: every module is one, by its name.

A module has `render(plans: Sequence[LintedPlan]) -> str`. `text` leaves the errors of a faulty plan to standard error.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from preflight.errors import PlanProblem
from preflight.inspection import Inspection
from preflight.registry import Registry

FORMATS = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LintedPlan:
    """One plan: its problems, or what will be judged."""

    shown_as: str
    """Its path as the user wrote it."""
    problems: tuple[PlanProblem, ...] = ()
    inspection: Inspection | None = None
    """None for a plan with problems."""
    registry: Registry | None = None
    unconfirmed: tuple[str, ...] = ()

    def faults(self) -> Iterator[PlanProblem]:
        """Everything for which lint ends with 2: problems of the plan, and checks that cannot be loaded."""
        yield from self.problems
        for source in self.registry.broken if self.registry else ():
            yield PlanProblem(self.shown_as, None, "", f"{source.name} cannot be loaded: {source.problem}")


def render(name: str, plans: Sequence[LintedPlan]) -> str:
    """What was found, in the format of this name."""
    text: str = importlib.import_module(f"{__name__}.{name}").render(plans)
    return text
