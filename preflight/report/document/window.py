"""The window: its times in words, in its zone and UTC, what a failure costs, what ends inside; and to scale. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

from preflight.clock import clock_changes, format_moment, zone
from preflight.finding import Event, Finding, Price
from preflight.judging.schedule import Schedule, Slot, clock_in_window, time_in_window
from preflight.plan import Window
from preflight.plan.release_plan import grouped
from preflight.units import format_duration
from preflight.verdict import Verdict
from preflight.wording import listed

_MOST_STEPS_NAMED = 3
_TICK_MINUTES = (5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080)


def window_span(window: Window, moment: datetime) -> str:
    """Begin, end and zone, the same in UTC, the real length, also where clocks change, and what is left of it."""
    text = f"{format_moment(window.start, window.zone)} to {time_in_window(window, window.end)} ({window.zone})"
    if not (_is_utc(window, window.start) and _is_utc(window, window.end)):
        text += f", {_in_utc(window, window.start)} to {_in_utc(window, window.end)} UTC"
    text += f", {format_duration(window.end - window.start)}"
    if changes := [change.text for change in clock_changes(zone(window.zone), window.start, window.end)]:
        text += f": {', '.join(changes)}"
    if moment <= window.start:
        return text
    return f"{text}, {'over' if moment >= window.end else f'{format_duration(window.end - moment)} left'}"


@dataclass(frozen=True, slots=True)
class Voice:
    """How a moment and a length of time are put into words: to be read or to be heard."""

    moment: Callable[[datetime, Window], str]
    length: Callable[[timedelta], str]

    def no_way_back(self, verdict: Verdict, at: datetime) -> str:
        """`no way back from 03:05 on`: what is done then cannot be taken back."""
        return f"no way back from {self.moment(at, verdict.plan.window)} on"

    def longer(self, planned: Schedule, found: Schedule) -> str:
        """What the failures add to the work."""
        least = "" if found.known.finish_at else "at least "
        return f"{least}{self.length(found.finish_at - planned.finish_at)} longer with what failed"

    def too_long(self, found: Schedule, latest_start: datetime) -> str:
        """How much more it takes, begun as it is placed, where not even the window's start is early enough."""
        return f"{self.length(found.begins_at - latest_start)} more than the window and its margin allow"

    def margin(self, left: timedelta) -> str:
        """What is left between the end of the last risky step and decide-by."""
        return f"{self.length(-left)} too late to decide" if left < timedelta() else f"margin {self.length(left)}"


def _with_utc(at: datetime, window: Window) -> str:
    """For everybody whose clock shows UTC, too."""
    utc = utc_time(window, at)
    return time_in_window(window, at) + (f" ({utc})" if utc else "")


WRITTEN = Voice(_with_utc, format_duration)


def times(verdict: Verdict, voice: Voice = WRITTEN) -> Iterator[str]:
    """With what failed: when the work ends, and when it begins at the latest; until when it can be taken back. Nothing
    without steps, and once the window is over."""
    planned, found = verdict.planned_schedule, verdict.found_schedule
    if planned is not None and found is not None:
        yield ", ".join(_work(verdict, planned, found, voice))
        yield ", ".join(_way_back(verdict, found, voice))


def _work(verdict: Verdict, planned: Schedule, found: Schedule, voice: Voice) -> Iterator[str]:
    known, window = found.known, verdict.plan.window
    begun = " if the work begins now" if verdict.moment > window.start else ""
    not_before = "" if known.finish_at else "not before "
    yield f"{not_before}{voice.moment(found.finish_at, window)}{begun}"
    if found.finish_at != planned.finish_at:
        yield voice.longer(planned, found)
    if found.unpriced:
        yield unpriced_steps(found.unpriced)
    if known.latest_start is None:
        yield "latest start not known"
    elif known.latest_start < window.start:
        yield voice.too_long(found, known.latest_start)
    else:
        yield _by(verdict, "latest start", known.latest_start, voice)


def _way_back(verdict: Verdict, found: Schedule, voice: Voice) -> Iterator[str]:
    known = found.known
    if found.unknown_undo:
        yield f"decide by and start rollback by not known: {unknown_way_back(found)}"
    elif known.decide_by is None or known.start_rollback_by is None:
        yield from () if found.point_of_no_return else ("nothing to take back",)
    else:
        yield _by(verdict, "decide by", known.decide_by, voice)
        yield _by(verdict, "start rollback by", known.start_rollback_by, voice)
    if known.margin is not None:
        yield voice.margin(known.margin)
    elif known.decide_by or found.unknown_undo:
        yield "margin not known"
    if found.point_of_no_return is not None:
        yield voice.no_way_back(verdict, found.point_of_no_return)


def unknown_way_back(found: Schedule) -> str:
    return f"the plan has no time for taking back {listed(found.unknown_undo, _MOST_STEPS_NAMED)}"


def _by(verdict: Verdict, what: str, at: datetime, voice: Voice) -> str:
    return f"{what} {voice.moment(at, verdict.plan.window)}{' is over' if at < verdict.moment else ''}"


