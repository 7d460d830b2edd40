"""Numbers, times and names as a voice says them: a person's on the call, or a speech program's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from preflight.clock import zone
from preflight.plan import Window

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_MARKS = " .,:;-"
_SEEN_CHARACTERS = 1000
_MOST_DAYS_BY_NAME = 3
"""Before and after a day: then its week has every weekday once."""


def number(value: int) -> str:
    """`two hundred and fifty-five`; digits from a million on, which nobody says on a call."""
    if value < 0:
        return f"minus {number(-value)}"
    if value < len(_SMALL):
        return _SMALL[value]
    if value < 100:
        tens, ones = divmod(value, 10)
        return _TENS[tens] + (f"-{_SMALL[ones]}" if ones else "")
    if value < 1000:
        hundreds, rest = divmod(value, 100)
        return f"{_SMALL[hundreds]} hundred" + (f" and {number(rest)}" if rest else "")
    if value < 1_000_000:
        thousands, rest = divmod(value, 1000)
        joint = " and " if 0 < rest < 100 else " "
        return f"{number(thousands)} thousand" + (f"{joint}{number(rest)}" if rest else "")
    return str(value)


def counted(value: int, one: str, many: str = "") -> str:
    """`one check`, `three checks`."""
    return f"{number(value)} {one if value == 1 else many or one + 's'}"


def clock_time(at: datetime, window: Window) -> str:
    """24-hour radio style in the window's zone: `zero two hundred`, `zero four thirty-three`, `twenty-three zero five`.

    With the weekday on another day than the one the window starts on, with the date too where the weekday alone could
    be meant of another week, and with which of the two is meant in the hour that is repeated when clocks go back."""
    where = zone(window.zone)
    local, start = at.astimezone(where), window.start.astimezone(where)
    text = f"{_two_digits(local.hour)} {'hundred' if local.minute == 0 else _two_digits(local.minute)}"
    if local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset():
        text += f" {'after' if local.fold else 'before'} the clocks go back"
    days = (local.date() - start.date()).days
    if abs(days) > _MOST_DAYS_BY_NAME:
        return f"{day(at, window)}, {text}"
    return f"{local:%A} {text}" if days else text


def day(at: datetime, window: Window) -> str:
    """`Saturday seventeen October`, with the year where it is not the one of the window's start."""
    local, start = (each.astimezone(zone(window.zone)) for each in (at, window.start))
    year = "" if local.year == start.year else f" {number(local.year)}"
    return f"{local:%A} {number(local.day)} {local:%B}{year}"


def duration(span: timedelta) -> str:
    """`two hours thirteen minutes`; full minutes, never negative."""
    if timedelta() < span < timedelta(minutes=1):
        return "less than a minute"
    minutes = max(0, int(span.total_seconds() // 60))
    hours, minutes = divmod(minutes, 60)
    parts = [counted(hours, "hour")] if hours else []
    if minutes or not hours:
        parts.append(counted(minutes, "minute"))
    return " ".join(parts)


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    *others, last = parts
    return f"{', '.join(others)} and {last}" if others else last


def name(text: str, longest: int = 60) -> str:
    """Text that may come from anywhere, as it can be said, and not without end: a URL by its host, hyphens of check
    names as they stand, no sign that is no letter, digit or mark of a sentence."""
    without_urls = re.sub(r"\bhttps?://([^/:\s]+)\S*", r"at \1", text[:_SEEN_CHARACTERS])
    words = without_urls.replace("@", " at ").replace("_", " ")
    said = " ".join(re.sub(r"[^\w.,:;' -]", " ", words).split()).strip(_MARKS)
    if len(said) <= longest:
        return said
    begin = said[:longest]
    return (begin.rpartition(" ")[0] or begin).strip(_MARKS) + " and so on"


def _two_digits(value: int) -> str:
    return f"zero {_SMALL[value]}" if value < 10 else number(value)
