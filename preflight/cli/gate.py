"""`preflight gate`: the go/no-go question at the start of the call."""

from __future__ import annotations

from pathlib import Path

import click

from preflight.cli.asking import Asked, ask, keep_and_deliver, planned, vantage_of_this_run
from preflight.cli.loading import PLAN
from preflight.cli.report_options import ReportOptions, report_options
from preflight.cli.run import timeout_option
from preflight.clock import now
from preflight.engine.answered import Answered
from preflight.engine.run import judge
from preflight.evidence import Evidence
from preflight.plan.gaps import unconfirmed
from preflight.runs import saved_runs
from preflight.runs.difference import Difference, Outcome, compare
from preflight.runs.gate import start_from
from preflight.runs.inputs import read_inputs
from preflight.runs.saved_runs import SavedRun, UnreadableRun
from preflight.verdict import Verdict


@click.command()
@PLAN
@timeout_option
@click.option("--no-ask", is_flag=True, help="Only judge the newest saved run; HOLD when anything in it is too old.")
@report_options
@click.pass_context
def gate(context: click.Context, plan_path: Path, timeout: float, no_ask: bool, report: ReportOptions) -> None:
    """Ask everything again, judge it for the window's start, and say what changed since the newest saved run.

    For the start of the call. Of the saved run only the full read of a backup is kept, while it is the very same file
    (device, inode, size, time of change). Where the plan, a manifest, a pinned host key or the version of preflight
    changed since then, nothing of it is.
    """
    context.exit(hold_gate(plan_path, timeout, report, no_ask=no_ask))


def hold_gate(plan_path: Path, timeout_seconds: float, report: ReportOptions, *, no_ask: bool = False) -> int:
    """Judges at the window's start, or now when it has begun."""
    present = now()
    inspection = planned(plan_path, report, lambda plan: max(present, plan.window.start))
    saved = saved_runs.newest(inspection.plan)
    inputs = read_inputs(inspection.plan)
    basis = start_from(inspection, saved, inputs, present, ask=not no_ask)
    if no_ask:
        nothing = Evidence(inspection.plan.digest, present, inputs=inputs)
        asked = Asked(Answered(inspection, basis.earlier or nothing))
    else:
        asked = ask(inspection, timeout_seconds, inputs, basis.earlier)
    verdict = judge(
        asked.answered,
        unconfirmed=unconfirmed(inspection.plan),
        vantage="(judged without asking)" if no_ask else vantage_of_this_run(),
        basis=basis.grounds(None if no_ask else asked.answered.evidence),
    )
    return keep_and_deliver(asked, verdict, None, report, difference=_difference(saved, verdict))


def _difference(saved: SavedRun | UnreadableRun | None, verdict: Verdict) -> Difference | None:
    """What is otherwise than in the run the gate started from; None when that one left no report."""
    if not isinstance(saved, SavedRun) or saved.outcome is None:
        return None
    return compare(saved.outcome, Outcome.of(verdict))
