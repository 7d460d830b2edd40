"""Reads a plan together with the checks that apply to it; used by every command that takes a plan."""

from __future__ import annotations

from pathlib import Path

import click

from preflight.loader import load_plan
from preflight.plan import Plan
from preflight.registry import Registry, find_checks

PLAN = click.argument(
    "plan_path", metavar="PLAN", type=click.Path(path_type=Path), help="The release plan, a TOML file."
)


def load(path: Path) -> tuple[Plan, Registry]:
    """The plan, valid to the last key, and its checks. Raises PlanError and NoChecksError."""
    registry = find_checks()
    folder = load_plan(path).release.checks
    if folder is not None:
        registry = find_checks(folder)
    return load_plan(path, registry.settings()), registry
