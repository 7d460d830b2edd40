"""Finds the line of every key of a TOML text, which `tomllib` does not tell.

The text has been parsed by `tomllib` already, so it is known to be valid; this walk only needs to know where keys
and values begin and end. Where it loses its way it stops: keys further down then have no line, never a wrong one.
"""

from __future__ import annotations

import bisect
import re
import tomllib
from contextlib import suppress

from preflight.faults import Keys

_DEEPEST = 64
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r'[ \t]*(?:(?P<bare>[A-Za-z0-9_-]+)|(?P<quoted>"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'))[ \t]*')
_VALUES = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
    re.compile(r"(?:\d{4}-\d\d-\d\d (?=\d))?[^\s,\]}#]+"),  # numbers, booleans, dates; one space before the time
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
        while self._blank() and self._at < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._header(2)
            elif self._text.startswith("[", self._at):
                table = self._header(1)
            else:
                self._pair(table)

    def _header(self, brackets: int) -> Keys:
        start = self._at
        self._at += brackets
        keys = self._keys()
        self._expect("]" * brackets)
        path: Keys = ()
        for key in keys[:-1]:  # [steps.undo] belongs to the latest [[steps]]
            path = self._inside((*path, key), start)
        path = (*path, keys[-1])
        if brackets == 1:
            self.lines[path] = self._line(start)
            return path
        self.lines.setdefault(path, self._line(start))
        self._last_element[path] = self._last_element.get(path, -1) + 1
        element = (*path, self._last_element[path])
        self.lines[element] = self._line(start)
        return element

    def _inside(self, path: Keys, start: int) -> Keys:
        self.lines.setdefault(path, self._line(start))
        return (*path, self._last_element[path]) if path in self._last_element else path

    def _pair(self, table: Keys) -> None:
        start = self._at
        path = table
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, self._line(start))
        self._expect("=")
        self._blank()
        self._value(path)

    def _value(self, path: Keys) -> None:
        if self._text.startswith("[", self._at):
            self._array(path)
        elif self._text.startswith("{", self._at):
            self._inline_table(path)
        else:
            for form in _VALUES:
                match = form.match(self._text, self._at)
                if match:
                    self._at = match.end()
                    return
            raise _Lost

    def _array(self, path: Keys) -> None:
        self._at += 1
        element = 0
        while self._blank() and not self._text.startswith("]", self._at):
            self.lines[(*path, element)] = self._line(self._at)
            self._value((*path, element))
            element += 1
            self._comma()
        self._expect("]")

    def _inline_table(self, path: Keys) -> None:
        self._at += 1
        while self._blank() and not self._text.startswith("}", self._at):
            self._pair(path)
            self._comma()
        self._expect("}")

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

    def _comma(self) -> None:
        self._blank()
        if self._text.startswith(",", self._at):
            self._at += 1

    def _blank(self) -> bool:
        """Steps over white space, line breaks and comments."""
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return True

    def _expect(self, token: str) -> None:
        if not self._text.startswith(token, self._at):
            raise _Lost
        self._at += len(token)

    def _line(self, offset: int) -> int:
        return bisect.bisect_left(self._breaks, offset) + 1
