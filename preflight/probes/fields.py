"""Reads replies made of `name=value` lines, strictly: what does not have that shape is no answer."""

from __future__ import annotations

from preflight.probe import Unreadable

_LONGEST_SHOWN = 60


def read_fields(text: str) -> dict[str, list[str]]:
    """Name -> its values in order, empty lines left out. Raises Unreadable for any other line."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if not equals or not name.replace("_", "").isalnum():
            if line.strip():
                raise Unreadable(f"no name=value line: {line[:_LONGEST_SHOWN]!r}")
            continue
        found.setdefault(name, []).append(value)
    return found


def one(fields: dict[str, list[str]], name: str) -> str:
    """The only value of a name. Raises Unreadable when there is none, or more than one."""
    values = fields.get(name, [])
    if len(values) != 1:
        raise Unreadable(f"{len(values)} values of {name}, expected one")
    return values[0]


def whole_number(text: str, what: str) -> int:
    """Raises Unreadable for anything but an optional minus and ASCII digits."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        raise Unreadable(f"{what} is no whole number: {text[:_LONGEST_SHOWN]!r}")
    return int(text)
