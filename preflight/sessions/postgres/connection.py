"""Statements on a connection that is logged in, each in a read-only transaction of its own, within limits of its own.

Limits and the read-only mode are set for that transaction only. Set for the session they would hide the values that
scripts get, and behind a pooler they would stay on a server connection that the application gets next. Everything is
sent at once (libpq's pipeline mode), so any number of statements costs one round trip, and the server ends each by
itself: no cancel request is needed when we go away."""

import contextlib
import json
import select
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import psycopg
from psycopg import pq

from preflight.clock import Deadline
from preflight.questions.sql import settings_as_json
from preflight.reasons import Reason
from preflight.sessions import CannotAsk, Closed, decode
from preflight.sessions.postgres.libpq import wait
from preflight.wording import one_line

LOCK_SECONDS = 1.0
MOST_BYTES = 1024 * 1024
MOST_BYTES_ALONE = 16 * MOST_BYTES
"""Of the one question that says it takes long: a database's schema."""
MOST_ROWS = 10_000
_GRACE_SECONDS = 1.0  # how long after the server's own limit we go on listening
_LEAST_SECONDS = 0.05
_READS_TO_THE_END = 3
"""The server's last words and the end of TLS are read before the end of the connection shows."""
_ROWS = (pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_OK)
_IGNORED = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.PIPELINE_ABORTED, pq.ExecStatus.EMPTY_QUERY)
_TIMED_OUT = {"57014": Reason.STATEMENT_TIMEOUT, "55P03": Reason.LOCK_TIMEOUT}
_SERVER_TROUBLE = ("08", "40", "53", "57", "XX")
"""Classes of SQLSTATE that say nothing of what was asked: connection, recovery conflict, resources, operator, bug."""


class SqlError(Exception):
    """The server's answer is an error: `SQLSTATE message`."""


@dataclass(frozen=True, slots=True)
class Statement:
    text: str
    seconds: float
    """What the server may take for it."""
    limits: bool = True
    """False leaves the role's own settings in force and visible."""
    most_bytes: int = MOST_BYTES
    every_row: bool = False


_FACTS_SECONDS = 5.0
_FACTS = """\
SELECT pg_catalog.pg_backend_pid() AS server_pid, pg_catalog.current_setting('role') AS role,
  s.version AS tls, {} AS settings,
  pg_catalog.to_jsonb(s) OPERATOR(pg_catalog.->>) 'client_serial' AS client_serial -- since version 12
FROM (SELECT pg_catalog.pg_backend_pid() AS pid) own
LEFT JOIN pg_catalog.pg_stat_ssl s ON s.pid OPERATOR(pg_catalog.=) own.pid
"""

FACTS = Statement(_FACTS.format(settings_as_json("setting")), _FACTS_SECONDS, limits=False)
"""What the server tells of itself, and the settings that a script of the same role would get; without limits of ours,
which would hide the role's."""
FACTS_WITHIN_LIMITS = Statement(_FACTS.format(settings_as_json("reset_val")), _FACTS_SECONDS)
"""The same for a role whose own statement_timeout is too short even for that. `reset_val` is what a new session of the
role begins with, whatever this transaction has set."""

Outcome = str | SqlError | CannotAsk
"""A statement's rows as a JSON array of objects, the server's refusal, or why there was no answer."""


