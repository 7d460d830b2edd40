"""The report for the change ticket, read by a real Markdown reader."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from preflight.finding import Status, failed
from preflight.plan import Role
from preflight.report import View
from preflight.report.comparison import compare
from preflight.report.formats import markdown
from preflight.report.formats.json import report_of
from preflight.verdict import Verdict
from tests.report.formats.cases import go, hold, hostile, no_go, waived

READER = MarkdownIt("gfm-like")
"""GitHub's tables and strikethrough; what looks like a URL, a site or an address becomes a link."""


def flat(tokens: Sequence[Token]) -> list[Token]:
    return [each for token in tokens for each in (token, *flat(token.children or []))]


def read(text: str) -> list[Token]:
    return flat(READER.parse(text))


def shown(text: str) -> str:
    """What a reader of the rendered text sees, code spans included."""
    return " ".join(token.content for token in read(text) if token.type in ("text", "code_inline"))


def headings(text: str) -> list[str]:
    tokens = read(text)
    return [tokens[index + 1].content for index, token in enumerate(tokens) if token.type == "heading_open"]


def rows(text: str, title: str) -> list[list[str]]:
    """The cells of the table below a heading, its head first."""
    return cells(re.split(r"\n## |\n<details>", text.partition(f"## {title}\n")[2])[0])


def cells(text: str) -> list[list[str]]:
    found: list[list[str]] = []
    tokens = READER.parse(text)
    for index, token in enumerate(tokens):
        if token.type == "tr_open":
            found.append([])
        if token.type in ("th_open", "td_open"):
            found[-1].append(tokens[index + 1].content)
    return found


ALL: list[Verdict] = [go(), no_go(), hold(), waived(), hostile()]


@pytest.mark.parametrize("verdict", ALL)
def test_it_is_headed_by_the_verdict_and_ends_with_the_call_to_repeat(verdict: Verdict) -> None:
    text = markdown.render(verdict, View(command="preflight run release.toml"))
    assert headings(text)[0].startswith(verdict.headline)
    assert text.endswith("\nTo reproduce:\n\n```sh\npreflight run release.toml\n```\n")
    assert markdown.render(verdict).endswith("\npreflight run plans/release.toml\n```\n")


def test_a_call_with_blanks_and_bars_can_be_typed_as_it_stands() -> None:
    plan = replace(go().plan, path=Path("my plans/a|b.toml"))
    *_, fence = (token for token in read(markdown.render(replace(go(), plan=plan))) if token.type == "fence")
    assert fence.content == "preflight run 'my plans/a|b.toml'\n"


@pytest.mark.parametrize(
    ("verdict", "tables"),
    [
        (go(), {"": (11, 3)}),
        (no_go(), {"To cure": (5, 6), "": (11, 3)}),
        (hold(), {"To cure": (2, 6), "": (11, 3)}),
        (waived(), {"Waivers": (2, 6), "": (11, 3)}),
        (hostile(), {"To cure": (2, 6), "": (11, 3)}),
    ],
)
def test_its_tables_have_these_rows_and_columns(verdict: Verdict, tables: dict[str, tuple[int, int]]) -> None:
    text = markdown.render(verdict)
    tables |= {
        "Steps": (13, 5),
        "Decisions and rules": (2, 4),
        "Versions that may meet": (3, 3),
        "People": (6, 4),
        "Age of the evidence": (3, 4),
    }
    assert sum(token.type == "table_open" for token in READER.parse(text)) == len(tables)
    for title, size in tables.items():
        found = rows(text, title) if title else cells(text.partition("<details>")[2])
        assert (len(found), {len(row) for row in found}) == (size[0], {size[1]})


@pytest.mark.parametrize("verdict", ALL)
def test_html_is_just_the_fold_around_the_whole_table(verdict: Verdict) -> None:
    html = [token.content.strip() for token in read(markdown.render(verdict)) if token.type.startswith("html")]
    assert html == [f"<details><summary>All {verdict.planned} checks</summary>", "</details>"]


@pytest.mark.parametrize("verdict", ALL)
def test_where_html_is_stripped_every_table_is_still_one(verdict: Verdict) -> None:
    text = markdown.render(verdict)
    stripped = re.sub(r"</?[a-z]+>", "", text)
    assert "<details>" not in stripped
    assert f"\nAll {verdict.planned} checks\n" in stripped
    tables = [sum(token.type == "tr_open" for token in READER.parse(each)) for each in (text, stripped)]
    assert tables[0] == tables[1]


@pytest.mark.parametrize("verdict", ALL)
def test_text_from_elsewhere_makes_no_link_no_picture_and_no_emphasis(verdict: Verdict) -> None:
    kinds = {token.type for token in read(markdown.render(verdict))}
    assert not kinds & {"link_open", "image", "em_open", "s_open"}


@pytest.mark.parametrize("verdict", ALL)
def test_every_row_has_as_many_cells_as_its_head(verdict: Verdict) -> None:
    text = markdown.render(verdict)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines
    tables = [table for table in re.split(r"(?m)^(?!\|).*$", text) if table.strip().startswith("|")]
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.strip().splitlines()}
        assert len(widths) == 1, table


