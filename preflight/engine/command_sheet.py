"""The night's command lines: from the plan, and from the sealed scripts beside it as evidence shows them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

from preflight.errors import CRASHES
from preflight.evidence import Evidence
from preflight.judging.schedule import schedule
from preflight.judging.sealed_scripts import read_manifest, sealed_scripts, sealing_probes
from preflight.plan import Plan
from preflight.plan.command_lines import Command, ScriptOrder, night_commands
from preflight.probe import Probe, Question, Reply, Unreadable

T = TypeVar("T")


def sheet_questions(plan: Plan) -> Iterator[Question]:
    """What must be known of the files beside the plan; script-runner asks the same."""
    for entry in plan.scripts.values():
        yield from (probe.question() for probe in sealing_probes(plan, entry))


def command_sheet(plan: Plan, evidence: Evidence) -> tuple[Command, ...]:
    """Every line in its order; where the scripts are not known, a line that says so instead."""
    planned = schedule(plan)
    steps = [slot.step.id for slot in planned.slots] if planned else []

    @cache  # many entries name the same folder
    def read(probe: Probe[Any]) -> Any:
        return _read(probe, evidence)

    return night_commands(plan, steps, {entry: _order(plan, entry, read) for entry in plan.scripts})


def _order(plan: Plan, entry_id: str, read: Callable[[Probe[Any]], Any]) -> ScriptOrder:
    entry = plan.scripts[entry_id]
    manifest, texts = sealing_probes(plan, entry)
    try:
        return sealed_scripts(entry, *read_manifest(read(manifest)), read(texts)).order
    except CRASHES as error:  # a damaged file of evidence must not take the report with it
        return ScriptOrder(problem=str(error) or type(error).__name__)


def _read(probe: Probe[T], evidence: Evidence) -> T:
    """Raises Unreadable where nobody could look."""
    _, answer = evidence.answers.get(probe.question().id, (None, None))
    if not isinstance(answer, Reply):
        raise Unreadable(answer.detail if answer else "nobody looked at the files beside the plan")
    return probe.read(answer)
