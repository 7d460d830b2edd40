"""Window arithmetic: begins and ends, the way back, and until when it can still be taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from preflight.judging.schedule import Schedule, Slot, schedule, time_in_window
from preflight.plan import Plan, Step, Undo, UndoKind
from preflight.plan.load import load_plan
from tests.window_plans import NONE, NOTHING, RESTORE, SCRIPT, minutes, step, steps, window, work

EXAMPLE = Path(__file__).parent.parent.parent / "plans" / "example.toml"
START = datetime(2026, 10, 17, 4, 0, tzinfo=UTC)  # midnight in New York
END = START + timedelta(hours=6)


def made(*own: Step, plan: Plan | None = None, **options: object) -> Schedule:
    found = schedule(plan or work(*own), **options)  # type: ignore[arg-type]
    assert found is not None
    return found


def times(found: Schedule) -> dict[str, tuple[float, float]]:
    """Begin and end of each step in minutes after the begin of all."""
    return {
        slot.step.id: tuple((at - found.begins_at) / minutes(1) for at in (slot.begins_at, slot.ends_at))  # type: ignore[misc]
        for slot in found.slots
    }


# Begins and ends.


def test_a_plan_without_steps_has_no_schedule() -> None:
    assert schedule(work()) is None


def test_a_step_begins_when_the_last_of_those_it_comes_after_has_ended_and_the_others_run_beside_it() -> None:
    found = made(
        step("both", 10, "long", "short"), step("long", 30), step("short", 5), step("next", 7, "short"), step("own", 50)
    )
    assert times(found) == {"long": (0, 30), "short": (0, 5), "own": (0, 50), "next": (5, 12), "both": (30, 40)}
    assert found.finish_at == START + minutes(50)
    assert found.critical_path == ("own",)
    assert found.path_to("both") == ("long", "both")


def test_slots_are_in_the_order_of_their_begin_and_a_step_of_no_length_is_before_what_waits_for_it() -> None:
    found = made(step("c", 0, "b"), step("b", 0, "a"), step("a", 0), step("late", 1, "ten"), step("ten", 10))
    names = [slot.step.id for slot in found.slots]
    assert names.index("a") < names.index("b") < names.index("c") < names.index("late")


def test_only_the_named_steps_take_their_time_over_the_network_where_they_have_one() -> None:
    chain = (
        step("a", 10, minutes_over_network=25),
        step("b", 10, "a", minutes_over_network=99),
        step("c", 10, "b"),
        step("d", 0, "c", minutes_over_network=0),
    )
    found = made(*chain, over_network={"a", "c", "d", "no such step"})
    assert times(found) == {"a": (0, 25), "b": (25, 35), "c": (35, 45), "d": (45, 45)}
    assert [slot.step.id for slot in found.slots if slot.over_network] == ["a", "c", "d"]


def test_work_begun_later_is_the_same_work_later() -> None:
    own = (step("a", 30, undo=20), step("b", 15, "a"), step("final", 5, "b", undo=NONE))
    planned, later = made(*own), made(*own, begins_at=START + minutes(7))
    assert later.begins_at == START + minutes(7)
    assert later.finish_at - planned.finish_at == minutes(7)
    assert planned.margin - later.margin == minutes(7)
    assert (later.latest_start, later.decide_by) == (planned.latest_start, planned.decide_by)


def test_a_begin_in_another_zone_is_the_same_moment() -> None:
    west = datetime.fromisoformat("2026-10-16T21:30-07:00")
    found = made(step("a", 30), begins_at=west)
    assert (found.begins_at, found.begins_at.tzinfo) == (START + minutes(30), UTC)


def test_a_chain_longer_than_python_has_frames_is_no_trouble() -> None:
    chain = [step("s0", 1, undo=1), *(step(f"s{n}", 1, f"s{n - 1}", undo=1) for n in range(1, 3000))]
    found = made(*chain[::-1])
    assert found.rollback == minutes(3000)
    assert len(found.critical_path) == 3000


# The way back.


def test_lines_of_work_are_taken_back_side_by_side_and_each_from_its_end() -> None:
    found = made(
        step("a", 10, undo=40), step("b", 10, "a", undo=5), step("x", 10, undo=30), step("y", 10, "x", undo=20)
    )
    assert found.rollback == minutes(50)
    assert found.start_rollback_by == END - minutes(50)


def test_a_step_is_taken_back_after_all_that_came_after_it_even_over_one_with_nothing_to_undo() -> None:
    found = made(
        step("base", 10, undo=30),
        step("look", 5, "base"),
        step("left", 10, "look", undo=Undo(kind=SCRIPT, minutes=5)),
        step("right", 10, "base", undo=25),
    )
    assert found.rollback == minutes(30 + 25)
    only_left = made(*(slot.step for slot in found.slots if slot.step.id != "right"))
    assert only_left.rollback == minutes(30 + 5)


def test_nothing_to_undo_takes_no_time_whatever_its_minutes_say() -> None:
    found = made(step("a", 10, undo=Undo(kind=NOTHING, minutes=50)))
    assert (found.rollback, found.last_risky, found.start_rollback_by) == (minutes(0), None, END)
    assert found.margin == END - START
    assert found.latest_start == END - minutes(10)


def test_start_rollback_by_decide_by_and_latest_start_follow_from_the_windows_settings() -> None:
    strict = window(margin=minutes(30), decision_reserve=minutes(15), rollback_factor=1.2)
    found = made(plan=work(step("a", 120, undo=70), step("b", 100, "a"), within=strict))
    assert found.start_rollback_by == START + timedelta(hours=4, minutes=36)
    assert found.decide_by == START + timedelta(hours=4, minutes=21)
    assert found.margin == timedelta(hours=2, minutes=21)
    assert found.last_risky is not None
    assert found.last_risky.step.id == "a"
    assert found.latest_start == START + timedelta(hours=1, minutes=51)


def test_the_latest_start_is_bound_by_the_end_of_the_window_where_harmless_work_is_longer() -> None:
    found = made(step("a", 10, undo=5), step("b", 300, "a"))
    assert found.latest_start == END - minutes(310)


def test_a_margin_that_is_gone_is_negative_and_the_latest_start_has_passed() -> None:
    found = made(step("a", 350, undo=20))
    assert found.margin == minutes(-10)
    assert found.latest_start == START - minutes(10)


def test_steps_that_do_not_say_how_or_how_long_they_are_taken_back_are_told_in_the_plans_order() -> None:
    found = made(
        step("silent", 10, "zero", undo=None),
        step("zero", 10, undo=0),
        step("nothing", 10),
        step("never", 10, "silent", undo=NONE),
        step("after", 10, "never", undo=None),
    )
    assert found.unknown_undo == ("silent", "zero", "after")
    assert found.last_risky is not None
    assert found.last_risky.step.id == "silent"


# What cannot be undone.


def test_a_step_that_cannot_be_undone_moves_the_point_of_no_return_to_its_begin() -> None:
    found = made(step("a", 30, undo=20), step("wait", 15, "a"), step("final", 10, "wait", undo=NONE))
    assert found.point_of_no_return == START + minutes(45)
    assert made(step("a", 30, undo=20)).point_of_no_return is None


def test_what_begins_from_the_point_of_no_return_on_needs_no_way_back() -> None:
    found = made(
        step("a", 30, undo=20),
        step("final", 10, "a", undo=NONE),
        step("after", 60, "final", undo=200),
        step("same-moment", 90, "a", undo=100),
        step("under-way", 35, undo=25),
    )
    assert found.rollback == minutes(25)
    assert found.last_risky is not None
    assert found.last_risky.step.id == "under-way"


def test_a_step_of_no_length_just_before_the_point_of_no_return_is_taken_back() -> None:
    chain = (step("switch", 0, undo=60), step("look", 0, "switch"), step("final", 10, "look", undo=NONE))
    found = made(*chain, step("beside", 0, undo=90))
    assert found.rollback == minutes(60)
    assert found.last_risky is not None
    assert found.last_risky.step.id == "switch"


def test_the_rollback_starts_no_later_than_the_last_moment_to_begin_what_cannot_be_undone() -> None:
    own = (step("a", 30, undo=20), step("final", 40, "a", undo=NONE), step("x", 5, "final"), step("y", 25, "final"))
    assert made(*own).start_rollback_by == END - minutes(65)
    early = made(*(replace(each, undo=Undo(kind=RESTORE, minutes=70)) if each.id == "a" else each for each in own))
    assert early.start_rollback_by == END - minutes(70)


def test_of_several_steps_that_cannot_be_undone_the_first_due_binds() -> None:
    found = made(
        step("first", 10, undo=NONE), step("wait", 20), step("second", 10, "wait", undo=NONE), step("x", 50, "second")
    )
    assert found.point_of_no_return == START
    assert found.start_rollback_by == END - minutes(60)


def test_a_step_that_cannot_be_undone_is_never_the_last_risky_one() -> None:
    found = made(step("first", 0, undo=NONE), step("second", 10, "first", undo=NONE))
    assert found.last_risky is None


# Midnight and clock changes.


@pytest.mark.parametrize(
    ("start", "end", "hours", "decide_by"),
    [
        ("2026-10-31T22:00", "2026-11-01T06:00", 9, "Sun 2026-11-01 05:00 -05:00"),  # clocks go back
        ("2027-03-13T22:00", "2027-03-14T06:00", 7, "Sun 2027-03-14 05:00 -04:00"),  # clocks go forward
        ("2026-10-16T22:00", "2026-10-17T06:00", 8, "Sat 2026-10-17 05:00"),
    ],
)
def test_a_window_over_midnight_is_as_long_as_it_really_is(start: str, end: str, hours: int, decide_by: str) -> None:
    within = window(start, end)
    found = made(plan=work(step("a", 60, undo=60), within=within))
    assert found.decide_by - found.begins_at == timedelta(hours=hours - 1)
    assert found.latest_start - found.begins_at == timedelta(hours=hours - 2)
    assert time_in_window(within, found.decide_by) == decide_by


def test_a_step_over_a_clock_change_ends_after_its_minutes() -> None:
    back, forward = window("2026-11-01T00:30", "2026-11-01T06:00"), window("2027-03-14T00:30", "2027-03-14T06:00")
    told = [
        time_in_window(within, made(plan=work(step("a", 90), within=within)).finish_at) for within in (back, forward)
    ]
    assert told == ["01:00 -05:00 (second)", "03:00 -04:00"]
    hour = [time_in_window(back, back.start + minutes(count)) for count in (30, 90)]
    assert hour == ["01:00 -04:00 (first)", "01:00 -05:00 (second)"]


def test_a_time_is_told_with_its_day_seconds_and_offset_only_where_they_matter() -> None:
    within = window()
    told = [time_in_window(within, within.start + minutes(count)) for count in (220, 220.5, -1, 24 * 60)]
    assert told == ["03:40", "03:40:30", "Fri 2026-10-16 23:59", "Sun 2026-10-18 00:00"]
    assert time_in_window(within, datetime(2026, 12, 1, 12, tzinfo=UTC)) == "Tue 2026-12-01 07:00 -05:00"


# The example plan, by hand.


def test_the_numbers_of_the_example_plan_are_those_computed_by_hand() -> None:
    """orders: 5 + 30 + 90 + 10 + 20 = 155; then 15 + 5. Back: 15 + 60 + 5 = 80, times 1.2 is 96."""
    found = made(plan=load_plan(EXAMPLE))
    track = ("stop-app1", "backup-orders", "scripts-orders", "verify-orders", "deploy-app1")
    assert found.critical_path == (*track, "smoke-test", "announce")
    assert times(found)["deploy-app1"] == (135, 155)
    assert times(found)["deploy-app2"] == (85, 105)
    assert found.finish_at == START + timedelta(hours=2, minutes=55)
    assert found.rollback == minutes(80)
    assert found.start_rollback_by == START + timedelta(hours=4, minutes=24)
    assert found.decide_by == START + timedelta(hours=4, minutes=9)
    assert found.margin == timedelta(hours=1, minutes=34)
    assert found.latest_start == START + timedelta(hours=1, minutes=4)
    assert (found.point_of_no_return, found.unknown_undo) == (None, ())


def test_the_example_plan_over_the_network_ends_later_by_what_its_longest_line_loses() -> None:
    """billing: 5 + 175 + 60 + 10 + 20 = 270, and orders 5 + 75 + 115 + 10 + 20 = 225; then 15 + 5."""
    found = made(plan=load_plan(EXAMPLE), over_network={"backup-billing", "scripts-billing"})
    assert found.finish_at == START + timedelta(hours=4, minutes=50)
    assert found.margin == minutes(4 * 60 + 9 - 270)
    orders = made(plan=load_plan(EXAMPLE), over_network={"backup-orders", "scripts-orders"})
    assert orders.finish_at == START + timedelta(hours=4, minutes=5)


# Properties.


def longest(own: Sequence[Step], length: Callable[[Step], timedelta]) -> dict[str, timedelta]:
    """The plain recursive definition: own length after the longest of those before."""
    by_id = {each.id: each for each in own}

    @cache
    def end(name: str) -> timedelta:
        before = [end(each) for each in by_id[name].after if each in by_id]
        return max(before, default=minutes(0)) + length(by_id[name])

    return {name: end(name) for name in by_id}


def backwards(slots: Sequence[Slot]) -> timedelta:
    """Plays the rollback itself: each step is taken back when all done steps that came after it have been."""
    left = {slot.step.id: slot.step for slot in slots}
    ended: dict[str, timedelta] = {}
    while left:
        for name, each in list(left.items()):
            after_it = [slot.step.id for slot in slots if name in slot.step.after]
            if all(follower in ended for follower in after_it):
                takes = each.undo.minutes if each.undo and each.undo.kind is not NOTHING else 0
                ended[name] = max((ended[follower] for follower in after_it), default=minutes(0)) + minutes(takes)
                del left[name]
    return max(ended.values(), default=minutes(0))


def grown(own: Sequence[Step], name: str, by: float) -> list[Step]:
    return [replace(each, minutes=each.minutes + by) if each.id == name else each for each in own]


@pytest.mark.long
@given(steps())
def test_no_step_begins_before_another_it_waits_for_has_ended_and_none_waits_longer(own: tuple[Step, ...]) -> None:
    found = made(*own)
    ends = longest(own, lambda each: minutes(each.minutes))
    assert {slot.step.id: slot.ends_at - START for slot in found.slots} == ends
    assert found.finish_at == START + max(ends.values())
    assert sum(slot.step.minutes for slot in found.slots if slot.step.id in found.critical_path) == (
        (found.finish_at - START) / minutes(1)
    )
    places = {slot.step.id: place for place, slot in enumerate(found.slots)}
    assert all(places[name] < places[each.id] for each in own for name in each.after)


@pytest.mark.long
@given(steps(), st.data())
def test_a_longer_step_never_ends_the_work_earlier_nor_leaves_more_slack(
    own: tuple[Step, ...], data: st.DataObject
) -> None:
    name, by = data.draw(st.sampled_from(own)).id, data.draw(st.integers(1, 90))
    before, after = made(*own), made(*grown(own, name, by))
    assert before.finish_at <= after.finish_at <= before.finish_at + minutes(by)
    if name in before.critical_path:
        assert after.finish_at == before.finish_at + minutes(by)


@pytest.mark.long
@given(steps(kinds=[kind for kind in UndoKind if kind is not NONE]), st.data())
def test_the_margin_falls_by_exactly_what_a_step_on_the_way_to_the_last_risky_one_grows(
    own: tuple[Step, ...], data: st.DataObject
) -> None:
    before = made(*own)
    assume(before.last_risky is not None)
    assert before.last_risky is not None
    name = data.draw(st.sampled_from(before.path_to(before.last_risky.step.id)))
    by = data.draw(st.integers(1, 90))
    assert made(*grown(own, name, by)).margin == before.margin - minutes(by)


@pytest.mark.long
@given(steps(kinds=[kind for kind in UndoKind if kind is not NONE]))
def test_the_rollback_is_that_of_the_played_one(own: tuple[Step, ...]) -> None:
    found = made(*own)
    assert found.rollback == backwards(found.slots)


@pytest.mark.long
@given(steps())
def test_work_begun_at_the_latest_start_keeps_all_limits_with_nothing_to_spare(own: tuple[Step, ...]) -> None:
    strict = window(margin=minutes(30), decision_reserve=minutes(15), rollback_factor=1.25)
    planned = made(plan=work(*own, within=strict))
    found = made(plan=work(*own, within=strict), begins_at=planned.latest_start)
    spare = [END - found.finish_at] + ([found.margin - minutes(30)] if found.last_risky else [])
    assert min(spare) == minutes(0)
    assert found.latest_start == planned.latest_start


@pytest.mark.long
@given(steps())
def test_what_cannot_be_undone_begun_when_the_rollback_must_start_at_the_latest_still_ends_in_the_window(
    own: tuple[Step, ...],
) -> None:
    found = made(*own)
    for final in (slot for slot in found.slots if slot.step.is_final):
        waiting = followers(own, final.step.id)
        left = [
            replace(each, after=tuple(name for name in each.after if name in waiting))
            for each in own
            if each.id in waiting
        ]
        assert made(*left, begins_at=found.start_rollback_by).finish_at <= END


def followers(own: Sequence[Step], name: str) -> set[str]:
    """A step and all that waits for it."""
    found = {name}
    while more := {each.id for each in own if found & set(each.after)} - found:
        found |= more
    return found


@pytest.mark.long
@given(steps())
def test_the_last_risky_step_begins_before_the_point_of_no_return_or_must_be_done_by_then(
    own: tuple[Step, ...],
) -> None:
    found = made(*own)
    last, no_return = found.last_risky, found.point_of_no_return
    if last is None:
        assert not [slot for slot in found.slots if slot.step.is_risky and no_return is None]
    elif no_return is not None:
        assert last.begins_at < no_return or last.ends_at == no_return
