"""Questions about clocks: what time it is at the far end, and in which zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from preflight.clock import zone
from preflight.probe import Reply, Unreadable
from preflight.probes.fields import one, read_fields
from preflight.probes.machine import BOOT, read_boot
from preflight.probes.postgres import SqlProbe, read_rows
from preflight.probes.shell import ShellProbe

HOST_ZONE = """\
printf 'offset=%s\\n' "$(unset TZ; date +%z)"
printf 'localtime=%s\\n' "$(readlink -f /etc/localtime 2>/dev/null | cut -c 1-200)"
printf 'zone=%s\\n' "$(head -n 1 /etc/timezone 2>/dev/null | cut -c 1-60)"
"""
"""Tells the zone of a host's daemons; `HostZone.read` reads it. The session's own TZ is UTC."""

_EPOCH = re.compile(r"(\d{9,11})(?:\.(\d{1,9}|N|%N))?")
_ZONE_FILE = re.compile(r".*/zoneinfo/(?:posix/|right/)?([A-Za-z][\w+/-]*)")


@dataclass(frozen=True, slots=True)
class HostZone:
    """The zone in which a host's cron and systemd read times."""

    name: str
    """IANA name; empty where the host does not show one, or this machine does not know it."""
    offset: timedelta
    """From UTC, at the time of the reply."""

    @property
    def where(self) -> tzinfo:
        """Without a name, a zone that never changes its clocks."""
        return zone(self.name) if self.name else timezone(self.offset)

    @property
    def text(self) -> str:
        """`Europe/Prague (+02:00)`."""
        shown = f"{timezone(self.offset)}".removeprefix("UTC") or "+00:00"
        return f"{self.name} ({shown})" if self.name else f"{shown}, of no known zone"

    @classmethod
    def read(cls, fields: Mapping[str, list[str]], at: datetime) -> HostZone:
        """`at`: when the host was asked. Raises Unreadable."""
        told = dict(fields)
        offset = _offset(one(told, "offset"))
        found = _ZONE_FILE.fullmatch(one(told, "localtime"))
        # Debian's own file counts where /etc/localtime is a copy, which has no name.
        names = [found[1] if found else "", one(told, "zone").strip()]
        return cls(next((name for name in names if _fits(name, offset, at)), ""), offset)


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a far clock, between two looks at ours."""

    earliest: datetime
    """What it said, UTC."""
    latest: datetime
    """The same, or a second later where it tells whole seconds only."""
    asked_at: datetime
    """By our clock, UTC."""
    answered_at: datetime
    zone: str
    """The zone of a host, or the TimeZone and log_timezone of a server; for the report."""
    boot: str = ""
    """Boot id of a host; empty where it shows none, and for a server."""

    @property
    def offset(self) -> timedelta:
        """By how much the far clock is ahead of ours, at the least; negative when it is behind. Zero when it agrees
        within the time the answer took, so that a slow connection is never taken for a wrong clock."""
        if self.earliest > self.answered_at:
            return self.earliest - self.answered_at
        if self.latest < self.asked_at:
            return self.latest - self.asked_at
        return timedelta()


@dataclass(frozen=True)
class HostClockProbe(ShellProbe[Reading]):
    """The clock of a host. A second `attempt` is a question of its own."""

    attempt: int = 1

    def ask(self) -> str:
        return f"""\
: {self.attempt}
printf 'at=%s\\n' "$(date +%s.%N)"
{HOST_ZONE}{BOOT}"""

    def read(self, reply: Reply) -> Reading:
        fields = read_fields(reply.text)
        earliest, latest = _moments(one(fields, "at"))
        zone_text = HostZone.read(fields, reply.asked_at).text
        return replace(_reading(reply, earliest, latest, zone_text), boot=read_boot(fields))


@dataclass(frozen=True)
class ServerClockProbe(SqlProbe[Reading]):
    """The clock of a database server. A second `attempt` is a question of its own."""

    attempt: int = 1

    def ask(self) -> str:
        # The number is one of ours, not a value from outside.
        return f"""\
SELECT trunc(extract(epoch FROM clock_timestamp())::numeric, 6)::text AS at, current_setting('TimeZone') AS timezone,
  current_setting('log_timezone') AS log_timezone, '{self.attempt:d}' AS attempt"""  # noqa: S608

    def read(self, reply: Reply) -> Reading:
        rows = read_rows(reply)
        if len(rows) != 1:
            raise Unreadable(f"{len(rows)} rows, expected one")
        at, own, log = (rows[0].get(name) for name in ("at", "timezone", "log_timezone"))
        if at is None or own is None or log is None:
            raise Unreadable("no time or no zone")
        earliest, latest = _moments(at)
        return _reading(reply, earliest, latest, f"TimeZone {own[:40]}, log_timezone {log[:40]}")


def _reading(reply: Reply, earliest: datetime, latest: datetime, zone_text: str) -> Reading:
    answered_at = reply.asked_at + timedelta(seconds=reply.took_seconds)
    return Reading(earliest, latest, reply.asked_at, answered_at, zone_text)


def _moments(text: str) -> tuple[datetime, datetime]:
    """(earliest, latest) that `1797591600.25` stands for; where `date` knows no parts of a second, all of it."""
    found = _EPOCH.fullmatch(text)
    if not found:
        raise Unreadable(f"no time of date: {text[:40]!r}")
    second = datetime.fromtimestamp(int(found[1]), UTC)
    if found[2] is None or not found[2].isdecimal():
        return second, second + timedelta(seconds=1)
    moment = second + timedelta(seconds=int(found[2]) / 10 ** len(found[2]))
    return moment, moment


def _fits(name: str, offset: timedelta, at: datetime) -> bool:
    """Whether this machine knows the zone, and gives it the same time as the host does."""
    try:
        return bool(name) and at.astimezone(zone(name)).utcoffset() == offset
    except ValueError:
        return False


def _offset(text: str) -> timedelta:
    if not re.fullmatch(r"[+-]\d{4}", text):
        raise Unreadable(f"no offset of the host's zone: {text[:20]!r}")
    minutes = int(text[1:3]) * 60 + int(text[3:5])
    if minutes >= 24 * 60:
        raise Unreadable(f"no offset of the host's zone: {text}")
    return timedelta(minutes=-minutes if text[0] == "-" else minutes)
