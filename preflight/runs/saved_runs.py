"""Runs kept below `.preflight/` beside the plan: the evidence of each, and the report it led to.

Two runs at once in one folder do not harm each other: each takes a name that nobody else has, and a run is there from
the moment its evidence is, which is written last and as a whole.

**How long runs are kept.** The newest `MOST_RUNS` of a release stay, every run of the last `DAYS_KEPT` days, and the
newest GO and the newest NO-GO however old they are. What is older goes when the next run is kept. Files with any other
name are never touched."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from preflight.evidence import Evidence, EvidenceError, write_private
from preflight.plan import Plan
from preflight.report.json_report import Report, ReportError, load_report
from preflight.verdict import Decision

MOST_RUNS = 50
DAYS_KEPT = 30

_REPORT = ".report.json"
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_LATEST_NAME = timedelta(seconds=1)
"""A run is named by the moment of asking, or just after it where others have the same: an older one is not the newest
because somebody called it so."""
_EVIDENCE = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)\.json")
_OURS = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)(?:\.report)?\.json")


@dataclass(frozen=True, slots=True)
class SavedRun:
    path: Path
    evidence: Evidence
    report: Report | None
    """What that run concluded, for comparing with; None when its report is gone. A verdict is never taken from it."""

    @property
    def held(self) -> str:
        """What it concluded, where that was not GO; empty where it was. Judged again it may be GO: `--only`, `--steady`
        and the moment of a gate are not kept with the answers."""
        if self.report and self.report.verdict is Decision.GO:
            return ""
        return f"it was {self.report.headline if self.report else 'without a report'} when it was run"


@dataclass(frozen=True, slots=True)
class UnreadableRun:
    """A run that was kept and cannot be read: edited, damaged, or saved by another version."""

    path: Path
    reason: str


def folder_of(plan: Plan) -> Path:
    """Where the runs of the plan's release are kept."""
    # One for each id: what no folder may hold, or what leads out of it, is told by its number.
    release = re.sub(r"^\.|[^\w.-]", lambda letter: f"%{ord(letter[0]):04x}", plan.release.id)
    return plan.folder / ".preflight" / release


def keep(plan: Plan, evidence: Evidence, report: str) -> Path:
    """Saves a run, mode 0600 in a folder of mode 0700, and removes what is too old. Raises OSError."""
    folder = folder_of(plan)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = _claim(folder, evidence.collected_at)
    try:
        write_private(path.with_suffix(_REPORT), report)
        write_private(path, evidence.to_json())  # last: who finds it finds its report too
    except BaseException:
        path.with_suffix(_REPORT).unlink(missing_ok=True)  # what happened is told, not that it is gone
        raise
    for old in _outdated(folder, evidence.collected_at):
        with suppress(OSError):  # another run removes it as well; else the next one tries again
            old.unlink()
    return path


def newest(plan: Plan) -> SavedRun | UnreadableRun | None:
    """The latest run of the plan's release, or why it cannot be read: never an older one. None when none is kept."""
    try:
        return next(every(plan), None)
    except OSError as error:
        return UnreadableRun(folder_of(plan), f"the folder cannot be listed: {error.strerror}")


def every(plan: Plan) -> Iterator[SavedRun | UnreadableRun]:
    """All runs of the plan's release, newest first. Raises OSError."""
    return map(_load, _paths(folder_of(plan)))


def reports(plan: Plan) -> Iterator[Path]:
    """The report of each run of the plan's release that has one, newest first. Raises OSError."""
    return (report for path in _paths(folder_of(plan)) if (report := report_beside(path)).exists())


def report_beside(path: Path) -> Path:
    """The report of a run whose evidence is named, as `preflight history` lists it; any other path as it is."""
    return path.with_suffix(_REPORT) if _EVIDENCE.fullmatch(path.name) else path


def _claim(folder: Path, at: datetime) -> Path:
    """A name for a run of this moment, or of the first microsecond after it that no other run has. The report's empty
    file holds it against runs at the same time. Raises OSError."""
    while True:
        path = folder / f"{at:{_STAMP}}.json"
        try:
            os.close(os.open(path.with_suffix(_REPORT), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            at += timedelta(microseconds=1)
        else:
            return path


def _paths(folder: Path) -> list[Path]:
    """The evidence of each run, newest first."""
    try:
        return sorted((path for path in folder.iterdir() if _EVIDENCE.fullmatch(path.name)), reverse=True)
    except FileNotFoundError:
        return []


def _load(path: Path) -> SavedRun | UnreadableRun:
    try:
        evidence = Evidence.load(path)
    except EvidenceError as error:
        return UnreadableRun(path, str(error).removeprefix(f"{path}: "))
    named_at = datetime.strptime(f"{path.stem}+0000", f"{_STAMP}%z")
    if not timedelta() <= named_at - evidence.collected_at < _LATEST_NAME:
        return UnreadableRun(path, f"it was copied or renamed: it was asked at {evidence.collected_at:{_STAMP}}")
    report = _report(path)
    return SavedRun(path, evidence, report if report and report.evidence_sha256 == evidence.digest else None)


def _report(path: Path) -> Report | None:
    try:
        return load_report(path.with_suffix(_REPORT))
    except ReportError:
        return None


def _outdated(folder: Path, at: datetime) -> list[Path]:
    """The files that the rule above does not keep at this moment. Raises OSError."""
    runs = _paths(folder)
    kept = {path.name for path in runs[:MOST_RUNS]}
    oldest = f"{at - timedelta(days=DAYS_KEPT):{_STAMP}}"
    if len(runs) > MOST_RUNS and runs[-1].name < oldest:
        kept |= _newest_of_each_decision(runs)
    named = ((path, _OURS.fullmatch(path.name)) for path in folder.iterdir())
    return [path for path, name in named if name and name[1] < oldest and f"{name[1]}.json" not in kept]


def _newest_of_each_decision(runs: list[Path]) -> set[str]:
    """The names of the newest GO and the newest NO-GO, by their reports."""
    found: dict[str, str] = {}
    for path in runs:
        if len(found) == 2:
            break
        report = _report(path)
        if report and report.verdict in (Decision.GO, Decision.NO_GO):
            found.setdefault(report.verdict, path.name)
    return set(found.values())
