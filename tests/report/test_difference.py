"""What became of each line between two runs; reading saved reports back; both ways of printing it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.finding import Finding, Judgement, Severity, Status, failed, passed, unknown, warned
from preflight.report import comparison as report
from preflight.report.comparison import Change, Pair, compare
from preflight.report.formats import json as json_report
from preflight.report.formats.json import report_of
from preflight.report.json_report import Line, PlanFile, Point, Report, ReportError, load_report, read_report
from preflight.report.layout import WIDTH
from preflight.verdict import Verdict
from tests.toy import MOMENT, conclude, toy_plan

BAD = (Status.FAIL, Status.UNKNOWN, Status.STALE, Status.WARN, Status.WAIVED)


def finding(judgement: Judgement, subject: str = "db1", **more: Any) -> Finding:
    values: dict[str, Any] = {"check": "host-login", "title": "t", "severity": Severity.BLOCKING, **more}
    return Finding(subject=subject, judgement=judgement, **values)


NO_LOGIN = failed("no login", expected="a login", actual="denied", remedy="have it unlocked")
JUDGEMENTS = (
    passed("runs commands"),
    Judgement.of([passed("a"), warned("b", remedy="c"), NO_LOGIN]),
    unknown("could not look: refused", actual="refused", remedy="log in"),
)


def verdict(*findings: Finding) -> Verdict:
    return conclude(
        toy_plan(),
        findings,
        planned=len(findings),
        evidence_digest="e" * 64,
        collected_at=MOMENT,
        moment=MOMENT,
    )


def observed(status: Status, summary: str, **more: Any) -> Point:
    values = {"expected": "", "actual": "", "remedy": "", "minutes_at_stake": None, "details": "", **more}
    return Point(status=status, summary=summary, **values)


def line(status: Status = Status.PASS, summary: str = "", actual: str = "", **more: Any) -> Line:
    found = verdict(finding(NO_LOGIN))
    values = {"status": status, "summary": summary or status, "expected": "", "actual": actual, "remedy": "", **more}
    return replace(report_of(found).findings[0], **values)


def run(
    *lines: Line,
    release: str = "REL-1",
    plan_file: str = "plan.toml",
    plan_digest: str = "a" * 64,
    evidence_digest: str = "e" * 64,
    **more: Any,
) -> Report:
    """The report of a run."""
    whole = report_of(verdict())
    return replace(
        whole,
        **{"headline": "NO-GO", **more},
        release=replace(whole.release, id=release),
        window=replace(whole.window, zone="America/New_York"),
        plan=PlanFile(file=plan_file, sha256=plan_digest),
        evidence_sha256=evidence_digest,
        findings=lines,
    )


def became(old: Line | None, new: Line | None) -> Change:
    (pair,) = compare(run(*filter(None, [old])), run(*filter(None, [new]))).pairs
    return pair.change


@pytest.mark.parametrize("status", BAD)
def test_what_was_not_green_and_passes_is_cured(status: Status) -> None:
    assert became(line(status), line(Status.PASS)) is Change.CURED


@pytest.mark.parametrize("status", BAD)
@pytest.mark.parametrize("before", [line(Status.PASS), line(Status.SKIPPED), None])
def test_what_is_newly_not_green_is_new(status: Status, before: Line | None) -> None:
    assert became(before, line(status)) is Change.NEW


@pytest.mark.parametrize("status", Status)
def test_what_is_gone_has_disappeared_and_is_never_cured(status: Status) -> None:
    assert became(line(status), None) is Change.DISAPPEARED


@pytest.mark.parametrize("status", set(Status) - {Status.SKIPPED})
def test_what_was_not_selected_this_time_has_disappeared(status: Status) -> None:
    assert became(line(status), line(Status.SKIPPED)) is Change.DISAPPEARED


@pytest.mark.parametrize("status", [Status.PASS, Status.SKIPPED])
def test_a_line_that_was_not_there_and_is_not_bad_is_added(status: Status) -> None:
    assert became(None, line(status)) is Change.ADDED


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (line(Status.FAIL), line(Status.WARN), Change.CHANGED),
        (line(Status.FAIL), line(Status.UNKNOWN), Change.CHANGED),
        (line(Status.FAIL), line(Status.WAIVED), Change.CHANGED),
        (line(Status.SKIPPED), line(Status.PASS), Change.CHANGED),
        (line(Status.FAIL, "12 GiB free"), line(Status.FAIL, "9 GiB free"), Change.CHANGED),
        (line(Status.FAIL, "too little", "12 GiB"), line(Status.FAIL, "too little", "9 GiB"), Change.CHANGED),
        (line(Status.WARN, "old"), line(Status.WARN, "older"), Change.CHANGED),
        (line(Status.FAIL), line(Status.FAIL, severity=Severity.ADVISORY), Change.CHANGED),
        (line(Status.PASS), line(Status.PASS, severity=Severity.ADVISORY), Change.CHANGED),
        (line(Status.FAIL), line(Status.FAIL), Change.STILL),
        (line(Status.SKIPPED), line(Status.SKIPPED), Change.STILL),
        (line(Status.PASS, "answers in 0.12 s"), line(Status.PASS, "answers in 0.34 s"), Change.STILL),
        (line(Status.STALE, "seen 5 h before"), line(Status.STALE, "seen 6 h before"), Change.STILL),
        (line(Status.UNKNOWN, "refused", "in 0.1 s"), line(Status.UNKNOWN, "refused", "in 0.2 s"), Change.STILL),
        (line(Status.UNKNOWN, "refused"), line(Status.UNKNOWN, "timed out"), Change.CHANGED),
        (line(Status.FAIL, owner="a"), line(Status.FAIL, owner="b"), Change.STILL),
    ],
)
def test_the_same_line_has_changed_when_its_status_severity_or_value_has(old: Line, new: Line, change: Change) -> None:
    assert became(old, new) is change


def test_a_second_failure_that_goes_away_is_a_change() -> None:
    both = (observed(Status.FAIL, "a"), observed(Status.FAIL, "b"))
    assert became(line(Status.FAIL, points=both), line(Status.FAIL, points=both[:1])) is Change.CHANGED
    assert became(line(Status.FAIL, points=both), line(Status.FAIL, points=both[::-1])) is Change.STILL


def test_two_lines_of_one_name_are_both_kept() -> None:
    found = compare(run(line(Status.FAIL), line(Status.PASS)), run(line(Status.FAIL)))
    assert [pair.change for pair in found.pairs] == [Change.STILL, Change.DISAPPEARED]


STATUSES = st.sampled_from(list(Status))
LINES = st.dictionaries(st.sampled_from("abcdef"), STATUSES).map(
    lambda found: run(*(line(status, subject=subject) for subject, status in found.items()))
)


@pytest.mark.long
@given(LINES, LINES)
def test_every_line_of_both_is_in_exactly_one_list_and_only_a_pass_is_cured(old: Report, new: Report) -> None:
    found = compare(old, new)
    lists = [pair for change in Change for pair in found.which(change)]
    cured = found.which(Change.CURED)
    assert len(lists) == len(found.pairs)
    assert {pair.line.subject for pair in lists} == {each.subject for each in (*old.findings, *new.findings)}
    for pair in cured:
        assert (pair.old, pair.new) != (None, None)
        assert pair.line.status is Status.PASS
    bad_before = {each.subject for each in old.findings if each.status in BAD}
    passes_now = {each.subject for each in new.findings if each.status is Status.PASS}
    assert {pair.line.subject for pair in cured} == bad_before & passes_now


# What a reader must know first

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ({"release": "REL-0"}, "two different releases are compared: OLD is REL-0, NEW is REL-1"),
        ({"plan_digest": "b" * 64}, "the plan is not the same: sha256 bbbbbbbbbbbb in OLD, aaaaaaaaaaaa in NEW"),
        ({"collected_at": MOMENT + HOUR}, "OLD is the later run: it was asked 1 h after NEW"),
        ({"moment": MOMENT + HOUR}, "OLD is judged for a later moment than NEW"),
        ({"evidence_digest": "e" * 64}, "both judge the same evidence"),
    ],
)
def test_what_makes_a_comparison_doubtful_is_noted(old: dict[str, Any], words: str) -> None:
    before = run(**{"evidence_digest": "f" * 64, **old})
    found = compare(before, run())
    (note,) = found.notes
    assert note.startswith(words)
    assert note[:60] in " ".join(report.render(found).split())


def test_two_runs_of_one_plan_in_order_need_no_note() -> None:
    assert not compare(run(evidence_digest="f" * 64, collected_at=MOMENT - HOUR), run()).notes


# Reports read back


def saved(*findings: Finding) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json_report.render(verdict(*findings)))
    return document


def test_a_report_read_back_is_that_of_its_verdict() -> None:
    findings = [finding(judgement, str(number)) for number, judgement in enumerate(JUDGEMENTS)]
    findings.append(finding(NO_LOGIN, "waived", waiver="w1", owner="D. Kaya (dba)"))
    findings.append(finding(JUDGEMENTS[2], "lost", cause="from here: refused"))
    whole = verdict(*findings)
    assert read_report(json_report.render(whole)) == report_of(whole)


def remove(*keys: str | int) -> Callable[[Any], None]:
    def damage(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        del document[keys[-1]]

    return damage


def put(value: object, *keys: str | int) -> Callable[[Any], None]:
    def damage(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (put(1, "schema"), "saved by another version of preflight: its schema is 1, this version reads 2"),
        (put("1", "schema"), "no JSON report: schema: expected an integer, found a string"),
        (put(1.5, "schema"), "no JSON report: schema: expected an integer, found a number"),
        (put(True, "schema"), "no JSON report: schema: expected an integer, found a boolean"),
        (remove("schema"), "no JSON report: schema: is required"),
        (remove("findings"), "no JSON report: findings: is required"),
        (put({}, "findings"), "no JSON report: findings: expected an array of tables, found a table"),
        (put("x", "findings", 0), "no JSON report: findings[1]: expected a table, found a string"),
        (remove("findings", 0), "2 checks were planned, 1 are in it: it is not whole"),
        (put(7, "findings", 0, "summary"), "no JSON report: findings[1].summary: expected a string, found an integer"),
        (
            put("ok", "findings", 1, "status"),
            'no JSON report: findings[2].status: "ok" is not one of "pass", "warn", "fail"',
        ),
        (put("PASS", "findings", 1, "status"), 'no JSON report: findings[2].status: "PASS" is not one of'),
        (put("minor", "findings", 1, "severity"), 'no JSON report: findings[2].severity: "minor" is not one of'),
        (remove("findings", 1, "points", 0, "actual"), "no JSON report: findings[2].points[1].actual: is required"),
        (put("pass", "findings", 1, "status"), "a line says pass, and one of its points fail: it was changed"),
        (put("MAYBE", "verdict"), 'no JSON report: verdict: "MAYBE" is not one of'),
        (put("Mars/Olympus", "window", "zone"), "moment is no moment that can be shown: no time zone"),
        (
            put("2026-10-16T19:00:00", "moment"),
            "no JSON report: moment: expected a date and time with its offset from UTC",
        ),
        (put("soon", "collected_at"), "no JSON report: collected_at: expected a date and time"),
        (put("0001-01-01T00:00:00+14:00", "moment"), "moment is no moment that can be shown"),
        (put(None, "plan"), "no JSON report: plan: expected a table { file, sha256 }, found nothing"),
        (put([], "release", "id"), "no JSON report: release.id: expected a string, found an array"),
    ],
)
def test_a_damaged_report_is_named_not_guessed_at(damage: Callable[[Any], None], words: str) -> None:
    document = saved(finding(JUDGEMENTS[0], "db0"), finding(JUDGEMENTS[1]))
    damage(document)
    with pytest.raises(ReportError) as caught:
        read_report(json.dumps(document))
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON report: empty"),
        ("hello", "no JSON report: no JSON: Expecting value in line 1, column 1"),
        ("[]", "no JSON report: expected a table, found an array"),
        ("{}", "no JSON report: schema: is required"),
        ("[" * 5000, "no JSON report: "),
        ('{"schema": NaN}', "no JSON report: "),
        ('{"schema": 1, "schema": 1}', "no JSON report: "),
    ],
)
def test_what_is_no_report_at_all_is_said(text: str, words: str) -> None:
    with pytest.raises(ReportError) as caught:
        read_report(text)
    assert str(caught.value).startswith(words)


@pytest.mark.long
@given(st.data())
def test_no_damage_ends_in_anything_but_a_report_error(data: st.DataObject) -> None:
    text = json_report.render(verdict(finding(JUDGEMENTS[1])))
    at = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(at, min(len(text), at + 30)))
    with contextlib.suppress(ReportError):
        read_report(text[:at] + data.draw(st.text(max_size=5)) + text[end:])


def test_keys_of_later_versions_are_left_alone() -> None:
    document = saved(finding(JUDGEMENTS[0]))
    document["quorum"] = document["findings"][0]["quorum"] = {"minutes": 25}
    assert read_report(json.dumps(document)) == read_report(json.dumps(saved(finding(JUDGEMENTS[0]))))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b'{"\xe9": 1}')
    for path, words in (
        (tmp_path / "absent", "No such file or directory"),
        (tmp_path, "not a regular file"),
        (tmp_path / "latin", "not UTF-8 text"),
        (Path("a\0b"), "embedded null byte"),
    ):
        with pytest.raises(ReportError) as caught:
            load_report(path)
        assert str(caught.value) == f"{path}: {words}"


# Printing


def printed(old: Report, new: Report) -> str:
    text = report.render(compare(old, new))
    assert all(len(each) <= WIDTH for each in text.splitlines()), text
    return text


def test_the_report_shows_old_and_new_values_worst_first() -> None:
    free = [
        observed(Status.FAIL, "too little room", actual=f"{size} GiB", expected="20 GiB", remedy="prune")
        for size in (12, 9)
    ]
    old = run(
        line(Status.PASS, "runs commands"),
        line(Status.FAIL, check="backup-space", subject="orders", points=(free[0],)),
        line(Status.FAIL, "no standby", check="on-call", subject="dba"),
        line(Status.FAIL, "status 500", check="app-health", subject="app1"),
        line(Status.WARN, "the password is not asked for", check="database-login", subject="orders"),
        line(Status.PASS, check="become", subject="db1 postgres"),
        collected_at=MOMENT - HOUR,
        evidence_digest="f" * 64,
    )
    new = run(
        line(Status.FAIL, "no login: denied", "key refused", owner="D. Kaya (dba)"),
        line(Status.FAIL, check="backup-space", subject="orders", points=(free[1],)),
        line(Status.PASS, "primary D. Kaya, standby M. Ortiz", check="on-call", subject="dba"),
        line(Status.WARN, "the password is not asked for", check="database-login", subject="orders"),
        line(Status.PASS, check="become", subject="db1 postgres"),
        line(Status.PASS, check="become", subject="db2 postgres"),
        headline="HOLD",
    )
    assert (
        printed(old, new)
        == """\
