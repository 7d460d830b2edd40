"""The one place that reads the clock, and the arithmetic of moments.

Moments are aware datetimes in UTC. Local times exist only in the plan and in the report: subtracting two aware
datetimes of one zone ignores a clock change between them (Python subtracts wall clocks), so nothing here does."""

import time
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from preflight.units import format_duration

_SAMPLING = timedelta(hours=6)
"""Two clock changes of one zone are days apart, so that offsets this far from each other show every one."""
_A_STEP = timedelta(seconds=1)
"""A clock that time synchronisation slows down or speeds up needs half an hour for so much (adjtimex(2): 500 ppm)."""


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)


monotonic = time.monotonic
"""Seconds on a clock that never steps; only for durations and deadlines."""


class SteadyClock:
    """The time of day from one look at the clock on, UTC: whoever sets the clock meanwhile does not move it."""

    def __init__(self) -> None:
        self.begun_at, self._begun = now(), monotonic()

    def now(self) -> datetime:
        return self.begun_at + timedelta(seconds=monotonic() - self._begun)

    @property
    def set_by(self) -> str:
        """`30 d forward`: by how much the clock was set meanwhile; empty where it just ran unevenly."""
        by = now() - self.now()
        way = "forward" if by > timedelta() else "back"
        return f"{format_duration(abs(by))} {way}" if abs(by) >= _A_STEP else ""


class Deadline:
    """A moment on the monotonic clock by which something must have ended."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = monotonic() + seconds

    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._at - monotonic())

    def spent(self) -> float:
        """Seconds since it was set, at most all of them: a wait may end before its time."""
        return self.seconds - self.left()

    @property
    def over(self) -> bool:
        return monotonic() >= self._at

    def at_most(self, seconds: float) -> Self:
        """The earlier of this deadline and one `seconds` from now."""
        return type(self)(min(seconds, self.left()))


def zone(name: str) -> ZoneInfo:
    """The zone called `name`. Raises ValueError when it is unknown or the machine has no zone data."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone {name!r} on this machine") from error


def local_to_utc(local: datetime, zone_name: str) -> datetime:
    """The UTC instant of a time of the zone, naive but in the hour that clocks repeat: there, and only there, it has
    the offset of the one that is meant.

    Raises ValueError, which says how to write it, for a time that the zone skips (clocks go forward) or has twice
    (clocks go back): a window that starts at such a time means two different things to two people."""
    bare, where = local.replace(tzinfo=None), zone(zone_name)
    first, second = (bare.replace(tzinfo=where, fold=fold) for fold in (0, 1))
    before, after = (each.utcoffset() or timedelta() for each in (first, second))
    if before > after:
        for one in (first, second):
            if local.utcoffset() == one.utcoffset():
                return one.astimezone(UTC)
        two = f"write {first.isoformat()} for the first or {second.isoformat()} for the second"
        raise ValueError(f"{bare:%Y-%m-%d %H:%M} exists twice in {zone_name}: clocks go back over it; {two}")
    if before < after:
        (change,) = clock_changes(where, second.astimezone(UTC), first.astimezone(UTC))
        last, next_ = (change.at + offset for offset in (before - timedelta(minutes=1), after))
        two = f"write {last:%Y-%m-%dT%H:%M:%S} or {next_:%Y-%m-%dT%H:%M:%S}"
        raise ValueError(f"{bare:%Y-%m-%d %H:%M} does not exist in {zone_name}: {change.text}; {two}")
    if local.tzinfo is not None:  # 02:30Z in a plan for New York is two times to two people
        raise ValueError(
            f"write the local time of {zone_name}, without an offset or Z: only a time that exists twice has its offset"
        )
    return first.astimezone(UTC)


def on_any_day(local: datetime, zone_name: str, *, last: bool) -> datetime:
    """The UTC instant at which the zone's clocks show `local`, naive, for a time that is meant on every day alike: of
    one that they show twice the first or the `last`, of one that they skip the moment of the change."""
    where = zone(zone_name)
    first, second = sorted(local.replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(where).replace(tzinfo=None) != local:
        return clock_changes(where, first, second)[0].at
    return second if last else first


def as_written(moment: datetime, zone_name: str) -> str:
    """As the plan wants a moment: a local time, with its offset only where the clocks go back over it."""
    local = moment.astimezone(zone(zone_name)).replace(microsecond=0)
    naive = local.replace(tzinfo=None)
    try:
        local_to_utc(naive, zone_name)
    except ValueError:
        return local.isoformat()
    return naive.isoformat()


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A moment from which a zone's clocks show another time."""

    at: datetime
    """UTC; the first moment of the new time."""
    before: timedelta
    """Offset from UTC until then."""
    after: timedelta

    @property
    def text(self) -> str:
        """`clocks go forward 1 h, from 02:00 to 03:00`."""
        by = self.after - self.before
        way = "forward" if by > timedelta() else "back"
        old, new = (f"{self.at + offset:%H:%M}" for offset in (self.before, self.after))
        return f"clocks go {way} {format_duration(abs(by))}, from {old} to {new}"


def clock_changes(where: tzinfo, start: datetime, end: datetime) -> list[ClockChange]:
    """The clock changes of a zone after `start` and up to `end`, both UTC."""

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(where).utcoffset() or timedelta()

    found = []
    low = start
    while low < end:
        high = min(low + _SAMPLING, end)
        before, after = offset(low), offset(high)
        if before != after:  # to the second: no zone changes at a part of one
            seconds = range(int(low.timestamp() // 1) + 1, int(high.timestamp() // 1) + 1)
            changed = bisect_left(seconds, True, key=lambda at: offset(datetime.fromtimestamp(at, UTC)) != before)
            found.append(ClockChange(datetime.fromtimestamp(seconds[changed], UTC), before, after))
        low = high
    return found


def format_moment(moment: datetime, zone_name: str) -> str:
    """Weekday, ISO date, 24-hour time and offset in the zone: `Sat 2026-10-17 00:00 -04:00`."""
    try:
        local = moment.astimezone(zone(zone_name))
    except OverflowError:  # the last hours that a date can name, east of UTC
        local = moment.astimezone(UTC)
    offset = local.strftime("%z")
    return f"{local:%a %Y-%m-%d %H:%M} {offset[:3]}:{offset[3:5]}"
