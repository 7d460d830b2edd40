"""What the report says of the window: its times, its waivers, its versions, its people."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from preflight.finding import Event, Finding, Quantity, Severity, failed, passed, unknown
from preflight.plan import Application, Role, Waiver
from preflight.report import window
from preflight.report.formats import text
from preflight.verdict import Verdict, conclude
from preflight.versions.end_states import end_states
from preflight.waivers import WaiverState, WaiverUse
from tests.report.formats.cases import go, no_go, waived

WAIVER = Waiver(
    id="W-3", check="app-health", subject="app1 a", reason="slow disk", limit="900 ms", approved_by="release-manager",
    granted=datetime(2026, 10, 16, tzinfo=UTC), expires=datetime(2026, 10, 17, 12, tzinfo=UTC),
)  # fmt: skip


def said(lines: object) -> str:
    return " ".join(" ".join(lines).split())  # type: ignore[arg-type]


def with_window(verdict: Verdict, **changes: object) -> Verdict:
    plan = replace(verdict.plan, window=replace(verdict.plan.window, **changes))  # type: ignore[arg-type]
    return replace(verdict, plan=plan)


def test_the_planned_times_stand_alone_while_nothing_costs_time() -> None:
    assert said(window.times(go())) == ("02:55 as planned, decide by 04:09, start rollback by 04:24, margin 1 h 34 min")


def test_what_failed_is_told_with_the_later_finish_and_the_margin_left() -> None:
    assert "with what failed: 04:05, 1 h 10 min later, margin 24 min" in said(window.times(no_go()))


@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "margin 0 s"), (1, "margin 1 min"), (-1, "1 min too late to decide")]
)
def test_a_margin_below_nothing_is_said_in_words(minutes: int, text: str) -> None:
    assert window.margin(timedelta(minutes=minutes)) == text


def test_without_steps_there_are_no_times() -> None:
    assert not list(window.times(replace(go(), planned_schedule=None, found_schedule=None)))


@pytest.mark.parametrize("state", WaiverState)
def test_every_waiver_is_told_loud_where_it_covers_nothing(state: WaiverState) -> None:
    told = said(window.waivers(replace(go(), waivers=(WaiverUse(WAIVER, state, "because"),))))
    shown = "covers" if state is WaiverState.COVERS else state.upper()
    assert f"waiver W-3 for app-health app1 a: {shown}; because (up to 900 ms, slow disk, approved by" in told
    assert "until 08:00" in told


def failing(check: str, actual: str, **more: object) -> Finding:
    judgement = replace(failed("is bad", expected="good", actual=actual, remedy="mend it"), **more)  # type: ignore[arg-type]
    return Finding(check=check, title="", subject="db1", severity=Severity.BLOCKING, judgement=judgement)


def waiver(id_: str, check: str, subject: str = "db1", limit: str = "2 s", **more: object) -> Waiver:
    return replace(WAIVER, id=id_, check=check, subject=subject, limit=limit, **more)  # type: ignore[arg-type]


def test_the_head_of_the_report_tells_what_became_of_every_waiver() -> None:
    plan = go().plan
    uses = (
        waiver("W-1", "slow"),
        waiver("W-2", "slow", expires=plan.window.needed_until),
        waiver("W-3", "slow", "db2"),
        waiver("W-4", "slower"),
        waiver("W-5", "fine"),
        waiver("W-6", "foreign", limit="other"),
        waiver("W-7", "unseen"),
    )
    findings = [
        failing("slow", "1.9 s", quantity=Quantity(1.9, "s")),
        failing("slower", "2.1 s", quantity=Quantity(2.1, "s")),
        replace(failing("fine", ""), judgement=passed("fine")),
        failing("foreign", "other", waivable=False),
        replace(failing("unseen", ""), judgement=unknown("dark")),
    ]
    verdict = conclude(
        replace(plan, waivers=uses), findings, planned=5, evidence_digest="", collected_at=go().moment,
        moment=go().moment,
    )  # fmt: skip
    head = text.render(verdict).split("\n\n")[0]
    lines = [" ".join(line.split()) for line in head.split("\nwaiver ")[1:]]
    assert [line.split(" (up to")[0] for line in lines] == [
        "W-1 for slow db1: covers; is bad",
        "W-2 for slow db1: EXPIRED; expires Sat 2026-10-17 07:00 -04:00, needed until Sat 2026-10-17 07:00 -04:00",
        "W-3 for slow db2: UNMATCHED; covers nothing: its subjects are db1",
        "W-4 for slower db1: BEYOND ITS LIMIT; covers up to 2 s; found 2.1 s",
        "W-5 for fine db1: UNUSED; is not needed: the check is pass; take it out of the plan",
        "W-6 for foreign db1: NOT WAIVABLE; cannot be waived: identity, script content and server role never are",
        "W-7 for unseen db1: NOT A FAILURE; cannot cover what is unknown: only what was seen",
    ]
    assert all("slow disk, approved by A. Haddad (release-manager), ext. 4400 until " in line for line in lines)


def test_a_waiver_that_covers_is_counted_in_the_first_line() -> None:
    assert text.render(waived()).startswith("GO with 1 waiver; 1 thing unconfirmed  ")


def test_events_are_in_time_order_and_the_rest_is_counted() -> None:
    start = go().plan.window.start
    events = tuple(Event(at=start + timedelta(minutes=n), text=f"thing {n}") for n in range(10))
    lines = list(window.events(replace(go(), events=events)))
    assert lines[0] == "inside   00:00  thing 0"
    assert lines[-1].strip() == "and 2 more"


def test_two_applications_are_a_table_with_the_words_under_the_label() -> None:
    assert list(window.versions(go())) == [
        "versions            app2 2.7            app2 3.0",
        "         app1 4.1   runs now            excluded",
        "         app1 4.2   tested 2026-10-02   tested 2026-10-01",
    ]


def test_three_applications_are_a_list_with_what_is_open_first() -> None:
    applications = {name: Application(id=name, from_="1", to="2") for name in ("a", "b", "c")}
    plan = replace(go().plan, applications=applications, tested=(), rules=())
    found = replace(go(), plan=plan, end_states=end_states(plan, go().moment, timedelta(days=90)))
    lines = list(window.versions(found))
    assert lines[0] == "versions a 1, b 1, c 2   NEVER TESTED"
    assert lines[-1] == "         a 1, b 1, c 1   runs now"
    assert len(lines) == 8
    assert all(line.startswith("         a ") for line in lines[1:])


def test_one_application_has_no_matrix() -> None:
    verdict = go()
    plan = replace(verdict.plan, applications={"a": Application(id="a", from_="1", to="2")})
    assert not list(window.versions(replace(verdict, plan=plan)))


def test_people_are_told_with_what_is_missing() -> None:
    roles = {
        "dba": Role(id="dba", primary="D. Kaya", standby="M. Ortiz", contact="ext. 4411"),
        "app": Role(id="app", primary="R. Okafor"),
    }
    verdict = go()
    told = said(window.people(replace(verdict, plan=replace(verdict.plan, roles=roles))))
    assert told == "people dba: D. Kaya, standby M. Ortiz, ext. 4411 app: R. Okafor, NO STANDBY"


@pytest.mark.parametrize(
    ("start", "hours", "window_line", "needed"),
    [
        (
            datetime(2026, 11, 1, 4, tzinfo=UTC), 6, "Sun 2026-11-01 00:00 -04:00 to 05:00 -05:00 (", "06:00 -05:00"
        ),
        (
            datetime(2027, 3, 14, 5, tzinfo=UTC), 6, "Sun 2027-03-14 00:00 -05:00 to 07:00 -04:00 (", "08:00 -04:00"
        ),
        (
            datetime(2026, 11, 1, 2, tzinfo=UTC), 8, "Sat 2026-10-31 22:00 -04:00 to Sun 2026-11-01 05:00 -05:00 (",
            "Sun 2026-11-01 06:00 -05:00",
        ),
        (
            datetime(2026, 10, 17, 2, tzinfo=UTC), 6, "Fri 2026-10-16 22:00 -04:00 to Sat 2026-10-17 04:00 (",
            "Sat 2026-10-17 05:00",
        ),
    ],
)  # fmt: skip
def test_the_head_tells_the_window_with_its_offsets(start: datetime, hours: int, window_line: str, needed: str) -> None:
    head = text.render(with_window(go(), start=start, end=start + timedelta(hours=hours))).splitlines()
    assert f"window   {window_line}America/New_York)" in head
    assert head[2].endswith(f"must last until {needed}")


@pytest.mark.parametrize(
    ("start", "hours", "first", "last"),
    [
        (datetime(2026, 11, 1, 4, tzinfo=UTC), 6, "00:00 -04:00", "05:00 -05:00"),  # autumn: 01:00 comes twice
        (datetime(2027, 3, 14, 5, tzinfo=UTC), 6, "00:00 -05:00", "07:00 -04:00"),  # spring: no 02:00
        (datetime(2026, 10, 17, 2, tzinfo=UTC), 6, "22:00", "Sat 2026-10-17 04:00"),  # over midnight
    ],
)
def test_times_on_another_day_or_past_a_clock_change_say_so(start: datetime, hours: int, first: str, last: str) -> None:
    end = start + timedelta(hours=hours)
    events = (Event(at=start, text="first"), Event(at=end, text="last"))
    verdict = replace(with_window(go(), start=start, end=end), events=events)
    told = said(window.events(verdict))
    assert f"{first} first" in told
    assert f"{last} last" in told


def test_a_decide_by_that_failures_move_is_told_where_it_is_now() -> None:
    verdict = no_go()
    assert verdict.found_schedule is not None
    hour = timedelta(hours=1)
    found = verdict.found_schedule
    moved = replace(found, decide_by=found.decide_by - hour, start_rollback_by=found.start_rollback_by - hour)
    told = said(window.times(replace(verdict, found_schedule=moved)))
    assert "with what failed: 04:05, 1 h 10 min later, decide by 03:09, start rollback by 03:24, margin" in told
