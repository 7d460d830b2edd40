"""script-people judged from plans: three people pass, and every way of being fewer is warned of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from preflight_checks.script_people import ScriptPeople

from preflight.finding import Judgement, Severity, Status
from preflight.plan import Account, Database, RemotePath, Role, Scripts
from tests.toy import MOMENT, toy_plan

DATABASE = Database(id="orders", host="db1", user=Account("release"), owner="dba")
DBA = Role(id="dba", primary="C. Doer", standby="B. Reader")
SCRIPTS = Scripts(
    id="orders",
    database="orders",
    approved=Path("sql"),
    manifest=Path("sums"),
    staged=RemotePath("/srv"),
    author="A. Writer",
    reviewer="B. Reader",
    runner="C. Doer",
)


def check(scripts: Scripts) -> ScriptPeople:
    return ScriptPeople(toy_plan(databases=[DATABASE], scripts=[scripts], roles=[DBA]), MOMENT)


def judged(**people: str) -> Judgement:
    planned = check(replace(SCRIPTS, **people))  # type: ignore[arg-type]
    (subject,) = planned.subjects()
    assert not planned.probes(subject)
    found: Judgement = planned.judge(subject)
    return found


def test_three_people_pass() -> None:
    found = judged()
    assert (found.status, found.summary) == (Status.PASS, "author A. Writer, reviewer B. Reader, runner C. Doer")


@pytest.mark.parametrize(
    ("people", "summary"),
    [
        ({"reviewer": "a. writer"}, "author and reviewer are one person, A. Writer"),
        ({"runner": "A.Writer"}, "author and runner are one person, A. Writer"),
        ({"runner": "B  READER"}, "reviewer and runner are one person, B. Reader"),
        ({"author": ""}, "no author is named"),
        ({"reviewer": "TBD"}, "no reviewer is named"),
        ({"author": "", "reviewer": "", "runner": ""}, "no author and no reviewer and no runner is named"),
    ],
)
def test_one_person_in_two_parts_and_a_part_without_anybody_are_warned_of(people: dict[str, str], summary: str) -> None:
    found = judged(**people)
    assert (found.status, found.summary) == (Status.WARN, summary)
    assert "[scripts.orders]" in found.remedy
    assert found.expected
    assert found.actual


def test_a_runner_in_no_role_is_warned_of() -> None:
    found = judged(runner="X. Gone")
    assert (found.status, found.summary) == (
        Status.WARN, "the runner, X. Gone, is in no role, so nobody confirms that they come"
    )  # fmt: skip
    assert "[scripts.orders]" in found.remedy


def test_a_missing_part_does_not_hide_that_two_are_one() -> None:
    found = judged(runner="", reviewer="A. Writer")
    assert [point.summary for point in found.points] == [
        "no runner is named",
        "author and reviewer are one person, A. Writer",
    ]


def test_it_advises_the_owner_of_the_scripts_or_of_their_database() -> None:
    assert ScriptPeople.severity is Severity.ADVISORY
    assert [subject.owner for subject in check(SCRIPTS).subjects()] == ["dba"]
    assert [subject.owner for subject in check(replace(SCRIPTS, owner="app1")).subjects()] == ["app1"]
