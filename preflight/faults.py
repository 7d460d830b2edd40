"""Words for what is wrong with something that was read: its place, its kind, the name that was probably meant."""

from collections.abc import Collection, Mapping
from datetime import date, datetime, time
from difflib import SequenceMatcher
from typing import Any

from preflight import wording
from preflight.probe import Unreadable

LONGEST_SHOWN = 60
_MOST_LISTED = 12
_MOST_COMPARED = 200
_LEAST_SIMILARITY = 0.6

Keys = tuple[str | int, ...]
"""Keys from the top of what is read; elements of arrays count from 0."""


class Misfit(Unreadable):
    """A value that its annotation refuses. Says what was expected; what may be a misplaced secret is not repeated."""

    def __init__(self, message: str, nearest: str = "") -> None:
        super().__init__(message)
        self.nearest = nearest
        """The known word that was probably meant."""


def expected(what: str, value: Any, advice: str = "") -> Misfit:
    return Misfit(f"expected {what}, found {kind_of(value)}" + (f"; {advice}" if advice else ""))


KINDS: Mapping[type, str] = {  # the narrower kinds first
    str: "a string", bool: "a boolean", int: "an integer", float: "a number", datetime: "a date and time",
    date: "a date", time: "a time of day", list: "an array", dict: "a table",
}  # fmt: skip
"""What TOML holds, in words."""


def kind_of(value: Any) -> str:
    """What a value is, without the value itself."""
    return next((words for kind, words in KINDS.items() if isinstance(value, kind)), "nothing")


def dotted(keys: Keys) -> str:
    """`databases.orders.host`, `hosts."db 1"`, `steps[2].undo`: the key path as in a plan; elements count from 1."""
    return "".join(f"[{key + 1}]" if isinstance(key, int) else f".{_key(key)}" for key in keys).removeprefix(".")


def _key(key: str) -> str:
    return key if wording.toml_key(key) == key and len(key) <= LONGEST_SHOWN else quoted(key)


def quoted(text: str) -> str:
    """`text` in quotes, on one line, cut when long."""
    cut = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
    return f'"{wording.visible(cut)}"'


def listed(names: Collection[str]) -> str:
    """The names, quoted; a long list is cut."""
    return wording.listed(map(quoted, names), _MOST_LISTED) or "none"


def not_declared(name: str, where: str, declared: Collection[str]) -> Misfit:
    """The fault of a name that should be declared in `where`."""
    nearest = nearest_name(name, declared)
    known = "" if nearest else f"; declared: {listed(declared)}"
    return Misfit(f"{quoted(name)} is not declared in {where}{known}", nearest)


def nearest_name(name: str, known: Collection[str]) -> str:
    """The known name that was probably meant, the first of those equally near; empty when none is near."""
    if len(name) > LONGEST_SHOWN or len(known) > _MOST_COMPARED:  # comparing takes time with the square of the length
        return ""
    best, similarity, matcher = "", _LEAST_SIMILARITY, SequenceMatcher(None, b=name.lower())
    for each in known:
        matcher.set_seq1(each.lower())
        if len(each) <= LONGEST_SHOWN and matcher.quick_ratio() > similarity and matcher.ratio() > similarity:
            best, similarity = each, matcher.ratio()
    return wording.visible(best)
