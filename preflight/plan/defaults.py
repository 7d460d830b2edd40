"""`[defaults.SECTION]`: keys that every entry of a section has unless it says otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from preflight.faults import Keys
from preflight.plan.targets import CREDENTIALS

HEALTH = "health"
"""`[defaults.health]` is for the endpoints of every application."""
_GO_TOGETHER = {"hosts": (*CREDENTIALS, "passphrase", "certificate")}
"""Keys of which an entry that logs in by another credential than `base` takes none from there."""


def laid_over(section: str, base: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """`entry`, with the keys of `base` that it does not say itself. An empty text takes a key of `base` away."""
    own, theirs = ({key for key in CREDENTIALS if table.get(key)} for table in (entry, base))
    left_out = _GO_TOGETHER.get(section, ()) if own and own.isdisjoint(theirs) and theirs else ()
    taken_back = [key for key in base if entry.get(key) == ""]
    found = {**entry, **{key: value for key, value in base.items() if key not in entry and key not in left_out}}
    return {key: value for key, value in found.items() if key not in taken_back}


def entries_of(section: str, tables: Mapping[str, Any]) -> Iterator[tuple[Keys, dict[str, Any]]]:
    """Every entry to which the defaults of a section belong, with its keys."""
    if section == HEALTH:
        applications = tables.get("applications", {})
        for name, application in applications.items() if isinstance(applications, Mapping) else ():
            found = application.get(HEALTH) if isinstance(application, Mapping) else None
            yield from ((("applications", name, HEALTH, *keys), entry) for keys, entry in _below(found))
        return
    yield from (((section, *keys), entry) for keys, entry in _below(tables.get(section)))


def _below(found: Any) -> Iterator[tuple[Keys, dict[str, Any]]]:
    pairs = found.items() if isinstance(found, Mapping) else enumerate(found) if isinstance(found, list) else ()
    yield from (((key,), entry) for key, entry in pairs if isinstance(entry, dict))
