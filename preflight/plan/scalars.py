"""Single values of a plan: from what TOML holds to what the plan's types hold.

Each reader takes a TOML value and gives the typed one, or raises Misfit. No message repeats a value that could be a
secret in the wrong place."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from preflight import record
from preflight.clock import local_to_utc
from preflight.faults import Misfit, expected, listed, quoted
from preflight.plan.limits import Matches, filled, remote_path
from preflight.plan.values import SYSTEM_ROOTS, Account, Bytes, RemotePath, Roots, SecretRef, Sha256
from preflight.probe import T
from preflight.units import parse_duration, parse_size

_LONGEST_WORD = 64
_LEFT_TO_DO = re.compile(r"TODO\b")
"""How a text begins that `preflight init` left to people."""
_INT64 = 2**63  # TOML's integers have 64 bits; tomllib reads longer ones
_YEARS = range(2000, 2200)
_LONGEST_DURATION = timedelta(days=3660)
_LARGEST_BYTES = 2**60


def text(value: Any, *, many_lines: bool = False) -> str:
    if not isinstance(value, str):
        raise expected("a string", value, "write it in quotes" if isinstance(value, int | float | date) else "")
    if _LEFT_TO_DO.match(value):
        raise Misfit("is still to be filled in (TODO)")
    for char in value:
        if not char.isprintable() and not (many_lines and char in "\n\r\t"):
            raise Misfit(f"holds a character that cannot be printed (U+{ord(char):04X})")
    return value


def _text(*limits: Callable[[str], str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        found = text(value)
        for limit in limits:
            if complaint := limit(found):
                raise Misfit(complaint)
        return found

    return read


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise expected("an integer", value)
    if not -_INT64 <= value < _INT64:
        raise Misfit("does not fit into 64 bits")
    return value


def _number(value: Any) -> float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Misfit("expected a finite number")
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise expected("a number", value)
    return float(_integer(value))


def _duration(value: Any) -> timedelta:
    duration = _measured(value, parse_duration, 'a duration such as "30min"', "s, min, h", "d")
    if duration > _LONGEST_DURATION:
        raise Misfit("must be at most 10 years")
    return duration


def _size(value: Any) -> Bytes:
    size = _measured(value, parse_size, 'a size such as "20GiB"', "KiB, MiB, GiB", "TiB")
    if size > _LARGEST_BYTES:
        raise Misfit("is larger than any file system")
    return Bytes(size)


def _measured(value: Any, parse: Callable[[str], T], example: str, units: str, last: str) -> T:
    if not isinstance(value, str):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        raise expected(example, value, f"write it in quotes with {units} or {last}" if is_number else "")
    if len(value) > _LONGEST_WORD or not value.isprintable():
        raise Misfit(f"expected {example}, found another text")
    try:
        return parse(value)
    except (ValueError, OverflowError):
        raise Misfit(f"expected {example}, found {quoted(value)}; units are {units} and {last}") from None


def _moment(zone: str, value: Any) -> datetime:
    example = "a date and time such as 2026-10-17T00:00:00"
    if not isinstance(value, datetime):
        advice = _unquoted(value, day=False) if isinstance(value, str) else ""
        raise expected(example, value, "write the time too" if isinstance(value, date) else advice)
    _check_year(value)
    try:
        return local_to_utc(value, zone)
    except ValueError as error:
        raise Misfit(str(error)) from None


def _day(value: Any) -> date:
    if isinstance(value, datetime) or not isinstance(value, date):
        advice = _unquoted(value, day=True) if isinstance(value, str) else ""
        raise expected("a date such as 2026-10-10", value, advice)
    _check_year(value)
    return value


def _unquoted(text: str, *, day: bool) -> str:
    """How to write a time, or a day, that stands in quotes, where it is one in all but that. TOML wants seconds."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return "write it so, without quotes"
    if not day and len(text.strip()) <= len("2026-10-17"):
        return "write the time too, without quotes"
    written = found.date() if day else found.replace(tzinfo=None)
    return f"write {written.isoformat()}, without quotes"


def _check_year(value: date) -> None:
    if value.year not in _YEARS:
        raise Misfit(f"the year must be between {_YEARS.start} and {_YEARS.stop - 1}")


def _local_path(folder: Path, value: Any) -> Path:
    try:
        return folder / Path(_text(filled)(value)).expanduser()
    except RuntimeError:
        raise Misfit("begins with ~, and the home directory is not known") from None


def _secret(value: Any) -> SecretRef:
    if not isinstance(value, str):
        raise expected('a secret reference such as "env:DB1_PASSWORD"', value)
    written = text(value)
    try:
        return SecretRef.parse(written)
    except ValueError as error:
        raise Misfit(str(error)) from None


def readers(folder: Path, zone: str) -> Mapping[Any, Callable[[Any], Any]]:
    """Type of the plan -> its reader. `folder`: the plan's, absolute; `zone`: in which its times are written. Texts and
    choices are read apart: they depend on their annotation."""
    return {
        object: lambda value: value,  # as TOML holds it
        bool: record.exactly(bool, "true or false"),
        int: _integer,
        float: _number,
        timedelta: _duration,
        Bytes: _size,
        datetime: partial(_moment, zone),
        date: _day,
        Path: partial(_local_path, folder),
        Roots: lambda value: SYSTEM_ROOTS if value == str(SYSTEM_ROOTS) else _local_path(folder, value),
        RemotePath: _text(filled, remote_path),
        Sha256: _text(Matches("[0-9a-f]{64}", "a SHA-256 sum, 64 digits of 0-9 and a-f in lower case")),
        Account: _text(
            filled, Matches(r"[^\s-]\S*", "an account name, without white space and not beginning with a hyphen")
        ),
        SecretRef: _secret,
    }


def choice(kind: type[StrEnum], value: Any) -> StrEnum:
    """The member of `kind` that `value` names."""
    if isinstance(value, str) and _LEFT_TO_DO.match(value):
        raise Misfit(f"is still to be filled in (TODO); one of {listed(list(map(str, kind)))}")
    return record.choice(kind, value)
