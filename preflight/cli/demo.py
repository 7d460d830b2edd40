"""`preflight demo`: the main job against a site of this machine's own."""

from __future__ import annotations

import click

from preflight.cli.console import complain
from preflight.cli.report_options import ReportOptions, report_options
from preflight.cli.run import inspect_and_report
from preflight.run import TIMEOUT_SECONDS


@click.command()
@click.option("--night", is_flag=True, help="Break the site as on the night preflight was made for.")
@report_options
@click.pass_context
def demo(context: click.Context, night: bool, report: ReportOptions) -> None:
    """Run against an embedded site on this machine.

    Starts a real PostgreSQL, SSH servers that really execute, and health applications over HTTPS, all on loopback, and
    asks them by the demo's own plan. Everything is removed at the end.
    """
    from preflight.demo.site import DemoSite  # takes both drivers along

    complain("Starting the demo's site on loopback: 3 hosts, 2 databases, 2 applications ...")
    with DemoSite() as site:
        if night:
            site.break_night()
        code = inspect_and_report(site.plan_path, TIMEOUT_SECONDS, site.folder / "evidence.json", report)
    context.exit(int(code))
