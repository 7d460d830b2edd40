"""Which objects of a database the scripts of an entry touch, and who says so. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from preflight.plan import Scripts
from preflight.questions.sql import quote_literal


@dataclass(frozen=True, slots=True)
class TouchedObjects:
    """What scripts touch, as their entry of the plan declares it."""

    told_by: str = ""
    """Who says so, in words; empty where nobody does, and then nothing of it is known."""
    altered: tuple[str, ...] = ()
    """Patterns of what they create, alter or drop; `*` stands for any text."""
    rows: tuple[str, ...] = ()
    """Patterns of tables of which they only read or change rows."""

    @property
    def in_sql(self) -> str:
        """The condition that an object of schema `n.nspname` and name `c.relname` is one of them."""
        return condition([*self.altered, *self.rows])


def condition(patterns: Iterable[str]) -> str:
    """In SQL: the object of schema `n.nspname` and name `c.relname` fits one of them; false for none."""
    wanted = ", ".join(quote_literal(as_regular_expression(pattern)) for pattern in patterns)
    return f"n.nspname || '.' || c.relname ~ ANY (ARRAY[{wanted}]::text[])"


def as_regular_expression(pattern: str) -> str:
    """Of a pattern of the plan, for the whole text; PostgreSQL and Python read it alike."""
    parts = (re.sub(r"([^\w])", r"\\\1", part) for part in pattern.split("*"))
    return f"^{'.*'.join(parts)}$"


def touched_objects(entry: Scripts) -> TouchedObjects:
    """Of one entry of `[scripts]`."""
    keys = [key for key, given in (("touches", entry.touches), ("writes_rows", entry.writes_rows)) if given]
    if not keys:
        return TouchedObjects()
    told = " and ".join(f"`{key}`" for key in keys)
    return TouchedObjects(f"{told} of [scripts.{entry.id}]", entry.touches, entry.writes_rows)
