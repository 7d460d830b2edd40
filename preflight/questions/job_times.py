"""The runs of a job that starts by the clock of its machine, and what a clock change does to them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from preflight.clock import clock_changes

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The local minutes at which a job starts."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    """Of the month."""
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday, 6 is Saturday."""
    years: frozenset[int] | None = None
    """None for every year."""
    days_from_end: bool = False
    """`days` are counted from the end of the month: 1 is its last day."""
    either_day: bool = False
    """A day of the month or a weekday is enough; otherwise it must be both."""
    catches_up: bool = False
    """A run at a time that the clocks skip is made right after the change; otherwise it is not made."""
    repeats: bool = False
    """A run at a time that the clocks show twice is made twice; otherwise at the first one only."""

    def runs(self, start: datetime, end: datetime, where: tzinfo) -> list[datetime]:
        """The moments from `start` to `end`, both included, at which the job starts on a machine in the zone `where`.
        All UTC."""
        found: set[datetime] = set()
        day, last = start.astimezone(where).date(), end.astimezone(where).date()
        while day <= last:
            if self._runs_on(day):
                for local in self._times_of(day):
                    found.update(self._instants(local, where))
            day += _DAY
        return sorted(moment for moment in found if start <= moment <= end)

    def _times_of(self, day: date) -> Iterator[datetime]:
        return (datetime.combine(day, time(hour, minute)) for hour in self.hours for minute in self.minutes)

    def _runs_on(self, day: date) -> bool:
        if day.month not in self.months or (self.years is not None and day.year not in self.years):
            return False
        number = _days_left(day) if self.days_from_end else day.day
        of_month, of_week = number in self.days, day.isoweekday() % 7 in self.weekdays
        return (of_month or of_week) if self.either_day else (of_month and of_week)

    def _instants(self, local: datetime, where: tzinfo) -> list[datetime]:
        first, second = (local.replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first == second:
            return [first]
        if first < second:
            return [first, second] if self.repeats else [first]
        # Skipped: the time before the change reads it as `first`, which is after the change, and the other way round.
        return [change.at for change in clock_changes(where, second, first)] if self.catches_up else []


def _days_left(day: date) -> int:
    """1 for the last day of a month."""
    next_month = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return (next_month - day).days
