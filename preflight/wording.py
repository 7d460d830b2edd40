"""How every part of the program counts, shortens and shows text in a sentence. Pure; imports nothing of ours."""

import inspect
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date, time
from pathlib import Path
from typing import Any

MASK = "[secret]"
"""Stands for the value of a secret in everything that is written."""
MOST_NAMED = 8
"""Of one kind; more are counted."""
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_DROPPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Controls, bidi and other format characters, surrogates."""


def beside(folder: Path, path: Path) -> str:
    """`path` as seen from `folder`, where it lies below."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def counted(number: int, one: str, many: str = "") -> str:
    """`1 check`, `3 checks`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(names: Iterable[str], most: int, joint: str = ", ", *, total: int = 0) -> str:
    """`a, b`; of more than `most`, the first ones and how many are left out: `a, b, and 3 more`. `total`: how many
    there are, where not all are told by name."""
    every = list(names)
    left = max(total, len(every)) - min(most, len(every))
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
    blank = "".join(" " if each in "\n\t" or unicodedata.category(each) == "Zs" else each for each in text)
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in blank)


def one_line(text: str, limit: int = 300) -> str:
    """`text` of a server without escape sequences, control and direction characters, on one line of at most `limit`
    characters, fit to stand in a sentence: everything remote is hostile."""
    plain = _ESCAPE_SEQUENCE.sub("", text[: limit * 20])
    spaced = "".join(" " if char in "\r\n\t\v\f" else char for char in plain)
    kept = "".join(char for char in spaced if unicodedata.category(char) not in _DROPPED_CATEGORIES)
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def in_toml(value: Any) -> str:
    """A value as a plan writes it, on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml_key(name)} = {in_toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(in_toml, value))}]"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, str):
        chars = (_ESCAPES.get(char) or (char if char.isprintable() else f"\\U{ord(char):08x}") for char in value)
        return f'"{"".join(chars)}"'
    return json.dumps(value)


def toml_key(name: str) -> str:
    """A key as a plan writes it: bare where it may stand so."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else in_toml(name)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
