"""For a GitHub Actions job: errors and what is left unconfirmed, annotated on the plans' lines."""

from __future__ import annotations

from collections.abc import Sequence

from preflight.report.formats.github import MOST, command
from preflight.report.lint import LintedPlan


def render(plans: Sequence[LintedPlan]) -> str:
    """One workflow command on a line, errors first; GitHub shows no more than 10 of a kind."""
    errors = [
        command("error", each.file, "invalid plan", each.text, each.line) for plan in plans for each in plan.faults()
    ]
    warnings = [
        command("warning", plan.shown_as, "unconfirmed", gap, None) for plan in plans for gap in plan.unconfirmed
    ]
    return "".join([*_capped(errors, plans, "error"), *_capped(warnings, plans, "warning")])


def _capped(commands: Sequence[str], plans: Sequence[LintedPlan], level: str) -> list[str]:
    if len(commands) <= MOST:
        return list(commands)
    left = len(commands) - MOST + 1
    return [*commands[: MOST - 1], command(level, plans[0].shown_as, "preflight lint", f"and {left} more", None)]
