"""Rows as JSON. Every value is the server's own text, which means the same in every version and loses nothing."""

from __future__ import annotations

import json

from psycopg import pq

from preflight.reasons import Reason
from preflight.sessions import CannotAsk

MOST_BYTES = 1024 * 1024
MOST_ROWS = 10_000


class Rows:
    """Collects rows up to a cap; beyond it, it only remembers that there were more."""

    def __init__(self) -> None:
        self._rows: list[str] = []
        self._bytes = 0
        self._over = False
        self._names: list[str] = []

    def add(self, result: pq.abc.PGresult) -> None:
        """Takes the rows of a result; all results belong to one statement."""
        if not self._names:
            self._names = [_decode(result.fname(column) or b"") for column in range(result.nfields)]
        for row in range(result.ntuples):
            self._add_row([result.get_value(row, column) for column in range(result.nfields)])

    def _add_row(self, values: list[bytes | None]) -> None:
        if self._over:
            return
        cells = [None if value is None else _decode(value) for value in values]
        text = json.dumps(dict(zip(self._names, cells, strict=True)), ensure_ascii=False)
        self._bytes += len(text.encode("utf-8", "backslashreplace")) + 2
        self._over = self._bytes > MOST_BYTES or len(self._rows) >= MOST_ROWS
        if not self._over:
            self._rows.append(text)

    def as_json(self) -> str | CannotAsk:
        """A JSON array of objects, keys in the order of the columns; CannotAsk when rows were left off, or when two
        columns share a name."""
        if len(set(self._names)) < len(self._names):
            return CannotAsk(Reason.UNREADABLE, "two columns of the statement have the same name")
        if self._over:
            detail = f"the result passed {MOST_ROWS} rows or {MOST_BYTES // 1024} KiB"
            return CannotAsk(Reason.TOO_MUCH, detail)
        return "[" + ", ".join(self._rows) + "]"


def _decode(value: bytes) -> str:
    """UTF-8; what is none (a database in SQL_ASCII) becomes U+FFFD: an escape would break JSON that the server made."""
    return value.decode("utf-8", "replace")
