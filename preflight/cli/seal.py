"""`preflight seal`: writes what later runs compare with."""

import hashlib
import os
import shlex
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click

from preflight import seal as sealing
from preflight.cli.asking import ask_by, secrets_of
from preflight.cli.console import CallError, ask_line, complain, has_terminal, write_stdout
from preflight.cli.options import PLAN, load, sign_option
from preflight.cli.progress import progress_of_this_call
from preflight.clock import Deadline, now
from preflight.engine.cut_off import TIMEOUT_SECONDS
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.engine.selection import Selection
from preflight.errors import ExitCode
from preflight.plan import Plan
from preflight.plan.release_plan import grouped
from preflight.plan.sealed_servers import Sealed, format_sealed
from preflight.probe import T
from preflight.report.harmless import line_to_paste
from preflight.sessions import SessionFailed
from preflight.sessions.pools import Pools
from preflight.sessions.ssh.known_hosts import HostKeySeen
from preflight.wording import counted, listed, visible

_SCAN_SECONDS = 15.0
_MOST_NAMED = 10


@click.command()
@PLAN
@click.option("--accept-host-keys", is_flag=True, help="Pin new host keys without asking; fingerprints are printed.")
@click.option("--scripts-only", is_flag=True, help="Write the manifests and ask no host or database.")
@sign_option("Sign the manifests, too.")
def seal(plan_path: Path, accept_host_keys: bool, scripts_only: bool, key: Path | None) -> ExitCode:
    """Write the script manifests, pin the hosts' keys and record the databases' servers and schemas, beside the plan.

    The manifests are plain `sha256sum -c` files. The keys go into a file beside the plan that ends in .known_hosts,
    and at which server each database is into one that ends in .sealed.json, after a login; a key or a server that
    differs from what is there is never replaced. That file also holds where the plan names `allowed_signers`, and the
    hash of each, which is never replaced either. With --sign, the SSH key that it names (a public one: the agent) signs
    each manifest for this release into a file beside it that ends in .sig. The schema of each database goes into a text
    that ends in .DATABASE.schema.txt. Exit code 3 when a host's key, a server or a schema could not be seen."""
    plan, registry = load(plan_path)
    plan = _seal_signers(plan)
    for manifest in sealing.seal_scripts(plan):
        write_stdout(describe(manifest) + "\n")
        if key:
            path = sealing.sign_manifest(plan, manifest, key)
            write_stdout(f"  signed    {visible(str(path))}\n")
    if scripts_only:
        return ExitCode.GO
    with Pools(plan, secrets_of(plan)) as pools:  # hosts, then databases, over the same logins
        complete = pin_host_keys(plan, pools, accept_host_keys) & _seal_servers(plan, registry, pools)
    return ExitCode.GO if complete else ExitCode.HOLD


def describe(manifest: sealing.SealedManifest) -> str:
    """For people: what was sealed, what is new in it, and how anybody can check it."""
    scripts = manifest.scripts
    what = f"{scripts.id}: {counted(len(manifest.files), 'file')} in {visible(str(scripts.manifest))}"
    change = "in another order" if manifest.reordered else "changed" if manifest.changed else "unchanged"
    lines = [f"{what} ({manifest.previous or change})"]
    if not manifest.previous:
        lines += _changes(manifest.changes)
    lines.append(f"  sha256    {hashlib.sha256(scripts.manifest.read_bytes()).hexdigest()}")
    there = os.path.relpath(scripts.manifest.resolve(), scripts.approved.resolve())
    line = line_to_paste(f"cd {shlex.quote(str(scripts.approved))} && sha256sum --strict -c {shlex.quote(there)}")
    lines.append(f"  check     {line or 'not shown: a folder has a line break in its name'}")
    return "\n".join(lines)


def _describe_schema(database: str, recorded: sealing.RecordedSchema) -> str:
    """For people, as `describe`; the file's own difference is what a reviewer reads."""
    what = f"{database}: schema of {counted(len(recorded.schema.objects), 'object')} in {visible(str(recorded.path))}"
    change = "unchanged" if recorded.before == recorded.schema else "changed"
    return "\n".join([f"{what} ({recorded.problem or change})", *_changes(recorded.changes)])


def _changes(names: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"  {word:<9} {listed(map(visible, each), _MOST_NAMED)}" for word, each in names.items() if each]


