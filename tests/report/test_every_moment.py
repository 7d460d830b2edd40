"""Every number of a report is true at the moment judged, whatever the plan leaves out and whatever failed: all formats
tell the same times, and none that a finding contradicts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from preflight_checks.time_budget import TimeBudget

from preflight.finding import Finding, Judgement, Severity, Status
from preflight.judging.schedule import time_in_window
from preflight.plan import Plan, Undo, UndoKind
from preflight.report import View
from preflight.report.document.figures import figures, without_times
from preflight.report.document.window import WRITTEN
from preflight.report.formats import github, html, junit, markdown, nagios, prometheus, say, text
from preflight.report.formats import json as json_format
from preflight.units import format_duration
from preflight.verdict import Verdict
from tests.report.formats.cases import go, no_go, release
from tests.toy import conclude

MOMENTS = {
    "long before": -timedelta(days=90),
    "the day before": -timedelta(hours=13),
    "at the start": timedelta(),
    **{f"{minutes} min after it": timedelta(minutes=minutes) for minutes in (3, 20, 50, 70, 130, 170)},
    "after decide-by": timedelta(hours=4, minutes=15),
    "after start-rollback-by": timedelta(hours=5),
    "at the end": timedelta(hours=6),
    "in the reserve": timedelta(hours=6, minutes=30),
    "after it": timedelta(days=3),
}
"""Counted from the window's start."""
FEW_MOMENTS = [name for name in MOMENTS if "0 min" not in name]


def changed(**fields: object) -> Plan:
    return replace(release(), steps=tuple(replace(step, **fields) for step in release().steps))  # type: ignore[arg-type]


UNPRICED = changed(minutes_over_network=None)


def plans() -> Iterator[tuple[str, Plan]]:
    yield "whole", release()
    yield "no steps", replace(release(), steps=())
    yield "no undo", changed(undo=None)
    yield "no undo minutes", changed(undo=Undo(kind=UndoKind.RESTORE))
    yield "nothing to undo", changed(undo=Undo(kind=UndoKind.NOTHING_TO_UNDO))
    yield "no price", UNPRICED
    *others, last = release().steps
    yield "no way back at the end", replace(release(), steps=(*others, replace(last, undo=Undo(kind=UndoKind.NONE))))
    priced = [replace(step, minutes_over_network=75) if step.id == "backup-orders" else step for step in UNPRICED.steps]
    yield "one price", replace(release(), steps=tuple(priced))
    yield "too long", changed(minutes=120)
    autumn = datetime(2026, 11, 1, 4, tzinfo=UTC)
    ends = autumn + timedelta(hours=6)
    yield "clocks go back", replace(release(), window=replace(release().window, start=autumn, end=ends))
    yield "in UTC", replace(release(), window=replace(release().window, zone="UTC"))


PLANS = dict(plans())


def judged(plan: Plan, after: timedelta, found: Verdict) -> Verdict:
    """As `run` concludes it so long after the window's start, with what time-budget itself says then."""
    moment = plan.window.start + after
    check = TimeBudget(plan, moment)
    own = [
        Finding(check="time-budget", title="", subject=each.id, severity=Severity.BLOCKING, judgement=check.judge(each))
        for each in check.subjects()
    ]
    findings = [*found.findings, *own]
    return conclude(
        plan, findings, planned=len(findings), evidence_digest="", collected_at=found.collected_at, moment=moment
    )


def told(verdict: Verdict) -> Mapping[str, str]:
    """Every format's report on one line."""
    formats = (github, html, junit, markdown, nagios, prometheus, text)
    reports = {each.__name__.rpartition(".")[2]: each.render(verdict, View(verbose=True)) for each in formats}
    plain = {name: re.sub(r"<title>[^<]*</title>", "", report) for name, report in reports.items()}
    return {name: " ".join(report.replace("%0A", " ").split()) for name, report in plain.items()}


def head(verdict: Verdict) -> str:
    return " ".join(text.render(verdict).partition("\n\n")[0].split())


