"""The gate at the start of the call: what an earlier run still proves at the moment judged. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from preflight.clock import format_moment
from preflight.evidence import Evidence
from preflight.inspection import Inspection
from preflight.runs.inputs import changed
from preflight.runs.saved_runs import SavedRun, UnreadableRun
from preflight.units import format_duration


@dataclass(frozen=True, slots=True)
class Basis:
    """What a gate starts from."""

    known: Evidence
    """The answers that need not be asked for again."""
    lines: tuple[str, ...]
    """For the report: which run that was, what is kept of it, what voids it."""


def start_from(
    inspection: Inspection,
    saved: SavedRun | UnreadableRun | None,
    inputs: Mapping[str, str],
    now: datetime,
    *,
    ask: bool = True,
    fresh: bool = False,
) -> Basis:
    """What `saved` still proves for the plan as it is now.

    Anything that changed besides the servers voids all of it. `ask`: what is too old will be asked again, otherwise it
    is judged as it stands. `fresh`: nothing is kept."""
    plan = inspection.plan
    nothing = Evidence(plan.digest, now, inputs=inputs)
    soon = _too_early(inspection, now)
    again = "everything is asked again" if ask else "nothing of it is judged"
    if saved is None:
        return Basis(nothing, (f"no earlier run of {plan.release.id} is kept beside the plan", *soon))
    if isinstance(saved, UnreadableRun):
        line = f"the newest saved run, {saved.path.name}, cannot be read: {saved.reason}; {again}"
        return Basis(nothing, (line, *soon))
    said = f" ({saved.outcome.headline})" if saved.outcome else ""
    run = f"run of {format_moment(saved.evidence.collected_at, plan.window.zone)}{said}"
    changes = changed(saved.evidence.inputs, inputs)
    if saved.evidence.plan_digest != plan.digest and not changes:
        changes = ("it was collected for another text of the plan",)
    if saved.evidence.collected_at > now:
        changes = (*changes, "it is dated in the future: compare the clocks of the machines that ran it")
    if changes:
        return Basis(nothing, (f"{run} is void: {'; '.join(changes)}; {again}", *soon))
    if fresh:
        return Basis(nothing, (f"{run} is set aside: everything is asked again", *soon))
    evidence = replace(saved.evidence, inputs=dict(inputs))
    if not ask:
        return Basis(evidence, (f"{run}, judged again without asking", *soon))
    kept = _not_from_the_future(inspection.still_good(evidence), now)
    line = f"{run}: {len(kept.answers)} of {len(evidence.answers)} answers are still good, the others are asked again"
    return Basis(kept, (line, *soon))


def _not_from_the_future(evidence: Evidence, now: datetime) -> Evidence:
    return evidence.only(question.id for question, answer in evidence if answer.asked_at <= now)


def _too_early(inspection: Inspection, now: datetime) -> tuple[str, ...]:
    """A gate long before the window cannot be GO: what is asked now is too old by then."""
    ahead = inspection.moment - now
    if ahead <= inspection.plan.freshness.state:
        return ()
    return (f"the moment judged is {format_duration(ahead)} away: what is asked now will be too old then",)
