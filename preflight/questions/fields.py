"""Reads replies as records: `name=value` lines, words of a line, rows of SQL. What does not fit exactly is no answer.

The names of lines, and the columns of rows, are the fields of a dataclass. A field that is a tuple takes every line of
its name, any other exactly one, though it has a default. A field that is a dataclass takes the words of its line, in
the order of its fields or of its own `words`; the last word is the rest of the line. What may be None is an empty line
or the word `?`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NewType, cast

from preflight.faults import LONGEST_SHOWN, Keys, Misfit
from preflight.plan.limits import Between
from preflight.probe import Reply, T, Unreadable
from preflight.record import Field, Form, Reader, Scalars, Shape, fields_of, parse_json, shape_of

Fields = Mapping[str, Sequence[str]]
Count = Annotated[int, Between(0)]
Mode = NewType("Mode", int)
"""Permission bits, written in octal."""
Until = NewType("Until", datetime)
"""An end that may lie beyond what a date can name; the first or the last moment then."""
Birth = NewType("Birth", datetime)
"""When a file was made, as stat(1) tells it; None for 0 or a sign, by which it says that it does not know."""
_DAY_MINUTES = 24 * 60
_FLAGS = {"yes": True, "true": True, "1": True, "+": True, "no": False, "false": False, "0": False, "-": False}


@dataclass(frozen=True, slots=True)
class Value:
    """A row of one column, which is a text."""

    value: str


def read_fields(text: str, *, part: bool = False, ends_in_nul: bool = False) -> dict[str, list[str]]:
    """Name -> its values in order, empty lines left out. Raises Unreadable for any other line, and without `end=yes`,
    which what was cut off has not. `part`: of a reply whose end was seen. `ends_in_nul`: as each line does then."""
    found: dict[str, list[str]] = {}
    for line in text.split("\0") if ends_in_nul else text.replace("\r\n", "\n").split("\n"):
        name, equals, value = line.partition("=")
        if not equals or not name.replace("_", "").isalnum() or "\0" in value:
            if line.strip():
                raise Unreadable(f"no name=value line: {line[:LONGEST_SHOWN]!r}")
            continue
        found.setdefault(name, []).append(value)
    if not part and found.pop("end", []) != ["yes"]:
        raise Unreadable("the reply has no end")
    return found


def read_lines(cls: type[T], source: Reply | Fields, **preset: object) -> T:
    """The dataclass `cls` from the lines of a script. `preset`: fields that are no lines. Raises Unreadable."""
    fields = source if isinstance(source, Mapping) else read_fields(output_of(source))
    return cast(T, _LINES.record(cls, fields, (), **preset))


def output_of(reply: Reply) -> str:
    """Raises Unreadable where the script did not end well."""
    if reply.code != 0:
        raise Unreadable(f"the script ended with {reply.code}: {reply.error[-200:].strip()}")
    return reply.text


def read_rows(cls: type[T], reply: Reply, **preset: object) -> list[T]:
    """A dataclass for each row of a statement whose columns are all text. Raises Unreadable, also for its error."""
    if reply.code != 0:
        raise Unreadable(f"the server answers {reply.error[:200]}")
    rows = parse_json(reply.text)
    if not isinstance(rows, list):
        raise Unreadable("no array of rows")
    return [_ROWS.record(cls, row, (), **preset) for row in rows]


def hidden_catalogue(reply: Reply) -> str:
    """The catalogue that the asking role may not read, where that is why there are no rows; else empty."""
    denied = reply.code != 0 and reply.error.startswith("42501")  # insufficient_privilege
    named = re.search(r"\bpg_\w+", reply.error) if denied else None  # the words around it may be in any language
    return named[0] if named else ""


def read_row(cls: type[T], reply: Reply, **preset: object) -> T:
    """The only row. Raises Unreadable."""
    rows = read_rows(cls, reply, **preset)
    if len(rows) != 1:
        raise Unreadable(f"{len(rows)} rows, expected one")
    return rows[0]


class _TextReader(Reader):
    """All values are text."""

    def scalar(self, shape: Shape, value: Any) -> Any:
        if not isinstance(value, str):
            raise Misfit("no text")
        return super().scalar(shape, value)


class _LineReader(_TextReader):
    """Name -> its lines."""

    def needs(self, each: Field) -> bool:
        return each.required or each.shape.form is not Form.LIST

    def value(self, shape: Shape, value: Any, keys: Keys) -> Any:
        if shape is _TEXTS and isinstance(value, list):
            return tuple(value)  # thousands of names need no look at each
        if isinstance(value, list) and shape.form is not Form.LIST:
            if len(value) != 1:
                self.fault(keys, f"{len(value)} values, expected one")
            value = None if shape.optional and value == [""] else value[0]
        return super().value(shape, value, keys)

    def record(self, cls: Any, value: Any, keys: Keys = (), **preset: object) -> Any:
        if isinstance(value, str):
            names = getattr(cls, "words", tuple(fields_of(cls)))
            words = value.split(" ", len(names) - 1)
            if len(words) < len(names):
                self.fault(keys, f"{len(words)} words, expected {len(names)}: {value[:LONGEST_SHOWN]!r}")
            value = {name: None if word == "?" else word for name, word in zip(names, words, strict=True)}
            preset |= {each.name: each.default() for key, each in fields_of(cls).items() if key not in names}
        return super().record(cls, value, keys, **preset)


def whole_number(text: str) -> int:
    """Raises Misfit for anything but an optional minus and ASCII digits."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > LONGEST_SHOWN:
        raise Misfit(f"no whole number: {text[:LONGEST_SHOWN]!r}")
    return int(text)


def _flag(text: str) -> bool:
    if text not in _FLAGS:
        raise Misfit(f"neither yes nor no: {text[:LONGEST_SHOWN]!r}")
    return _FLAGS[text]


def _mode(text: str) -> Mode:
    if not re.fullmatch(r"[0-7]{1,5}", text):
        raise Misfit(f"no permission bits: {text[:LONGEST_SHOWN]!r}")
    return Mode(int(text, 8))


def _moment(text: str) -> datetime:
    """Of seconds since 1970."""
    try:
        return datetime.fromtimestamp(whole_number(text), UTC)
    except (OverflowError, OSError, ValueError):
        raise Misfit(f"no time: {text[:LONGEST_SHOWN]!r}") from None


def _offset(text: str) -> timedelta:
    """As date(1) writes that of a zone: `+0200`."""
    minutes = int(text[1:3]) * 60 + int(text[3:5]) if re.fullmatch(r"[+-]\d{4}", text, re.ASCII) else _DAY_MINUTES
    if minutes >= _DAY_MINUTES:
        raise Misfit(f"no offset from UTC: {text[:LONGEST_SHOWN]!r}")
    return timedelta(minutes=-minutes if text[0] == "-" else minutes)


def _until(text: str) -> datetime:
    try:
        return _moment(text)
    except Misfit:
        return datetime.max.replace(tzinfo=UTC) if whole_number(text) > 0 else datetime.min.replace(tzinfo=UTC)


_SCALARS: Scalars = {
    str: str, int: whole_number, bool: _flag, Mode: _mode, datetime: _moment, Until: _until, timedelta: _offset,
    Birth: lambda text: _moment(text) if text.isdecimal() and text.strip("0") else None,
    frozenset[int]: lambda text: frozenset(map(whole_number, text.split())),
}  # fmt: skip
_TEXTS = shape_of(tuple[str, ...])
_LINES, _ROWS = _LineReader(_SCALARS), _TextReader(_SCALARS, complete=True)
