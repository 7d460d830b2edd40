"""Reads what `systemctl show` prints of timers and the units they start, in the zone UTC. Pure.

The shape is that of `print_property` in systemd's systemctl-show.c, the same since timers have calendars."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from preflight.probes.timers import Timer, parse_span

_LONGEST_SHOWN = 160
_TIMESTAMP = re.compile(r"[A-Z][a-z]{2} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")
_CALENDAR = re.compile(r"\{ OnCalendar=(.*) ; next_elapse=.* \}")
_REPEATED = re.compile(r"\{ OnUnit(?:Active|Inactive)USec=(.*) ; next_elapse=.* \}")
_ARGV = re.compile(r"argv\[\]=(.*?)(?: ; ignore_errors=.*)?$")


def shown(text: str, limit: int = _LONGEST_SHOWN) -> str:
    """`text` of a host on one line of at most `limit` characters, without control and direction characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def read_timers(
    timer_lines: Iterable[str], service_lines: Iterable[str], at: datetime, uptime: str
) -> tuple[tuple[Timer, ...], tuple[str, ...]]:
    """(active timers, names of active ones that cannot be read) from `systemctl show` of timers and of what they start.

    `at`: the host's own time, UTC. `uptime`: its seconds since boot; empty where it does not say."""
    commands = {_first(unit, "Id"): _command(unit) for unit in _records(service_lines)}
    booted_at = _booted_at(at, uptime)
    timers, unread = [], []
    for record in _records(timer_lines):
        if _first(record, "ActiveState") != "active":
            continue
        try:
            timers.append(_timer(record, booted_at, commands))
        except (ValueError, OverflowError):
            unread.append(shown(_first(record, "Id")) or "a timer without a name")
    return tuple(timers), tuple(unread)


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


def _command(record: _Record) -> str:
    found = (_ARGV.search(value) for value in record.get("ExecStart", ()))
    return shown("; ".join(match[1] for match in found if match))


def _booted_at(at: datetime, uptime: str) -> datetime | None:
    return at - timedelta(seconds=float(uptime)) if re.fullmatch(r"\d{1,10}(\.\d+)?", uptime) else None


def _timer(record: _Record, booted_at: datetime | None, commands: Mapping[str, str]) -> Timer:
    """Raises ValueError."""
    name, starts = _first(record, "Id"), _first(record, "Unit")
    if not name or not starts:
        raise ValueError("a timer without a name or a unit")
    calendars = [_CALENDAR.fullmatch(value) for value in record.get("TimersCalendar", ()) if value]
    if not all(calendars):
        raise ValueError("a calendar of another shape")
    repeated = [match[1] for match in map(_REPEATED.fullmatch, record.get("TimersMonotonic", ())) if match]
    delay = _first(record, "RandomizedDelayUSec")
    return Timer(
        name=shown(name),
        starts=shown(starts),
        calendars=tuple(match[1] for match in calendars if match),
        every=min((parse_span(span) for span in repeated), default=None),
        next_at=_next_at(record, booted_at),
        delay=parse_span(delay) if delay else timedelta(),
        command=commands.get(starts, ""),
    )


def _next_at(record: _Record, booted_at: datetime | None) -> datetime | None:
    """The earlier of what the timer's calendars and its times since boot say."""
    moments = []
    by_calendar = _TIMESTAMP.fullmatch(_first(record, "NextElapseUSecRealtime"))
    if by_calendar:
        moments.append(datetime.fromisoformat(by_calendar[1]).replace(tzinfo=UTC))
    since_boot = _first(record, "NextElapseUSecMonotonic")
    if since_boot not in ("", "0", "infinity", "n/a"):
        if booted_at is None:
            raise ValueError("a time since boot, and no time of the boot")
        moments.append(booted_at + parse_span(since_boot))
    return min(moments, default=None)
