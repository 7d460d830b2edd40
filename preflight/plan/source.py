"""Reads a plan's file: bounded, without hanging, and every trouble as a `PlanError` with file and line.

The line of every key, which `tomllib` does not tell, is found by a walk over the text that `tomllib` has parsed: it is
known to be valid, and the walk only needs to know where keys and values begin and end. Where it loses its way it stops:
keys further down then have no line, never a wrong one."""

import bisect
import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from preflight.errors import PlanError, PlanProblem
from preflight.faults import Keys, dotted
from preflight.units import format_size
from preflight.wording import visible

READING = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
"""As a file is opened on this system: the bytes as they are, and without waiting for the writer of a pipe."""
LARGEST_BYTES = 1024 * 1024
_MOST_DOTS = 1000  # tomllib takes time with the square of a dotted key's parts: 20 000 of them cost ten seconds
_BOM = b"\xef\xbb\xbf"
_PLACE = re.compile(r"(?P<message>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL)
_NO_SECONDS = re.compile(r"""(?<!["'\w])(?P<day>\d{4}-\d\d-\d\d)[ T](?P<time>(?:[01]\d|2[0-3]):[0-5]\d)(?![:\d])""")
_NO_TIME = re.compile(r"""(?<!["'\w])\d{4}-\d\d-\d\d[ T](?:2[4-9]|[3-9]\d):\d\d""")
_PLAINER = {"Cannot overwrite a value": "this key or table is already set"}


@dataclass(frozen=True)
class Source:
    """The parsed text of a plan or of a file that it includes, and where in the file each key stands."""

    path: Path
    """As the user wrote it."""
    tables: Mapping[str, Any]
    text: str
    digest: str
    """SHA-256 of the file's bytes, hex."""

    @property
    def name(self) -> str:
        """The path for messages."""
        return visible(str(self.path))

    def nearest_line(self, keys: Keys) -> int | None:
        """The line of this key or, where it is missing, of the innermost table that should hold it."""
        found = (self._lines.get(keys[:length]) for length in range(len(keys), 0, -1))
        return next((line for line in found if line is not None), None)

    def at(self, keys: Keys) -> str:
        """`site.toml:12`: where a key stands."""
        line = self.nearest_line(keys)
        return self.name if line is None else f"{self.name}:{line}"

    def problem(self, keys: Keys, message: str, nearest: str = "", of: str = "") -> PlanProblem:
        """`keys`: what it is about; a missing key gets the line of its table. `of`: see PlanProblem."""
        return PlanProblem(self.name, self.nearest_line(keys), dotted(keys), message, nearest, of)

    @cached_property
    def _lines(self) -> dict[Keys, int]:
        return key_lines(self.text)  # only plans with errors need it


def read_source(path: Path) -> Source:
    """Reads and parses a TOML file. Raises PlanError."""
    content = _read(path)
    text = _decode(path, content.removeprefix(_BOM))
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _MOST_DOTS and not line.lstrip().startswith("#"):
            raise _error(path, f"more than {_MOST_DOTS} dots in one line", number)
    return Source(path, _parse(path, text), text, hashlib.sha256(content).hexdigest())


def _error(path: Path, message: str, line: int | None = None) -> PlanError:
    return PlanError([PlanProblem(visible(str(path)), line, "", message)])


def _read(path: Path) -> bytes:
    """Raises PlanError."""
    try:
        with open(path, "rb", opener=lambda name, _: os.open(name, READING)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _error(path, "is no regular file")
            content = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise _error(path, "no such file") from None
    except IsADirectoryError:
        raise _error(path, "is a directory; name the plan's file") from None
    except OSError as error:
        raise _error(path, f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise _error(path, "cannot be read: a path holds no NUL") from None
    if len(content) > LARGEST_BYTES:
        raise _error(path, f"is larger than {format_size(LARGEST_BYTES)}, too much for a plan")
    return content


def _decode(path: Path, content: bytes) -> str:
    """Raises PlanError."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        start = error.start
    # Outside, so that no context keeps the file's bytes.
    column = start - content.rfind(b"\n", 0, start)
    message = f"not UTF-8: byte 0x{content[start]:02x} at byte {column} of the line"
    raise _error(path, message, content.count(b"\n", 0, start) + 1)


def _parse(path: Path, text: str) -> dict[str, Any]:
    """Raises PlanError. tomllib raises a bare ValueError too, for a number of more than 4300 digits."""
    line: int | None
    try:
        return tomllib.loads(text)
    except RecursionError:
        message, line = "not TOML that can be read: nested too deep", None
    except ValueError as error:
        message, line = _explained(str(error), text)
    raise _error(path, message, line)  # outside, as above


def _explained(said: str, text: str) -> tuple[str, int | None]:
    """(what is wrong, line) from the words of tomllib."""
    match = _PLACE.fullmatch(said)
    if match is None:
        return f"not TOML: {visible(said)}", None
    message = visible(_PLAINER.get(match["message"], match["message"]))
    if match["line"] is None:
        return f"not TOML: {message} at the end of the file", text.count("\n") + (not text.endswith("\n"))
    place = int(match["line"])
    written, advice = text.split("\n")[place - 1], ""
    if short := _NO_SECONDS.search(written):
        advice = f"; a time has seconds: write {short['day']}T{short['time']}:00"
    elif _NO_TIME.search(written):
        advice = "; a day ends at 23:59:59: its midnight is 00:00:00 of the next day"
    return f"not TOML: {message} (column {match['column']}){advice}", place


_DEEPEST = 64
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r'[ \t]*(?:(?P<bare>[A-Za-z0-9_-]+)|(?P<quoted>"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'))[ \t]*')
_VALUE = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|(?:\d{4}-\d\d-\d\d (?=\d))?[^\s,\]}#]+",  # numbers, booleans, dates; one space before the time
    re.DOTALL,
)


class _Lost(Exception):
    pass


def key_lines(text: str) -> dict[Keys, int]:
    """The line, counted from 1, on which each key, table and array element of a valid TOML text begins."""
    walk = _Walk(text)
    with suppress(_Lost, RecursionError):
        walk.document()
    return walk.lines


class _Walk:
    def __init__(self, text: str) -> None:
        self.lines: dict[Keys, int] = {}
        self._text = text
        self._at = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._last_element: dict[Keys, int] = {}

    def document(self) -> None:
        table: Keys = ()
        while first := self._next():
            if first == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Keys:
        line, is_element = self._line(), self._text.startswith("[[", self._at)
        self._expect("[[" if is_element else "[")
        *above, last = self._keys()
        self._expect("]]" if is_element else "]")
        path: Keys = ()
        for key in above:  # [steps.undo] belongs to the latest [[steps]]
            path = (*path, key)
            self.lines.setdefault(path, line)
            path = (*path, self._last_element[path]) if path in self._last_element else path
        path = (*path, last)
        if is_element:
            self.lines.setdefault(path, line)
            self._last_element[path] = self._last_element.get(path, -1) + 1
            path = (*path, self._last_element[path])
        self.lines[path] = line
        return path

    def _pair(self, path: Keys) -> None:
        line = self._line()
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._expect("=")
        self._value(path)

    def _value(self, path: Keys) -> None:
        if self._next() in ("[", "{"):
            self._elements(path, is_array=self._text[self._at] == "[")
        elif match := _VALUE.match(self._text, self._at):
            self._at = match.end()
        else:
            raise _Lost

    def _elements(self, path: Keys, *, is_array: bool) -> None:
        """Of an array, or of an inline table."""
        self._at += 1
        closing, element = "]" if is_array else "}", 0
        while self._next() != closing:
            if is_array:
                self.lines[(*path, element)] = self._line()
                self._value((*path, element))
                element += 1
            else:
                self._pair(path)
            if self._next() == ",":
                self._at += 1
        self._expect(closing)

    def _keys(self) -> list[str]:
        keys: list[str] = []
        while match := _KEY.match(self._text, self._at):
            self._at = match.end()
            keys.append(match["bare"] or tomllib.loads(f"key = {match['quoted']}")["key"])
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
        if not 0 < len(keys) <= _DEEPEST:
            raise _Lost
        return keys

    def _next(self) -> str:
        """The character behind white space, line breaks and comments, where the walk is then; empty at the end."""
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]

    def _expect(self, token: str) -> None:
        if not self._text.startswith(token, self._at):
            raise _Lost
        self._at += len(token)

    def _line(self) -> int:
        return bisect.bisect_left(self._breaks, self._at) + 1
