"""The window to scale: what each picture of it shows, whatever it is drawn with. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from preflight.clock import zone
from preflight.finding import Event
from preflight.judging.schedule import Schedule, Slot
from preflight.plan import Window
from preflight.verdict import Verdict

_TICK_MINUTES = (5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080)


@dataclass(frozen=True, slots=True)
class Bar:
    """One step, where it was planned and where it is with what failed."""

    planned: Slot
    found: Slot

    @property
    def moved(self) -> bool:
        return (self.planned.begins_at, self.planned.ends_at) != (self.found.begins_at, self.found.ends_at)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that people watch."""

    at: datetime
    letter: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The window's work, planned and as found, on one axis. Instants are UTC."""

    release: str
    window: Window
    planned: Schedule
    found: Schedule
    events: tuple[Event, ...]

    @property
    def begin(self) -> datetime:
        return min(self.window.start, self.planned.begins_at)

    @property
    def end(self) -> datetime:
        return max(self.window.end, self.planned.finish_at, self.found.finish_at)

    def share(self, at: datetime) -> float:
        """Where on the axis a moment lies, from 0 to 1; one outside it lies at its edge."""
        return (min(max(at, self.begin), self.end) - self.begin) / (self.end - self.begin)

    def ticks(self, most: float) -> list[datetime]:
        """Round local times, not more than `most`."""
        minutes = (self.end - self.begin) / timedelta(minutes=1)
        step = next((each for each in _TICK_MINUTES if minutes / each <= most), ceil(minutes / most))
        local = self.begin.astimezone(zone(self.window.zone))
        to_the_next = -(local.hour * 60 + local.minute) % step
        first = self.begin.replace(second=0, microsecond=0) + timedelta(minutes=to_the_next)
        count = int((self.end - first) / timedelta(minutes=step)) + 1
        return [first + timedelta(minutes=step * number) for number in range(count)]

    def tracks(self) -> dict[str, list[Bar]]:
        """The steps by their line of work, each in the order in which they begin."""
        now = {slot.step.id: slot for slot in self.found.slots}
        lines: dict[str, list[Bar]] = {}
        for slot in self.planned.slots:
            lines.setdefault(slot.step.track, []).append(Bar(slot, now[slot.step.id]))
        return lines

    @property
    def moved(self) -> bool:
        return any(bar.moved for bars in self.tracks().values() for bar in bars)

    @property
    def way_back_known(self) -> bool:
        """Whether the plan says how long each step takes to be taken back."""
        return not self.found.unknown_undo

    def marks(self) -> Sequence[Mark]:
        found, marks = self.found, list[Mark]()
        if self.way_back_known:
            marks += [Mark(found.decide_by, "D", "decide by"), Mark(found.start_rollback_by, "R", "start rollback by")]
        if found.point_of_no_return is not None:
            marks.append(Mark(found.point_of_no_return, "N", "no way back from"))
        if self.window.end < self.end:
            marks.append(Mark(self.window.end, "E", "end of the window"))
        return marks


def timeline(verdict: Verdict) -> Timeline | None:
    """None for a plan without steps."""
    planned, found = verdict.planned_schedule, verdict.found_schedule
    if planned is None or found is None:
        return None
    plan = verdict.plan
    return Timeline(
        release=plan.release.id, window=plan.window, planned=planned, found=found, events=tuple(verdict.events)
    )
