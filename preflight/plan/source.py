"""Reads a plan's file: bounded, without hanging, and every trouble as a `PlanError` with file and line."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from preflight.errors import PlanError, PlanProblem
from preflight.faults import Keys, dotted, listed, nearest_name
from preflight.plan.lines import key_lines
from preflight.units import format_size
from preflight.wording import visible

LARGEST_BYTES = 1024 * 1024
_MOST_DOTS = 1000  # tomllib takes time with the square of a dotted key's parts: 20 000 of them cost ten seconds
_BOM = b"\xef\xbb\xbf"
_PLACE = re.compile(r"(?P<message>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL)
_PLAINER = {"Cannot overwrite a value": "this key or table is already set"}


@dataclass(frozen=True)
class Source:
    """The parsed text of a plan, and where in the file each key stands."""

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

    def line(self, keys: Keys) -> int | None:
        """The line of this very key, counted from 1; None when it is not in the file."""
        return self._lines.get(keys)

    def nearest_line(self, keys: Keys) -> int | None:
        """The line of this key or, where it is missing, of the innermost table that should hold it."""
        found = (self._lines.get(keys[:length]) for length in range(len(keys), 0, -1))
        return next((line for line in found if line is not None), None)

    @cached_property
    def _lines(self) -> dict[Keys, int]:
        return key_lines(self.text)  # only plans with errors need it


class Problems:
    """Every problem of one plan."""

    def __init__(self, source: Source) -> None:
        self.found: list[PlanProblem] = []
        self._source = source

    def add(self, keys: Keys, message: str, nearest: str = "") -> None:
        """`keys`: what it is about; a key that is missing gets the line of the table that should hold it."""
        line = self._source.nearest_line(keys)
        self.found.append(PlanProblem(self._source.name, line, dotted(keys), message, nearest))

    def add_unknown(self, keys: Keys, message: str, known: Collection[str]) -> None:
        """A name that is none of `known`: says which one is nearest, or else which there are."""
        nearest = nearest_name(str(keys[-1]), known)
        self.add(keys, message if nearest else f"{message}; known: {listed(known)}", nearest)


def read_source(path: Path) -> Source:
    """Reads and parses a TOML file. Raises PlanError."""
    content, trouble = _read(path)
    if trouble:
        raise _error(path, trouble)
    bare = content.removeprefix(_BOM)
    line: int | None
    text, trouble, line = _decode(bare)
    if not trouble:
        trouble, line = _refused(text)
    tables: dict[str, Any] = {}
    if not trouble:
        tables, trouble, line = _parse(text)
    if trouble:
        raise _error(path, trouble, line)
    return Source(path, tables, text, hashlib.sha256(content).hexdigest())


def _error(path: Path, message: str, line: int | None = None) -> PlanError:
    return PlanError([PlanProblem(visible(str(path)), line, "", message)])


def _read(path: Path) -> tuple[bytes, str]:
    """(content, "") or (b"", what is wrong). O_NONBLOCK: opening a pipe must not wait for its writer."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(mode):
                return b"", "is a directory; name the plan's file"
            if not stat.S_ISREG(mode):
                return b"", "is no regular file"
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(LARGEST_BYTES + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return b"", "no such file"
    except OSError as error:
        return b"", f"cannot be read: {error.strerror}"
    except ValueError:
        return b"", "cannot be read: a path holds no NUL"
    if len(content) > LARGEST_BYTES:
        return b"", f"is larger than {format_size(LARGEST_BYTES)}, too much for a plan"
    return content, ""


def _decode(content: bytes) -> tuple[str, str, int | None]:
    try:
        return content.decode("utf-8"), "", None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        return "", f"not UTF-8: byte 0x{content[error.start]:02x} at byte {column} of the line", line


def _refused(text: str) -> tuple[str, int | None]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _MOST_DOTS and not line.lstrip().startswith("#"):
            return f"more than {_MOST_DOTS} dots in one line", number
    return "", None


def _parse(text: str) -> tuple[dict[str, Any], str, int | None]:
    """(tables, what is wrong, line). tomllib raises a bare ValueError too, for a number of more than 4300 digits."""
    try:
        return tomllib.loads(text), "", None
    except RecursionError:
        return {}, "not TOML that can be read: nested too deep", None
    except ValueError as error:
        said = str(error)
    match = _PLACE.fullmatch(said)
    if match is None:
        return {}, f"not TOML: {visible(said)}", None
    message = visible(_PLAINER.get(match["message"], match["message"]))
    if match["line"] is None:
        return {}, f"not TOML: {message} at the end of the file", text.count("\n") + (not text.endswith("\n"))
    return {}, f"not TOML: {message} (column {match['column']})", int(match["line"])
