"""The gate at the start of the call: what an earlier run is still good for at the moment judged.

Besides the answers of the servers a run rests on the plan, the approved scripts and their manifests, the record of
their rehearsal, the pinned host keys, the checks of the plan's own, the tool. When one of them changes, earlier
evidence speaks for another release."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from os.path import isfile
from pathlib import Path

from preflight import __version__
from preflight.clock import format_moment
from preflight.engine.inspection import Inspection
from preflight.evidence import Evidence
from preflight.plan import Plan
from preflight.runs.saved_runs import SavedRun, UnreadableRun
from preflight.units import format_duration
from preflight.wording import visible

_SHOWN = 12
"""Digits of a hash that people compare."""
_LARGEST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Basis:
    earlier: Evidence | None
    """The run before; None when there is none, or when something besides the servers has changed since."""
    run: str
    """Which run that is; or why there is none to start from."""
    remarks: tuple[str, ...] = ()

    def grounds(self, evidence: Evidence | None) -> tuple[str, ...]:
        """For the report: how much of `evidence` is of the run before. None: nothing was asked."""
        if self.earlier is None:
            return (self.run, *self.remarks)
        if evidence is None:
            return (f"{self.run}, judged again without asking", *self.remarks)
        before = self.earlier.answers
        kept = sum(before.get(question.id, ("", ""))[1] is answer for question, answer in evidence)
        reads = "the full read of 1 backup" if kept == 1 else f"the full reads of {kept} backups"
        but = f" but {reads}, unchanged since" if kept else ""
        return (f"{self.run}: everything is asked again{but}", *self.remarks)


def start_from(
    inspection: Inspection,
    saved: SavedRun | UnreadableRun | None,
    inputs: Mapping[str, str],
    now: datetime,
    *,
    ask: bool = True,
) -> Basis:
    """What `saved` is still good for with the plan as it is now.

    Anything that changed besides the servers voids all of it. `ask`: everything will be asked again but what the
    inspection keeps; otherwise the run is judged as it stands."""
    plan, ahead, soon = inspection.plan, inspection.moment - now, tuple[str, ...]()
    if ahead > plan.freshness.state:  # then it cannot be GO
        soon = (f"the moment judged is {format_duration(ahead)} away: what is asked now will be too old then",)
    if saved is None:
        return Basis(None, f"no earlier run of {plan.release.id} is kept beside the plan", soon)
    then = "everything is asked again" if ask else "nothing of it is judged"
    if isinstance(saved, UnreadableRun):
        return Basis(None, f"the newest saved run, {saved.path.name}, cannot be read: {saved.reason}; {then}", soon)
    said = f" ({saved.report.headline})" if saved.report else ""
    run = f"run of {format_moment(saved.evidence.collected_at, plan.window.zone)}{said}"
    changes = changed(saved.evidence.inputs, inputs)
    if saved.evidence.plan_digest != plan.digest and not changes:
        changes = ("it was collected for another text of the plan",)
    if saved.evidence.collected_at > now:
        changes = (*changes, "it is dated in the future: compare the clocks of the machines that ran it")
    if changes:
        return Basis(None, f"{run} is void: {'; '.join(changes)}; {then}", soon)
    return Basis(replace(saved.evidence, inputs=dict(inputs)), run, soon)


ABSENT = "absent"
"""In place of the hash of a file that is not there."""


def read_inputs(plan: Plan) -> dict[str, str]:
    """Name -> SHA-256 of the file or of what was set, or `ABSENT`; the tool's version for `preflight`."""
    values = {f"--set {name}": hashlib.sha256(value.encode()).hexdigest() for name, value in plan.set_values.items()}
    files = {name: _digest(path) for name, path in _files(plan)}
    return {"preflight": __version__, "plan": plan.digest, **values, **files}


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """The inputs that differ, with their hashes, in words for the report."""
    told = []
    for name in dict.fromkeys([*after, *before]):
        was, is_ = before.get(name, ABSENT), after.get(name, ABSENT)
        if name == "preflight" and was != is_:
            told.append(f"preflight was {was}, now {is_}")
        elif was != is_:
            hashes = f"changed from sha256 {was[:_SHOWN]} to {is_[:_SHOWN]}"
            told.append(f"{name} {'was removed' if is_ == ABSENT else 'was added' if was == ABSENT else hashes}")
    return tuple(told)


def _files(plan: Plan) -> Iterator[tuple[str, Path]]:
    yield from ((f"included {os.path.relpath(path, plan.folder)}", path) for path in plan.included)
    yield from ((f"{where}.allowed_signers", path) for where, path in plan.signers.items())
    for scripts in plan.scripts.values():
        yield f"scripts.{scripts.id}.manifest", scripts.manifest
        yield from _below(f"scripts.{scripts.id}.approved", scripts.approved)
    yield "file of sealed host keys", plan.sealed_known_hosts
    yield "file of sealed database servers", plan.sealed_servers
    yield "record of the rehearsal", plan.rehearsal_record
    yield from ((f"sealed schema of {name}", plan.sealed_schema(name)) for name in plan.databases)
    for host in plan.hosts.values():
        for number, path in enumerate(host.known_hosts, 1):  # two may have the same name
            yield f"hosts.{host.id}.known_hosts {number} {path.name}", path
    if plan.release.checks:
        yield from _below("release.checks", plan.release.checks, ".py")
    # What the plan's own commands run or read beside it: another script gives another answer.
    commands = plan.checks.get("command", {}).get("run", {})
    for name, command in commands.items() if isinstance(commands, Mapping) else ():
        for argument in () if getattr(command, "host", "") else getattr(command, "argv", ()):
            path = plan.folder / argument
            if isfile(path):
                yield f"checks.command.run.{name} {argument}", path


def _below(name: str, folder: Path, suffix: str = "") -> Iterator[tuple[str, Path]]:
    for top, _, files in sorted(os.walk(folder)):
        for path in (Path(top, file) for file in sorted(files) if file.endswith(suffix)):
            yield f"{name} {visible(str(path.relative_to(folder)))}", path


def _digest(path: Path) -> str:
    try:
        if not path.is_file():
            return ABSENT
        if path.stat().st_size > _LARGEST_BYTES:
            return "too large"
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"
