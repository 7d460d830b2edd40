"""What `preflight history` prints: the saved runs, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from preflight.clock import format_moment
from preflight.plan import Plan
from preflight.report.document.sections import counts
from preflight.report.harmless import clean, json_text
from preflight.report.layout import BODY, wrapped
from preflight.runs.history import Entry
from preflight.wording import counted

SCHEMA = 1


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
            yield f"{format_moment(entry.collected_at, plan.window.zone)}  {clean(headline)}"
        if entry.verdict is not None:
            yield from wrapped(counts(entry.verdict), BODY, "checks   ")
            if entry.reported and entry.reported != entry.verdict.headline:
                yield from wrapped(f"{entry.reported}, when it was run", BODY, "printed  ")
        elif entry.reported:
            yield from wrapped(f"{entry.reported}, of the plan as it was then", BODY, "printed  ")
        if entry.changes:
            yield from wrapped("; ".join(entry.changes), BODY, "void     ")
        yield from wrapped(str(entry.path), BODY, "file     ")


def _run(entry: Entry) -> dict[str, Any]:
    verdict = entry.verdict
    return {
        "file": str(entry.path),
        "collected_at": entry.collected_at,
        "verdict": verdict.decision if verdict else None,
        "headline": verdict.headline if verdict else None,
        "counts": dict(sorted(verdict.counts.items())) if verdict else {},
        "printed": entry.reported,
        "void": list(entry.changes),
    }
