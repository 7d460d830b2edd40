"""Names of people: whether one is there at all, and whether two of them are one person. Pure."""

from __future__ import annotations

import unicodedata

_NOBODY = frozenset({"", "na", "nobody", "none", "open", "tba", "tbd", "todo", "unknown", "vacant"})
"""What is written where a name is still missing, as `_key` leaves it."""


def is_named(name: str) -> bool:
    """Whether `name` names somebody: not empty, not `TBD`, `n/a` or `?`."""
    return _key(name) not in _NOBODY


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's: case, spaces and punctuation make no difference (`M. Ortiz`, `m ortiz`)."""
    return is_named(one) and _key(one) == _key(other)


def _key(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(character for character in plain if character.isalnum())
