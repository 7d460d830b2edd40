"""Plans and checks as commands name them: a plan is read together with the checks that apply to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from preflight.engine.registry import Registry, find_checks
from preflight.plan import Plan
from preflight.plan.load import load_plan

PLAN = click.argument(
    "plan_path", metavar="PLAN", type=click.Path(path_type=Path), help="The release plan, a TOML file."
)


def load(path: Path) -> tuple[Plan, Registry]:
    """The plan, valid to the last key, and the checks that it has something for.

    Raises PlanError, with all errors at once, and NoChecksError."""
    found: list[Registry] = []

    def settings(plan: Plan) -> Mapping[str, type | None]:
        found.append(find_checks(plan.release.checks if plan.release else None, plan))
        return found[0].settings()

    plan = load_plan(path, settings)
    return plan, found[0]


def complete_check(_context: click.Context, _parameter: click.Parameter, begun: str) -> Sequence[CompletionItem]:
    """What a shell is offered for the id of a check; those of a plan's own folder are not known here."""
    return [CompletionItem(check.id) for check in find_checks(None).checks if check.id.startswith(begun)]
