"""rehearsal: the sealed scripts were run for real, on a scratch server, and nothing of them has changed since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.judging.sealed_scripts import sealed_scripts, sealing_probes
from preflight.plan import Scripts
from preflight.plan.command_lines import psql_argv
from preflight.plan.work import Section, ServerWork, server_work
from preflight.questions.files import LocalText, Texts, read_manifest
from preflight.questions.rehearsed import Rehearsal, RehearsalProbe, Rehearsed, RehearsedEntry, Run
from preflight.wording import counted, named


class RehearsalCheck(Check):
    """Were the sealed scripts run for real, on a scratch server, just as they are to run in the window?

    Logins, folders and hashes tell nothing of the work itself: a script with `SELEC 1` in it, or one whose column is
    there already, is green in every one of them and fails at 01:00. `preflight rehearse PLAN` runs the declared line on
    the sealed files, in a copy of the real database's schema or in a restore of its newest backup, and records beside
    the plan what PostgreSQL said. FAIL where a script failed, with psql's own line; and where a sealed file or the line
    is another one than was rehearsed. UNKNOWN without a record; `[release] without = { rehearsal = "..." }` leaves the
    rehearsal out for a reason, as a warning that every report prints.
    """

    id = "rehearsal"
    title = "the scripts were rehearsed as they are to run"
    waivable = False
    sections = ("scripts",)
    needs = "none: it reads the record beside the plan"
    cure = "rehearse the scripts again, or correct what failed, have it approved and seal again"

    def subjects(self) -> Sequence[Subject]:
        return [
            Subject(work.id, work, work.owner)
            for work in server_work(self.plan)
            if work.section is Section.SCRIPTS and work.connects
        ]

    def probes(self, subject: Subject) -> Probes:
        if self.plan.release.without.rehearsal:
            return {}
        manifest, texts = sealing_probes(self.plan, self._entry(subject))
        return {"rehearsed": RehearsalProbe.of(self.plan), "manifest": manifest, "texts": texts}

    def judge(
        self,
        subject: Subject,
        *,
        rehearsed: Rehearsed | None = None,
        manifest: LocalText | None = None,
        texts: Texts | None = None,
    ) -> Judgement:
        reason = self.plan.release.without.rehearsal
        if rehearsed is None or manifest is None or texts is None:
            return warned(f"not rehearsed: {reason}", remedy=f"run: {self.plan.rehearse_command}")
        record = rehearsed.record
        tried = record.scripts.get(subject.id) if record else None
        if record is None or tried is None:
            return unknown(
                "the scripts were never rehearsed",
                expected=f"a record of their rehearsal in {self.plan.rehearsal_record.name}",
                actual=rehearsed.problem or "the record does not have them",
                remedy=f"run: {self.plan.rehearse_command}; "
                'or say why not in [release]: without = { rehearsal = "" }',
            )
        changed = list(self._changed(subject.item, tried, manifest, texts))
        points = changed or [self._judge_run(run) for run in tried.runs if run.exit_code] or [_succeeded(record, tried)]
        return Judgement.of(points)

    def _changed(
        self, work: ServerWork, tried: RehearsedEntry, manifest: LocalText, texts: Texts
    ) -> Iterator[Judgement]:
        """What is another thing than was rehearsed, by name."""
        entry = self.plan.scripts[work.id]
        sealed, problem = read_manifest(manifest)
        files = sorted(
            name for name in {*sealed, *tried.files} if sealed.get(name) != tried.files.get(name)
        )  # what is not sealed at all differs in every file
        again = f"have the change reviewed, then run: {self.plan.rehearse_command}"
        if files:
            yield failed(
                f"changed since the rehearsal: {named(files)}",
                expected="the sealed files that were rehearsed, byte for byte",
                actual=problem or f"{counted(len(files), 'sealed file')} with another SHA-256, added or taken out",
                remedy=again,
            )
        line = psql_argv(entry, work, sealed_scripts(entry, sealed, problem, texts).order.forward)
        if not files and line != tried.line:
            yield failed(
                "the line that runs the scripts is another one than was rehearsed",
                expected=named(tried.line),
                actual=named(line),
                remedy=again,
            )

    def _judge_run(self, run: Run) -> Judgement:
        """A script that failed."""
        return failed(
            f"{named([run.script])} failed in the rehearsal: {run.said or f'exit status {run.exit_code}'}",
            expected="exit status 0",
            actual=f"exit status {run.exit_code}",
            remedy=f"correct the script, have that approved, then run: {self.plan.seal_command} && "
            f"{self.plan.rehearse_command}",
        )

    def _entry(self, subject: Subject) -> Scripts:
        return self.plan.scripts[subject.id]


def _succeeded(record: Rehearsal, tried: RehearsedEntry) -> Judgement:
    scripts = counted(len(tried.forward), "script")
    return passed(f"{scripts} rehearsed {record.at:%Y-%m-%d} on {record.where}", actual=f"by {record.by}")
