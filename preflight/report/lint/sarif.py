"""For code scanning: SARIF 2.1.0, with the plan's line and key of each result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import preflight
from preflight.report.harmless import clean, json_text
from preflight.report.lint import LintedPlan

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_RULES = {
    "invalid-plan": (
        "error",
        "The plan must be valid.",
        "A plan with an error is not run at all: correct what the message names, then `preflight lint` again.",
    ),
    "unconfirmed": (
        "warning",
        "The plan should leave nothing unconfirmed.",
        "Something the release depends on is asked by no check, so a GO does not speak of it.",
    ),
}


def render(plans: Sequence[LintedPlan]) -> str:
    """One run over all plans."""
    results = [result for plan in plans for result in _results(plan)]
    faulty = any(list(plan.faults()) for plan in plans)
    run = {
        "tool": {
            "driver": {"name": "preflight", "semanticVersion": preflight.__version__, "rules": [*map(_rule, _RULES)]}
        },
        "invocations": [{"executionSuccessful": True, "exitCode": 2 if faulty else 0}],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json_text({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(name: str) -> dict[str, Any]:
    level, short, full = _RULES[name]
    return {
        "id": name,
        "shortDescription": {"text": short},
        "fullDescription": {"text": full},
        "help": {"text": full},
        "defaultConfiguration": {"level": level},
    }


def _results(linted: LintedPlan) -> Iterator[dict[str, Any]]:
    for each in linted.faults():
        yield _result("invalid-plan", linted.shown_as, each.text, each.line)
    for gap in linted.unconfirmed:
        yield _result("unconfirmed", linted.shown_as, gap, None)


def _result(rule: str, file: str, text: str, line: int | None) -> dict[str, Any]:
    # Code scanning shows nothing without a line; what is about the whole file stands at its first.
    location = {"artifactLocation": {"uri": _uri(file)}, "region": {"startLine": line or 1}}
    return {
        "ruleId": rule,
        "ruleIndex": list(_RULES).index(rule),
        "level": _RULES[rule][0],
        "message": {"text": clean(text)},
        "locations": [{"physicalLocation": location}],
    }


def _uri(file: str) -> str:
    """Percent-encoded from the name's own bytes, which need not be UTF-8."""
    path = Path(file)
    encoded = quote(path.as_posix().encode("utf-8", "surrogateescape"))
    return f"file://{encoded}" if path.is_absolute() else encoded
