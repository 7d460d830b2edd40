"""`preflight history`: the saved runs of a release."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from preflight.cli.console import CallError
from preflight.cli.loading import PLAN, load
from preflight.cli.output import write_stdout
from preflight.plan.gaps import unconfirmed
from preflight.report import history as history_report
from preflight.runs import saved_runs
from preflight.runs.history import Entry, entry_of
from preflight.runs.inputs import read_inputs


@click.command()
@PLAN
@click.option(
    "--format", "name", type=click.Choice(("text", "json")), default="text", show_default=True, help="What is printed."
)
def history(plan_path: Path, name: str) -> None:
    """List the saved runs of the plan's release, newest first, each judged again.

    A file that was changed by hand or is of another plan is named as such and never judged. The exit code says that
    the list could be made; it is no verdict.
    """
    plan, registry = load(plan_path)
    inputs, gaps = read_inputs(plan), unconfirmed(plan)

    def entries() -> Iterator[Entry]:
        for found in saved_runs.every(plan):
            if isinstance(found, saved_runs.SavedRun):
                yield entry_of(plan, registry, found, inputs, gaps)
            else:
                yield Entry(path=found.path, changes=(found.reason,))

    try:
        found = list(entries())
    except OSError as error:
        raise CallError(f"the saved runs cannot be listed: {error.strerror}") from None
    write_stdout((history_report.render if name == "text" else history_report.as_json)(plan, found))
