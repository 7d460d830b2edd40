"""What `preflight history` prints: the saved runs, newest first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from preflight.clock import format_moment
from preflight.plan import Plan
from preflight.report.document.head import counts
from preflight.report.harmless import clean
from preflight.report.layout import wrapped
from preflight.runs.history import Entry
from preflight.wording import counted

SCHEMA = 1
_BODY = " " * 9


def render(plan: Plan, entries: Sequence[Entry]) -> str:
    """For people in a terminal."""
    return "\n".join(_lines(plan, entries)) + "\n"


def as_json(plan: Plan, entries: Sequence[Entry]) -> str:
    """For programs."""
    runs = [_run(entry) for entry in entries]
    return json.dumps({"schema": SCHEMA, "release": plan.release.id, "runs": runs}, indent=2) + "\n"


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
            yield from wrapped(counts(entry.verdict), _BODY, "checks   ")
            if entry.reported and entry.reported != entry.verdict.headline:
                yield from wrapped(f"{entry.reported}, when it was run", _BODY, "printed  ")
        elif entry.reported:
            yield from wrapped(f"{entry.reported}, of the plan as it was then", _BODY, "printed  ")
        if entry.changes:
            yield from wrapped("; ".join(entry.changes), _BODY, "void     ")
        yield from wrapped(str(entry.path), _BODY, "file     ")


def _run(entry: Entry) -> dict[str, Any]:
    verdict = entry.verdict
    return {
        "file": str(entry.path),
        "collected_at": entry.collected_at.isoformat() if entry.collected_at else None,
        "verdict": verdict.decision.value if verdict else None,
        "headline": verdict.headline if verdict else None,
        "counts": {status.value: count for status, count in sorted(verdict.counts.items())} if verdict else {},
        "printed": entry.reported,
        "void": list(entry.changes),
    }
