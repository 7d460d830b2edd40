"""The run line of one entry of `[scripts]`, with what its judgement takes from the plan and the sealed folder. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from preflight.finding import Judgement, failed
from preflight.plan import Plan, Scripts
from preflight.plan.work import ServerWork, minutes_at_stake
from preflight.probe import Probe
from preflight.probes.files import TARGET, LocalFile, LocalText, LocalTexts, Texts
from preflight.scripts.corrected_line import good_line
from preflight.scripts.line_trial import LineTrial
from preflight.scripts.psql_call import PsqlCall
from preflight.scripts.run_line import psql_calls
from preflight.scripts.sealed_scripts import SealedScripts, runs, sealed_scripts
from preflight.scripts.shell_expansion import Files
from preflight.scripts.shell_words import ShellSyntaxError, Unfollowed
from preflight.scripts.text_diff import visible

_SWITCHES = ("doas", "runuser", "su", "sudo")


@dataclass(frozen=True)
class RunLine:
    """One run line with all that its judgement takes."""

    line: str
    work: ServerWork
    sealed: SealedScripts
    run_elsewhere: frozenset[str] = frozenset()
    """Scripts that run lines of other entries with the same folder run."""
    minutes_at_stake: float | None = None

    @cached_property
    def calls(self) -> tuple[PsqlCall, ...]:
        return psql_calls(self.line)

    @cached_property
    def good(self) -> str:
        scripts = self.sealed.forward or tuple(file for call in self.calls for file in call.files)
        return good_line(self.work.login, self._database, scripts, self.work.psql)

    @property
    def _database(self) -> str:
        return self.work.database.name or self.work.database.id

    @property
    def switches(self) -> bool:
        """The line itself goes over to the account that runs psql; the host's login starts it."""
        return any(self.switched(call) for call in self.calls)

    def switched(self, call: PsqlCall) -> bool:
        starter = call.through[0].rpartition("/")[2] if call.through else ""
        return starter in _SWITCHES and self.work.account in call.through

    @property
    def where(self) -> str:
        return f"in `run` of [scripts.{self.work.id}] and in the runbook"

    def trial(self, line: str = "") -> LineTrial:
        """Raises ShellSyntaxError or Unfollowed."""
        return LineTrial(line or self.line, Files(self.sealed.folder, tuple(sorted(self.sealed.names))))

    def fails(self, summary: str, expected: str, remedy: str, actual: str = "") -> Judgement:
        return failed(
            summary,
            expected=expected,
            actual=actual or visible(self.line),
            remedy=remedy,
            minutes_at_stake=self.minutes_at_stake,
        )

    def write(self, line: str) -> str:
        """The remedy that names a corrected line."""
        return f"write {self.where}: {line or self.good}"


def line_probes(plan: Plan, work: ServerWork) -> Mapping[str, Probe[Any]]:
    """What must be known of the sealed scripts; script-hashes asks the same."""
    entry = plan.scripts[work.id]
    return {
        "manifest": LocalFile(TARGET, _beside(plan, entry.manifest)),
        "texts": LocalTexts(TARGET, _beside(plan, entry.approved)),
    }


def planned_line(plan: Plan, work: ServerWork, manifest: LocalText, texts: Texts) -> RunLine:
    entry = plan.scripts[work.id]
    sealed = sealed_scripts(manifest.text, manifest.problem, texts.texts, folder=entry.staged, way_back=entry.way_back)
    run = RunLine(entry.run, work, sealed, minutes_at_stake=minutes_at_stake(plan, [work]))
    return replace(run, run_elsewhere=_run_elsewhere(plan, entry, run))


def _run_elsewhere(plan: Plan, entry: Scripts, run: RunLine) -> frozenset[str]:
    """What other entries run of the same sealed scripts."""
    found: set[str] = set()
    for other in plan.scripts.values():
        if other.id != entry.id and other.manifest == entry.manifest:
            try:
                found |= set(runs(run.trial(other.run).smooth, run.sealed))
            except (ShellSyntaxError, Unfollowed):
                continue  # the finding about that entry says so
    return frozenset(found)


def _beside(plan: Plan, path: Path) -> str:
    """`path` as seen from the plan's folder, where it lies below."""
    return str(path.relative_to(plan.folder) if path.is_relative_to(plan.folder) else path)
