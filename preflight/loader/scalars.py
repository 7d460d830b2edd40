"""Single values of a plan: from what TOML holds to what the plan's types hold.

Each reader takes a TOML value and gives the typed one, or raises `Wrong`. No message repeats a value that could be a
secret in the wrong place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from preflight.clock import local_to_utc, parse_duration
from preflight.loader.problems import kind_of, listed, nearest_name, quoted
from preflight.plan import Account, Bytes, RemotePath, SecretRef, Sha256

_LONGEST_WORD = 64
_LEFT_TO_DO = re.compile(r"TODO\b")
"""How a text begins that `preflight init` left to people."""
_INT64 = 2**63  # TOML's integers have 64 bits; tomllib reads longer ones
_YEARS = range(2000, 2200)
_LONGEST_DURATION = timedelta(days=3660)
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>[KMGT]iB)", re.ASCII)
_UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_LARGEST_BYTES = 2**60


class Wrong(ValueError):
    """A value that the plan cannot hold; the text says what was expected."""

    def __init__(self, message: str, nearest: str = "") -> None:
        super().__init__(message)
        self.nearest = nearest


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the meaning of a value depends on."""

    folder: Path
    """The plan's folder, absolute."""
    zone: str
    """IANA name of the zone in which the plan's times are written."""


def expected(what: str, value: Any, advice: str = "") -> Wrong:
    """`Wrong` for a value of another TOML type."""
    return Wrong(f"expected {what}, found {kind_of(value)}" + (f"; {advice}" if advice else ""))


def text(value: Any, *, many_lines: bool = False) -> str:
    if not isinstance(value, str):
        unquoted = isinstance(value, int | float | date)
        raise expected("a string", value, "write it in quotes" if unquoted else "")
    if _LEFT_TO_DO.match(value):
        raise Wrong("is still to be filled in (TODO)")
    for char in value:
        if not char.isprintable() and not (many_lines and char in "\n\r\t"):
            raise Wrong(f"holds a character that cannot be printed (U+{ord(char):04X})")
    return value


def _filled(value: Any) -> str:
    found = text(value)
    if not found.strip():
        raise Wrong("is empty")
    return found


def _boolean(value: Any, _: Surroundings) -> bool:
    if not isinstance(value, bool):
        raise expected("true or false", value)
    return value


def _integer(value: Any, _: Surroundings) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise expected("an integer", value)
    if not -_INT64 <= value < _INT64:
        raise Wrong("does not fit into 64 bits")
    return value


def _number(value: Any, around: Surroundings) -> float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Wrong("expected a finite number")
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise expected("a number", value)
    return float(_integer(value, around))


def _duration(value: Any, _: Surroundings) -> timedelta:
    example = 'a duration such as "30min"'
    if not isinstance(value, str):
        raise expected(example, value, "write it in quotes with s, min, h or d" if _is_number(value) else "")
    if len(value) > _LONGEST_WORD or not value.isprintable():
        raise Wrong(f"expected {example}, found another text")
    try:
        duration = parse_duration(value)
    except (ValueError, OverflowError):
        raise Wrong(f"expected {example}, found {quoted(value)}; units are s, min, h and d") from None
    if duration > _LONGEST_DURATION:
        raise Wrong("must be at most 10 years")
    return duration


def _size(value: Any, _: Surroundings) -> Bytes:
    example = 'a size such as "20GiB"'
    if not isinstance(value, str):
        raise expected(example, value, "write it in quotes with KiB, MiB, GiB or TiB" if _is_number(value) else "")
    match = _SIZE.fullmatch(value) if len(value) <= _LONGEST_WORD else None
    if match is None:
        raise Wrong(f"expected {example}, found {quoted(value)}; units are KiB, MiB, GiB and TiB")
    size = float(match["number"]) * _UNITS[match["unit"]]
    if size > _LARGEST_BYTES:
        raise Wrong("is larger than any file system")
    return Bytes(round(size))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _moment(value: Any, around: Surroundings) -> datetime:
    example = "a date and time such as 2026-10-17T00:00:00"
    if not isinstance(value, datetime):
        advice = "write it without quotes" if isinstance(value, str) else ""
        raise expected(example, value, "write the time too" if isinstance(value, date) else advice)
    _check_year(value)
    if value.tzinfo is not None:  # 02:30Z in a plan for New York is two times to two people
        raise Wrong(f"write the local time of {around.zone}, without an offset or Z")
    try:
        return local_to_utc(value, around.zone)
    except ValueError as error:
        raise Wrong(str(error)) from None


def _day(value: Any, _: Surroundings) -> date:
    if isinstance(value, datetime) or not isinstance(value, date):
        advice = "write it without quotes" if isinstance(value, str) else ""
        raise expected("a date such as 2026-10-10", value, advice)
    _check_year(value)
    return value


def _check_year(value: date) -> None:
    if value.year not in _YEARS:
        raise Wrong(f"the year must be between {_YEARS.start} and {_YEARS.stop - 1}")


def _local_path(value: Any, around: Surroundings) -> Path:
    path = Path(_filled(value))
    try:
        return around.folder / path.expanduser()
    except RuntimeError:
        raise Wrong("begins with ~, and the home directory is not known") from None


def _remote_path(value: Any, _: Surroundings) -> RemotePath:
    path = _filled(value)
    if not path.startswith("/"):
        raise Wrong("expected an absolute path on the host, beginning with /")
    if ".." in path.split("/"):
        raise Wrong("a path on a host must not go up with ..")
    return RemotePath(path)


def _sha256(value: Any, _: Surroundings) -> Sha256:
    if not re.fullmatch(r"[0-9a-f]{64}", text(value)):
        raise Wrong("expected a SHA-256 sum, 64 digits of 0-9 and a-f in lower case")
    return Sha256(value)


def _account(value: Any, _: Surroundings) -> Account:
    name = _filled(value)
    if name.startswith("-") or any(char.isspace() for char in name):
        raise Wrong("expected an account name, without white space and not beginning with a hyphen")
    return Account(name)


def _secret(value: Any, _: Surroundings) -> SecretRef:
    if not isinstance(value, str):
        raise expected('a secret reference such as "env:DB1_PASSWORD"', value)
    try:
        return SecretRef.parse(text(value))
    except Wrong:
        raise
    except ValueError as error:
        raise Wrong(str(error)) from None


READERS: Mapping[Any, Callable[[Any, Surroundings], Any]] = {
    object: lambda value, _: value,  # as TOML holds it
    bool: _boolean,
    int: _integer,
    float: _number,
    timedelta: _duration,
    Bytes: _size,
    datetime: _moment,
    date: _day,
    Path: _local_path,
    RemotePath: _remote_path,
    Sha256: _sha256,
    Account: _account,
    SecretRef: _secret,
}
"""Type of the plan -> its reader. Texts and choices are read apart: they depend on their annotation."""


def choice(kind: type[StrEnum], value: Any) -> StrEnum:
    """The member of `kind` that `value` names."""
    choices = [str(member) for member in kind]
    if not isinstance(value, str):
        raise expected(f"one of {listed(choices)}", value)
    if _LEFT_TO_DO.match(value):
        raise Wrong(f"is still to be filled in (TODO); one of {listed(choices)}")
    if value not in choices:
        shown = quoted(value) if len(value) <= _LONGEST_WORD else "it"
        raise Wrong(f"{shown} is not one of {listed(choices)}", nearest_name(value, choices))
    return kind(value)
