"""What to do first stands first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from preflight.finding import Finding, Judgement, Severity, Status
from preflight.plan import Account, Application, Database
from preflight.report.document.order import findings_by_cause, findings_in_order
from tests.toy import MOMENT, toy_plan

PLAN = toy_plan(
    ("db2", "db1"),
    databases={"orders": Database(id="orders", host="db1", user=Account("u"))},
    applications={"app1": Application(id="app1", from_="1", to="2")},
)


def finding(subject: str, status: Status = Status.FAIL, minutes: float | None = None, **more: str) -> Finding:
    judgement = Judgement(status=status, summary="seen", remedy="mend it", minutes_at_stake=minutes)
    found = Finding(check="toy", title="so", subject=subject, severity=Severity.BLOCKING, judgement=judgement)
    return replace(found, **more)  # type: ignore[arg-type]


def order(*findings: Finding) -> list[str]:
    return [each.subject for each in findings_in_order(PLAN, findings, Severity.BLOCKING)]


def test_failures_come_before_warnings_and_passes_are_left_out() -> None:
    assert order(finding("db1", Status.WARN), finding("db2", Status.PASS), finding("orders")) == ["orders", "db1"]


def test_the_most_minutes_at_stake_come_first() -> None:
    assert order(finding("db2"), finding("db1", minutes=5), finding("orders", minutes=70)) == ["orders", "db1", "db2"]


def test_before_that_what_must_be_asked_for_first() -> None:
    at = MOMENT + timedelta(hours=9)
    slow = replace(finding("db1"), cure_by=at - timedelta(hours=8))
    costly = replace(finding("db2", minutes=70), cure_by=at)
    assert order(finding("orders", minutes=90), costly, slow) == ["db1", "db2", "orders"]


def test_then_comes_what_keeps_most_others_from_looking() -> None:
    dark = [finding(f"x{n}", Status.UNKNOWN, cause="from here to db1 as dba: db1: denied") for n in range(3)]
    other, denied = (finding(name, vantage="from here to db1 as dba") for name in ("db2", "db1"))
    denied = replace(denied, judgement=replace(denied.judgement, actual="db1: denied"))
    assert order(other, denied, *dark) == ["db1", "db2"], "the same way there fails for another reason in db2"


def test_then_comes_the_order_of_the_plan_not_that_of_the_alphabet() -> None:
    subjects = ("app1 https://a/", "rehearsal", "orders on db1", "db1", "db2")
    assert order(*map(finding, subjects)) == ["db2", "orders on db1", "db1", "app1 https://a/", "rehearsal"]


def test_the_cause_behind_most_lines_is_told_first() -> None:
    dark = [finding(str(n), Status.UNKNOWN, cause=cause) for n, cause in enumerate(["a", "b", "b"])]
    assert [[each.subject for each in group] for group in findings_by_cause(PLAN, dark)] == [["1", "2"], ["0"]]
    assert order(*dark) == []


def test_a_line_that_a_cause_names_stands_before_its_like() -> None:
    dark = finding("x", Status.UNKNOWN, cause="toy orders: the rehearsal failed")
    assert order(finding("db2"), finding("orders"), dark) == ["orders", "db2"]
    seen_nothing = replace(dark, cause="from here: db1: denied")
    assert order(finding("db2"), finding("orders", vantage="from here"), seen_nothing) == ["db2", "orders"]
