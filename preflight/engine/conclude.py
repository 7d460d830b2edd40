"""From findings to GO, NO-GO or HOLD: the worst line wins. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from preflight.engine.waivers import apply_waivers
from preflight.finding import Age, Finding, Severity, Status
from preflight.judging.end_states import end_states, most_test_age
from preflight.judging.price import as_found, priced
from preflight.judging.schedule import schedule
from preflight.judging.time_axis import events_inside
from preflight.plan import Plan
from preflight.plan.command_lines import Command
from preflight.verdict import Decision, Verdict

_OVER = "the window is over at the moment judged: correct start and end in [window]"
_GREEN = (Status.PASS, Status.WARN, Status.WAIVED)


def decide(findings: Sequence[Finding], *, partial: bool, over: bool = False) -> tuple[Decision, str]:
    """The decision and, where no finding explains it, its reason.

    `partial`: part of the checks was deselected; then the best possible answer is HOLD, whatever was seen.
    `over`: the moment judged lies behind the window. Then dates were held against a past end, so nothing is confirmed
    for any window to come: a plan copied from the last release must not be GO."""
    blocking = [finding for finding in findings if finding.severity is Severity.BLOCKING]
    if any(finding.status is Status.FAIL for finding in blocking):
        return Decision.NO_GO, _OVER if over else ""
    if not any(finding.status in _GREEN for finding in blocking):
        return Decision.HOLD, "no blocking check was judged, so nothing is confirmed"
    if partial:
        return Decision.HOLD, "part of the checks was not selected"
    if over:
        return Decision.HOLD, _OVER
    if all(finding.status in _GREEN for finding in blocking):
        return Decision.GO, ""
    return Decision.HOLD, ""


def conclude(
    plan: Plan,
    findings: Sequence[Finding],
    *,
    planned: int,
    evidence_digest: str,
    collected_at: datetime,
    moment: datetime,
    partial: bool = False,
    unconfirmed: Sequence[str] = (),
    vantage: str = "",
    commands: Sequence[Command] = (),
    ages: Sequence[Age] = (),
    basis: Sequence[str] = (),
) -> Verdict:
    """The verdict over all findings, waivers applied. Asserts that no planned check has vanished."""
    findings, uses = apply_waivers(plan, findings, moment)
    findings = priced(plan, findings)
    counts = Counter(finding.status for finding in findings)
    if planned != counts.total():
        raise AssertionError(f"{planned} checks were planned, {counts.total()} are in the report")
    decision, reason = decide(findings, partial=partial, over=moment >= plan.window.end)
    return Verdict(
        plan=plan,
        decision=decision,
        reason=reason,
        findings=tuple(findings),
        counts=dict(counts),
        planned=planned,
        evidence_digest=evidence_digest,
        collected_at=collected_at,
        moment=moment,
        unconfirmed=tuple(unconfirmed),
        vantage=vantage,
        waivers=uses,
        planned_schedule=schedule(plan),
        found_schedule=as_found(plan, findings),
        events=events_inside(plan, findings),
        end_states=end_states(plan, moment, most_test_age(plan)),
        commands=tuple(commands),
        ages=tuple(ages),
        basis=tuple(basis),
    )
