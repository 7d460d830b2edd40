"""`preflight run` and `preflight judge`."""

from __future__ import annotations

import math
from pathlib import Path

import click

from preflight.cli.asking import ask, keep_and_deliver, planned, vantage_of_this_run
from preflight.cli.console import CallError
from preflight.cli.loading import PLAN
from preflight.cli.report_options import ReportOptions, deliver, report_options
from preflight.clock import now
from preflight.engine.run import TIMEOUT_SECONDS
from preflight.engine.run import judge as judge_evidence
from preflight.evidence import Evidence, EvidenceError
from preflight.plan.gaps import unconfirmed
from preflight.runs.inputs import read_inputs
from preflight.runs.merge import MergeError, merge


def _require_number(_context: click.Context, _option: click.Parameter, value: float) -> float:
    """`nan` passes every range check of click and would be a deadline that never comes."""
    if math.isnan(value):
        raise click.BadParameter("'nan' is no number of seconds")
    return value


timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=1, max=86400),
    callback=_require_number,
    default=TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Deadline of the whole run; what is missing then is UNKNOWN, and the report is still printed.",
)


@click.command()
@PLAN
@timeout_option
@click.option(
    "--evidence",
    "evidence_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the evidence is kept.  [default: below .preflight/ beside the plan]",
)
@report_options
@click.pass_context
def run(
    context: click.Context, plan_path: Path, timeout: float, evidence_path: Path | None, report: ReportOptions
) -> None:
    """Ask the real systems and print the go/no-go report."""
    context.exit(inspect_and_report(plan_path, timeout, evidence_path, report))


@click.command()
@PLAN
@click.argument(
    "evidence_paths",
    metavar="EVIDENCE...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    help="Files kept by `run` or `collect`.",
)
@report_options
@click.pass_context
def judge(context: click.Context, plan_path: Path, evidence_paths: tuple[Path, ...], report: ReportOptions) -> None:
    """Judge saved evidence again, without a network.

    Several files, one of each network zone, are merged first; of answers that contradict each other none is believed.

    Without --at it is judged for the moment at which it was collected, so the verdict is that of the run: it says
    nothing about today.
    """
    try:
        parts = {str(path): Evidence.load(path) for path in evidence_paths}
        if len(parts) < len(evidence_paths):
            raise CallError("one file of evidence is named twice")
        inspection = planned(plan_path, report, lambda _: max(part.collected_at for part in parts.values()))
        merged = merge(inspection, parts)
    except (EvidenceError, MergeError) as error:
        raise CallError(str(error)) from None
    verdict = judge_evidence(
        merged.answered,
        unconfirmed=unconfirmed(inspection.plan),
        vantage="(judged again from saved evidence)",
        basis=merged.notes,
    )
    context.exit(deliver(verdict, report))


def inspect_and_report(
    plan_path: Path, timeout_seconds: float, evidence_path: Path | None, report: ReportOptions
) -> int:
    """The main job: asks, judges, keeps the run, reports."""
    inspection = planned(plan_path, report, lambda _: now())
    asked = ask(inspection, timeout_seconds, read_inputs(inspection.plan))
    gaps = unconfirmed(inspection.plan)
    verdict = judge_evidence(asked.answered, unconfirmed=gaps, vantage=vantage_of_this_run())
    return keep_and_deliver(asked, verdict, evidence_path, report)