@pytest.mark.parametrize(("name", "moment", "found"), list(product(PLANS, FEW_MOMENTS, (go, no_go))))
def test_all_formats_tell_the_same_times_and_only_those_that_are_known(name: str, moment: str, found: object) -> None:
    verdict = judged(PLANS[name], MOMENTS[moment], found())  # type: ignore[operator]
    schedule, window = json.loads(json_format.render(verdict))["schedule"]["found"] or {}, verdict.plan.window
    gauges = dict(re.findall(r"^preflight_(\w+)_timestamp_seconds{.*} (\d+)$", prometheus.render(verdict), re.M))
    reports = told(verdict)
    for key, words in (("decide_by", "decide by"), ("start_rollback_by", "start rollback by"), ("finish_at", "")):
        known = schedule.get(key) and datetime.fromisoformat(schedule[key])
        assert gauges.get(key.removesuffix("_at")) == (f"{known.timestamp():.0f}" if known else None)
        if words:
            said = {at for report in reports.values() for at in re.findall(rf"{words} (\d\d:\d\d)", report)}
            budget = [each for each in verdict.findings if each.check == "time-budget" and "at the latest" in str(each)]
            assert said <= {time_in_window(window, known)[:5] if known else ""} or budget
    margin_minutes = schedule.get("margin_minutes")
    known_margin = None if margin_minutes is None else timedelta(minutes=margin_minutes)
    assert re.findall(r" margin=(\S+?)[;s ]", nagios.render(verdict)) == (
        [] if not schedule else ["U" if known_margin is None else f"{known_margin.total_seconds():.0f}"]
    )
    assert (known_margin is not None and WRITTEN.margin(known_margin) in head(verdict)) == (known_margin is not None)
    assert bool(schedule) == bool(verdict.plan.steps and verdict.moment < window.end)
    if schedule:
        first = min(datetime.fromisoformat(slot["begins_at"]) for slot in schedule["slots"])
        assert first == max(window.start, verdict.moment), "nobody knows that the work was begun before"
        assert (schedule["finish_at"] is None) == ("pric" in name and found is no_go)
        assert (schedule["decide_by"] is None) == ("undo" in name)
        assert (schedule["margin_minutes"] is None) == ("undo" in name or schedule["finish_at"] is None)


@pytest.mark.parametrize(("name", "moment"), list(product(PLANS, MOMENTS)))
def test_the_head_says_what_time_budget_says(name: str, moment: str) -> None:
    """Nothing else failed, so that both speak of the same work."""
    verdict = judged(PLANS[name], MOMENTS[moment], go())
    window, shown = verdict.plan.window, head(verdict)
    (budget,) = [each.judgement for each in verdict.findings if each.check == "time-budget"] or [None]
    if budget is None:
        assert "finish" not in shown
        return
    numbers(budget, shown)
    if budget.status in (Status.PASS, Status.WARN):
        assert " is over" not in shown
        assert "more than the window" not in shown
        assert "too late" not in shown
    if budget.summary == "the window is over":
        assert ", over judged " in shown
        assert "decide by" not in shown
    elif budget.summary.endswith("too late to begin") and "not known" not in shown:
        assert re.search(r"latest start [^,]* is over", shown)
    elif "short: " in budget.summary and "at the latest" not in budget.summary:
        assert "more than the window and its margin allow" in shown
    if verdict.moment >= window.end:
        assert "finish" not in shown
    needed = time_in_window(window, max(window.needed_until, verdict.moment))
    assert f"what is used must last until {needed} asked" in shown


@pytest.mark.parametrize(("name", "found"), list(product(PLANS, (go, no_go))))
def test_a_figure_is_a_time_that_is_known_or_says_that_it_is_not(name: str, found: object) -> None:
    for moment in MOMENTS.values():
        verdict = judged(PLANS[name], moment, found())  # type: ignore[operator]
        window, schedule = verdict.plan.window, verdict.found_schedule
        told = {each.label: each for each in figures(verdict)}
        assert bool(told) != bool(without_times(verdict))
        if not schedule:
            continue
        known = schedule.known
        for label, at in (
            ("finish", known.finish_at),
            ("decide by", known.decide_by),
            ("start rollback by", known.start_rollback_by),
            ("latest start", known.latest_start),
        ):
            shown = told.get(label)
            if at is None:
                assert shown is None or shown.value in ("not known", "none")
            elif shown and shown.value != "none":
                assert (shown.value, "is over" in shown.note) == (time_in_window(window, at), at < verdict.moment)
                assert shown.utc == ("" if window.zone == "UTC" else f"{at.astimezone(UTC):%H:%M} UTC")
        if known.margin is not None and known.margin >= timedelta():
            assert told["margin"].value == format_duration(known.margin)
        assert all(each.note or each.value == "not known" for each in told.values() if each.bad), "colour is not alone"


