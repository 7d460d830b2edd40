"""The window as an SVG timeline, to scale. Pure.

Solid bars are the planned path; where a failure moves the work, hatched bars below them are the path that is left. The
way back is drawn backwards from the window's end: its left edge is the last moment to begin it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from math import ceil

from preflight.clock import zone
from preflight.report.html.elements import Html, el, joined
from preflight.units import format_duration
from preflight.verdict import Verdict
from preflight.window.schedule import Schedule, Slot, time_in_window

_WIDTH, _LEFT, _RIGHT = 1200.0, 150.0, 30.0
_TOP, _ROW, _FOOT = 60.0, 22.0, 26.0
_TICKS = (5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080)
_MOST_TICKS = 14
_LABEL_CHARACTERS = 20


def timeline(verdict: Verdict) -> Html:
    """The picture; empty for a plan without steps."""
    planned, found = verdict.planned_schedule, verdict.found_schedule
    if planned is None or found is None:
        return Html("")
    return _Timeline(verdict, planned, found).svg()


@dataclass(frozen=True)
class _Timeline:
    verdict: Verdict
    planned: Schedule
    found: Schedule

    @property
    def begin(self) -> datetime:
        return min(self.verdict.plan.window.start, self.planned.begins_at)

    @property
    def end(self) -> datetime:
        return max(self.verdict.plan.window.end, self.found.finish_at, self.planned.finish_at)

    @property
    def rows(self) -> int:
        """Steps, the way back, and what ends inside."""
        return len(self.planned.slots) + 1 + bool(self.verdict.events)

    @property
    def bottom(self) -> float:
        return _TOP + self.rows * _ROW

    def x(self, at: datetime) -> float:
        share = (min(max(at, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def svg(self) -> Html:
        height = self.bottom + _FOOT
        return el(
            "svg",
            el("title", f"The window of {self.verdict.plan.release.id}, to scale"),
            el("desc", self._description()),
            el("defs", _hatch()),
            *self._axis(zone(self.verdict.plan.window.zone), 14.0, grid=True),
            *self._axis(UTC, self.bottom + 16, grid=False),
            *self._steps(),
            *self._way_back(),
            *self._events(),
            *self._marks(),
            viewBox=f"0 0 {_WIDTH:.0f} {height:.0f}",
            role="img",
        )

    def _description(self) -> str:
        at = self.verdict.plan.window
        return (
            f"Work ends {time_in_window(at, self.found.finish_at)}, decide by "
            f"{time_in_window(at, self.found.decide_by)}, start rollback by "
            f"{time_in_window(at, self.found.start_rollback_by)}, window ends {time_in_window(at, at.end)}."
        )

    def _axis(self, where: tzinfo, y: float, *, grid: bool) -> Iterator[Html]:
        name = self.verdict.plan.window.zone if grid else "UTC"
        yield el("text", _short(name), x=0, y=y, class_="soft")
        for at in self._ticks():
            x = self.x(at)
            if grid:
                yield el("line", x1=x, x2=x, y1=_TOP - 4, y2=self.bottom, class_="grid")
            yield el("text", f"{at.astimezone(where):%H:%M}", x=x, y=y, text_anchor="middle", class_="soft")

    def _ticks(self) -> list[datetime]:
        minutes = (self.end - self.begin) / timedelta(minutes=1)
        step = next((each for each in _TICKS if minutes / each <= _MOST_TICKS), ceil(minutes / _MOST_TICKS))
        local = self.begin.astimezone(zone(self.verdict.plan.window.zone))
        first = self.begin + timedelta(minutes=-(local.hour * 60 + local.minute) % step)
        count = int((self.end - first) / timedelta(minutes=step)) + 1
        return [first + timedelta(minutes=step * number) for number in range(count)]

    def _steps(self) -> Iterator[Html]:
        now = {slot.step.id: slot for slot in self.found.slots}
        for number, slot in enumerate(self._by_track()):
            y = _TOP + number * _ROW
            yield el("text", _short(slot.step.id), x=0, y=y + 15)
            left = now[slot.step.id]
            moved = (slot.begins_at, slot.ends_at) != (left.begins_at, left.ends_at)
            yield self._bar(slot, y + 3, 7 if moved else 14, "lost" if moved else "planned")
            if moved:
                yield self._bar(left, y + 11, 8, "found")

    def _by_track(self) -> list[Slot]:
        tracks = list(dict.fromkeys(slot.step.track for slot in self.planned.slots))
        return sorted(self.planned.slots, key=lambda slot: tracks.index(slot.step.track))

    def _bar(self, slot: Slot, y: float, height: float, kind: str) -> Html:
        x = self.x(slot.begins_at)
        window = self.verdict.plan.window
        times = f"{time_in_window(window, slot.begins_at)} to {time_in_window(window, slot.ends_at)}"
        said = {"planned": "as planned", "lost": "planned, no longer so", "found": "as found"}[kind]
        width = max(self.x(slot.ends_at) - x, 2.0)
        tip = el("title", f"{slot.step.id} {times}, {said}")
        return el("rect", tip, x=x, y=y, width=width, height=height, class_=kind)

    def _way_back(self) -> Iterator[Html]:
        y = _TOP + len(self.planned.slots) * _ROW
        x, end = self.x(self.found.start_rollback_by), self.x(self.verdict.plan.window.end)
        yield el("text", "way back", x=0, y=y + 15)
        tip = el("title", "from the window's end backwards: its left edge is the last moment to begin it")
        neck = min(x + 10, end)
        yield el(
            "polygon",
            tip,
            points=_points((x, y + 10), (neck, y + 3), (end, y + 3), (end, y + 17), (neck, y + 17)),
            class_="back",
        )
        yield from self._slack(y + 10)

    def _slack(self, y: float) -> Iterator[Html]:
        """What is left between the last risky step and decide-by, in words where it is too short to draw."""
        last = self.found.last_risky.ends_at if self.found.last_risky else self.found.begins_at
        first, until = self.x(last), self.x(self.found.decide_by)
        label = f"margin {format_duration(self.found.margin)}"
        if self.found.margin < timedelta():
            label = f"{format_duration(-self.found.margin)} too late"
        if until - first > 8:
            path = f"M{first:.1f} {y - 5:.1f}v10M{first:.1f} {y:.1f}H{until:.1f}M{until:.1f} {y - 5:.1f}v10"
            yield el("path", d=path, class_="slack")
        room = until - first > 7.5 * len(label)
        x, anchor = ((first + until) / 2, "middle") if room else (first - 6, "end")
        yield el("text", label, x=x, y=y - 3 if room else y + 4, text_anchor=anchor, class_="strong")

    def _events(self) -> Iterator[Html]:
        if not self.verdict.events:
            return
        y = self.bottom - _ROW
        yield el("text", "ends or begins", x=0, y=y + 15)
        for event in self.verdict.events:
            x = self.x(event.at)
            tip = el("title", f"{time_in_window(self.verdict.plan.window, event.at)} {event.text}")
            yield el("polygon", tip, points=_points((x, y + 4), (x + 6, y + 16), (x - 6, y + 16)), class_="event")

    def _marks(self) -> Iterator[Html]:
        """Upright lines, their labels above: decide-by's to its left, start-rollback-by's to its right."""
        window, found = self.verdict.plan.window, self.found
        marks = [
            (found.decide_by, "decide by", "end", "rule dashed"),
            (found.start_rollback_by, "start rollback by", "start", "rule"),
        ]
        if found.point_of_no_return is not None:
            marks.append((found.point_of_no_return, "no way back from", "end", "rule dashed"))
        for number, (at, label, anchor, kind) in enumerate(marks):
            x = self.x(at)
            yield el("line", x1=x, x2=x, y1=_TOP - 14, y2=self.bottom, class_=kind)
            nudge, y = (-5 if anchor == "end" else 5), 50.0 if number < 2 else 34.0
            text = f"{label} {time_in_window(window, at)}"
            if anchor == "start" and x > _WIDTH - _RIGHT - 7.5 * len(text):
                anchor, nudge, y = "end", -5, 34.0
            yield el("text", text, x=x + nudge, y=y, text_anchor=anchor, class_="strong")
        if window.end < self.end:
            x = self.x(window.end)
            yield el("line", x1=x, x2=x, y1=_TOP - 14, y2=self.bottom, class_="rule")
            text = f"window ends {time_in_window(window, window.end)}"
            yield el("text", text, x=x - 5, y=34.0, text_anchor="end", class_="strong")


def _hatch() -> Html:
    line = el("line", x1=0, x2=0, y1=0, y2=7, class_="lines")
    return el(
        "pattern", line, id="hatch", width=7, height=7, patternUnits="userSpaceOnUse", patternTransform="rotate(45)"
    )


def _points(*corners: tuple[float, float]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def _short(text: str) -> str:
    return text if len(text) <= _LABEL_CHARACTERS else joined(text[: _LABEL_CHARACTERS - 2], "..")