NO-GO -> HOLD  REL-1
OLD      NO-GO, asked Fri 2026-10-16 14:00 -04:00, judged for Fri 2026-10-16 15:00 -04:00; plan.toml
         sha256 aaaaaaaaaaaa, evidence ffffffffffff
NEW      HOLD, asked Fri 2026-10-16 15:00 -04:00, judged for Fri 2026-10-16 15:00 -04:00; plan.toml
         sha256 aaaaaaaaaaaa, evidence eeeeeeeeeeee
         1 h lie between them

1 new

pass -> FAIL  host-login  db1
         was     runs commands
         now     no login: denied; found key refused
         owner   D. Kaya (dba)

1 changed

fail -> FAIL  backup-space  orders
         was     too little room; found 12 GiB
         now     too little room; found 9 GiB
         wanted  20 GiB
         cure    prune

1 disappeared: no longer looked at, which is not cured

fail -> not there  app-health  app1
         was     status 500
         now     no such line in NEW

1 cured

fail -> PASS  on-call  dba
         was     no standby
         now     primary D. Kaya, standby M. Ortiz

1 still open
WARN     database-login  orders: the password is not asked for

not in OLD: 1 pass
7 lines: 1 new, 1 changed, 1 disappeared, 1 cured, 1 added, 2 still
still: 1 pass, 1 warn
"""
    )


def test_of_several_observations_only_the_changed_ones_are_printed() -> None:
    same, gone, more = (observed(Status.FAIL, word, remedy=f"cure {word}") for word in ("same", "gone", "more"))
    text = printed(run(line(Status.FAIL, points=(same, gone))), run(line(Status.FAIL, points=(same, more))))
    assert "was     gone" in text
    assert "now     more" in text
    assert "same" not in text.replace("the same evidence", "")


def test_lines_that_one_lost_host_leaves_unseen_are_folded() -> None:
    def lost(subject: str) -> Line:
        return line(Status.UNKNOWN, "could not look: refused", subject=subject, cause="from here: db1 refused")

    old = run(*(line(Status.PASS, subject=subject) for subject in ("a", "b", "c")))
    text = printed(old, run(lost("a"), lost("b"), line(Status.UNKNOWN, "else", subject="c", cause="x")))
    assert "pass -> UNKNOWN  2 checks\n         lines   host-login a, host-login b\n" in text
    assert "pass -> UNKNOWN  host-login  c\n" in text


def test_what_was_asked_too_early_is_folded_without_what_each_was() -> None:
    old = run(*(line(Status.PASS, f"seen {subject}", subject=subject) for subject in "ab"))
    text = printed(old, run(*(line(Status.STALE, "was pass", subject=subject, cause="too early") for subject in "ab")))
    assert "pass -> STALE  2 checks\n         lines   host-login a, host-login b\n         now     too early\n" in text
    assert "seen a" not in text
    again = run(*(line(Status.STALE, "was pass", subject=subject, cause="too early") for subject in "ab"))
    assert "2 still open\nSTALE    2 checks: too early\n" in printed(again, again)


def test_a_severity_that_was_lowered_is_said() -> None:
    text = printed(run(line(Status.FAIL)), run(line(Status.FAIL, severity=Severity.ADVISORY)))
    assert "was blocking, is advisory" in text


def test_a_line_that_was_not_selected_is_said_to_have_disappeared() -> None:
    text = printed(run(line(Status.FAIL)), run(line(Status.SKIPPED, "not selected in this run")))
    assert "disappeared: no longer looked at, which is not cured" in text
    assert "now     not selected in this run" in text


def test_hostile_text_cannot_move_the_cursor_and_long_text_is_folded() -> None:
    bad = "\x1b[2J\u202e" + "x" * 300
    text = printed(
        run(line(Status.FAIL, bad, bad, subject=bad), release=bad, headline=bad, plan_file=bad),
        run(line(Status.WARN, bad, bad, subject=bad), line(Status.FAIL, bad, subject="y" + bad), release=bad),
    )
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_colour_is_an_addition_to_the_words() -> None:
    found = compare(run(line(Status.FAIL)), run(line(Status.PASS)))
    coloured = report.render(found, color=True)
    assert "\x1b[32mfail -> PASS\x1b[0m" in coloured


def test_nothing_against_nothing_is_printed_too() -> None:
    assert printed(run(), run()).endswith("0 lines: none\n")


def test_for_programs_each_line_is_in_the_list_of_what_became_of_it() -> None:
    found = compare(run(line(Status.FAIL, "no login")), run(line(Status.PASS), line(Status.WARN, subject="x")))
    document = json.loads(report.as_json(found))
    assert {name: len(lines) for name, lines in document["lines"].items()} == {
        "new": 1, "changed": 0, "disappeared": 0, "cured": 1, "added": 0, "still": 0,
    }  # fmt: skip
    (cured,) = document["lines"]["cured"]
    assert (cured["check"], cured["subject"]) == ("host-login", "db1")
    assert (cured["old"]["status"], cured["old"]["points"][0]["summary"]) == ("fail", "no login")
    assert cured["new"]["status"] == "pass"
    assert document["lines"]["new"][0]["old"] is None
    assert document["notes"] == list(found.notes)


def test_a_pair_of_nothing_is_a_defect() -> None:
    with pytest.raises(ValueError, match="no lines"):
        _ = Pair(None, None).line
