"""`preflight checks`, `preflight explain` and `preflight schema`: what there is to know, without asking anybody."""

from __future__ import annotations

import json
from pathlib import Path

import click

from preflight.cli.console import CallError, complain, no_such
from preflight.cli.options import complete_check, load
from preflight.cli.output import write_stdout
from preflight.clock import now
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry, find_checks
from preflight.errors import ExitCode
from preflight.reference import explanation
from preflight.reference.schemas import plan_schema, report_schema

_PLAN = click.option(
    "--plan",
    "plan_path",
    metavar="PLAN",
    type=click.Path(path_type=Path),
    help="Also the checks of this plan's own folder; `explain` shows what is asked of it.",
)


@click.command()
@_PLAN
@click.pass_context
def checks(context: click.Context, plan_path: Path | None) -> None:
    """List the checks: id, severity, what its answers tell, question."""
    registry = find_checks(load(plan_path)[0].release.checks if plan_path else None)
    write_stdout(explanation.listed([explanation.Explanation(check) for check in registry.checks]))
    for source in registry.broken:
        complain(str(source))
    context.exit(int(ExitCode.USAGE if registry.broken else ExitCode.GO))


@click.command()
@click.argument("check_id", metavar="CHECK", shell_complete=complete_check, help="As `preflight checks` lists it.")
@_PLAN
def explain(check_id: str, plan_path: Path | None) -> None:
    """Why a check exists, what it asks, how it judges, its settings, the privileges it needs."""
    inspection = None
    registry: Registry = find_checks(None)
    if plan_path:
        plan, registry = load(plan_path)
        inspection = inspect(plan, registry, now())
    found = {check.id: check for check in registry.checks}
    if check_id not in found:
        missing = no_such("check", check_id, found)
        own = "" if plan_path else "; a check of a plan's own folder: with --plan PLAN"
        raise CallError(missing.message + own)
    write_stdout(explanation.render(explanation.Explanation(found[check_id], inspection)))


@click.command()
@click.argument("document", metavar="plan|report", type=click.Choice(("plan", "report")), help="Of which document.")
def schema(document: str) -> None:
    """Print the JSON Schema of the plan, for editors, or of the JSON report."""
    written = plan_schema(find_checks(None)) if document == "plan" else report_schema()
    write_stdout(json.dumps(written, indent=2) + "\n")
