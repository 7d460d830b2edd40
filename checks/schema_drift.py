"""schema-drift: the schema of the database is the one that was sealed; once the work is done, with just its changes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from preflight.check import ANY_STATE, Check, Expect, Probes, Subject
from preflight.clock import format_moment
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.judging.sealed_scripts import sealing_probes
from preflight.plan import Database
from preflight.plan.work import is_one, scripts_in
from preflight.questions import schema as schemas
from preflight.questions.files import LocalText, read_manifest
from preflight.questions.rehearsed import Rehearsal, RehearsalProbe, Rehearsed, Run
from preflight.wording import counted, listed, named

_MOST_SHOWN = 3
_MOST_LINES = 500


class SchemaDrift(Check):
    """Is the schema of the database the one that was sealed?

    Scripts are reviewed and rehearsed against one schema. A column that somebody added by hand, an index that is no
    longer valid, a grant that is gone: the same scripts fail at 01:00, or succeed and leave something else than was
    tested. `preflight seal` records the schema as text beside the plan, from the catalogues alone: tables, columns,
    constraints, indexes, views, functions, triggers, policies, grants, owners, extensions, each with its state. Before
    the window it must be equal to the word; a difference is FAIL, shown as a diff of the objects. Positions of
    sequences, comments, statistics and functions put into pg_catalog are not in it. A half-applied attempt of the same
    release shows here too. `drift_allowed` of the database names objects that jobs make every night; the report lists
    them. Never sealed is UNKNOWN. Once the scripts have run, `preflight verify` asks instead whether the difference is
    just the one that their rehearsal recorded, object by object: what was not done, done otherwise, or done besides is
    FAIL. What a script changes besides a schema, rows above all, does not show here: without a query of the plan that
    tells it, UNKNOWN. Rehearsed on another major version, or without an extension of the real server, a difference is
    UNKNOWN, and so is all without a record of just the sealed scripts; where the plan leaves the rehearsal out for a
    reason, what differs is told as a warning, for a person to read.
    """

    id = "schema-drift"
    title = "the schema is as it was sealed"
    verifies = ANY_STATE
    sections = ("databases",)
    needs = "none beyond the login: catalogues that every role may read"
    cure = "have the change taken back; or have it approved, then seal again"

    def subjects(self) -> Sequence[Subject]:
        return [Subject(entry.id, entry, entry.owner) for entry in self.plan.databases.values()]

    def probes(self, subject: Subject) -> Probes:
        database = subject.item.id
        sealed = schemas.SealedSchemaProbe.of(self.plan, database)
        probes: Probes = {"schema": schemas.SchemaProbe(database), "sealed": sealed}
        entries = scripts_in(self.plan, database)
        if self.expect is not Expect.AFTER or not entries:
            return probes
        manifests = {f"manifest {each.id}": sealing_probes(self.plan, each)[0] for each in entries}
        return {**probes, **manifests, "rehearsed": RehearsalProbe.of(self.plan)}

    def judge(
        self,
        subject: Subject,
        *,
        schema: schemas.Schema,
        sealed: schemas.SealedSchema,
        rehearsed: Rehearsed | None = None,
        **manifests: LocalText,
    ) -> Judgement:
        database: Database = subject.item
        file = self.plan.sealed_schema(database.id).name
        if sealed.schema is None:
            return unknown(
                "the schema was never sealed" if sealed.is_missing else "the sealed schema cannot be relied on",
                expected=f"{file}, as `preflight seal` writes it",
                actual=sealed.problem,
                remedy=f"have the schema approved as it is now, then run: {self.plan.call('seal')}",
            )
        if sealed.schema.major != schema.major:
            return failed(
                "sealed on another major version of PostgreSQL",
                expected=f"PostgreSQL {sealed.schema.major}, as in {file}",
                actual=f"PostgreSQL {schema.major}",
                remedy=f"have the upgrade approved, then run: {self.plan.call('seal')}",
            )
        changed = schemas.without(schemas.difference(sealed.schema, schema), database.drift_allowed)
        allowed = self._allowed(database, sealed.schema, schema)
        if rehearsed is not None:
            problem = self._unrecorded(database, rehearsed, manifests)
            return self._judge_work(database, changed, rehearsed.record, problem, allowed)
        if changed:
            return self._drifted(database, file, changed, allowed)
        return passed(f"{counted(len(schema.objects), 'object')} as sealed{allowed}")

    def _drifted(self, database: Database, file: str, changed: Mapping[str, str], allowed: str) -> Judgement:
        lines = [line for each in changed.values() for line in each.split("\n")]
        told = [line for line in lines if not line.startswith(" ")]
        return failed(
            f"{counted(len(changed), 'object')} not as sealed: {named(changed)}{allowed}",
            expected=f"the schema in {file}",
            actual=listed((line[0] + line[1:].strip() for line in told), _MOST_SHOWN, "; "),
            remedy=f"have the change in {database.dbname} taken back (what an attempt of this release left behind: by "
            f"its way back); or have it approved, then run: {self.plan.call('seal')}{self._asked()}",
            details=listed(lines, _MOST_LINES, "\n"),
        )

    def _judge_work(
        self, database: Database, changed: Mapping[str, str], record: Rehearsal | None, problem: str, allowed: str
    ) -> Judgement:
        """Once scripts ran. `changed`: since sealing, by object. `problem`: why the record tells no wanted change."""
        told = f"{counted(len(changed), 'object')} changed since the schema was sealed{allowed}"
        expected = "just what the scripts were to change"
        details = listed("\n".join(changed.values()).split("\n"), _MOST_LINES, "\n")
        if reason := self.plan.release.without.rehearsal:
            remedy = f"have somebody read the difference who knows the scripts: it must be {expected}"
            summary = f"{told}; whether that is just the work was not rehearsed: {reason}"
            return warned(summary, expected=expected, remedy=remedy, details=details)
        named_by = scripts_in(self.plan, database.id)[0].database
        tried = record.databases[named_by] if record and not problem else None
        wanted = schemas.without(tried.changes, database.drift_allowed) if tried else {}
        unseen = self._unseen(database, record) if record and tried and wanted == changed else []
        if unseen and not self._asked_by_the_plan(database):
            return unknown(
                f"{told}, as in the rehearsal; whether these ran does not show in the schema: {named(unseen)}",
                expected=f"{expected}, and a query that tells their rows",
                actual="they change what is no part of a schema (rows, roles), or what `drift_allowed` leaves out",
                remedy='name a query that tells it, in [checks.sql.run] with when = "after"; or `migration` of '
                f"[databases.{database.id}], with its `to`",
            )
        if tried and wanted == changed:
            return passed(f"{told}, each as in the rehearsal")
        if tried and tried.major == tried.server_major and not tried.missing_extensions:
            return _otherwise(wanted, changed)
        elsewhere = f"they were rehearsed on a server unlike the real one, PostgreSQL {tried.major}" if tried else ""
        return unknown(
            f"{told}; whether that is just the work is not known: {problem or elsewhere}",
            expected=expected,
            actual=problem or elsewhere,
            remedy=f"have somebody read the difference who knows the scripts (it must be {expected}), and say who "
            'did in [release]: without = { rehearsal = "" }; before the next window, run: '
            f"{self.plan.call('rehearse')}",
            details=details,
        )

    def _unrecorded(self, database: Database, rehearsed: Rehearsed, manifests: Mapping[str, LocalText]) -> str:
        """Why the record is not one of just the sealed scripts; empty where it is."""
        record = rehearsed.record
        for entry in scripts_in(self.plan, database.id):
            if record is None or entry.database not in record.databases:
                return rehearsed.problem or f"{self.plan.rehearsal_record.name} does not have {entry.database}"
            sealed, problem = read_manifest(manifests[f"manifest {entry.id}"])
            tried = rehearsed.entry(entry.id)
            if tried is None or not tried.runs:
                return f"the scripts of {entry.id} were not rehearsed"
            if any(run.exit_code for run in tried.forward):
                return f"the rehearsal of {entry.id} failed"
            if tried.files != sealed:
                return problem or f"the scripts of {entry.id} are others than were rehearsed"
        return ""

    def _unseen(self, database: Database, record: Rehearsal) -> list[str]:
        """Scripts that did something, and nothing of which is compared."""
        return [
            run.script
            for entry in scripts_in(self.plan, database.id)
            for run in record.scripts[entry.id].forward
            if not run.idle
            and not _compared(record.scripts[entry.id].forward if entry.single_transaction else [run], database)
        ]

    def _asked_by_the_plan(self, database: Database) -> bool:
        """Whether something else than the schema tells that the work is done."""
        queries: Any = self.plan.checks.get("sql", {}).get("run", {})
        after = (each for each in queries.values() if each.when is Expect.AFTER)
        asked = (each for each in after if is_one(self.plan, each.database, database.id))
        return bool(database.migration and database.migration.to) or any(asked)

    def _asked(self) -> str:
        """When, where the window has begun: the scripts may have run by then."""
        window = self.plan.window
        if self.expect or self.asked_at < window.start:
            return ""
        at = format_moment(self.asked_at, window.zone)
        return f" (asked {at}: where the scripts have run by then, `preflight verify` judges what they left)"

    @staticmethod
    def _allowed(database: Database, sealed: schemas.Schema, seen: schemas.Schema) -> str:
        """The objects that are not compared, in words."""
        if not database.drift_allowed:
            return ""
        objects = schemas.matching(sorted({*sealed.objects, *seen.objects}), database.drift_allowed)
        return f"; not compared, by `drift_allowed`: {named(objects) or 'no object has such a name'}"


def _compared(runs: Sequence[Run], database: Database) -> bool:
    """Whether they changed an object of the schema that `drift_allowed` does not leave out."""
    names = {line[1:] for run in runs for line in run.changes.splitlines() if line[1:2] not in ("", " ")}
    return names > set(schemas.matching(names, database.drift_allowed))


def _otherwise(wanted: Mapping[str, str], seen: Mapping[str, str]) -> Judgement:
    """What the work left otherwise than its rehearsal: differences by object."""
    kinds = {
        "not done": [name for name in wanted if name not in seen],
        "done otherwise": [name for name in wanted if name in seen and seen[name] != wanted[name]],
        "not of the work": [name for name in seen if name not in wanted],
    }
    told = "; ".join(f"{kind}: {named(names)}" for kind, names in kinds.items() if names)
    lines = [line for kind, names in kinds.items() for name in names for line in _shown(kind, name, wanted, seen)]
    return failed(
        f"not as the work was to leave it: {told}",
        expected=f"{counted(len(wanted), 'object')} changed as in the rehearsal, and nothing else",
        actual=told,
        remedy="see in the log which script did not run to its end, or ran twice, and ask who else changed something; "
        "then run what is missing, or take the work back",
        details=listed(lines, _MOST_LINES, "\n"),
    )


def _shown(kind: str, name: str, wanted: Mapping[str, str], seen: Mapping[str, str]) -> Iterator[str]:
    for what, lines in (("in the rehearsal", wanted.get(name)), ("found", seen.get(name))):
        if lines is not None:
            yield from (f"{kind}, {what}:", *lines.split("\n"))
