"""What libpq needs around it: an environment that adds nothing, quoted parameters, waiting within a bound.

libpq is driven through `psycopg.pq` and not through `psycopg.connect`: only there are name resolution, every wait and
the number of login attempts in our hands, and only there does a refused login tell its SQLSTATE.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import threading
from collections.abc import Iterable, Mapping
from functools import cache

import psycopg
from psycopg import pq

from preflight.clock import Deadline
from preflight.errors import SecretError
from preflight.plan import Database, SecretRef
from preflight.sessions.secrets import Secrets

NOWHERE = os.path.join(os.devnull, "none")  # noqa: PTH118  # as text: libpq is handed it
"""A path that cannot exist: a file that libpq would otherwise look for in the home directory."""
_LIBPQ_VARIABLE = re.compile(r"PG[A-Z0-9]+")
_SLICE_SECONDS = 0.1  # how soon a waiting thread notices `closing`


def scrub_environment(secrets: Secrets, databases: Iterable[Database]) -> None:
    """Takes libpq's variables (PGHOSTADDR, PGOPTIONS, PGPASSWORD, PGSERVICE, PGTZ, ...) out of this process for good.

    They redirect, authenticate and change sessions behind the plan's back, and those without a connection parameter
    of their own (PGTZ, PGDATESTYLE, PGGEQO) are read from the environment at any moment of a login. A secret that the
    plan keeps in one of them, `env:PGPASSWORD`, is read before."""
    for database in databases:
        if database.password is not None and _is_libpq_variable(database.password):
            with contextlib.suppress(SecretError):  # reported when the login needs it
                secrets.value(database.password)
    for name in list(os.environ):
        if _LIBPQ_VARIABLE.fullmatch(name):
            os.environ.pop(name, None)


def _is_libpq_variable(ref: SecretRef) -> bool:
    return ref.scheme == "env" and _LIBPQ_VARIABLE.fullmatch(ref.argument) is not None


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
