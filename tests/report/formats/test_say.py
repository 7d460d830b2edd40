"""What is read aloud: short, the verdict first, no waiver left out, nothing a voice stumbles over."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from preflight.report.formats import say
from preflight.verdict import Verdict
from preflight.waivers import WaiverState, WaiverUse
from tests.report.formats.cases import CASES, go, hold, hostile, no_go, waived

MOST_WORDS = 120
"""A minute at a calm pace."""


@pytest.mark.parametrize("case", CASES)
def test_it_takes_less_than_a_minute(case: str) -> None:
    assert len(say.render(CASES[case]()).split()) <= MOST_WORDS


@pytest.mark.parametrize(
    ("case", "first"), [("go", "Go for "), ("no-go", "No go for "), ("hold", "Hold for "), ("waived", "Go with one ")]
)
def test_the_verdict_comes_first(case: str, first: str) -> None:
    assert say.render(CASES[case]()).startswith(first)


@pytest.mark.parametrize("verdict", [go(), no_go(), hold(), waived(), hostile()])
def test_there_is_nothing_that_a_voice_stumbles_over(verdict: Verdict) -> None:
    text = say.render(verdict)
    assert re.fullmatch(r"[\w .,;:@'\n-]+", text)
    assert not re.search(r"\d\d:\d\d|://|[0-9a-f]{12}", text)
    assert all(line[0].isupper() and line.endswith(".") for line in text.splitlines())


def test_who_must_do_what_by_when_and_at_what_price() -> None:
    assert "S. Lindqvist must cure host-login db1, overdue; it costs one hour ten minutes." in say.render(no_go())
    assert "And one more." in say.render(no_go())
    assert "Two checks could not look; D. Kaya must find out why, by zero zero hundred." in say.render(hold())


def test_an_owner_that_nobody_named_is_somebody() -> None:
    verdict = no_go()
    unowned = replace(verdict, findings=[replace(each, owner="") for each in verdict.findings])
    assert "Somebody must cure host-login db1" in say.render(unowned)


@pytest.mark.parametrize("state", WaiverState)
def test_every_waiver_is_said_with_what_became_of_it(state: WaiverState) -> None:
    verdict = waived()
    uses = tuple(WaiverUse(replace(verdict.waivers[0].waiver, id=f"W-{n}"), state, "because") for n in range(12))
    text = say.render(replace(verdict, waivers=uses))
    for number in range(12):
        assert f"Waiver W-{number} " in text
    if state is WaiverState.COVERS:
        assert "until zero eight hundred, approved by A. Haddad." in text
    else:
        assert text.count(f"covers nothing: {state}.") == 12


def test_the_times_are_those_of_the_head() -> None:
    assert "The work ends zero four zero five, planned was zero two fifty-five." in say.render(no_go())
    assert "Decide by zero four zero nine, start rollback by zero four twenty-four, margin one hour" in say.render(go())


def test_a_margin_that_is_gone_is_said_to_be() -> None:
    verdict = go()
    assert verdict.found_schedule is not None
    late = replace(verdict, found_schedule=replace(verdict.found_schedule, margin=timedelta(minutes=-5)))
    assert "five minutes too late." in say.render(late)


def test_without_steps_no_times_are_said() -> None:
    assert "Decide by" not in say.render(replace(go(), planned_schedule=None, found_schedule=None))


def test_what_was_not_checked_and_why_it_is_no_go_is_said() -> None:
    assert "Not checked: one thing that the plan leaves unconfirmed." in say.render(go())
    assert "Part of the checks was not selected." in say.render(
        replace(go(), reason="part of the checks was not selected")
    )
