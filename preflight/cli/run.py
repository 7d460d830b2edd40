"""Commands that ask the real systems, or judge what they answered: `run`, `gate` at the start of the call, `verify`
once the work is done, `demo` with a site of this machine's own, and `history` and `diff` of earlier runs."""

from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from pathlib import Path

import click

from preflight.check import Expect
from preflight.cli.asking import Asked, ask, deliver, planned, secrets_of, since, vantage_of_this_run
from preflight.cli.console import CallError, complain, wants_color, write_stdout
from preflight.cli.options import COLOR, FILE, PLAN, SET, TIMEOUT, ReportOptions, format_option, load, report_options
from preflight.cli.rehearse import record_rehearsal
from preflight.clock import now
from preflight.engine.answered import Answered
from preflight.engine.cut_off import TIMEOUT_SECONDS
from preflight.engine.run import judge as judge_evidence
from preflight.errors import ExitCode
from preflight.evidence import Evidence
from preflight.report import comparison
from preflight.report.formats.json import report_of
from preflight.report.json_report import load_report
from preflight.runs import history as runs_history
from preflight.runs import saved_runs
from preflight.runs.gate import read_inputs, start_from
from preflight.units import parse_duration
from preflight.verdict import Verdict
from preflight.wording import counted

_EVERY = timedelta(seconds=60)
"""From the begin of one round of a watch to the next, where the call does not say."""


def duration(text: str) -> timedelta:
    """The type of an option, which click shows by this name."""
    try:
        found = parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(str(error)) from None
    if not timedelta(seconds=1) <= found <= timedelta(days=1):
        raise click.BadParameter(f"{text!r} is not from 1s to 24h")
    return found


@click.command()
@PLAN
@TIMEOUT
@click.option(
    "--evidence",
    "evidence_path",
    type=FILE,
    metavar="FILE",
    help="Where the evidence is kept.  [default: below .preflight/ beside the plan]",
)
@report_options
def run(plan_path: Path, timeout: float, evidence_path: Path | None, report: ReportOptions) -> int:
    """Ask the real systems and print the go/no-go report."""
    return inspect_and_report(plan_path, timeout, evidence_path, report)


@click.command()
@PLAN
@TIMEOUT
@click.option("--no-ask", is_flag=True, help="Only judge the newest saved run; HOLD when anything in it is too old.")
@click.option("--watch", is_flag=True, help="Ask again and again until the window's start; end with the last verdict.")
@click.option("--every", type=duration, help="With --watch: from the begin of one round to the next.  [default: 60s]")
@click.option(
    "--steady", type=duration, help="With --watch: HOLD at the start unless it was GO so long without a break."
)
@report_options
def gate(
    plan_path: Path,
    timeout: float,
    no_ask: bool,
    watch: bool,
    every: timedelta | None,
    steady: timedelta | None,
    report: ReportOptions,
) -> int:
    """Ask everything again, judge it for the window's start, and say what changed since the newest saved run.

    For the start of the call. Of the saved run only the full read of a backup is kept, while it is the very same file
    (device, inode, size, time of change). Where the plan, a script beside it, a manifest, a pinned host key or the
    version of preflight changed since then, nothing of it is.

    With --watch it is drawn anew on a terminal; elsewhere one line tells each change, and each --output is written
    again every round. Ctrl-C prints and keeps the last round, exit code 130. An account that was refused is not tried
    again unless r is typed on the terminal."""
    if not watch and (every or steady):
        raise CallError(f"--{'every' if every else 'steady'} is for --watch")
    if watch and no_ask:
        raise CallError("--watch asks, --no-ask does not: give one of them")
    if watch:
        from preflight.cli.watch import Rhythm, hold_watch  # needs a terminal's ways, which not every system has

        return hold_watch(plan_path, report, Rhythm(every=every or _EVERY, steady=steady, timeout_seconds=timeout))
    return hold_gate(plan_path, timeout, report, no_ask=no_ask)


@click.command()
@PLAN
@click.option(
    "--expect",
    type=click.Choice([each.value for each in Expect]),
    required=True,
    help="`after`: the work is done. `before`: it was taken back, or never begun.",
)
@TIMEOUT
@report_options
def verify(plan_path: Path, expect: str, timeout: float, report: ReportOptions) -> int:
    """Ask whether the systems are in the state that the work was to leave: VALID, NOT VALID or NOT KNOWN.

    Once the work is done, or was taken back: every health endpoint answers with `to` (or `from`), the schema of each
    database is the sealed one with just what the rehearsal changed (or without it), migration histories end where they
    must, the plan's own queries give what they must, no database is left in a bad state, and the files of the way back
    are still there. Whether the window is over makes no difference. Exit code 0, 1 or 3.

    It is no run: nothing is kept beside the plan, and no gate starts from it. Keep the report: --output html=FILE."""
    inspection = planned(plan_path, report, lambda _: now(), Expect(expect))
    asked = ask(inspection, timeout, read_inputs(inspection.plan), quiet=report.quiet)
    return deliver(asked, judge_evidence(asked.answered, vantage=vantage_of_this_run()), report)


def inspect_and_report(
    plan_path: Path,
    timeout_seconds: float,
    evidence_path: Path | None,
    report: ReportOptions,
    below: Callable[[Verdict], str] | None = None,
) -> int:
    """The main job: asks, judges, keeps the run, reports. `below`: what is printed below the report."""
    inspection = planned(plan_path, report, lambda _: now())
    saved = saved_runs.newest(inspection.plan)
    asked = ask(inspection, timeout_seconds, read_inputs(inspection.plan), quiet=report.quiet)
    verdict = judge_evidence(asked.answered, vantage=vantage_of_this_run())
    code = deliver(asked, verdict, report, evidence_path=evidence_path, difference=since(saved, report_of(verdict)))
    if below:
        write_stdout(below(verdict))
    return code


