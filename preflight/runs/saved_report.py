"""Reads a JSON report back: what one run concluded, for a comparison with another. Strict, because a report that is
guessed at could turn a failure into something cured."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from preflight.clock import format_moment
from preflight.errors import PreflightError
from preflight.finding import Severity, Status
from preflight.probes.json_body import BodyError, Number, parse_json
from preflight.report.formats.json import SCHEMA
from preflight.runs.difference import Line, Outcome, Point
from preflight.verdict import Decision

_LARGEST_FILE_BYTES = 64 * 1024 * 1024
Word = TypeVar("Word", bound=StrEnum)


class ReportError(PreflightError):
    """A file that is no JSON report of this program, or a damaged one."""


def load_report(path: Path) -> Outcome:
    """Raises ReportError, which names the file."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ReportError("not a regular file")
        if found.st_size > _LARGEST_FILE_BYTES:
            raise ReportError(f"{found.st_size} bytes are too many for a report")
        return read_report(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ReportError(f"{path}: not UTF-8 text") from None
    except ValueError as error:
        raise ReportError(f"{path}: {error}") from None  # a NUL in the path
    except ReportError as error:
        raise ReportError(f"{path}: {error}") from None


def read_report(text: str) -> Outcome:
    """The report that `--format json` prints. Raises ReportError, which says where it has another shape."""
    try:
        value = parse_json(text)
    except BodyError as error:
        raise ReportError(f"no JSON report: {str(error).removeprefix('the body is ')}") from None
    report = _Table(value, "the report")
    schema = report.number("schema")
    if schema != SCHEMA:
        raise ReportError(f"schema {schema} is not {SCHEMA}, the one this version reads")
    window, plan = report.table("window"), report.table("plan")
    verdict = report.word("verdict", Decision)
    if report.text("headline").partition(" ")[0].rstrip(";") != verdict:
        raise ReportError(f"its headline and its verdict, {verdict}, do not agree")
    findings = report.tables("findings")
    if report.number("planned") != len(findings):
        raise ReportError(f"{report.number('planned')} checks were planned, {len(findings)} are in it: it is not whole")
    zone = window.text("zone")
    return Outcome(
        headline=report.text("headline"),
        release=report.table("release").text("id"),
        plan_file=plan.text("file"),
        plan_digest=plan.text("sha256"),
        evidence_digest=report.text("evidence_sha256"),
        zone=zone,
        moment=report.moment("moment", zone),
        collected_at=report.moment("collected_at", zone),
        lines=tuple(map(_line, findings)),
    )


class _Table:
    """A JSON object whose keys are fetched by type; every fault says where it is."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ReportError(f"{where} is no object")
        self._value: dict[str, Any] = value
        self._where = where

    def text(self, key: str) -> str:
        value = self._get(key)
        if not isinstance(value, str) or isinstance(value, Number):
            raise ReportError(f"{self._where}: `{key}` is no text")
        return value

    def number(self, key: str) -> int:
        """A whole number, not negative."""
        value = self._get(key)
        if not isinstance(value, Number) or not value.isdigit() or len(value) > 9:
            raise ReportError(f"{self._where}: `{key}` is no whole number")
        return int(value)

    def word(self, key: str, words: type[Word]) -> Word:
        try:
            return words(self.text(key))
        except ValueError:
            raise ReportError(f"{self._where}: `{key}` is none of {', '.join(words)}") from None

    def moment(self, key: str, zone: str) -> datetime:
        """UTC; one that can be shown in `zone`."""
        try:
            moment = datetime.fromisoformat(self.text(key))
            if moment.tzinfo is None:
                raise ValueError("no offset")
            format_moment(moment, zone)
            return moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise ReportError(f"{self._where}: `{key}` is no moment that can be shown: {str(error)[:100]}") from None

    def table(self, key: str) -> _Table:
        return _Table(self._get(key), f"`{key}`")

    def tables(self, key: str) -> list[_Table]:
        value = self._get(key)
        if not isinstance(value, list):
            raise ReportError(f"{self._where}: `{key}` is no list")
        return [_Table(each, f"{self._where}: {key}[{number}]") for number, each in enumerate(value, 1)]

    def _get(self, key: str) -> object:
        if key not in self._value:
            raise ReportError(f"{self._where} has no `{key}`")
        return self._value[key]


def _line(finding: _Table) -> Line:
    status = finding.word("status", Status)
    points = [_point(point, point.word("status", Status)) for point in finding.tables("points")]
    telling = tuple(point for point in points if point.status is not Status.PASS)
    if telling and status is Status.PASS:
        raise ReportError(f"a line says pass, and one of its points {telling[0].status}: it was changed")
    return Line(
        check=finding.text("check"),
        subject=finding.text("subject"),
        status=status,
        severity=finding.word("severity", Severity),
        points=telling or (_point(finding, status),),
        owner=finding.text("owner"),
        cause=finding.text("cause"),
    )


def _point(table: _Table, status: Status) -> Point:
    return Point(
        status=status,
        summary=table.text("summary"),
        expected=table.text("expected"),
        actual=table.text("actual"),
        remedy=table.text("remedy"),
    )
