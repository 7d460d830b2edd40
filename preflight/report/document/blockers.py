"""What stands between a verdict and GO, one entry for each thing to cure: every format's list of what to do. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from preflight.clock import zone
from preflight.finding import Finding, Severity, Status
from preflight.report.document.order import (
    cost,
    findings_by_cause,
    findings_in_order,
    folded_words,
    is_behind,
    owners,
)
from preflight.verdict import Verdict
from preflight.wording import counted

_OPEN = (Status.FAIL, Status.UNKNOWN, Status.STALE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """Something to cure, or one cause that keeps several checks from looking."""

    status: Status
    what: str
    """Check and subject, `host-login db1`; of a shared cause, how many checks wait for what."""
    why: str
    """What was seen; the shared cause."""
    cure: str
    waiting: int = 0
    """How many checks that decide share the cause; 0 for a thing of its own."""
    behind: str = ""
    """The entry of the same list that is that cause, where one is."""
    minutes: float
    """What it costs in the window if it stays so; 0 where the plan does not price it."""
    ask_by: datetime
    """When the cure must have been asked for at the latest, UTC: the owner's lead time before the window's start."""
    ask_by_words: str
    """The same in nine columns: `Sat 00:00`, `24 Oct`, `overdue`."""
    owner: str
    """Person, role and contact."""

    @property
    def name(self) -> str:
        """The owner without role and contact."""
        return self.owner.partition(" (")[0]


def blockers(verdict: Verdict) -> list[Blocker]:
    """By when the cures must have been asked for; shared causes last."""
    blocking = findings_in_order(verdict.plan, verdict.findings, Severity.BLOCKING)
    told = [each for each in blocking if each.status in _OPEN]
    rows = [_one(verdict, each) for each in told]
    return rows + [
        _shared(verdict, folded, told)
        for folded in findings_by_cause(verdict.findings)
        if any(each.severity is Severity.BLOCKING for each in folded)
    ]


def ask_by_words(verdict: Verdict, at: datetime) -> str:
    """Weekday and local time; the date instead of the time where that is a week away or more."""
    if at < verdict.moment:
        return "overdue"
    local = at.astimezone(zone(verdict.plan.window.zone))
    return f"{local:%a %H:%M}" if (at - verdict.moment).days < 7 else f"{local:%d %b}"


def _one(verdict: Verdict, finding: Finding) -> Blocker:
    ask_by = _ask_by(verdict, finding.cure_by)
    return Blocker(
        status=finding.status,
        what=f"{finding.check} {finding.subject}",
        why=finding.judgement.summary,
        cure=finding.judgement.remedy,
        minutes=cost(finding),
        ask_by=ask_by,
        ask_by_words=ask_by_words(verdict, ask_by),
        owner=finding.owner,
    )


def _shared(verdict: Verdict, folded: Sequence[Finding], told: Sequence[Finding]) -> Blocker:
    behind = next((each for each in told if is_behind(folded[0].cause, each)), None)
    asked = [behind] if behind else folded
    number = counted(len(folded), "check")
    requests = [each.cure_by for each in asked if each.cure_by and each.status is not Status.STALE]
    ask_by = _ask_by(verdict, min(requests, default=None))
    return Blocker(
        status=folded[0].status,
        what=f"{number} behind {behind.check} {behind.subject}" if behind else folded_words(folded),
        why=folded[0].cause,
        cure=folded[0].judgement.remedy,
        waiting=sum(each.severity is Severity.BLOCKING for each in folded),
        behind=f"{behind.check} {behind.subject}" if behind else "",
        minutes=0.0,
        ask_by=ask_by,
        ask_by_words=ask_by_words(verdict, ask_by),
        owner=owners(asked),
    )


def _ask_by(verdict: Verdict, cure_by: datetime | None) -> datetime:
    start = verdict.plan.window.start
    return min(cure_by, start) if cure_by else start
