"""`preflight rehearse`: the one command that writes, on a scratch server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import click

from preflight.cli.asking import ask_by, secrets_of
from preflight.cli.console import CallError, ask_line, complain, has_terminal, write_stdout
from preflight.cli.options import PLAN, load
from preflight.clock import Deadline, now
from preflight.engine.cut_off import TIMEOUT_SECONDS
from preflight.engine.inspection import inspect
from preflight.engine.selection import Selection
from preflight.errors import ExitCode
from preflight.finding import Finding, Status
from preflight.plan import Plan
from preflight.sessions.pools import Pools
from preflight.sessions.secrets import Secrets
from preflight.wording import visible

_SECONDS = 8 * 3600.0
_NOT_KNOWN = {Status.UNKNOWN, Status.STALE}


@click.command()
@PLAN
@click.option(
    "--timeout", default=_SECONDS, show_default=True, type=click.FloatRange(min=1), help="Seconds for all of it."
)
def rehearse(plan_path: Path, timeout: float) -> ExitCode:
    """Run the sealed scripts for real, on a scratch server, and record what they did.

    The schema of the real database, or with `content = "restore"` in [rehearsal] its newest backup, is fetched from its
    host and put into a PostgreSQL server of this machine that is thrown away afterwards, or into the one that
    [rehearsal.server] names, from which it is removed again. There the declared line runs on the sealed files, then
    each way back, then pg_restore as declared, then each script once more with a broken statement put first in it: it
    must stop there. A `command` is never started with its own arguments; its entry's `rehearse_command` is.

    The record lies beside the plan and ends in .rehearsal.json; the check `rehearsal` wants it, of just these files.
    Exit code 0 when that check passes, 1 when it fails, 3 when something is not known or nothing could be rehearsed."""
    from preflight.rehearsal import ScratchError  # takes both drivers along
    from preflight.rehearsal.rehearse import announced, rehearsable

    plan, registry = load(plan_path)
    if not rehearsable(plan):
        raise CallError("the plan has no scripts that psql or a `rehearse_command` runs in a database")
    secrets = secrets_of(plan)
    try:
        for sentence in announced(plan):
            complain(sentence)
        record_rehearsal(plan, secrets, timeout, complain)
    except ScratchError as error:
        complain(f"nothing was recorded: {error}")
        return ExitCode.HOLD
    inspection = inspect(plan, registry, now(), Selection.of_checks("rehearsal"))
    with Pools(plan, secrets) as pools:  # of the same secrets: nobody types one twice
        found = ask_by(pools, inspection, TIMEOUT_SECONDS, {}, lambda _: None).answered.findings()
    findings = [each for each in found if each.status is not Status.SKIPPED]
    write_stdout("".join(line for finding in findings for line in _lines(finding)))
    statuses = {finding.status for finding in findings}
    return ExitCode.NO_GO if Status.FAIL in statuses else ExitCode.HOLD if statuses & _NOT_KNOWN else ExitCode.GO


def record_rehearsal(plan: Plan, secrets: Secrets, timeout_seconds: float, say: Callable[[str], None]) -> None:
    """Rehearses, and writes the record. Raises ScratchError; then nothing is written."""
    from preflight.rehearsal.rehearse import rehearsable, rehearse, write_record  # takes both drivers along

    entries = [entry for group in rehearsable(plan) for entry in group]
    hosts = [plan.host_of(entry).id for entry in entries]
    hosts += [plan.databases[entry.database].tunnel_host for entry in entries]
    with Pools(plan, secrets) as pools:
        if has_terminal():
            pools.log_in_by_code(hosts, ask_line)
        record = rehearse(plan, pools, secrets, Deadline(timeout_seconds), say)
    write_record(plan, record)


def _lines(finding: Finding) -> Iterator[str]:
    for point in finding.judgement.telling_points():
        yield f"{point.status.upper():<8} {visible(finding.subject)}: {visible(point.summary)}\n"
        if point.remedy:
            yield f"         cure: {visible(point.remedy)}\n"
