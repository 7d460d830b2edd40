"""A query of the plan's own, asked as it stands."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from preflight.probe import Question, Reply, Unreadable
from preflight.questions.fields import output_of
from preflight.questions.sql import SqlProbe
from preflight.record import parse_json


@dataclass(frozen=True, slots=True)
class Found:
    columns: Sequence[str] = ()
    """Their names; none where there are no rows."""
    rows: Sequence[Sequence[str | None]] = ()
    error: str = ""
    """SQLSTATE and message of a server that refused; then there are no rows."""


@dataclass(frozen=True)
class OwnQuery(SqlProbe[Found]):
    """One statement of the plan, in a read-only transaction that the server ends after `seconds`. Rows that row
    security hides would pass for rows that are not there."""

    asked_last = True
    own_channel = True
    query: str
    seconds: float

    def ask(self) -> str:
        return self.query

    def question(self) -> Question:
        return replace(super().question(), timeout_seconds=self.seconds, every_row=True)

    def read(self, reply: Reply) -> Found:
        if reply.code != 0 and reply.error:
            return Found(error=reply.error)
        rows = parse_json(output_of(reply))
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise Unreadable("no array of rows")
        return Found(tuple(rows[0]) if rows else (), [tuple(row.values()) for row in rows])
