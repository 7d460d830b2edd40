"""JSON Schema of the JSON report, from the report's own types, and of what it promises: `schema` is raised only when a
field goes away or changes its meaning; new fields may come at any time, so a reader ignores what it does not know.

The published schema is strict about the fields of today, so that the tests see when report and schema part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from preflight.errors import ExitCode
from preflight.record import Form, Shape, fields_of, shape_of
from preflight.reference.keys import Schema, field_docs
from preflight.report.json_report import Report
from preflight.verdict import REPORT_SCHEMA

_SCALARS: Mapping[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer", "minimum": 0},
    float: {"type": "number"},
    datetime: {"type": "string", "format": "date-time", "description": "With an offset; UTC."},
}


def report_schema() -> Schema:
    """The schema of `--format json`."""
    schema = _object(Report)
    schema["properties"]["schema"] = {"const": REPORT_SCHEMA}
    schema["properties"]["exit_code"] = {"enum": [int(each) for each in (ExitCode.GO, ExitCode.NO_GO, ExitCode.HOLD)]}
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "preflight report", **schema}


def _object(cls: Any) -> Schema:
    texts = field_docs(cls)
    properties = {}
    for name, field in fields_of(cls).items():
        text = {"description": texts[name]} if name in texts else {}
        properties[name] = {**_value(field.shape), **text}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _value(shape: Shape) -> Schema:
    if shape.optional:
        return {"anyOf": [_value(replace(shape, optional=False)), {"type": "null"}]}
    match shape.form:
        case Form.RECORD:
            return _object(shape.type)
        case Form.LIST:
            return {"type": "array", "items": _value(shape.inner[0])}
        case Form.TABLE:
            names, values = _value(shape_of(shape.type)), _value(shape.inner[0])
            return {"type": "object", "propertyNames": names, "additionalProperties": values}
    if issubclass(shape.type, StrEnum):
        return {"enum": [each.value for each in shape.type]}
    patterns = [{"pattern": f"^{mark.pattern}$"} for mark in shape.marks]
    return {**_SCALARS[shape.type], **(patterns[0] if patterns else {})}
