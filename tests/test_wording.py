"""Counts, lists that are cut, and text from elsewhere in a sentence."""

from __future__ import annotations

import pytest

from preflight.wording import counted, listed, shortened, visible


@pytest.mark.parametrize(("number", "said"), [(0, "0 checks"), (1, "1 check"), (2, "2 checks")])
def test_one_is_not_told_in_the_plural(number: int, said: str) -> None:
    assert counted(number, "check") == said
    assert counted(number, "entry", "entries") == ("1 entry" if number == 1 else f"{number} entries")


@pytest.mark.parametrize(
    ("names", "said"),
    [("", ""), ("a", "a"), ("ab", "a; b"), ("abc", "a; b; and 1 more"), ("abcd", "a; b; and 2 more")],
)
def test_a_long_list_says_how_many_it_leaves_out(names: str, said: str) -> None:
    assert listed(names, 2, "; ") == said
    assert listed(names[:2], 2, "; ", total=len(names)) == said


def test_what_is_cut_says_by_how_much() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("abcde", 3) == "abc .. and 2 more characters"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Přehled – 10 €, 日本", "Přehled – 10 €, 日本"), ("10\u00a0GiB\u3000x", "10 GiB x"), ("a\tb\nc", "a b c"),
        ("\x1b[31m\x9b\x07", r"\x1b[31m\x9b\x07"), ("\u202eevil\u200b", r"\u202eevil\u200b"), ("\ud800", r"\ud800"),
    ],
)  # fmt: skip
def test_what_moves_a_cursor_or_hides_is_shown_as_an_escape(text: str, seen: str) -> None:
    assert visible(text) == seen
