"""How every part of the program counts, shortens and shows text in a sentence. Pure; imports nothing of ours."""

from __future__ import annotations

import inspect
import unicodedata
from collections.abc import Iterable
from pathlib import Path

MOST_NAMED = 8
"""Of one kind; more are counted."""


def beside(folder: Path, path: Path) -> str:
    """`path` as seen from `folder`, where it lies below."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def counted(number: int, one: str, many: str = "") -> str:
    """`1 check`, `3 checks`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(names: Iterable[str], most: int, joint: str = ", ") -> str:
    """`a, b`; of more than `most`, the first ones and how many are left out: `a, b, and 3 more`."""
    every = list(names)
    left = len(every) - most
    return joint.join([*every[:most], f"and {left} more"] if left > 0 else every)


def named(names: Iterable[str]) -> str:
    """Names of scripts, which may hold anything, the first of them. A line break is no blank in a name."""
    return listed((visible(name.replace("\n", "\\n")) for name in names), MOST_NAMED)


def shortened(text: str, most: int) -> str:
    """The first `most` characters, and how many are left out."""
    return text if len(text) <= most else f"{text[:most]} .. and {len(text) - most} more characters"


def first_paragraph(described: object) -> str:
    """Of its docstring, on one line; empty for one without."""
    return " ".join(inspect.cleandoc(described.__doc__ or "").partition("\n\n")[0].split())


def visible(text: str) -> str:
    """`text` on one line without a character that moves the cursor, turns text round or hides: line breaks, tabs and
    unusual blanks become a blank, any other such character a backslash escape."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode("ascii")
