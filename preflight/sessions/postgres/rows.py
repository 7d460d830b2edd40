"""Rows as JSON: what JSON has a word for keeps its type, everything else is the server's own text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from preflight.reasons import Reason
from preflight.sessions import CannotAsk

MOST_BYTES = 1024 * 1024
MOST_ROWS = 10_000

Convert = Callable[[str], Any]


class Rows:
    """Collects rows up to a cap; beyond it, it only remembers that there were more."""

    def __init__(self) -> None:
        self._rows: list[str] = []
        self._bytes = 0
        self._over = False
        self._names: list[str] = []
        self._converters: list[Convert] = []

    def add(self, result: pq.abc.PGresult) -> None:
        """Takes the rows of a result; all results belong to one statement."""
        if not self._names:
            self._names = [_decode(result.fname(column) or b"") for column in range(result.nfields)]
            self._converters = [_converter(result.ftype(column)) for column in range(result.nfields)]
        for row in range(result.ntuples):
            self._add_row([result.get_value(row, column) for column in range(result.nfields)])

    def _add_row(self, values: list[bytes | None]) -> None:
        if self._over:
            return
        cells = [
            None if value is None else convert(_decode(value))
            for convert, value in zip(self._converters, values, strict=True)
        ]
        text = json.dumps(dict(zip(self._names, cells, strict=True)), ensure_ascii=False, default=str)
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


def _float(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


_BY_OID: dict[int, Convert] = {
    16: lambda text: text == "t",  # boolean
    **dict.fromkeys((20, 21, 23, 26), int),  # bigint, smallint, integer, oid
    **dict.fromkeys((700, 701), _float),
    **dict.fromkeys((114, 3802), _json),
}


def _converter(oid: int) -> Convert:
    """By type. Numeric stays text: JSON readers would round it. Dates too: Python has no year 10000, nor infinity."""
    if oid in _BY_OID:
        return _BY_OID[oid]
    known = psycopg.adapters.types.get(oid)
    if known is not None and known.array_oid == oid:
        return lambda text: _array(text, oid)
    return str


def _array(text: str, oid: int) -> object:
    """A list, nested like the array; the text of one that holds what Python cannot (`infinity`)."""
    try:
        return Transformer().get_loader(oid, pq.Format.TEXT).load(text.encode())
    except (psycopg.Error, ValueError):
        return text
