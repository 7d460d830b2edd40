"""For programs: one JSON object, deterministic for equal verdicts."""

from __future__ import annotations

from preflight.report import PLAIN, View
from preflight.report.harmless import json_text
from preflight.report.saved_report import report_of
from preflight.verdict import Verdict


def render(verdict: Verdict, _view: View = PLAIN) -> str:
    return json_text(report_of(verdict))
