"""What a person's word about a plan covers: the parts of the plan that concern him, each by a digest. Pure.

A change elsewhere in the plan leaves the word as it stands; a change in one of these parts voids it, and is named."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from preflight.plan import Attest, Decision, Plan, Role, Rule
from preflight.plan.confirmed import Confirmation
from preflight.record import without_defaults
from preflight.wording import MOST_NAMED, beside, listed

_OWNED = ("hosts", "databases", "backups", "scripts", "applications", "freeze")


def covered_by_role(plan: Plan, role: Role) -> Mapping[str, str]:
    """The release, the window, the role, its entries, their steps, what it decides: SHA-256 by the name of the part."""
    parts: dict[str, Any] = {**_occasion(plan), f"roles.{role.id}": role}
    parts |= {
        f"{section}.{name}": entry
        for section in _OWNED
        for name, entry in getattr(plan, section).items()
        if entry.owner == role.id or (section in ("hosts", "databases") and name in role.access)
    }
    if plan.rollback is not None and plan.rollback.owner == role.id:
        parts["rollback"] = plan.rollback
    parts |= {f"steps.{step}": plan.step(step) for step in _steps(plan, parts)}
    parts |= {f"attest.{item.id}": item for item in plan.attest if item.owner == role.id}
    agreed: list[Decision | Rule] = [*plan.decisions, *plan.rules]
    agreed = [each for each in agreed if each.decides == role.id]
    return _digests(plan, parts | ({"decisions and rules": agreed} if agreed else {}))


def covered_by_item(plan: Plan, item: Attest) -> Mapping[str, str]:
    """The release, the window and the item."""
    return _digests(plan, {**_occasion(plan), f"attest.{item.id}": item})


def changed_since(confirmation: Confirmation, covered: Mapping[str, str]) -> str:
    """What is not as it was confirmed, by name: `hosts.db1, and steps.deploy is new`; empty for nothing."""
    then = confirmation.covers
    kinds = {
        "": [name for name in covered if then.get(name, covered[name]) != covered[name]],
        " (new)": [name for name in covered if name not in then],
        " (gone)": [name for name in then if name not in covered],
    }
    return listed((f"{name}{kind}" for kind, names in kinds.items() for name in names), MOST_NAMED)


def _occasion(plan: Plan) -> Mapping[str, Any]:
    """What it is said for: another release, or another attempt at it, wants another word."""
    return {"release": [plan.release.id, plan.release.attempt], "window": plan.window}


def _steps(plan: Plan, parts: Mapping[str, Any]) -> Iterator[str]:
    """The steps in which something is done with these entries."""
    named = {getattr(entry, "step", "") for entry in parts.values()}
    for step in plan.steps:
        if step.id in named or f"applications.{step.deploys}" in parts or f"hosts.{step.host}" in parts:
            yield step.id


def _digests(plan: Plan, parts: Mapping[str, Any]) -> Mapping[str, str]:
    texts = {name: json.dumps(_plain(plan.folder, part), sort_keys=True) for name, part in parts.items()}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


def _plain(folder: Path, value: Any) -> Any:
    """Equal in every checkout, and for every version of preflight: a key that is left out counts as not there."""
    if dataclasses.is_dataclass(value):
        return {key: _plain(folder, found) for key, found in without_defaults(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(folder, each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(folder, each) for each in value]
    if isinstance(value, Path):
        return beside(folder, value)
    return value if isinstance(value, bool | int | float | None) else str(value)
