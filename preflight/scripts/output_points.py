"""The files that a run line writes, and whether they can be written: a part of the check script-runner. Pure."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from preflight.finding import Judgement, passed, warned
from preflight.probe import Probe
from preflight.probes.output_files import OutputFiles, OutputFilesProbe, Writing
from preflight.probes.shell import AsAccount
from preflight.scripts.planned_line import RunLine
from preflight.scripts.shell_expansion import UNKNOWN
from preflight.scripts.shell_record import Output
from preflight.scripts.shell_words import ShellSyntaxError, Unfollowed
from preflight.scripts.text_diff import visible

_SEEN = {
    Writing.FOLDER: "a folder has that name",
    Writing.DENIED: "the file is there and cannot be written",
    Writing.ABSENT: "there is no such folder",
    Writing.CLOSED: "no file can be made in the folder",
}


def output_probes(run: RunLine) -> Mapping[str, Probe[Any]]:
    """Whether the files that the line writes can be written, asked as those who open them."""
    host = run.work.host
    own, others = _written(run)
    probes: dict[str, Probe[Any]] = {}
    if paths := _askable(own):
        probes["outputs"] = OutputFilesProbe(host.id, AsAccount.on(host, run.work.account), paths)
    if paths := _askable(others):
        probes["login_outputs"] = OutputFilesProbe(host.id, AsAccount.on(host, ""), paths)
    return probes


def judge_outputs(run: RunLine, own: OutputFiles | None, others: OutputFiles | None) -> Iterator[Judgement]:
    """From the facts `outputs` and `login_outputs`."""
    by_account, by_login = _written(run)
    yield from _judged(run, by_account, own, run.work.account)
    yield from _judged(run, by_login, others, run.work.host.user)


def _written(run: RunLine) -> tuple[list[Output], list[Output]]:
    """What the line writes when all goes well: as the account that runs psql, and as the login where that starts the
    line. Nothing for a line that is not followed."""
    try:
        outputs = list(dict.fromkeys(run.trial().smooth.outputs))
    except (ShellSyntaxError, Unfollowed):
        return [], []
    others = [each for each in outputs if not each.by_psql and run.switches]
    return [each for each in outputs if each not in others], others


def _askable(written: Iterable[Output]) -> tuple[str, ...]:
    """The paths to ask the host for, each once."""
    return tuple(dict.fromkeys(path for each in written if (path := _path(each))))


def _path(output: Output) -> str:
    """The file, or, where its name alone is not known, its folder with a slash at the end; empty where neither is."""
    folder, name = posixpath.split(output.path)
    if UNKNOWN in folder or not folder or "\n" in output.path:
        return ""
    return f"{folder.rstrip('/')}/" if UNKNOWN in name else output.path


def _judged(run: RunLine, written: Iterable[Output], seen: OutputFiles | None, account: str) -> Iterator[Judgement]:
    """`account`: who opens the files; empty where ssh_config says who logs in."""
    for output in written:
        path = _path(output)
        state = seen.states.get(path) if seen and path else None
        if state is None or seen is None:
            yield _not_asked(run, output, "its folder is left to the shell")
        elif account and seen.account != account:
            yield _not_asked(run, output, f"{seen.account} looked, who may not become {account}; {state}")
        elif state is Writing.WRITABLE:
            yield passed(f"{visible(path)} can be written")
        else:
            yield _closed(run, path, state, seen.account)


def _not_asked(run: RunLine, output: Output, why: str) -> Judgement:
    return warned(
        f"whether {visible(output.written)} can be written is not known",
        expected=f"a file that {run.work.account or 'the login'} may write on {run.work.host.id}",
        actual=visible(why),
        remedy=f"name a file with its full path {run.where}, and try it by hand on {run.work.host.id}",
    )


def _closed(run: RunLine, path: str, state: Writing, account: str) -> Judgement:
    folder = shlex.quote(posixpath.dirname(path) or "/")
    cures = {
        Writing.ABSENT: f"mkdir -p -- {folder} && chown {account} -- {folder}",
        Writing.CLOSED: f"chown {account} -- {folder}",
        Writing.DENIED: f"chown {account} -- {shlex.quote(path)}",
    }
    cure = f"on {run.work.host.id}: {cures[state]}; or " if state in cures else ""
    return run.fails(
        f"{visible(path)} cannot be written: {_SEEN[state]}",
        f"a file that {account} may write; without it the line runs no script",
        f"{cure}name another file {run.where}",
        f"{_SEEN[state]}, as {account} sees it",
    )
