"""One statement on a connection, in a read-only transaction of its own, within limits of its own.

Limits and the read-only mode are set for that transaction only. Set for the session they would hide the values that
scripts get, and behind a pooler they would stay on a server connection that the application gets next. Everything is
sent at once (libpq's pipeline mode), so a statement costs one round trip, and the server ends it by itself: no cancel
request is needed when we go away.
"""

from __future__ import annotations

import select
import threading
from dataclasses import dataclass

import psycopg
from psycopg import pq

from preflight.clock import Deadline
from preflight.probe import Cause
from preflight.sessions.postgres.libpq import wait
from preflight.sessions.postgres.rows import Rows
from preflight.sessions.remote_text import decode, one_line
from preflight.sessions.trouble import Trouble

LOCK_SECONDS = 1.0
_GRACE_SECONDS = 1.0  # how long after the server's own limit we go on listening
_LEAST_SECONDS = 0.05
_SYNCS = 2
_ROWS = (pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_OK)
_IGNORED = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.PIPELINE_ABORTED, pq.ExecStatus.EMPTY_QUERY)
_TIMED_OUT = {"57014": "statement-timeout", "55P03": "lock-timeout"}
_SERVER_TROUBLE = ("08", "40", "53", "57", "XX")
"""Classes of SQLSTATE that say nothing about what was asked: connection, conflict with recovery, resources, operator,
internal error."""


class SqlError(Exception):
    """The server's answer is an error: `SQLSTATE message`."""


class ConnectionLost(Trouble):
    """The connection cannot be used any more."""


@dataclass(frozen=True, slots=True)
class _Refused:
    sqlstate: str
    message: str


class Conversation:
    """Statements one after the other on a connection that is logged in. One thread at a time."""

    def __init__(self, pgconn: pq.abc.PGconn, closing: threading.Event) -> None:
        self._pgconn = pgconn
        self._closing = closing
        pgconn.nonblocking = 1
        pgconn.enter_pipeline_mode()

    def rows(self, statement: str, seconds: float, deadline: Deadline, *, limits: bool = True) -> str:
        """The statement's rows as a JSON array of objects.

        `limits=False` leaves the role's own settings in force and visible. Raises SqlError, Trouble when there was no
        answer, and ConnectionLost when there will be none any more."""
        if "\0" in statement:
            raise Trouble(Cause.NOT_ASKED, "a NUL would end the statement early", "statement")
        seconds = min(seconds, deadline.left() - _LEAST_SECONDS)
        if seconds < _LEAST_SECONDS:
            raise Trouble(Cause.TIMED_OUT, "no time was left to ask")
        before = ["BEGIN READ ONLY", _limits(seconds)] if limits else ["BEGIN READ ONLY"]
        try:
            self._send([*before, statement], deadline)
            refused, rows = self._receive(len(before), deadline.at_most(seconds + _GRACE_SECONDS))
        except psycopg.Error as error:
            raise ConnectionLost(Cause.CUT_OFF, f"the connection was lost: {one_line(str(error))}", "lost") from None
        if refused is not None:
            raise self._error(refused, seconds)
        return rows.as_json()

    def _send(self, statements: list[str], deadline: Deadline) -> None:
        for statement in statements:
            self._pgconn.send_query_params(statement.encode("utf-8", "surrogatepass"), None)
        self._pgconn.pipeline_sync()
        self._pgconn.send_query_params(b"ROLLBACK", None)  # after the sync, so that it also runs after an error
        self._pgconn.pipeline_sync()
        while self._pgconn.flush():
            if not wait(self._pgconn, select.POLLOUT | select.POLLIN, deadline, self._closing):
                raise self._no_answer()
            self._pgconn.consume_input()

    def _receive(self, position: int, deadline: Deadline) -> tuple[_Refused | None, Rows]:
        """The first error, and the rows of the statement at `position`."""
        refused: _Refused | None = None
        rows = Rows()
        current = syncs = 0
        while syncs < _SYNCS:
            result = self._next(deadline)
            if result is None:
                current += 1
                if current == position and refused is None:
                    self._pgconn.set_single_row_mode()  # so that no more than a row is held beyond the cap
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                syncs += 1
            elif result.status in _ROWS:
                if current == position:
                    rows.add(result)
            elif result.status == pq.ExecStatus.FATAL_ERROR:
                refused = refused or _refused(result)
            elif result.status not in _IGNORED:
                detail = f"the server answered with {pq.ExecStatus(result.status).name}, which is no rows"
                raise ConnectionLost(Cause.UNREADABLE, detail, "no-rows")
        return refused, rows

    def _next(self, deadline: Deadline) -> pq.abc.PGresult | None:
        while self._pgconn.is_busy():
            if not wait(self._pgconn, select.POLLIN, deadline, self._closing):
                raise self._no_answer()
            self._pgconn.consume_input()
        if deadline.over:  # also for a server that never stops talking
            raise self._no_answer()
        result = self._pgconn.get_result()
        if self._pgconn.status == pq.ConnStatus.BAD:
            said = f": {one_line(decode(result.error_message))}" if result is not None else ""
            raise ConnectionLost(Cause.CUT_OFF, f"the connection was lost{said}", "lost")
        return result

    def _no_answer(self) -> ConnectionLost:
        if self._closing.is_set():
            return ConnectionLost(Cause.NOT_ASKED, "the session was closed", "closing")
        return ConnectionLost(Cause.TIMED_OUT, "the server fell silent", "silent")

    def _error(self, refused: _Refused, seconds: float) -> Exception:
        told = f"{refused.sqlstate} {refused.message}".strip()
        if self._pgconn.status == pq.ConnStatus.BAD:
            return ConnectionLost(Cause.CUT_OFF, f"the connection was lost: {told}", "lost")
        if refused.sqlstate in _TIMED_OUT:
            detail = f"no result within {seconds:g} s, locks waited for {LOCK_SECONDS:g} s at most: {told}"
            return Trouble(Cause.TIMED_OUT, detail, _TIMED_OUT[refused.sqlstate])
        if not refused.sqlstate or refused.sqlstate.startswith(_SERVER_TROUBLE):
            return Trouble(Cause.CUT_OFF, f"the server could not answer: {told}", "server-trouble")
        return SqlError(told)


def _limits(seconds: float) -> str:
    """Statement and lock timeout in ms and the search path, until the end of the transaction."""
    return (
        f"SELECT pg_catalog.set_config('statement_timeout', '{max(1, round(seconds * 1000))}', true), "
        f"pg_catalog.set_config('lock_timeout', '{LOCK_SECONDS * 1000:.0f}', true), "
        "pg_catalog.set_config('DateStyle', 'ISO, MDY', true), "
        "pg_catalog.set_config('search_path', 'pg_catalog', true)"
    )


def _refused(result: pq.abc.PGresult) -> _Refused:
    sqlstate = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
    message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message
    return _Refused(one_line(decode(sqlstate), 5), one_line(decode(message)))
