"""What is read aloud: short, the verdict first, no waiver left out, nothing a voice stumbles over."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from preflight.finding import Severity, Status
from preflight.report.formats import say
from preflight.verdict import Verdict, WaiverState, WaiverUse
from tests.report.formats.cases import CASES, COLLECTED, NO_LOGIN, go, hold, hostile, no_go, waived
from tests.toy import conclude

MOST_WORDS = 115
"""Less than a minute at a calm pace: 150 words a minute, the long ones that numbers are included."""
NUMBERS = {say.number(value): value for value in range(1000)}


@pytest.mark.parametrize("case", CASES)
def test_it_takes_less_than_a_minute(case: str) -> None:
    assert len(say.render(CASES[case]()).split()) <= MOST_WORDS


def test_many_things_to_cure_and_many_people_take_no_longer() -> None:
    verdict = no_go()
    people = ["D. Kaya", "S. Lindqvist", "R. Okafor", "J. Novak", "A. Haddad", "L. Brandt"]
    findings = [
        replace(
            each,
            subject=f"{each.subject} {number}",
            owner=f"{people[number % 6]} (role), ext. 1",
            judgement=replace(NO_LOGIN, summary=f"the password was refused {number + 100} times"),
        )
        for number, each in enumerate(verdict.findings * 4)
    ]
    run = conclude(
        replace(verdict.plan, waivers=()),
        findings,
        planned=len(findings),
        evidence_digest="e" * 64,
        collected_at=COLLECTED,
        moment=COLLECTED,
    )
    text = say.render(run)
    assert len(text.split()) <= MOST_WORDS
    cured = sum(each.severity is Severity.BLOCKING for each in findings)
    shown = [line for line in text.splitlines() if " must cure " in line]
    more = re.findall(r"and (\S+) more", text, re.IGNORECASE)
    assert len(shown) == 3
    assert sum(NUMBERS[each] for each in more) + len(shown) == cured


@pytest.mark.parametrize(
    ("case", "first"), [("go", "Go for "), ("no-go", "No go for "), ("hold", "Hold for "), ("waived", "Go with one ")]
)
def test_the_verdict_comes_first(case: str, first: str) -> None:
    assert say.render(CASES[case]()).startswith(first)


@pytest.mark.parametrize("verdict", [go(), no_go(), hold(), waived(), hostile()])
def test_there_is_nothing_that_a_voice_stumbles_over(verdict: Verdict) -> None:
    text = say.render(verdict)
    assert re.fullmatch(r"[\w .,;:'\n-]+", text)
    assert not re.search(r"\d\d:\d\d|://|[0-9a-f]{12}", text)
    assert all(not line[0].islower() and line.endswith(".") for line in text.splitlines())


def test_who_must_do_what_by_when_and_at_what_price() -> None:
    assert "S. Lindqvist must cure login of db1 with two checks behind it, overdue." in say.render(no_go())
    assert "R. Okafor must cure hashes of orders, by the start." in say.render(no_go())
    assert (
        "D. Kaya must cure two checks behind db1: the server refused the password of dbadmin, by the start."
        in say.render(hold())
    )


def test_each_person_is_named_once_with_what_keeps_most_from_looking_first() -> None:
    verdict = no_go()
    ask_by = verdict.plan.window.start - timedelta(hours=4)
    findings = [replace(each, owner="D. Kaya (dba)", cure_by=ask_by) for each in verdict.findings]
    text = say.render(replace(verdict, findings=findings, moment=ask_by))
    assert "D. Kaya must cure login of db1 with two checks behind it and two more, by Friday twenty hundred." in text
    assert text.count("D. Kaya") == 1
    two = [each for each in findings if each.check != "space"]
    assert "behind it and hashes of orders, by Friday" in say.render(replace(verdict, findings=two, moment=ask_by))


def test_warnings_are_said_in_words() -> None:
    verdict = go()
    warned = next(each for each in verdict.findings if each.status is Status.WARN)
    assert "One warning: health of app2." in say.render(verdict)
    three = [replace(warned, check="backup-space", subject=subject) for subject in ("orders", "billing", "crm")]
    assert "Three warnings: backup space of orders, backup space of billing and one more." in say.render(
        replace(verdict, findings=three)
    )


def test_what_is_advisory_is_nothing_to_cure() -> None:
    verdict = hold()
    findings = [replace(each, severity=Severity.ADVISORY) for each in verdict.findings]
    assert "cure" not in say.render(replace(verdict, findings=findings))


def test_an_owner_that_nobody_named_is_somebody() -> None:
    verdict = no_go()
    unowned = replace(verdict, findings=[replace(each, owner="") for each in verdict.findings])
    assert "Somebody must cure login of db1" in say.render(unowned)


@pytest.mark.parametrize("state", WaiverState)
def test_every_waiver_is_said_with_what_became_of_it(state: WaiverState) -> None:
    verdict = waived()
    uses = tuple(WaiverUse(replace(verdict.waivers[0].waiver, id=f"W-{n}"), state, "because") for n in range(12))
    text = say.render(replace(verdict, waivers=uses))
    for number in range(12):
        assert re.search(rf"^Waiver W-{number}\b", text, re.MULTILINE)
    if state is WaiverState.COVERS:
        assert text.count("covers health of app1 on app1-b, ") == 12
    else:
        assert text.count(f", covers nothing: {state}.") == 12
    assert text.count("approved by A. Haddad until zero eight hundred") == 12


def test_the_times_are_those_of_the_head() -> None:
    assert (
        "Finish zero four zero five, one hour ten minutes longer with what failed, six minutes more than the window"
        in say.render(no_go())
    )
    assert "Decide by zero four zero nine, start rollback by zero four twenty-four, margin one hour" in say.render(go())


def test_a_margin_that_is_gone_is_said_to_be() -> None:
    verdict = go()
    assert verdict.found_schedule is not None
    late = replace(verdict, found_schedule=replace(verdict.found_schedule, margin=timedelta(minutes=-5)))
    assert "five minutes too late to decide." in say.render(late)


def test_from_when_on_there_is_no_way_back_is_said() -> None:
    verdict = go()
    assert verdict.found_schedule is not None
    final = replace(
        verdict.found_schedule, point_of_no_return=verdict.plan.window.start + timedelta(hours=3, minutes=5)
    )
    assert "no way back from zero three zero five on." in say.render(replace(verdict, found_schedule=final))


def test_without_steps_no_times_are_said() -> None:
    assert "Decide by" not in say.render(replace(go(), planned_schedule=None, found_schedule=None))


def test_what_was_not_checked_and_why_it_is_no_go_is_said() -> None:
    assert "Not checked: one thing left unconfirmed." in say.render(go())
    first, *others = go().findings
    skipped = replace(first, judgement=replace(first.judgement, status=Status.SKIPPED))
    part = replace(go(), findings=[skipped, *others], reason="correct start and end in [window]")
    assert "Not checked: one check not selected and one thing left unconfirmed." in say.render(part)
    assert "Correct start and end in window." in say.render(part)
    assert "Not checked" not in say.render(replace(go(), unconfirmed=()))
