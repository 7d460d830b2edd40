"""The server's own word on a refused login, independent of its language.

libpq keeps the SQLSTATE of a failed login to itself and hands out a sentence in the server's `lc_messages`. Its trace
of the protocol has the code. The trace also holds what was sent, with some methods the password itself, so it is kept
in anonymous memory, only the codes are taken out of it, and it is never shown.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from psycopg import pq

LARGEST_TRACE_BYTES = 1024 * 1024
"""A login takes some kilobytes; a server that sends more is playing with us."""
_ERROR = b"\tErrorResponse\t"
_SQLSTATE = re.compile(rb' C "([0-9A-Z]{5})"')
_ROUTINE = re.compile(rb' R "(\w{1,64})"')


@dataclass(frozen=True, slots=True)
class ServerWord:
    """What an ErrorResponse says in codes. Empty where it, or the trace, says nothing."""

    sqlstate: str = ""
    routine: str = ""
    """The server's C function that refused: tells pg_hba.conf from NOLOGIN, which share one SQLSTATE."""


class Trace:
    """The trace of one login. It holds the server's word on Linux with the bundled libpq 18; 15 traces no logins."""

    def __init__(self, pgconn: pq.abc.PGconn) -> None:
        self._pgconn = pgconn
        self._file = os.memfd_create("preflight") if hasattr(os, "memfd_create") else -1
        if self._file >= 0:
            pgconn.trace(self._file)

    @property
    def too_long(self) -> bool:
        return self._file >= 0 and os.fstat(self._file).st_size > LARGEST_TRACE_BYTES

    def end(self) -> ServerWord:
        """Stops tracing, forgets the trace and says what it said; must be called before the connection is finished."""
        if self._file < 0:
            return ServerWord()
        self._pgconn.untrace()  # flushes: before that, part of the text is still in libpq's buffer
        try:
            return read(os.pread(self._file, LARGEST_TRACE_BYTES, 0))
        finally:
            os.close(self._file)
            self._file = -1


def read(trace: bytes) -> ServerWord:
    """The first ErrorResponse in a trace, for example
    `B 104 ErrorResponse S "FATAL" V "FATAL" C "28P01" M "..." F "auth.c" L "334" R "auth_failed"`."""
    _, found, rest = trace.partition(_ERROR)
    sqlstate = _SQLSTATE.search(rest) if found else None
    routines = _ROUTINE.findall(rest[:8192])  # the last field, after a message that could hold anything
    return ServerWord(
        sqlstate.group(1).decode() if sqlstate else "",
        routines[-1].decode() if sqlstate and routines else "",
    )
