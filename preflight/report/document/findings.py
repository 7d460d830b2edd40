"""Findings as entries of the report, each with everything that is known of it, and every check in a line. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preflight.clock import format_moment, zone
from preflight.finding import Finding, Judgement, Severity, Status
from preflight.report.document.blocks import Entry, Labelled, Point
from preflight.report.document.order import findings_by_cause, findings_in_order, folded_words, owners
from preflight.report.document.times import price_text
from preflight.verdict import Verdict

NOBODY = "nobody named in the plan"


def entries(verdict: Verdict) -> tuple[Entry, ...]:
    """All that is no pass, each once: what blocks, what could not look by its cause, what is advisory."""
    blocking, advisory = (
        findings_in_order(verdict.plan, verdict.findings, severity)
        for severity in (Severity.BLOCKING, Severity.ADVISORY)
    )
    return (
        *(finding_entry(verdict, finding) for finding in blocking),
        *(_cause_entry(folded) for folded in findings_by_cause(verdict.findings)),
        *(finding_entry(verdict, finding) for finding in advisory),
    )


def finding_entry(verdict: Verdict, finding: Finding) -> Entry:
    """One finding with the observations that a reader must see."""
    return Entry(
        status=finding.status,
        check=finding.check,
        subject=finding.subject,
        advisory=finding.severity is Severity.ADVISORY,
        points=tuple(_point(each, finding) for each in finding.judgement.telling_points()),
        facts=_labelled(_facts(verdict, finding)),
    )


def _point(point: Judgement, finding: Finding) -> Point:
    mark = "" if point.status is finding.status else f"{point.status}: "
    stake = point.minutes_at_stake if finding.price is None else None
    labelled = [
        ("found", "" if point.actual in point.summary else point.actual),
        ("wanted", point.expected),
        ("cure", point.remedy),
        ("cost", f"{round(stake, 1):g} min longer if it stays so" if stake else ""),
    ]
    return Point(summary=mark + point.summary, labelled=_labelled(labelled), details=point.details)


def _facts(verdict: Verdict, finding: Finding) -> Iterator[tuple[str, str]]:
    yield "owner", finding.owner or NOBODY
    if finding.price is not None:
        yield "price", price_text(verdict, finding, finding.price)
    yield "lead", _lead(verdict, finding)
    if finding.vantage:
        yield "seen", f"{finding.vantage}, {_seen_at(verdict, finding)}"


def _lead(verdict: Verdict, finding: Finding) -> str:
    """By when the cure must have been asked for, where that is before the window."""
    by, window = finding.cure_by, verdict.plan.window
    if by is None or finding.status not in (Status.FAIL, Status.UNKNOWN) or by >= window.start:
        return ""
    late = ": that is over, so escalate now" if by < verdict.moment else ""
    return f"ask by {format_moment(by, window.zone)}{late}"


def _seen_at(verdict: Verdict, finding: Finding) -> str:
    if finding.oldest_evidence_at is None:
        return "not asked"
    local = finding.oldest_evidence_at.astimezone(zone(verdict.plan.window.zone))
    return f"{local:%H:%M:%S}, {finding.took_seconds:.1f} s"


def _cause_entry(folded: Sequence[Finding]) -> Entry:
    first = folded[0]
    facts = [
        ("cause", first.cause),
        ("open", ", ".join(f"{each.check} {each.subject}" for each in folded)),
        ("cure", first.judgement.remedy),
        ("owner", owners(folded)),
    ]
    return Entry(status=first.status, check=folded_words(folded), facts=_labelled(facts))


def _labelled(pairs: Sequence[tuple[str, str]] | Iterator[tuple[str, str]]) -> tuple[Labelled, ...]:
    return tuple(Labelled(label, (text,)) for label, text in pairs if text)
