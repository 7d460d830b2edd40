"""Short ways to write the work of a window, for the tests of its arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from preflight.clock import local_to_utc
from preflight.plan import Plan, Step, Undo, UndoKind, Window
from tests.toy import toy_plan

NOTHING, NONE, RESTORE, SCRIPT = UndoKind.NOTHING_TO_UNDO, UndoKind.NONE, UndoKind.RESTORE, UndoKind.SCRIPT
REHEARSED = "rehearsed 2026-10-10"


def zone_at_noon(at: datetime) -> str:
    """One where it is about noon then: no day begins while a test is at work."""
    return f"Etc/GMT{at.astimezone(UTC).hour - 12:+d}"  # which is that far behind UTC


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def step(name: str, takes: float, *after: str, undo: Undo | UndoKind | float | None = NOTHING, **fields: Any) -> Step:
    """A rehearsed step. `undo`: its minutes when restored, or a kind that takes no time."""
    if isinstance(undo, UndoKind):
        undo = Undo(kind=undo)
    elif isinstance(undo, int | float):
        undo = Undo(kind=RESTORE, minutes=undo, source=REHEARSED)
    return Step(**{"id": name, "after": after, "minutes": takes, "undo": undo, "source": REHEARSED, **fields})


def window(start: str = "2026-10-17T00:00", end: str = "2026-10-17T06:00", **fields: Any) -> Window:
    """Local times in New York; no factor, reserve or margin unless given."""
    zone = fields.pop("zone", "America/New_York")
    plain: dict[str, Any] = {"margin": minutes(0), "decision_reserve": minutes(0), "rollback_factor": 1.0}
    start_at, end_at = (local_to_utc(datetime.fromisoformat(text), zone) for text in (start, end))
    return Window(**{**plain, "zone": zone, "start": start_at, "end": end_at, **fields})


def work(*steps: Step, within: Window | None = None, **fields: Any) -> Plan:
    return replace(toy_plan(**fields), steps=steps, window=within or window())


@st.composite
def steps(draw: st.DrawFn, kinds: Sequence[UndoKind | None] = (*UndoKind, None), most: int = 8) -> tuple[Step, ...]:
    """Up to `most` steps that may wait for each other but in no circle, in any order."""
    made: list[Step] = []
    for number in range(draw(st.integers(1, most))):
        after = draw(st.lists(st.sampled_from([each.id for each in made]), unique=True)) if made else []
        kind = draw(st.sampled_from(kinds))
        undo = Undo(kind=kind, minutes=draw(st.integers(0, 60))) if kind else None
        made.append(step(f"s{number}", draw(st.integers(0, 60)), *after, undo=undo))
    return tuple(draw(st.permutations(made)))
