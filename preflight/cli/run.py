"""`preflight run` and `preflight judge`."""

from __future__ import annotations

import getpass
import math
import os
from datetime import datetime
from pathlib import Path

import click

from preflight.cli.console import CallError, ask_hidden, complain, has_terminal, redact_with
from preflight.cli.loading import PLAN, load
from preflight.cli.progress import Progress
from preflight.cli.report_options import ReportOptions, deliver, report_options
from preflight.clock import monotonic, now
from preflight.evidence import Evidence, EvidenceError, write_private
from preflight.inspection import Inspection, inspect
from preflight.plan import Plan
from preflight.plan.coverage import unconfirmed
from preflight.run import TIMEOUT_SECONDS, collect
from preflight.run import judge as judge_evidence
from preflight.secrets import Secrets
from preflight.sessions.pools import Pools
from preflight.verdict import ExitCode


def _require_number(_context: click.Context, _option: click.Parameter, value: float) -> float:
    """`nan` passes every range check of click and would be a deadline that never comes."""
    if math.isnan(value):
        raise click.BadParameter("'nan' is no number of seconds")
    return value


@click.command()
@PLAN
@click.option(
    "--timeout",
    type=click.FloatRange(min=1, max=86400),
    callback=_require_number,
    default=TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Deadline of the whole run; what is missing then is UNKNOWN, and the report is still printed.",
)
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
    context.exit(int(inspect_and_report(plan_path, timeout, evidence_path, report)))


@click.command()
@PLAN
@click.argument("evidence_path", metavar="EVIDENCE", type=click.Path(path_type=Path), help="File kept by `run`.")
@report_options
@click.pass_context
def judge(context: click.Context, plan_path: Path, evidence_path: Path, report: ReportOptions) -> None:
    """Judge saved evidence again, without a network.

    Without --at it is judged for the moment at which it was collected, so the verdict is that of the run: it says
    nothing about today.
    """
    try:
        evidence = Evidence.load(evidence_path)
    except EvidenceError as error:
        raise CallError(str(error)) from None
    inspection = _planned(plan_path, report, evidence.collected_at)
    if evidence.plan_digest != inspection.plan.digest:
        was, is_ = evidence.plan_digest[:12], inspection.plan.digest[:12]
        raise CallError(f"{evidence_path} was collected for another text of this plan ({was}, now {is_}); run it again")
    verdict = judge_evidence(
        inspection, evidence, unconfirmed=unconfirmed(inspection.plan), vantage="(judged again from saved evidence)"
    )
    context.exit(int(deliver(verdict, report)))


def inspect_and_report(
    plan_path: Path, timeout_seconds: float, evidence_path: Path | None, report: ReportOptions
) -> ExitCode:
    """The main job: asks, keeps the evidence, judges, reports."""
    inspection = _planned(plan_path, report, now())
    secrets = Secrets(inspection.plan.folder, ask_hidden if has_terminal() else None)
    redact_with(secrets.redact)
    _prompt(inspection.plan, secrets)
    progress, started = Progress(), monotonic()
    with Pools(inspection.plan, secrets) as pools:
        try:
            evidence = collect(
                inspection,
                pools.session,
                timeout_seconds,
                mask=secrets.redact,
                on_round=progress.start_round,
                on_answer=progress.count,
            )
        finally:
            progress.clear()
    took_seconds = monotonic() - started
    troubles = _keep(evidence, evidence_path, inspection.plan, secrets)
    if evidence_path is None:  # a checkout that cannot be written costs a line, not the verdict
        for trouble in troubles:
            complain(f"preflight: {trouble}")
        troubles = []
    verdict = judge_evidence(inspection, evidence, unconfirmed=unconfirmed(inspection.plan), vantage=_vantage())
    return deliver(verdict, report, mask=secrets.redact, took_seconds=took_seconds, troubles=troubles)


def _prompt(plan: Plan, secrets: Secrets) -> None:
    """Asks for everything that has to be typed before the clock of the run starts.

    Without a terminal the references stay unresolved, and each login that needs one says so in the report."""
    if has_terminal():
        for ref, purpose in plan.secrets():
            if ref.scheme == "prompt":
                secrets.value(ref, purpose)


def _planned(plan_path: Path, report: ReportOptions, moment: datetime) -> Inspection:
    """What is to be judged, for `moment` unless --at names another."""
    plan, registry = load(plan_path)
    return inspect(plan, registry, report.moment(plan) or moment, report.selects(registry.checks))


def _keep(evidence: Evidence, path: Path | None, plan: Plan, secrets: Secrets) -> list[str]:
    """Saves the evidence; the result is what went wrong."""
    target = path or _default_path(evidence, plan)
    try:
        if path is None:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(target, secrets.redact(evidence.to_json()))
    except OSError as error:
        return [f"{target}: the evidence could not be kept: {error.strerror}; name another place with --evidence FILE"]
    return []


def _default_path(evidence: Evidence, plan: Plan) -> Path:
    release = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in plan.release.id)
    return plan.folder / ".preflight" / release / f"{evidence.collected_at:%Y%m%dT%H%M%S.%fZ}.json"


def _vantage() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"from {os.uname().nodename} as {user}"
