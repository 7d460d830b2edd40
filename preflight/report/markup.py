"""Pieces of Markdown (CommonMark with GitHub's tables) in which text from elsewhere stays text. Pure.

A change system may strip HTML, send mail to whoever is `@mentioned` and link `#12`. Words that could start such a
thing, or any markup, stand in a code span: no system looks into one, and it reads well as it stands, for such words are
mostly paths, addresses and keys anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from preflight.report.layout import clean, clean_lines

_MOST_CHARACTERS = 2000
_MOST_LINES = 200
_MOST_PADDED = 60
_NEEDS_CODE = re.compile(
    r"[\\`*\[\]|~$@#]"  # markup; `$x$` is a formula, `~5` a label of GitLab, `#12` an issue
    r"|<[a-z/!?]|&(?:#|\w+;)"  # HTML
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis; `020_rounding` is none
    r"|^/\w|//|\w\.[^\W\d_]{2,}"  # paths, URLs, and what some readers take for the name of a site
    r"|[!%&]\w|\bGH-\d"  # merge requests, milestones, epics, issues
    r"|\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}\b"  # commits
    r"|:(?!\d\d:)[\w+-]+:",  # emoji; `14:28:25` is none
    re.IGNORECASE,
)
"""A word that CommonMark, GitHub or GitLab may not show as it stands."""
_OPENS_A_BLOCK = re.compile(r">.*|[+=-]+|\d+[.)]")
"""A first word that begins a quote, another list or a line across."""
_CLAUSE = re.compile(r"(?<=[,;:.]) ")
_ONE_NAME = re.compile(r"`([^`\s]+)`")


def escaped(text: str) -> str:
    """One line that renders as `text`; what is too long is cut, and says by how much."""
    shown = clean(text[:_MOST_CHARACTERS]).strip()
    first, blank, rest = shown.partition(" ")
    begin, rest = (code(first) + blank, rest) if _OPENS_A_BLOCK.fullmatch(first) else ("", shown)
    more = f" .. and {len(text) - _MOST_CHARACTERS} more characters" if len(text) > _MOST_CHARACTERS else ""
    return begin + " ".join(map(_clause, _CLAUSE.split(rest))) + more


def code(text: str) -> str:
    """A code span; empty for nothing to see."""
    shown = clean(text[:_MOST_CHARACTERS])
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}" if shown.strip() else ""


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
    """A block of text as it stands; a difference in the colours of one."""
    return fenced(clean_lines(text[: _MOST_CHARACTERS * 10]), "diff" if text.startswith("--- ") else "text")


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
            fence = "`" * _longest_run(line)
        yield line
    if left_out:
        yield fence
        yield f"{left_out} more lines are left out here; the JSON report has all."


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, aligned: bool = False) -> Iterator[str]:
    """A table of cells that are Markdown already; nothing without rows. `aligned`: in columns also where nobody
    renders it; a cell longer than `_MOST_PADDED` shifts the rest of its own row only."""
    if not rows:
        return
    lines = [[_cell(each) for each in line] for line in (head, *rows)]
    widest = [max(map(len, column)) for column in zip(*lines, strict=True)] if aligned else [0] * len(head)
    widths = [min(width, _MOST_PADDED) for width in widest[:-1]]
    widths.append(widest[-1] if widest[-1] <= _MOST_PADDED else 0)
    first, *others = [[each.ljust(width) for each, width in zip(line, widths, strict=True)] for line in lines]
    for line in (first, ["-" * max(width, 3) for width in widths], *others):
        yield f"| {' | '.join(line)} |"


def _clause(text: str) -> str:
    """Neighbouring words that need it share a code span."""
    runs = groupby(text.split(" "), key=lambda word: bool(_NEEDS_CODE.search(word)))
    return " ".join(_span(" ".join(words)) if special else " ".join(words) for special, words in runs)


def _span(text: str) -> str:
    """In code, without the brackets and the sentence's marks around it; a name in backticks is in code already."""
    core = text.removeprefix("(").rstrip(",;:.")
    if core.count(")") > core.count("("):
        core = core.removesuffix(")")
    before, _, after = text.partition(core)
    name = _ONE_NAME.fullmatch(core)
    return f"{before}{code(name[1] if name else core)}{after}"


def _cell(text: str) -> str:
    """A bar ends a cell even in a code span; the backslash before it is taken off before anything else is read."""
    return text.replace("|", "\\|")


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
