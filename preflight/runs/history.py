"""A release's saved runs, each judged again (no verdict is taken from a file), and how `history` prints them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from preflight.clock import format_moment
from preflight.engine.answered import Answered
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.engine.run import judge
from preflight.finding import Status
from preflight.plan import Plan
from preflight.report.document.order import blockers
from preflight.report.document.sections import counts
from preflight.report.harmless import clean, json_text
from preflight.report.layout import BODY, wrapped
from preflight.runs.gate import changed, read_inputs
from preflight.runs.saved_runs import SavedRun, every
from preflight.verdict import Decision, Verdict
from preflight.wording import counted, listed

SCHEMA = 1
_MOST_BLOCKERS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
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
    evidence, report, verdict = saved.evidence, saved.report, None
    changes = changed(evidence.inputs, inputs)
    reported = report.headline if report else ""
    if evidence.plan_digest == plan.digest:
        verdict = judge(Answered(inspect(plan, registry, evidence.collected_at), evidence))
    elif not changes:
        changes = ("plan changed",)
    # What was deselected then is not kept with the answers: a part must not be listed as the whole.
    is_part = report is not None and report.counts.get(Status.SKIPPED, 0) > 0
    if verdict is not None and is_part:
        verdict, changes = None, (f"it was {reported}, and only a part was asked (--only, --skip)", *changes)
    elif verdict is not None and verdict.decision is Decision.GO and saved.held:
        verdict, changes = None, (saved.held, *changes)
    return Entry(
        path=saved.path,
        collected_at=evidence.collected_at,
        verdict=verdict,
        command=("gate" if report.basis else "run") if report else "",  # a gate says what it starts from
        reported=reported,
        changes=changes,
    )


def as_json(plan: Plan, entries: Sequence[Entry]) -> str:
    runs = [
        {
            "file": str(entry.path),
            "collected_at": entry.collected_at,
            "command": entry.command or None,
            "verdict": entry.verdict.decision if entry.verdict else None,
            "headline": entry.verdict.headline if entry.verdict else None,
            "blockers": _blockers(entry),
            "reason": entry.verdict.reason if entry.verdict else "",
            "counts": dict(sorted(entry.verdict.counts.items())) if entry.verdict else {},
            "printed": entry.reported,
            "void": entry.changes,
        }
        for entry in entries
    ]
    return json_text({"schema": SCHEMA, "release": plan.release.id, "runs": runs})


def _blockers(entry: Entry) -> list[str]:
    """What stood between the run and GO."""
    return [each.what for each in blockers(entry.verdict)] if entry.verdict else []


def render(plan: Plan, entries: Sequence[Entry]) -> str:
    return "\n".join(_lines(plan, entries)) + "\n"


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
            if entry.verdict.reason:
                yield from wrapped(clean(entry.verdict.reason), BODY, "because  ")
            if blocking := _blockers(entry):
                yield from wrapped(clean(listed(blocking, _MOST_BLOCKERS, "; ")), BODY, "blocks   ")
            if entry.reported and entry.reported != entry.verdict.headline:
                yield from wrapped(f"{entry.reported}, when it was run", BODY, "printed  ")
        elif entry.reported:
            yield from wrapped(f"{entry.reported}, of the plan as it was then", BODY, "printed  ")
        if entry.changes:
            yield from wrapped(f"does not count today: {'; '.join(entry.changes)}", BODY, "void     ")
        yield from wrapped(str(entry.path), BODY, "file     ")