def hold_gate(plan_path: Path, timeout_seconds: float, report: ReportOptions, *, no_ask: bool = False) -> int:
    """Judges at the window's start, or now when it has begun."""
    present = now()
    inspection = planned(plan_path, report, lambda plan: max(present, plan.window.start))
    saved = saved_runs.newest(inspection.plan)
    inputs = read_inputs(inspection.plan)
    basis = start_from(inspection, saved, inputs, present, ask=not no_ask)
    if no_ask:
        asked = Asked(Answered(inspection, basis.earlier or Evidence(inspection.plan.digest, present, inputs=inputs)))
    else:
        asked = ask(inspection, timeout_seconds, inputs, basis.earlier, quiet=report.quiet)
    verdict = judge_evidence(
        asked.answered,
        vantage="(judged without asking)" if no_ask else vantage_of_this_run(),
        basis=basis.grounds(None if no_ask else asked.answered.evidence),
    )
    return deliver(asked, verdict, report, difference=since(saved, report_of(verdict)))


@click.command()
@click.option("--night", is_flag=True, help="Break the site as on the night preflight was made for.")
@click.option("--gate", is_flag=True, help="Run, then hold the gate of a window that is about to begin.")
@click.option("--story", is_flag=True, help="With --night: end with what that night cost, and what names it in time.")
@report_options
def demo(night: bool, gate: bool, story: bool, report: ReportOptions) -> int:
    """Run against an embedded site on this machine.

    Starts a real PostgreSQL, SSH servers that really execute, and health applications over HTTPS, all on loopback, and
    asks them by the demo's own plan, after its scripts were rehearsed. Everything is removed at the end.

    With --gate the site is asked twice: by `run` ahead of the window and by `gate` at its start. With --night too, it
    breaks in between."""
    if story and (gate or not night or report.stdout_format != "text"):
        raise CallError("--story stands below the text of --night, without --gate")
    from preflight.demo.site import DemoSite  # takes both drivers along
    from preflight.demo.story import tell_story

    complain("Starting the demo's site on loopback: 3 hosts, 2 databases, 2 applications ...")
    with DemoSite(soon=gate, rehearsed=True) as site:
        if night and not gate:
            site.drift()
        complain("preflight rehearse: its scripts on scratch servers ...")
        plan, _ = load(site.plan_path)
        record_rehearsal(plan, secrets_of(plan), TIMEOUT_SECONDS, lambda _: None)
        if gate:
            complain("preflight run: ahead of the window ...")
            inspect_and_report(site.plan_path, TIMEOUT_SECONDS, None, report)
        if night:
            site.break_night()
        if gate:
            complain("preflight gate: at the start of the call ...")
            return hold_gate(site.plan_path, TIMEOUT_SECONDS, report)
        below = tell_story if story else None
        return inspect_and_report(site.plan_path, TIMEOUT_SECONDS, site.folder / "evidence.json", report, below)


@click.command()
@PLAN
@format_option(("text", "json"))
def history(plan_path: Path, stdout_format: str) -> None:
    """List the saved runs of the plan's release, newest first, each judged again.

    A file that was changed by hand or is of another plan is named as such and never judged. The exit code says that
    the list could be made; it is no verdict."""
    plan, registry = load(plan_path)
    try:
        found = runs_history.entries(plan, registry)
    except OSError as error:
        raise CallError(f"the saved runs cannot be listed: {error.strerror}") from None
    write_stdout((runs_history.render if stdout_format == "text" else runs_history.as_json)(plan, found))


@click.command()
@click.argument("paths", metavar="OLD NEW", nargs=-1, type=FILE, help="Two reports.")
@click.option("--last", "plan_path", metavar="PLAN", type=FILE, help="The two newest saved runs of this plan.")
@SET
@click.option("--exit-code", "is_told", is_flag=True, help="End with 1 when a line is new, changed or disappeared.")
@format_option(("text", "json"))
@COLOR
def diff(paths: tuple[Path, ...], plan_path: Path | None, is_told: bool, stdout_format: str, color: str) -> ExitCode:
    """Show what changed between two reports: new, changed, disappeared, cured.

    OLD and NEW are files written by `--output json=FILE` or `--format json`, or saved runs as `history` lists them, the
    older one first. A line that is no longer looked at has disappeared; only one that was looked at again and passes is
    cured.

    The exit code says that both could be read (0) or not (2), and with --exit-code that nothing got worse (0) or
    something did (1). It is no verdict: that is `run`'s or `gate`'s."""
    if len(paths) != (0 if plan_path else 2):
        raise CallError("name two reports, OLD and NEW, or the plan whose two newest saved runs are meant: --last PLAN")
    old, new = _two_newest(plan_path) if plan_path else map(saved_runs.report_beside, paths)
    difference = comparison.compare(load_report(old), load_report(new))
    if stdout_format == "json":
        write_stdout(comparison.as_json(difference))
    else:
        write_stdout(comparison.render(difference, color=wants_color(color)))
    return ExitCode.NO_GO if is_told and difference.is_worse else ExitCode.GO


def _two_newest(plan_path: Path) -> tuple[Path, Path]:
    """The older one first."""
    plan, _ = load(plan_path)
    try:
        found = list(islice(saved_runs.reports(plan), 2))
    except OSError as error:
        raise CallError(f"the saved runs cannot be listed: {error.strerror}") from None
    if len(found) < 2:
        raise CallError(f"{counted(len(found), 'run')} of {plan.release.id} kept beside the plan: two can be compared")
    return found[1], found[0]
