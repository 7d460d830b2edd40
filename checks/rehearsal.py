"""rehearsal: the sealed scripts were run for real, on a scratch server, and nothing of them has changed since."""

import math
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.judging.cures import ON_ROWS
from preflight.judging.sealed_scripts import SealedScripts, sealed_scripts, sealing_probes
from preflight.plan import Database, Scripts
from preflight.plan.command_lines import psql_argv, restore_command
from preflight.plan.values import ExpectedChange
from preflight.plan.work import ServerWork, restored_by_pg_restore, script_work, scripts_in
from preflight.questions.files import LocalText, Texts, read_manifest
from preflight.questions.rehearsed import Drill, Rehearsal, RehearsalProbe, Rehearsed, RehearsedDatabase, RehearsedEntry
from preflight.questions.schema import SealedSchema, SealedSchemaProbe, unlike
from preflight.units import format_size
from preflight.wording import counted, named

_BY_RESTORE = "; or, where their step is taken back by a restore, take `way_back` out of [scripts.{}]"
_NEVER = "the scripts were never rehearsed"


class RehearsalCheck(Check):
    """Were the sealed scripts run for real, on a scratch server, just as they are to run in the window?

    Logins, folders and hashes tell nothing of the work itself: a script with `SELEC 1` in it, or one whose column is
    there already, is green in every one of them and fails at 01:00. `preflight rehearse PLAN` runs the declared line on
    the sealed files, in a copy of the real database's schema or in a restore of its newest backup, then the ways back,
    then each script with a broken statement put first in it; it records beside the plan what PostgreSQL said. FAIL
    where a sealed file or the line is another one than was rehearsed, or another entry runs before it in its database;
    where a script or a way back failed, with psql's own line, or went on after an error; where a transaction was rolled
    back without an error or left open; where the ways back leave a difference or lose rows; where the line did not stop
    at a broken statement, or kept what `single_transaction` promises to take back; where all changed nothing on a
    restore, unless `changes = "nothing"` says so; where a way back changed nothing though its script did; and where
    pg_restore does not put a backup back after them. UNKNOWN without a record, on another major version, without an
    extension of the real server, on another schema than the sealed one, after a `command` that was not rehearsed,
    where nothing was changed on the schema alone, and where a declared line of pg_restore was not tried.
    `[release] without = { rehearsal = "..." }` leaves it out for a reason, as a warning that every report prints.
    """

    id = "rehearsal"
    title = "the scripts were rehearsed as they are to run"
    waivable = False
    sections = ("scripts",)
    needs = "none: it reads the record beside the plan"
    cure = "rehearse the scripts again, or correct what failed, have it approved and seal again"

    def subjects(self) -> Sequence[Subject]:
        scripts = self.plan.scripts
        works = (work for work in script_work(self.plan) if work.connects or scripts[work.id].rehearse_command)
        return [Subject(work.id, work, work.owner) for work in works]

    def probes(self, subject: Subject) -> Probes:
        if self.plan.release.without.rehearsal:
            return {}
        entry = self.plan.scripts[subject.id]
        manifest, texts = sealing_probes(self.plan, entry)
        schema = SealedSchemaProbe.of(self.plan, entry.database)
        return {"rehearsed": RehearsalProbe.of(self.plan), "manifest": manifest, "texts": texts, "schema": schema}

    def judge(self, subject: Subject, **facts: Any) -> Judgement:
        if reason := self.plan.release.without.rehearsal:
            return warned(f"not rehearsed: {reason}", remedy=f"run: {self.plan.call('rehearse')}")
        rehearsed: Rehearsed = facts["rehearsed"]
        manifest, texts, record = facts["manifest"], facts["texts"], rehearsed.record
        tried = rehearsed.entry(subject.id)
        database = record.databases.get(tried.database) if record and tried else None
        if record is None or tried is None or database is None:
            not_there = record.not_rehearsed.get(self.plan.scripts[subject.id].database) if record else ""
            return unknown(
                _NEVER,
                expected=f"a record of their rehearsal in {self.plan.rehearsal_record.name}",
                actual=rehearsed.problem or not_there or "the record does not have them",
                remedy=f"run: {self.plan.call('rehearse')}; "
                'or say why not in [release]: without = { rehearsal = "" }',
            )
        changed = [*self._changed(subject.item, tried, manifest, texts), *self._judge_neighbours(record, subject.id)]
        if changed:
            return Judgement.of(changed)
        entry = self.plan.scripts[subject.id]
        scripts = sealed_scripts(entry, *read_manifest(manifest), texts)
        points = [
            *self._judge_runs(tried),
            *self._judge_place(entry, database, facts["schema"]),
            *self._judge_before(entry),
            *self._judge_schema(self.plan.databases[entry.database], database, facts["schema"]),
        ]
        if tried.runs and not any(run.exit_code for run in tried.runs):
            points += self._judge_outcome(entry, tried, database, scripts)
            points += [*self._judge_drills(entry, tried), *self._judge_restores(entry, database)]
        return Judgement.of(points or [_succeeded(record, tried, database)])

    def _changed(
        self, work: ServerWork, tried: RehearsedEntry, manifest: LocalText, texts: Texts
    ) -> Iterator[Judgement]:
        """What is another thing than was rehearsed, by name."""
        entry = self.plan.scripts[work.id]
        sealed, problem = read_manifest(manifest)  # what is not sealed at all differs in every file
        files = sorted(name for name in {*sealed, *tried.files} if sealed.get(name) != tried.files.get(name))
        again = f"have the change reviewed, then run: {self.plan.call('rehearse')}"
        if files:
            yield failed(
                f"changed since the rehearsal: {named(files)}",
                expected="the sealed files that were rehearsed, byte for byte",
                actual=problem or f"{counted(len(files), 'sealed file')} with another SHA-256, added or taken out",
                remedy=again,
            )
        line = entry.rehearse_command
        if not files and not line:
            line = psql_argv(entry, work, sealed_scripts(entry, sealed, problem, texts).order.forward)
        if entry.command:
            line = (*entry.command, *line)
        if not files and line != tried.line:
            summary = "the line that runs the scripts is another one than was rehearsed"
            yield failed(summary, expected=shlex.join(tried.line), actual=shlex.join(line), remedy=again)

    def _judge_neighbours(self, record: Rehearsal, name: str) -> Iterator[Judgement]:
        """Each entry ran on what those before it had left."""
        beside = scripts_in(self.plan, self.plan.scripts[name].database)
        now = [each.id for each in beside if not each.command or each.rehearse_command]
        places = {each.database for each in beside}
        then = [other for other, each in record.scripts.items() if each.database in places]
        if now != then:
            yield failed(
                "the entries of [scripts] in its database, or their order, are others than were rehearsed",
                expected=", ".join(then),
                actual=", ".join(now),
                remedy=f"run: {self.plan.call('rehearse')}",
            )

    def _judge_before(self, entry: Scripts) -> Iterator[Judgement]:
        """Commands that change its database before it in the window, and did not in the rehearsal."""
        beside = scripts_in(self.plan, entry.database)
        for other in beside[: beside.index(entry)]:
            if other.command and not other.rehearse_command and other.changes is not ExpectedChange.NOTHING:
                yield unknown(
                    f"rehearsed without what {other.id} does first",
                    expected=f"the database as {other.id} leaves it",
                    actual=f"the `command` of {other.id} was not run: it has no `rehearse_command`",
                    remedy=f"add `rehearse_command` to [scripts.{other.id}], then run: {self.plan.call('rehearse')}; "
                    'or, where it is meant to change nothing there, write in that table: changes = "nothing"',
                )

    def _judge_schema(self, entry: Database, database: RehearsedDatabase, sealed: SealedSchema) -> Iterator[Judgement]:
        """Whether they ran on the schema that is sealed; that it is the real one's, schema-drift judges."""
        if sealed.is_missing:
            return
        if sealed.schema is None:
            yield unknown(
                "the schema that it was rehearsed on cannot be held against the sealed one",
                expected=f"the schema in {self.plan.sealed_schema(entry.id).name}",
                actual=sealed.problem,
                remedy=f"cure schema-drift of {entry.id} first; it says how",
            )
            return
        if database.major != sealed.schema.major:
            return
        if names := unlike(sealed.schema, database.objects, entry.drift_allowed):
            yield unknown(
                f"rehearsed on another schema than the sealed one: {named(names)}",
                expected=f"the schema in {self.plan.sealed_schema(entry.id).name}",
                actual=counted(len(names), "object") + " with another definition, or only in one of them",
                remedy="where schema-drift does not pass either, cure that first; with an older backup, take a new "
                f"one; then run: {self.plan.call('rehearse')}",
            )

    def _judge_place(self, entry: Scripts, database: RehearsedDatabase, sealed: SealedSchema) -> Iterator[Judgement]:
        """What the scratch server did not have of the real one, as that is sealed now: it may be another one since."""
        programs = "name another one in [rehearsal], `programs`, or a server in [rehearsal.server]; then rehearse again"
        real = sealed.schema.major if sealed.schema else database.server_major
        if database.major != real:
            yield unknown(
                f"rehearsed on PostgreSQL {database.major}, and the real server is {real}",
                expected="the same major version",
                actual=f"{database.major} for {real}",
                remedy=f"have PostgreSQL {real} installed where preflight rehearses, or {programs}",
            )
        server = self.plan.sealed.get(entry.database)
        systems = {database.system_identifier, server.system_identifier if server else ""} - {""}
        if server and len(systems) > 1:
            yield unknown(
                f"rehearsed for another server than the one that {entry.database} is sealed at",
                expected=f"system {server.system_identifier}",
                actual=f"system {database.system_identifier}",
                remedy=f"run: {self.plan.call('rehearse')}",
            )
        if database.missing_extensions:
            names = named(database.missing_extensions)
            yield unknown(
                f"rehearsed without what the real database has: extension {names}",
                expected="every extension of the real database",
                actual=f"without {names}",
                remedy=f"have the package of {names} installed where preflight rehearses, or {programs}",
            )

    def _judge_runs(self, tried: RehearsedEntry) -> Iterator[Judgement]:
        if not tried.runs:
            yield unknown(
                _NEVER,
                expected="a rehearsal of all scripts of the database",
                actual="one that ran before them failed",
                remedy=f"cure the line that names it, then run: {self.plan.call('rehearse')}",
            )
        for run in tried.runs:
            if run.exit_code:
                yield self._fails(
                    f"{named([run.script])} failed in the rehearsal: {run.said or f'exit status {run.exit_code}'}",
                    "exit status 0",
                    f"exit status {run.exit_code}",
                )
            elif run.said:
                yield self._fails(
                    f"{named([run.script])} goes on after an error and ends with status 0: {run.said}",
                    "no error, or a stop at the first one",
                    "ON_ERROR_STOP was switched off in it, or a wrapper takes no notice",
                )
            elif run.rolled_back:
                what = counted(run.rolled_back, "transaction")
                yield self._fails(
                    f"{named([run.script])} ends with status 0, with {what} rolled back or left open",
                    "every transaction committed",
                    f"{what} rolled back: a BEGIN without COMMIT, a ROLLBACK that was left in, AUTOCOMMIT off",
                )

    def _judge_outcome(
        self, entry: Scripts, tried: RehearsedEntry, database: RehearsedDatabase, scripts: SealedScripts
    ) -> Iterator[Judgement]:
        """Of scripts that all ran: whether they did anything, and whether their ways back take it back."""
        with_rows = database.has_rows
        idle = [run.script for run in tried.forward if run.idle]
        if entry.single_transaction and len(idle) < len(tried.forward):
            idle = []  # rows are told with the last script
        if idle and entry.changes is not ExpectedChange.NOTHING:
            yield self._did_nothing(idle, whole=len(idle) == len(tried.forward), with_rows=with_rows)
        if not entry.command:
            yield from self._judge_idle_ways_back(entry, tried, scripts, with_rows=with_rows)
        if tried.left:
            lines = tried.left.splitlines()
            yield failed(
                f"the ways back leave a difference: {named(lines[:3])}",
                expected="the schema as it was before the scripts",
                actual=counted(len(lines), "line") + " of difference",
                remedy=self._correct + _BY_RESTORE.format(entry.id),
                details=tried.left,
            )
        if lost := [each for run in tried.back for each in run.rows_lost]:
            yield failed(
                f"after the ways back rows are gone that were there before: {named(lost)}",
                expected="all rows that were there before the scripts",
                actual=named(lost),
                remedy=self._correct + _BY_RESTORE.format(entry.id),
            )

    def _did_nothing(self, names: Sequence[str], *, whole: bool, with_rows: bool) -> Judgement:
        says = 'or, where they are meant to, write in their entry: changes = "nothing"'
        expected = "an object or a row that each script changes"
        if with_rows:
            summary = f"changed nothing in the rehearsal: {named(names)}"
            actual = "no difference of the schema, no row inserted, updated or deleted"
            remedy = f"correct the scripts, {says}"
            return (failed if whole else warned)(summary, expected=expected, actual=actual, remedy=remedy)
        return unknown(
            f"whether they change anything is not known, there were no rows: {named(names)}",
            expected=expected,
            actual="no difference of the schema; there was no row to change",
            remedy=f"{ON_ROWS}; {says}",
        )

    def _judge_idle_ways_back(
        self, entry: Scripts, tried: RehearsedEntry, scripts: SealedScripts, *, with_rows: bool
    ) -> Iterator[Judgement]:
        """Ways back that changed nothing, though their scripts did."""
        runs = {run.script: run for run in tried.runs}
        for pair in scripts.running:
            forward, back = runs.get(pair.forward), runs.get(pair.back)
            if forward is None or back is None or forward.idle or not back.idle:
                continue
            defined = any(each.defined for each in forward.touched)
            # Rows of one transaction are told with its last script.
            if defined or (with_rows and not entry.single_transaction):
                summary = f"the way back of {named([pair.forward])} changed nothing in the rehearsal"
                yield self._fails(summary, f"{named([pair.back])} takes it back", "no object and no row was touched")
            elif not with_rows:
                yield unknown(
                    f"whether the way back of {named([pair.forward])} changes anything is not known, without rows",
                    expected=f"{named([pair.back])} takes it back",
                    actual="no object was touched; there was no row to change",
                    remedy=ON_ROWS,
                )

    def _judge_drills(self, entry: Scripts, tried: RehearsedEntry) -> Iterator[Judgement]:
        """What the same line did at a broken statement."""
        if not tried.drills:
            yield unknown(
                "whether it stops at the first error is not known: there was no script to break",
                expected="a sealed script with a broken statement put first in it",
                actual="no script among the sealed files",
                remedy="seal the scripts that the command runs with it, then rehearse again",
            )
        for drill in tried.drills:
            if fault := _fault_of(entry, drill):
                summary = f"with a broken statement put first in {named([drill.script])}, {fault}"
                yield self._fails(summary, "it stops there and ends with another status than 0", "it did not")

    def _judge_restores(self, entry: Scripts, database: RehearsedDatabase) -> Iterator[Judgement]:
        """Whether pg_restore puts the database's backups back after all that ran there."""
        for planned in restored_by_pg_restore(self.plan, entry.database):
            line = shlex.join(restore_command(self.plan, planned).argv[:-1])
            said = database.restores.get(line)
            if said is None:
                yield unknown(
                    f"whether the backup {planned.id} can be put back after the scripts was not rehearsed",
                    expected=line,
                    actual=f"tried: {'; '.join(database.restores) or 'none'}",
                    remedy=f"run: {self.plan.call('rehearse')}",
                )
            elif said:
                yield failed(
                    f"the backup {planned.id} cannot be put back after the scripts: {said}",
                    expected=f"status 0 of: {line}",
                    actual=said,
                    remedy="have sealed ways back drop first what the scripts make; or name in "
                    f"[backups.{planned.id}.restore] an empty database (`into`), a `command` that drops and creates it "
                    f"first, or a `login` that owns what is there; then run: {self.plan.call('rehearse')}",
                )

    def _fails(self, summary: str, expected: str, actual: str) -> Judgement:
        return failed(summary, expected=expected, actual=actual, remedy=self._correct)

    @property
    def _correct(self) -> str:
        calls = f"{self.plan.call('seal')} && {self.plan.call('rehearse')}"
        return f"correct the script or the line, have that approved, then run: {calls}"


