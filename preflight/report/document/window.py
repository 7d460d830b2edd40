"""The window: its times in words, in its zone and in UTC, what a failure costs, what ends inside; and to scale, as each
picture shows it, whatever it is drawn with. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

from preflight.clock import clock_changes, format_moment, zone
from preflight.finding import Event, Finding, Price
from preflight.judging.schedule import Schedule, Slot, schedule, time_in_window
from preflight.plan import Window
from preflight.units import format_duration
from preflight.verdict import Verdict
from preflight.wording import listed

_MOST_STEPS_NAMED = 3
_TICK_MINUTES = (5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080)


def window_span(window: Window) -> str:
    """Begin, end and zone; with its length where clocks change, so that nobody subtracts the two."""
    text = f"{format_moment(window.start, window.zone)} to {time_in_window(window, window.end)} ({window.zone})"
    changes = [change.text for change in clock_changes(zone(window.zone), window.start, window.end)]
    if changes:
        text += f", {format_duration(window.end - window.start)} long: {', '.join(changes)}"
    return text


def times(verdict: Verdict) -> Iterator[str]:
    """When the work ends, until when it can be taken back, and the same with what failed; nothing without steps.

    Once the window is open nobody here knows when the work was begun: then the times say what they assume, and what
    holds for work that begins only now is told too."""
    planned, found = verdict.planned_schedule, verdict.found_schedule
    if planned is None or found is None:
        return
    window = verdict.plan.window
    finish, *others = _schedule_parts(window, planned)
    begun = f" if it began at {time_in_window(window, planned.begins_at)}" if verdict.moment > planned.begins_at else ""
    yield ", ".join([f"{finish} as planned{begun}", *others])
    if (found.finish_at, found.margin, found.decide_by) != (planned.finish_at, planned.margin, planned.decide_by):
        moved = [time_in_window(window, found.finish_at)]
        moved.append(f"{format_duration(found.finish_at - planned.finish_at)} later")
        if not found.unknown_undo and found.start_rollback_by != planned.start_rollback_by:
            moved.append(f"decide by {time_in_window(window, found.decide_by)}")
            moved.append(f"start rollback by {time_in_window(window, found.start_rollback_by)}")
        if not found.unknown_undo:
            moved.append(margin(found.margin))
        yield f"with what failed: {', '.join(moved)}"
    late = begun_now(verdict)
    if late is not None:
        yield f"if it begins only now: {', '.join(_schedule_parts(window, late))}"


def begun_now(verdict: Verdict) -> Schedule | None:
    """The schedule of work that begins at the moment judged, with what failed, where that lies inside the window."""
    found, moment = verdict.found_schedule, verdict.moment
    if found is None or not found.begins_at < moment < verdict.plan.window.end:
        return None
    lost = [slot.step.id for slot in found.slots if slot.over_network]
    return schedule(verdict.plan, moment, over_network=lost)


def in_utc(verdict: Verdict) -> str:
    """The key times once more, for everybody whose clock shows UTC; empty where the window's own zone does."""
    window, found = verdict.plan.window, verdict.found_schedule
    if not any(at.astimezone(zone(window.zone)).utcoffset() for at in (window.start, window.end)):
        return ""

    def utc(at: datetime) -> str:
        local = at.astimezone(UTC)
        return f"{local:%H:%M}" if local.date() == window.start.astimezone(UTC).date() else f"{local:%a %H:%M}"

    parts = [f"window {utc(window.start)} to {utc(window.end)}"]
    if found is not None:
        keyed = [("finish", found.finish_at)]
        if not found.unknown_undo:
            keyed += [("decide by", found.decide_by), ("start rollback by", found.start_rollback_by)]
        parts += [f"{label} {utc(at)}" for label, at in keyed]
    return ", ".join(parts)


def margin(left: timedelta) -> str:
    """What is left between the end of the last risky step and decide-by."""
    if left < timedelta():
        return f"{format_duration(-left)} too late to decide"
    return f"margin {format_duration(left)}"


def price_text(verdict: Verdict, finding: Finding, price: Price) -> str:
    """What a failure costs if it stays so: the work over the network, its end and the margin left."""
    unpriced = [
        step.id for step in verdict.plan.steps if step.id in finding.steps and step.minutes_over_network is None
    ]
    if unpriced and not price.minutes:
        named = listed(unpriced, _MOST_STEPS_NAMED)
        return f"not known: the plan has no time over the network (minutes_over_network) for {named}"
    no_later = "slower over the network, but the work ends no later"
    took = f"{round(price.minutes, 1):g} min longer over the network" if price.minutes else no_later
    finish = time_in_window(verdict.plan.window, price.finish_at)
    return f"{took}: finish {finish}, {margin(price.margin)}"


def event_text(verdict: Verdict, event: Event) -> str:
    """When it ends or begins, how far from the start that is, and what is under way then."""
    window, found = verdict.plan.window, verdict.found_schedule
    after = event.at - window.start
    where = [f"{format_duration(after)} after the start"] if after else ["at the start"]
    running = [slot.step.id for slot in found.slots if slot.begins_at <= event.at < slot.ends_at] if found else []
    if running:
        where.append(f"during {listed(running, _MOST_STEPS_NAMED)}")
    return f"{time_in_window(window, event.at)}  {event.text} ({', '.join(where)})"


def _schedule_parts(window: Window, schedule: Schedule) -> Iterator[str]:
    yield time_in_window(window, schedule.finish_at)
    if schedule.unknown_undo:
        named = listed(schedule.unknown_undo, _MOST_STEPS_NAMED)
        yield f"decide by and start rollback by not known: the plan has no time for taking back {named}"
    else:
        yield f"decide by {time_in_window(window, schedule.decide_by)}"
        yield f"start rollback by {time_in_window(window, schedule.start_rollback_by)}"
        yield margin(schedule.margin)
    if schedule.point_of_no_return is not None:
        yield f"no way back from {time_in_window(window, schedule.point_of_no_return)}"


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


@dataclass(frozen=True, slots=True)
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
    plan, planned, found = verdict.plan, verdict.planned_schedule, verdict.found_schedule
    if planned is None or found is None:
        return None
    return Timeline(plan.release.id, plan.window, planned, found, tuple(verdict.events))
