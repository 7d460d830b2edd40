"""The end states of a release: which can occur, and what is known about each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, pairwise, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.judging import end_states as module
from preflight.judging.end_states import (
    REMOVED,
    EndState,
    can_go_live_in_part,
    end_states,
    matrix,
    unkept_rules,
)
from preflight.judging.version_tests import OPEN, StateStatus
from preflight.plan import Application, Plan, Rule, Step, Undo, UndoKind
from tests.agreements import FAILED, agreed_plan, deploy, record, record_on, versions_of
from tests.toy import MOMENT

MAX_AGE = timedelta(days=90)
NONE = UndoKind.NONE


def states(plan: Plan, max_age: timedelta = MAX_AGE, moment: datetime = MOMENT) -> dict[str, EndState]:
    """The states by their short name: `a2 b1`."""
    found = end_states(plan, moment, max_age)
    return {" ".join(f"{name}{version}" for name, version in state.versions.items()): state for state in found}


def statuses(plan: Plan, **options: Any) -> dict[str, str]:
    return {name: str(state.status) for name, state in states(plan, **options).items()}


def status(plan: Plan, name: str, **options: Any) -> str:
    return statuses(plan, **options)[name]


# Which states there are, and which can occur.


def test_two_applications_have_four_end_states_and_only_the_running_one_needs_no_test() -> None:
    assert statuses(agreed_plan()) == {
        "a1 b1": "runs-now",
        "a1 b2": "untested",
        "a2 b1": "untested",
        "a2 b2": "untested",
    }


def test_an_order_alone_rules_nothing_out_while_everything_can_be_taken_back() -> None:
    steps = (deploy("a"), deploy("b", "deploy-a"))
    assert status(agreed_plan(steps=steps), "a1 b2") == "untested"


def test_what_is_deployed_before_and_cannot_be_taken_back_stays() -> None:
    steps = (deploy("a", undo=NONE), deploy("b", "deploy-a"))
    found = states(agreed_plan(steps=steps))
    assert found["a1 b2"].status is StateStatus.UNREACHABLE
    assert found["a1 b2"].reason == "a is deployed before and cannot be taken back"
    assert found["a2 b1"].status is StateStatus.UNTESTED


def test_what_cannot_be_taken_back_rules_nothing_out_where_the_order_is_free() -> None:
    assert status(agreed_plan(steps=(deploy("a", undo=NONE), deploy("b"))), "a1 b2") == "untested"


def test_an_order_through_other_steps_counts() -> None:
    scripts = Step(id="scripts", after=("deploy-a",), minutes=1)
    more = Step(id="more", after=("scripts",), minutes=1)
    steps = (deploy("b", "more"), more, scripts, deploy("a", undo=NONE))
    assert status(agreed_plan(steps=steps), "a1 b2") == "unreachable"


def test_an_undo_that_the_plan_does_not_name_is_taken_to_be_possible() -> None:
    steps = (deploy("a", undo=None), deploy("b", "deploy-a"))
    assert status(agreed_plan(steps=steps), "a1 b2") == "untested"


def test_an_application_that_no_step_deploys_may_end_at_either_version() -> None:
    steps = (deploy("a", undo=NONE),)
    assert {name for name, each in statuses(agreed_plan(steps=steps)).items() if each == "untested"} == {
        "a1 b2",
        "a2 b1",
        "a2 b2",
    }


def test_a_partial_rollback_of_three_keeps_only_what_cannot_be_taken_back() -> None:
    steps = (deploy("a"), deploy("b", "deploy-a", undo=NONE), deploy("c", "deploy-b"))
    found = statuses(agreed_plan("abc", steps=steps))
    assert {name for name, each in found.items() if each == "unreachable"} == {"a1 b1 c2", "a2 b1 c2"}
    assert found["a1 b2 c2"] == "untested", "a may be taken back alone"


@st.composite
def ordered_plans(draw: st.DrawFn) -> Plan:
    names = "abcd"
    steps = []
    for index, name in enumerate(names):
        after = [f"deploy-{other}" for other in names[:index] if draw(st.booleans())]
        steps.append(deploy(name, *after, undo=draw(st.sampled_from((NONE, UndoKind.REDEPLOY)))))
    return agreed_plan(names, steps=tuple(steps[: draw(st.integers(0, 4))]))


@pytest.mark.long
@given(ordered_plans())
def test_a_state_is_reachable_just_when_some_stop_and_some_undo_lead_there(plan: Plan) -> None:
    steps = {step.deploys: step for step in plan.steps}
    names = list(plan.applications)
    reached = set()
    for size in range(len(names) + 1):
        for deployed in combinations(names, size):
            closed = all(
                before.removeprefix("deploy-") in deployed
                for name in deployed
                if name in steps
                for before in steps[name].after
            )
            stuck = {name for name in deployed if name in steps and steps[name].undo == Undo(kind=NONE)}
            if closed:
                reached |= {
                    frozenset(kept)
                    for count in range(size + 1)
                    for kept in combinations(deployed, count)
                    if stuck <= set(kept)
                }
    for state in end_states(plan, MOMENT, MAX_AGE):
        at_to = frozenset(name for name, version in state.versions.items() if version == "2")
        assert (state.status is not StateStatus.UNREACHABLE) == (at_to in reached or not at_to)


def test_an_application_that_keeps_its_version_has_no_second_state() -> None:
    plan = agreed_plan()
    plan = replace(plan, applications={**plan.applications, "b": Application(id="b", from_="1", to="1")})
    assert statuses(plan) == {"a1 b1": "runs-now", "a2 b1": "untested"}


# Rules.


def test_together_removes_the_mixed_states_and_leaves_the_target_to_be_tested() -> None:
    plan = agreed_plan(rules=[Rule(together=("a", "b"), reason="one\nschema", decides="lead")])
    found = states(plan)
    assert [str(each.status) for each in found.values()] == ["runs-now", "together", "together", "untested"]
    assert found["a2 b1"].reason == "a, b go forward and back together: one schema (lead decides)"
    assert found["a2 b1"].decides == "lead"


def test_together_holds_within_its_group_only() -> None:
    found = statuses(agreed_plan("abc", rules=[Rule(together=("a", "b"))]))
    assert {name for name, each in found.items() if each == "together"} == {
        "a1 b2 c1",
        "a1 b2 c2",
        "a2 b1 c1",
        "a2 b1 c2",
    }


def test_exclude_removes_every_state_that_holds_its_versions() -> None:
    rule = Rule(exclude={"a": "2", "b": "1"}, reason="never tried", decides="lead")
    found = states(agreed_plan("abc", rules=[rule]))
    assert {name for name, each in found.items() if each.status is StateStatus.EXCLUDED} == {"a2 b1 c1", "a2 b1 c2"}
    assert found["a2 b1 c2"].reason == "is never left standing: never tried (lead decides)"


def test_what_runs_now_is_never_excluded() -> None:
    assert status(agreed_plan(rules=[Rule(exclude={"a": "1"})]), "a1 b1") == "runs-now"


def test_unrelated_applications_need_no_test_together() -> None:
    plan = agreed_plan(rules=[Rule(unrelated=("a", "b"))])
    assert list(statuses(plan).values()) == ["runs-now", "unrelated", "unrelated", "unrelated"]
    assert states(plan)["a2 b2"].reason == "what changes never talks to the others"


def test_of_three_only_the_related_pairs_need_a_test() -> None:
    rules = [Rule(unrelated=("a", "c")), Rule(unrelated=("b", "c"))]
    found = statuses(agreed_plan("abc", rules=rules, tested=(record("a2 b2"),)))
    assert found["a2 b2 c1"] == found["a2 b2 c2"] == "tested"
    assert found["a1 b1 c2"] == "unrelated"
    assert found["a2 b1 c1"] == "untested"


# Tests.


def test_a_passed_record_proves_its_state_with_date_and_evidence() -> None:
    state = states(agreed_plan(tested=(record("a2 b1", 10, evidence="regression 8812"),)))["a2 b1"]
    assert (state.status, state.on, state.evidence) == (StateStatus.TESTED, date(2026, 10, 6), "regression 8812")
    assert state.reason == "tested 2026-10-06 (regression 8812)"


def test_a_record_of_all_applications_proves_the_state_of_all() -> None:
    found = statuses(agreed_plan("abc", tested=(record("a2 b2 c2"),)))
    assert found["a2 b2 c2"] == "tested"
    assert found["a2 b2 c1"] == "untested"


def test_records_of_every_pair_prove_the_state_and_the_oldest_gives_its_date() -> None:
    records = (record("a2 b2", 3), record("b2 c2", 20, evidence="run 2"), record("a2 c2", 5))
    state = states(agreed_plan("abc", tested=records))["a2 b2 c2"]
    assert (state.status, state.on, state.evidence) == (StateStatus.TESTED, date(2026, 9, 26), "run 2, run 1")


def test_a_pair_that_keeps_its_versions_needs_no_test() -> None:
    records = (record("a2 b1"), record("a2 c1"))
    assert status(agreed_plan("abc", tested=records), "a2 b1 c1") == "tested"


def test_one_pair_without_a_record_leaves_the_state_untested_and_is_named() -> None:
    state = states(agreed_plan("abc", tested=(record("a2 b2"), record("b2 c2"))))["a2 b2 c2"]
    assert state.status is StateStatus.UNTESTED
    assert [gap.named for gap in state.gaps] == ["a 2 with c 2"]


def test_a_record_of_another_version_proves_nothing() -> None:
    assert status(agreed_plan(tested=(record("a2 b3"),)), "a2 b2") == "untested"


@pytest.mark.parametrize(
    ("days_ago", "expected"),
    [(0, "tested"), (89, "tested"), (90, "tested"), (91, "too-old"), (-1, "untested"), (-2, "untested")],
)
def test_a_record_counts_from_its_day_until_max_age_is_over(days_ago: int, expected: str) -> None:
    assert status(agreed_plan(tested=(record("a2 b2", days_ago),)), "a2 b2") == expected


@pytest.mark.parametrize(("max_age", "expected"), [("35h", "too-old"), ("47h", "too-old"), ("48h", "tested")])
def test_an_age_in_hours_is_compared_with_whole_days(max_age: str, expected: str) -> None:
    hours = timedelta(hours=int(max_age.removesuffix("h")))
    assert status(agreed_plan(tested=(record("a2 b2", 2),)), "a2 b2", max_age=hours) == expected


@pytest.mark.parametrize(
    ("zone", "moment", "expected"),
    [
        # 2026-10-01 is 90 days before 2026-12-30, 91 before 2026-12-31
        ("UTC", datetime(2026, 12, 30, 23, 59, tzinfo=UTC), "tested"),
        ("UTC", datetime(2026, 12, 31, 0, 0, tzinfo=UTC), "too-old"),
        ("America/New_York", datetime(2026, 12, 31, 4, 59, tzinfo=UTC), "tested"),
        ("America/New_York", datetime(2026, 12, 31, 5, 0, tzinfo=UTC), "too-old"),
        ("Asia/Tokyo", datetime(2026, 12, 30, 15, 0, tzinfo=UTC), "too-old"),
        ("Asia/Tokyo", datetime(2026, 9, 30, 14, 59, tzinfo=UTC), "untested"),
        ("Asia/Tokyo", datetime(2026, 9, 30, 15, 0, tzinfo=UTC), "tested"),
        ("UTC", datetime(2026, 9, 30, 15, 0, tzinfo=UTC), "untested"),
    ],
)
def test_the_date_of_a_record_is_one_of_the_windows_zone(zone: str, moment: datetime, expected: str) -> None:
    plan = agreed_plan(tested=(record_on("a2 b2", date(2026, 10, 1)),))
    plan = replace(plan, window=replace(plan.window, zone=zone))
    assert status(plan, "a2 b2", moment=moment) == expected


def test_a_record_still_to_come_says_so_and_an_older_one_counts() -> None:
    state = states(agreed_plan(tested=(record("a2 b2", -1),)))["a2 b2"]
    assert state.reason == "a 2 with b 2: not tested yet: its record bears the date 2026-10-17, which is still to come"
    assert status(agreed_plan(tested=(record("a2 b2", -1), record("a2 b2", 5))), "a2 b2") == "tested"


def test_the_newest_of_several_records_counts() -> None:
    assert status(agreed_plan(tested=(record("a2 b2", 200), record("a2 b2", 9))), "a2 b2") == "tested"


@pytest.mark.parametrize(("days_ago", "expected"), [(6, "failed"), (5, "failed"), (4, "tested"), (-1, "failed")])
def test_a_failed_test_counts_until_a_later_one_passed(days_ago: int, expected: str) -> None:
    records = (record("a2 b2", 5, FAILED), record("a2 b2", days_ago))
    assert status(agreed_plan(tested=records), "a2 b2") == expected


@pytest.mark.parametrize("days_ago", [300, -3])
def test_a_failed_test_counts_whatever_its_age(days_ago: int) -> None:
    assert status(agreed_plan(tested=(record("a2 b2", days_ago, FAILED),)), "a2 b2") == "failed"


def test_a_pass_too_long_ago_after_a_failure_is_too_old_not_failed() -> None:
    assert status(agreed_plan(tested=(record("a2 b2", 300, FAILED), record("a2 b2", 200))), "a2 b2") == "too-old"


def test_a_failure_of_one_version_fails_every_state_that_holds_it() -> None:
    records = (record("a2", 5, FAILED), record("a2 b1"), record("a2 b2"))
    found = statuses(agreed_plan(tested=records))
    assert found["a2 b1"] == found["a2 b2"] == "failed"


def test_a_failure_of_unrelated_applications_still_fails() -> None:
    plan = agreed_plan(rules=[Rule(unrelated=("a", "b"))], tested=(record("a2 b2", 5, FAILED),))
    assert status(plan, "a2 b2") == "failed"


def test_a_failure_of_three_is_not_cured_by_pairs_that_passed() -> None:
    pairs = tuple(record(pair, 1) for pair in ("a2 b2", "a2 c2", "b2 c2"))
    failed = record("a2 b2 c2", 5, FAILED)
    assert status(agreed_plan("abc", tested=(*pairs, failed)), "a2 b2 c2") == "failed"
    assert status(agreed_plan("abc", tested=(*pairs, failed, record("a2 b2 c2", 2))), "a2 b2 c2") == "tested"


def test_what_failed_is_not_called_untested_too() -> None:
    state = states(agreed_plan("abc", tested=(record("a2 b2", 5, FAILED), record("a2 b2", 9))))["a2 b2 c1"]
    assert [(gap.named, gap.reason) for gap in state.gaps] == [
        ("a 2 with b 2", "tested 2026-10-11 and failed (run 1)"),
        ("a 2 with c 1", "never tested together"),
        ("b 2 with c 1", "never tested together"),
    ]


def test_a_failed_state_that_is_excluded_is_not_asked_about() -> None:
    rule = Rule(exclude={"a": "2", "b": "1"})
    assert status(agreed_plan(rules=[rule], tested=(record("a2 b1", 5, FAILED),)), "a2 b1") == "excluded"


# Rules that cannot be kept.


def test_together_cannot_be_kept_once_one_is_deployed_that_cannot_be_taken_back() -> None:
    steps = (deploy("a", undo=NONE), deploy("b", "deploy-a"))
    plan = agreed_plan(rules=[Rule(together=("a", "b"))], steps=steps)
    (unkept,) = unkept_rules(plan, MOMENT, MAX_AGE)
    assert (unkept.final, unkept.waiting, unkept.versions) == ("a", "b", versions_of("a2 b1"))
    assert unkept_rules(replace(plan, tested=(record("a2 b1"),)), MOMENT, MAX_AGE) == ()


def test_together_is_kept_when_the_one_that_cannot_be_taken_back_comes_last() -> None:
    steps = (deploy("a", "deploy-b", undo=NONE), deploy("b"))
    assert unkept_rules(agreed_plan(rules=[Rule(together=("a", "b"))], steps=steps), MOMENT, MAX_AGE) == ()


def test_together_cannot_be_kept_when_the_order_is_free() -> None:
    steps = (deploy("a", undo=NONE), deploy("b"))
    assert unkept_rules(agreed_plan(rules=[Rule(together=("a", "b"))], steps=steps), MOMENT, MAX_AGE)


@pytest.mark.parametrize(
    ("exclude", "steps", "kept"),
    [
        ("a2 b1", (deploy("a", undo=NONE), deploy("b", "deploy-a")), False),
        ("a2 b1", (deploy("a"), deploy("b", "deploy-a")), True),
        ("a2 b1", (deploy("a", "deploy-b", undo=NONE), deploy("b")), True),
        ("a1 b2", (deploy("a", undo=NONE), deploy("b", "deploy-a", undo=NONE)), True),
        ("a2 b2", (deploy("a", undo=NONE), deploy("b", undo=NONE)), True),
    ],
)
def test_an_excluded_state_is_left_by_taking_back_or_going_on(exclude: str, steps: Any, kept: bool) -> None:
    plan = agreed_plan(rules=[Rule(exclude=versions_of(exclude))], steps=steps)
    assert (unkept_rules(plan, MOMENT, MAX_AGE) == ()) == kept


# Many applications.

MANY = "abcdefghijklmnop"


def test_many_applications_are_judged_by_their_pairs() -> None:
    found = end_states(agreed_plan(MANY), MOMENT, MAX_AGE)
    assert len(found) == 4 * len(list(combinations(MANY, 2)))
    assert {len(state.versions) for state in found} == {2}


def test_many_applications_back_and_forth_together_leave_only_the_target_to_test() -> None:
    chain = [Rule(together=(one, other)) for one, other in pairwise(MANY)]
    found = end_states(agreed_plan(MANY, rules=chain), MOMENT, MAX_AGE)
    assert all(set(state.versions.values()) == {"2"} for state in found if state.status in OPEN)
    assert not any(state.status is StateStatus.TOGETHER for state in found if len(set(state.versions.values())) == 1)


def test_a_failed_test_of_three_among_many_is_not_lost() -> None:
    records = (
        record(" ".join(f"{name}2" for name in MANY)),
        record("a2 b2 c1", 5, FAILED),
        record("a2 b2 c7", 5, FAILED),
    )
    found = end_states(agreed_plan(MANY, tested=records), MOMENT, MAX_AGE)
    assert [dict(state.versions) for state in found if state.status is StateStatus.FAILED] == [versions_of("a2 b2 c1")]


@pytest.mark.long
@given(ordered_plans(), st.lists(st.sampled_from(("ab", "bc", "bd", "abd")), max_size=2), st.data())
def test_pairs_and_whole_states_ask_for_the_same_tests(plan: Plan, groups: list[str], data: st.DataObject) -> None:
    pairs = [f"{one}{v} {other}{w}" for one, other in combinations("abcd", 2) for v, w in product("12", "12")]
    records = tuple(record(pair) for pair in data.draw(st.lists(st.sampled_from(pairs), max_size=12)))
    plan = replace(plan, rules=tuple(Rule(together=tuple(group)) for group in groups), tested=records)
    with pytest.MonkeyPatch.context() as patch:
        whole = end_states(plan, MOMENT, MAX_AGE)
        patch.setattr(module, "MOST_ENUMERATED", 0)
        by_pairs = end_states(plan, MOMENT, MAX_AGE)
    assert {gap for state in whole for gap in state.gaps} == {gap for state in by_pairs for gap in state.gaps}


@pytest.mark.long
def test_twelve_applications_are_judged_in_time() -> None:
    assert len(end_states(agreed_plan(MANY[:12]), MOMENT, MAX_AGE)) == 4096


# Partial go-live, and the table.


def test_a_partial_go_live_is_possible_where_a_mixed_state_can_occur() -> None:
    assert can_go_live_in_part(agreed_plan())
    assert can_go_live_in_part(agreed_plan(MANY))
    assert not can_go_live_in_part(agreed_plan("a"))
    assert not can_go_live_in_part(agreed_plan(rules=[Rule(together=("a", "b"))]))
    assert not can_go_live_in_part(agreed_plan(MANY, rules=[Rule(together=tuple(MANY))]))
    one_way = [Rule(exclude=versions_of("a2 b1"))]
    assert can_go_live_in_part(agreed_plan(rules=one_way))
    assert not can_go_live_in_part(agreed_plan(rules=[*one_way, Rule(exclude=versions_of("a1 b2"))]))


def test_two_applications_make_a_table_of_their_versions() -> None:
    plan = agreed_plan(tested=(record("a2 b2"), record("a1 b2", 5, FAILED)))
    assert matrix(plan, end_states(plan, MOMENT, MAX_AGE)) == (
        ("", "b 1", "b 2"),
        ("a 1", "runs now", "FAILED 2026-10-11"),
        ("a 2", "NEVER TESTED", "tested 2026-10-06"),
    )


def test_three_applications_make_a_list_with_what_is_open_first() -> None:
    plan = agreed_plan("abc", rules=[Rule(together=("a", "b"))], tested=(record("a2 b2 c2"),))
    assert matrix(plan, end_states(plan, MOMENT, MAX_AGE)) == (
        ("a 1, b 1, c 2", "NEVER TESTED"),
        ("a 2, b 2, c 1", "NEVER TESTED"),
        ("a 1, b 1, c 1", "runs now"),
        ("a 2, b 2, c 2", "tested 2026-10-06"),
        ("4 that need no test", "4 together"),
    )


def test_a_long_list_is_cut_and_says_what_was_left_out() -> None:
    plan = agreed_plan("abcdef")
    rows = matrix(plan, end_states(plan, MOMENT, MAX_AGE))
    assert len(rows) == 25
    assert rows[-1] == ("40 more", "39 untested, 1 runs-now")


@pytest.mark.parametrize("status", StateStatus)
def test_every_status_has_its_own_words(status: StateStatus) -> None:
    words = {EndState(versions={}, status=each, on=date(2026, 1, 2)).in_a_word for each in StateStatus}
    assert len(words) == len(StateStatus)
    assert (status in REMOVED) + (status in OPEN) <= 1
