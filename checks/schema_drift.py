"""schema-drift: the schema of the database is the one that was sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from preflight.check import Check, Probes, Subject
from preflight.clock import format_moment
from preflight.finding import Judgement, failed, passed, unknown
from preflight.plan import Database
from preflight.questions.schema import Schema, SchemaProbe, SealedSchema, SealedSchemaProbe, difference, matching
from preflight.wording import counted, listed, named

_MOST_SHOWN = 3
_MOST_LINES = 2000


class SchemaDrift(Check):
    """Is the schema of the database the one that was sealed?

    Scripts are reviewed and rehearsed against one schema. A column that somebody added by hand, an index that is no
    longer valid, a grant that is gone: the same scripts fail at 01:00, or succeed and leave something else than was
    tested. `preflight seal` records the schema as text beside the plan, from the catalogues alone: tables, columns,
    constraints, indexes, views, functions, triggers, policies, grants, owners, extensions, each with its state.
    Before the window it must be equal to the word; a difference is FAIL, shown as a diff of the objects. Positions of
    sequences, comments and statistics are not in it. A half-applied attempt of the same release shows here too.
    `drift_allowed` of the database names objects that jobs make every night; the report lists them. Never sealed is
    UNKNOWN. Once the scripts have run, `preflight verify` is the question to ask.
    """

    id = "schema-drift"
    title = "the schema is as it was sealed"
    sections = ("databases",)
    needs = "none beyond the login: catalogues that every role may read"
    cure = "have the change taken back; or have it approved, then seal again"

    def subjects(self) -> Sequence[Subject]:
        return [Subject(entry.id, entry, entry.owner) for entry in self.plan.databases.values()]

    def probes(self, subject: Subject) -> Probes:
        database = subject.item.id
        return {"schema": SchemaProbe(database), "sealed": SealedSchemaProbe.of(self.plan, database)}

    def judge(self, subject: Subject, *, schema: Schema, sealed: SealedSchema) -> Judgement:
        database: Database = subject.item
        file = self.plan.sealed_schema(database.id).name
        if sealed.schema is None:
            never = sealed.problem.endswith("no such file")
            return unknown(
                "the schema was never sealed" if never else "the sealed schema cannot be relied on",
                expected=f"{file}, as `preflight seal` writes it",
                actual=sealed.problem,
                remedy=f"have the schema approved as it is now, then run: {self.plan.seal_command}",
            )
        if sealed.schema.major != schema.major:
            return failed(
                "sealed on another major version of PostgreSQL",
                expected=f"PostgreSQL {sealed.schema.major}, as in {file}",
                actual=f"PostgreSQL {schema.major}",
                remedy=f"have the upgrade approved, then run: {self.plan.seal_command}",
            )
        changed = difference(sealed.schema, schema, database.drift_allowed)
        allowed = self._allowed(database, sealed.schema, schema)
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
            f"its way back); or have it approved, then run: {self.plan.seal_command}{self._asked()}",
            details=listed(lines, _MOST_LINES, "\n"),
        )

    def _asked(self) -> str:
        """When, where the window has begun: the scripts may have run by then."""
        window = self.plan.window
        if self.asked_at < window.start:
            return ""
        at = format_moment(self.asked_at, window.zone)
        return f" (asked {at}: where the scripts have run by then, `preflight verify` judges what they left)"

    @staticmethod
    def _allowed(database: Database, sealed: Schema, seen: Schema) -> str:
        """The objects that are not compared, in words."""
        if not database.drift_allowed:
            return ""
        objects = matching(sorted({*sealed.objects, *seen.objects}), database.drift_allowed)
        return f"; not compared, by `drift_allowed`: {named(objects) or 'no object has such a name'}"
