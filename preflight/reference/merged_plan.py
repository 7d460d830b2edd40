"""A plan's files as one, as `preflight show PLAN --plan` prints it: a plan again, each value with its file and line."""

from collections.abc import Iterator, Mapping
from typing import Any

from preflight.faults import Keys
from preflight.plan.merged import Merged
from preflight.wording import in_toml, toml_key, visible

_COLUMN = 60
"""Where the places begin, behind values that are shorter."""


def render(merged: Merged) -> str:
    """Variables, ranges and defaults are written out in it: it needs none of them, and no other file."""
    lines = [f"# {visible(str(merged.own.path))}, with all that it includes, as it is judged."]
    lines += [f"# --set {name}={visible(value)}" for name, value in merged.set_values.items()]
    return "\n".join([*lines, *_table(merged, (), merged.tables)]) + "\n"


def _table(merged: Merged, keys: Keys, table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if not isinstance(value, Mapping) and not _are_tables(value):
            source, written = merged.place((*keys, key))
            place = f"# {source.at(written)}{_overrides(merged, (*keys, key))}"
            plain = in_toml(value).replace("${", "$${")  # a string that was filled once is not filled again
            yield f"{f'{toml_key(key)} = {plain}':<{_COLUMN}} {place}"
    for key, value in table.items():
        header = ".".join(toml_key(str(each)) for each in (*keys, key) if not isinstance(each, int))
        if isinstance(value, Mapping):
            holds_only_tables = value and all(isinstance(each, Mapping) or _are_tables(each) for each in value.values())
            overrides = _overrides(merged, (*keys, key))
            yield from () if holds_only_tables and not overrides else ("", f"[{header}]{overrides.replace(',', ' #')}")
            yield from _table(merged, (*keys, key), value)
        elif _are_tables(value):
            for index, each in enumerate(value):
                yield from ("", f"[[{header}]]")
                yield from _table(merged, (*keys, key, index), each)


def _overrides(merged: Merged, keys: Keys) -> str:
    """Where an included file says something else; empty where none does."""
    earlier = merged.overridden.get(keys)
    return f", overrides {earlier[0].at(earlier[1])}" if earlier else ""


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, Mapping) for each in value)
