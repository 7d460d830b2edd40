"""Pieces of Markdown (CommonMark with GitHub's tables) in which text from elsewhere stays text. Pure.

A change system may strip HTML, send mail to whoever is `@mentioned` and link `#12`: what could start such a thing
stands in a code span, which none of them looks into.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from preflight.report.layout import clean, clean_lines

_MOST_CHARACTERS = 2000
_MOST_LINES = 200
_SPECIAL = re.compile(r"([\\`*\[\]<>|&~])")
_EDGE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_LINKED = re.compile(r"@|#\w|://|\bwww\.|\bmailto:|^[0-9a-f]{7,40}$|:\w+:", re.IGNORECASE)
"""What GitHub and GitLab make a link, a mention or an emoji of by themselves."""


def escaped(text: str) -> str:
    """One line that renders as `text`; what is too long is cut, and says by how much."""
    shown = clean(text[:_MOST_CHARACTERS])
    words = [code(word) if _LINKED.search(word) else _plain(word) for word in shown.split(" ")]
    more = f" .. and {len(text) - _MOST_CHARACTERS} more characters" if len(text) > _MOST_CHARACTERS else ""
    return " ".join(words) + more


def code(text: str) -> str:
    """A code span, also inside a table, where a bar ends the cell even in code."""
    shown = clean(text[:_MOST_CHARACTERS]).replace("|", "¦")
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}" if shown.strip() else _plain(shown)


def fenced(lines: Sequence[str], language: str = "text") -> Iterator[str]:
    """A block of text as it stands."""
    shown = [clean(line[:_MOST_CHARACTERS]) for line in lines[:_MOST_LINES]]
    if len(lines) > _MOST_LINES:
        shown.append(f".. and {len(lines) - _MOST_LINES} more lines")
    fence = "`" * max(3, *(_longest_run(line) + 1 for line in shown), 3)
    yield f"{fence}{language}"
    yield from shown
    yield fence


def fenced_text(text: str) -> Iterator[str]:
    return fenced(clean_lines(text[: _MOST_CHARACTERS * 10]))


def limited(lines: Iterable[str], most_bytes: int) -> Iterator[str]:
    """The first lines, and how many are left out; a block of text that is cut is closed."""
    left_bytes, left_out, fence = most_bytes, 0, ""
    for line in lines:
        left_bytes -= len(line.encode()) + 1
        if left_bytes < 0:
            left_out += 1
            continue
        if line == fence:
            fence = ""
        elif not fence and line.startswith("```"):
            fence = line.removesuffix("text")
        yield line
    if left_out:
        yield fence
        yield f"{left_out} more lines are left out here; the JSON report has all."


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table of cells that are Markdown already; nothing without rows."""
    if not rows:
        return
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(' --- ' for _ in head)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _plain(word: str) -> str:
    return _EDGE_UNDERSCORE.sub(r"\\_", _SPECIAL.sub(r"\\\1", word))


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