class Connection:
    """One thread at a time, and each flight of statements read to its end before the next is sent."""

    def __init__(self, pgconn: pq.abc.PGconn, closing: threading.Event) -> None:
        self._pgconn, self._closing = pgconn, closing
        self._had_none = False
        self._last_words = ""
        """With which the server has ended the session."""
        pgconn.notice_handler = self._hear
        self._before = ["BEGIN READ ONLY"]
        if pgconn.parameter_status(b"server_encoding") == b"SQL_ASCII":
            # It keeps bytes of any kind, and refuses to send a client those that are no text in its encoding.
            self._before.append("SET LOCAL client_encoding = 'SQL_ASCII'")
        pgconn.nonblocking = 1
        pgconn.enter_pipeline_mode()

    def has_ended(self) -> bool:
        """Whether the server has closed it while nothing was asked. Never blocks."""
        with contextlib.suppress(psycopg.Error):
            for _ in range(_READS_TO_THE_END):
                self._pgconn.consume_input()
        self._pgconn.get_result()  # none: it only ends the flight before, and then
        self._pgconn.is_busy()  # has the server's last words read
        return bool(self._pgconn.status == pq.ConnStatus.BAD)

    def ask(self, statements: Sequence[Statement], deadline: Deadline) -> Iterator[Outcome]:
        """Sends all statements, and gives their outcomes in order as they arrive. Here and in the iterator CannotAsk is
        raised when there will be no answer any more."""
        left = deadline.left() - _LEAST_SECONDS
        if left < _LEAST_SECONDS:
            return iter([CannotAsk(Reason.RUN_DEADLINE, "no time was left to ask") for _ in statements])
        bounded = [replace(statement, seconds=min(statement.seconds, left)) for statement in statements]
        groups = self._groups(bounded)
        if self.has_ended():
            raise self._lost("")
        try:
            self._send(groups, deadline)
        except psycopg.Error as error:
            raise self._lost(str(error)) from None
        return self._outcomes(bounded, groups, deadline)

    def _groups(self, statements: Sequence[Statement]) -> list[list[str]]:
        """What is sent: each statement as the last of a group, in a transaction that the next group rolls back. A sync
        ends each group and with it the effect of an error, so that the ROLLBACK runs in any case."""
        groups: list[list[str]] = []
        for statement in statements:
            group = ["ROLLBACK", *self._before] if groups else [*self._before]
            if statement.limits:
                group += _limits(statement.seconds)
            group += ["SET LOCAL row_security = off"] if statement.every_row else []
            groups.append([*group, "" if "\0" in statement.text else statement.text])
        return [*groups, ["ROLLBACK"]]

    def _outcomes(
        self, statements: Sequence[Statement], groups: Sequence[Sequence[str]], deadline: Deadline
    ) -> Iterator[Outcome]:
        for number, (statement, group) in enumerate(zip(statements, groups, strict=False), 1):
            try:
                outcome = self._outcome(group, statement, deadline)
                if number == len(statements):  # read to its end, so that the next flight can be sent
                    self._outcome(groups[-1], Statement("", 0), deadline)
            except psycopg.Error as error:
                raise self._lost(str(error)) from None
            if "\0" in statement.text:
                outcome = CannotAsk(Reason.NOT_ASKED, "a NUL would end the statement early")
            yield outcome

    def _send(self, groups: Sequence[Sequence[str]], deadline: Deadline) -> None:
        for group in groups:
            for text in group:
                self._pgconn.send_query_params(text.encode("utf-8", "surrogatepass"), None)
            self._pgconn.pipeline_sync()
        while self._pgconn.flush():
            if not wait(self._pgconn, select.POLLOUT | select.POLLIN, deadline, self._closing):
                raise self._no_answer()
            self._pgconn.consume_input()

    def _outcome(self, group: Sequence[str], statement: Statement, deadline: Deadline) -> Outcome:
        """Reads all results of a group: its first error, or the rows of its last statement."""
        deadline = deadline.at_most(statement.seconds + _GRACE_SECONDS)
        refused: pq.abc.PGresult | None = None
        rows = _Rows(statement.most_bytes)
        current, last = 0, len(group) - 1
        while True:
            result = self._next(deadline)
            if result is None:
                current += 1
                if current == last and refused is None:
                    self._pgconn.set_single_row_mode()  # so that no more than a row is held beyond the cap
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                return rows.as_json() if refused is None else self._error(refused, statement.seconds)
            elif result.status in _ROWS:
                if current == last:
                    rows.add(result)
            elif result.status == pq.ExecStatus.FATAL_ERROR:
                refused = refused or result
            elif result.status not in _IGNORED:
                detail = f"the server answered with {pq.ExecStatus(result.status).name}, which is no rows"
                raise CannotAsk(Reason.UNREADABLE, detail)

    def _next(self, deadline: Deadline) -> pq.abc.PGresult | None:
        while self._pgconn.is_busy():
            if not wait(self._pgconn, select.POLLIN, deadline, self._closing):
                raise self._no_answer()
            with contextlib.suppress(psycopg.Error):  # what came before the end is still to be read
                self._pgconn.consume_input()
            if self._pgconn.status == pq.ConnStatus.BAD:
                break
        if deadline.over:  # also for a server that never stops sending
            raise self._no_answer()
        result = self._pgconn.get_result()
        if result is not None:
            self._hear(result)
        if self._pgconn.status == pq.ConnStatus.BAD:
            if result is None and self._had_none:  # one is between two statements, and the second the end
                raise self._lost("")
            if result is not None and result.status == pq.ExecStatus.FATAL_ERROR and _severity(result) != b"ERROR":
                raise self._lost(decode(result.error_message))
        self._had_none = result is None
        return result

    def _hear(self, said: pq.abc.PGresult) -> None:
        """What a server says to a session at rest comes as a notice, its end too; a crash (57P02) as a warning."""
        if _severity(said) == b"FATAL" or _sqlstate(said).startswith("57P"):
            self._last_words = _told(said)

    def _lost(self, told: str) -> CannotAsk:
        said = self._last_words or one_line(told)
        return CannotAsk(Reason.CONNECTION_LOST, f"the connection was lost{': ' if said else ''}{said}")

    def _no_answer(self) -> CannotAsk:
        if self._closing.is_set():
            return Closed()
        return CannotAsk(Reason.QUESTION_LIMIT, "the server fell silent after the login")

    def _error(self, refused: pq.abc.PGresult, seconds: float) -> SqlError | CannotAsk:
        told = _told(refused)
        sqlstate = _sqlstate(refused)
        if sqlstate in _TIMED_OUT:
            detail = f"no result within {seconds:g} s, locks waited for {LOCK_SECONDS:g} s at most: {told}"
            return CannotAsk(_TIMED_OUT[sqlstate], detail)
        if not sqlstate or sqlstate.startswith(_SERVER_TROUBLE):
            return CannotAsk(Reason.SERVER_TROUBLE, f"the server could not answer: {told}")
        return SqlError(told)


