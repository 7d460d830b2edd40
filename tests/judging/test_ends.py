"""What ends, held against the window: each side of each limit, and what runs when it ends."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from preflight.clock import format_moment
from preflight.finding import Event, Judgement, Status
from preflight.judging.ends import End, TimeOfNeed, certificate_ends
from preflight.questions.certificates import Certificate, Issuer
from tests.window_plans import minutes, step, window, work

WINDOW = window()  # 00:00 to 06:00 -04:00, needed until 07:00
PLAN = work(step("backup", 30), step("scripts", 90, "backup"), step("deploy", 30, "backup"), within=WINDOW)
DAY_BEFORE = WINDOW.start - timedelta(hours=9)
WEEK = timedelta(days=7)


def judged(at: datetime, moment: datetime = DAY_BEFORE, **fields: str) -> Judgement:
    end = End(what="account", where="of dbadmin", at=at, remedy="chage", **fields)
    return TimeOfNeed(PLAN, moment, WEEK).judge(end)


@pytest.mark.parametrize(
    ("after_start", "when"),
    [
        (-minutes(240), "4 h before the start"),
        (minutes(0), "while backup runs"),
        (minutes(45), "while scripts and deploy run"),
        (minutes(300), "5 h after the start"),
        (minutes(420), "while a rollback may be at work"),
    ],
)
def test_what_ends_within_the_work_fails_and_tells_what_runs_then(after_start: timedelta, when: str) -> None:
    found = judged(WINDOW.start + after_start)
    told = format_moment(WINDOW.start + after_start, WINDOW.zone)
    summary = f"the account ends {told}, before the work is over: {when}"
    assert (found.status, found.summary, found.remedy) == (Status.FAIL, summary, "chage")
    assert found.expected == "valid past Sat 2026-10-17 07:00 -04:00, the end of the window and of a rollback"
    assert found.events == (Event(at=WINDOW.start + after_start, text="account of dbadmin ends"),)


@pytest.mark.parametrize(
    ("after_need", "status"),
    [(timedelta(0), Status.FAIL), (timedelta(seconds=1), Status.WARN), (WEEK, Status.WARN),
     (WEEK + timedelta(seconds=1), Status.PASS)],
)  # fmt: skip
def test_soon_after_the_work_is_a_warning(after_need: timedelta, status: Status) -> None:
    assert judged(WINDOW.needed_until + after_need).status is status


def test_what_does_not_matter_to_this_login_is_no_more_than_a_warning() -> None:
    found = judged(WINDOW.start, tolerated="which nobody asks for")
    assert (found.status, found.summary) == (
        Status.WARN,
        "the account ends Sat 2026-10-17 00:00 -04:00, while backup runs, which nobody asks for",
    )


def test_what_is_over_by_the_moment_judged_fails_however_long_ago_the_window_was() -> None:
    later = WINDOW.needed_until + timedelta(days=30)
    assert judged(later - timedelta(days=1), later).status is Status.FAIL
    assert judged(later + timedelta(days=1), later).status is Status.WARN


def test_how_an_end_is_known_stands_with_it() -> None:
    found = judged(WINDOW.start, known_by="as announced at login")
    assert found.summary.startswith("the account (as announced at login) ends Sat")
    assert found.events[0].text == "account of dbadmin ends (as announced at login)"


@pytest.mark.parametrize(
    ("issuer_hours", "own_hours", "told"),
    [
        (100 * 24, 200 * 24, ["the intermediate certificate CN=CA 2"]),
        (200 * 24, 100 * 24, ["the certificate"]),
        (1, 200 * 24, ["the intermediate certificate CN=CA 2"]),
        (2, 1, ["the certificate", "the intermediate certificate CN=CA 2"]),
    ],
)
def test_of_a_chain_each_that_ends_too_soon_is_told_or_else_the_first(
    issuer_hours: int, own_hours: int, told: list[str]
) -> None:
    until = {hours: WINDOW.start + timedelta(hours=hours) for hours in (issuer_hours, own_hours)}
    issuers = (Issuer("CN=CA 2", until[issuer_hours], is_root=False),)
    own = Certificate(until[own_hours], "CN=db1", "CN=CA 2", ("db1",), "ab" * 32, True, issuers)
    ends = certificate_ends(own, "orders", "renew")
    found = list(TimeOfNeed(PLAN, DAY_BEFORE, WEEK).judge_together(ends))
    assert [point.summary.partition(" ends ")[0] for point in found] == told
    assert {point.status for point in found} == {Status.PASS if min(issuer_hours, own_hours) > 99 else Status.FAIL}


def test_a_new_date_as_told_would_pass() -> None:
    need = TimeOfNeed(PLAN, DAY_BEFORE, WEEK)
    midnight = datetime.combine(need.good_date(), datetime.min.time(), WINDOW.start.tzinfo)
    assert judged(midnight).status is Status.PASS
