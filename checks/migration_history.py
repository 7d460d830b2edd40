"""migration-history: the migration tool's own table is in order, and ends where the release begins."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from preflight.check import ANY_STATE, Check, Expect, Probes, Subject
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import Database
from preflight.questions.migrations import TOOLS, History, HistoryProbe, HistoryTable, HistoryTablesProbe
from preflight.questions.sql import quote_identifier
from preflight.wording import in_toml


@dataclass(frozen=True, slots=True)
class _Read:
    """A table and what it says."""

    table: HistoryTable
    history: History

    def __str__(self) -> str:
        return f"{self.table.tool} ({self.table})"

    @property
    def head(self) -> str:
        return ", ".join(self.history.heads) or "nothing applied"


class MigrationHistory(Check):
    """Does the migration tool's own table say that all went well, and end where the release begins?

    A migration that failed, one left half done, or a lock that a dead job still holds stops the tool in the window; a
    head that is not the one the release was made for means that somebody was there before. So the tables of Flyway,
    Liquibase, Alembic, Sqitch, Django, golang-migrate, Rails, Ecto, goose, Atlas, Prisma and Entity Framework are found
    by their columns in any schema, and read. `migration` of the database says where the history must end, before the
    work (`from`) and, for `preflight verify`, after it (`to`); without it the end is told and not judged. Of two
    histories the plan must say which one counts. Whether a file was changed after it was applied only the tool itself
    can tell (`flyway validate`): let the `command` check run it.
    """

    id = "migration-history"
    title = "the migration tool's history is in order"
    verifies = ANY_STATE
    sections = ("databases",)
    needs = "USAGE on the schema and SELECT on the migration tool's table, for the database's user"
    cure = "mend what the failed migration left, then have the tool's own command take the mark away"

    def subjects(self) -> Sequence[Subject]:
        return [Subject(each.id, each, each.owner) for each in self.plan.databases.values()]

    def probes(self, subject: Subject) -> Probes:
        return {"tables": HistoryTablesProbe(subject.id)}

    def follow_up(self, subject: Subject, *, tables: Sequence[HistoryTable]) -> Probes:
        """What each table says that the role may read."""
        counting = [each for each in _counting(subject.item, tables) if each.readable]
        return {f"history {each}": HistoryProbe(subject.id, each.tool, each.quoted) for each in counting}

    def judge(self, subject: Subject, *, tables: Sequence[HistoryTable], **histories: History) -> Judgement:
        database: Database = subject.item
        counting = _counting(database, tables)
        unseen = [each for each in counting if not each.readable]
        read = [_Read(each, histories[f"history {each}"]) for each in counting if each.readable]
        points = [_unseen(database, each) for each in unseen]
        points += [_trouble(database, each, told) for each in read for told in each.history.troubles]
        points += self._ends(database, [each for each in read if TOOLS[each.table.tool].heads], bool(unseen))
        return Judgement.of(points)

    def _ends(self, database: Database, read: Sequence[_Read], more: bool) -> Iterator[Judgement]:
        """Where the histories end. `more`: others could not be read."""
        declared = database.migration
        wanted = "" if declared is None else declared.to if self.expect is Expect.AFTER else declared.from_
        if len(read) > 1:
            yield _which(database, read)
        if wanted and not more and wanted not in [each.head for each in read]:
            yield _elsewhere(database, wanted, read)
            return
        for each in read:
            yield from _several(database, each, wanted)
            yield passed(f"{each} is at {each.head}")
        if not read and not more:
            yield passed("no table of a migration tool is there")


def _counting(database: Database, tables: Sequence[HistoryTable]) -> Sequence[HistoryTable]:
    """Where the plan names a table, that one and what the same tool keeps beside it."""
    named = database.migration.table if database.migration else ""
    found = next((each for each in tables if str(each) == named), None)
    if found is None:
        return [] if named else tables
    beside = [each for each in tables if each.schema == found.schema and not TOOLS[each.tool].heads]
    return [found, *(each for each in beside if each.tool.startswith(f"{found.tool}'s "))]


def _key(database: Database) -> str:
    return f"`migration` in [databases.{database.id}]"


def _unseen(database: Database, table: HistoryTable) -> Judgement:
    role, why = quote_identifier(database.user), f"{database.user} may not read it"
    if table.filtered:
        why = f"row security may hide lines of it from {database.user}"
    grants = {
        f"GRANT USAGE ON SCHEMA {quote_identifier(table.schema)} TO {role};": table.usage,
        f"GRANT SELECT ON {table.quoted} TO {role};": table.select,
        f"CREATE POLICY preflight_reads ON {table.quoted} FOR SELECT TO {role} USING (true);": not table.filtered,
    }
    summary, expected = f"{table} has the columns of {table.tool}: {why}", "the migration tool's table, read whole"
    remedy = database.on_primary(" ".join(grant for grant, is_there in grants.items() if not is_there))
    return unknown(summary, expected=expected, actual=why, remedy=remedy)


def _trouble(database: Database, read: _Read, told: str) -> Judgement:
    remedy = f"have its owner see in {database.id} what it left, and mend that; then {TOOLS[read.table.tool].cure}"
    return failed(f"{read}: {told}", expected="every migration ended well, and no lock", actual=told, remedy=remedy)


def _elsewhere(database: Database, wanted: str, read: Sequence[_Read]) -> Judgement:
    ends = "; ".join(f"{each} is at {each.head}" for each in read) or "no such table is there"
    return failed(
        f"the history does not end at {wanted}: {ends}",
        expected=f"the newest migration is {wanted}",
        actual=ends,
        remedy="have its owner find out who applied, or left out, what; "
        f"correct {_key(database)} only if the release was made for that",
    )


def _several(database: Database, read: _Read, wanted: str) -> Iterator[Judgement]:
    """A failure for a history with several ends that nobody declared."""
    if len(read.history.heads) > 1 and read.head != wanted:
        yield failed(
            f"{read} has {len(read.history.heads)} heads: {read.head}",
            expected="one head",
            actual=read.head,
            remedy=f'{TOOLS[read.table.tool].cure}; where they are meant: {_key(database)} = "{read.head}"',
        )


def _which(database: Database, read: Sequence[_Read]) -> Judgement:
    entry = in_toml({"from": read[0].head, "table": str(read[0].table)})
    told = "; ".join(f"{each} at {each.head}" for each in read)
    summary = f"{len(read)} migration histories are there: {told}"
    expected = "one history, or the plan says which one counts"
    remedy = f"name the one that the release goes on with, {_key(database)} = {entry}"
    return warned(summary, expected=expected, actual=told, remedy=remedy)
