"""Lines of text for a terminal: folding, columns, colour."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from preflight.finding import Status
from preflight.report.harmless import clean, command_in, no_command
from preflight.units import UNITS
from preflight.wording import shortened

WIDTH = 100
BODY = " " * 9
"""What stands before the lines below a status or a label."""
_MOST_CHARACTERS = 8000
"""Of one text: what a server says without end must not push the verdict off the terminal."""
_BEFORE_UNIT = re.compile(rf"(?<=\d) (?=(?:{'|'.join(UNITS)})\b)")
_HELD = "\0"
"""In the place of a blank at which no line ends: `clean` leaves none of these."""
_COLOURS = {
    Status.PASS: "32",
    Status.WARN: "33",
    Status.FAIL: "1;31",
    Status.UNKNOWN: "1;35",
    Status.STALE: "35",
    Status.SKIPPED: "2",
    Status.WAIVED: "36",
}


def cut(text: str, width: int) -> str:
    """`text` in not more than `width` columns, with a mark where something is left out."""
    return text if len(text) <= width else text[: width - 2] + ".."


def wrapped(text: str, indent: str, first: str = "", width: int = WIDTH) -> Iterator[str]:
    """`text` cleaned and folded to `width` columns, not between number and unit; `first`: the first line's indent."""
    lead = first or indent
    lines = textwrap.wrap(
        _BEFORE_UNIT.sub(_HELD, clean(shortened(text, _MOST_CHARACTERS))),
        width=width,
        initial_indent=lead,
        subsequent_indent=indent,
        break_long_words=False,  # a path or command starts on a line of its own before it is cut
        break_on_hyphens=False,
    )
    for line in (each.replace(_HELD, " ") for each in lines or [lead.rstrip()]):
        yield no_command(line[:width])
        for start in range(width, len(line), width - len(indent)):
            yield no_command(indent + line[start : start + width - len(indent)])


def labelled(label: str, lines: Sequence[str], hanging: int = 0) -> Iterator[str]:
    """Texts below each other, the label before the first; `hanging`: columns that a folded line is indented more."""
    for number, line in enumerate(lines):
        yield from wrapped(line, BODY + " " * hanging, BODY if number else f"{label:<{len(BODY)}}")


def detail(label: str, text: str) -> Iterator[str]:
    """A line of an entry's body, its label before it; nothing for an empty text. What a cure has to be pasted into a
    shell stands in a line of its own, however long: folded, it would be another command."""
    first, indent = f"{BODY}{label:<8}", BODY + " " * 8
    before, command, after = command_in(text) if label == "cure" and len(indent + text) > WIDTH else (text, "", "")
    if before:
        yield from wrapped(before, indent, first)
    if command:
        yield no_command((indent if before else first) + command)
    if after:
        yield from wrapped(after, indent)


def columns(label: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows of a table below each other, the label before the first; folded where they are too wide for columns."""
    shown = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    if sum(widths) + 3 * (len(widths) - 1) > WIDTH - len(BODY):
        yield from labelled(label, [", ".join(filter(None, row)) for row in rows], hanging=8)
        return
    for number, row in enumerate(shown):
        cells = "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield no_command((f"{'' if number else label:<{len(BODY)}}" + cells).rstrip())


@dataclass(frozen=True, slots=True)
class Colours:
    """Colour as an addition to words, never instead of them."""

    on: bool

    def status(self, status: Status, text: str) -> str:
        return self._with(_COLOURS[status], text)

    def bold(self, text: str) -> str:
        return self._with("1", text)

    def dim(self, text: str) -> str:
        return self._with("2", text)

    def _with(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.on else text
