"""Builds frozen dataclasses from plain values by their annotations: the one strict reader of tables, objects, rows and
lines.

A syntax says how single values are written: JSON here, texts of programs and servers in `preflight.questions.fields`, a
plan's TOML in `preflight.plan.load`. The walk over dataclasses, tuples and mappings is the same for all. Nothing is
guessed: a key that is missing, unknown or holds another type is an error with its place."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, NoReturn, Union, cast, get_args, get_origin, get_type_hints

from preflight.faults import LONGEST_SHOWN, Keys, Misfit, dotted, expected, kind_of, listed, nearest_name, quoted
from preflight.probe import T, Unreadable
from preflight.reasons import Reason

Scalars = Mapping[Any, Callable[[Any], Any]]
"""Type -> what makes it of a value, or raises Misfit."""
_KEYS_TOLD = range(2, 5)
"""Where a value stands in place of a table, its required keys are named if there are so many: one says little, and
more than these are for the reference."""


class Form(Enum):
    """What kind of value an annotation wants."""

    SCALAR = "scalar"
    RECORD = "record"
    """A dataclass."""
    LIST = "list"
    TABLE = "table"
    """A mapping from names."""
    UNION = "union"


@dataclass(frozen=True, slots=True)
class Shape:
    """An annotation, taken apart."""

    form: Form
    type: Any = None
    """Of a scalar its type, of a record its dataclass, of a table the type of its names."""
    inner: tuple[Shape, ...] = ()
    """Of a list or table its elements' shape, of a union every one that may be meant."""
    marks: tuple[Any, ...] = ()
    """What stands beside the type in `Annotated`; of a table, beside the type of its names, too."""
    optional: bool = False
    """None is allowed."""


@cache
def shape_of(annotation: Any) -> Shape:
    """Raises TypeError for an annotation that cannot be hashed."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = shape_of(arguments[0])
        return replace(inner, marks=(*annotation.__metadata__, *inner.marks))
    if origin in (Union, UnionType):
        options = tuple(shape_of(each) for each in arguments if each is not NoneType)
        shape = options[0] if len(options) == 1 else Shape(Form.UNION, inner=options)
        return replace(shape, optional=NoneType in arguments)
    if origin is tuple:
        return Shape(Form.LIST, inner=(shape_of(arguments[0]),))
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        key = shape_of(arguments[0])
        return Shape(Form.TABLE, key.type, marks=key.marks, inner=(shape_of(arguments[1]),))
    # A dataclass that parses itself (a secret's reference) is written as one text.
    is_record = dataclasses.is_dataclass(annotation) and not hasattr(annotation, "parse")
    return Shape(Form.RECORD if is_record else Form.SCALAR, annotation)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a dataclass, as a key of what is read."""

    name: str
    shape: Shape
    required: bool
    default: Callable[[], Any]
    """Gives None for one that is required."""


@cache
def fields_of(cls: Any) -> Mapping[str, Field]:
    """Key -> field. `from` is a word of Python's, so its field is called `from_`."""
    hints = get_type_hints(cls, include_extras=True)
    found = {}
    for each in dataclasses.fields(cls):
        required = each.default is each.default_factory is dataclasses.MISSING
        default = None if required else each.default
        make = (lambda value=default: value) if each.default_factory is dataclasses.MISSING else each.default_factory
        if each.init:
            found[each.name.rstrip("_")] = Field(each.name, shape_of(hints[each.name]), required, make)
    return found


def without_defaults(record: Any) -> Iterator[tuple[str, Any]]:
    """The keys of a dataclass that do not hold their defaults, each with its value."""
    for key, each in fields_of(record.__class__).items():
        value = getattr(record, each.name)
        if each.required or value != each.default():
            yield key, value


def shape_below(shape: Shape, key: str) -> Shape | None:
    """The shape of what stands at `key` of a record or a table; None for a key that a record does not have."""
    if shape.form is Form.RECORD:
        field = fields_of(shape.type).get(key)
        return field.shape if field else None
    return shape.inner[0] if shape.form is Form.TABLE else None


INVALID = object()
"""Stands for a value whose fault was noted by a reader that goes on."""


