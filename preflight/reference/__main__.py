"""`python -m preflight.reference docs` writes the generated pages and schemas into a folder `docs`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from preflight.clock import now
from preflight.inspection import inspect
from preflight.loader import load_plan
from preflight.reference.checks_page import checks_page
from preflight.reference.explanation import explain
from preflight.reference.plan_page import plan_page
from preflight.reference.plan_schema import plan_schema
from preflight.reference.report_schema import report_schema
from preflight.registry import find_checks

_EXAMPLE = Path("plans/example.toml")


def pages() -> dict[str, str]:
    """Path below docs -> content. The example plan says which answers a check asks for."""
    registry = find_checks(None)
    inspection = inspect(load_plan(_EXAMPLE, registry.settings()), registry, now())
    explanations = [explain(check, inspection) for check in registry.checks]
    return {
        "reference/plan.md": plan_page(registry),
        "reference/checks.md": checks_page(explanations),
        "schema/plan.schema.json": json.dumps(plan_schema(registry), indent=2) + "\n",
        "schema/report.schema.json": json.dumps(report_schema(), indent=2) + "\n",
    }


if __name__ == "__main__":
    for name, content in pages().items():
        path = Path(sys.argv[1], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
