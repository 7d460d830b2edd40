"""How two texts differ, said in words and shown in a bounded diff."""

from __future__ import annotations

import pytest
from preflight_checks.script_hashes.comparison import MOST_COLUMNS, describe_difference, unified_diff

TEXT = "select 1;\nselect 2;\nselect 3;\n"


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (TEXT.replace("\n", "\r\n"), "the same but for line endings (CRLF instead of LF)"),
        (TEXT.replace("\n", "\r\n", 1), "the same but for line endings (mixed instead of LF)"),
        ("\ufeff" + TEXT, "the same but for the byte order mark (added)"),
        (TEXT.rstrip(), "the same but for the final newline (removed)"),
        (TEXT + "\n", "the same but for newlines at the end"),
        (
            "\ufeff" + TEXT.replace("\n", "\r\n"),
            "the same but for line endings (CRLF instead of LF) and the byte order mark (added)",
        ),
        (TEXT.replace("1;", "1;  "), "the same but for blanks at line ends"),
        (TEXT.replace("2", "9"), "1 line differs"),
        (TEXT.replace("2", "9").replace("3", "8"), "2 lines differ"),
        (TEXT + "drop table t;\n", "1 line differs"),
        ("select 1;\nselect 3;\n", "1 line differs"),
        (TEXT.replace("2", "9").replace("\n", "\r\n"), "1 line differs, besides line endings (CRLF instead of LF)"),
        ("", "3 lines differ, besides the final newline (removed)"),
    ],
)
def test_a_difference_is_said_in_words(new: str, expected: str) -> None:
    assert describe_difference(TEXT, new, cut=False) == expected


def test_of_cut_texts_only_the_beginnings_are_judged() -> None:
    assert describe_difference(TEXT, TEXT.replace("2", "9"), cut=True) == "at least 1 line differs"
    assert describe_difference(TEXT, TEXT.rstrip() + "x", cut=True) == "at least 1 line differs"


def test_the_diff_shows_the_change_with_its_surroundings() -> None:
    old = "".join(f"line {number}\n" for number in range(1, 31))
    new = old.replace("line 10\n", "line ten\n").replace("line 25\n", "line 25\nline 25a\n")
    assert unified_diff(old, new, "approved", "staged").splitlines() == [
        "--- approved", "+++ staged",
        "@@ line 10, now 10 @@", " line 8", " line 9", "-line 10", "+line ten", " line 11", " line 12",
        "@@ line 26, now 26 @@", " line 24", " line 25", "+line 25a", " line 26", " line 27",
    ]  # fmt: skip


def test_changes_close_together_share_their_surroundings() -> None:
    old = "a\nb\nc\nd\ne\n"
    assert unified_diff(old, "A\nb\nC\nd\ne\n", "o", "n").splitlines()[2:] == [
        "@@ line 1, now 1 @@", "-a", "+A", " b", "-c", "+C", " d", " e",
    ]  # fmt: skip


def test_a_long_diff_says_how_much_it_leaves_out() -> None:
    old, new = "old\n" * 50, "new\n" * 50
    lines = unified_diff(old, new, "o", "n").splitlines()
    assert len(lines) == 20
    assert lines[-1] == "... 84 more lines of difference"


def test_differences_without_lines_have_no_diff() -> None:
    assert unified_diff(TEXT, "\ufeff" + TEXT.replace("\n", "\r\n"), "o", "n") == ""


def test_lines_are_cut_and_harmless() -> None:
    diff = unified_diff("a\n", "\x1b]0;owned\x07\u202e\udcff" + "x" * 500 + "\n", "a\x1b", "n")
    assert all(len(line) <= MOST_COLUMNS and line.isprintable() for line in diff.splitlines())
    assert "+\\x1b]0;owned\\x07\\u202e\\udcff" in diff


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("\ta\n", "    a\n", ["-\\ta", "+    a"]),
        ("a  \n", "a\n", ["-a··", "+a"]),
        ("\ta\n", "\tb\n", ["-    a", "+    b"]),
    ],
)
def test_blanks_are_made_visible_where_they_are_the_difference(old: str, new: str, expected: list[str]) -> None:
    assert unified_diff(old, new, "o", "n").splitlines()[3:] == expected


@pytest.mark.parametrize("old", ["a\n" * 32_768, "a\nb\n" * 16_384, "\n" * 65_536, "x" * 65_536])
def test_hostile_texts_are_compared_in_bounded_time(old: str) -> None:
    new = "".join(reversed(old)) + "c"
    assert describe_difference(old, new, cut=False)
    assert len(unified_diff(old, new, "o", "n").splitlines()) <= 20
