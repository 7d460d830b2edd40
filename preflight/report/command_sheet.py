"""The sheet of the night: every command line in words, with where and as whom it is pasted; and all of them for a
terminal. Pure.

A line to paste is whole or not there: cut, it would do something else."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from preflight.plan import Plan
from preflight.plan.command_lines import Act, Command
from preflight.report.harmless import line_to_paste
from preflight.report.layout import wrapped

FOREWORD = (
    "Each line is for the shell of the login that is named, on the host that is named. PostgreSQL's programs end with "
    "another status than 0 at the first error and ask for no password, and the tool writes none; what the plan "
    "declares (`command`, `variables`) stands as it is written there."
)
MOST_BYTES = 200_000
"""Of all lines of one report; the sheet for a terminal has no such bound."""


@dataclass(frozen=True, slots=True)
class CommandShown:
    about: str
    line: str
    """To paste; empty where there is nothing to paste, or where it cannot be shown whole."""
    note: str
    """What to know before it is pasted; why it cannot be shown."""


def shown(
    plan: Plan,
    commands: Sequence[Command],
    most_bytes: float = MOST_BYTES,
    ascii: bool = False,  # noqa: A002 - as the encoding
) -> Iterator[CommandShown]:
    """In the order in which they are pasted."""
    left, show_all = most_bytes, plan.call("show", "--commands", path=str(plan.path))
    for command in commands:
        line, note = line_to_paste(command.line, ascii=ascii), command.note
        if command.line and not line:
            note = "the line cannot be shown: a name in it holds a line break or is no text; rename that file"
        elif len(line.encode()) > left:
            note = f"the line is too long to print here; it is printed whole by: {show_all}"
            line = ""
        left -= len(line.encode())
        yield CommandShown(_about(command), line, note)


def _about(command: Command) -> str:
    work = command.work
    parts = [f"{command.act} {work.id}: on {work.host.id} as {work.host.who}"]
    parts += [] if work.by_login else [f"run by {work.account}"]
    parts += [f"in {command.folder}"] if command.folder else []
    if work.step and command.act is Act.WAY_BACK:
        parts.append(f"takes back step {work.step}")
    elif work.step and command.act is not Act.RESTORE:
        parts.append(f"step {work.step}")
    together = f" for these {command.shared_by} together" if command.shared_by > 1 else ""
    parts.append("minutes not planned" if command.minutes is None else f"{command.minutes:g} min{together}")
    return ", ".join(parts)


def render(plan: Plan, commands: Sequence[Command], ascii: bool = False) -> str:  # noqa: A002 - as the encoding
    """The sheet for a terminal. A line to paste is never wrapped."""
    title = "  ".join(part for part in (plan.release.id, plan.release.title) if part)
    lines = [*wrapped(title, ""), *wrapped(FOREWORD, "")]
    for number, command in enumerate(shown(plan, commands, math.inf, ascii), 1):
        lines += ["", *wrapped(command.about, "     ", f"{number:>3}  ")]
        lines += [f"     {command.line}"] if command.line else []
        if command.note:
            lines += wrapped(f"({command.note})", "     ")
    return "\n".join(lines) + "\n"
