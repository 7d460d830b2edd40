"""JSON Schema of the plan, from the plan's own types: editors complete and check TOML plans with it.

Draft 7, which the TOML language servers read. A date or time is a string for them, as they turn TOML into JSON. It says
no less than it can: a plan it refuses is refused by `preflight lint`; what only lint can see (references, times, keys
that go together) it does not refuse.
"""

from __future__ import annotations

import inspect
from enum import StrEnum
from typing import Any

from preflight.engine.registry import Registry
from preflight.finding import Severity
from preflight.plan import EntryId, Plan
from preflight.plan.limits import Above, Between, Matches
from preflight.record import Form, Shape, shape_of
from preflight.reference.keys import LIMITS, VALUES, Key, Schema, keys
from preflight.wording import first_paragraph


def plan_schema(registry: Registry) -> Schema:
    """The schema of a whole plan, with the settings of the checks of `registry`."""
    builder = _Builder()
    properties = {key.name: builder.key(key) for key in keys(Plan, without=("path", "digest", "checks"))}
    properties["checks"] = builder.checks(registry)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "preflight release plan",
        "type": "object",
        "properties": properties,
        "required": ["release", "window"],
        "additionalProperties": False,
        "definitions": dict(sorted(builder.definitions.items())),
    }


class _Builder:
    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def key(self, key: Key) -> Schema:
        return {**self.value(key.shape), **({"description": key.text} if key.text else {})}

    def checks(self, registry: Registry) -> Schema:
        """A table for each check; one of a plug-in that is not here is any table."""
        severity = {"enum": [each.value for each in Severity], "description": "Advisory findings never decide."}
        tables = {}
        for check in registry.checks:
            properties = {"severity": severity, **{key.name: self.key(key) for key in keys(check.Settings)}}
            tables[check.id] = _table(properties, [], first_paragraph(check))
        return {"type": "object", "properties": tables, "additionalProperties": {"type": "object"}}

    def value(self, shape: Shape) -> Schema:
        match shape.form:
            case Form.RECORD:
                return self._record(shape.type)
            case Form.LIST:
                return {"type": "array", "items": self.value(shape.inner[0])}
            case Form.TABLE:
                return self._table(shape.inner[0])
            case Form.UNION:
                return {"anyOf": [self.value(each) for each in shape.inner]}
        if inspect.isclass(shape.type) and issubclass(shape.type, StrEnum):
            return {"enum": [each.value for each in shape.type]}
        return _limited(dict(VALUES[shape.type][1]), shape.marks)

    def _table(self, inner: Shape) -> Schema:
        if inner.form is Form.RECORD:
            names = {"propertyNames": self.value(shape_of(EntryId))}
            return {"type": "object", "additionalProperties": self._record(inner.type, named=True)} | names
        return {"type": "object", "additionalProperties": self.value(inner)}

    def _record(self, cls: Any, *, named: bool = False) -> Schema:
        """A reference to the definition of `cls`; in `[section.NAME]` the name is no key."""
        name = cls.__name__
        if name not in self.definitions:
            self.definitions[name] = {}  # a type that holds itself finds it
            own = keys(cls, without=("id",) if named else ())
            required = [key.name for key in own if key.required]
            table = _table({key.name: self.key(key) for key in own}, required, first_paragraph(cls))
            short = getattr(cls, "shorthand", None)
            if short:
                bare = next(self.key(key) for key in own if key.name == short)
                table = {"anyOf": [bare, table]}
            self.definitions[name] = table
        return {"allOf": [{"$ref": f"#/definitions/{name}"}]}


def _table(properties: Schema, required: list[str], text: str) -> Schema:
    table = {"type": "object", "description": text, "properties": properties, "additionalProperties": False}
    return table | ({"required": required} if required else {})


def _limited(schema: Schema, limits: tuple[Any, ...]) -> Schema:
    """Limits on numbers and texts; on durations and references they are lint's."""
    number = schema.get("type") in ("integer", "number")
    for limit in limits:
        match limit:
            case Between(low, high) if number:
                schema["minimum"] = low
                if high != float("inf"):
                    schema["maximum"] = high
            case Above(low) if number:
                schema["exclusiveMinimum"] = low
            case Matches(pattern, _):
                schema["pattern"] = f"^(?:{pattern})$"
            case _:
                _, pattern = LIMITS.get(type(limit), ("", ""))
                if pattern:
                    schema["pattern"] = pattern
    return schema
