"""Reads a JSON report back: what one run concluded, for a comparison with another. Strict, because a report that is
guessed at could turn a failure into something cured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from preflight.clock import format_moment
from preflight.errors import PreflightError
from preflight.evidence import load_saved, require_schema
from preflight.finding import Severity, Status
from preflight.probe import Unreadable
from preflight.record import parse_json, read_record
from preflight.runs.difference import Line, Outcome, Point
from preflight.verdict import REPORT_SCHEMA, Decision


class ReportError(PreflightError):
    """A file that is no JSON report of this program, or a damaged one."""


def load_report(path: Path) -> Outcome:
    """Raises ReportError, which names the file."""
    return load_saved(path, read_report, ReportError)


def read_report(text: str) -> Outcome:
    """The report that `--format json` prints. Raises ReportError, which says where it has another shape."""
    try:
        found = parse_json(text)
        require_schema(found, REPORT_SCHEMA, "verdict", ReportError)
        report = read_record(_Report, found, exact=False, complete=True)  # what else it tells is not compared
    except Unreadable as error:
        raise ReportError(f"no JSON report: {error}") from None
    if report.planned != len(report.findings):
        raise ReportError(f"{report.planned} checks were planned, {len(report.findings)} are in it: it is not whole")
    zone = report.window.zone
    outcome = Outcome(
        headline=report.headline,
        release=report.release.id,
        plan_file=report.plan.file,
        plan_digest=report.plan.sha256,
        evidence_digest=report.evidence_sha256,
        zone=zone,
        moment=_shown(report.moment, zone, "moment"),
        collected_at=_shown(report.collected_at, zone, "collected_at"),
        lines=tuple(map(_line, report.findings)),
    )
    if outcome.decision != report.verdict:
        raise ReportError(f"its headline and its verdict, {report.verdict}, do not agree")
    return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    check: str
    subject: str
    status: Status
    severity: Severity
    summary: str
    expected: str
    actual: str
    remedy: str
    owner: str
    cause: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class _Release:
    id: str


@dataclass(frozen=True, slots=True)
class _Window:
    zone: str


@dataclass(frozen=True, slots=True)
class _PlanFile:
    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """The keys of a report that two runs are compared by."""

    schema: int
    verdict: Decision
    headline: str
    release: _Release
    window: _Window
    plan: _PlanFile
    evidence_sha256: str
    moment: datetime
    collected_at: datetime
    planned: int
    findings: tuple[_Finding, ...]


def _shown(moment: datetime, zone: str, key: str) -> datetime:
    """UTC; one that can be shown in `zone`. Raises ReportError."""
    try:
        format_moment(moment, zone)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ReportError(f"{key} is no moment that can be shown: {str(error)[:100]}") from None


def _line(finding: _Finding) -> Line:
    telling = tuple(point for point in finding.points if point.status is not Status.PASS)
    if telling and finding.status is Status.PASS:
        raise ReportError(f"a line says pass, and one of its points {telling[0].status}: it was changed")
    own = Point(
        status=finding.status,
        summary=finding.summary,
        expected=finding.expected,
        actual=finding.actual,
        remedy=finding.remedy,
    )
    return Line(
        check=finding.check,
        subject=finding.subject,
        status=finding.status,
        severity=finding.severity,
        points=telling or (own,),
        owner=finding.owner,
        cause=finding.cause,
    )
