"""What libpq needs around it: an environment that adds nothing, quoted parameters, waiting within a bound, and its
trace of a login.

libpq is driven through `psycopg.pq` and not through `psycopg.connect`: only there are name resolution, every wait and
the number of login attempts in our hands, and only there does a refused login tell its SQLSTATE."""

import contextlib
import os
import re
import select
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import psycopg
from psycopg import pq

from preflight.clock import Deadline
from preflight.plan import Database
from preflight.sessions.secrets import SecretError, Secrets

NOWHERE = os.path.join(os.devnull, "none")  # noqa: PTH118  # as text: libpq is handed it
"""A path that cannot exist: a file that libpq would otherwise look for in the home directory."""
_LIBPQ_VARIABLE = re.compile(r"PG[A-Z0-9]+")
LARGEST_TRACE_BYTES = 1024 * 1024
"""A login takes some kilobytes; a server that sends more means no login."""
_ERROR = b"\tErrorResponse\t"
_SQLSTATE = re.compile(rb' C "([0-9A-Z]{5})"')
_ROUTINE = re.compile(rb' R "(\w{1,64})"')
_SLICE_SECONDS = 0.1  # how soon a waiting thread notices `closing`


def scrub_environment(secrets: Secrets, databases: Iterable[Database]) -> None:
    """Takes libpq's variables (PGHOSTADDR, PGOPTIONS, PGPASSWORD, PGSERVICE, PGTZ, ...) out of this process for good.

    They redirect, authenticate and change sessions behind the plan's back, and those without a connection parameter
    of their own (PGTZ, PGDATESTYLE, PGGEQO) are read from the environment at any moment of a login. A secret that the
    plan keeps in one of them, `env:PGPASSWORD`, is read before."""
    for database in databases:
        secret = database.password
        if secret is not None and secret.scheme == "env" and _LIBPQ_VARIABLE.fullmatch(secret.argument):
            with contextlib.suppress(SecretError):  # reported when the login needs it
                secrets.value(secret)
    for name in list(os.environ):
        if _LIBPQ_VARIABLE.fullmatch(name):
            os.environ.pop(name, None)


def conninfo(parameters: Mapping[str, str]) -> bytes:
    """Parameters as libpq reads them; those an older libpq does not know (`sslcertmode`, `require_auth`) are left out.
    Raises ValueError for a NUL, at which libpq would silently end the value."""
    words = []
    for key, value in parameters.items():
        if "\0" in value:
            raise ValueError(f"the {key} holds a NUL")
        if key in _known_parameters():
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            words.append(f"{key}='{quoted}'")
    return " ".join(words).encode("utf-8", "surrogateescape")


def service_parameters(service: str) -> Mapping[str, str]:
    """What libpq itself finds in pg_service.conf, with its own defaults; without `host` where there is no such service.
    It takes the service's name from the environment alone; all but where the file is stays out of it meanwhile."""
    kept = dict(os.environ)
    for name in kept:
        if _LIBPQ_VARIABLE.fullmatch(name) and name not in ("PGSERVICEFILE", "PGSYSCONFDIR"):
            del os.environ[name]
    os.environ["PGSERVICE"] = service
    try:
        return {option.keyword.decode(): option.val.decode() for option in pq.Conninfo.get_defaults() if option.val}
    finally:
        del os.environ["PGSERVICE"]
        os.environ.update(kept)


@cache
def _known_parameters() -> frozenset[str]:
    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


def wait(pgconn: pq.abc.PGconn, events: int, deadline: Deadline, closing: threading.Event) -> bool:
    """Whether the connection became readable or writable (`select.POLLIN`, `select.POLLOUT`) before the deadline and
    before `closing` was set."""
    poll = select.poll()
    poll.register(pgconn.socket, events)
    while not closing.is_set() and not deadline.over:
        if poll.poll(min(_SLICE_SECONDS, deadline.left()) * 1000):
            return True
    return False


def local_port(pgconn: pq.abc.PGconn) -> int:
    """The port at our end of the connection; 0 while there is none."""
    try:
        with socket.socket(fileno=os.dup(pgconn.socket)) as ours:
            return int(ours.getsockname()[1])
    except (OSError, psycopg.OperationalError):
        return 0


@dataclass(frozen=True, slots=True)
class ServerWord:
    """What an ErrorResponse says in codes. Empty where it, or the trace, says nothing."""

    sqlstate: str = ""
    routine: str = ""
    """The server's C function that refused: tells pg_hba.conf from NOLOGIN, which share one SQLSTATE."""


class Trace:
    """The server's own word on a refused login, independent of its language.

    libpq keeps the SQLSTATE of a failed login to itself and hands out a sentence in the server's `lc_messages`. Its
    trace of the protocol has the code, on Linux with the bundled libpq 18; 15 traces no logins. The trace also holds
    what was sent, with some methods the password itself, so it is kept in anonymous memory, only the codes are taken
    out of it, and it is never shown."""

    def __init__(self, pgconn: pq.abc.PGconn) -> None:
        self._pgconn = pgconn
        self._file = -1
        with contextlib.suppress(AttributeError, OSError):  # not Linux, or no descriptor is left
            self._file = os.memfd_create("preflight")
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
            return read_trace(os.pread(self._file, LARGEST_TRACE_BYTES, 0))
        finally:
            os.close(self._file)
            self._file = -1


def read_trace(trace: bytes) -> ServerWord:
    """The first ErrorResponse in a trace, for example
    `B 104 ErrorResponse S "FATAL" V "FATAL" C "28P01" M "..." F "auth.c" L "334" R "auth_failed"`."""
    _, found, rest = trace.partition(_ERROR)
    sqlstate = _SQLSTATE.search(rest)
    if not found or sqlstate is None:
        return ServerWord()
    routines = _ROUTINE.findall(rest[:8192])  # the last field, after a message that could hold anything
    return ServerWord(sqlstate[1].decode(), routines[-1].decode() if routines else "")
