"""When jobs start that start by the clock of their machine, and systemd's timers: what `systemctl show` prints of them
and of the units they start, in the zone UTC, and the runs that their calendar expressions and time spans stand for.

The shape is that of `print_property` in systemd's systemctl-show.c, the same since timers have calendars. The rules are
those of systemd.time(7). What systemctl shows is systemd's normalized form (`Mon..Fri *-*-* 06:00:00`), and only that
is read. At a clock change systemd starts nothing for a time that is skipped, and starts once, the first time,
for a time that comes twice: seen with `systemd-analyze calendar` of systemd 252."""

import re
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import partial
from itertools import product

from preflight.clock import clock_changes, zone
from preflight.units import format_duration
from preflight.wording import one_line

_DAY = timedelta(days=1)
_USUAL_ACCURACY = timedelta(minutes=1)


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
        """The moments, UTC, from `start` to `end` at which the job starts on a machine in the zone `where`."""
        found: set[datetime] = set()
        day, last = start.astimezone(where).date(), end.astimezone(where).date()
        while day <= last:
            for hour, minute in product(self.hours, self.minutes) if self._runs_on(day) else ():
                found.update(self._instants(datetime.combine(day, time(hour, minute)), where))
            day += _DAY
        return sorted(moment for moment in found if start <= moment <= end)

    def _runs_on(self, day: date) -> bool:
        if day.month not in self.months or (self.years is not None and day.year not in self.years):
            return False
        days = monthrange(day.year, day.month)[1]
        number = days + 1 - day.day if self.days_from_end else day.day
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


