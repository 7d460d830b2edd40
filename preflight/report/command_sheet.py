"""The sheet of the night: every command line in words, with where and as whom it is pasted; and all of them for a
terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preflight.plan import Plan
from preflight.plan.command_lines import Act, Command
from preflight.report.harmless import clean, no_command
from preflight.report.layout import wrapped

FOREWORD = (
    "Each line is for the shell of the login that is named, on the host that is named. PostgreSQL's programs end with "
    "another status than 0 at the first error and ask for no password, and the tool writes none; what the plan "
    "declares (`command`, `variables`) stands as it is written there."
)


def render(plan: Plan, commands: Sequence[Command]) -> str:
    """A line to paste is never wrapped."""
    return "\n".join(_lines(plan, commands)) + "\n"


def about(command: Command) -> str:
    """What it is, where, as whom, in which folder, and how long it takes."""
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
    together = f" for all {command.shared_by} of them" if command.shared_by > 1 else ""
    parts.append("minutes not planned" if command.minutes is None else f"{command.minutes:g} min{together}")
    return ", ".join(parts)


def _lines(plan: Plan, commands: Sequence[Command]) -> Iterator[str]:
    yield from wrapped("  ".join(part for part in (plan.release.id, plan.release.title) if part), "")
    yield from wrapped(FOREWORD, "")
    for number, command in enumerate(commands, 1):
        yield ""
        yield from wrapped(about(command), "     ", f"{number:>3}  ")
        if command.line:
            yield f"     {no_command(clean(command.line))}"
        if command.note:
            yield from wrapped(f"({command.note})", "     ")
