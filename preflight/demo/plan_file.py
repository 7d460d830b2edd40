"""Writes the demo's plan: the template beside this module, filled with what the running site knows of itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from string import Template

from preflight import clock

ZONE = "America/New_York"
_TEMPLATE = Path(__file__).parent / "plan.template.toml"
_WINDOW_HOURS = 6
_SOONEST = timedelta(hours=1)
_REHEARSED_BEFORE = timedelta(days=7)


def next_window(moment: datetime) -> tuple[datetime, datetime]:
    """Start and end, naive local times in ZONE: the next midnight that is at least an hour away, and six hours on.

    Midnight and six o'clock exist once on every day there: clocks change at two."""
    day = (moment + _SOONEST).astimezone(clock.zone(ZONE)).date() + timedelta(days=1)
    start = datetime.combine(day, time())
    return start, start + timedelta(hours=_WINDOW_HOURS)


def write(path: Path, window: tuple[datetime, datetime], facts: Mapping[str, str]) -> None:
    """Writes the plan. `facts`: the template's names. They come from the demo itself, so none needs escaping."""
    start, end = window
    known = {
        "zone": ZONE,
        "window_start": start.isoformat(),
        "window_end": end.isoformat(),
        "rehearsed": (start.date() - _REHEARSED_BEFORE).isoformat(),
    }
    text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute({**known, **facts})
    path.write_text(text, encoding="utf-8")


def as_utc(local: datetime) -> datetime:
    """The instant of a local time of the demo's zone."""
    return clock.local_to_utc(local, ZONE).astimezone(UTC)
