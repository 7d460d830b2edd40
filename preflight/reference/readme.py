"""The README's tables that follow from the code: checks, and formats of the report."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence

from preflight.reference.explanation import Explanation
from preflight.report import formats
from preflight.report.markup import table


def with_tables(readme: str, explanations: Sequence[Explanation]) -> str:
    """The README with each table between its two marks. Raises ValueError when they are not there."""
    checks = [(f"[`{each.id}`](docs/reference/checks.md#{each.id})", each.question) for each in explanations]
    readme = _with_table(readme, "checks", ("check", "question"), checks)
    return _with_table(readme, "formats", ("format", ""), [(f"`{name}`", _purpose(name)) for name in formats.FORMATS])


def _purpose(name: str) -> str:
    """For whom a format is: the first sentence of its module's docstring."""
    doc = inspect.getdoc(importlib.import_module(f"{formats.__name__}.{name}")) or ""
    return " ".join(doc.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")


def _with_table(readme: str, name: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    begin, end = f"<!-- {name}, written by `python -m preflight.reference` -->\n", f"\n<!-- end of {name} -->\n"
    before, found, rest = readme.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"no place for {name} in the README")
    return "".join([before, begin, "\n".join(table(head, rows)), end, after])
