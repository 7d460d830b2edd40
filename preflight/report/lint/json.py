"""For programs: one document for all plans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from preflight.report.harmless import json_text
from preflight.report.lint import LintedPlan

SCHEMA = 1


def render(plans: Sequence[LintedPlan]) -> str:
    """Keys in a fixed order."""
    return json_text({"schema": SCHEMA, "plans": [_plan(plan) for plan in plans]})


def _plan(linted: LintedPlan) -> dict[str, Any]:
    faults = list(linted.faults())
    items = linted.inspection.items if linted.inspection else ()
    return {
        "file": linted.shown_as,
        "valid": not faults,
        "errors": [
            {"line": each.line, "key": each.where, "message": each.message, "did_you_mean": each.nearest}
            for each in faults
        ],
        "planned": dict(Counter(item.check_id for item in items)),
        "unconfirmed": list(linted.unconfirmed),
    }