class Reader:
    """Reads what one syntax wrote. Stops at the first fault with Unreadable; one that collects them all overrides
    `fault`, and gets `INVALID` or a default in place of what is faulty."""

    def __init__(self, scalars: Scalars, *, exact: bool = True, complete: bool = False) -> None:
        """`exact`: unknown keys are faults. `complete`: so are missing keys whose fields have defaults."""
        self._scalars, self._exact, self._complete = scalars, exact, complete

    def fault(self, keys: Keys, message: str, nearest: str = "") -> Any:
        """What to do about a fault at `keys`. Returns `INVALID`, where it returns."""
        hint = f"; did you mean {nearest}?" if nearest else ""
        raise Unreadable(f"{dotted(keys)}: {message}{hint}" if keys else message)

    def record(self, cls: Any, value: Any, keys: Keys = (), **preset: object) -> Any:
        """The dataclass `cls` from a table; None, noted, when it is none. `preset`: fields that are no keys."""
        if not isinstance(value, Mapping):
            wanted = [key for key, each in fields_of(cls).items() if each.required and each.name not in preset]
            told = "expected a table" + (f" {{ {', '.join(wanted)} }}" if len(wanted) in _KEYS_TOLD else "")
            self.fault(keys, f"{told}, found {kind_of(value)}")
            return None
        return cls(**preset, **self.fields(cls, value, keys, preset))

    def fields(
        self, cls: Any, table: Mapping[str, Any], keys: Keys, preset: Collection[str] = (), beside: Collection[str] = ()
    ) -> dict[str, Any]:
        """The values that `table` gives to the fields of `cls`; fields it leaves to their defaults are left out.

        `preset`: fields that are no keys. `beside`: keys that are no fields and are read by the caller."""
        fields = {key: each for key, each in fields_of(cls).items() if each.name not in preset}
        for key in table if self._exact else ():
            if key not in fields and key not in beside:
                self.unknown((*keys, key), table, [*fields, *beside])
        values = {}
        for key, each in fields.items():
            if key in table:
                values[each.name] = self.value_or_default(each, table[key], (*keys, key))
            elif self.needs(each):
                self.fault((*keys, key), "is required")
                values[each.name] = None
        return values

    def needs(self, each: Field) -> bool:
        """Whether it is a fault that its key is missing."""
        return each.required or self._complete

    def value_or_default(self, each: Field, value: Any, keys: Keys) -> Any:
        found = self.value(each.shape, value, keys)
        return each.default() if found is INVALID else found

    def unknown(self, keys: Keys, _table: Mapping[str, Any], _known: Collection[str]) -> None:
        """What to do about the last of `keys`, which stands in the table and is none of the known ones."""
        self.fault(keys, "unknown key")

    def value(self, shape: Shape, value: Any, keys: Keys) -> Any:
        """A value as its annotation wants it; `INVALID` when its fault was noted."""
        if value is None and shape.optional:
            return None
        if shape.form is Form.SCALAR:
            return self._scalar(shape, value, keys)
        if shape.form is Form.RECORD:
            return self.record(shape.type, value, keys)
        if shape.form is Form.LIST:
            return self._list(shape.inner[0], value, keys)
        if shape.form is Form.UNION:
            return self.union(shape.inner, value, keys)
        if isinstance(value, Mapping):
            return self.table(shape, value, keys)
        return self.fault(keys, f"expected a table, found {kind_of(value)}")

    def table(self, shape: Shape, value: Mapping[str, Any], keys: Keys) -> Any:
        return {key: self.value(shape.inner[0], element, (*keys, key)) for key, element in value.items()}

    def union(self, options: Collection[Shape], value: Any, keys: Keys) -> Any:
        """The first record of which the value has every required key."""
        for option in options:
            wanted = fields_of(option.type).items()
            if isinstance(value, Mapping) and all(key in value for key, each in wanted if each.required):
                return self.record(option.type, value, keys)
        return self.fault(keys, f"none of {len(options)} kinds of record")

    def scalar(self, shape: Shape, value: Any) -> Any:
        """Raises Misfit."""
        read = self._scalars.get(shape.type)
        return read(value) if read else choice(shape.type, value)

    def check(self, mark: Any, value: Any) -> None:
        """Holds a value against what stands beside its type. Raises Misfit."""
        complaint = mark(value) if callable(mark) else ""
        if complaint:
            raise Misfit(complaint)

    def _scalar(self, shape: Shape, value: Any, keys: Keys) -> Any:
        try:
            found = self.scalar(shape, value)
            for mark in shape.marks:
                self.check(mark, found)
        except Misfit as misfit:
            message, nearest = str(misfit), misfit.nearest
        else:
            return found
        return self.fault(keys, message, nearest)  # outside, so that no context keeps the value

    def _list(self, element: Shape, value: Any, keys: Keys) -> Any:
        if not isinstance(value, list):
            many = "an array of tables" if element.form is Form.RECORD else "an array"
            return self.fault(keys, f"expected {many}, found {kind_of(value)}; write it in [ ]")
        found = [self.value(element, each, (*keys, index)) for index, each in enumerate(value)]
        return tuple(None if each is INVALID else each for each in found)  # each keeps its place


