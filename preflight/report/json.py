"""The report for programs."""

from __future__ import annotations

import json
from typing import Any

from preflight.finding import Finding, Judgement
from preflight.verdict import Verdict

SCHEMA = 1
"""Raised only when a field changes its meaning or goes away; new fields do not raise it."""


def render(verdict: Verdict) -> str:
    """One JSON object, deterministic for equal verdicts."""
    plan = verdict.plan
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "verdict": verdict.decision.value,
        "headline": verdict.headline,
        "exit_code": int(verdict.exit_code),
        "reason": verdict.reason,
        "release": {"id": plan.release.id, "title": plan.release.title, "ticket": plan.release.ticket},
        "window": {
            "zone": plan.window.zone,
            "start": plan.window.start.isoformat(),
            "end": plan.window.end.isoformat(),
            "needed_until": plan.window.needed_until.isoformat(),
        },
        "moment": verdict.moment.isoformat(),
        "collected_at": verdict.collected_at.isoformat(),
        "vantage": verdict.vantage,
        "plan": {"file": plan.path.name, "sha256": plan.digest},
        "evidence_sha256": verdict.evidence_digest,
        "planned": verdict.planned,
        "counts": {status.value: count for status, count in sorted(verdict.counts.items())},
        "findings": [_finding(finding) for finding in verdict.findings],
        "unconfirmed": list(verdict.unconfirmed),
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _finding(finding: Finding) -> dict[str, Any]:
    oldest = finding.oldest_evidence_at
    return {
        "check": finding.check,
        "title": finding.title,
        "subject": finding.subject,
        "status": finding.status.value,
        "severity": finding.severity.value,
        "owner": finding.owner,
        "cause": finding.cause,
        "vantage": finding.vantage,
        "oldest_evidence_at": oldest.isoformat() if oldest else None,
        "took_seconds": finding.took_seconds,
        "waiver": finding.waiver,
        **_judgement(finding.judgement),
        "points": [{"status": point.status.value, **_judgement(point)} for point in finding.judgement.points],
    }


def _judgement(judgement: Judgement) -> dict[str, Any]:
    return {
        "summary": judgement.summary,
        "expected": judgement.expected,
        "actual": judgement.actual,
        "remedy": judgement.remedy,
        "minutes_at_stake": judgement.minutes_at_stake,
        "details": judgement.details,
    }
