"""The first screen: 24 lines of 100 columns that answer what the call asks first."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from preflight.finding import Severity, Status, failed, unknown
from preflight.report import PLAIN, View
from preflight.report.document.order import blockers
from preflight.report.document.sections import counts
from preflight.report.formats import render, text
from preflight.report.formats.text import SCREEN_LINES
from preflight.verdict import Verdict
from tests.report.formats.cases import CASES, LOST, no_go
from tests.toy import conclude

BAD = failed("it is not so", expected="so", actual="not so", remedy="make it so")


def screen(verdict: Verdict) -> list[str]:
    """What stands above the picture of the window, or above the findings."""
    report = text.render(verdict, View(took_seconds=1.0))
    return re.split(r"\n\n(?:window  |[A-Z]+ +\S+  )", report)[0].splitlines()


def with_blockers(number: int) -> Verdict:
    verdict = no_go()
    first = next(each for each in reversed(verdict.findings) if each.status is Status.PASS)
    found = [
        replace(first, subject=f"db{index}", judgement=replace(BAD, summary=f"so {index}")) for index in range(number)
    ]
    return conclude(
        verdict.plan,
        found,
        planned=number,
        evidence_digest="e" * 64,
        collected_at=verdict.collected_at,
        moment=verdict.moment,
    )


@pytest.mark.parametrize("case", CASES)
def test_it_fits_a_terminal_with_the_prompt_below(case: str) -> None:
    lines = screen(CASES[case]())
    assert len(lines) < SCREEN_LINES
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("number", [1, 12, 13, 14, 40])
def test_however_much_blocks_it_fits_and_counts_what_it_leaves_out(number: int) -> None:
    lines = screen(with_blockers(number))
    assert len(lines) < SCREEN_LINES
    rows = [line for line in lines if line.startswith("FAIL")]
    more = [line for line in lines if "more, all below" in line]
    assert len(rows) + (int(more[0].split()[1]) if more else 0) == number


def test_every_blocker_has_its_cost_its_owner_and_by_when_to_ask() -> None:
    (row, *_) = [line for line in screen(no_go()) if "login db1" in line and line.startswith("FAIL")]
    assert row.split()[:5] == ["FAIL", "login", "db1", "70", "min"]
    assert "overdue" in row, "15 October is past"
    assert not row.endswith("..")


def test_a_shared_cause_is_one_row_with_the_check_that_it_hangs_on() -> None:
    verdict = no_go()
    login = next(each for each in verdict.findings if each.check == "login" and each.status is Status.FAIL)
    findings = [replace(each, vantage=LOST.partition(": ")[0]) if each is login else each for each in verdict.findings]
    rows = blockers(replace(verdict, findings=findings))
    assert rows[-1].what == "2 checks behind login db1"
    assert rows[-1].status is Status.UNKNOWN
    assert rows[-1].owner == login.owner


def test_without_such_a_check_the_row_says_where_they_could_not_look_and_why() -> None:
    assert blockers(CASES["hold"]())[-1].told == "2 checks behind db1: the server refused the password of dbadmin"


def test_an_advisory_failure_is_counted_and_no_blocker() -> None:
    verdict = with_blockers(2)
    advisory = replace(verdict, findings=[replace(each, severity=Severity.ADVISORY) for each in verdict.findings])
    assert blockers(advisory) == []
    fails = verdict.counts[Status.FAIL]
    shown = [render(name, advisory, PLAIN) for name in ("text", "nagios", "github", "markdown", "html")]
    for report in (*shown, text.render(advisory, View(short=True))):
        assert f"{fails} fail (advisory)" in re.sub(r"\\([()])", r"\1", " ".join(report.split())), report
    assert json.loads(render("json", advisory, PLAIN))["advisory"]["fail"] == fails
    one = replace(verdict, findings=[advisory.findings[0], *verdict.findings[1:]])
    assert f"{fails} fail (1 advisory)" in counts(one)


def test_what_is_stale_or_unknown_blocks_too() -> None:
    verdict = with_blockers(2)
    stale = replace(verdict.findings[0], judgement=replace(BAD, status=Status.STALE))
    dark = replace(verdict.findings[1], judgement=unknown("could not look", remedy="look"))
    rows = blockers(replace(verdict, findings=[stale, dark]))
    assert {row.status for row in rows} == {Status.STALE, Status.UNKNOWN}


def test_without_a_lead_time_the_cure_is_wanted_by_the_windows_start() -> None:
    verdict = with_blockers(1)
    early = replace(verdict, moment=verdict.plan.window.start - timedelta(days=2))
    assert "  Sat 00:00  " in "\n".join(screen(early))
    assert "  17 Oct     " in "\n".join(screen(replace(early, moment=early.moment - timedelta(days=9))))


def test_what_no_verdict_speaks_of_is_said() -> None:
    assert "open     the plan leaves 1 thing unconfirmed, below" in screen(no_go())
    skipped = [replace(each, judgement=replace(BAD, status=Status.SKIPPED)) for each in with_blockers(1).findings]
    assert "open     not selected: " in "\n".join(screen(replace(with_blockers(1), findings=skipped)))


@pytest.mark.parametrize("case", CASES)
def test_the_short_report_is_five_lines_and_every_waiver(case: str) -> None:
    verdict = CASES[case]()
    lines = text.render(verdict, View(short=True)).splitlines()
    waivers = [line for line in lines if line.startswith("waiver ")]
    assert len(waivers) == len(verdict.waivers)
    told = [line for line in lines if not line.startswith("   ") and not line.startswith("waiver ")]
    assert len(told) <= 5
    assert lines[0].startswith(verdict.headline)


def test_passes_are_grouped_by_host() -> None:
    report = text.render(CASES["go"](), View(verbose=True))
    lines = report.splitlines()
    assert lines.index("db1") < lines.index("db2")
    assert "no host" in lines
    assert report.count("PASS ") == CASES["go"]().counts[Status.PASS]
