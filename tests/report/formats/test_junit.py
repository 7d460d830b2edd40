"""JUnit XML, read by a schema of what its readers agree on and by a real reader of such files."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import xmlschema
from junitparser import Error, Failure, JUnitXml, Skipped

from preflight.finding import Judgement, Severity, Status, unknown
from preflight.report.formats import junit
from preflight.verdict import Verdict
from tests.report.formats.cases import HOSTILE, go, hold, hostile, no_go, waived

ALL = [go(), no_go(), hold(), waived(), hostile()]


@cache
def schema() -> Any:
    return xmlschema.XMLSchema(Path(__file__).parent.parent.parent / "data" / "junit.xsd")


def cases(verdict: Verdict) -> dict[tuple[str, str], Any]:
    """Every case by suite and name, as junitparser reads them."""
    root: Any = JUnitXml.fromstring(junit.render(verdict).encode())
    return {(suite.name, case.name): case for suite in root for case in suite}


def outcome(case: Any) -> list[type]:
    return [type(result) for result in case.result]


@pytest.mark.parametrize("verdict", ALL)
def test_it_is_valid(verdict: Verdict) -> None:
    schema().validate(junit.render(verdict))


@pytest.mark.parametrize(
    "character", ["\ufffe", "\uffff", "\x00", "\x1b", "\ud800", "\x85", "\u2028", "]]>", "&", "<", '"']
)
def test_no_character_makes_it_invalid(character: str) -> None:
    finding = replace(go().findings[0], subject=character, owner=character, vantage=character)
    text = character * 3
    bad = replace(
        finding, judgement=Judgement(status=Status.FAIL, summary=text, actual=text, remedy=text, details=text)
    )
    schema().validate(junit.render(replace(go(), findings=[bad], vantage=character)))


@pytest.mark.parametrize("verdict", ALL[:-1])
def test_every_planned_check_is_a_case_and_the_counts_are_true(verdict: Verdict) -> None:
    found = cases(verdict)
    assert len(found) == verdict.planned + 1
    root: Any = JUnitXml.fromstring(junit.render(verdict).encode())
    for kind, told in ((Failure, root.failures), (Error, root.errors)):
        assert told == sum(outcome(case) == [kind] for case in found.values())
    assert root.tests == len(found)


@pytest.mark.parametrize(
    ("status", "severity", "wanted"),
    [
        (Status.FAIL, Severity.BLOCKING, [Failure]),
        (Status.UNKNOWN, Severity.BLOCKING, [Error]),
        (Status.STALE, Severity.BLOCKING, [Error]),
        (Status.SKIPPED, Severity.BLOCKING, [Skipped]),
        (Status.SKIPPED, Severity.ADVISORY, [Skipped]),
        (Status.WAIVED, Severity.BLOCKING, [Skipped]),
        (Status.WARN, Severity.BLOCKING, []),
        (Status.PASS, Severity.BLOCKING, []),
        (Status.FAIL, Severity.ADVISORY, []),
        (Status.UNKNOWN, Severity.ADVISORY, []),
        (Status.STALE, Severity.ADVISORY, []),
    ],
)
def test_each_status_has_its_outcome(status: Status, severity: Severity, wanted: list[type]) -> None:
    judgement = replace(unknown("as seen", remedy="cure it", actual="found it so"), status=status)
    finding = replace(go().findings[0], severity=severity, judgement=judgement, subject="it")
    case = cases(replace(go(), findings=[finding]))[(finding.check, "it")]
    assert outcome(case) == wanted
    said = case.system_out if not wanted else case.result[0].text
    if status is not Status.PASS:
        assert "cure: cure it" in said


@pytest.mark.parametrize(("verdict", "wanted"), [(go(), []), (waived(), []), (no_go(), [Failure]), (hold(), [Error])])
def test_the_verdict_is_a_case_so_that_no_hold_looks_green(verdict: Verdict, wanted: list[type]) -> None:
    assert outcome(cases(verdict)[("preflight", "verdict")]) == wanted
    empty = replace(verdict, findings=[])
    assert outcome(cases(empty)[("preflight", "verdict")]) == wanted


def test_the_reason_of_a_hold_and_every_waiver_are_told() -> None:
    case = cases(replace(hold(), reason="part of the checks was not selected"))[("preflight", "verdict")]
    assert "part of the checks was not selected" in case.result[0].message
    assert "waiver W-3: covers" in cases(waived())[("preflight", "verdict")].system_out


def test_a_megabyte_from_a_server_is_cut() -> None:
    big = replace(go().findings[0], subject="x" * 1_000_000)
    assert len(junit.render(replace(go(), findings=[big], vantage=HOSTILE))) < 100_000
