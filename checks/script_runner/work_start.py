"""Whether the declared command can be started where and as whom the sheet says: a part of the check script-runner.
Pure."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.judging.manifest import ManifestError, parse_manifest
from preflight.judging.psql_inputs import below
from preflight.plan import Plan
from preflight.plan.work import Section, ServerWork, minutes_at_stake
from preflight.probe import Probe
from preflight.probes.files import LocalText
from preflight.probes.output_files import OutputFiles, OutputFilesProbe, Writing
from preflight.probes.shell import AsAccount
from preflight.probes.work_start import Start, WorkStart, WorkStartProbe
from preflight.wording import visible

_WRITING = {
    Writing.FOLDER: "a folder has that name",
    Writing.DENIED: "the file is there and cannot be written",
    Writing.ABSENT: "there is no such folder",
    Writing.CLOSED: "no file can be made in the folder",
}
_STARTING = {
    Start.ABSENT: "the folder is not there",
    Start.CLOSED: "the folder cannot be entered",
    Start.MISSING: "there is no such program",
    Start.DENIED: "it is not executable",
}


def start_probes(plan: Plan, work: ServerWork) -> Mapping[str, Probe[Any]]:
    """Whether the login can enter the folder from which it starts the work as another account; whether that account
    finds the program of a `command`, and may write the log."""
    folder = plan.scripts[work.id].staged if work.section is Section.SCRIPTS else ""
    account = AsAccount.on(work.host, work.account)
    probes: dict[str, Probe[Any]] = {}
    if folder and not work.by_login:
        probes["entered"] = WorkStartProbe(work.host.id, AsAccount.on(work.host, ""), folder)
    if work.command:
        probes["program"] = WorkStartProbe(work.host.id, account, folder or "/", work.command[0])
    if log := _log(plan, work):
        probes["log"] = OutputFilesProbe(work.host.id, account, (log,))
    return probes


def judge_entered(plan: Plan, work: ServerWork, entered: WorkStart) -> Iterator[Judgement]:
    if entered.state is not Start.READY:
        folder = plan.scripts[work.id].staged
        yield failed(
            f"{entered.account} cannot start the work in {folder}: {_STARTING[entered.state]}",
            expected=f"a folder that the login may enter, because it starts the line of {work.account} there",
            actual=f"{_STARTING[entered.state]}, as {entered.account} sees it",
            remedy=f"on {work.host.id}: setfacl -m u:{entered.account}:x {shlex.quote(folder)}, or chmod o+x",
            minutes_at_stake=minutes_at_stake(plan, [work]),
        )


def judge_command(
    plan: Plan, work: ServerWork, program: WorkStart, manifest: LocalText | None = None
) -> Iterator[Judgement]:
    """What can be said of a `command`: its program is there for the account, and sealed where it lies in the folder."""
    name, account = visible(work.command[0]), work.account or program.account
    stake = minutes_at_stake(plan, [work])
    if program.account != account:
        yield unknown(
            f"whether {account} can start {name} is not known",
            expected=f"{name}, executable for {account}",
            actual=f"{program.account} looked, who may not become {account}",
            remedy=f"have this line in sudoers on {work.host.id}: {program.account} ALL=({account}) NOPASSWD: /bin/sh",
        )
    elif program.state is not Start.READY:
        yield failed(
            f"{name} does not start: {_STARTING[program.state]}",
            expected=f"{name}, executable for {account} on {work.host.id}",
            actual=f"{_STARTING[program.state]}, as {account} sees it",
            remedy=f"have it put there, executable for {account}; or correct `command` of {work.table}",
            minutes_at_stake=stake,
        )
    else:
        yield passed(f"{name} is there for {account}")
    if manifest is not None:
        yield from _sealed(plan, work, manifest)
        yield _stopping(plan, work)


def judge_log(plan: Plan, work: ServerWork, seen: OutputFiles) -> Iterator[Judgement]:
    log = _log(plan, work)
    state, account = seen.states[log], work.account or seen.account
    if seen.account != account:
        yield unknown(
            f"whether {visible(log)} can be written is not known",
            expected=f"a file that {account} may write on {work.host.id}",
            actual=f"{seen.account} looked, who may not become {account}",
            remedy=f"let {seen.account} look as {account}, or leave `log` out of {work.table}",
        )
    elif state is Writing.WRITABLE:
        yield passed(f"{visible(log)} can be written")
    else:
        yield _unwritable(plan, work, log, state, account)


def _unwritable(plan: Plan, work: ServerWork, log: str, state: Writing, account: str) -> Judgement:
    folder = shlex.quote(posixpath.dirname(log) or "/")
    cures = {
        Writing.ABSENT: f"mkdir -p -- {folder} && chown {account} -- {folder}",
        Writing.CLOSED: f"chown {account} -- {folder}",
        Writing.DENIED: f"chown {account} -- {shlex.quote(log)}",
    }
    cure = f"on {work.host.id}: {cures[state]}; or " if state in cures else ""
    return failed(
        f"{visible(log)} cannot be written: {_WRITING[state]}",
        expected=f"a file that {account} may write; without it psql runs no script",
        actual=f"{_WRITING[state]}, as {account} sees it",
        remedy=f"{cure}name another file: `log` of {work.table}",
        minutes_at_stake=minutes_at_stake(plan, [work]),
    )


def _sealed(plan: Plan, work: ServerWork, manifest: LocalText) -> Iterator[Judgement]:
    """A program that lies in the staged folder is sealed with the rest of it."""
    path = below(plan.scripts[work.id].staged, posixpath.join(plan.scripts[work.id].staged, work.command[0]))
    if "/" not in work.command[0] or path.startswith("/"):
        return
    try:
        names = parse_manifest(manifest.text)
    except ManifestError:
        return  # script-hashes says so
    if not manifest.problem and path not in names:
        yield failed(
            f"{visible(path)} is not sealed",
            expected=f"{visible(path)} in the manifest, because it lies in the staged folder",
            actual="the manifest does not list it",
            remedy=f"put it into the approved folder of {work.table}, have it approved, then seal again",
            minutes_at_stake=minutes_at_stake(plan, [work]),
        )


def _stopping(plan: Plan, work: ServerWork) -> Judgement:
    shown = plan.scripts[work.id].stops_on_error
    command = visible(shlex.join(work.command))
    if shown:
        return warned(
            f"that {command} stops at the first error is said, not observed",
            expected="a rehearsal in which it stopped",
            actual=shown,
            remedy="rehearse it with a script that fails, and look at its exit status",
        )
    return unknown(
        f"whether {command} stops at the first error is not known",
        expected="a command that ends at the first error, with another status than 0",
        actual="it is not psql, and its text is not read",
        remedy=f'let it run on a script that fails; then write in {work.table}: stops_on_error = "shown DATE, WHERE"',
    )


def _log(plan: Plan, work: ServerWork) -> str:
    return plan.scripts[work.id].log if work.section is Section.SCRIPTS else ""
