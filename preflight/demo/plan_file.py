"""Writes the demo's plan: the template beside this module, filled with what the running site knows of itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from pathlib import Path
from string import Template

from preflight import clock

ZONE = "America/New_York"
_TEMPLATE = Path(__file__).parent / "plan.template.toml"
_WINDOW_HOURS = 6
_SOONEST = timedelta(hours=1)
_REHEARSED_BEFORE = timedelta(days=7)
_CONFIRMED_BEFORE = timedelta(minutes=30)
_TESTED = """[[tested]]
versions = {{ app1 = "4.2", app2 = "{app2}" }}
on       = {on}
evidence = "regression run {run}"
"""


def next_window(moment: datetime) -> tuple[datetime, datetime]:
    """Start and end, naive local times in ZONE: the next midnight that is at least an hour away, and six hours on.

    Midnight and six o'clock exist once on every day there: clocks change at two."""
    day = (moment + _SOONEST).astimezone(clock.zone(ZONE)).date() + timedelta(days=1)
    start = datetime.combine(day, time())
    return start, start + timedelta(hours=_WINDOW_HOURS)


def window_about_now(moment: datetime) -> tuple[datetime, datetime]:
    """A window that is about to begin, for the gate: the next quarter of an hour, and six hours on."""
    start = moment.astimezone(clock.zone(ZONE)).replace(tzinfo=None, second=0, microsecond=0)
    start += timedelta(minutes=15 - start.minute % 15)
    return start, start + timedelta(hours=_WINDOW_HOURS)


def write(
    path: Path,
    moment: datetime,
    window: tuple[datetime, datetime],
    facts: Mapping[str, str],
    *,
    night: bool = False,
) -> None:
    """Writes the plan. `facts`: the template's names. They come from the demo itself, so none needs escaping.

    `night`: as it stood on the night: nobody named to take over from the DBA, and only the pair of versions tested
    that everybody hoped for."""
    start, end = window
    rehearsed = start.date() - _REHEARSED_BEFORE
    runs = {"3.0": 8812} if night else {"3.0": 8812, "2.7": 8813}
    known = {
        "confirmed": f"{moment.astimezone(clock.zone(ZONE)) - _CONFIRMED_BEFORE:%Y-%m-%dT%H:%M:%S}",
        "dba_standby": "" if night else 'standby = "the second DBA"',
        "tested": "\n".join(_TESTED.format(app2=app2, on=rehearsed, run=run) for app2, run in runs.items()),
        "zone": ZONE,
        "window_start": start.isoformat(),
        "window_end": end.isoformat(),
        "rehearsed": rehearsed.isoformat(),
    }
    text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute({**known, **facts})
    path.write_text(text, encoding="utf-8")
