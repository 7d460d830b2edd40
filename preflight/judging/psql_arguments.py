"""The arguments of psql's meta-commands (psqlscanslash.l, `parse_slash_copy`; behaviour tried on psql 15). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

_SPACE = " \t\n\r\f\v"
_BLANKS = re.compile(r"[ \t\r\f\v]*")
_QUOTED = re.compile(r"'((?:[^'\\\n]|''|\\[^\n])*)(?:'|(?=\n)|\Z)")
_DOUBLE_QUOTED = re.compile(r'"[^"\n]*(?:"|(?=\n)|\Z)')
_BACKQUOTED = re.compile(r"`[^`\n]*(?:`|(?=\n)|\Z)")
_VARIABLE = re.compile(r""":(?:\{\?\w+\}|'\w+'|"\w+"|\w+)""")
_ESCAPE = re.compile(r"''|\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))")
_CONTROLS = {"n": "\n", "t": "\t", "b": "\b", "r": "\r", "f": "\f"}
_COPY_TOKEN = re.compile(r"""'(?:[^']|'')*(?:'|\Z)|"(?:[^"]|"")*(?:"|\Z)|[()]|[^\s()'"]+""")
_COPY_FILE = re.compile(r"\s*(?:'((?:[^']|'')*)'|([^\s;]+))")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument, quotes and escapes resolved."""

    value: str
    variable: bool = False
    """Holds a psql variable, whose value the script's text does not fix."""
    backquoted: bool = False
    """Holds the output of a shell command."""


class CopyKind(Enum):
    """Where `\\copy` reads from."""

    FILE = "file"
    PROGRAM = "program"
    SCRIPT = "stdin"
    """The data follow in the script."""
    STANDARD_INPUT = "pstdin"
    NOTHING = ""
    """It writes, or cannot be understood."""


def rest_of_line(text: str, at: int) -> tuple[str, int]:
    """(text up to the line's end, where that is)."""
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return text[at:end].strip(), end


def read_arguments(text: str, at: int, *, pipes: bool = False) -> tuple[list[Argument], int]:
    """(arguments of a meta-command whose name ends at `at`, where reading goes on).

    They end with the line, at the next meta-command, or at `\\\\`. `pipes`: an argument that begins with `|` takes the
    rest of the line, as for `\\o` and `\\g`. Trailing semicolons are dropped, as `\\i` does."""
    arguments: list[Argument] = []
    while True:
        at = _skip_blanks(text, at)
        if at >= len(text) or text[at] == "\n":
            return arguments, at
        if text[at] == "\\":
            return arguments, at + 2 if text.startswith("\\\\", at) else at
        if pipes and text[at] == "|":
            command, at = rest_of_line(text, at)
            return [*arguments, Argument(command)], at
        argument, at = _read_argument(text, at)
        arguments.append(argument)


def copy_source(arguments: str) -> tuple[CopyKind, str]:
    """(what `\\copy` reads, the file's name where it is one)."""
    depth = 0
    for number, token in enumerate(_COPY_TOKEN.finditer(arguments)):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        way = token[0].upper()
        if depth == 0 and number > 0 and way in ("FROM", "TO"):
            return _copy_target(way, arguments[token.end() :])
    return CopyKind.NOTHING, ""


def _copy_target(way: str, rest: str) -> tuple[CopyKind, str]:
    found = _COPY_FILE.match(rest)
    if found is None:
        return CopyKind.NOTHING, ""
    word = (found[2] or "").lower()
    if word == "program":
        return CopyKind.PROGRAM, ""
    if way == "TO":
        return CopyKind.NOTHING, ""
    if word in ("stdin", "pstdin"):
        return CopyKind(word), ""
    return CopyKind.FILE, found[2] if found[1] is None else found[1].replace("''", "'")


def _skip_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return at if found is None else found.end()


def _read_argument(text: str, at: int) -> tuple[Argument, int]:
    value, variable, backquoted = "", False, False
    unquoted = 0  # characters since the last quoted part; only these lose their semicolons
    while at < len(text) and text[at] not in _SPACE and text[at] != "\\":
        if found := _QUOTED.match(text, at):
            value, unquoted = value + "".join(_unescaped(found[1])), 0
        elif found := _DOUBLE_QUOTED.match(text, at):
            value, unquoted = value + found[0], 0  # psql keeps these quotes
        elif found := _BACKQUOTED.match(text, at):
            value, unquoted, backquoted = value + found[0], 0, True
        elif found := _VARIABLE.match(text, at):
            value, unquoted, variable = value + found[0], 0, True
        else:
            value, unquoted = value + text[at], unquoted + 1
        at = at + 1 if found is None else found.end()
    stripped = value.rstrip(";")
    return Argument(value[: max(len(stripped), len(value) - unquoted)], variable, backquoted), at


def _unescaped(quoted: str) -> Iterator[str]:
    at = 0
    for found in _ESCAPE.finditer(quoted):
        yield quoted[at : found.start()]
        octal, hexadecimal, other = found.groups()
        if octal or hexadecimal:
            yield chr(int(octal or hexadecimal, 8 if octal else 16) & 0xFF)
        else:
            yield _CONTROLS.get(other, other) if other else "'"
        at = found.end()
    yield quoted[at:]
