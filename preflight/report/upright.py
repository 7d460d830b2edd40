"""The window as SVG for small screens, to scale: time runs down, a step is below one whose place it can take. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from preflight.clock import zone
from preflight.judging.schedule import time_in_window
from preflight.report.document.window import Bar, Timeline
from preflight.report.harmless import Html, el
from preflight.report.layout import cut
from preflight.report.svg import bar, framed, points

_WIDTH, _SIDE, _TOP, _FOOT = 350.0, 44.0, 22.0, 10.0
_LEAST_HEIGHT, _LINE = 350.0, 14.0
_BAR, _CHARACTER = 14.0, 6.8
_MOST_TICKS = 12


@dataclass(frozen=True)
class Upright:
    timeline: Timeline

    @property
    def lanes(self) -> list[list[Bar]]:
        """The steps in as few columns as hold them without one over the other, neither as planned nor as found: what is
        no longer so has the left half of a column."""
        lanes: list[list[Bar]] = []
        bars = [each for bars in self.timeline.tracks().values() for each in bars]
        for each in sorted(bars, key=lambda each: (each.planned.begins_at, each.found.begins_at)):
            if free := [lane for lane in lanes if _follows(lane[-1], each)]:
                free[0].append(each)
            else:
                lanes.append([each])
        return lanes

    @property
    def height(self) -> float:
        """Of the axis: room for every name."""
        return max(_LEAST_HEIGHT, _LINE * max(map(len, self.lanes)))

    def y(self, at: datetime) -> float:
        return _TOP + self.timeline.share(at) * self.height

    def svg(self) -> Html:
        """The whole, 350 units wide."""
        return framed(
            self.timeline,
            "upright",
            (_WIDTH, _TOP + self.height + _FOOT),
            *self._axis(zone(self.timeline.window.zone), 0.0, "start"),
            *self._axis(UTC, _WIDTH, "end"),
            *self._steps(),
            *(self._way_back() if self.timeline.way_back_known else ()),
            *self._marks(),
        )

    def _axis(self, where: tzinfo, x: float, anchor: str) -> Iterator[Html]:
        name = "UTC" if where is UTC else self.timeline.window.zone
        yield el("text", name, x=x, y=11, text_anchor=anchor, class_="soft")
        for at in self.timeline.ticks(_MOST_TICKS):
            y = self.y(at)
            yield el("line", x1=_SIDE, x2=_WIDTH - _SIDE, y1=y, y2=y, class_="grid")
            yield el("text", f"{at.astimezone(where):%H:%M}", x=x, y=y + 4, text_anchor=anchor, class_="soft")

    def _steps(self) -> Iterator[Html]:
        lanes = self.lanes
        room = (_WIDTH - 2 * _SIDE - _BAR) / len(lanes)
        for number, lane in enumerate(lanes):
            x, free = _SIDE + number * room, 0.0
            for each in lane:
                kinds = [(each.planned, "lost"), (each.found, "found")] if each.moved else [(each.planned, "planned")]
                width = _BAR / len(kinds)
                for place, (slot, kind) in enumerate(kinds):
                    y = self.y(slot.begins_at)
                    box = (x + place * width, y, width, self.y(slot.ends_at) - y)
                    yield bar(slot, self.timeline.window, box, kind)
                free = max(free, self.y(each.found.begins_at) + 11)
                yield el("text", cut(each.found.step.id, int((room - _BAR) / _CHARACTER)), x=x + _BAR + 4, y=free)
                free += _LINE

    def _way_back(self) -> Iterator[Html]:
        """At the right edge, from the window's end upwards."""
        right = _WIDTH - _SIDE
        left, end = right - _BAR, self.y(self.timeline.window.end)
        top = self.y(self.timeline.found.start_rollback_by)
        neck = min(top + 10, end)
        corners = points(((left + right) / 2, top), (right, neck), (right, end), (left, end), (left, neck))
        yield el("polygon", points=corners, class_="back")

    def _marks(self) -> Iterator[Html]:
        """Lines across, their labels above; that of start-rollback-by below."""
        for mark in self.timeline.marks():
            y = self.y(mark.at)
            kind = "rule dashed" if mark.letter in "DN" else "rule"
            yield el("line", x1=_SIDE, x2=_WIDTH - _SIDE, y1=y, y2=y, class_=kind)
            text = f"{mark.words} {time_in_window(self.timeline.window, mark.at)}"
            yield el("text", text, x=_SIDE + 4, y=y + (14 if mark.letter == "R" else -5), class_="strong")


def _follows(before: Bar, each: Bar) -> bool:
    slots = ((before.planned, each.planned), (before.found, each.found))
    return all(earlier.ends_at <= later.begins_at for earlier, later in slots)
