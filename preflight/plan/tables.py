"""Tables of a plan: what TOML adds to the reader of records. Nothing here knows a section by name."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from preflight.faults import Keys, Misfit, kind_of, listed, nearest_name, quoted
from preflight.plan import EntryId, Ref
from preflight.plan.limits import ManyLines
from preflight.plan.old_keys import instead_of
from preflight.plan.scalars import Surroundings, choice, readers, text
from preflight.plan.source import Problems
from preflight.record import INVALID, Form, Reader, Shape, fields_of, shape_of


class Tables(Reader):
    """Builds the plan's dataclasses from tables and notes every problem on the way.

    What comes out while there are problems is a draft: a faulty value is replaced by its default, or by None where it
    has none, so that the rest can still be judged. Only a caller that found no problem may use it as the real thing.
    """

    def __init__(self, problems: Problems, around: Surroundings, declared: Mapping[str, Collection[str]]) -> None:
        """`declared`: the names of the entries of each section, for references to them."""
        super().__init__(readers(around))
        self._problems = problems
        self._declared = declared

    def fault(self, keys: Keys, message: str, nearest: str = "") -> Any:
        self._problems.add(keys, message, nearest)
        return INVALID

    def unknown(self, keys: Keys, table: Mapping[str, Any], known: Collection[str]) -> None:
        if instead := instead_of(keys, table):
            self._problems.add(keys, instead)
            return
        value = table[str(keys[-1])]
        many_tables = isinstance(value, list) and value and all(isinstance(element, Mapping) for element in value)
        noun = "table" if isinstance(value, Mapping) or many_tables else "key"
        self._problems.add_unknown(keys, f"unknown {noun}", known)

    def record(self, cls: Any, value: Any, keys: Keys = (), **preset: object) -> Any:
        if isinstance(value, str) and hasattr(cls, "shorthand"):
            short = fields_of(cls)[cls.shorthand]
            return cls(**{cls.shorthand: self.value_or_default(short, value, keys)})
        return super().record(cls, value, keys, **preset)

    def scalar(self, shape: Shape, value: Any) -> Any:
        if shape.type is str:
            return text(value, many_lines=any(isinstance(mark, ManyLines) for mark in shape.marks))
        if inspect.isclass(shape.type) and issubclass(shape.type, StrEnum):
            return choice(shape.type, value)
        if shape.type not in self._scalars:
            raise TypeError(f"a plan cannot hold a value of type {shape.type!r}")
        return super().scalar(shape, value)

    def check(self, mark: Any, value: Any) -> None:
        if isinstance(mark, Ref):
            self._require_declared(mark.section, value)
        super().check(mark, value)

    def union(self, options: Collection[Shape], value: Any, keys: Keys) -> Any:
        """The scalar whose type the value has already."""
        meant = next((option for option in options if option.type is type(value)), None)
        if meant:
            return self.value(meant, value, keys)
        advice = '; write a dotted path as one quoted key: "a.b" = ...' if isinstance(value, Mapping) else ""
        return self.fault(keys, f"expected a string, a number or a boolean, found {kind_of(value)}{advice}")

    def table(self, shape: Shape, value: Mapping[str, Any], keys: Keys) -> Any:
        """Entries `[section.NAME]`, whose name becomes the field `id`, or values by name."""
        (inner,) = shape.inner
        found = {}
        for name, element in value.items():
            if inner.form is Form.RECORD:
                self.value(shape_of(EntryId), name, (*keys, name))
                found[name] = self.record(inner.type, element, (*keys, name), id=name)
            elif self._is_name(shape.marks, name, (*keys, name)):
                found[name] = self.value(inner, element, (*keys, name))
        return {name: each for name, each in found.items() if each is not INVALID and each is not None}

    def _is_name(self, marks: Collection[Any], name: str, keys: Keys) -> bool:
        try:
            if not name.strip():
                raise Misfit("the key is empty")
            for mark in marks:
                self.check(mark, name)
        except Misfit as misfit:
            self.fault(keys, str(misfit), misfit.nearest)
            return False
        return True

    def _require_declared(self, section: str, name: str) -> None:
        declared = self._declared.get(section, ())
        if name in declared:
            return
        header = "[[steps]]" if section == "steps" else f"[{section}]"
        if not declared:
            raise Misfit(f"{quoted(name)} is not declared; the plan has no {header}")
        nearest = nearest_name(name, declared)
        known = "" if nearest else f"; declared: {listed(declared)}"
        raise Misfit(f"{quoted(name)} is not declared in {header}{known}", nearest)
