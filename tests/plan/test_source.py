"""Lines of keys: the walk finds exactly the keys that tomllib finds, each on its line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given

from preflight.faults import Keys
from preflight.plan.source import key_lines
from tests.plan_texts import FULL, mutated_plans

TRICKY = '''\
top = 1 # = "x"
"quoted key"."a.b".'c' = """
[not.a.header]
x = 1 \\""" """""
after.text = \'\'\'
key = "no key"\'\'\'\'

[ spaced . "header" ]   # comment
when = 2026-10-17 00:00:00
day = 2026-10-17
list = [ # [
  1, [2, "]"], { a.b = 1, c = [ { d = 2 } ] },
  2026-10-17 01:00:00, # }
]
[[steps]]
id = "a"
[steps.undo]
kind = "x"
[[steps.undo.more]]
[[steps]]
id = "b\\u0041"
[steps.undo]
[x.y]
[x]
"\\u0061" = -inf
'''


def paths(value: Any, path: Keys = ()) -> Iterator[Keys]:
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, element in inner:
        yield from paths(element, (*path, key))


def test_every_key_is_found_and_no_other() -> None:
    for text in (TRICKY, FULL):
        assert set(key_lines(text)) == set(paths(tomllib.loads(text)))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 1),
        (("quoted key", "a.b", "c"), 2),
        (("after", "text"), 5),
        (("spaced", "header"), 8),
        (("spaced", "header", "day"), 10),
        (("spaced", "header", "list", 1, 1), 12),
        (("spaced", "header", "list", 2, "c", 0, "d"), 12),
        (("spaced", "header", "list", 3), 13),
        (("steps", 0), 15),
        (("steps", 0, "undo", "kind"), 18),
        (("steps", 0, "undo", "more", 0), 19),
        (("steps", 1), 20),
        (("steps", 1, "undo"), 22),
        (("x",), 24),
        (("x", "a"), 25),
    ],
)
def test_a_key_is_found_on_its_line(path: Keys, line: int) -> None:
    assert key_lines(TRICKY)[path] == line
    assert key_lines(TRICKY.replace("\n", "\r\n"))[path] == line


@pytest.mark.long
@given(text=mutated_plans())
def test_in_any_valid_text_every_key_is_found_and_no_other(text: str) -> None:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(key_lines(text)) == set(paths(tables))


def test_keys_nested_deeper_than_any_plan_have_no_line_rather_than_a_wrong_one() -> None:
    deep = ".".join("a" * 100)
    assert key_lines(f"x = 1\n{deep} = 1\ny = 2\n") == {("x",): 1}
