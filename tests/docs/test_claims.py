"""Each row of the security model and of the performance page has what shows it, and that is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent.parent
SECURITY, PERFORMANCE = (PROJECT / "docs" / f"{name}.md" for name in ("security", "performance"))
SHOWN = {"security.md": "## The tests", "performance.md": "## The programs"}


def halves(page: Path) -> tuple[str, str]:
    """The page, and the list at its end of what shows its rows."""
    claims, title, shown = page.read_text().partition(SHOWN[page.name] + "\n")
    assert title
    return claims, shown


def rows(claims: str) -> list[list[str]]:
    """The cells of each row of its tables, without the headings."""
    lines = claims.splitlines()
    ruled = {number for number, line in enumerate(lines) if re.fullmatch(r"\|[-| ]+\|", line)}
    table = [line for number, line in enumerate(lines) if line.startswith("|") and not {number, number + 1} & ruled]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def references(shown: str) -> dict[str, list[tuple[str, str]]]:
    """Number -> what the list names for it, each with the file that its link leads to."""
    items = re.findall(r"^- ([A-Z]\d*)((?:.|\n(?!- ))*)", shown, re.MULTILINE)
    assert len(items) == len(dict(items)), "a number stands twice"
    return {number: re.findall(r"\[`([^`]+)`\]\(\.\./([^)]+)\)", text) for number, text in items}


@cache
def defined(file: str) -> frozenset[str]:
    """The functions and classes that a file of this project defines; none for one that is gone."""
    tree = ast.parse((PROJECT / file).read_text() if (PROJECT / file).is_file() else "")
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef))


def is_there(name: str, file: str) -> bool:
    """`python3 -m MODULE ...`, or a test as pytest calls it, one of its cases named by words that stand beside it."""
    if module := re.match(r"python3 -m (\S+)", name):
        return module[1].replace(".", "/") + ".py" == file and "main" in defined(file)
    path, _, test = name.partition("::")
    test, _, case = test.rstrip("]").partition("[")
    beside = [PROJECT / file, *(PROJECT / "tests" / "data").glob("*.txt")]
    told = not case or any(case in each.read_text() for each in beside)
    return path == file and test.startswith("test_") and test in defined(file) and told


@pytest.mark.parametrize("page", [SECURITY, PERFORMANCE], ids=lambda page: page.name)
def test_what_shows_a_row_is_there(page: Path) -> None:
    claims, shown = halves(page)
    listed = references(shown)
    cells = [row[0 if page is SECURITY else -1] for row in rows(claims)]
    assert list(dict.fromkeys(cells)) == [*listed], "each row has its number, and each number its row, in this order"
    for number, named in listed.items():
        assert named, f"{number} names nothing"
        for name, file in named:
            assert is_there(name, file), f"{number}: {name} is gone"


def test_each_promise_is_one_sentence_and_stands_once() -> None:
    table = rows(halves(SECURITY)[0])
    numbers = [number for number, _ in table]
    assert len(numbers) == len(set(numbers))
    for number, sentence in table:
        assert sentence.endswith("."), number
        assert not re.search(r"\. [A-Z]", sentence), number
    for one, other in pairwise(numbers):
        assert one[0] != other[0] or int(one[1:]) + 1 == int(other[1:]), f"{other} does not follow {one}"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("tests/gone.py::test_it", "tests/gone.py"),
        ("tests/docs/test_links.py::test_gone", "tests/docs/test_links.py"),
        ("tests/docs/test_links.py::PROJECT", "tests/docs/test_links.py"),
        ("tests/docs/test_links.py::test_every_link_leads_to_a_file_and_to_a_heading_in_it", "tests/docs/test_ci.py"),
        (f"tests/docs/test_claims.py::test_what_shows_a_row_is_there[{'no such'} case]", "tests/docs/test_claims.py"),
        ("python3 -m tests.bench.gone", "tests/bench/gone.py"),
        ("python3 -m tests.site.fleet", "tests/site/fleet.py"),
    ],
)
def test_what_is_gone_is_noticed(name: str, file: str) -> None:
    assert not is_there(name, file)
