"""From findings to GO, NO-GO or HOLD: the worst line wins, each at its price in the window. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from preflight.clock import clock_changes, zone
from preflight.engine.inspection import Inspection
from preflight.engine.waivers import apply_waivers, end_of
from preflight.evidence import Evidence
from preflight.finding import Event, Finding, Price, Severity, Status
from preflight.judging.end_states import end_states, most_test_age
from preflight.judging.schedule import Schedule, schedule_at
from preflight.plan import Plan
from preflight.verdict import READINESS, VERIFIED, Decision, Verdict
from preflight.wording import counted

_OVER = "the window is over at the moment judged: correct start and end in [window]"
_GREEN = (Status.PASS, Status.WARN, Status.WAIVED)
_LOST = (Status.FAIL, Status.UNKNOWN, Status.WAIVED)
"""A waiver accepts that the server path is lost; it does not give the minutes back. What was well when it was last seen
costs none: it has to be asked again."""


def decide(
    findings: Sequence[Finding], *, partial: bool, over: bool = False, no_warnings: bool = False
) -> tuple[Decision, str]:
    """The decision and, where no finding explains it, its reason.

    `partial`: part of the checks was deselected; then the best possible answer is HOLD, whatever was seen.
    `over`: the moment judged lies behind the window. Then dates were held against a past end, so nothing is confirmed
    for any window to come: a plan copied from the last release must not be GO.
    `no_warnings`: whoever asks wants no GO with a warning of a check that decides."""
    blocking = [finding for finding in findings if finding.severity is Severity.BLOCKING]
    deciding = [finding for finding in findings if finding.severity.decides]
    if any(finding.status is Status.FAIL for finding in blocking):
        return Decision.NO_GO, _OVER if over else ""
    if not any(finding.status in _GREEN and finding.oldest_evidence_at for finding in blocking):
        return Decision.HOLD, "no blocking check saw anything, so nothing is confirmed"
    if partial:
        return Decision.HOLD, "part of the checks was not selected"
    if over:
        return Decision.HOLD, _OVER
    warnings = sum(finding.status is Status.WARN for finding in deciding)
    if no_warnings and warnings:
        return Decision.HOLD, f"{counted(warnings, 'warning')}, and --fail-on warn lets none pass"
    if all(finding.status in _GREEN for finding in deciding):
        return Decision.GO, ""
    return Decision.HOLD, ""


def conclude(inspection: Inspection, evidence: Evidence, findings: Sequence[Finding]) -> Verdict:
    """The verdict over all findings, waivers applied; no better one than the options with which they were asked for let
    pass. Asserts that no planned check has vanished."""
    plan, moment, expect = inspection.plan, inspection.moment, inspection.expect
    waiving = plan
    if expect:  # those waivers alone that are for something verified: of all others there is nothing to tell
        looked_at = {(finding.check, finding.subject) for finding in findings}
        waivers = tuple(each for each in plan.waivers if (each.check, each.subject) in looked_at)
        waiving = replace(plan, waivers=waivers)
    findings, uses = apply_waivers(waiving, findings, moment)
    planned = len(inspection.items)
    counts = Counter(finding.status for finding in findings)
    if planned != counts.total():
        raise AssertionError(f"{planned} checks were planned, {counts.total()} are in the report")
    over = expect is None and moment >= plan.window.end
    no_warnings = inspection.no_warnings or evidence.no_warnings
    decision, reason = decide(findings, partial=inspection.partial, over=over, no_warnings=no_warnings)
    verdict = Verdict(
        plan=plan,
        decision=VERIFIED[READINESS.index(decision)] if expect else decision,
        reason=reason,
        findings=tuple(findings),
        counts=dict(counts),
        planned=planned,
        evidence_digest=evidence.digest,
        collected_at=evidence.collected_at,
        moment=moment,
        expect=expect,
        waivers=uses,
    )
    if expect:  # what is amiss is cured at once: no request of the day before comes in time
        return replace(verdict, findings=[replace(each, cure_by=None) for each in verdict.findings])
    return _with_window(verdict)


def withheld(verdict: Verdict, reason: str) -> Verdict:
    """The verdict, but HOLD for this reason where it would be GO."""
    return replace(verdict, decision=Decision.HOLD, reason=reason) if verdict.decision is Decision.GO else verdict


def _with_window(verdict: Verdict) -> Verdict:
    plan, moment = verdict.plan, verdict.moment
    findings = priced(plan, verdict.findings, moment)
    return replace(
        verdict,
        findings=tuple(findings),
        planned_schedule=schedule_at(plan, moment),
        found_schedule=as_found(plan, findings, moment),
        events=events_inside(plan, findings),
        end_states=end_states(plan, moment, most_test_age(plan)),
    )


def priced(plan: Plan, findings: Sequence[Finding], moment: datetime) -> list[Finding]:
    """The findings, each that takes a server path away with what this alone costs."""
    planned, result = schedule_at(plan, moment), []
    lost = {each.steps for each in findings if each.steps and each.status in _LOST}
    without = {steps: schedule_at(plan, moment, steps) for steps in lost}
    for finding in findings:
        found = without.get(finding.steps) if finding.status in _LOST else None
        price = None
        if planned and found and any(slot.over_network for slot in found.slots):
            minutes = max(0.0, (found.finish_at - planned.finish_at).total_seconds() / 60)
            price = Price(minutes, found.known.finish_at, found.known.margin)
        result.append(replace(finding, price=price))
    return result


def as_found(plan: Plan, findings: Sequence[Finding], moment: datetime) -> Schedule | None:
    """The schedule with everything that failed or could not be confirmed; the plan's own when nothing did. As
    `schedule_at`, at the moment judged."""
    lost = {step for finding in findings if finding.status in _LOST for step in finding.steps}
    return schedule_at(plan, moment, lost)


def events_inside(plan: Plan, findings: Sequence[Finding]) -> tuple[Event, ...]:
    """What the findings, the waivers and the calendar bring, from the window's start until credentials are no longer
    needed; in time order, each once."""
    first, last = plan.window.start, plan.window.needed_until
    found = {event for finding in findings for event in finding.judgement.events}
    found |= {end_of(waiver).event for waiver in plan.waivers}
    found |= {Event(at=each.at, text=each.text) for each in clock_changes(zone(plan.window.zone), first, last)}
    return tuple(sorted((event for event in found if first <= event.at <= last), key=lambda each: (each.at, each.text)))
