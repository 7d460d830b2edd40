"""version-pairs: what the check says of the end states."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from preflight_checks.version_pairs import VersionPairs

from preflight.finding import Judgement, Status
from preflight.plan import Application, Decision, DecisionKind, Plan, Rule, UndoKind
from tests.agreements import FAILED, agreed_plan, deploy, record, versions_of
from tests.toy import MOMENT

ALL = (record("a2 b1"), record("a1 b2"), record("a2 b2"))
UNKEPT = (
    "the rule together = [a, b] cannot be kept: a cannot be taken back, so a 2 with b 1 stays when the deployment of b "
    "fails; never tested together"
)
TOGETHER = Rule(together=("a", "b"), decides="lead")


def judged(plan: Plan, settings: VersionPairs.Settings | None = None) -> Judgement:
    check = VersionPairs(plan, MOMENT, settings)
    (subject,) = check.subjects()
    assert subject.id == "end states"
    assert check.probes(subject) == {}
    found: Judgement = check.judge(subject)
    return found


def told(plan: Plan) -> list[str]:
    """What a reader of the report is told, one line for each observation."""
    return [f"{point.status}: {point.summary}" for point in judged(plan).telling_points()]


def test_every_end_state_tested_passes_and_names_each() -> None:
    point = judged(agreed_plan(tested=ALL))
    assert point.status is Status.PASS
    assert point.summary == (
        "a 1 with b 1 runs now; a 1 with b 2 tested 2026-10-06; a 2 with b 1 tested 2026-10-06; "
        "a 2 with b 2 tested 2026-10-06"
    )


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        (agreed_plan(tested=ALL[1:]), "a 2 with b 1: never tested together"),
        (agreed_plan(tested=(record("a2 b1", 91), *ALL[1:])),
         "a 2 with b 1: tested too long ago, 2026-07-17; a test counts for 90 d"),
        (agreed_plan(tested=(record("a2 b1", -1), *ALL[1:])),
         "a 2 with b 1: not tested yet: its record bears the date 2026-10-17, which is still to come"),
        (agreed_plan(tested=(record("a2 b1", 5, FAILED), *ALL)),
         "a 2 with b 1: tested 2026-10-11 and failed (run 1)"),
        (agreed_plan(tested=ALL[:2], rules=[TOGETHER]), "a 2 with b 2: never tested together"),
        (agreed_plan(tested=ALL, rules=[Rule(exclude=versions_of("a2 b2"))]),
         "a rule excludes a 2 with b 2, which is what the release brings"),
        (agreed_plan(tested=ALL[2:], rules=[TOGETHER],
                     steps=(deploy("a", undo=UndoKind.NONE), deploy("b", "deploy-a"))),
         UNKEPT),
    ],
    ids=["untested", "too old", "still to come", "failed", "target untested", "target excluded", "unkept rule"],
)  # fmt: skip
def test_one_thing_that_is_not_shown_fails_and_is_named(plan: Plan, line: str) -> None:
    assert told(plan) == [f"fail: {line}"]


@pytest.mark.parametrize(
    ("rules", "tested"),
    [
        ([TOGETHER], ALL[2:]),
        ([Rule(exclude=versions_of("a2 b1")), Rule(exclude=versions_of("a1 b2"))], ALL[2:]),
        ([Rule(unrelated=("a", "b"))], ()),
    ],
)
def test_a_rule_takes_the_place_of_a_test(rules: list[Rule], tested: tuple[Any, ...]) -> None:
    assert judged(agreed_plan(rules=rules, tested=tested)).status is Status.PASS
    assert judged(agreed_plan(tested=tested)).status is Status.FAIL


def test_a_missing_test_says_what_to_do_by_when() -> None:
    point = judged(agreed_plan(tested=(record("a2 b2"), record("a1 b2"))))
    assert point.remedy == (
        "test a 2 with b 1 before Sat 2026-10-17 04:00 +00:00 and write it as [[tested]], or agree [[rules]] with "
        "`together` or `exclude` and who `decides`"
    )
    assert point.actual == "a 2 with b 1: never tested together", "a waiver is about just this"
    assert point.minutes_at_stake is None


def test_no_rule_is_offered_in_place_of_testing_what_the_release_brings() -> None:
    point = judged(agreed_plan(rules=[TOGETHER]))
    assert point.remedy.endswith("the release itself ends there, so no rule can take its place")


def test_each_combination_is_told_once_with_the_end_states_it_is_part_of() -> None:
    tests = tuple(record(f"a{a} b{b} c{c}") for a in "12" for b in "12" for c in "12" if (a, b) != ("2", "1"))
    (point,) = judged(agreed_plan("abc", tested=tests)).telling_points()
    assert point.summary == "a 2 with b 1: never tested together"
    assert point.details == "part of these end states:\na 2, b 1, c 1\na 2, b 1, c 2"


def test_a_long_list_of_end_states_is_cut() -> None:
    tests = tuple(record(f"a{a} b{b} c2 d2 e2 f2") for a in "12" for b in "12" if (a, b) != ("2", "1"))
    point = next(p for p in judged(agreed_plan("abcdef", tested=tests)).points if p.summary.startswith("a 2 with b 1:"))
    assert point.details.endswith("\nand 10 more")


def test_max_age_is_set_in_the_plan() -> None:
    settings = VersionPairs.Settings(max_age=timedelta(days=9))
    point = judged(agreed_plan(tested=ALL), settings)
    assert point.summary == "a 1 with b 2: tested too long ago, 2026-10-06; a test counts for 9 d"
    assert point.expected == "tested together not more than 9 d ago (max_age), or ruled out by a rule"


@pytest.mark.parametrize(
    ("useless", "line"),
    [
        (record("a2 b3"), "the record of 2026-10-06 says nothing about this release: a 2 with b 3 (passed)"),
        (
            record("a2 b3", 10, FAILED),
            "the record of 2026-10-06 says nothing about this release: a 2 with b 3 (failed)",
        ),
    ],
)
def test_a_record_of_versions_of_another_release_is_a_warning(useless: Any, line: str) -> None:
    assert told(agreed_plan(tested=(*ALL, useless))) == [f"warn: {line}"]


def test_many_end_states_are_counted() -> None:
    tests = (record("a2 b2 c2"),)
    assert told(agreed_plan("abc", rules=[Rule(together=("a", "b", "c"))], tested=tests)) == [
        "pass: 8 end states: 1 runs-now, 6 together, 1 tested"
    ]


def test_one_application_has_no_pair_but_its_own_failed_test_counts() -> None:
    assert VersionPairs(agreed_plan("a"), MOMENT).subjects() == []
    assert told(agreed_plan("a", tested=(record("a2", 5, FAILED),))) == [
        "fail: a 2: tested 2026-10-11 and failed (run 1)"
    ]


def test_whoever_decides_owns_the_finding() -> None:
    def owner(plan: Plan) -> str:
        return str(VersionPairs(plan, MOMENT).subjects()[0].owner)

    partial = Decision(on=DecisionKind.PARTIAL, rule="no", decides="manager", default="back")
    assert owner(agreed_plan()) == ""
    assert owner(agreed_plan(decisions=(partial,))) == "manager"
    assert owner(agreed_plan(decisions=(partial,), rules=[Rule(unrelated=("a", "b")), TOGETHER])) == "lead"


def test_of_thousands_of_open_combinations_fifty_are_told_and_the_rest_is_counted() -> None:
    names = [f"app{n}" for n in range(30)]
    applications = {name: Application(id=name, from_="1", to="2") for name in names}
    lines = told(replace(agreed_plan(), applications=applications, tested=(), steps=()))
    gaps = [line for line in lines if "never tested together" in line]
    assert len(gaps) == 50
    assert f"fail: {3 * 30 * 29 // 2 - 50} more combinations are not shown to work" in lines
