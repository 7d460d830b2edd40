"""Sizes and durations as texts, both ways: the units of plans, waivers and reports. Pure; imports nothing of ours."""

import math
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

_SECONDS = {"d": 86400, "h": 3600, "min": 60, "s": 1}
_BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_BASES = {
    **{unit: (Decimal(seconds), "s") for unit, seconds in _SECONDS.items()},
    "ms": (Decimal("0.001"), "s"),
    **{unit: (Decimal(size), "B") for unit, size in _BYTES.items()},
    "B": (Decimal(1), "B"),
    "": (Decimal(1), ""),
}
UNITS = tuple(filter(None, _BASES))
_PART = r"(\d+(?:\.\d+)?)\s*(min|s|h|d)\s*"
_QUANTITY = re.compile(r"(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)")

DURATION = rf"^\s*(?:{_PART})+$"
"""What `parse_duration` takes."""
SIZE = r"^(\d+(?:\.\d+)?) ?([KMGT]iB)$"
"""What `parse_size` takes."""


def parse_duration(text: str) -> timedelta:
    """A duration such as `90s`, `30min`, `26h`, `2d`, or a sum `1h 30min`. Raises ValueError and OverflowError."""
    if not re.fullmatch(DURATION, text):
        raise ValueError(f"{text!r} is no duration; write for example 90s, 30min, 26h, 2d")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, text)))


def parse_size(text: str) -> int:
    """A size such as `20GiB` in bytes. Raises ValueError."""
    found = re.fullmatch(SIZE, text, re.ASCII)
    if found is None:
        raise ValueError(f"{text!r} is no size; write for example 20GiB")
    return round(float(found[1]) * _BYTES[found[2]])


def parse_quantity(text: str) -> tuple[float, str] | None:
    """`900 ms` as (0.9, "s"), `12 GiB` in bytes, `3` as a plain number; None for anything else."""
    found = _QUANTITY.fullmatch(text.strip())
    if found is None or found[2] not in _BASES:
        return None
    factor, unit = _BASES[found[2]]
    return float(Decimal(found[1]) * factor), unit


def format_duration(duration: timedelta) -> str:
    """The two largest units that matter: `1 h 30 min`, `45 s`, `3 d 4 h`; negative durations carry a minus."""
    seconds = round(duration.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    parts = []
    for unit, size in _SECONDS.items():
        count, seconds = divmod(seconds, size)
        parts += [f"{count} {unit}"] if count else []
    return sign + (" ".join(parts[:2]) or "0 s")


def format_size(count: float) -> str:
    """`1.5 GiB`, rounded down: of what there is, no text promises more."""
    return _format(count, math.floor)


def format_need(count: float) -> str:
    """`1.6 GiB`, rounded up: of what is needed, no text asks for less."""
    return _format(count, math.ceil)


def _format(count: float, whole: Callable[[float], int]) -> str:
    """One decimal at most, in the largest unit of which there is at least one."""
    shown = {unit: whole(count / size * 10) / 10 for unit, size in ({"B": 1} | _BYTES).items()}
    unit = next((unit for unit, number in shown.items() if number < 1024), "TiB")
    return f"{shown[unit]:g} {unit}"
