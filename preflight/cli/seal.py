"""`preflight seal`: writes what later runs compare with."""

from __future__ import annotations

from pathlib import Path

import click

from preflight import seal as sealing
from preflight.cli.console import CallError, complain, has_terminal
from preflight.cli.loading import PLAN, load
from preflight.cli.output import write_stdout
from preflight.clock import Deadline
from preflight.plan import Plan
from preflight.secrets import Secrets
from preflight.verdict import ExitCode

_SCAN_SECONDS = 15.0


@click.command()
@PLAN
@click.option("--accept-host-keys", is_flag=True, help="Pin new host keys without asking; fingerprints are printed.")
@click.option("--scripts-only", is_flag=True, help="Write the manifests and leave the host keys alone.")
@click.pass_context
def seal(context: click.Context, plan_path: Path, accept_host_keys: bool, scripts_only: bool) -> None:
    """Write the script manifests and pin the hosts' keys beside the plan.

    The manifests are plain `sha256sum -c` files. Keys go into PLAN with the ending .known_hosts; a key that differs from
    a pinned one is never replaced.
    """
    plan, _registry = load(plan_path)
    for manifest in sealing.seal_scripts(plan):
        write_stdout(sealing.describe(manifest) + "\n")
    complete = scripts_only or not plan.hosts or _pin_host_keys(plan, accept_host_keys)
    context.exit(int(ExitCode.GO if complete else ExitCode.HOLD))


def _pin_host_keys(plan: Plan, accept: bool) -> bool:
    """Scans every host, shows what is new, pins what is accepted; whether every host's key is pinned now."""
    from preflight.sessions import SessionFailed
    from preflight.sessions.known_hosts import format_line
    from preflight.sessions.ssh import SshPool

    pool = SshPool(plan.hosts, Secrets(plan.folder), sealed_known_hosts=plan.sealed_known_hosts)
    complete = True
    try:
        for host_id in plan.hosts:
            try:
                seen = pool.scan_host_key(host_id, Deadline(_SCAN_SECONDS))
            except SessionFailed as failed:
                complain(f"{host_id}: no key seen: {failed.answer.detail}")
                complete = False
                continue
            raise NotImplementedError(format_line, seen)
    finally:
        pool.close()
    return complete


def _accepted(question: str, accept: bool) -> bool:
    if accept:
        return True
    if not has_terminal():
        raise CallError(
            "there is no terminal to ask on; check the fingerprints, then call again with --accept-host-keys"
        )
    return click.confirm(question, err=True)
