"""The night's command lines in words: where, as whom, in which folder and how long, with the line to paste. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from preflight.plan.command_lines import Act, Command

FOREWORD = (
    "Each line is for the shell of the login that is named, on the host that is named, and ends with another status "
    "than 0 at the first error. No line holds a password: the programs never ask for one."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """One piece of work of the night."""

    about: str
    """What it is, where, as whom, in which folder, and how long it takes."""
    line: str
    """For the shell of that login; empty where there is nothing to paste."""
    note: str


def command_lines(commands: Sequence[Command]) -> tuple[CommandLine, ...]:
    """In the order of the night; the ways back last."""
    return tuple(CommandLine(about=_about(each), line=each.line, note=each.note) for each in commands)


def _about(command: Command) -> str:
    work = command.work
    parts = [f"{command.act} {work.id}: on {work.host.id} as {work.host.who}"]
    if not work.by_login:
        parts.append(f"run by {work.account}")
    if command.folder:
        parts.append(f"in {command.folder}")
    if work.step and command.act is Act.WAY_BACK:
        parts.append(f"takes back step {work.step}")
    elif work.step and command.act is not Act.RESTORE:
        parts.append(f"step {work.step}")
    parts.append("minutes not planned" if command.minutes is None else f"{command.minutes:g} min")
    return ", ".join(parts)
