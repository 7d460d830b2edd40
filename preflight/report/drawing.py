"""The window drawn to scale in characters: a row for each step, the way back drawn from the window's end. Pure.

What is planned and what is left after the failures share a row, so that the eye sees the difference:

- `█` (ASCII `#`) the step as planned,
- `░` (`.`) where it was planned to be, which is no longer so,
- `▒` (`/`) where it is now, because a server path is lost.

Before a row stands when the step ends. The letters below are those of the legend; `!` is what ends or begins by itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from preflight.clock import zone
from preflight.report.document.window import Timeline
from preflight.report.harmless import clean, no_command
from preflight.report.layout import WIDTH, wrapped

_LABEL = 17
_TICK_COLUMNS = 10
_IN_ASCII = str.maketrans("█░▒─┬═◄…", "#./-+=<~")


def drawn(timeline: Timeline, width: int = WIDTH, ascii: bool = False) -> list[str]:  # noqa: A002 - as the encoding
    """The picture's lines, none wider than `width`."""
    left = _LABEL + max(len(timeline.ends(slot)) for slot in timeline.found.slots) + 1
    picture = _Picture(timeline, left, width - left, _IN_ASCII if ascii else {})
    legend = [f"█ planned{timeline.begun}"] + ["▒ as found", "░ no longer"] * timeline.moved
    legend += [f"{mark.letter} {mark.words}" for mark in timeline.marks()]
    legend += ["+ or later"] if timeline.found.unpriced else []
    legend += ["! inside"] if timeline.events else []
    return [*picture.lines(), *wrapped("  ".join(legend).translate(picture.characters), " " * _LABEL, width=width)]


@dataclass(frozen=True, slots=True)
class _Picture:
    timeline: Timeline
    left: int
    """Columns before the axis: a step's name and when it ends."""
    columns: int
    characters: Mapping[int, int]
    """What is drawn with others than the module names."""

    def lines(self) -> Iterator[str]:
        times, ruler = "", ["─"] * self.columns
        for at in self.timeline.ticks(self.columns / _TICK_COLUMNS):
            ruler[self._column(at)] = "┬"
            begin = min(self._column(at), self.columns - len("00:00"))
            if begin >= len(times):
                times = f"{times.ljust(begin)}{at.astimezone(zone(self.timeline.window.zone)):%H:%M} "
        yield self._row("window", times, "ends")
        yield self._row("", "".join(ruler))
        yield from self._steps()
        if self.timeline.way_back_known:
            end = self.timeline.window.end  # from there backwards: the left edge is the last moment to begin it
            span = self._span(min(self.timeline.found.start_rollback_by, end), end)
            yield self._row("way back", " " * span.start + "◄" + "═" * (len(span) - 1))
        if self.timeline.marks():
            yield self._row("", self._points((mark.at, mark.letter) for mark in self.timeline.marks()))
        if self.timeline.events:
            yield self._row("inside", self._points((event.at, "!") for event in self.timeline.events))

    def _row(self, label: str, cells: str, ends: str = "") -> str:
        text = no_command(clean(label))
        shown = text if len(text) < _LABEL else text[: _LABEL - 2] + "…".translate(self.characters)
        return f"{shown:<{_LABEL}}{ends:<{self.left - _LABEL}}{cells.translate(self.characters)}".rstrip()

    def _column(self, at: datetime) -> int:
        return min(int(self.timeline.share(at) * self.columns), self.columns - 1)

    def _span(self, begin: datetime, end: datetime) -> range:
        """The columns from one moment to another, at least one."""
        first, last = self._column(begin), int(self.timeline.share(end) * self.columns)
        return range(first, max(last, first + 1))

    def _steps(self) -> Iterator[str]:
        tracks = self.timeline.tracks()
        for track, bars in tracks.items():
            if len(tracks) > 1 and track:
                yield self._row(track, "")
            indent = " " if len(tracks) > 1 else ""
            for bar in bars:
                cells = [" "] * self.columns
                for column in self._span(bar.found.begins_at, bar.found.ends_at):
                    cells[column] = "▒"
                for column in self._span(bar.planned.begins_at, bar.planned.ends_at):
                    cells[column] = "░" if cells[column] == " " else "█"
                yield self._row(indent + bar.planned.step.id, "".join(cells), self.timeline.ends(bar.found))

    def _points(self, marks: Iterable[tuple[datetime, str]]) -> str:
        """Single marks; of two in one column the later stands beside it."""
        cells = [" "] * self.columns
        for at, mark in sorted(marks):
            column = self._column(at)
            if mark in cells[column]:
                continue
            free = [place for place in range(self.columns) if cells[place] == " "]
            cells[min(free, key=lambda place: (abs(place - column), -place))] = mark
        return "".join(cells).rstrip()
