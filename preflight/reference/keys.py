"""The keys of a table of the plan, as their dataclass declares them: type, default, and the words below the field."""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from preflight.plan import limits
from preflight.plan.values import Account, Bytes, Ref, RemotePath, Roots, SecretRef, Sha256
from preflight.record import Form, Shape, fields_of
from preflight.units import DURATION, SIZE, format_duration, format_size
from preflight.wording import in_toml

Schema = dict[str, Any]


def _pattern(pattern: str) -> Schema:
    return {"type": "string", "pattern": pattern}


VALUES: Mapping[Any, tuple[str, Schema]] = {
    str: ("text", {"type": "string"}),
    object: ("anything", {}),
    bool: ("true or false", {"type": "boolean"}),
    int: ("whole number", {"type": "integer"}),
    float: ("number", {"type": "number"}),
    timedelta: ('duration: `"30min"`', _pattern(DURATION)),
    Bytes: ('size: `"20GiB"`', _pattern(SIZE)),
    datetime: ("local date and time: `2026-10-17T00:00:00`", _pattern(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d")),
    date: ("date: `2026-10-10`", _pattern(r"^\d{4}-\d\d-\d\d$")),
    Path: ("path beside the plan", {"type": "string", "minLength": 1}),
    Roots: ('path beside the plan, or `"system"`', {"type": "string", "minLength": 1}),
    RemotePath: ("absolute path on the host", _pattern("^/")),
    Sha256: ("SHA-256, 64 hex digits", _pattern("^[0-9a-f]{64}$")),
    Account: ("account name", _pattern(r"^[^\s-]\S*$")),
    SecretRef: (
        '`"env:NAME"`, `"file:PATH"`, `"command:ARGV"` or `"prompt"`',
        _pattern("^(env:|file:|command:|prompt)"),
    ),
}
"""Type of a key -> what its value is, in words and as JSON Schema."""
LIMITS: Mapping[object, tuple[str, str]] = {
    limits.filled: ("", r"\S"),
    limits.network_address: ("host name or IP address", ""),
    limits.http_url: ("http or https URL", "^https?://"),
    limits.zone_name: ("IANA name: `Europe/Berlin`", ""),
    limits.below_folder: ("path below the folder", ""),
    limits.server_place: ('`"/socket/folder"`, `"/socket/folder:PORT"`, `"host"` or `"host:PORT"`', ""),
    limits.guess_or_dated: (
        '`"guess"`, `"measured DATE"` or `"rehearsed DATE"`',
        r"^(guess|(measured|rehearsed) \d{4}-\d\d-\d\d)$",
    ),
}
"""What limits a text -> the text in words, and the pattern that it matches; empty for what only lint can see."""


SHARING: Mapping[str, str] = {
    "include": "Files that are a part of the plan, each relative to the folder of the file that names it. They may "
    "include others; each is read once. Relative paths in a file start at its own folder.",
    "variables": "Texts for `${name}` in any string of any file; `$${` is a plain `${`. Each has its value, or "
    '`{ none = "what to set it to" }` where a call must set it: `--set name=value`, or PREFLIGHT_SET_name in the '
    "environment. Never a secret.",
    "defaults": "`[defaults.hosts]`: keys that every entry of [hosts], in whichever file, has unless it says "
    'otherwise; so for each section of entries, and `[defaults.health]` for every health endpoint. `key = ""` in an '
    "entry takes a default back; a host that names another credential takes none of them.",
    "override": "In an entry that is there already, from an included file or a range: the keys it says take the place "
    "of that one's, and every report names those of an included file. Without it an entry that is there twice is an "
    "error.",
}
"""By what files and entries share what they say -> what it means."""


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    name: str
    shape: Shape
    required: bool
    default: str
    """As it would be written in the plan; empty where leaving the key out means nothing of the kind."""
    text: str
    """What it means; the docstring of its field."""


def keys(cls: Any, without: tuple[str, ...] = ()) -> list[Key]:
    """The keys that a table for this dataclass may have, in the order of its fields."""
    texts = {name: text for each in cls.__mro__ for name, text in field_docs(each).items()}
    found = {name: field for name, field in fields_of(cls).items() if field.name not in without}
    defaults = {name: as_toml(field.default(), is_size=field.shape.type is Bytes) for name, field in found.items()}
    return [Key(name, own.shape, own.required, defaults[name], texts.get(own.name, "")) for name, own in found.items()]


@cache
def field_docs(cls: Any) -> dict[str, str]:
    """The string below each field, on one line; empty for classes whose source is not there."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return {}
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    docs = {}
    for pair in pairwise(body):
        match pair:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                docs[name] = " ".join(text.split())
    return docs


def as_toml(value: Any, *, is_size: bool = False) -> str:
    """A default as the plan would write it; empty for None and for what is empty itself."""
    match value:
        case "" | ():
            return ""
        case int() if is_size:
            return in_toml(format_size(value))
        case timedelta():
            return in_toml(format_duration(value).replace(" ", ""))
        case Path():
            return in_toml(str(value))
        case float():
            return f"{value:g}"
        case str() | int() | tuple():
            return in_toml(value)
    return ""


def in_words(shape: Shape) -> str:
    """The type of a key's value for a reader: `number from 1 to 100`, `one of "direct", "tunnel"`."""
    return _in_words(shape) + (", or `{ none = REASON }`" if limits.OR_NONE in shape.marks else "")


def _in_words(shape: Shape) -> str:
    match shape.form:
        case Form.UNION:
            return " or ".join(dict.fromkeys(map(in_words, shape.inner)))
        case Form.LIST:
            return f"list of: {in_words(shape.inner[0])}"
        case Form.TABLE:
            named = next((f"{mark.section[:-1]} -> " for mark in shape.marks if isinstance(mark, Ref)), "name -> ")
            return f"table: {named}{in_words(shape.inner[0])}"
        case Form.RECORD:
            short = getattr(shape.type, "shorthand", None)
            names = ", ".join(key.name for key in keys(shape.type))
            return f"table {{ {names} }}" + (f", or just its {short}" if short else "")
    if inspect.isclass(shape.type) and issubclass(shape.type, StrEnum):
        return "one of " + ", ".join(f'`"{each.value}"`' for each in shape.type)
    words, _ = VALUES.get(shape.type, VALUES[str])
    for limit in shape.marks:
        match limit:
            case Ref(section):
                words = f"name of an entry of `{section}`"
            case limits.Matches(_, expected):
                words = expected
            case limits.Between(low, high) if shape.type is not timedelta:
                words += f" from {low:g}" + ("" if high == float("inf") else f" to {high:g}")
            case limits.Above(low) if shape.type is not timedelta:
                words += f" above {low:g}"
            case _:
                said, _ = LIMITS.get(limit, ("", ""))
                words = said or words
    return words