def _is_utc(window: Window, at: datetime) -> bool:
    return not at.astimezone(zone(window.zone)).utcoffset()


def utc_time(window: Window, at: datetime) -> str:
    """`09:33 UTC`; empty where the window's zone shows the same."""
    return "" if _is_utc(window, at) else f"{_in_utc(window, at)} UTC"


def _in_utc(window: Window, at: datetime) -> str:
    """`04:33`, with the weekday where it is another one there."""
    utc, local = at.astimezone(UTC), at.astimezone(zone(window.zone))
    return f"{utc:%H:%M}" if utc.date() == local.date() else f"{utc:%a %H:%M}"


def price_text(verdict: Verdict, finding: Finding, price: Price) -> str:
    """What a failure costs if it stays so: the work over the network, its end and the margin left."""
    steps = (step for step in verdict.plan.steps if step.id in finding.steps)
    unpriced = [step.id for step in steps if step.minutes_over_network is None]
    if unpriced and not price.minutes:
        return f"not known: {unpriced_steps(unpriced)}"
    no_later = "slower over the network, but the work ends no later"
    took = f"{round(price.minutes, 1):g} min longer over the network" if price.minutes else no_later
    if price.finish_at is None:
        return f"at least {took}: {unpriced_steps(unpriced)}"
    told = [f"finish {time_in_window(verdict.plan.window, price.finish_at)}"]
    told += [] if price.margin is None else [WRITTEN.margin(price.margin)]
    found = verdict.found_schedule
    is_all = found is None or (found.known.finish_at, found.known.margin) == (price.finish_at, price.margin)
    return f"{took}: {', '.join(told)}{'' if is_all else ' with this alone'}"


def unpriced_steps(steps: Sequence[str]) -> str:
    return f"the plan has no minutes_over_network for {listed(steps, _MOST_STEPS_NAMED)}"


def event_text(verdict: Verdict, event: Event) -> str:
    """When it ends or begins, how far from the start that is, and what is under way then."""
    window, found = verdict.plan.window, verdict.found_schedule
    after = event.at - window.start
    where = [f"{format_duration(after)} after the start"] if after else ["at the start"]
    where += ["past"] if event.at < verdict.moment else []
    running = found.running_at(event.at) if found else ()
    where += [f"during {listed(running, _MOST_STEPS_NAMED)}"] if running else []
    as_planned = verdict.planned_schedule.running_at(event.at) if verdict.planned_schedule else ()
    if as_planned and as_planned != running:  # as the finding itself says, which knows of no other
        where.append(f"as planned during {listed(as_planned, _MOST_STEPS_NAMED)}")
    return f"{time_in_window(window, event.at)}  {event.text} ({', '.join(where)})"


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
    moment: datetime
    """The one judged."""
    events: tuple[Event, ...]

    @property
    def begin(self) -> datetime:
        return min(self.window.start, self.planned.begins_at)

    @property
    def end(self) -> datetime:
        return max(self.window.end, self.planned.finish_at, self.found.finish_at)

    @property
    def begun(self) -> str:
        """To be said of what is drawn as planned: nobody here knows when the work was begun."""
        return ", begun now" if self.window.start < self.moment else ""

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

    def ends(self, slot: Slot) -> str:
        """`03:10`, as found; `03:10+` where that is the least."""
        later = "+" if slot.step.id in self.found.end_later else ""
        return clock_in_window(self.window, slot.ends_at) + later

    def tracks(self) -> Mapping[str, list[Bar]]:
        """The steps by their line of work, each in the order in which they begin."""
        now = {slot.step.id: slot for slot in self.found.slots}
        bars = (Bar(slot, now[slot.step.id]) for slot in self.planned.slots)
        return grouped(bars, lambda bar: bar.planned.step.track)

    @property
    def moved(self) -> bool:
        return any(bar.moved for bars in self.tracks().values() for bar in bars)

    @property
    def way_back_known(self) -> bool:
        """Whether there is one, and the plan says how long each step takes to be taken back."""
        return self.found.known.decide_by is not None

    def marks(self) -> Sequence[Mark]:
        found, marks = self.found, list[Mark]()
        if self.way_back_known:
            marks += [Mark(found.decide_by, "D", "decide by"), Mark(found.start_rollback_by, "R", "start rollback by")]
        if found.point_of_no_return is not None:
            marks.append(Mark(found.point_of_no_return, "N", "no way back from"))
        marks += [Mark(self.moment, "J", "judged for")] if self.window.start < self.moment else []
        marks += [Mark(self.window.end, "E", "end of the window")] if self.window.end < self.end else []
        return marks


def timeline(verdict: Verdict) -> Timeline | None:
    """None for a plan without steps."""
    plan, planned, found = verdict.plan, verdict.planned_schedule, verdict.found_schedule
    if planned is None or found is None:
        return None
    return Timeline(plan.release.id, plan.window, planned, found, verdict.moment, tuple(verdict.events))
