"""The window as an SVG picture, to scale. Pure.

Solid bars are the planned path; where a failure moves the work, hatched bars below them are the path that is left. The
way back is drawn backwards from the window's end: its left edge is the last moment to begin it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from preflight.clock import zone
from preflight.judging.schedule import Slot, time_in_window
from preflight.plan import Window
from preflight.report.document.window import WRITTEN, Bar, Timeline
from preflight.report.harmless import Html, el
from preflight.report.layout import cut

SAID = {"planned": "as planned", "lost": "planned, no longer so", "found": "as found"}
_WIDTH, _LEFT, _RIGHT = 1320.0, 195.0, 30.0
_TOP, _ROW, _FOOT = 56.0, 20.0, 22.0
_MOST_TICKS = 14
_LABEL_CHARACTERS = 20
_CHARACTER = 7.5
"""Width of one in a label."""


def framed(timeline: Timeline, kind: str, size: tuple[float, float], *drawn: Html) -> Html:
    """A picture with its name and its times in words, and the hatching of what is as found."""
    window, found = timeline.window, timeline.found
    ends = "ends" if found.known.finish_at else "does not end before"
    told = [
        f"Work {ends} {time_in_window(window, found.finish_at)}",
        *(f"{mark.words} {time_in_window(window, mark.at)}" for mark in timeline.marks() if mark.letter != "E"),
        f"window ends {time_in_window(window, window.end)}",
    ]
    line = el("line", x1=0, x2=0, y1=0, y2=7, class_="lines")
    turned = "rotate(45)"
    hatch = el(
        "pattern", line, id=f"hatch-{kind}", width=7, height=7, patternUnits="userSpaceOnUse", patternTransform=turned
    )
    return el(
        "svg",
        el("title", f"The window of {timeline.release}, to scale"),
        el("desc", ", ".join(told) + "."),
        el("defs", hatch),
        *drawn,
        viewBox=f"0 0 {size[0]:.0f} {size[1]:.0f}",
        role="img",
        class_=kind,
    )


def bar(slot: Slot, window: Window, place: tuple[float, float, float, float], kind: str) -> Html:
    """A step as a box: left, top, width and height. `kind`: one of SAID."""
    begins, ends = (time_in_window(window, at) for at in (slot.begins_at, slot.ends_at))
    tip = el("title", f"{slot.step.id} {begins} to {ends}, {SAID[kind]}")
    x, y, width, height = place
    return el("rect", tip, x=x, y=y, width=max(width, 2.0), height=max(height, 2.0), class_=kind)


@dataclass(frozen=True)
class Picture:
    timeline: Timeline

    @property
    def bars(self) -> list[Bar]:
        return [bar for bars in self.timeline.tracks().values() for bar in bars]

    @property
    def bottom(self) -> float:
        """Below the steps, the way back, and what ends inside."""
        return _TOP + (len(self.bars) + self.timeline.way_back_known + bool(self.timeline.events)) * _ROW

    def x(self, at: datetime) -> float:
        return _LEFT + self.timeline.share(at) * (_WIDTH - _LEFT - _RIGHT)

    def time(self, at: datetime) -> str:
        return time_in_window(self.timeline.window, at)

    def svg(self) -> Html:
        """The whole, 1320 units wide."""
        return framed(
            self.timeline,
            "across",
            (_WIDTH, self.bottom + _FOOT),
            *self._axis(zone(self.timeline.window.zone), 14.0, grid=True),
            *self._axis(UTC, self.bottom + 16, grid=False),
            *self._steps(),
            *(self._way_back() if self.timeline.way_back_known else ()),
            *(self._events() if self.timeline.events else ()),
            *self._marks(),
        )

    def _axis(self, where: tzinfo, y: float, *, grid: bool) -> Iterator[Html]:
        yield el("text", cut(self.timeline.window.zone if grid else "UTC", _LABEL_CHARACTERS), x=0, y=y, class_="soft")
        for at in self.timeline.ticks(_MOST_TICKS):
            x = self.x(at)
            if grid:
                yield el("line", x1=x, x2=x, y1=_TOP - 4, y2=self.bottom, class_="grid")
            yield el("text", f"{at.astimezone(where):%H:%M}", x=x, y=y, text_anchor="middle", class_="soft")

    def _steps(self) -> Iterator[Html]:
        yield el("text", "ends", x=_LEFT - 8, y=_TOP - 8, text_anchor="end", class_="soft")
        for number, each in enumerate(self.bars):
            y = _TOP + number * _ROW
            ends = self.timeline.ends(each.found)
            room = _LABEL_CHARACTERS + len("00:00") - len(ends)
            yield el("text", cut(each.planned.step.id, room), x=0, y=y + 15)
            yield el("text", ends, x=_LEFT - 8, y=y + 15, text_anchor="end", class_="soft")
            if each.moved:
                yield self._bar(each.planned, y + 2, 7, "lost")
                yield self._bar(each.found, y + 9, 8, "found")
            else:
                yield self._bar(each.planned, y + 3, 13, "planned")

    def _bar(self, slot: Slot, y: float, height: float, kind: str) -> Html:
        x = self.x(slot.begins_at)
        return bar(slot, self.timeline.window, (x, y, self.x(slot.ends_at) - x, height), kind)

    def _way_back(self) -> Iterator[Html]:
        y = _TOP + len(self.bars) * _ROW
        x, end = self.x(self.timeline.found.start_rollback_by), self.x(self.timeline.window.end)
        yield el("text", "way back", x=0, y=y + 15)
        tip = el("title", "from the window's end backwards: its left edge is the last moment to begin it")
        neck = min(x + 10, end)
        corners = points((x, y + 10), (neck, y + 3), (end, y + 3), (end, y + 17), (neck, y + 17))
        yield el("polygon", tip, points=corners, class_="back")
        yield from self._slack(y + 10)

    def _slack(self, y: float) -> Iterator[Html]:
        """What is left between the last risky step and decide-by, in words where it is too short to draw."""
        found = self.timeline.found
        last = found.last_risky.ends_at if found.last_risky else found.begins_at
        first, until = self.x(last), self.x(found.decide_by)
        if found.known.margin is None:
            return
        label = WRITTEN.margin(found.known.margin)
        if until - first > 8:
            path = f"M{first:.1f} {y - 5:.1f}v10M{first:.1f} {y:.1f}H{until:.1f}M{until:.1f} {y - 5:.1f}v10"
            yield el("path", d=path, class_="slack")
        room = until - first > _CHARACTER * len(label)
        x, anchor = ((first + until) / 2, "middle") if room else (first - 6, "end")
        yield el("text", label, x=x, y=y - 3 if room else y + 4, text_anchor=anchor, class_="strong")

    def _events(self) -> Iterator[Html]:
        y = self.bottom - _ROW
        yield el("text", "ends or begins", x=0, y=y + 15)
        for event in self.timeline.events:
            x = self.x(event.at)
            tip = el("title", f"{self.time(event.at)} {event.text}")
            yield el("polygon", tip, points=points((x, y + 4), (x + 6, y + 16), (x - 6, y + 16)), class_="event")

    def _marks(self) -> Iterator[Html]:
        """Upright lines, their labels above: decide-by's to its left, start-rollback-by's to its right, or above that
        of decide-by where the right has no room."""
        for mark in self.timeline.marks():
            x = self.x(mark.at)
            kind = "rule dashed" if mark.letter in "DN" else "rule"
            yield el("line", x1=x, x2=x, y1=_TOP - 14, y2=self.bottom, class_=kind)
            text = f"{mark.words} {self.time(mark.at)}"
            to_the_right = mark.letter in "RE" and x <= _WIDTH - _RIGHT - _CHARACTER * len(text)
            y = _TOP - 6 if mark.letter == "D" or (mark.letter == "R" and to_the_right) else _TOP - 22
            nudge, anchor = (5, "start") if to_the_right else (-5, "end")
            yield el("text", text, x=x + nudge, y=y, text_anchor=anchor, class_="strong")


def points(*corners: tuple[float, float]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
