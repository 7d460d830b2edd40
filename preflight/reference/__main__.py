"""`python -m preflight.reference`, in the project's folder, writes every page, table and schema that follows from the
code."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path

from preflight.clock import now
from preflight.engine.inspection import inspect
from preflight.engine.registry import find_checks
from preflight.plan.load import load_plan
from preflight.reference.explanation import Explanation, explain
from preflight.reference.pages import checks_page, plan_page
from preflight.reference.schemas import plan_schema, report_schema
from preflight.report import formats
from preflight.report.markup import table
from preflight.wording import first_paragraph

_EXAMPLE = Path("plans/example.toml")
_README = Path("README.md")


def pages() -> dict[str, str]:
    """Path -> content. The example plan says which answers a check asks for."""
    registry = find_checks(None)
    inspection = inspect(load_plan(_EXAMPLE, registry.settings()), registry, now())
    explanations = [explain(check, inspection) for check in registry.checks]
    return {
        "README.md": _with_tables(_README.read_text("utf-8"), explanations),
        "docs/reference/plan.md": plan_page(registry),
        "docs/reference/checks.md": checks_page(explanations),
        "docs/schema/plan.schema.json": json.dumps(plan_schema(registry), indent=2) + "\n",
        "docs/schema/report.schema.json": json.dumps(report_schema(), indent=2) + "\n",
    }


def _with_tables(readme: str, explanations: Sequence[Explanation]) -> str:
    """The README with each table between its two marks. Raises ValueError when they are not there."""
    asked = {each.check.id: each.question for each in explanations}
    checks = [(f"[`{name}`](docs/reference/checks.md#{name})", question) for name, question in asked.items()]
    readme = _with_table(readme, "checks", ("check", "question"), checks)
    return _with_table(readme, "formats", ("format", ""), [(f"`{name}`", _purpose(name)) for name in formats.FORMATS])


def _purpose(name: str) -> str:
    """For whom a format is: the first sentence of its module's docstring."""
    said = first_paragraph(importlib.import_module(f"{formats.__name__}.{name}"))
    return said.partition(". ")[0].rstrip(".")


def _with_table(readme: str, name: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    begin, end = f"<!-- {name}, written by `python -m preflight.reference` -->\n", f"\n<!-- end of {name} -->\n"
    before, found, rest = readme.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"no place for {name} in the README")
    return "".join([before, begin, "\n".join(table(head, rows)), end, after])


if __name__ == "__main__":
    for name, content in pages().items():
        Path(name).write_text(content, "utf-8")
