"""`preflight history` and `preflight diff`: earlier runs listed, and two of their reports compared."""

from __future__ import annotations

import os
from pathlib import Path

import click

from preflight.cli.console import CallError
from preflight.cli.options import COLOR, PLAN, format_option, load
from preflight.cli.output import wants_color, write_stdout
from preflight.report import comparison
from preflight.report.json_report import ReportError, load_report
from preflight.runs import history as runs_history


@click.command()
@PLAN
@format_option(("text", "json"))
def history(plan_path: Path, stdout_format: str) -> None:
    """List the saved runs of the plan's release, newest first, each judged again.

    A file that was changed by hand or is of another plan is named as such and never judged. The exit code says that
    the list could be made; it is no verdict.
    """
    plan, registry = load(plan_path)
    try:
        found = runs_history.entries(plan, registry)
    except OSError as error:
        raise CallError(f"the saved runs cannot be listed: {error.strerror}") from None
    write_stdout((runs_history.render if stdout_format == "text" else runs_history.as_json)(plan, found))


@click.command()
@click.argument("old_path", metavar="OLD", type=click.Path(path_type=Path))
@click.argument("new_path", metavar="NEW", type=click.Path(path_type=Path))
@format_option(("text", "json"))
@COLOR
def diff(old_path: Path, new_path: Path, stdout_format: str, color: str) -> None:
    """Show what changed between two reports: new, changed, disappeared, cured.

    OLD and NEW are files written by `--output json=FILE` or `--format json`, the older one first. A line that is no
    longer looked at has disappeared; only one that was looked at again and passes is cured.

    The exit code says that both could be read (0) or not (2). It is no verdict: that is `run`'s or `gate`'s.
    """
    try:
        difference = comparison.compare(load_report(old_path), load_report(new_path))
    except ReportError as error:
        raise CallError(str(error)) from None
    if stdout_format == "json":
        write_stdout(comparison.as_json(difference))
    else:
        write_stdout(comparison.render(difference, color=wants_color(color, os.environ)))
