"""Whether a cache answered instead of the application: by the headers that caches add, and by the date of the answers.
Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from preflight.questions.http import HttpAnswer
from preflight.units import format_duration

_TELLING = ("cache", "cache-status", "cache-remote", "cache-result")
"""How the names of headers end in which a cache says what it did: `X-Cache`, `CF-Cache-Status`, `X-Proxy-Cache`."""
_SERVED = re.compile(r"(?:hit|stale|updating|revalidated)(?![a-z])", re.IGNORECASE)
_OLD_SECONDS = 60
"""A date this much older than the question is no difference of clocks that are kept right."""
_STILL_SECONDS = 1.9
"""Over which a server's own date cannot stand still: it counts seconds, and some renew it once a second."""


def cache_mark(answers: Sequence[HttpAnswer]) -> str:
    """What shows that a cache gave these answers of one address; empty when nothing does."""
    marks = (mark for each in answers if (mark := _in_headers(each)))
    return next(marks, "") or _in_dates(answers)


def _in_headers(answer: HttpAnswer) -> str:
    for name, value in answer.headers.items():
        if name == "age":
            served = value.isascii() and value.isdigit() and int(value) > 0
        elif name == "x-varnish":
            served = len(value.split()) > 1  # of the request, and of the one whose answer was kept
        elif name.endswith("cache-hits"):
            served = any(int(number) > 0 for number in re.findall(r"\d+", value))
        elif name == "cache-status":  # RFC 9211: `fwd=stale` was forwarded
            served = re.search(r";\s*hit\b", value) is not None
        else:
            served = name.endswith(_TELLING) and _SERVED.search(value) is not None
        if served:
            return f"{name}: {value}"
    return ""


def _in_dates(answers: Sequence[HttpAnswer]) -> str:
    """A kept answer's date stands still; that of a server whose clock is wrong moves on."""
    dated = [(each.asked_at, at) for each in answers if (at := _date(each.headers.get("date", ""))) is not None]
    if not dated:
        return ""
    lags = [(asked_at - at).total_seconds() for asked_at, at in dated]
    seconds = (dated[-1][0] - dated[0][0]).total_seconds()
    moves_on = seconds >= _STILL_SECONDS and max(lags) - min(lags) < _STILL_SECONDS
    if min(lags) > _OLD_SECONDS and not moves_on:
        return f"dated {format_duration(timedelta(seconds=min(lags)))} before it was asked"
    if seconds >= _STILL_SECONDS and len({at for _, at in dated}) == 1:
        return f"{len(dated)} answers within {seconds:.0f} s with one date"
    return ""


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