def pin_host_keys(plan: Plan, pools: Pools, accept: bool) -> bool:
    """Pins the hosts' keys, those of jump hosts first; whether every host has shown its key. Raises CallError."""
    complete = True
    for _, hosts in sorted(grouped(plan.hosts, lambda host: len(plan.way_to(host))).items()):
        seen, lost = _scan(pools, [plan.hosts[host].jump for host in hosts], hosts)
        for host_id, why in lost.items():
            complain(f"{host_id}: no key seen: {why}")
        _pin(plan, seen, accept)
        pools.begin_round(anew=False)  # which reads what is pinned now
        complete = complete and not lost
    return complete


def _pin(plan: Plan, seen: Mapping[str, HostKeySeen], accept: bool) -> None:
    """Shows what is new, pins what is accepted. Raises CallError."""
    merge = sealing.merge_known_hosts(plan.sealed_known_hosts, seen)
    for host_id, shown in seen.items():
        key, state = shown.key, "new" if host_id in merge.added else "pinned already"
        write_stdout(f"{host_id}: {key.type} {key.fingerprint} ({shown.address} port {shown.port}, {state})\n")
    if merge.added:
        # A person compares the fingerprints with what the hosts' owners say; nobody else can.
        if not accept and not has_terminal():
            raise CallError("no terminal to ask on: compare the fingerprints, then call again with --accept-host-keys")
        asked = "this new fingerprint" if len(merge.added) == 1 else f"these {len(merge.added)} new fingerprints"
        if not accept and not click.confirm(f"Do the hosts' owners confirm {asked}?", err=True):
            raise CallError("nothing was pinned")
        sealing.write_sealed(plan.sealed_known_hosts, merge.text)
        write_stdout(f"{counted(len(merge.added), 'key')} added to {plan.sealed_known_hosts}\n")


def _seal_signers(plan: Plan) -> Plan:
    """Records where the plan names who may sign, and that file, so that a run tells any change. Raises SealError."""
    signers = sealing.merge_signers(plan)
    if signers != plan.sealed_signers:
        sealing.write_sealed(plan.sealed_servers, format_sealed(Sealed(plan.sealed, signers)))
    return replace(plan, sealed_signers=signers)


def _seal_servers(plan: Plan, registry: Registry, pools: Pools) -> bool:
    """Logs in as database-login does, and records the databases' servers and schemas; whether every one was seen."""
    if not plan.databases:
        return True
    inspection = inspect(plan, registry, now(), Selection.of_checks("database-login", "schema-drift"))
    with progress_of_this_call(quiet=False) as tell:
        evidence = ask_by(pools, inspection, TIMEOUT_SECONDS, {}, tell).answered.evidence
    seen = _each("server", plan.databases, lambda name: sealing.server_seen(plan, evidence, name))
    merged = sealing.merge_servers(plan, seen)
    for name in seen:
        before = plan.sealed.get(name)
        state = "new" if before is None else "sealed already" if merged[name] == before else "added to"
        write_stdout(f"{name}: {merged[name].told} ({state})\n")
    if merged != plan.sealed:
        sealing.write_sealed(plan.sealed_servers, format_sealed(Sealed(merged, plan.sealed_signers)))

    def seal_schema(name: str) -> None:
        write_stdout(_describe_schema(name, sealing.seal_schema(plan, evidence, name)) + "\n")

    return len(_each("schema", seen, seal_schema)) == len(plan.databases)


def _each(what: str, databases: Iterable[str], seal_one: Callable[[str], T]) -> dict[str, T]:
    """What `seal_one` gives for each; where it gives nothing, why is told."""
    found: dict[str, T] = {}
    for name in databases:
        try:
            found[name] = seal_one(name)
        except sealing.SealError as error:
            complain(f"{name}: {what} not sealed: {error}")
    return found


def _scan(pools: Pools, jumps: Sequence[str], hosts: Sequence[str]) -> tuple[dict[str, HostKeySeen], dict[str, str]]:
    """(the key of each host that showed one, why each other did not), in plan order; all of them at the same time.
    `jumps`: the hosts before them, which are logged in to; empty for none."""
    seen: dict[str, HostKeySeen] = {}
    lost: dict[str, str] = {}

    def scan(host_id: str) -> None:
        try:
            seen[host_id] = pools.ssh_pool().scan_host_key(host_id, deadline)
        except SessionFailed as failed:
            lost[host_id] = failed.answer.detail

    if has_terminal():
        pools.log_in_by_code(jumps, ask_line)
    deadline = Deadline(_SCAN_SECONDS)
    threads = [threading.Thread(target=scan, args=(host_id,), daemon=True) for host_id in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline.left() + 1.0)
    shown = {host_id: seen[host_id] for host_id in hosts if host_id in seen}
    silent = f"no answer within {_SCAN_SECONDS:.0f} s"
    return shown, {host_id: lost.get(host_id, silent) for host_id in hosts if host_id not in shown}
