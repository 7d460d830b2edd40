"""Reads values out of a JSON body more strictly than the standard library: what a lenient reader would guess is an
error here, because a guess may be a false pass."""

import json
import re
from decimal import Decimal
from itertools import accumulate
from typing import Any, cast

from preflight.probe import Unreadable
from preflight.record import parse_json as parse_exactly
from preflight.wording import listed

DEEPEST = 100
"""Levels of nesting; far more than any health answer has, far fewer than exhaust the stack."""
_MOST_KEYS_NAMED = 10
_LONGEST_KEY_NAMED = 40
_STRING = re.compile(r'"(?:[^"\\]|\\.?)*+(?:"|\Z)', re.DOTALL)  # linear also when the last quote is missing
_PART = re.compile(r"\[[^].=]+=[^]]*\]|[^.[]+(?:\[(?![^].=]+=)[^.[]*)*")
"""Of a path: a key, or `[key=value]`, in which dots count as written."""
_BRACKET = re.compile(r"[][{}]")


class BodyError(ValueError):
    """The body is no JSON that can be relied on, or has no such value. The text says which."""


class Number(str):
    """A JSON number exactly as written: `1.10` stays `1.10`, which as a version is not 1.1."""

    __slots__ = ()


JsonValue = dict[str, Any] | list[Any] | str | Number | bool | None
_ABSENT = object()


def parse_json(body: str) -> JsonValue:
    """The value of `body`. A byte order mark is tolerated; a key that occurs twice, NaN and Infinity, and nesting
    deeper than `DEEPEST` raise BodyError."""
    body = body.removeprefix("\ufeff")
    steps = (1 if bracket in "[{" else -1 for bracket in _BRACKET.findall(_STRING.sub("", body)))
    if max(accumulate(steps), default=0) > DEEPEST:
        raise BodyError(f"the body is nested deeper than {DEEPEST} levels")
    try:
        return cast(JsonValue, parse_exactly(body, Number))
    except Unreadable as error:
        raise BodyError(f"the body is {error}") from None


def value_at(value: JsonValue, path: str) -> JsonValue:
    """The value at a dotted path: object keys and, in lists, numbers from 0, their elements' own names, or what one key
    of just one element says: `checks[name=db].status`. A key with dots in it is found as well: the longest key that
    fits is tried first. Raises BodyError, which names the keys there are."""
    parts = _parts(path)
    found, _ = _find(value, parts)
    if found is _ABSENT:
        raise BodyError(_absent(value, parts, path))
    return cast(JsonValue, found)


def place_of(value: JsonValue, path: str) -> str:
    """The path by which `preflight.questions.health_words` tells the same value; `path` where there is none."""
    found, place = _find(value, _parts(path))
    return path if found is _ABSENT else ".".join(place)


def equals(value: JsonValue, wanted: str | int | float | bool) -> bool:
    """Whether a body's value is the one the plan wants: no substring, no truthiness, `true` is not `"true"`. A text is
    compared with a number's digits as written (`version = "1.10"` meets `1.10`, not `1.1`), a number by its value."""
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted
    if isinstance(wanted, str):
        return isinstance(value, str) and str(value) == wanted
    return isinstance(value, Number) and Decimal(value) == Decimal(str(wanted))


def shown(value: JsonValue) -> str:
    """A value for the report, at most 80 characters: texts in quotes, numbers as written."""
    if isinstance(value, Number):
        text = str(value)
    elif isinstance(value, dict):
        text = f"an object with {len(value)} keys"
    else:
        text = f"a list of {len(value)}" if isinstance(value, list) else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def names_of(elements: list[Any]) -> list[str]:
    """How a path may name the elements of a list: by their own names, where all have one, else by numbers from 0."""
    names = [_name(element) for element in elements]
    return names if all(names) and len(set(names)) == len(names) else [str(index) for index in range(len(elements))]


def _name(element: Any) -> str:
    fields = element if isinstance(element, dict) else {}
    names = (fields.get(key) for key in ("name", "Name", "CheckID"))
    return next((name[:_LONGEST_KEY_NAMED] for name in names if isinstance(name, str) and not name.isdigit()), "")


def _parts(path: str) -> list[str]:
    """`a.b[name=x.y].c` -> `a`, `b`, `[name=x.y]`, `c`."""
    return _PART.findall(path) or [path]


_Found = tuple[Any, tuple[str, ...]]
_NOWHERE: _Found = (_ABSENT, ())


def _find(value: JsonValue, parts: list[str]) -> _Found:
    """What the path leads to, `_ABSENT` for nothing, and the names on the way there."""
    if not parts:
        return value, ()
    if isinstance(value, list):
        names = names_of(value)
        for index in _chosen(value, parts[0]):
            return _below(names[index], _find(value[index], parts[1:]))
        value = dict(zip(names, value, strict=True))
    if isinstance(value, dict):
        for count in range(len(parts), 0, -1):
            key = ".".join(parts[:count])
            found = _find(value[key], parts[count:]) if key in value else _NOWHERE
            if found[0] is not _ABSENT:
                return _below(key, found)
    return _NOWHERE


def _below(name: str, found: _Found) -> _Found:
    return found if found[0] is _ABSENT else (found[0], (name, *found[1]))


def _chosen(elements: list[Any], part: str) -> list[int]:
    """The element that a part of a path names by its number, or by what a key of it alone says, `[key=value]`: a number
    and true or false as JSON writes them."""
    if part.isascii() and part.isdigit():
        return [int(part)] if int(part) < len(elements) else []
    key, is_one, wanted = part[1:-1].partition("=") if part.startswith("[") else ("", "", "")
    said = [element.get(key) if is_one and isinstance(element, dict) else None for element in elements]
    found = [at for at, each in enumerate(said) if each == wanted or (isinstance(each, bool) and shown(each) == wanted)]
    return found if len(found) == 1 else []


def _absent(value: JsonValue, parts: list[str], path: str) -> str:
    """Says how far the path leads and what is there instead."""
    reached = 0
    for count in range(len(parts) - 1, 0, -1):
        inner, _ = _find(value, parts[:count])
        if inner is not _ABSENT:
            value, reached = inner, count
            break
    where = f"at {'.'.join(parts[:reached]).replace('.[', '[')}" if reached else "at the top"
    if isinstance(value, list) and parts[reached].startswith("["):
        key = parts[reached][1:-1].partition("=")[0]
        said = listed((shown(each[key]) for each in value if isinstance(each, dict) and key in each), _MOST_KEYS_NAMED)
        return f"no value {path}: {where} it must be just one element, whose {key} are {said or 'nowhere'}"
    if isinstance(value, dict):
        keys = listed((key[:_LONGEST_KEY_NAMED] for key in value), _MOST_KEYS_NAMED)
        there = f"{'is' if len(value) == 1 else 'are'} only {keys}" if value else "is an empty object"
        return f"no value {path}: {where} there {there}"
    if isinstance(value, list):
        return f"no value {path}: {where} is a list of {len(value)}"
    return f"no value {path}: {where} is {shown(value)}"
