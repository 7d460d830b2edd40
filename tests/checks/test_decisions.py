"""decisions: what must be agreed before the window, and that it only warns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from preflight_checks.decisions import Decisions

from preflight.finding import Judgement, Severity, Status
from preflight.plan import Decision, DecisionKind, Plan, Role, Rule, Step, Undo, UndoKind
from tests.agreements import agreed_plan, deploy
from tests.toy import MOMENT

LEAD = Role(id="lead", primary="the lead", contact="ext. 1")
RETRY = Decision(on=DecisionKind.RETRY, rule="one retry", decides="lead", default="roll back")
ROLLBACK = Decision(on=DecisionKind.ROLLBACK, rule="after 02:30", decides="lead", default="roll back")
PARTIAL = Decision(on=DecisionKind.PARTIAL, rule="never", decides="lead", default="roll back")
AGREED = (RETRY, ROLLBACK, PARTIAL)


def plan(*decisions: Decision, names: str = "ab", attempt: dict[str, Any] | None = None, **fields: Any) -> Plan:
    found = agreed_plan(names, **{"decisions": decisions, "roles": {"lead": LEAD}, **fields})
    return replace(found, release=replace(found.release, **(attempt or {})))


def judged(of: Plan) -> dict[str, Judgement]:
    check = Decisions(of, MOMENT)
    return {subject.id: check.judge(subject, **check.probes(subject)) for subject in check.subjects()}


def told(judgement: Judgement) -> list[str]:
    return [f"{point.status}: {point.summary}" for point in judgement.telling_points()]


def test_it_only_warns() -> None:
    assert Decisions.severity is Severity.ADVISORY
    assert {each.status for each in judged(plan()).values()} == {Status.WARN}


def test_everything_agreed_passes_and_says_who_decides_what() -> None:
    found = judged(plan(*AGREED))
    assert list(found) == ["deploy-a", "deploy-b", "release"]
    assert {each.status for each in found.values()} == {Status.PASS}
    assert found["deploy-a"].summary == (
        "retry: the lead (lead), ext. 1 decides: one retry; not reached: roll back; "
        "rollback: the lead (lead), ext. 1 decides: after 02:30; not reached: roll back"
    )


@pytest.mark.parametrize(("missing", "kind"), [(RETRY, "retry"), (ROLLBACK, "rollback")])
def test_a_step_without_a_decision_is_a_warning_that_names_it(missing: Decision, kind: str) -> None:
    found = judged(plan(*(each for each in AGREED if each is not missing)))
    assert told(found["deploy-a"]) == [f"warn: {kind}: nobody has agreed who decides"]
    assert found["deploy-a"].actual == "none for step deploy-a"
    assert f'on = "{kind}" (steps = ["deploy-a"], or no `steps` for all)' in found["deploy-a"].remedy


@pytest.mark.parametrize("missing", [{"rule": "tbd"}, {"default": " - "}, {"rule": "n/a", "default": "?"}])
def test_a_decision_that_says_nothing_is_none(missing: dict[str, str]) -> None:
    found = judged(plan(replace(RETRY, **missing), ROLLBACK, PARTIAL))
    assert told(found["deploy-a"]) == ["warn: retry: nobody has agreed who decides"]


def test_a_decision_about_one_step_leaves_the_others_without() -> None:
    found = judged(plan(replace(RETRY, steps=("deploy-a",)), ROLLBACK, PARTIAL))
    assert (found["deploy-a"].status, found["deploy-b"].status) == (Status.PASS, Status.WARN)


def test_a_decision_about_a_step_goes_before_the_one_about_all() -> None:
    own = replace(RETRY, rule="no retry", steps=("deploy-a",))
    found = judged(plan(*AGREED, own))
    assert found["deploy-a"].summary.startswith("retry: the lead (lead), ext. 1 decides: no retry;")
    assert "one retry" in found["deploy-b"].summary


@pytest.mark.parametrize("steps", [(), ("deploy-a",)])
def test_two_decisions_about_the_same_are_a_warning(steps: tuple[str, ...]) -> None:
    first, second = replace(RETRY, steps=steps), replace(RETRY, steps=steps, rule="no retry")
    found = judged(plan(first, second, ROLLBACK, PARTIAL))
    assert told(found["deploy-a"]) == ["warn: retry: 2 decisions speak about it"]
    assert found["deploy-a"].actual == "one retry / no retry"


@pytest.mark.parametrize(
    ("undo", "blocking", "is_asked"),
    [
        (Undo(kind=UndoKind.RESTORE), True, True),
        (Undo(kind=UndoKind.NONE), True, True),
        (None, True, True),
        (Undo(kind=UndoKind.NOTHING_TO_UNDO), True, False),
        (Undo(kind=UndoKind.RESTORE), False, False),
    ],
)
def test_blocking_steps_that_leave_something_to_undo_want_a_decision(
    undo: Undo | None, blocking: bool, is_asked: bool
) -> None:
    step = Step(id="work", minutes=5, undo=undo, blocking=blocking)
    assert ("work" in judged(plan(names="a", steps=(step,)))) == is_asked


@pytest.mark.parametrize(
    ("rules", "names", "wanted"),
    [
        ([], "ab", True),
        ([], "a", False),
        ([Rule(together=("a", "b"))], "ab", False),
        ([Rule(together=("a", "b"))], "abc", True),
    ],
)
def test_a_partial_go_live_that_may_happen_wants_a_decision(rules: list[Rule], names: str, wanted: bool) -> None:
    found = judged(plan(RETRY, ROLLBACK, names=names, rules=rules))["release"]
    assert ("warn: partial go-live: nobody has agreed who decides" in told(found)) == wanted


def test_decisions_about_different_parts_of_a_partial_go_live_do_not_clash() -> None:
    first, second = replace(PARTIAL, steps=("deploy-a",)), replace(PARTIAL, steps=("deploy-b",))
    assert judged(plan(RETRY, ROLLBACK, first, second))["release"].status is Status.PASS


def test_a_decision_of_somebody_who_cannot_be_called_is_a_warning() -> None:
    found = judged(plan(*AGREED, roles={"lead": replace(LEAD, contact="")}))
    assert "warn: retry: the lead (lead) cannot be called" in told(found["release"])
    assert found["deploy-a"].status is Status.PASS, "said once, not for every step"


def test_a_later_attempt_says_why_the_last_one_ended_and_what_has_changed() -> None:
    said = {"attempt": 2, "backed_out_because": "script 020\nwas changed", "changed_since": "sealed"}
    line = "attempt 2: backed out because script 020 was changed; changed since: sealed"
    assert line in judged(plan(*AGREED, attempt=said))["release"].summary


def test_a_first_attempt_says_nothing_about_attempts() -> None:
    assert "attempt" not in judged(plan(*AGREED))["release"].summary


def test_a_plan_with_nothing_to_decide_is_not_asked() -> None:
    assert judged(plan(names="", steps=())) == {}
    assert list(judged(plan(names="a", steps=(deploy("a"),)))) == ["deploy-a"]
