"""The two halves of a run, for several network zones or jobs: `collect` asks a part, `judge` joins what they bring."""

import os
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click

from preflight.cli.asking import Asked, ask, deliver, planned
from preflight.cli.console import CallError, OutputError, no_such, write_stdout
from preflight.cli.options import FILE, PLAN, QUIET, TIMEOUT, ReportOptions, load, report_options
from preflight.clock import now
from preflight.engine.inspection import inspect
from preflight.engine.run import judge as judge_evidence
from preflight.engine.shards import WHOLE, Part, Split
from preflight.evidence import Evidence, Shard, write_private
from preflight.probe import NoReply
from preflight.runs.gate import read_inputs
from preflight.runs.merge import merge
from preflight.wording import MOST_NAMED, counted, listed


class _Numbers(NamedTuple):
    """The variables in which an engine tells a job which of how many it is."""

    number: str
    of: str
    first: int


_ENGINES = (
    _Numbers("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),  # GitLab
    _Numbers("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0),
    _Numbers("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0),
    _Numbers("SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE", 1),  # Azure Pipelines
)


def _read_shard(text: str) -> Shard:
    """Of the option. Raises CallError."""
    try:
        return _numbered_by_engine() if text == "auto" else Shard.parse(text)
    except ValueError as error:
        raise CallError(f"--shard: {error}") from None


def _numbered_by_engine() -> Shard:
    """Raises ValueError where this job is not numbered: half of the answers must not be lost over a variable."""
    found: dict[Shard, str] = {}
    for each in _ENGINES:
        number, of = os.environ.get(each.number), os.environ.get(each.of)
        if number and of:
            if not (number.isascii() and number.isdigit()):
                raise ValueError(f"{each.number} is {number!r}, which is no number")
            found[Shard.parse(f"{int(number[:9]) + 1 - each.first}/{of}")] = f"{each.number} and {each.of}"
    if not found:
        names = ", ".join(each.number for each in _ENGINES)
        raise ValueError(f"auto: this job has no number, in none of {names}; run it in parallel jobs, or write K/N")
    if len(found) > 1:
        told = ", ".join(f"{names} say {shard}" for shard, names in found.items())
        raise ValueError(f"auto: {told}; write K/N")
    return next(iter(found))


@click.command()
@PLAN
@click.argument(
    "saved_paths", metavar="EVIDENCE...", nargs=-1, required=True, type=FILE, help="Files kept by `run` or `collect`."
)
@TIMEOUT
@report_options
def judge(
    plan_path: Path,
    saved_paths: tuple[Path, ...],
    timeout: float,  # noqa: ARG001 - it runs since the option was read
    report: ReportOptions,
) -> int:
    """Judge saved evidence again, without a network.

    Several files, one of each network zone or shard, are merged first; of answers that contradict each other none is
    believed.

    Without --at it is judged for the moment at which it was collected, so the verdict is that of the run: it says
    nothing about today. Where the plan, a script beside it, a manifest, a pinned host key or the version of preflight
    changed since then, nothing is judged."""
    parts = {str(path): Evidence.load(path) for path in saved_paths}
    if len(parts) < len(saved_paths):
        raise CallError("one file of evidence is named twice")
    inspection = planned(plan_path, report, lambda _: max(part.collected_at for part in parts.values()))
    merged = merge(inspection, parts, read_inputs(inspection.plan))
    verdict = judge_evidence(merged.answered, vantage="(judged again from saved evidence)", basis=merged.notes)
    return deliver(Asked(merged.answered), verdict, report)


@click.command()
@PLAN
@TIMEOUT
@click.option("--zone", "zone", metavar="ZONE", help="Ask just the hosts, databases and applications of this part.")
@click.option(
    "--shard",
    type=_read_shard,
    metavar="K/N",
    help="Ask the K-th of N equal parts; `auto`: as GitLab, CircleCI, Buildkite or Azure numbers this parallel job.",
)
@click.option(
    "--output", "path", required=True, type=FILE, metavar="FILE", help="Where the evidence is written, mode 0600."
)
@QUIET
def collect(plan_path: Path, timeout: float, zone: str | None, shard: Shard | None, path: Path, quiet: bool) -> None:
    """Ask the real systems, those of one network zone or one shard, and keep the answers. Judges nothing.

    Hosts and applications are in a zone by `network_zone` in the plan. Run it once in each, in the same hour, then:
    preflight judge PLAN east.json west.json

    A plan for one machine too large is split over N jobs by --shard, each K once. What hangs together stays in one: a
    host with its databases, and all entries of one password. A jump host is logged in to by each shard behind it.

    The exit code says that the evidence was written (0), whatever the answers are. The verdict is that of `judge`."""
    plan, registry = load(plan_path)
    zones = plan.network_zones
    if zone is not None and zone not in zones:
        raise no_such("network zone", zone, zones, "--zone")
    if path.is_dir():
        raise CallError(f"--output {path}: is a directory")
    split = Split(plan, registry, zone or "", shard.of) if shard else None
    part = Part(zone, asks=partial(plan.is_asked_from, zone)) if zone else WHOLE
    if split and shard:
        part = split.part(shard.number)
    evidence = ask(inspect(plan, registry, now()), timeout, read_inputs(plan), part=part, quiet=quiet).answered.evidence
    try:
        write_private(path, evidence.to_json())
    except OSError as error:
        raise OutputError(f"{path}: the evidence could not be written: {error.strerror}") from None
    lost = sum(isinstance(answer, NoReply) for _, answer in evidence)
    of_part = f" of {part}" if str(part) else ""
    write_stdout(f"{path}: {counted(len(evidence.answers), 'question')}{of_part}, {lost} without a reply\n")
    if split and shard:
        jumps = listed(split.jump_hosts(shard.number), MOST_NAMED)
        write_stdout(f"Also logged in to, as by other shards: {jumps}, to reach hosts behind it\n" if jumps else "")
        held = split.held_together(shard.number)
        write_stdout(f"This shard is larger than others: {held}\n" if held else "")
