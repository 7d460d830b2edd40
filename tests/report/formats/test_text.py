"""The text report: 100 columns, nothing hidden, nothing harmful."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from preflight.finding import Finding, Judgement, Price, Severity, Status, failed, passed, unknown, warned
from preflight.report import View
from preflight.report.formats import json as json_report
from preflight.report.formats import text as text_report
from preflight.report.harmless import clean
from preflight.report.layout import WIDTH, detail, wrapped
from preflight.verdict import Verdict
from tests.toy import MOMENT, conclude, toy_plan

HOSTILE = "\033[31mred\033[0m \u202eevil\u202c \x07bell \r\nNO-GO\b\x9b2J \ud800 é \u200bzero"


def finding(judgement: Judgement, check: str = "toy", subject: str = "db1", **fields: object) -> Finding:
    base = Finding(
        check=check,
        title="it is so",
        subject=subject,
        severity=Severity.BLOCKING,
        judgement=judgement,
        owner="D. Kaya",
        oldest_evidence_at=MOMENT,
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def verdict(*findings: Finding, partial: bool = False) -> Verdict:
    concluded = conclude(
        toy_plan(),
        findings,
        planned=len(findings),
        evidence_digest="e" * 64,
        collected_at=MOMENT,
        moment=MOMENT,
        partial=partial,
    )
    return replace(concluded, unconfirmed=("Database orders has no backup.",))


BAD = failed(
    "is full", expected="10 GiB", actual="1 GiB", remedy="free 9 GiB", minutes_at_stake=45, details="-old\n+new"
)


def test_the_first_word_is_the_verdict_and_the_last_line_the_exit_code() -> None:
    lines = text_report.render(verdict(finding(BAD))).splitlines()
    assert lines[0].startswith("NO-GO")
    assert lines[-1] == "NO-GO (exit code 1)"


def test_a_failure_says_what_was_seen_what_was_wanted_the_cure_the_cost_and_the_owner() -> None:
    report = text_report.render(verdict(finding(BAD)))
    for word in (
        "is full",
        "found   1 GiB",
        "wanted  10 GiB",
        "cure    free 9 GiB",
        "cost    45 min",
        "D. Kaya",
        "| -old",
    ):
        assert word in report


def test_a_price_names_the_new_finish_and_the_margin_left() -> None:
    def line(minutes: float, margin: int) -> str:
        price = Price(minutes, MOMENT + timedelta(hours=12), timedelta(minutes=margin))
        priced = replace(verdict(finding(BAD)), findings=(finding(BAD, price=price),))
        report = text_report.render(priced)
        assert "         cost " not in report.partition("owner\n")[2], (
            "the price takes the place of the minutes at stake"
        )
        return next(line for line in report.splitlines() if "price " in line).strip()

    assert line(70, 49) == "price   70 min longer over the network: finish 07:00, margin 49 min"
    assert line(0, 0) == "price   slower over the network, but the work ends no later: finish 07:00, margin 0 s"
    assert line(90, -5) == "price   90 min longer over the network: finish 07:00, 5 min too late to decide"


def test_the_lead_time_says_by_when_to_ask_and_whether_that_is_over() -> None:
    start = toy_plan().window.start

    def lead(judgement: Judgement, cure_by: datetime) -> list[str]:
        report = text_report.render(verdict(finding(judgement, cure_by=cure_by)))
        return [line.strip() for line in report.splitlines() if "lead " in line]

    assert lead(BAD, MOMENT) == ["lead    ask by Fri 2026-10-16 19:00 +00:00"]
    late = MOMENT - timedelta(seconds=1)
    assert lead(BAD, late) == ["lead    ask by Fri 2026-10-16 18:59 +00:00: that is over, so escalate now"]
    assert lead(unknown("dark", remedy="look"), MOMENT), "what could not be seen may need the same cure"
    assert not lead(warned("nearly", expected="x", actual="y", remedy="z"), MOMENT)
    assert not lead(BAD, start), "nobody has to be asked ahead of the window"


def test_a_failure_that_nobody_owns_says_so() -> None:
    assert "owner   nobody named in the plan" in text_report.render(verdict(finding(BAD, owner="")))


def test_what_must_last_beyond_the_windows_first_day_has_its_date() -> None:
    good = verdict(finding(passed("fine")))
    assert "must last until 11:00" in text_report.render(good)
    late = replace(good.plan.window, end=good.plan.window.start + timedelta(hours=30))
    text = text_report.render(replace(good, plan=replace(good.plan, window=late)))
    assert "must last until Sun 2026-10-18 11:00\n" in text


def test_one_is_not_told_in_the_plural() -> None:
    text = text_report.render(verdict(finding(passed("fine"))))
    assert "The plan leaves 1 thing unconfirmed:" in text
    assert "\nchecks   1 planned: 1 pass (-v shows the passes)\n" in text
    assert text.startswith("GO  ")


def test_passes_are_counted_and_shown_on_request() -> None:
    good = verdict(finding(passed("all is well")))
    assert "all is well" not in text_report.render(good)
    assert "1 pass (-v shows the passes)" in text_report.render(good)
    assert "all is well" in text_report.render(good, View(verbose=True))


def test_one_cause_is_told_once_and_every_check_behind_it_named() -> None:
    lost = [finding(unknown("could not look", remedy="run again"), f"check-{n}", cause="db1: denied") for n in range(7)]
    report = text_report.render(verdict(*lost))
    assert report.count("cause   db1: denied") == 1, "where all of them are named"
    assert "UNKNOWN  7 checks behind db1: denied " in report, "on the first screen"
    assert all(f"check-{n} db1" in report for n in range(7))


def test_what_is_not_good_comes_first() -> None:
    mixed = verdict(finding(passed("fine"), "a"), finding(unknown("dark", remedy="look"), "b"), finding(BAD, "c"))
    report = text_report.render(mixed, View(verbose=True))
    assert report.index("FAIL") < report.index("UNKNOWN") < report.index("PASS")


def test_a_run_of_a_part_says_so() -> None:
    skipped = finding(Judgement(status=Status.SKIPPED, summary="not selected"), "other")
    report = text_report.render(verdict(finding(passed("fine")), skipped, partial=True))
    assert report.startswith("HOLD")
    assert "part of the checks was not selected" in report
    assert "not selected: other" in report


def test_an_advisory_failure_is_marked_and_does_not_decide() -> None:
    report = text_report.render(verdict(finding(passed("fine")), finding(BAD, severity=Severity.ADVISORY)))
    assert report.startswith("GO")
    assert "(advisory)" in report


@pytest.mark.parametrize("place", ["summary", "actual", "expected", "remedy", "details"])
def test_hostile_remote_text_is_harmless(place: str) -> None:
    report = text_report.render(verdict(finding(replace(BAD, **{place: HOSTILE * 3})))) + text_report.render(
        verdict(finding(BAD, subject=HOSTILE, vantage=HOSTILE, owner=HOSTILE, cause="")), View(verbose=True)
    )
    assert all(character == "\n" or character.isprintable() for character in report)
    assert "\033" not in report
    assert not [line for line in report.splitlines() if len(line) > 100]
    json_report.render(verdict(finding(replace(BAD, **{place: HOSTILE})))).encode("ascii")


def test_a_long_word_starts_on_its_own_line_and_is_cut_at_the_edge() -> None:
    lines = list(wrapped("run " + "x" * 230, "    ", width=100))
    assert lines[0] == "    run"
    assert all(len(line) <= 100 for line in lines)
    assert "".join(line.strip() for line in lines) == "run" + "x" * 230


def test_clean_leaves_ordinary_text_alone() -> None:
    assert clean("Přehled – 10 €, 日本") == "Přehled – 10 €, 日本"


def test_colour_adds_to_words_and_never_replaces_them() -> None:
    plain, coloured = (text_report.render(verdict(finding(BAD)), View(color=color)) for color in (False, True))
    assert "\033[" not in plain
    import re

    assert re.sub(r"\033\[[0-9;]*m", "", coloured) == plain


def test_a_command_of_a_cure_is_one_line_however_long() -> None:
    command = "ssh -o 'UserKnownHostsFile=a.known_hosts ~/.ssh/known_hosts' -- dbadmin@db1 'rm -f -- /srv/a'"
    lines = list(detail("cure", f"stage it as approved, which is the way that was agreed with its owner: {command}"))
    assert [line.strip() for line in lines[-1:]] == [command]
    assert all(len(line) <= WIDTH for line in lines[:-1])
    assert list(detail("cure", "on db1: rm -f -- /srv/a")) == ["         cure    on db1: rm -f -- /srv/a"]