def _severity(said: pq.abc.PGresult) -> bytes | None:
    """Of a pooler, which knows one field only, that one."""
    fields = (pq.DiagnosticField.SEVERITY_NONLOCALIZED, pq.DiagnosticField.SEVERITY)
    return next(filter(None, map(said.error_field, fields)), None)


def _sqlstate(refused: pq.abc.PGresult) -> str:
    return one_line(decode(refused.error_field(pq.DiagnosticField.SQLSTATE) or b""), 5)


def _told(refused: pq.abc.PGresult) -> str:
    message = refused.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or refused.error_message
    return f"{_sqlstate(refused)} {one_line(decode(message))}".strip()


def _limits(seconds: float) -> list[str]:
    """Statement and lock timeout in ms, the search path and no JIT, until the end of the transaction. The statement
    timeout first and by itself: a role's own may be too short for anything slower than SET."""
    return [
        f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}",
        (
            f"SELECT pg_catalog.set_config('lock_timeout', '{LOCK_SECONDS * 1000:.0f}', true), "
            "pg_catalog.set_config('DateStyle', 'ISO, MDY', true), "
            "pg_catalog.set_config('search_path', 'pg_catalog', true), "
            # To compile a long statement over catalogues takes seconds, to run it does not; since version 11.
            "CASE WHEN pg_catalog.current_setting('jit', true) IS NOT NULL "
            "THEN pg_catalog.set_config('jit', 'off', true) END"
        ),
    ]


class _Rows:
    """Collects rows up to a cap; beyond it, it only remembers that there were more. Every value is the server's own
    text, which means the same in every version and loses nothing."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._rows: list[str] = []
        self._bytes = 0
        self._over = False
        self._names: list[str] | None = None

    def add(self, result: pq.abc.PGresult) -> None:
        """Takes the rows of a result; all results belong to one statement."""
        if self._names is None:
            self._names = [_text(result.fname(column) or b"") for column in range(result.nfields)]
        for row in range(result.ntuples):
            if self._over:
                return
            values = [result.get_value(row, column) for column in range(result.nfields)]
            cells = [None if value is None else _text(value) for value in values]
            text = json.dumps(dict(zip(self._names, cells, strict=True)), ensure_ascii=False)
            self._bytes += len(text.encode("utf-8", "backslashreplace")) + 2
            self._over = self._bytes > self._most_bytes or len(self._rows) >= MOST_ROWS
            if not self._over:
                self._rows.append(text)

    def as_json(self) -> Outcome:
        """A JSON array of objects, keys in the order of the columns; an error for a statement that is no query, whose
        silence must not be taken for no rows; CannotAsk when rows were left off, or when two columns share a name."""
        if self._names is None:
            return SqlError("02000 the statement is no query: it gives no rows, not even none")
        if len(set(self._names)) < len(self._names):
            return CannotAsk(Reason.UNREADABLE, "two columns of the statement have the same name")
        if self._over:
            return CannotAsk(Reason.TOO_MUCH, f"the result passed {MOST_ROWS} rows or {self._most_bytes // 1024} KiB")
        return "[" + ", ".join(self._rows) + "]"


def _text(value: bytes) -> str:
    """UTF-8; what is none (a database in SQL_ASCII) becomes U+FFFD: an escape would break JSON that the server made."""
    return value.decode("utf-8", "replace")


def server_facts(rows: str) -> dict[str, str]:
    """From the rows of either question: `server_pid`; of the server's own connection `tls`, the version, and
    `client_serial`, the number of the certificate it was shown, which may be empty; and `settings` (JSON: name to
    setting, unit and source)."""
    seen: dict[str, str] = json.loads(rows)[0]
    # pg_settings does not list `role`, which ALTER ROLE ... SET role sets.
    settings = {**json.loads(seen["settings"]), "role": {"setting": seen["role"], "unit": None, "source": None}}
    return {
        "server_pid": seen["server_pid"],
        "tls": seen["tls"] or "",
        "client_serial": seen["client_serial"] or "",
        "settings": json.dumps(settings, sort_keys=True),
    }
