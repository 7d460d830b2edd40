"""The keys of a table of the plan, as their dataclass declares them: type, default, and the words below the field."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import Enum, StrEnum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from preflight.clock import format_duration
from preflight.plan import Account, Bytes, EntryId, Ref, RemotePath, SecretRef, Sha256
from preflight.plan.limits import Above, Between, Filled, GuessOrDated, HttpUrl, Matches, NetworkAddress, ZoneName
from preflight.sizes import format_size

_WORDS: Mapping[Any, str] = {
    str: "text",
    object: "anything",
    bool: "true or false",
    int: "whole number",
    float: "number",
    timedelta: 'duration: `"30min"`',
    Bytes: 'size: `"20GiB"`',
    datetime: "local date and time: `2026-10-17T00:00:00`",
    date: "date: `2026-10-10`",
    Path: "path beside the plan",
    RemotePath: "absolute path on the host",
    Sha256: "SHA-256, 64 hex digits",
    Account: "account name",
    SecretRef: '`"env:NAME"`, `"file:PATH"`, `"command:ARGV"` or `"prompt"`',
}
_LIMIT_WORDS: Mapping[type, str] = {
    Filled: "",
    NetworkAddress: "host name or IP address",
    HttpUrl: "http or https URL",
    ZoneName: "IANA name: `Europe/Berlin`",
    GuessOrDated: '`"guess"`, `"measured DATE"` or `"rehearsed DATE"`',
}


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """One key of a table."""

    name: str
    annotation: Any
    required: bool
    default: str
    """As it would be written in the plan; empty where leaving the key out means nothing of the kind."""
    text: str
    """What it means; the docstring of its field."""


def keys(cls: Any, without: tuple[str, ...] = ()) -> list[Key]:
    """The keys that a table for this dataclass may have, in the order of its fields."""
    hints, texts = get_type_hints(cls, include_extras=True), field_docs(cls)
    found = []
    for field in dataclasses.fields(cls):
        if field.init and field.name not in without:
            default = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            required = default is dataclasses.MISSING
            written = "" if required else as_toml(default, is_size=_is_size(hints[field.name]))
            name = field.name.rstrip("_")
            found.append(Key(name, hints[field.name], required, written, texts.get(field.name, "")))
    return found


@cache
def field_docs(cls: Any) -> dict[str, str]:
    """The string below each field, on one line; empty for classes whose source is not there."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return {}
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    docs = {}
    for field, after in zip(body, [*body[1:], None], strict=True):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            docs[field.target.id] = " ".join(after.value.value.split())
    return docs


def _is_size(annotation: Any) -> bool:
    return annotation is Bytes or Bytes in get_args(annotation)


def as_toml(value: Any, *, is_size: bool = False) -> str:
    """A default as the plan would write it; empty for None and for what is empty itself."""
    match value:
        case int() if is_size:
            return f'"{format_size(value)}"'
        case None | "":
            return ""
        case bool():
            return str(value).lower()
        case timedelta():
            return f'"{format_duration(value).replace(" ", "")}"'
        case Enum():
            return f'"{value.value}"'
        case str() | Path():
            return f'"{value}"'
        case tuple():
            return f"[{', '.join(map(as_toml, value))}]" if value else ""
        case Mapping():
            return ""
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(int(value))
    return ""


def in_words(annotation: Any, limits: tuple[Any, ...] = ()) -> str:
    """The type of a key's value for a reader: `number from 1 to 100`, `one of "direct", "tunnel"`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is EntryId or origin is Annotated:
        return in_words(arguments[0], (*annotation.__metadata__, *limits))
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(in_words(each, limits) for each in arguments if each is not NoneType))
    if origin is tuple:
        return f"list of: {in_words(arguments[0])}"
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        named = next((f"{each.section[:-1]} -> " for each in limits if isinstance(each, Ref)), "name -> ")
        return f"table: {named}{in_words(arguments[1])}"
    if dataclasses.is_dataclass(annotation) and annotation not in _WORDS:
        short = getattr(annotation, "shorthand", None)
        return f"table {_keys_of(annotation)}" + (f", or just its {short}" if short else "")
    if inspect.isclass(annotation) and issubclass(annotation, StrEnum):
        return "one of " + ", ".join(f'`"{each.value}"`' for each in annotation)
    return _scalar(annotation, limits)


def _keys_of(cls: Any) -> str:
    return "{ " + ", ".join(key.name for key in keys(cls)) + " }"


def _scalar(annotation: Any, limits: tuple[Any, ...]) -> str:
    words = _WORDS.get(annotation, "text")
    for limit in limits:
        match limit:
            case Ref(section):
                words = f"name of an entry of `{section}`"
            case Matches(_, expected):
                words = expected
            case Between(low, high) if annotation is not timedelta:
                words += f" from {low:g}" + ("" if high == float("inf") else f" to {high:g}")
            case Above(low) if annotation is not timedelta:
                words += f" above {low:g}"
            case _:
                words = _LIMIT_WORDS.get(type(limit), "") or words
    return words
