"""The window drawn to scale in characters: a row for each step, the way back drawn from the window's end. Pure.

What is planned and what is left after the failures share a row, so that the eye sees the difference:

- `█` (ASCII `#`) the step as planned,
- `░` (`.`) where it was planned to be, which is no longer so,
- `▒` (`/`) where it is now, because a server path is lost.

`D` is decide-by and `R` start-rollback-by, the left edge of the way back; `N` is the point of no return, `E` the
window's end where work goes on after it, `!` what ends or begins by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from preflight.clock import zone
from preflight.plan import Window
from preflight.report.layout import WIDTH, clean, wrapped
from preflight.verdict import Verdict
from preflight.window.schedule import Schedule, Slot

_LABEL = 17
_TICK_COLUMNS = 9
_TICK_MINUTES = (5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080)


@dataclass(frozen=True, slots=True)
class _Ink:
    planned: str
    no_longer: str
    found: str
    line: str
    tick: str
    way_back: str
    edge: str
    cut: str


_UNICODE = _Ink("█", "░", "▒", "─", "┬", "═", "◄", "…")
_ASCII = _Ink("#", ".", "/", "-", "+", "=", "<", "~")


def drawn(verdict: Verdict, width: int = WIDTH, ascii: bool = False) -> list[str]:  # noqa: A002 - as the encoding
    """The picture's lines, none wider than `width`; none at all for a plan without steps."""
    planned, found = verdict.planned_schedule, verdict.found_schedule
    if planned is None or found is None:
        return []
    axis = _axis(verdict.plan.window, (planned, found), width - _LABEL)
    ink = _ASCII if ascii else _UNICODE
    rows = [
        ("window", axis.scale()),
        ("", axis.ruler(ink)),
        *_steps(planned, found, axis, ink),
        ("way back", _way_back(found, axis, ink)),
        ("", _marks(found, axis)),
    ]
    if verdict.events:
        rows.append(("inside", axis.points((event.at, "!") for event in verdict.events)))
    lines = [f"{_cut(label, ink):<{_LABEL}}{cells}".rstrip() for label, cells in rows]
    legend = "  ".join(_legend(planned, found, axis, ink, bool(verdict.events)))
    return [*lines, *wrapped(legend, " " * _LABEL, width=width)]


@dataclass(frozen=True, slots=True)
class _Axis:
    window: Window
    begin: datetime
    end: datetime
    columns: int

    def column(self, at: datetime) -> int:
        """The column that holds the moment."""
        share = (at - self.begin) / (self.end - self.begin)
        return min(max(int(share * self.columns), 0), self.columns - 1)

    def span(self, begin: datetime, end: datetime) -> range:
        """The columns from one moment to another, at least one."""
        first = self.column(begin)
        last = int((end - self.begin) / (self.end - self.begin) * self.columns)
        return range(first, max(min(last, self.columns), first + 1))

    def ticks(self) -> list[datetime]:
        """Round local times, as many as there is room to write."""
        where = zone(self.window.zone)
        minutes = (self.end - self.begin) / timedelta(minutes=1)
        step = next((m for m in _TICK_MINUTES if self.columns * m / minutes >= _TICK_COLUMNS), _TICK_MINUTES[-1])
        local = self.begin.astimezone(where)
        past = (local.hour * 60 + local.minute) % step
        first = self.begin.replace(second=0, microsecond=0) + timedelta(minutes=(step - past) % step)
        number = int((self.end - first) / timedelta(minutes=step)) + 1
        return [first + timedelta(minutes=step * index) for index in range(number)]

    def scale(self) -> str:
        where = zone(self.window.zone)
        text = ""
        for at in self.ticks():
            label = at.astimezone(where).strftime("%H:%M")
            begin = min(self.column(at), self.columns - len(label))
            if begin >= len(text):
                text = text.ljust(begin) + label + " "
        return text.rstrip()

    def ruler(self, ink: _Ink) -> str:
        cells = [ink.line] * self.columns
        for at in self.ticks():
            cells[self.column(at)] = ink.tick
        return "".join(cells)

    def points(self, marks: Iterable[tuple[datetime, str]]) -> str:
        """Single marks; one outside the axis stands at its edge, of two in one column the later stands beside it."""
        cells = [" "] * self.columns
        for at, mark in sorted(marks):
            column = self.column(at)
            if mark in cells[column]:
                continue
            free = [place for place in range(self.columns) if cells[place] == " "]
            cells[min(free, key=lambda place: (abs(place - column), -place))] = mark
        return "".join(cells).rstrip()


def _axis(window: Window, schedules: Sequence[Schedule], columns: int) -> _Axis:
    begin = min([window.start, *(each.begins_at for each in schedules)])
    end = max([window.end, *(each.finish_at for each in schedules)])
    return _Axis(window, begin, end, columns)


def _steps(planned: Schedule, found: Schedule, axis: _Axis, ink: _Ink) -> Iterator[tuple[str, str]]:
    """A row for each step, line of work by line of work, each by its begin."""
    now = {slot.step.id: slot for slot in found.slots}
    tracks = list(dict.fromkeys(slot.step.track for slot in planned.slots))
    for track in tracks:
        if len(tracks) > 1 and track:
            yield track, ""
        indent = " " if len(tracks) > 1 else ""
        for slot in planned.slots:
            if slot.step.track == track:
                yield indent + slot.step.id, _bar(slot, now[slot.step.id], axis, ink)


def _bar(planned: Slot, found: Slot, axis: _Axis, ink: _Ink) -> str:
    before = axis.span(planned.begins_at, planned.ends_at)
    now = axis.span(found.begins_at, found.ends_at)
    cells = [" "] * axis.columns
    for column in before:
        cells[column] = ink.planned if column in now else ink.no_longer
    for column in now:
        if column not in before:
            cells[column] = ink.found
    return "".join(cells).rstrip()


def _way_back(found: Schedule, axis: _Axis, ink: _Ink) -> str:
    """From the window's end backwards: its left edge is the last moment to begin it."""
    span = axis.span(min(found.start_rollback_by, axis.window.end), axis.window.end)
    return " " * span.start + ink.edge + ink.way_back * (len(span) - 1)


def _marks(found: Schedule, axis: _Axis) -> str:
    marks = [(found.decide_by, "D"), (found.start_rollback_by, "R")]
    if found.point_of_no_return is not None:
        marks.append((found.point_of_no_return, "N"))
    if axis.window.end < axis.end:
        marks.append((axis.window.end, "E"))
    return axis.points(marks)


def _legend(planned: Schedule, found: Schedule, axis: _Axis, ink: _Ink, events: bool) -> Iterator[str]:
    yield f"{ink.planned} planned"
    if _places(planned) != _places(found):
        yield f"{ink.found} as found"
        yield f"{ink.no_longer} no longer"
    yield "D decide by"
    yield "R start rollback by"
    if found.point_of_no_return is not None:
        yield "N no way back"
    if axis.window.end < axis.end:
        yield "E end of the window"
    if events:
        yield "! inside"


def _places(schedule: Schedule) -> list[tuple[datetime, datetime]]:
    return [(slot.begins_at, slot.ends_at) for slot in schedule.slots]


def _cut(label: str, ink: _Ink) -> str:
    text = clean(label)
    return text if len(text) < _LABEL else text[: _LABEL - 2] + ink.cut
