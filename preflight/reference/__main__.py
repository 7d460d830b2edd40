"""`python -m preflight.reference`, in the project's folder, writes every page, table and schema that follows from the
code."""

from __future__ import annotations

import json
from pathlib import Path

from preflight.clock import now
from preflight.engine.inspection import inspect
from preflight.engine.registry import find_checks
from preflight.plan.load import load_plan
from preflight.reference.checks_page import checks_page
from preflight.reference.explanation import explain
from preflight.reference.plan_page import plan_page
from preflight.reference.plan_schema import plan_schema
from preflight.reference.readme import with_tables
from preflight.reference.report_schema import report_schema

_EXAMPLE = Path("plans/example.toml")
_README = Path("README.md")


def pages() -> dict[str, str]:
    """Path -> content. The example plan says which answers a check asks for."""
    registry = find_checks(None)
    inspection = inspect(load_plan(_EXAMPLE, registry.settings()), registry, now())
    explanations = [explain(check, inspection) for check in registry.checks]
    return {
        "README.md": with_tables(_README.read_text("utf-8"), explanations),
        "docs/reference/plan.md": plan_page(registry),
        "docs/reference/checks.md": checks_page(explanations),
        "docs/schema/plan.schema.json": json.dumps(plan_schema(registry), indent=2) + "\n",
        "docs/schema/report.schema.json": json.dumps(report_schema(), indent=2) + "\n",
    }


if __name__ == "__main__":
    for name, content in pages().items():
        Path(name).write_text(content, "utf-8")
