"""The saved runs of a release, each judged again (a verdict is never taken from a file), and how `preflight history`
prints them, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from preflight.clock import format_moment
from preflight.engine.answered import Answered
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.engine.run import judge
from preflight.plan import Plan
from preflight.report.document.sections import counts
from preflight.report.harmless import clean, json_text
from preflight.report.layout import BODY, wrapped
from preflight.runs.inputs import changed, read_inputs
from preflight.runs.saved_runs import SavedRun, every
from preflight.verdict import Decision, Verdict
from preflight.wording import counted

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of the history."""

    path: Path
    collected_at: datetime | None = None
    """None for a file that cannot be read."""
    verdict: Verdict | None = None
    """Of its evidence, at the moment it was collected; None where that was collected for another plan."""
    command: str = ""
    """`run` or `gate`; empty where the report that says so is lost."""
    reported: str = ""
    """The headline of the report that was printed then."""
    changes: tuple[str, ...] = ()
    """What is otherwise today, so that a gate would not start from it; why it cannot be read."""


def entries(plan: Plan, registry: Registry) -> list[Entry]:
    """All runs of the plan's release that are kept beside it, newest first. Raises OSError."""
    inputs = read_inputs(plan)
    return [
        _entry(plan, registry, found, inputs)
        if isinstance(found, SavedRun)
        else Entry(path=found.path, changes=(found.reason,))
        for found in every(plan)
    ]


def _entry(plan: Plan, registry: Registry, saved: SavedRun, inputs: Mapping[str, str]) -> Entry:
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
        verdict = judge(Answered(inspection, evidence))
    if verdict is not None and verdict.decision is Decision.GO and not reported.startswith(Decision.GO):
        # What was deselected then is not kept with the answers: a part must not be listed as the whole.
        verdict, changes = None, (f"it was {reported or 'without a report'} when it was run", *changes)
    return Entry(
        path=saved.path,
        collected_at=evidence.collected_at,
        verdict=verdict,
        command=("gate" if saved.report.basis else "run") if saved.report else "",  # a gate says what it starts from
        reported=reported,
        changes=tuple(changes),
    )


def render(plan: Plan, entries: Sequence[Entry]) -> str:
    """For people in a terminal."""
    return "\n".join(_lines(plan, entries)) + "\n"


def as_json(plan: Plan, entries: Sequence[Entry]) -> str:
    """For programs."""
    runs = [_run(entry) for entry in entries]
    return json_text({"schema": SCHEMA, "release": plan.release.id, "runs": runs})


def _lines(plan: Plan, entries: Sequence[Entry]) -> Iterator[str]:
    yield f"{clean(plan.release.id)}: {counted(len(entries), 'run')} kept beside the plan, judged again as of each run"
    for entry in entries:
        yield ""
        if entry.collected_at is None:
            yield f"unread   {clean(entry.path.name)}"
        else:
            headline = entry.verdict.headline if entry.verdict else "not judged"
            when = format_moment(entry.collected_at, plan.window.zone)
            yield "  ".join(filter(None, [when, entry.command, clean(headline)]))
        if entry.verdict is not None:
            yield from wrapped(counts(entry.verdict), BODY, "checks   ")
            if entry.reported and entry.reported != entry.verdict.headline:
                yield from wrapped(f"{entry.reported}, when it was run", BODY, "printed  ")
        elif entry.reported:
            yield from wrapped(f"{entry.reported}, of the plan as it was then", BODY, "printed  ")
        if entry.changes:
            yield from wrapped(f"does not count today: {'; '.join(entry.changes)}", BODY, "void     ")
        yield from wrapped(str(entry.path), BODY, "file     ")


def _run(entry: Entry) -> dict[str, Any]:
    verdict = entry.verdict
    return {
        "file": str(entry.path),
        "collected_at": entry.collected_at,
        "command": entry.command or None,
        "verdict": verdict.decision if verdict else None,
        "headline": verdict.headline if verdict else None,
        "counts": dict(sorted(verdict.counts.items())) if verdict else {},
        "printed": entry.reported,
        "void": list(entry.changes),
    }
