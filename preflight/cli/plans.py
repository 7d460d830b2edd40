"""`preflight lint` and `preflight show`: commands that only read the plan."""

from __future__ import annotations

from pathlib import Path

import click

from preflight.cli.console import complain
from preflight.cli.loading import PLAN, load
from preflight.cli.output import write_stdout
from preflight.clock import now
from preflight.errors import PlanError
from preflight.inspection import inspect
from preflight.plan.coverage import unconfirmed
from preflight.report import lint as lint_report
from preflight.report import questions as questions_report
from preflight.verdict import ExitCode


@click.command()
@click.argument(
    "plan_paths",
    metavar="PLAN...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    help="Release plans, TOML files.",
)
@click.pass_context
def lint(context: click.Context, plan_paths: tuple[Path, ...]) -> None:
    """Check plans without a network; say what they leave unconfirmed."""
    faulty = False
    for path in plan_paths:
        try:
            plan, registry = load(path)
        except PlanError as error:
            faulty = True
            complain(str(error))
            continue
        faulty = faulty or bool(registry.broken)
        inspection = inspect(plan, registry, now())
        write_stdout(lint_report.render(str(path), inspection, registry, unconfirmed(plan)))
    context.exit(int(ExitCode.USAGE if faulty else ExitCode.GO))


@click.command()
@PLAN
def show(plan_path: Path) -> None:
    """Print every question that would be sent, word for word. Asks nothing."""
    plan, registry = load(plan_path)
    inspection = inspect(plan, registry, now())
    asked_for = questions_report.purposes(inspection)
    write_stdout(questions_report.render(plan, inspection.first_round(), asked_for, registry.checks))
