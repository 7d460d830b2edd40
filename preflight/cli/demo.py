"""`preflight demo`: the main job against a site of this machine's own."""

from __future__ import annotations

import click

from preflight.cli.console import complain
from preflight.cli.report_options import ReportOptions, report_options
from preflight.cli.run import hold_gate, inspect_and_report
from preflight.engine.run import TIMEOUT_SECONDS


@click.command()
@click.option("--night", is_flag=True, help="Break the site as on the night preflight was made for.")
@click.option("--gate", is_flag=True, help="Run, then hold the gate of a window that is about to begin.")
@report_options
@click.pass_context
def demo(context: click.Context, night: bool, gate: bool, report: ReportOptions) -> None:
    """Run against an embedded site on this machine.

    Starts a real PostgreSQL, SSH servers that really execute, and health applications over HTTPS, all on loopback, and
    asks them by the demo's own plan. Everything is removed at the end.

    With --gate the site is asked twice: by `run` ahead of the window and by `gate` at its start. With --night too, it
    breaks in between.
    """
    from preflight.demo.site import DemoSite  # takes both drivers along

    complain("Starting the demo's site on loopback: 3 hosts, 2 databases, 2 applications ...")
    with DemoSite(soon=gate) as site:
        if gate:
            complain("preflight run: ahead of the window ...")
            inspect_and_report(site.plan_path, TIMEOUT_SECONDS, None, report)
        if night:
            site.break_night()
        if gate:
            complain("preflight gate: at the start of the call ...")
            code = hold_gate(site.plan_path, TIMEOUT_SECONDS, report)
        else:
            code = inspect_and_report(site.plan_path, TIMEOUT_SECONDS, site.folder / "evidence.json", report)
    context.exit(code)
