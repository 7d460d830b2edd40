"""One login to one database: exactly one attempt with the credential, bounded at every step, and explained."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from psycopg import pq

from preflight.clock import Deadline
from preflight.plan import Connect, Database, SslMode
from preflight.plan.values import show_address
from preflight.probe import Cause
from preflight.sessions import CannotAsk
from preflight.sessions.libpq import NOWHERE, conninfo, local_port, wait
from preflight.sessions.libpq_trace import ServerWord, Trace
from preflight.sessions.pg_certificate import Stream, second_look
from preflight.sessions.pg_refusal import Failed, explain

_STEPS: dict[int, int] = {pq.PollingStatus.READING: select.POLLIN, pq.PollingStatus.WRITING: select.POLLOUT}
_NOT_CONNECTED = (pq.ConnStatus.STARTED, pq.ConnStatus.BAD)
_SECOND_LOOK_SECONDS = 3.0
_TELLING = (Cause.REFUSED, Cause.TIMED_OUT, Cause.UNREACHABLE)
"""Of several addresses' troubles: a refusal says more than silence, silence more than no route."""


@dataclass(frozen=True, slots=True)
class Door:
    """One address at which libpq can dial the server."""

    ip: str
    port: int
    dial_again: Callable[[Deadline], Stream]
    """A second connection to the same server, for a look at its certificate."""
    admit: Callable[[int], None] | None = None
    """A tunnel's: told the port the connection comes from."""

    @classmethod
    def direct(cls, ip: str, port: int) -> Door:
        return cls(ip, port, partial(_dial, ip, port))

    def __str__(self) -> str:
        return show_address(self.ip, self.port)


