"""Every name that docs/writing-checks.md says an author may use is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent.parent / "docs" / "writing-checks.md").read_text("utf-8")


def names() -> Iterator[tuple[tuple[str, ...], str]]:
    """Modules, and a name that is in one of them: from the tables of one module, and from the one of modules."""
    module = ""
    for line in PAGE.splitlines():
        first, _, second = line.strip("| ").partition(" | ")
        if line.startswith("| From `"):
            module = first.split("`")[1]
        elif not line.startswith("|"):
            module = ""
        elif module:
            yield from (((module,), name) for name in re.findall(r"`(\w+)", first))
        elif first.startswith(("`preflight.judging", "`preflight.plan.")):
            modules = tuple(re.findall(r"`([\w.]+)`", first))
            yield from ((modules, name) for name in re.findall(r"`(\w+)", second))


def test_the_page_names_many() -> None:
    assert len(list(names())) > 30


@pytest.mark.parametrize(("modules", "name"), list(names()))
def test_a_name_of_the_page_is_there(modules: tuple[str, ...], name: str) -> None:
    assert any(hasattr(import_module(module), name) for module in modules)