def numbers(budget: Judgement, shown: str) -> None:
    """Those of a finding that passes are those of the head."""
    if budget.status is Status.PASS:
        begun, _, rest = budget.summary.partition(": finish ")
        assert (" if the work begins now" in shown) == (begun == "begun now")
        for part in rest.split(", ")[1:]:
            assert part.replace("point of no return", "no way back from") in re.sub(r" \([^)]*UTC\)", "", shown)


@pytest.mark.parametrize("name", PLANS)
def test_a_price_that_is_not_that_of_all_says_so(name: str) -> None:
    verdict = judged(PLANS[name], timedelta(), no_go())
    report = " ".join(text.render(verdict).split())
    assert ("45+ min " in report) == (name == "one price"), "the table says that it is not all"
    prices = re.findall(r" price (.*?) (?:lead|seen) ", report)
    known = verdict.found_schedule and verdict.found_schedule.known
    for price in prices:
        finish = re.search(r"finish (\d\d:\d\d)", price)
        if finish and known and known.finish_at:
            whole = finish[1] == time_in_window(verdict.plan.window, known.finish_at)[:5]
            assert whole or price.endswith("with this alone")
        assert bool(finish) == ("at least" not in price and "not known" not in price)


@pytest.mark.parametrize("moment", MOMENTS)
def test_aloud_no_time_is_one_that_is_not_known(moment: str) -> None:
    for name, found in product(PLANS, (go, no_go)):
        verdict = judged(PLANS[name], MOMENTS[moment], found())
        known = verdict.found_schedule and verdict.found_schedule.known
        aloud = say.render(verdict)
        assert ("ecide by zero" in aloud) == bool(known and known.decide_by), name
        told = "argin" in aloud.replace("argin not known", "") or " too late to decide" in aloud
        assert told == bool(known and known.margin is not None), name
        assert ("Finish not before" in aloud) == bool(known and known.finish_at is None), name


@pytest.mark.parametrize("found", [go, no_go])
def test_the_picture_ends_each_step_when_the_table_of_steps_does(found: object) -> None:
    for after in MOMENTS.values():
        verdict = judged(release(), after, found())  # type: ignore[operator]
        lines = text.render(verdict, View(verbose=True)).splitlines()
        for slot in verdict.found_schedule.slots if verdict.found_schedule else ():
            ends = time_in_window(verdict.plan.window, slot.ends_at)
            drawn, listed = (line for line in lines if re.match(rf" *{slot.step.id} +\d", line))
            assert drawn.split()[1] == ends
            assert listed.split()[2] == ends


def test_a_step_after_one_whose_time_is_not_known_ends_later_in_every_picture() -> None:
    verdict = judged(PLANS["one price"], timedelta(), no_go())
    report, page = text.render(verdict, View(verbose=True)), html.render(verdict)
    assert re.findall(r"^ (\S+) +\d\d:\d\d\+ ", report, re.M) == [
        "scripts-orders", "verify-orders", "deploy-app1", "smoke-test", "announce"
    ]  # fmt: skip
    assert report.count("ends later") == 5
    assert len(re.findall(r">\d\d:\d\d\+<", page)) == 5


def test_which_of_two_equal_times_is_meant_is_told_everywhere() -> None:
    """00:00 to 06:00 on the night on which clocks go back; the scripts end in the hour that comes twice."""
    start = datetime(2026, 11, 1, 4, tzinfo=UTC)
    window = replace(release().window, start=start, end=start + timedelta(hours=7))
    verdict = judged(replace(release(), window=window), timedelta(), go())
    shown = text.render(verdict, View(verbose=True))
    assert "7 h: clocks go back 1 h, from 02:00 to 01:00" in " ".join(shown.split())
    assert re.search(r"^ scripts-orders +01:05 -05:00 [ #\u2588]+$", shown, re.M)
    assert re.search(r"scripts-orders +00:35 -04:00 +01:05 -05:00 \(second\) ", shown)
    assert "01:05 -05:00" in html.render(verdict)
    assert "scripts-orders 00:35 -04:00 to 01:05 -05:00 (second)" in html.render(verdict)
    assert format_duration(window.end - window.start) == "7 h"
