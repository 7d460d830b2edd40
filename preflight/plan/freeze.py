"""Change freezes: times in which nothing is deployed, once or every week, and when it is free of them. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, NamedTuple

from preflight.clock import on_any_day, zone
from preflight.plan.limits import Matches
from preflight.plan.values import EntryId, RoleRef, Text

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY, _WEEK, _YEAR = timedelta(days=1), timedelta(days=7), timedelta(days=366)

EveryWeek = Annotated[
    str, Matches(rf"({'|'.join(_DAYS)}) ([01]\d|2[0-3]):[0-5]\d", 'a weekday and a time such as "Fri 16:00", or a date')
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """`[freeze.NAME]`: a time in which nothing is deployed, in the window's zone; once, `from = 2026-12-20` and
    `until = 2027-01-03`, or every week, `from = "Fri 16:00"` and `until = "Mon 06:00"`."""

    id: EntryId
    from_: EveryWeek | date | datetime
    """When it begins: a date (its first minute), a date and time, or a weekday and time."""
    until: EveryWeek | date | datetime
    """When it ends: a date (its last minute: that day is frozen too), a date and time, or a weekday and time."""
    reason: Text = ""
    """Why nothing is deployed then."""
    owner: RoleRef = ""
    """Role that decides about exceptions; that of the first decision when left out."""


class Period(NamedTuple):
    """One time of a freeze, UTC; its end is free again."""

    begins_at: datetime
    ends_at: datetime

    @property
    def lasts(self) -> bool:
        """It has a length at all."""
        return self.begins_at < self.ends_at

    def overlap(self, begins_at: datetime, ends_at: datetime) -> timedelta:
        """How much of the time between the two moments lies in it."""
        return max(min(self.ends_at, ends_at) - max(self.begins_at, begins_at), timedelta())


def why_no_period(freeze: Freeze, zone_name: str) -> str:
    """Why its two times make no period; empty where they do."""
    begin, end = freeze.from_, freeze.until
    if isinstance(begin, str) and isinstance(end, str):
        return "is when it begins: that would be the whole week, or nothing" if begin == end else ""
    if isinstance(begin, str) or isinstance(end, str):
        return 'is of another kind than `from`: write two weekdays such as "Fri 16:00", or two dates'
    return "" if _once(begin, end, zone_name).lasts else "the freeze must end after it begins"


def periods(freeze: Freeze, zone_name: str, begins_at: datetime, ends_at: datetime) -> list[Period]:
    """Its periods in their order; of one of every week, those about the time between the two moments, the last one
    before and the first one after it included. A clock change can swallow one: it is left out."""
    match freeze.from_, freeze.until:
        case str(begin), str(end):
            return [each for each in _every_week(begin, end, zone_name, begins_at, ends_at) if each.lasts]
        case date() as begin, date() as end:
            return [_once(begin, end, zone_name)]
    raise TypeError("a weekday and a date make no period: the loader refuses it")


def next_free(freezes: Collection[Freeze], zone_name: str, begins_at: datetime, lasts: timedelta) -> datetime | None:
    """The first moment from `begins_at` on at which so long a time touches none of them; None: not within a year."""
    start = begins_at
    while start <= begins_at + _YEAR:
        end = start + lasts
        near = (period for freeze in freezes for period in periods(freeze, zone_name, start, end))
        # Whatever begins before such a period is over touches it, too.
        over_at = max((period.ends_at for period in near if period.overlap(start, end)), default=None)
        if over_at is None:
            return start
        start = over_at
    return None


def _once(begin: date, end: date, zone_name: str) -> Period:
    """Moments are known already; a day is frozen as a whole."""
    first, last = datetime.combine(begin, time()), datetime.combine(end, time()) + _DAY
    return Period(
        begin if isinstance(begin, datetime) else on_any_day(first, zone_name, last=False),
        end if isinstance(end, datetime) else on_any_day(last, zone_name, last=True),
    )


def _every_week(begin: str, end: str, zone_name: str, begins_at: datetime, ends_at: datetime) -> Iterator[Period]:
    """The one that begins last before the time between the two moments, to the one that begins first after it."""
    begins, ends = _since_monday(begin), _since_monday(end)
    if ends < begins:
        ends += _WEEK
    day = begins_at.astimezone(zone(zone_name)).date()
    monday = datetime.combine(day - timedelta(days=day.weekday()), time()) - _WEEK
    while True:  # by the clock on the wall, which has a Friday 16:00 in every week
        period = Period(
            on_any_day(monday + begins, zone_name, last=False), on_any_day(monday + ends, zone_name, last=True)
        )
        yield period
        if period.begins_at >= ends_at and period.lasts:
            return
        monday += _WEEK


def _since_monday(text: str) -> timedelta:
    day, _, clock = text.partition(" ")
    hours, minutes = map(int, clock.split(":"))
    return timedelta(days=_DAYS.index(day), hours=hours, minutes=minutes)