def test_what_is_to_cure_is_a_table_with_cost_ask_by_and_owner() -> None:
    head, first, *others = rows(markdown.render(no_go()), "To cure")
    assert head == ["status", "what", "cure", "cost", "ask by", "owner"]
    assert first[:2] == ["FAIL", "**login db1**: the password was refused"]
    assert first[2].startswith("have the password of dbadmin on db1 set")
    assert first[3:5] == ["70 min", "**overdue**: Thu 2026-10-15 16:00 -04:00"]
    assert "S. Lindqvist" in first[5]
    start = "Sat 2026-10-17 00:00 -04:00"
    assert [row[4] for row in others] == [start, start, "**overdue**: Thu 2026-10-15 16:00 -04:00"]


def test_what_nobody_owns_says_so() -> None:
    unowned = replace(no_go(), findings=[replace(each, owner="") for each in no_go().findings])
    assert {row[5] for row in rows(markdown.render(unowned), "To cure")[1:]} == {"nobody named in the plan"}


def test_go_has_nothing_to_cure_and_every_check_in_the_table() -> None:
    text = markdown.render(go())
    assert "## To cure" not in text
    _, *others = cells(text.partition("<details>")[2])
    assert sorted(row[0] for row in others) == sorted(each.status.upper() for each in go().findings)


def test_every_waiver_is_told() -> None:
    (_, row) = rows(markdown.render(waived()), "Waivers")
    assert row[0] == "W-3"
    assert row[2] == "covers: answers in 3.2 s"
    assert "A. Haddad" in row[5]


def test_the_window_is_drawn_in_a_block_of_code() -> None:
    (fence,) = [token for token in read(markdown.render(go())) if token.type == "fence" and "way back" in token.content]
    assert max(map(len, fence.content.splitlines())) <= 100


def test_versions_and_people_are_tables() -> None:
    text = markdown.render(no_go())
    assert rows(text, "Versions that may meet")[1][0] == "app1 4.1"
    assert rows(text, "People")[0] == ["role", "primary", "standby", "contact"]
    alone = replace(go().plan, roles={"dba": Role(id="dba", primary="D. Kaya", contact="ext. 1")})
    assert "NO STANDBY" in markdown.render(replace(go(), plan=alone))


def test_a_gate_tells_what_changed_since() -> None:
    difference = compare(report_of(go()), report_of(no_go()))
    text = markdown.render(no_go(), View(difference=difference))
    table = rows(text, "Since the run before")
    assert table[0] == ["change", "what", "before", "now"]
    assert ["new", "login db1", "pass", "fail: the password was refused"] in table
    (together,) = (row for row in table if row[1].startswith("2 checks: "))
    assert together[1:3] == ["2 checks: database orders, place orders", "pass"]
    assert together[3].startswith("unknown: on db1 as dbadmin: db1: the server refused")


def test_what_was_not_selected_and_not_asked_stands_in_the_head() -> None:
    first, *others = go().findings
    skipped = replace(first, judgement=replace(first.judgement, status=Status.SKIPPED))
    text = markdown.render(replace(go(), findings=[skipped, *others])).partition("## ")[0]
    assert f"- **Open:** not selected: {first.check} (1 of 2); the plan leaves 1 thing unconfirmed, below\n" in text


def test_a_changed_script_is_shown_in_the_colours_of_a_difference() -> None:
    (fence,) = (token for token in read(markdown.render(no_go())) if token.type == "fence" and token.info == "diff")
    assert "+  note varchar(20)\n" in fence.content


def test_hostile_text_is_shown_as_text() -> None:
    text = markdown.render(hostile())
    assert "<script>" not in re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)|^```text$.*?^```$", "", text, flags=re.M | re.S)
    assert "<script>alert(1)</script>" in shown(text)
    assert max(map(len, text.splitlines())) < 6000, "a megabyte from a server does not fill a ticket"


@pytest.mark.long
def test_it_is_never_longer_than_github_takes_as_a_summary_and_says_what_is_left_out() -> None:
    bad = failed("no" * 900, expected="y" * 2000, actual="n" * 2000, remedy="c" * 2000, details="line\n" * 4000)
    first, *others = no_go().findings
    findings = [
        replace(first, subject=f"{number} {'s' * 1900}", judgement=replace(bad, summary=f"{number + 100} {'no' * 900}"))
        for number in range(60)
    ]
    verdict = replace(no_go(), findings=[*findings, *others], unconfirmed=("u" * 2000,) * 50, basis=("b" * 2000,) * 50)
    text = markdown.render(verdict)
    assert len(text.encode()) < 2**20
    assert text.count("more lines are left out here") >= 4
    told = headings(text)
    assert told[0].startswith("NO-GO")
    assert [each for each in told if each in ("To cure", "Findings", "People")] == ["To cure", "Findings", "People"]
    assert "To reproduce" in shown(text)
