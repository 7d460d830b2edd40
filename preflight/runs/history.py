"""The saved runs of a release, each judged again: a verdict is never taken from a file. Pure but for its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from preflight.engine.answered import Answered
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.engine.run import judge
from preflight.plan import Plan
from preflight.runs.inputs import changed
from preflight.runs.saved_runs import SavedRun
from preflight.verdict import Decision, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of the history."""

    path: Path
    collected_at: datetime | None = None
    """None for a file that cannot be read."""
    verdict: Verdict | None = None
    """Of its evidence, at the moment it was collected; None where that was collected for another plan."""
    reported: str = ""
    """The headline of the report that was printed then."""
    changes: tuple[str, ...] = ()
    """What is otherwise today, so that a gate would not start from it; why it cannot be read."""


def entry_of(
    plan: Plan, registry: Registry, saved: SavedRun, inputs: Mapping[str, str], unconfirmed: Sequence[str] = ()
) -> Entry:
    """`inputs`: the plan's files as they are now."""
    evidence = saved.evidence
    changes = changed(evidence.inputs, inputs)
    same_plan = evidence.plan_digest == plan.digest
    if not same_plan and not changes:
        changes = ("plan changed",)
    reported = saved.report.headline if saved.report else ""
    verdict = None
    if same_plan:
        inspection = inspect(plan, registry, evidence.collected_at)
        verdict = judge(Answered(inspection, evidence), unconfirmed=unconfirmed)
    if verdict is not None and verdict.decision is Decision.GO and not reported.startswith(Decision.GO):
        # What was deselected then is not kept with the answers: a part must not be listed as the whole.
        verdict, changes = None, (f"it was {reported or 'without a report'} when it was run", *changes)
    return Entry(
        path=saved.path,
        collected_at=evidence.collected_at,
        verdict=verdict,
        reported=reported,
        changes=tuple(changes),
    )
