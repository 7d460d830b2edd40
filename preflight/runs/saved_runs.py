"""Runs kept below `.preflight/` beside the plan: the evidence of each, and the report it led to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from preflight.evidence import Evidence, EvidenceError, write_private
from preflight.plan import Plan
from preflight.runs.difference import Outcome
from preflight.runs.saved_report import ReportError, load_report

_NAME = re.compile(r"\d{8}T\d{6}\.\d{6}Z\.json")
_REPORT = ".report.json"


@dataclass(frozen=True, slots=True)
class SavedRun:
    """One run as it was kept."""

    path: Path
    evidence: Evidence
    outcome: Outcome | None
    """What that run concluded, for comparing with; None when its report is gone. A verdict is never taken from it."""


def folder_of(plan: Plan) -> Path:
    """Where the runs of the plan's release are kept."""
    release = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in plan.release.id)
    return plan.folder / ".preflight" / release


def keep(plan: Plan, evidence: Evidence, report: str, mask: Callable[[str], str]) -> Path:
    """Saves a run, mode 0600 in a folder of mode 0700. Raises OSError."""
    folder = folder_of(plan)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{evidence.collected_at:%Y%m%dT%H%M%S.%fZ}.json"
    write_private(path, mask(evidence.to_json()))
    write_private(_report_of(path), report)
    return path


def newest(plan: Plan) -> tuple[SavedRun | None, list[str]]:
    """The latest run of the plan's release that can be read, and what is wrong with later ones."""
    troubles: list[str] = []
    try:
        paths = _paths(plan)
    except OSError as error:
        return None, [f"the saved runs cannot be listed: {error.strerror}"]
    for path in paths:
        try:
            return _load(path), troubles
        except EvidenceError as error:
            troubles.append(f"not used: {error}")
    return None, troubles


def every(plan: Plan) -> Iterator[tuple[Path, SavedRun | EvidenceError]]:
    """All runs of the plan's release, newest first; in place of one that cannot be read, why. Raises OSError."""
    for path in _paths(plan):
        try:
            yield path, _load(path)
        except EvidenceError as error:
            yield path, error


def _paths(plan: Plan) -> list[Path]:
    try:
        return sorted((path for path in folder_of(plan).iterdir() if _NAME.fullmatch(path.name)), reverse=True)
    except FileNotFoundError:
        return []


def _load(path: Path) -> SavedRun:
    return SavedRun(path, Evidence.load(path), _outcome(path))


def _report_of(path: Path) -> Path:
    return path.with_suffix(_REPORT)


def _outcome(path: Path) -> Outcome | None:
    try:
        return load_report(_report_of(path))
    except ReportError:
        return None
