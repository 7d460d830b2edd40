"""Blocks of Markdown (CommonMark with GitHub's tables): of lines, in a fence, cut at a size, in a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from preflight.report.harmless import clean, clean_lines, longest_run

_MOST_LINES = 200
_MOST_CHARACTERS = 20_000
_MOST_PADDED = 60


def fenced(lines: Sequence[str], language: str = "text") -> Iterator[str]:
    """A block of text as it stands, and all of it."""
    shown = [clean(line) for line in lines]
    fence = "`" * max(3, *(longest_run(line) + 1 for line in shown))
    yield f"{fence}{language}"
    yield from shown
    yield fence


def fenced_text(text: str) -> Iterator[str]:
    """A block of the text's first lines as they stand; a difference in the colours of one."""
    lines = clean_lines(text[:_MOST_CHARACTERS])
    left_out = [f".. and {len(lines) - _MOST_LINES} more lines"] if len(lines) > _MOST_LINES else []
    return fenced([*lines[:_MOST_LINES], *left_out], "diff" if text.startswith("--- ") else "text")


def limited(lines: Iterable[str], most_bytes: int, elsewhere: str = "the JSON report has all") -> Iterator[str]:
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
            fence = "`" * longest_run(line)
        yield line
    if left_out:
        yield fence
        yield f"{left_out} more lines are left out here; {elsewhere}."


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, aligned: bool = False) -> Iterator[str]:
    """A table of cells that are Markdown already; nothing without rows. `aligned`: in columns also where nobody
    renders it; a cell longer than `_MOST_PADDED` shifts the rest of its own row only."""
    if not rows:
        return
    # A bar ends a cell even in a code span; the backslash before it is taken off before anything else is read.
    lines = [[each.replace("|", "\\|") for each in line] for line in (head, *rows)]
    widest = [max(map(len, column)) for column in zip(*lines, strict=True)] if aligned else [0] * len(head)
    widths = [min(width, _MOST_PADDED) for width in widest[:-1]]
    widths.append(widest[-1] if widest[-1] <= _MOST_PADDED else 0)
    first, *others = [[each.ljust(width) for each, width in zip(line, widths, strict=True)] for line in lines]
    for line in (first, ["-" * max(width, 3) for width in widths], *others):
        yield f"| {' | '.join(line)} |"
