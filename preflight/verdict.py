"""From findings to GO, NO-GO or HOLD, and to the exit code. The worst line wins; nothing here formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from preflight.engine.waivers import WaiverUse, apply_waivers
from preflight.errors import ExitCode
from preflight.finding import Age, Event, Finding, Severity, Status
from preflight.judging.end_states import EndState, end_states, most_test_age
from preflight.judging.price import as_found, priced
from preflight.judging.schedule import Schedule, schedule
from preflight.judging.time_axis import events_inside
from preflight.plan import Plan
from preflight.plan.command_lines import Command
from preflight.wording import counted


class Decision(StrEnum):
    GO = "GO"
    NO_GO = "NO-GO"
    HOLD = "HOLD"


_EXIT_CODES = {Decision.GO: ExitCode.GO, Decision.NO_GO: ExitCode.NO_GO, Decision.HOLD: ExitCode.HOLD}
_OVER = "the window is over at the moment judged: correct start and end in [window]"
_GREEN = (Status.PASS, Status.WARN, Status.WAIVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer of one run and everything the report says."""

    plan: Plan
    decision: Decision
    reason: str
    """Why it is not GO when no finding says so (`3 of 9 checks were not selected`); otherwise empty."""
    findings: Sequence[Finding]
    counts: Mapping[Status, int]
    planned: int
    evidence_digest: str
    collected_at: datetime
    moment: datetime
    unconfirmed: Sequence[str] = ()
    """What the plan itself leaves unconfirmed."""
    vantage: str = ""
    """Where the tool ran and as whom."""
    waivers: Sequence[WaiverUse] = ()
    """What became of every waiver of the plan."""
    planned_schedule: Schedule | None = None
    """The window as planned; None when the plan has no steps."""
    found_schedule: Schedule | None = None
    """The window with every step over the network that lost the server path."""
    events: Sequence[Event] = ()
    """Everything that ends or begins by itself inside the window and its reserve, in time order."""
    end_states: Sequence[EndState] = ()
    """Version pairs that may be left standing at the end."""
    commands: Sequence[Command] = ()
    """The night's command lines, in their order."""
    ages: Sequence[Age] = ()
    """The oldest answer of each family, at the moment judged."""
    basis: Sequence[str] = ()
    """What the verdict stands on besides this run: which earlier answers were kept, and what voided others."""

    @property
    def exit_code(self) -> ExitCode:
        return _EXIT_CODES[self.decision]

    @property
    def waived(self) -> int:
        return self.counts.get(Status.WAIVED, 0)

    @property
    def headline(self) -> str:
        """`GO`, `GO with 2 waivers; 1 thing unconfirmed`, `NO-GO` or `HOLD`."""
        if self.decision is not Decision.GO:
            return self.decision.value
        waived = f" with {counted(self.waived, 'waiver')}" if self.waived else ""
        gaps = f"; {counted(len(self.unconfirmed), 'thing')} unconfirmed" if self.unconfirmed else ""
        return f"GO{waived}{gaps}"


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
