"""What every format tells at the moments of a call: before the window, at its start, begun 20 min late, after
decide-by, after the end. Once the window is open no word of the plan's own finish and margin is left."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from preflight.report import View, Watch
from preflight.report.document import document
from preflight.report.formats import FORMATS, render
from preflight.verdict import Verdict
from tests.report.formats.cases import go, no_go, release
from tests.report.test_every_moment import PLANS, judged

BEFORE, START, LATE = timedelta(hours=-1), timedelta(), timedelta(minutes=20)
AFTER_DECIDE_BY, AFTER_END = timedelta(hours=4, minutes=50), timedelta(hours=7)
MOMENTS = (BEFORE, START, LATE, AFTER_DECIDE_BY, AFTER_END)
FINISH = {BEFORE: "02:55", START: "02:55", LATE: "03:15", AFTER_DECIDE_BY: "07:45"}
MARGIN = {BEFORE: "1 h 34 min", START: "1 h 34 min", LATE: "1 h 14 min", AFTER_DECIDE_BY: "3 h 16 min"}
ALOUD = {
    "02:55": "zero two fifty-five", "03:15": "zero three fifteen", "07:45": "zero seven forty-five",
    "1 h 34 min": "one hour thirty-four minutes", "1 h 14 min": "one hour fourteen minutes",
    "3 h 16 min": "three hours sixteen minutes",
}  # fmt: skip
START_AT = release().window.start


def report(form: str, verdict: Verdict) -> str:
    """On one line; of the page what a reader sees."""
    text = render(form, verdict, View(verbose=True))
    if form == "html":
        text = re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL))
    return " ".join(text.split())


def spelled(form: str, clock: str, length: str) -> Mapping[str, str]:
    """Finish and margin as the format writes them; nothing where it does not tell them."""
    hours, minutes = map(int, clock.split(":"))
    finish = START_AT + timedelta(hours=hours, minutes=minutes)
    found = re.fullmatch(r"(\d+) h (\d+) min", length)
    assert found
    margin = timedelta(hours=int(found[1]), minutes=int(found[2]))
    late = finish > START_AT + timedelta(hours=4)
    sign = "-" if late else ""
    return {
        "json": {
            "finish": f'"finish_at": "{finish.isoformat()}"',
            "margin": f'"margin_minutes": {sign}{margin.total_seconds() / 60:.1f}',
        },
        "prometheus": {
            "finish": f'finish_timestamp_seconds{{release="{release().release.id}"}} {finish.timestamp():.0f}',
            "margin": f'margin_seconds{{release="{release().release.id}"}} {sign}{margin.total_seconds():.0f}',
        },
        "nagios": {"margin": f" margin={sign}{margin.total_seconds():.0f}s "},
        "say": {"finish": f"Finish {ALOUD[clock]}", "margin": ALOUD[length]},
        "html": {"finish": f"finish {clock}", "margin": length},
        "junit": {},
    }.get(form, {"finish": f"{clock} ({finish.astimezone(UTC):%H:%M} UTC)", "margin": length})


@pytest.mark.parametrize(("form", "after"), list(product(FORMATS, MOMENTS)))
def test_finish_and_margin_are_those_of_work_that_can_still_be_done(form: str, after: timedelta) -> None:
    shown = report(form, judged(release(), after, go()))
    wanted = spelled(form, FINISH[after], MARGIN[after]) if after in FINISH else {}
    for what, text in wanted.items():
        assert text in shown, what
    if after > START:
        for what, text in spelled(form, FINISH[START], MARGIN[START]).items():
            assert text not in shown, f"the plan's {what}"
    if wanted and form in ("text", "markdown", "github", "html", "say"):
        assert ("if the work begins now" in shown) == (after > START)


@pytest.mark.parametrize(("form", "after"), list(product(("text", "markdown", "github", "html", "say"), MOMENTS)))
def test_what_is_over_is_said_to_be_over(form: str, after: timedelta) -> None:
    shown = report(form, judged(release(), after, go()))
    assert (re.search(r"decide by \S+ .{,40}is over", shown, re.IGNORECASE) is not None) == (after == AFTER_DECIDE_BY)
    assert ("too late to decide" in shown) == (after == AFTER_DECIDE_BY)
    if after == AFTER_END:
        assert "window is over" in shown.lower()
        assert not re.search(r"decide by (\d|zero)|start rollback by|margin (\d|one)", shown)


@pytest.mark.parametrize(
    ("after", "more"), [(BEFORE, "6 min"), (START, "6 min"), (LATE, "26 min"), (AFTER_DECIDE_BY, "4 h 56 min")]
)
def test_how_much_too_long_the_work_is_counts_from_when_it_can_begin(after: timedelta, more: str) -> None:
    """With what failed it should have begun 6 min before the window."""
    verdict = judged(release(), after, no_go())
    for form in ("text", "markdown", "github", "html"):
        assert f"{more} more than the window and its margin allow" in report(form, verdict)


@pytest.mark.parametrize("after", MOMENTS[:-1])
@pytest.mark.parametrize(("name", "found"), [("no undo minutes", go), ("no price", no_go), ("no undo", go)])
def test_what_is_not_known_is_said_to_be_so(name: str, found: object, after: timedelta) -> None:
    verdict = judged(PLANS[name], after, found())  # type: ignore[operator]
    for form in ("text", "markdown", "github", "html", "say"):
        shown = report(form, verdict).lower()
        for what in ("margin", "latest start", *(["decide by"] if "undo" in name else [])):
            assert re.search(rf"{what}( and start rollback by)? not known", shown), (form, what)
    assert " margin=U " in report("nagios", verdict)
    assert "margin_seconds{" not in report("prometheus", verdict)
    assert '"margin_minutes": null' in report("json", verdict)


@pytest.mark.parametrize("form", ["text", "html", "markdown"])
@pytest.mark.parametrize("after", MOMENTS[:-1])
def test_the_picture_says_of_what_work_it_is(form: str, after: timedelta) -> None:
    assert ("planned, begun now" in report(form, judged(release(), after, go()))) == (after > START)


@pytest.mark.parametrize("after", MOMENTS)
def test_what_has_ended_inside_is_past(after: timedelta) -> None:
    (told, *_) = document(judged(release(), after, no_go()), View()).inside
    assert told.startswith("02:30")
    assert told.endswith("past)") == (after > timedelta(hours=2, minutes=30))


def told_now(verdict: Verdict, at: datetime) -> tuple[str, ...]:
    watch = Watch(at=at, begun_at=at, rounds=1, every_seconds=60, goes_on=True)
    return document(verdict, View(watch=watch)).now.items


OPENS = "00:00 (04:00 UTC) the window opens, stop-app1 begins, stop-app2 begins"
NEXT = "00:05 (04:05 UTC) backup-orders begins, backup-billing begins"


@pytest.mark.parametrize(
    ("after", "here", "following", "decide"),
    [
        (BEFORE, "1 h before the start", f"{OPENS}, in 1 h", "in 5 h 9 min"),
        (START, "0 s after the start", f"{NEXT}, in 5 min", "in 4 h 9 min"),
        (LATE, "20 min after the start", "01:04 (05:04 UTC) the latest start, in 44 min", "in 3 h 49 min"),
        (AFTER_DECIDE_BY, "4 h 50 min after the start", "06:00 (10:00 UTC) the window ends, in 1 h 10 min", "is over"),
        (AFTER_END, "the window is over", "", ""),
    ],
)  # fmt: skip
def test_a_watch_says_where_in_the_night_it_is(after: timedelta, here: str, following: str, decide: str) -> None:
    lines = told_now(judged(release(), after, go()), START_AT + after)
    assert lines[0].endswith(f", {here}")
    assert [line.removeprefix("next: ") for line in lines if line.startswith("next: ")] == [following] * bool(following)
    told = [line for line in lines if line.startswith("decide by")]
    assert told == ([f"decide by 04:09 (08:09 UTC): {decide}"] if decide else [])


def test_a_watch_names_no_start_that_lies_before_the_window_and_no_time_that_is_not_known() -> None:
    lines = told_now(judged(release(), BEFORE, no_go()), START_AT + BEFORE)
    assert "latest start" not in " ".join(lines)
    (unknown,) = [each for each in told_now(judged(PLANS["no undo"], BEFORE, go()), START_AT) if "decide" in each]
    assert unknown.startswith("decide by not known: the plan has no time for taking back stop-app1")
    (none,) = [each for each in told_now(judged(PLANS["no steps"], BEFORE, go()), START_AT) if "decide" in each]
    assert none == "decide by not known: the plan has no steps"


def test_a_watch_names_what_must_be_asked_for_next() -> None:
    verdict = judged(release(), BEFORE, no_go())
    asked = min(each.cure_by for each in verdict.findings if each.cure_by)
    lines = told_now(verdict, asked - timedelta(minutes=10))
    assert any("the last moment to ask S. Lindqvist for the cure of login db1, in 10 min" in line for line in lines)


def test_the_page_of_a_watch_reads_itself_again_and_shows_what_the_text_shows() -> None:
    at = datetime(2026, 10, 17, 3, tzinfo=UTC)
    verdict = judged(release(), BEFORE, go())
    watch = Watch(
        at=at, begun_at=at, rounds=3, every_seconds=15, goes_on=True, refused=("db1", "db2"), steady="GO for 1 min"
    )
    page, text = (render(form, verdict, View(watch=watch)) for form in ("html", "text"))
    assert page.count('<meta http-equiv="refresh" content="15">') == 1
    for line in document(verdict, View(watch=watch)).now.items:
        assert line in page
        assert line in " ".join(text.split())
    assert "db1, db2" in page
