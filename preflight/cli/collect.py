"""`preflight collect`: only asks; `judge` makes a verdict of what several of them bring."""

from __future__ import annotations

from pathlib import Path

import click

from preflight.cli.asking import ask
from preflight.cli.console import CallError, no_such
from preflight.cli.loading import PLAN, load
from preflight.cli.output import OutputError, write_stdout
from preflight.cli.run import timeout_option
from preflight.clock import now
from preflight.engine.inspection import inspect
from preflight.evidence import Evidence, write_private
from preflight.probe import NoReply
from preflight.runs.inputs import read_inputs


@click.command()
@PLAN
@timeout_option
@click.option("--zone", "zone", metavar="ZONE", help="Ask just the hosts, databases and applications of this part.")
@click.option(
    "--output",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the evidence is written, mode 0600.",
)
def collect(plan_path: Path, timeout: float, zone: str | None, path: Path) -> None:
    """Ask the real systems of one network zone and keep the answers. Judges nothing.

    Hosts and applications are in a zone by `network_zone` in the plan. Run it once in each, in the same hour, then:
    preflight judge PLAN east.json west.json

    The exit code says that the evidence was written (0), whatever the answers are. The verdict is that of `judge`.
    """
    plan, registry = load(plan_path)
    zones = plan.network_zones
    if zone is not None and zone not in zones:
        raise no_such("network zone", zone, zones, "--zone")
    if path.is_dir():
        raise CallError(f"--output {path}: is a directory")
    asked = ask(inspect(plan, registry, now()), timeout, read_inputs(plan), zone=zone or "")
    evidence = asked.answered.evidence
    try:
        write_private(path, asked.mask(evidence.to_json()))
    except OSError as error:
        raise OutputError(f"{path}: the evidence could not be written: {error.strerror}") from None
    write_stdout(_described(path, evidence))


def _described(path: Path, evidence: Evidence) -> str:
    lost = sum(isinstance(answer, NoReply) for _, answer in evidence)
    zone = f" of {evidence.network_zone}" if evidence.network_zone else ""
    return f"{path}: {len(evidence.answers)} questions{zone}, {lost} without a reply\n"
