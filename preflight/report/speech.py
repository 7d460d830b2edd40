"""Numbers, times and names as a voice says them: a person's on the call, or a speech program's."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from preflight.clock import zone
from preflight.plan import Window
from preflight.report.layout import clean

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NAME_CHARACTERS = 60
_SEEN_CHARACTERS = 1000


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

    With the weekday on another day than the one the window starts on."""
    where = zone(window.zone)
    local, start = at.astimezone(where), window.start.astimezone(where)
    text = f"{_two_digits(local.hour)} {'hundred' if local.minute == 0 else _two_digits(local.minute)}"
    return text if local.date() == start.date() else f"{local:%A} {text}"


def day(at: datetime, window: Window) -> str:
    """`Saturday seventeen October`."""
    local = at.astimezone(zone(window.zone))
    return f"{local:%A} {number(local.day)} {local:%B}"


def duration(span: timedelta) -> str:
    """`two hours thirteen minutes`; to the minute, never negative."""
    minutes = max(0, int(span.total_seconds() // 60))
    hours, minutes = divmod(minutes, 60)
    parts = [counted(hours, "hour")] if hours else []
    if minutes or not hours:
        parts.append(counted(minutes, "minute"))
    return " ".join(parts)


def name(text: str) -> str:
    """A name that may come from anywhere, as it can be said: a URL by its host, hyphens of check names as they stand,
    nothing that is no letter, digit or mark within a name, and not without end."""
    without_urls = re.sub(r"\bhttps?://([^/\s]+)\S*", r"at \1", clean(text[:_SEEN_CHARACTERS]))
    said = " ".join(re.sub(r"[^\w.,:@' -]", " ", without_urls).replace("_", " ").split())
    if len(said) > _NAME_CHARACTERS:
        said = said[:_NAME_CHARACTERS].rpartition(" ")[0] + " and so on"
    return said.strip(" .,:-")


def _two_digits(value: int) -> str:
    return f"zero {_SMALL[value]}" if value < 10 else number(value)
