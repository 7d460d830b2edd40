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
from preflight.questions.files import LocalText
from preflight.questions.shell import AsAccount
from preflight.questions.work_start import Start, WorkStart, WorkStartProbe
from preflight.wording import visible

_SEEN = {
    Start.ABSENT: "the folder is not there",
    Start.CLOSED: "the folder cannot be entered",
    Start.MISSING: "there is no such program",
    Start.DENIED: "it is not executable",
    Start.LOG_IS_FOLDER: "a folder has that name",
    Start.LOG_DENIED: "the file is there and cannot be written",
    Start.LOG_ABSENT: "there is no such folder",
    Start.LOG_CLOSED: "no file can be made in the folder",
}


def start_probes(plan: Plan, work: ServerWork) -> Mapping[str, Probe[Any]]:
    """Whether the login can enter the folder from which it starts the work as another account; whether that account
    finds the program of a `command`, and may write the log."""
    entry = plan.scripts[work.id] if work.section is Section.SCRIPTS else None
    account = AsAccount.on(work.host, work.account)
    probes: dict[str, Probe[Any]] = {}
    if entry and not work.by_login:
        probes["entered"] = WorkStartProbe(work.host.id, AsAccount.on(work.host, ""), entry.staged)
    if work.command:
        probes["start"] = WorkStartProbe(work.host.id, account, entry.staged if entry else "/", work.command[0])
    elif entry and entry.log:
        probes["start"] = WorkStartProbe(work.host.id, account, log=entry.log)
    return probes


def judge_entered(plan: Plan, work: ServerWork, entered: WorkStart) -> Iterator[Judgement]:
    if entered.state is not Start.READY:
        folder = plan.scripts[work.id].staged
        yield failed(
            f"{entered.account} cannot start the work in {folder}: {_SEEN[entered.state]}",
            expected=f"a folder that the login may enter, because it starts the line of {work.account} there",
            actual=f"{_SEEN[entered.state]}, as {entered.account} sees it",
            remedy=f"on {work.host.id}: setfacl -m u:{entered.account}:x {shlex.quote(folder)}, or chmod o+x",
            minutes_at_stake=minutes_at_stake(plan, [work]),
        )


def judge_start(plan: Plan, work: ServerWork, seen: WorkStart) -> Iterator[Judgement]:
    """Whether the account finds the program of the `command`, or may write the log."""
    account = work.account or seen.account
    name = visible(work.command[0] if work.command else plan.scripts[work.id].log)
    can = f"{account} can {'start' if work.command else 'write'} {name}"
    if seen.account != account:
        yield unknown(
            f"whether {can} is not known",
            expected=f"{can}, on {work.host.id}",
            actual=f"{seen.account} looked, who may not become {account}",
            remedy=f"have this line in sudoers on {work.host.id}: {seen.account} ALL=({account}) NOPASSWD: /bin/sh",
        )
    elif seen.state is Start.READY:
        yield passed(can)
    else:
        yield failed(
            f"{name} {'does not start' if work.command else 'cannot be written'}: {_SEEN[seen.state]}",
            expected=f"{can}, on {work.host.id}",
            actual=f"{_SEEN[seen.state]}, as {account} sees it",
            remedy=f"have it put there, executable for {account}; or correct `command` of {work.table}"
            if work.command
            else _log_remedy(work, name, seen.state, account),
            minutes_at_stake=minutes_at_stake(plan, [work]),
        )


def _log_remedy(work: ServerWork, log: str, state: Start, account: str) -> str:
    folder = shlex.quote(posixpath.dirname(log) or "/")
    cures = {
        Start.LOG_ABSENT: f"mkdir -p -- {folder} && chown {account} -- {folder}",
        Start.LOG_CLOSED: f"chown {account} -- {folder}",
        Start.LOG_DENIED: f"chown {account} -- {shlex.quote(log)}",
    }
    cure = f"on {work.host.id}: {cures[state]}; or " if state in cures else ""
    return f"{cure}name another file: `log` of {work.table}"


def judge_command(plan: Plan, work: ServerWork, manifest: LocalText) -> Iterator[Judgement]:
    """What can be said of the `command` of scripts: it is sealed where it lies in the folder, and who says that it
    stops."""
    yield from _sealed(plan, work, manifest)
    yield _stopping(plan, work)


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