def _fault_of(entry: Scripts, drill: Drill) -> str:
    """Why the line does not stop as it should; empty where it does."""
    if not drill.exit_code:
        return "the line ended with status 0"
    if drill.went_on:
        return f"the line went on with: {drill.went_on}"
    if entry.single_transaction and drill.kept:
        return f"the line kept what its one transaction was to take back: {named(drill.kept.splitlines()[:3])}"
    return ""


def _succeeded(record: Rehearsal, tried: RehearsedEntry, database: RehearsedDatabase) -> Judgement:
    scripts = counted(len(tried.forward), "script")
    on, more = "without rows", "".join(f"; then went well: {line}" for line in database.restores)
    if database.has_rows:
        on = f"{tried.minutes:.0f} min on a restore of {format_size(database.size_bytes)}"
        minutes = f"minutes = {math.ceil(tried.minutes)}"
        more += f'; their step may say: {minutes}, source = "rehearsed {record.at:%Y-%m-%d}"'
    stopped = f"{counted(len(tried.drills), 'broken script')} stopped it"
    where = f" at {database.named_server}" if database.named_server else ""
    return passed(
        f"{scripts} rehearsed {record.at:%Y-%m-%d} on PostgreSQL {database.version}{where}, {on}; {stopped}",
        actual=f"by {record.by} on {record.where}{more}",
    )
