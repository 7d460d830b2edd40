"""What is equal but for the names in it is told once in every format, with a count and the names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from preflight.finding import Finding, Status
from preflight.report import PLAIN, View
from preflight.report.document import document
from preflight.report.document.order import blockers, findings_alike, first_of
from preflight.report.formats import github, html, markdown, nagios, say, text
from preflight.verdict import Verdict
from tests.report.formats.cases import no_go, two_hundred_hosts

LOGIN = "login of 200: web000.example.net, web001.example.net, web002.example.net, and 197 more"
BEHIND = f"200 checks behind {LOGIN}: the server refused the password of dbadmin"


@pytest.mark.long
def test_two_hundred_equal_failures_are_one_line_with_their_count_in_every_format() -> None:
    verdict = two_hundred_hosts()
    short = " ".join(text.render(verdict, View(short=True)).split())
    for report in (short, nagios.render(verdict)):
        assert f"login db1; {LOGIN}; {BEHIND}; and 3 more" in report
    assert "login of 200: web000.example.net, web001.example.net" in say.render(verdict)
    for report in (text.render(verdict), markdown.render(verdict), html.render(verdict)):
        assert "alike" in report
        assert all(f"web{number:03}.example.net" in report for number in range(200)), "each is named once somewhere"
    assert github.render(verdict).count("::error ") < 10


@pytest.mark.long
def test_each_of_them_has_its_own_command_in_the_page() -> None:
    _, act = document(two_hundred_hosts(), PLAIN).cards[0].acts
    assert act.blocker.alike[-1] == (
        "web199.example.net",
        "have it set on web199.example.net, then: ssh dbadmin@web199.example.net true",
    )
    assert ">ssh dbadmin@web199.example.net true</pre>" in html.render(two_hundred_hosts())


def test_what_differs_in_more_than_its_name_is_told_by_itself() -> None:
    login = next(each for each in no_go().findings if each.check == "login" and each.status is Status.FAIL)

    def other(**fields: str) -> Finding:
        return replace(login, subject="db2", vantage="on db2 as dbadmin", judgement=replace(login.judgement, **fields))

    def together(*findings: Finding) -> list[int]:
        return [len(each) for each in findings_alike(no_go().plan, findings)]

    assert together(login, other()) == [1, 1], "the text still names db1"
    seen = login.judgement
    named = other(actual=seen.actual.replace("db1", "db2"), remedy=seen.remedy.replace("db1", "db2"))
    assert together(login, named) == [2]
    assert together(login, replace(named, price=None)) == [1, 1], "it costs nothing"
    assert together(login, replace(named, owner="L. Brandt")) == [1, 1]
    assert together(login, replace(named, judgement=replace(named.judgement, details="more"))) == [1, 1]


def test_where_few_have_room_one_of_them_is_what_could_not_be_looked_at() -> None:
    rows = blockers(no_go())
    assert [row.what for row in first_of(rows, 2)] == ["login db1", "2 checks behind login db1"]
    assert first_of(rows, 4) == rows
    assert first_of(rows[:3], 2) == rows[:2]


def test_the_cards_stand_in_the_order_of_their_deadlines_and_nothing_is_told_twice() -> None:
    cards = document(no_go(), PLAIN).cards
    assert [(card.name, card.contact, len(card.acts)) for card in cards] == [
        ("S. Lindqvist", "(unix), ext. 4422", 1),
        ("D. Kaya", "(dba), DBA on call, ext. 4411", 1),
        ("R. Okafor", "(app1), ext. 4433", 1),
    ]
    assert sorted(cards, key=lambda card: card.first.ask_by) == list(cards)
    assert cards[0].acts[0].waiting == 2
    page = html.render(no_go())
    assert "2 checks cannot look until then" in page
    assert page.count("<strong>hashes orders</strong>") == 2, "its card, and the finding"


def test_an_empty_list_of_acts_says_so() -> None:
    empty: Verdict = replace(no_go(), findings=[])
    assert "Nothing is to be cured before the window." in html.render(empty)