def choice(kind: type[StrEnum], value: Any) -> StrEnum:
    """The member of `kind` that `value` names. Raises Misfit."""
    words = list(map(str, kind))
    if not isinstance(value, str):
        raise expected(f"one of {listed(words)}", value)
    if value not in words:
        shown = quoted(value) if len(value) <= LONGEST_SHOWN else "it"
        raise Misfit(f"{shown} is not one of {listed(words)}", nearest_name(value, words))
    return kind(value)


# JSON


def parse_json(text: str, number: Callable[[str], Any] | None = None) -> Any:
    """The value of a JSON text. Raises Unreadable, also where a lenient reader would guess: for a key that occurs
    twice, and for NaN and Infinity. `number` makes a number of its digits."""
    if not text.strip():
        raise Unreadable("empty")
    try:
        return json.loads(text, parse_int=number, parse_float=number, parse_constant=_refuse, object_pairs_hook=_unique)
    except Unreadable:
        raise
    except json.JSONDecodeError as error:
        raise Unreadable(f"no JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except ValueError:
        raise Unreadable("no JSON to rely on: a number has too many digits") from None
    except RecursionError:
        raise Unreadable("no JSON to rely on: it is nested too deeply") from None


def plain(value: Any) -> Any:
    """How JSON writes what `read_record` reads and JSON does not have."""
    if isinstance(value, Reason):
        return value.id
    return value.isoformat() if isinstance(value, datetime) else dict(value)


def read_record(cls: type[T], value: Any, *, exact: bool = True, complete: bool = False, **preset: object) -> T:
    """`cls` from a JSON object. `exact` and `complete`: see `Reader`; `preset`: no keys. Raises Unreadable."""
    return cast(T, Reader(_JSON, exact=exact, complete=complete).record(cls, value, (), **preset))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unreadable(f"no JSON to rely on: the key {json.dumps(twice[:LONGEST_SHOWN])} occurs twice in one object")
    return result


def _refuse(constant: str) -> NoReturn:
    raise Unreadable(f"no JSON to rely on: {constant} is no JSON value")


def exactly(kind: type, what: str) -> Callable[[Any], Any]:
    """Reads a value of just this type, which is `what` in words."""

    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise expected(what, value)
        return value

    return read


def _number(value: Any) -> float:
    if (type(value) is float and math.isfinite(value)) or (type(value) is int and abs(value) < 2**63):
        return float(value)
    raise expected("a finite number", value)


def _reason(value: Any) -> Reason:
    try:
        return Reason.of(str(value))
    except ValueError as error:
        raise Misfit(str(error)) from None


def _moment(value: Any) -> datetime:
    """With its offset, since a time without one is another moment elsewhere."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Misfit("expected a date and time") from None
    if moment.tzinfo is None:
        raise Misfit("expected a date and time with its offset from UTC")
    return moment


_JSON: Scalars = {
    str: exactly(str, "a string"),
    int: exactly(int, "an integer"),
    bool: exactly(bool, "a boolean"),
    float: _number,
    datetime: _moment,
    Reason: _reason,
}
