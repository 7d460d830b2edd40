"""Questions about clocks: what time it is at the far end, and in which zone."""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Self

from preflight.clock import zone
from preflight.probe import CLOCK_SET, ClockSet, Reply, Unreadable
from preflight.questions.fields import read_lines, read_row
from preflight.questions.shell import BOOT, BootId, ShellProbe
from preflight.questions.sql import SqlProbe

HOST_ZONE = """\
printf 'offset=%s\\n' "$(unset TZ; date +%z)"
printf 'localtime=%s\\n' "$(readlink -f /etc/localtime 2>/dev/null | cut -c 1-200)"
printf 'zone=%s\\n' "$(head -n 1 /etc/timezone 2>/dev/null | cut -c 1-60)"
"""
"""Tells the zone of a host's daemons, as `ZoneTold` has it. The session's own TZ is UTC."""


@dataclass(frozen=True, kw_only=True)
class ZoneTold:
    """The lines of `HOST_ZONE`."""

    offset: timedelta
    localtime: str
    zone: str


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
    def of(cls, told: ZoneTold, at: datetime) -> Self:
        """Of the zone that this machine knows, too, and gives the time that the host has. `at`: when it was asked."""
        found = re.fullmatch(r".*/zoneinfo/(?:posix/|right/)?([A-Za-z][\w+/-]*)", told.localtime)
        # Debian's own file counts where /etc/localtime is a copy, which has no name.
        for name in (found[1] if found else "", told.zone.strip()):
            with suppress(ValueError):
                if name and at.astimezone(zone(name)).utcoffset() == told.offset:
                    return cls(name, told.offset)
        return cls("", told.offset)


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
        return min(self.latest - self.asked_at, timedelta())


@dataclass(frozen=True, kw_only=True)
class _HostTold(ZoneTold):
    at: str
    boot: BootId


@dataclass(frozen=True, slots=True)
class _ServerTold:
    at: str
    timezone: str
    log_timezone: str


@dataclass(frozen=True)
class HostClockProbe(ShellProbe[Reading]):
    """The clock of a host. A second `attempt` is a question of its own."""

    attempt: int = 1

    def ask(self) -> str:
        return f"""\
: {self.attempt}
printf 'at=%s\\n' "$(date +%s.%N)"
{HOST_ZONE}{BOOT}echo end=yes"""

    def read(self, reply: Reply) -> Reading:
        told = read_lines(_HostTold, reply)
        return _reading(reply, told.at, HostZone.of(told, reply.asked_at).text, told.boot)


@dataclass(frozen=True)
class ServerClockProbe(SqlProbe[Reading]):
    """The clock of a database server. A second `attempt` is a question of its own."""

    attempt: int = 1

    def ask(self) -> str:
        return f"""\
-- attempt {self.attempt:d}
SELECT trunc(extract(epoch FROM clock_timestamp())::numeric, 6)::text AS at, current_setting('TimeZone') AS timezone,
  current_setting('log_timezone') AS log_timezone"""  # noqa: S608

    def read(self, reply: Reply) -> Reading:
        told = read_row(_ServerTold, reply)
        return _reading(reply, told.at, f"TimeZone {told.timezone[:40]}, log_timezone {told.log_timezone[:40]}")


def _reading(reply: Reply, at: str, zone_text: str, boot: str = "") -> Reading:
    """`at`: `1797591600.25`; where `date` knows no parts of a second, it may be any part of that one."""
    if by := reply.session.get(CLOCK_SET):
        raise ClockSet(f"this machine's clock was set {by} meanwhile")
    found = re.fullmatch(r"(\d{9,11})(?:\.(\d{1,9}|N|%N))?", at)
    if not found:
        raise Unreadable(f"no time of date: {at[:40]!r}")
    earliest = latest = datetime.fromtimestamp(int(found[1]), UTC)
    if found[2] and found[2].isdecimal():
        earliest = latest = earliest + timedelta(seconds=int(found[2]) / 10 ** len(found[2]))
    else:
        latest += timedelta(seconds=1)
    answered_at = reply.asked_at + timedelta(seconds=reply.took_seconds)
    return Reading(earliest, latest, reply.asked_at, answered_at, zone_text, boot)
