"""The sheet of the night for a terminal: every command line, with where and as whom it is pasted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preflight.plan import Plan
from preflight.plan.command_lines import Command
from preflight.report.document.commands import FOREWORD, command_lines
from preflight.report.harmless import clean, no_command
from preflight.report.layout import wrapped


def render(plan: Plan, commands: Sequence[Command]) -> str:
    """A line to paste is never wrapped."""
    return "\n".join(_lines(plan, commands)) + "\n"


def _lines(plan: Plan, commands: Sequence[Command]) -> Iterator[str]:
    yield from wrapped("  ".join(part for part in (plan.release.id, plan.release.title) if part), "")
    yield from wrapped(FOREWORD, "")
    for number, command in enumerate(command_lines(commands), 1):
        yield ""
        yield from wrapped(command.about, "     ", f"{number:>3}  ")
        if command.line:
            yield f"     {no_command(clean(command.line))}"
        if command.note:
            yield from wrapped(f"({command.note})", "     ")
