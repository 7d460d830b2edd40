"""For programs: one JSON object, deterministic for equal verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from preflight.finding import Finding, Judgement
from preflight.report.harmless import json_text
from preflight.report.view import PLAIN, View
from preflight.verdict import Verdict
from preflight.versions.end_states import EndState, telling_first
from preflight.window.schedule import Schedule

SCHEMA = 2
"""Raised only when a field changes its meaning or goes away; new fields do not raise it."""
_MOST_END_STATES = 100


def render(verdict: Verdict, _view: View = PLAIN) -> str:
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
        "basis": list(verdict.basis),
        "schedule": {"planned": _schedule(verdict.planned_schedule), "found": _schedule(verdict.found_schedule)},
        "waivers": [
            {"id": use.waiver.id, "check": use.waiver.check, "subject": use.waiver.subject, "state": use.state.value}
            | {"text": use.text, "limit": use.waiver.limit, "reason": use.waiver.reason}
            | {"approved_by": use.waiver.approved_by, "expires": use.waiver.expires.isoformat()}
            for use in verdict.waivers
        ],
        "ages": [
            {"family": age.family, "old_seconds": age.old.total_seconds(), "max_seconds": age.most.total_seconds()}
            for age in verdict.ages
        ],
        "events": [{"at": event.at.isoformat(), "text": event.text} for event in verdict.events],
        "end_states": _end_states(verdict.end_states),
    }
    return json_text(document)


def _end_states(states: Sequence[EndState]) -> dict[str, Any]:
    """How many there are of each status, and the most telling ones: hundreds of applications have thousands."""
    return {
        "counts": dict(Counter(state.status.value for state in states)),
        "listed": [
            {"versions": dict(state.versions), "status": state.status.value, "reason": state.reason}
            for state in telling_first(states)[:_MOST_END_STATES]
        ],
    }


def _schedule(schedule: Schedule | None) -> dict[str, Any] | None:
    if schedule is None:
        return None
    no_return = schedule.point_of_no_return
    return {
        "finish_at": schedule.finish_at.isoformat(),
        "decide_by": schedule.decide_by.isoformat(),
        "start_rollback_by": schedule.start_rollback_by.isoformat(),
        "point_of_no_return": no_return.isoformat() if no_return else None,
        "latest_start": schedule.latest_start.isoformat(),
        "margin_minutes": schedule.margin.total_seconds() / 60,
        "rollback_minutes": schedule.rollback.total_seconds() / 60,
        "critical_path": list(schedule.critical_path),
    }


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
        "price": {
            "minutes": finding.price.minutes,
            "finish_at": finding.price.finish_at.isoformat(),
            "margin_minutes": finding.price.margin.total_seconds() / 60,
        }
        if finding.price
        else None,
        "cure_by": finding.cure_by.isoformat() if finding.cure_by else None,
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
