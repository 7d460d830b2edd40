"""Collects what is wrong with a plan, and the words for it."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date, datetime, time
from difflib import SequenceMatcher
from typing import Any

from preflight import wording
from preflight.errors import PlanProblem
from preflight.loader.lines import KeyPath
from preflight.loader.source import Source, printable

_LONGEST_SHOWN = 60
_MOST_LISTED = 12
_MOST_COMPARED = 200
_LEAST_SIMILARITY = 0.6


class Problems:
    """Every problem of one plan, each with the line of its key."""

    def __init__(self, source: Source) -> None:
        self.found: list[PlanProblem] = []
        self._source = source

    def add(self, keys: KeyPath, message: str, nearest: str = "") -> None:
        """`keys`: what it is about; a key that is missing gets the line of the table that should hold it."""
        line = self._source.nearest_line(keys)
        self.found.append(PlanProblem(self._source.name, line, dotted(keys), message, nearest))

    def add_unknown(self, keys: KeyPath, message: str, known: Collection[str]) -> None:
        """A name that is none of `known`: says which one is nearest, or else which there are."""
        nearest = nearest_name(str(keys[-1]), known)
        self.add(keys, message if nearest else f"{message}; known: {listed(known)}", nearest)


def dotted(keys: KeyPath) -> str:
    """`databases.orders.host`, `hosts."db 1"`, `steps[2].undo`: the key path as the file would write it; elements of
    arrays count from 1."""
    parts = (f"[{key + 1}]" if isinstance(key, int) else f".{_key(key)}" for key in keys)
    return "".join(parts).removeprefix(".")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) and len(key) <= _LONGEST_SHOWN else quoted(key)


def quoted(text: str) -> str:
    """`text` in quotes, on one line, cut when long."""
    cut = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
    return f'"{printable(cut)}"'


def listed(names: Collection[str]) -> str:
    """The names, quoted; a long list is cut."""
    return wording.listed(map(quoted, names), _MOST_LISTED) or "none"


def nearest_name(name: str, known: Collection[str]) -> str:
    """The known name that was probably meant, the first of those equally near; empty when none is near."""
    if len(name) > _LONGEST_SHOWN or len(known) > _MOST_COMPARED:  # comparing takes time with the square of the length
        return ""
    best, similarity = "", _LEAST_SIMILARITY
    for each in known:
        ratio = SequenceMatcher(None, each.lower(), name.lower()).ratio() if len(each) <= _LONGEST_SHOWN else 0.0
        if ratio > similarity:
            best, similarity = each, ratio
    return printable(best)


def kind_of(value: Any) -> str:
    """What a TOML value is, in TOML's words, without the value itself."""
    match value:
        case str():
            return "a string"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a number"
        case datetime():
            return "a date and time"
        case date():
            return "a date"
        case time():
            return "a time of day"
        case list():
            return "an array"
        case _:
            return "a table"
