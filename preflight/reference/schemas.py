"""JSON Schemas of the plan and of the JSON report, from their own types. Draft 7, which the TOML language servers read.

Editors complete and check plans with the one. A date or time is a string for them, as they turn TOML into JSON. It says
no less than it can: a plan it refuses is refused by `preflight lint`; what only lint can see (references, times, keys
that go together) it does not refuse.

The other is strict about the report's fields of today, so that the tests see when report and schema part. It promises
that `schema` is raised only when a field goes away or changes its meaning; new fields may come at any time, so a reader
ignores what it does not know."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from preflight.engine.registry import Registry
from preflight.errors import ExitCode
from preflight.finding import Severity
from preflight.plan import EntryId, Plan, limits
from preflight.plan.merged import DEFAULTS, OVERRIDE
from preflight.plan.release_plan import NOT_WRITTEN, SEVERITY_OF
from preflight.plan.values import Nothing, Url
from preflight.record import Form, Shape, fields_of, shape_of
from preflight.reference.keys import LIMITS, SHARING, VALUES, Key, Schema, keys
from preflight.report.json_report import Report
from preflight.verdict import REPORT_SCHEMA
from preflight.wording import first_paragraph

_DRAFT = "http://json-schema.org/draft-07/schema#"
_ENTRIES = {shape.type for shape in DEFAULTS.values()}


def plan_schema(registry: Registry) -> Schema:
    """The schema of a whole plan, with the settings of the checks of `registry`."""
    builder = _Builder()
    properties = {key.name: builder.key(key) for key in keys(Plan, without=(*NOT_WRITTEN, "checks"))}
    properties["checks"] = builder.checks(registry)
    # What is required may stand in another file of the plan, or in its defaults.
    return {
        "$schema": _DRAFT,
        "title": "preflight release plan",
        "type": "object",
        "properties": {**builder.sharing(), **properties},
        "additionalProperties": False,
        "definitions": dict(sorted(builder.definitions.items())),
    }


def report_schema() -> Schema:
    """The schema of `--format json`."""
    schema = _OfReports().record(Report)
    schema["properties"]["schema"] = {"const": REPORT_SCHEMA}
    schema["properties"]["exit_code"] = {"enum": [int(each) for each in (ExitCode.GO, ExitCode.NO_GO, ExitCode.HOLD)]}
    return {"$schema": _DRAFT, "title": "preflight report", **schema}


class _Builder:
    """Of a plan's types: what they hold is a reference to a definition."""

    scalars: Mapping[Any, Schema] = {kind: schema for kind, (_, schema) in VALUES.items()}
    placeholders: str = r"\$\{|\{n\}"
    """What may stand in a text before it is what its type wants."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def key(self, key: Key) -> Schema:
        return {**self.value(key.shape), **({"description": key.text} if key.text else {})}

    def checks(self, registry: Registry) -> Schema:
        """A table for each check; one of a plug-in that is not here is any table."""
        severity = {"enum": [each.value for each in Severity], "description": "What a finding does to the verdict."}
        named = {"type": "object", "additionalProperties": severity, "description": "Of single subjects."}
        runbook = {**self.value(shape_of(Url)), "description": "Printed with every finding of it."}
        tables = {}
        for check in registry.checks:
            own = {key.name: self.key(key) for key in keys(check.Settings)}
            properties = {"severity": severity, SEVERITY_OF: named, "runbook": runbook, **own}
            tables[check.id] = _table(properties, [], first_paragraph(check))
        return {"type": "object", "properties": tables, "additionalProperties": {"type": "object"}}

    def sharing(self) -> dict[str, Schema]:
        """The tables by which several plans, or several entries, say a thing once."""
        texts = {"type": "string"}
        variable = {"anyOf": [{**texts, "description": "Its value where nobody sets it."}, self.record(Nothing)]}
        defaults = {section: self.record(shape.type) for section, shape in DEFAULTS.items()}
        return {
            "include": {"type": "array", "items": texts, "description": SHARING["include"]},
            "variables": {
                "type": "object",
                "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                "additionalProperties": variable,
                "description": SHARING["variables"],
            },
            "defaults": _table(defaults, [], SHARING["defaults"]),
        }

    def value(self, shape: Shape) -> Schema:
        if limits.OR_NONE in shape.marks:
            there = replace(shape, marks=tuple(mark for mark in shape.marks if mark != limits.OR_NONE))
            return {"anyOf": [self.value(there), self.record(Nothing)]}
        match shape.form:
            case Form.RECORD:
                return self.record(shape.type)
            case Form.LIST:
                return {"type": "array", "items": self.value(shape.inner[0])}
            case Form.TABLE:
                (inner,) = shape.inner
                named = inner.form is Form.RECORD and "id" in fields_of(inner.type)
                names = EntryId if named else shape.type
                return {
                    "type": "object",
                    "additionalProperties": self.record(inner.type, named=True) if named else self.value(inner),
                    **({} if names is str else {"propertyNames": self.value(shape_of(names))}),
                }
            case Form.UNION:
                return {"anyOf": [self.value(each) for each in shape.inner]}
        if inspect.isclass(shape.type) and issubclass(shape.type, StrEnum):
            words = {"enum": [each.value for each in shape.type]}
            return {"anyOf": [words, {"type": "string", "pattern": self.placeholders}]} if self.placeholders else words
        found = _limited(dict(self.scalars[shape.type]), shape.marks)
        if self.placeholders and "pattern" in found:
            ranges = r"|\[\d+-\d+\]" if shape == shape_of(EntryId) else ""
            found["pattern"] = f"(?:{found['pattern']})|{self.placeholders}{ranges}"
        return found

    def record(self, cls: Any, *, named: bool = False) -> Schema:
        """A reference to the definition of `cls`; in `[section.NAME]` the name is no key."""
        name = cls.__name__
        if name not in self.definitions:
            self.definitions[name] = {}  # a type that holds itself finds it
            own = keys(cls, without=("id",) if named else ())
            properties = {key.name: self.key(key) for key in own}
            required = [key.name for key in own if key.required]
            if cls in _ENTRIES:
                properties |= {key.name: _or_taken_back(properties[key.name]) for key in own if not key.required}
                properties[OVERRIDE], required = {"const": True, "description": SHARING[OVERRIDE]}, []
            table = _table(properties, required, first_paragraph(cls))
            if short := getattr(cls, "shorthand", None):
                table = {"anyOf": [next(self.key(key) for key in own if key.name == short), table]}
            self.definitions[name] = table
        return {"allOf": [{"$ref": f"#/definitions/{name}"}]}


class _OfReports(_Builder):
    """Of a report's types: everything stands where it is used, and must be there."""

    placeholders = ""

    scalars: Mapping[Any, Schema] = {
        str: {"type": "string"},
        bool: {"type": "boolean"},
        int: {"type": "integer", "minimum": 0},
        float: {"type": "number"},
        datetime: {"type": "string", "format": "date-time", "description": "With an offset; UTC."},
    }

    def value(self, shape: Shape) -> Schema:
        if shape.optional:
            return {"anyOf": [self.value(replace(shape, optional=False)), {"type": "null"}]}
        return super().value(shape)

    def record(self, cls: Any, *, named: bool = False) -> Schema:
        properties = {key.name: self.key(key) for key in keys(cls)}
        return _table(properties, list(properties))


def _or_taken_back(schema: Schema) -> Schema:
    """The schema of a key that `[defaults]` may give: an empty text takes it back."""
    about = {"description": schema["description"]} if "description" in schema else {}
    return about | {"anyOf": [{name: each for name, each in schema.items() if name not in about}, {"const": ""}]}


def _table(properties: Schema, required: list[str], text: str = "") -> Schema:
    about = {"description": text} if text else {}
    table = {"type": "object", **about, "properties": properties, "additionalProperties": False}
    return table | ({"required": required} if required else {})


def _limited(schema: Schema, marks: tuple[Any, ...]) -> Schema:
    """Limits on numbers and texts; on durations and references they are lint's."""
    number = schema.get("type") in ("integer", "number")
    for limit in marks:
        match limit:
            case limits.Between(low, high) if number:
                schema["minimum"] = low
                if high != float("inf"):
                    schema["maximum"] = high
            case limits.Above(low) if number:
                schema["exclusiveMinimum"] = low
            case limits.Matches(pattern, _):
                schema["pattern"] = f"^(?:{pattern})$"
            case _:
                _, pattern = LIMITS.get(limit, ("", ""))
                if pattern:
                    schema["pattern"] = pattern
    return schema
