"""Text from elsewhere in Markdown, read by a Markdown reader that links whatever it can."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from preflight.report.formats.markdown import fenced, fenced_text, limited, table
from preflight.report.harmless import clean, markdown_code, markdown_text
from tests.report.formats.cases import HOSTILE

READER = MarkdownIt("gfm-like")
PLACES: dict[str, Callable[[str], str]] = {
    "paragraph": lambda text: text,
    "item": lambda text: f"- {text}",
    "bold item": lambda text: f"- **{text}**",
    "heading": lambda text: f"### {text}",
    "cell": lambda text: "\n".join(table(["a", "b"], [[text, "z"]])),
}
OURS = {"paragraph", "list_item", "bullet_list", "strong", "heading", "table", "thead", "tbody", "tr", "th", "td"}
SIGNS = st.text(alphabet="ab1 _*`~<>[]()!#&;:|\\\\$%@./-+=\n\u202e{}^'\"", max_size=40)


def read(text: str) -> tuple[set[str], list[str]]:
    """Which kinds of tokens a reader sees, and the pieces of text, code or not."""
    kinds, pieces = set(), []
    for block in READER.parse(text):
        for token in [block, *(block.children or [])]:
            kinds.add(re.sub(r"_(open|close)$", "", token.type))
            if not token.children and token.content:
                pieces.append(token.content)
    return kinds, pieces


def seen(text: str) -> str:
    """Without blanks, which Markdown folds, and without backticks: a name in them is shown as code."""
    return re.sub(r"[\s`]+", "", text)


@pytest.mark.parametrize(
    "text",
    [
        "a|b", r"grep 'a\|b' x", "`x`", "``", "a*b*", "_a_", "020_rounding.sql", "~~x~~", "<b>", "&lt;", "[x](y)",
        "![x](y)", "a\\", "# a", "> a", ">a", ">`_a_", "- a", "---", "1. a", "+", "a #",
        "write it as [[tested]] (see `rules`).", HOSTILE,
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", PLACES)
def test_text_reads_as_it_was_wherever_it_stands(place: str, text: str) -> None:
    kinds, pieces = read(PLACES[place](markdown_text(text)))
    assert kinds <= OURS | {"inline", "text", "code_inline"}
    shown = seen("".join(pieces))
    assert shown == (f"ab{seen(clean(text))}z" if place == "cell" else seen(clean(text)))


@pytest.mark.long
@given(SIGNS)
def test_no_text_becomes_markup_or_loses_a_sign(text: str) -> None:
    for place in PLACES:
        if markdown_text(text):
            test_text_reads_as_it_was_wherever_it_stands(place, text)


@pytest.mark.parametrize(
    "text",
    [
        "@release-team", "(@release-team)", "#12", "group/project#12", "GH-12", "!34", "group/project!34", "%5", "&6",
        "$7", "~8", "see https://evil.example/x", "www.evil.example", "evil.example", "mail a@evil.example now",
        "commit 0123456789abcdef, changed", "a :bomb: b", "a :+1: b",
    ],
)  # fmt: skip
def test_nothing_that_a_ticket_system_links_or_mentions_stands_bare(text: str) -> None:
    tokens = READER.parseInline(markdown_text(text))[0].children or []
    bare = "".join(token.content for token in tokens if token.type == "text")
    assert not re.search(r"[@#!%&$~]|//|evil|GH-|[0-9a-f]{16}|:[\w+]+:", bare)
    assert "".join(token.content for token in tokens) == text


@pytest.mark.parametrize(
    "text",
    [
        "the App 1 team's engineer (app1), ext. 4433", "modified 2026-11-23 14:28:25 UTC, 206 bytes",
        "16257471 inodes free", "ALTER ROLE release VALID UNTIL '2026-12-02'", "1 & 2, 3 < 4 > 2",
        "on_call is 100% sure; e.g. now", "App 1 4.2",
    ],
)  # fmt: skip
def test_prose_stays_as_it_is(text: str) -> None:
    assert markdown_text(text) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("free /backup of db1, or change [backups.orders]", "free `/backup` of db1, or change `[backups.orders]`"),
        ("at */5 * * * * (cron)", "at `*/5 * * * *` (cron)"),
        ("as /tmp/a.dump); see `from`", "as `/tmp/a.dump`); see `from`"),
        ("run `a b`", "run `` `a b` ``"),
        ("f(@x)", "`f(@x)`"),
    ],
)  # fmt: skip
def test_neighbours_share_a_code_span_and_the_sentence_stays_outside(text: str, written: str) -> None:
    assert markdown_text(text) == written


def test_nothing_to_see_is_no_markdown_code() -> None:
    assert (markdown_code("  "), markdown_text(" ")) == ("", "")


def test_a_block_of_code_is_not_ended_by_what_is_in_it() -> None:
    lines = list(fenced(["a", "````", "b"]))
    (token,) = READER.parse("\n".join(lines))
    assert token.content == "a\n````\nb\n"


def test_a_difference_is_told_from_other_text() -> None:
    assert next(fenced_text("--- a\n+++ b")) == "```diff"
    assert next(fenced_text("a\n--- b")) == "```text"


@pytest.mark.parametrize("text", ["--- a\n````\nb\nc", "a\nb\nc"])
def test_a_block_that_is_cut_is_closed(text: str) -> None:
    *lines, told = limited(fenced_text(text), 12)
    (token,) = READER.parse("\n".join(lines))
    assert token.type == "fence"
    assert lines[-1] == token.markup
    assert told.endswith("left out here; the JSON report has all.")


def test_long_text_is_cut_and_says_so() -> None:
    assert markdown_text("x" * 5000).endswith(" .. and 3000 more characters")
    assert list(fenced_text("x\n" * 499))[-2] == ".. and 300 more lines"


def test_a_table_stands_in_columns_as_it_is_typed_too() -> None:
    lines = list(table(["what", "seen"], [["a", "b|c"], ["longer", "x" * 70]], aligned=True))
    assert lines == [
        "| what   | seen |",
        "| ------ | --- |",
        "| a      | b\\|c |",
        f"| longer | {'x' * 70} |",
    ]
    assert list(table(["what"], [], aligned=True)) == []
