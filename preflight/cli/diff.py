"""`preflight diff`: what changed between two saved reports."""

from __future__ import annotations

import os
from pathlib import Path

import click

from preflight.cli.console import CallError
from preflight.cli.output import wants_color, write_stdout
from preflight.report import difference as difference_report
from preflight.runs.difference import compare
from preflight.runs.saved_report import ReportError, load_report


@click.command()
@click.argument("old_path", metavar="OLD", type=click.Path(path_type=Path))
@click.argument("new_path", metavar="NEW", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "stdout_format",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="What is printed on standard output.",
)
@click.option(
    "--color",
    type=click.Choice(("auto", "always", "never")),
    default="auto",
    show_default=True,
    help="Colour the text; auto obeys NO_COLOR and FORCE_COLOR.",
)
def diff(old_path: Path, new_path: Path, stdout_format: str, color: str) -> None:
    """Show what changed between two reports: new, changed, disappeared, cured.

    OLD and NEW are files written by `--output json=FILE` or `--format json`, the older one first. A line that is no
    longer looked at has disappeared; only one that was looked at again and passes is cured.

    The exit code says that both could be read (0) or not (2). It is no verdict: that is `run`'s or `gate`'s.
    """
    try:
        difference = compare(load_report(old_path), load_report(new_path))
    except ReportError as error:
        raise CallError(str(error)) from None
    if stdout_format == "json":
        write_stdout(difference_report.as_json(difference))
    else:
        write_stdout(difference_report.render(difference, color=wants_color(color, os.environ)))
