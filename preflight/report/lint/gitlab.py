"""For a GitLab merge request: a code quality report, on the plans' lines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from preflight.report.harmless import clean, json_text
from preflight.report.lint import LintedPlan


def render(plans: Sequence[LintedPlan]) -> str:
    """A list of issues; empty for plans that are valid and leave nothing unconfirmed."""
    return json_text([issue for plan in plans for issue in _issues(plan)])


def _issues(linted: LintedPlan) -> Iterator[dict[str, Any]]:
    for each in linted.faults():
        yield _issue("invalid-plan", "blocker", linted.shown_as, each.text, each.line)
    for gap in linted.unconfirmed:
        yield _issue("unconfirmed", "minor", linted.shown_as, gap, None)


def _issue(check: str, severity: str, file: str, text: str, line: int | None) -> dict[str, Any]:
    path = PurePath(file).as_posix()  # without a leading ./, or GitLab finds no such file
    # GitLab tells old from new by the fingerprint: the line is left out of it, so that an edit above changes nothing.
    identity = "\0".join((check, path, text))
    return {
        "description": clean(text),
        "check_name": f"preflight-{check}",
        "fingerprint": hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()[:32],
        "severity": severity,
        "location": {"path": path, "lines": {"begin": line or 1}},
    }