_WEEKDAYS = {"mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6, "sun": 7}
_CALENDAR = re.compile(
    r"(?:(?P<weekdays>[A-Z][A-Za-z,.]*) )?(?P<year>[\d*,./]+)-(?P<month>[\d*,./]+)(?P<from>[-~])(?P<day>[\d*,./]+)"
    r" (?P<hour>[\d*,./]+):(?P<minute>[\d*,./]+):[\d*,./]+(?: (?P<zone>[A-Za-z]\S*))?"
)
_PART = re.compile(r"(?:\*|(\d{1,4})(?:-(\d{1,4}))?)(?:/(\d{1,4}))?")
_SPAN_UNITS = {
    "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "month": 2_629_800.0,
    "y": 31_557_600.0,
}  # fmt: skip
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(month|min|ms|us|y|w|d|h|s)")
_MOST_RUNS = 10_000
shown = partial(one_line, limit=160)
"""Text of a host, as it stands in a list of jobs."""
_SHOWN_TIME = re.compile(r"[A-Z][a-z]{2} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")
_SHOWN_CALENDAR = re.compile(r"\{ OnCalendar=(.*) ; next_elapse=.* \}")
_REPEATED = re.compile(r"\{ OnUnit(?:Active|Inactive)USec=(.*) ; next_elapse=.* \}")
_ARGV = re.compile(r"argv\[\]=(.*?)(?: ; ignore_errors=.*)?$")


@dataclass(frozen=True, slots=True)
class Timer:
    name: str
    starts: str
    """The unit that it starts."""
    calendars: tuple[str, ...] = ()
    every: timedelta | None = None
    """How long after the last start (or end) of its unit it starts it again; None for timers of the calendar only."""
    next_at: datetime | None = None
    """UTC; None when it starts nothing any more."""
    delay: timedelta = timedelta()
    """The most by which systemd may start it later: at random, and by an AccuracySec longer than the default."""
    command: str = ""

    @property
    def when(self) -> str:
        parts = [*self.calendars, *([f"every {format_duration(self.every)}"] if self.every else [])]
        late = f", up to {format_duration(self.delay)} later" if self.delay else ""
        return ("; ".join(parts) or "once") + late

    def runs(self, start: datetime, end: datetime, where: tzinfo) -> list[datetime]:
        """The moments from `start` to `end` at which it elapses on a machine in the zone `where`; the unit starts up to
        `delay` later. All UTC. Raises ValueError for an expression that is not understood."""
        found: set[datetime] = set()
        for text in self.calendars:
            schedule, zone_name = parse_calendar(text)
            found.update(schedule.runs(start, end, zone(zone_name) if zone_name else where))
        if self.next_at and self.every:
            skipped = max(0, (start - self.next_at) // self.every)
            more = min(_MOST_RUNS, max(0, (end - self.next_at) // self.every - skipped + 1))
            found.update(self.next_at + self.every * (skipped + count) for count in range(more))
        elif self.next_at and not self.calendars:  # with a calendar, it is a run of that, put off at random
            found.add(self.next_at)
        return sorted(moment for moment in found if start <= moment <= end)


def parse_calendar(text: str) -> tuple[Schedule, str]:
    """(schedule, zone or empty) of a normalized calendar expression; seconds are left out. Raises ValueError."""
    match = _CALENDAR.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is no calendar expression")
    fields = {name: (field or "*").replace("..", "-") for name, field in match.groupdict().items()}
    from_end = match["from"] == "~"
    schedule = Schedule(
        minutes=read_numbers(fields["minute"], 0, 59),
        hours=read_numbers(fields["hour"], 0, 23),
        days=_days_from_end(match["day"]) if from_end else read_numbers(fields["day"], 1, 31),
        months=read_numbers(fields["month"], 1, 12),
        weekdays=frozenset(number % 7 for number in read_numbers(fields["weekdays"], 1, 7, _WEEKDAYS)),
        years=None if match["year"] == "*" else read_numbers(fields["year"], 1970, 2199),
        days_from_end=from_end,
    )
    return schedule, match["zone"] or ""


def parse_span(text: str) -> timedelta:
    """A time span as systemd prints it: `1d 2h 3min 4.5s`, or `0`. Raises ValueError."""
    found = _SPAN.findall(text)
    if text.strip() != "0" and (not found or _SPAN.sub("", text).strip()):
        raise ValueError(f"{text!r} is no time span")
    return timedelta(seconds=sum(float(number) * _SPAN_UNITS[unit] for number, unit in found))


def read_numbers(field: str, low: int, high: int, names: Mapping[str, int] | None = None) -> frozenset[int]:
    """The numbers of `5,7-9,*/10`; `a/n` goes on to the end of the range. `names` stand for some. Raises ValueError."""
    for name, number in (names or {}).items():
        field = re.sub(rf"(?<!/)\b{name}\b", str(number), field, flags=re.IGNORECASE)
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise ValueError(f"{part!r} is no part of a schedule")
        step = int(match[3] or 1)
        first = int(match[1] or low)
        alone = match[1] is not None and match[3] is None
        last = int(match[2] or (first if alone else high))
        if step < 1 or not low <= first <= last <= high:
            raise ValueError(f"{part!r} is out of range")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _days_from_end(field: str) -> frozenset[int]:
    """`03` is the last day but two; `07/1` is that day from the end and all later ones. Raises ValueError."""
    found: set[int] = set()
    for part in field.split(","):
        match = re.fullmatch(r"(\d{1,2})(?:/(\d{1,2}))?", part)
        if not match or not 1 <= int(match[1]) <= 31 or int(match[2] or 1) < 1:
            raise ValueError(f"{part!r} is no day from the end of a month")
        found.update(range(int(match[1]), 0, -int(match[2] or 31)))
    return frozenset(found)


def read_timers(
    timer_lines: Iterable[str], service_lines: Iterable[str], at: datetime, uptime: str
) -> tuple[tuple[Timer, ...], tuple[str, ...]]:
    """(active timers, names of active ones that cannot be read) from `systemctl show` of timers and of what they start.
    `at`: the host's own time, UTC. `uptime`: its seconds since boot; empty where it does not say."""
    commands = {}
    for unit in _records(service_lines):
        argv = map(_ARGV.search, unit.get("ExecStart", ()))
        commands[_first(unit, "Id")] = shown("; ".join(found[1] for found in argv if found))
    booted_at = at - timedelta(seconds=float(uptime)) if re.fullmatch(r"\d{1,10}(\.\d+)?", uptime) else None
    timers, unread = [], []
    for record in _records(timer_lines):
        if len(record.get("ActiveState", ())) == 1 and _first(record, "ActiveState") != "active":
            continue
        try:
            timers.append(_timer(record, booted_at, commands))
        except (ValueError, OverflowError):
            unread.append(shown(_first(record, "Id")) or "a timer without a name")
    return tuple(timers), tuple(unread)


_SHOWN_OF_EACH = ("Id", "Unit", "ActiveState", "AccuracyUSec", "NextElapseUSecRealtime", "NextElapseUSecMonotonic")
"""Once of every timer. RandomizedDelayUSec is none of these: systemd has it since 229."""
_Record = Mapping[str, Sequence[str]]


def _records(lines: Iterable[str]) -> list[_Record]:
    """What systemctl shows of each unit: property -> values; an empty line is between two units."""
    found: list[dict[str, list[str]]] = [{}]
    for line in lines:
        name, equals, value = line.partition("=")
        if not line:
            found.append({})
        elif equals:
            found[-1].setdefault(name, []).append(value)
    return [record for record in found if record]


def _first(record: _Record, name: str) -> str:
    return next(iter(record.get(name, ())), "")


def _timer(record: _Record, booted_at: datetime | None, commands: Mapping[str, str]) -> Timer:
    """Raises ValueError."""
    name, starts = _first(record, "Id"), _first(record, "Unit")
    if not (name and starts) or any(len(record.get(each, ())) != 1 for each in _SHOWN_OF_EACH):
        raise ValueError("no whole description of one timer")
    calendars = [_SHOWN_CALENDAR.fullmatch(value) for value in record.get("TimersCalendar", ()) if value]
    if not all(calendars):
        raise ValueError("a calendar of another shape")
    spans = record.get("TimersMonotonic", ())
    repeated = [match[1] for match in map(_REPEATED.fullmatch, spans) if match]
    next_at = []
    by_calendar = _SHOWN_TIME.fullmatch(_first(record, "NextElapseUSecRealtime"))
    next_at += [datetime.fromisoformat(by_calendar[1]).replace(tzinfo=UTC)] if by_calendar else []
    since_boot = _first(record, "NextElapseUSecMonotonic")
    by_span = since_boot not in ("", "0", "infinity", "n/a")
    if not (calendars or spans) or (by_calendar and not calendars) or (by_span and not spans):
        raise ValueError("not all that it goes by is told")
    if by_span:
        if booted_at is None:
            raise ValueError("a time since boot, and no time of the boot")
        next_at.append(booted_at + parse_span(since_boot))
    random, accuracy = (parse_span(_first(record, f"{name}USec") or "0") for name in ("RandomizedDelay", "Accuracy"))
    return Timer(
        name=shown(name),
        starts=shown(starts),
        calendars=tuple(match[1] for match in calendars if match),
        every=min((parse_span(span) for span in repeated), default=None),
        next_at=min(next_at, default=None),
        delay=random + (accuracy if accuracy > _USUAL_ACCURACY else timedelta()),
        command=commands.get(starts, ""),
    )
