"""Tables of a plan: from what TOML holds to the plan's dataclasses, driven by their annotations alone.

A new key of the plan is a new field; nothing here knows a section by name.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Collection, Mapping
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from preflight.loader.lines import KeyPath
from preflight.loader.old_keys import instead_of
from preflight.loader.problems import Problems, kind_of, listed, nearest_name, quoted
from preflight.loader.scalars import READERS, Surroundings, Wrong, choice, text
from preflight.plan import EntryId, Ref
from preflight.plan.limits import Limit, ManyLines

_SCALARS = (str, bool, int, float)


class _Invalid:
    """Stands for a value whose problem has been noted."""


_INVALID = _Invalid()


class Tables:
    """Builds dataclasses from tables and notes every problem on the way.

    What comes out while there are problems is a draft: a faulty value is replaced by its default, or by None where it
    has none, so that the rest can still be judged. Only a caller that found no problem may use it as the real thing.
    """

    def __init__(self, problems: Problems, around: Surroundings, declared: Mapping[str, Collection[str]]) -> None:
        """`declared`: the names of the entries of each section, for references to them."""
        self._problems = problems
        self._around = around
        self._declared = declared

    def record(self, cls: Any, table: Any, keys: KeyPath, **preset: object) -> Any:
        """The dataclass `cls` from a table; None, noted, when it is no table. `preset`: fields that are no keys."""
        if isinstance(table, str) and hasattr(cls, "shorthand"):
            return cls(**{cls.shorthand: self._replaced(cls, cls.shorthand, table, keys)})
        if not isinstance(table, Mapping):
            self._problems.add(keys, f"expected a table, found {kind_of(table)}")
            return None
        return cls(**preset, **self.fields(cls, table, keys, set(preset)))

    def fields(
        self,
        cls: Any,
        table: Mapping[str, Any],
        keys: KeyPath,
        preset: Collection[str] = (),
        beside: Collection[str] = (),
    ) -> dict[str, Any]:
        """The values that `table` gives to the fields of `cls`; fields it leaves to their defaults are left out.

        `preset`: fields that are no keys. `beside`: keys that are no fields and are read by the caller."""
        fields = {_key_of(each): each for each in dataclasses.fields(cls) if each.init and each.name not in preset}
        for key in table:
            if key in fields or key in beside:
                continue
            if instead := instead_of((*keys, key), table):
                self._problems.add((*keys, key), instead)
            else:
                self._problems.add_unknown((*keys, key), f"unknown {_noun(table[key])}", [*fields, *beside])
        values = {}
        for key, field in fields.items():
            if key in table:
                values[field.name] = self._replaced(cls, field.name, table[key], (*keys, key))
            elif _is_required(field):
                self._problems.add((*keys, key), "is required")
                values[field.name] = None
        return values

    def value(self, annotation: Any, value: Any, keys: KeyPath, marks: tuple[Any, ...] = ()) -> Any:
        """A TOML value as `annotation` wants it; `_INVALID` when its problem was noted."""
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self.value(arguments[0], value, keys, (*annotation.__metadata__, *marks))
        if origin in (Union, UnionType):
            return self._union(arguments, value, keys, marks)
        if origin is tuple:
            return self._array(arguments[0], value, keys)
        if inspect.isclass(origin) and issubclass(origin, Mapping):
            return self._mapping(arguments[1], value, keys, marks)
        if dataclasses.is_dataclass(annotation) and annotation not in READERS:
            return self.record(annotation, value, keys)
        return self._scalar(annotation, value, keys, marks)

    def _replaced(self, cls: Any, name: str, value: Any, keys: KeyPath) -> Any:
        found = self.value(_hints(cls)[name], value, keys)
        if found is not _INVALID:
            return found
        field = next(each for each in dataclasses.fields(cls) if each.name == name)
        if field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
        return None if field.default is dataclasses.MISSING else field.default

    def _union(self, options: tuple[Any, ...], value: Any, keys: KeyPath, marks: tuple[Any, ...]) -> Any:
        kinds = [option for option in options if option is not NoneType]
        if len(kinds) == 1:
            return self.value(kinds[0], value, keys, marks)
        if type(value) in _SCALARS and type(value) in kinds:
            return self.value(type(value), value, keys, marks)
        advice = '; write a dotted path as one quoted key: "a.b" = ...' if isinstance(value, Mapping) else ""
        self._problems.add(keys, f"expected a string, a number or a boolean, found {kind_of(value)}{advice}")
        return _INVALID

    def _array(self, annotation: Any, value: Any, keys: KeyPath) -> Any:
        if not isinstance(value, list):
            many = "an array of tables" if dataclasses.is_dataclass(annotation) else "an array"
            self._problems.add(keys, f"expected {many}, found {kind_of(value)}; write it in [ ]")
            return _INVALID
        found = [self.value(annotation, element, (*keys, index)) for index, element in enumerate(value)]
        return tuple(None if element is _INVALID else element for element in found)  # each keeps its place

    def _mapping(self, annotation: Any, value: Any, keys: KeyPath, marks: tuple[Any, ...]) -> Any:
        if not isinstance(value, Mapping):
            self._problems.add(keys, f"expected a table, found {kind_of(value)}")
            return _INVALID
        if dataclasses.is_dataclass(annotation):
            return self._entries(annotation, value, keys)
        found = {}
        for key, element in value.items():
            if not key.strip():
                self._problems.add((*keys, key), "the key is empty")
                continue
            if any(isinstance(mark, Ref) and self._dangles(mark.section, key, (*keys, key)) for mark in marks):
                continue
            found[key] = self.value(annotation, element, (*keys, key))
        return {key: element for key, element in found.items() if element is not _INVALID}

    def _entries(self, annotation: Any, value: Mapping[str, Any], keys: KeyPath) -> dict[str, Any]:
        """Entries `[section.NAME]`; the name becomes the field `id`."""
        found = {}
        for name, table in value.items():
            self.value(EntryId, name, (*keys, name))
            entry = self.record(annotation, table, (*keys, name), id=name)
            if entry is not None:
                found[name] = entry
        return found

    def _scalar(self, annotation: Any, value: Any, keys: KeyPath, marks: tuple[Any, ...]) -> Any:
        found: Any
        try:
            if annotation is str:
                found = text(value, many_lines=any(isinstance(mark, ManyLines) for mark in marks))
            elif inspect.isclass(annotation) and issubclass(annotation, StrEnum):
                found = choice(annotation, value)
            elif annotation in READERS:
                found = READERS[annotation](value, self._around)
            else:
                raise TypeError(f"a plan cannot hold a value of type {annotation!r}")
        except Wrong as wrong:
            self._problems.add(keys, str(wrong), wrong.nearest)
            return _INVALID
        complaints = [self._complaint(mark, found, keys) for mark in marks]
        return _INVALID if any(complaints) else found

    def _complaint(self, mark: Any, value: Any, keys: KeyPath) -> bool:
        if isinstance(mark, Ref):
            return self._dangles(mark.section, value, keys)
        return isinstance(mark, Limit) and self._noted(keys, mark.complaint(value))

    def _noted(self, keys: KeyPath, complaint: str) -> bool:
        if complaint:
            self._problems.add(keys, complaint)
        return bool(complaint)

    def _dangles(self, section: str, name: str, keys: KeyPath) -> bool:
        declared = self._declared.get(section, ())
        if name in declared:
            return False
        header = "[[steps]]" if section == "steps" else f"[{section}]"
        if not declared:
            self._problems.add(keys, f"{quoted(name)} is not declared; the plan has no {header}")
            return True
        nearest = nearest_name(name, declared)
        known = "" if nearest else f"; declared: {listed(declared)}"
        self._problems.add(keys, f"{quoted(name)} is not declared in {header}{known}", nearest)
        return True


def _key_of(field: dataclasses.Field[Any]) -> str:
    """`from` is a word of Python's, so its field is called `from_`."""
    return field.name.rstrip("_")


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _noun(value: Any) -> str:
    return "table" if isinstance(value, Mapping) or _is_array_of_tables(value) else "key"


def _is_array_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(element, Mapping) for element in value)


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)
