"""Lines of text: cleaning what came from elsewhere, wrapping, colour."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from preflight.finding import Status

WIDTH = 100
_MOST_CHARACTERS = 8000
"""Of one text: what a server says without end must not push the verdict off the terminal."""

_INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
"""Unicode categories that can move the cursor, reverse the text or hide: control, format (bidi), surrogate, line."""

_CI_COMMAND = re.compile(r"##(?=\w*\[)")
"""`##[error]`, `##vso[...]`, `##teamcity[...]`: build systems take these for commands wherever they stand in a log."""

_CI_LINE = re.compile(r"^(\s*)::(?=.*::)")
"""`::error::text`: GitHub's runner takes a line for a command that begins so, whatever spaces stand before it."""

_COLOURS = {
    Status.PASS: "32",
    Status.WARN: "33",
    Status.FAIL: "1;31",
    Status.UNKNOWN: "1;35",
    Status.STALE: "35",
    Status.SKIPPED: "2",
    Status.WAIVED: "36",
}


def clean(text: str) -> str:
    """Remote text made harmless for a terminal and for the log of a build: everything that is not plain visible text
    becomes an escape."""
    seen = "".join(character if _visible(character) else _escaped(character) for character in text)
    return _CI_COMMAND.sub("## ", seen) if "##" in seen else seen


def clean_lines(text: str) -> list[str]:
    """The lines of a text, each fit to stand in a log by itself."""
    return [no_command(clean(line.rstrip("\r"))).rstrip() for line in text.split("\n")]


def no_command(line: str) -> str:
    """A line of a log that no build system obeys, whatever it begins with."""
    return _CI_LINE.sub(r"\1: :", _CI_COMMAND.sub("## ", line))


def _visible(character: str) -> bool:
    return unicodedata.category(character) not in _INVISIBLE


def _escaped(character: str) -> str:
    if character in "\n\t":
        return " "
    return character.encode("unicode_escape").decode("ascii")


def cut(text: str, width: int) -> str:
    """`text` in not more than `width` columns, with a mark where something is left out."""
    return text if len(text) <= width else text[: width - 2] + ".."


def counted(number: int, one: str) -> str:
    """`1 check`, `3 checks`."""
    return f"{number} {one}{'' if number == 1 else 's'}"


def wrapped(text: str, indent: str, first: str = "", width: int = WIDTH) -> Iterator[str]:
    """`text` cleaned and folded to `width` columns; `first` replaces the indent of the first line."""
    lead = first or indent
    more = f" .. and {len(text) - _MOST_CHARACTERS} more characters" if len(text) > _MOST_CHARACTERS else ""
    lines = textwrap.wrap(
        clean(text[:_MOST_CHARACTERS]) + more,
        width=width,
        initial_indent=lead,
        subsequent_indent=indent,
        break_long_words=False,  # a path or command starts on a line of its own before it is cut
        break_on_hyphens=False,
    )
    for line in lines or [lead.rstrip()]:
        yield no_command(line[:width])
        for start in range(width, len(line), width - len(indent)):
            yield no_command(indent + line[start : start + width - len(indent)])


@dataclass(frozen=True, slots=True)
class Paint:
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
