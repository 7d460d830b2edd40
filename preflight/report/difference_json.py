"""What changed between two runs, for programs."""

from __future__ import annotations

from typing import Any

from preflight.report.harmless import json_text
from preflight.runs.difference import Change, Difference, Line, Outcome

SCHEMA = 1
"""Raised only when a field changes its meaning or goes away; new fields do not raise it."""


def render(difference: Difference) -> str:
    """One JSON object, deterministic for equal differences: each line once, in the list of what became of it."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "old": _outcome(difference.before),
        "new": _outcome(difference.after),
        "notes": list(difference.notes),
        "lines": {
            change.value: [
                {
                    "check": pair.line.check,
                    "subject": pair.line.subject,
                    "old": _line(pair.old),
                    "new": _line(pair.new),
                }
                for pair in difference.which(change)
            ]
            for change in Change
        },
    }
    return json_text(document)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "headline": outcome.headline,
        "release": outcome.release,
        "plan": {"file": outcome.plan_file, "sha256": outcome.plan_digest},
        "evidence_sha256": outcome.evidence_digest,
        "moment": outcome.moment.isoformat(),
        "collected_at": outcome.collected_at.isoformat(),
    }


def _line(line: Line | None) -> dict[str, Any] | None:
    if line is None:
        return None
    return {
        "status": line.status.value,
        "severity": line.severity.value,
        "owner": line.owner,
        "cause": line.cause,
        "points": [
            {
                "status": point.status.value,
                "summary": point.summary,
                "expected": point.expected,
                "actual": point.actual,
                "remedy": point.remedy,
            }
            for point in line.points
        ],
    }