def _dial(ip: str, port: int, deadline: Deadline) -> socket.socket:
    sock = socket.create_connection((ip, port), max(0.001, deadline.left()))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is sent last does not wait for an ACK
    return sock


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in where, by which doors."""

    database: Database
    server_name: str
    """The name the certificate must hold."""
    password: str | None
    closing: threading.Event

    def __repr__(self) -> str:
        return f"Login({self.database.id})"

    def through(self, doors: Sequence[Door], deadline: Deadline) -> tuple[pq.abc.PGconn, Door]:
        """A connection that is logged in. Another door is tried only when the one before led to no TCP connection:
        after that it would be a second login attempt. Raises CannotAsk."""
        troubles: list[CannotAsk] = []
        for index, door in enumerate(doors):
            share = deadline.left() / (len(doors) - index)
            try:
                return self._try(door, deadline.at_most(share)), door
            except _NoConnection as none:
                troubles.append(CannotAsk(none.cause, f"{door}: {none.detail}", none.reason))
        raise min(troubles, key=lambda trouble: _TELLING.index(trouble.cause))

    def _try(self, door: Door, deadline: Deadline) -> pq.abc.PGconn:
        try:
            pgconn = pq.PGconn.connect_start(conninfo(self._parameters(door)))
        except ValueError as error:
            raise CannotAsk(Cause.NO_CREDENTIAL, str(error), "parameter") from None
        try:
            self._complete(pgconn, door, deadline)
        except BaseException:
            pgconn.finish()
            raise
        return pgconn

    def _complete(self, pgconn: pq.abc.PGconn, door: Door, deadline: Deadline) -> None:
        connected, word = False, ServerWord()
        if pgconn.status != pq.ConnStatus.BAD:
            if door.admit is not None:
                door.admit(local_port(pgconn))
            trace = Trace(pgconn)
            try:
                connected = self._poll(pgconn, trace, deadline)
            finally:
                word = trace.end()
        if pgconn.status != pq.ConnStatus.OK:
            self._fail(pgconn, connected, word, door, deadline)

    def _poll(self, pgconn: pq.abc.PGconn, trace: Trace, deadline: Deadline) -> bool:
        """Drives the login to its end, good or bad; whether there was a TCP connection. Raises CannotAsk."""
        connected = False
        step: int = pq.PollingStatus.WRITING
        while step in _STEPS:
            if not wait(pgconn, _STEPS[step], deadline, self.closing):
                raise self._silent(connected, deadline)
            step = pgconn.connect_poll()
            connected = connected or pgconn.status not in _NOT_CONNECTED
            if trace.too_long:
                raise CannotAsk(Cause.UNREADABLE, "the server talks without end during the login", "not-postgresql")
        return connected

    def _silent(self, connected: bool, deadline: Deadline) -> CannotAsk:
        if self.closing.is_set():
            return CannotAsk(Cause.NOT_ASKED, "the session was closed", "closing")
        if connected:
            detail = f"the server accepts connections but did not complete the login within {deadline.seconds:.1f} s"
            return CannotAsk(Cause.TIMED_OUT, detail, "silent")
        detail = f"no answer to the attempt to connect within {deadline.seconds:.1f} s"
        return _NoConnection(Cause.TIMED_OUT, detail, "no-answer")

    def _fail(self, pgconn: pq.abc.PGconn, connected: bool, word: ServerWord, door: Door, deadline: Deadline) -> None:
        failed = Failed(
            role=self.database.user,
            name=self.database.name or self.database.id,
            tls=self.database.sslmode is not SslMode.DISABLE,
            connected=connected,
            word=word,
            message=pgconn.get_error_message(),
            used_password=pgconn.used_password,
            needs_password=pgconn.needs_password,
        )
        trouble = explain(failed)
        if trouble.reason == "certificate-untrusted":
            with contextlib.suppress(Exception):  # the look explains; without it the refusal still stands
                soon = deadline.at_most(_SECOND_LOOK_SECONDS)
                trouble = second_look(door.dial_again(soon), self.ca_file, soon) or trouble
        raise trouble if connected else _NoConnection(trouble.cause, trouble.detail, trouble.reason)

    @property
    def ca_file(self) -> str:
        """The roots to trust. `sslrootcert=system` would look in a folder of the bundled libpq's build machine."""
        if self.database.sslrootcert is not None:
            return str(self.database.sslrootcert)
        if self.database.sslmode is SslMode.REQUIRE:
            return NOWHERE  # else ~/.postgresql/root.crt turns "require" into "verify-ca" for one user only
        paths = ssl.get_default_verify_paths()
        return paths.cafile or paths.openssl_cafile

    @property
    def verified(self) -> str:
        """What is verified of the server's certificate, in libpq's terms; `no` for nothing."""
        mode = self.database.sslmode
        if mode is SslMode.REQUIRE and self.database.sslrootcert is not None:
            return SslMode.VERIFY_CA.value  # libpq's rule
        return mode.value if mode in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL) else "no"

    def _parameters(self, door: Door) -> dict[str, str]:
        database = self.database
        parameters = {
            "host": self.server_name,
            "hostaddr": door.ip,
            "port": str(door.port),
            "dbname": database.name or database.id,
            "user": database.user,
            "application_name": "preflight",
            "client_encoding": "UTF8",
            "sslmode": database.sslmode.value,  # "prefer" would repeat a refused login without TLS
            "sslrootcert": self.ca_file,
            "sslcertmode": "disable",
            "sslcert": NOWHERE,
            "sslcrl": NOWHERE,
            "gssencmode": "disable",
            "passfile": NOWHERE,
            "tcp_user_timeout": "20000",
        }
        if database.sslmode is SslMode.DISABLE and database.connect is Connect.DIRECT:
            parameters["require_auth"] = "!password"  # never the password in clear text on the wire
        if self.password is not None:
            parameters["password"] = self.password
        return parameters


class _NoConnection(CannotAsk):
    """There was no TCP connection, so no login attempt either."""


def describe(pgconn: pq.abc.PGconn, login: Login) -> dict[str, str]:
    """What a connection knows of itself without a question to the server."""

    def parameter(name: bytes) -> str:
        return (pgconn.parameter_status(name) or b"").decode("utf-8", "backslashreplace")

    def yes(told: bool) -> str:
        return "yes" if told else "no"

    known = {
        "user": login.database.user,
        "database": login.database.name or login.database.id,
        "backend_pid": str(pgconn.backend_pid),
        "server_version": parameter(b"server_version").partition(" ")[0],
        "server_version_num": str(pgconn.server_version),
        "ssl": "TLS" if pgconn.ssl_in_use else "no",
        "ssl_verified": login.verified if pgconn.ssl_in_use else "no",
        "used_password": yes(pgconn.used_password),
    }
    for key, name in (("in_recovery", b"in_hot_standby"), ("is_superuser", b"is_superuser")):
        if parameter(name):
            known[key] = yes(parameter(name) == "on")
    return known
