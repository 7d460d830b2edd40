"""What a failure costs in the window, by when its cure must have been asked for, and what ends inside the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from preflight.check import Subject
from preflight.engine.conclude import as_found, events_inside, priced
from preflight.engine.inspection import inspect
from preflight.engine.run import collect, judge
from preflight.finding import Event, Finding, Judgement, Severity, Status, failed, passed
from preflight.plan import Plan, Role, Step, Undo, UndoKind, Waiver, Window
from tests.toy import MOMENT, Ready, Script, registry, toy_plan

HOUR = timedelta(hours=1)


def step(step_id: str, minutes: float, **fields: Any) -> Step:
    return Step(id=step_id, minutes=minutes, **{"undo": Undo(kind=UndoKind.REDEPLOY, minutes=10), **fields})


STEPS = (step("backup", 30, minutes_over_network=75), step("scripts", 90, after=("backup",), minutes_over_network=115))
PLAN = toy_plan(steps=STEPS)


def finding(judgement: Judgement, *steps: str) -> Finding:
    return Finding(check="ready", title="", subject="db1", severity=Severity.BLOCKING, judgement=judgement, steps=steps)


NO = failed("no", expected="yes", actual="no", remedy="mend it")


def test_a_failure_is_priced_with_the_new_finish_and_what_is_left() -> None:
    (found,) = priced(PLAN, [finding(NO, "backup", "scripts")], MOMENT)
    assert found.price is not None
    assert found.price.minutes == 45 + 25
    assert found.price.finish_at == PLAN.window.start + timedelta(minutes=75 + 115)


def test_what_passes_or_costs_nothing_has_no_price() -> None:
    without = toy_plan(steps=(step("backup", 30),))
    assert priced(PLAN, [finding(passed("yes"), "backup")], MOMENT)[0].price is None
    assert priced(PLAN, [finding(NO)], MOMENT)[0].price is None
    assert priced(toy_plan(), [finding(NO, "backup")], MOMENT)[0].price is None
    free = priced(without, [finding(NO, "backup")], MOMENT)[0].price
    assert free is None or free.minutes == 0


def test_the_window_as_found_adds_every_lost_path_once() -> None:
    lost = [finding(NO, "backup"), finding(NO, "backup", "scripts"), finding(passed("yes"), "scripts")]
    both = as_found(PLAN, lost, MOMENT)
    assert both is not None
    assert both.finish_at == PLAN.window.start + timedelta(minutes=75 + 115)


def test_a_path_that_could_not_be_seen_counts_as_lost() -> None:
    unseen = Judgement(status=Status.UNKNOWN, summary="could not look", remedy="look")
    found = as_found(PLAN, [finding(unseen, "backup")], MOMENT)
    assert found is not None
    assert found.finish_at == PLAN.window.start + timedelta(minutes=75 + 90)


class Owned(Ready):
    """Whose cure takes how long?"""

    id = "owned"

    def subjects(self) -> Sequence[Subject]:
        return [
            Subject("by role", None, "dba"),
            Subject("by entry", None, "dba", lead_time=3 * HOUR),
            Subject("by nobody", None),
        ]

    def probes(self, subject: Subject) -> dict[str, Any]:
        return {}

    def judge(self, subject: Subject) -> Judgement:
        return NO


def test_the_longest_lead_time_says_by_when_to_ask() -> None:
    plan: Plan = toy_plan(roles={"dba": Role(id="dba", primary="D. Kaya", lead_time=2 * HOUR)})
    inspection = inspect(plan, registry(Owned), MOMENT)
    verdict = judge(collect(inspection, Script().open, 5))
    by = {found.subject: found.cure_by for found in verdict.findings}
    start = plan.window.start
    assert by == {"by role": start - 2 * HOUR, "by entry": start - 3 * HOUR, "by nobody": start}


def test_what_ends_inside_is_one_list_in_time_order() -> None:
    window = PLAN.window
    inside, early, late = window.start + HOUR, window.start - timedelta(seconds=1), window.needed_until + timedelta(1)
    events = tuple(Event(at=at, text=f"{at}") for at in (late, window.needed_until, inside, early, window.start))
    found = finding(replace(passed("yes"), events=events))
    waiver = Waiver(
        id="W-1", check="ready", subject="db1", reason="-", limit="1", approved_by="dba", granted=MOMENT, expires=inside
    )
    told = events_inside(toy_plan(waivers=(waiver,)), [found, found])
    assert [event.at for event in told] == [window.start, inside, inside, window.needed_until]
    assert told[2].text == "waiver W-1 for ready db1 ends"


def test_a_clock_change_inside_is_on_the_list() -> None:
    start = datetime(2026, 11, 1, 4, 0, tzinfo=UTC)
    window = Window(zone="America/New_York", start=start, end=start + 6 * HOUR)
    told = events_inside(replace(PLAN, window=window), [])
    assert [event.at for event in told] == [datetime(2026, 11, 1, 6, 0, tzinfo=UTC)]
    assert "clocks go back 1 h" in told[0].text


def test_a_waiver_accepts_a_lost_path_and_does_not_give_its_minutes_back() -> None:
    waived = finding(replace(NO, status=Status.WAIVED), "backup")
    found = as_found(PLAN, [waived], MOMENT)
    assert found is not None
    assert found.finish_at == PLAN.window.start + timedelta(minutes=75 + 90)
    assert priced(PLAN, [waived], MOMENT)[0].price is not None
