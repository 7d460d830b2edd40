"""sql: what the plan itself wants a database to say, asked by a query of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated

from preflight.check import ANY_STATE, Check, Expect, Probes, Subject
from preflight.finding import Judgement, Severity, failed, passed, unknown
from preflight.judging.cures import could_not_look
from preflight.plan import EntryId, Name, RoleRef
from preflight.plan.limits import Between, filled
from preflight.plan.values import DatabaseRef, Text
from preflight.probe import NoReply, Via
from preflight.questions.own_query import Found, OwnQuery
from preflight.questions.sql import quote_identifier
from preflight.reasons import Reason
from preflight.wording import counted, shortened

NO_ROWS = "no rows"
_LONGEST = 300
_MOST_LINES = 20
_NOT_ALLOWED = "42501"
_NOT_THERE = ("42P01", "42703", "42704", "42883", "3F000")
"""SQLSTATEs of PostgreSQL: an undefined table, column, object, function, schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """`[checks.sql.run.NAME]`: one query and what it must give."""

    id: EntryId
    database: DatabaseRef
    """Which one is asked, as its `user`."""
    query: Annotated[Text, filled]
    """One statement that reads: `SELECT count(*) FROM app.orders WHERE state = 'open'`. Names are written with their
    schema: the search path is `pg_catalog`."""
    expect: Name
    """The one value that it gives, as psql prints it (a boolean is `t` or `f`); or `no rows`."""
    when: Expect = Expect.BEFORE
    """`before`: it must hold before the work, and after it was taken back. `after`: once the work is done, which
    `preflight verify` asks."""
    timeout: Annotated[timedelta, Between(0.1, 3600)] = timedelta(seconds=5)
    """After that the server ends it, and it is UNKNOWN."""
    wanted: str = ""
    """What it confirms, in words for the report."""
    remedy: str = ""
    """What its owner does when it fails."""
    owner: RoleRef = ""
    """Who mends it; the database's owner when left out."""
    severity: Severity | None = None
    """What it does to the verdict; as the check when left out."""

    @property
    def key(self) -> str:
        return f"[checks.sql.run.{self.id}]"

    @property
    def told(self) -> str:
        """What it must give, in words."""
        value = NO_ROWS if self.expect == NO_ROWS else f"the value {self.expect}"
        return f"{self.wanted} ({value})" if self.wanted else value


class SqlCheck(Check):
    """Do the plan's own queries give what they must?

    Some things only the release knows: no order may be open, a feature switch must be off, each customer must have an
    address once the script has run. Each is one SELECT with the value that it must give, asked in a read-only
    transaction as the database's user within `timeout`, before the work or, by `preflight verify`, after it. Another
    value, or rows where none may be, is a failure, and so is a table, column or function that is not there. What the
    server refuses for another reason, a statement that writes, several statements in one, or rows that row security
    hides, is UNKNOWN with the server's own words. What a function changes outside of the transaction is its author's
    responsibility.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        run: Mapping[str, Assertion] = field(default_factory=dict)
        """`[checks.sql.run.NAME]`, one table for each."""

    id = "sql"
    title = "the plan's own query gives what it must"
    verifies = ANY_STATE
    sections = ("checks",)
    needs = "USAGE on the schemas and SELECT on the tables that the query names, for the database's user"
    cure = "what the plan's `remedy` says"
    judges_no_reply = frozenset({"found"})

    def subjects(self) -> Sequence[Subject]:
        due = [each for each in self.settings.run.values() if each.when is (self.expect or Expect.BEFORE)]
        owners = {each.id: each.owner for each in self.plan.databases.values()}
        return [Subject(each.id, each, each.owner or owners[each.database], severity=each.severity) for each in due]

    def probes(self, subject: Subject) -> Probes:
        assertion: Assertion = subject.item
        return {"found": OwnQuery(assertion.database, assertion.query, assertion.timeout.total_seconds())}

    def judge(self, subject: Subject, *, found: Found | NoReply) -> Judgement:
        assertion: Assertion = subject.item
        if isinstance(found, NoReply):
            return self._no_answer(assertion, found)
        if found.error:
            return self._refused(assertion, found.error)
        rows = [" | ".join("NULL" if cell is None else cell for cell in row)[:_LONGEST] for row in found.rows]
        is_value = len(found.rows) == len(found.columns) == 1
        if (assertion.expect == NO_ROWS and not rows) or (is_value and found.rows[0][0] == assertion.expect):
            return passed(assertion.wanted or f"gives {assertion.told}", expected=assertion.told)
        columns = shortened(", ".join(found.columns), _LONGEST) or "no columns"
        seen = f"the value {rows[0]}" if is_value else f"{counted(len(rows), 'row')} of {columns}"
        return failed(
            f"gives {seen if rows else NO_ROWS}",
            expected=assertion.told,
            actual=seen if rows else NO_ROWS,
            remedy=_remedy(assertion),
            details="" if is_value else "\n".join(rows[:_MOST_LINES]),
        )

    def _no_answer(self, assertion: Assertion, lost: NoReply) -> Judgement:
        if lost.reason is Reason.TOO_MUCH:  # neither none nor one value that a plan could name
            cure = _remedy(assertion)
            return failed(f"gives too much: {lost.detail}", expected=assertion.told, actual=lost.detail, remedy=cure)
        unseen = could_not_look(self.plan, Via.SQL, assertion.database, lost)
        if lost.reason is not Reason.STATEMENT_TIMEOUT:
            return unseen
        return replace(unseen, remedy=f"have the query made quicker, or raise `timeout` in {assertion.key}")

    def _refused(self, assertion: Assertion, error: str) -> Judgement:
        """`error`: SQLSTATE and message."""
        sqlstate, _, words = error.partition(" ")
        summary, correct = f"the server refuses it: {shortened(words, _LONGEST)}", f"correct `query` in {assertion.key}"
        if sqlstate in _NOT_THERE:
            remedy = f"see why it is not there, or {correct}: names are written with their schema"
            return failed(summary, expected=assertion.told, actual=error, remedy=remedy)
        if sqlstate == _NOT_ALLOWED:
            role = quote_identifier(self.plan.databases[assertion.database].user)
            correct = (
                f"have {role} granted what the server names: USAGE on its schema, SELECT on its table; where row "
                "security hides rows, BYPASSRLS, or name a `database` whose role sees all"
            )
        return unknown(summary, expected=assertion.told, actual=error, remedy=correct)


def _remedy(assertion: Assertion) -> str:
    return assertion.remedy or f"look at what the query of {assertion.key} finds in {assertion.database}, and mend that"
