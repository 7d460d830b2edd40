"""What the report says of the window: its times, its waivers, its versions, its people."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest

from preflight.finding import Event, Finding, Quantity, Severity, failed, passed, unknown
from preflight.judging.end_states import end_states
from preflight.judging.schedule import schedule
from preflight.plan import Application, Plan, Role, Waiver
from preflight.report import View
from preflight.report.document.window import WRITTEN, times, window_span
from preflight.report.formats import html, say, text
from preflight.verdict import Verdict, WaiverState, WaiverUse
from tests.report.formats.cases import go, no_go, waived
from tests.toy import conclude

WAIVER = Waiver(
    id="W-3", check="app-health", subject="app1 a", reason="slow disk", limit="900 ms", approved_by="release-manager",
    granted=datetime(2026, 10, 16, tzinfo=UTC), expires=datetime(2026, 10, 17, 12, tzinfo=UTC),
)  # fmt: skip


def told(verdict: Verdict, label: str) -> list[str]:
    """The lines that the text report has under a label."""
    lines = text.render(verdict, View(verbose=True)).splitlines()
    begins = [number for number, line in enumerate(lines) if line.startswith(f"{label:<9}")]
    begin = begins[-1] if begins else len(lines)
    return [*lines[begin : begin + 1], *takewhile(lambda line: line.startswith(" " * 9), lines[begin + 1 :])]


def said(lines: object) -> str:
    return " ".join(" ".join(lines).split())  # type: ignore[arg-type]


def with_window(verdict: Verdict, **changes: object) -> Verdict:
    plan = replace(verdict.plan, window=replace(verdict.plan.window, **changes))  # type: ignore[arg-type]
    return replace(verdict, plan=plan)


def test_the_planned_times_stand_alone_while_nothing_costs_time() -> None:
    assert list(times(go())) == [
        "02:55 (06:55 UTC), latest start 01:04 (05:04 UTC)",
        "decide by 04:09 (08:09 UTC), start rollback by 04:24 (08:24 UTC), margin 1 h 34 min",
    ]


def test_what_failed_is_told_with_the_later_finish_and_the_margin_left() -> None:
    work, way_back = times(no_go())
    longer = "1 h 10 min longer with what failed, 6 min more than the window and its margin allow"
    assert work == f"04:05 (08:05 UTC), {longer}"
    assert way_back.endswith("margin 24 min")


@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "margin 0 s"), (1, "margin 1 min"), (-1, "1 min too late to decide")]
)
def test_a_margin_below_nothing_is_said_in_words(minutes: int, text: str) -> None:
    assert WRITTEN.margin(timedelta(minutes=minutes)) == text


def test_without_steps_there_are_no_times() -> None:
    assert not list(times(replace(go(), planned_schedule=None, found_schedule=None)))


@pytest.mark.parametrize("state", WaiverState)
def test_every_waiver_is_told_loud_where_it_covers_nothing(state: WaiverState) -> None:
    line = said(told(replace(go(), waivers=(WaiverUse(WAIVER, state, "because"),)), "waiver"))
    shown = "covers" if state is WaiverState.COVERS else state.upper()
    assert f"waiver W-3 for app-health app1 a: {shown}; because (up to 900 ms, slow disk, approved by" in line
    assert "until 08:00" in line


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
        replace(failing("unseen", ""), judgement=unknown("dark", remedy="look")),
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
    assert text.render(waived()).startswith("GO with 1 waiver  ")


def test_events_are_in_time_order_and_the_rest_is_counted() -> None:
    start = go().plan.window.start
    events = tuple(Event(at=start + timedelta(minutes=n), text=f"thing {n}") for n in range(10))
    lines = told(replace(go(), events=events), "inside")
    assert lines[0] == "inside   00:00  thing 0 (at the start, during stop-app1, stop-app2)"
    assert lines[-1].strip() == "and 2 more"


def test_an_end_names_the_step_that_runs_then_and_the_planned_one_where_that_is_another() -> None:
    at = go().plan.window.start + timedelta(minutes=70)
    event = (Event(at=at, text="account ends"),)
    assert said(told(replace(go(), events=event), "inside")).endswith("during scripts-orders, scripts-billing)")
    assert said(told(replace(no_go(), events=event), "inside")).endswith(
        "during backup-orders, scripts-billing, as planned during scripts-orders, scripts-billing)"
    )


def test_two_applications_are_a_table_with_the_words_under_the_label() -> None:
    assert told(go(), "versions") == [
        "versions            app2 2.7            app2 3.0",
        "         app1 4.1   runs now            excluded",
        "         app1 4.2   tested 2026-10-02   tested 2026-10-01",
    ]


def test_three_applications_are_a_list_with_what_is_open_first() -> None:
    applications = {name: Application(id=name, from_="1", to="2") for name in ("a", "b", "c")}
    plan = replace(go().plan, applications=applications, tested=(), rules=())
    found = replace(go(), plan=plan, end_states=end_states(plan, go().moment, timedelta(days=90)))
    lines = told(found, "versions")
    assert lines[0] == "versions a 1, b 1, c 2   NEVER TESTED"
    assert lines[-1] == "         a 1, b 1, c 1   runs now"
    assert len(lines) == 8
    assert all(line.startswith("         a ") for line in lines[1:])


def test_one_application_has_no_matrix() -> None:
    verdict = go()
    plan = replace(verdict.plan, applications={"a": Application(id="a", from_="1", to="2")})
    assert not told(replace(verdict, plan=plan), "versions")


def test_people_are_told_with_what_is_missing() -> None:
    roles = {
        "dba": Role(id="dba", primary="D. Kaya", standby="M. Ortiz", contact="ext. 4411"),
        "app": Role(id="app", primary="R. Okafor"),
    }
    verdict = go()
    lines = said(told(replace(verdict, plan=replace(verdict.plan, roles=roles)), "people"))
    assert lines == ("people role primary standby contact dba D. Kaya M. Ortiz ext. 4411 app R. Okafor NO STANDBY")


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
    assert head[1].startswith(f"window   {window_line}America/New_York)")
    assert next(line for line in head if line.startswith("judged")).endswith(f"must last until {needed}")


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
    lines = said(told(verdict, "inside"))
    assert f"{first} first" in lines
    assert f"{last} last" in lines


def test_a_decide_by_that_failures_move_is_told_where_it_is_now() -> None:
    verdict = no_go()
    assert verdict.found_schedule is not None
    hour = timedelta(hours=1)
    found = verdict.found_schedule
    moved = replace(found, decide_by=found.decide_by - hour, start_rollback_by=found.start_rollback_by - hour)
    told = said(times(replace(verdict, found_schedule=moved)))
    assert "decide by 03:09 (07:09 UTC), start rollback by 03:24 (07:24 UTC), margin" in told


def test_the_window_has_its_real_length_also_where_clocks_change() -> None:
    autumn = with_window(go(), start=datetime(2026, 11, 1, 4, tzinfo=UTC), end=datetime(2026, 11, 1, 11, tzinfo=UTC))
    span = "00:00 -04:00 to 06:00 -05:00 (America/New_York), 04:00 to 11:00 UTC, 7 h: clocks go back 1 h, from 02:00"
    assert span in said(text.render(autumn).splitlines())
    assert window_span(go().plan.window, go().moment).endswith("(America/New_York), 04:00 to 10:00 UTC, 6 h")


def test_utc_stands_beside_the_key_times_but_not_twice() -> None:
    evening = with_window(go(), start=datetime(2026, 10, 16, 22, tzinfo=UTC), end=datetime(2026, 10, 17, 4, tzinfo=UTC))
    assert "to Sat 2026-10-17 00:00 (America/New_York), 22:00 to 04:00 UTC" in said(text.render(evening).splitlines())
    assert " UTC)" not in said(times(with_window(go(), zone="UTC")))
    spring = datetime(2027, 3, 28, tzinfo=UTC)
    london = with_window(go(), zone="Europe/London", start=spring, end=spring + timedelta(hours=5))
    assert "00:00 +00:00 to 06:00 +01:00 (Europe/London), 00:00 to 05:00 UTC, 5 h: " in said(
        text.render(london).splitlines()
    )


def at(verdict: Verdict, moment: datetime, plan: Plan | None = None) -> Verdict:
    """What was found, judged for another moment."""
    return conclude(
        plan or verdict.plan, verdict.findings, planned=verdict.planned, evidence_digest="", moment=moment,
        collected_at=verdict.collected_at,
    )  # fmt: skip


def test_once_the_window_is_open_all_times_are_those_of_work_that_begins_now() -> None:
    start = go().plan.window.start
    late = at(go(), start + timedelta(hours=3, minutes=30))
    work, way_back = times(late)
    assert work == "06:25 (10:25 UTC) if the work begins now, latest start 01:04 (05:04 UTC) is over"
    assert way_back.endswith("start rollback by 04:24 (08:24 UTC), 1 h 56 min too late to decide")
    assert window_span(late.plan.window, late.moment).endswith("6 h, 2 h 30 min left")
    aloud = say.render(late)
    assert "Finish zero six twenty-five if the work begins now, latest start zero one zero four is over." in aloud
    assert "one hour fifty-six minutes too late" in aloud


def test_once_the_window_is_over_there_are_no_times_to_keep() -> None:
    over = at(go(), go().plan.window.end)
    assert not list(times(over))
    assert window_span(over.plan.window, over.moment).endswith("6 h, over")
    assert "to zero six hundred, over." in say.render(over)


def test_how_old_the_answers_are_is_told_on_request() -> None:
    assert said(told(go(), "ages")) == (
        "ages family oldest answer allowed state 12 min 30 min good access 13 h 4 h too old"
    )


def test_what_cannot_be_computed_is_said_to_be_unknown() -> None:
    first, *others = go().plan.steps
    plan = replace(go().plan, steps=(replace(first, undo=None), *others))
    verdict = replace(go(), plan=plan, planned_schedule=schedule(plan), found_schedule=schedule(plan))
    unknown_times = "decide by and start rollback by not known: the plan has no time for taking back stop-app1"
    assert list(times(verdict)) == ["02:55 (06:55 UTC), latest start not known", f"{unknown_times}, margin not known"]
    assert unknown_times.removeprefix("decide") in say.render(verdict)
    assert "start rollback by 04" not in html.render(verdict)


def test_a_way_over_the_network_without_a_declared_price_has_no_price() -> None:
    steps = tuple(replace(step, minutes_over_network=None) for step in no_go().plan.steps)
    verdict = no_go()
    unpriced = replace(verdict, plan=replace(verdict.plan, steps=steps))
    findings = [replace(each, price=each.price and replace(each.price, minutes=0.0)) for each in verdict.findings]
    report = text.render(replace(unpriced, findings=findings))
    assert "finish 0" not in report.partition("FAIL     login  db1")[2]
    unknown_price = "the plan has no minutes_over_network for backup-orders, scripts-orders"
    assert unknown_price in said(report.splitlines())
