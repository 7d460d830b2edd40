"""For programs: one JSON object, deterministic for equal verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from preflight.finding import Finding, Price
from preflight.judging.end_states import EndState, telling_first
from preflight.judging.schedule import Schedule
from preflight.report import PLAIN, View
from preflight.report.harmless import json_text
from preflight.verdict import REPORT_SCHEMA, Verdict

_MOST_END_STATES = 100
_JUDGEMENT = ("summary", "expected", "actual", "remedy", "minutes_at_stake", "details")


def render(verdict: Verdict, _view: View = PLAIN) -> str:
    plan, window = verdict.plan, verdict.plan.window
    document: dict[str, Any] = {
        "schema": REPORT_SCHEMA,
        "verdict": verdict.decision,
        "headline": verdict.headline,
        "exit_code": verdict.exit_code,
        "reason": verdict.reason,
        "release": _fields(plan.release, "id", "title", "ticket"),
        "window": _fields(window, "zone", "start", "end", "needed_until"),
        "moment": verdict.moment,
        "collected_at": verdict.collected_at,
        "vantage": verdict.vantage,
        "plan": {"file": plan.path.name, "sha256": plan.digest},
        "evidence_sha256": verdict.evidence_digest,
        "planned": verdict.planned,
        "counts": dict(sorted(verdict.counts.items())),
        "findings": [_finding(finding) for finding in verdict.findings],
        "unconfirmed": list(verdict.unconfirmed),
        "basis": list(verdict.basis),
        "schedule": {"planned": _schedule(verdict.planned_schedule), "found": _schedule(verdict.found_schedule)},
        "waivers": [
            _fields(use.waiver, "id", "check", "subject")
            | _fields(use, "state", "text")
            | _fields(use.waiver, "limit", "reason", "approved_by", "expires")
            for use in verdict.waivers
        ],
        "ages": [
            {"family": age.family, "old_seconds": age.old.total_seconds(), "max_seconds": age.most.total_seconds()}
            for age in verdict.ages
        ],
        "events": [_fields(event, "at", "text") for event in verdict.events],
        "end_states": _end_states(verdict.end_states),
    }
    return json_text(document)


def _fields(value: object, *names: str) -> dict[str, Any]:
    """Fields that the report has under the names they have here."""
    return {name: getattr(value, name) for name in names}


def _end_states(states: Sequence[EndState]) -> dict[str, Any]:
    """How many there are of each status, and the most telling ones: hundreds of applications have thousands."""
    listed = telling_first(states)[:_MOST_END_STATES]
    return {
        "counts": dict(Counter(state.status for state in states)),
        "listed": [{"versions": dict(state.versions), **_fields(state, "status", "reason")} for state in listed],
    }


def _schedule(schedule: Schedule | None) -> dict[str, Any] | None:
    if schedule is None:
        return None
    return {
        **_fields(schedule, "finish_at", "decide_by", "start_rollback_by", "point_of_no_return", "latest_start"),
        "margin_minutes": schedule.margin.total_seconds() / 60,
        "rollback_minutes": schedule.rollback.total_seconds() / 60,
        "critical_path": list(schedule.critical_path),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        **_fields(finding, "check", "title", "subject", "status", "severity", "owner", "cause", "vantage"),
        **_fields(finding, "oldest_evidence_at", "took_seconds", "waiver"),
        "price": _price(finding.price),
        "cure_by": finding.cure_by,
        **_fields(finding.judgement, *_JUDGEMENT),
        "points": [_fields(point, "status", *_JUDGEMENT) for point in finding.judgement.points],
    }


def _price(price: Price | None) -> dict[str, Any] | None:
    if price is None:
        return None
    return {**_fields(price, "minutes", "finish_at"), "margin_minutes": price.margin.total_seconds() / 60}
