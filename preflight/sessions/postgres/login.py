"""One login to one database: exactly one attempt with the credential, bounded at every step, and explained."""

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from psycopg import pq

from preflight.clock import Deadline
from preflight.plan import Connect, Database, RehearsalServer, ServerRole, SslMode
from preflight.plan.values import SYSTEM_ROOTS, show_address
from preflight.reasons import Reason
from preflight.sessions import CannotAsk, Closed
from preflight.sessions.dial import NO_DESCRIPTOR, DialFailed, first_reached
from preflight.sessions.postgres.certificate import why_refused
from preflight.sessions.postgres.libpq import NOWHERE, ServerWord, Trace, conninfo, local_port, wait
from preflight.sessions.postgres.refusal import Failed, explain

_STEPS: dict[int, int] = {pq.PollingStatus.READING: select.POLLIN, pq.PollingStatus.WRITING: select.POLLOUT}
_NOT_CONNECTED = (pq.ConnStatus.STARTED, pq.ConnStatus.BAD)
_SECOND_LOOK_SECONDS = 3.0
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
)
"""The system's certificate authorities in one file, which OpenSSL's own default path often lacks."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """One address at which libpq can reach the server."""

    ip: str
    port: int
    name: str
    """The name that its certificate must hold."""
    connect_again: Callable[[Deadline], socket.socket]
    """A second connection to the same server, for a look at its certificate."""
    admit: Callable[[int], None] | None = None
    """A tunnel's: told the port the connection comes from."""

    @classmethod
    def direct(cls, ip: str, port: int, name: str) -> Self:
        return cls(ip, port, name, partial(_connect, ip, port))

    def __str__(self) -> str:
        return show_address(self.ip, self.port)


def ca_file(database: Database | RehearsalServer) -> str:
    """The roots to trust. `sslrootcert=system` would look in a folder of the bundled libpq's build machine."""
    if database.sslrootcert not in (None, SYSTEM_ROOTS):
        return str(database.sslrootcert)
    if database.sslmode is SslMode.REQUIRE:
        return NOWHERE  # else ~/.postgresql/root.crt turns "require" into "verify-ca" for one user only
    paths = ssl.get_default_verify_paths()
    return next((each for each in (paths.cafile, *_BUNDLES) if each and Path(each).is_file()), paths.openssl_cafile)


def _connect(ip: str, port: int, deadline: Deadline) -> socket.socket:
    sock = socket.create_connection((ip, port), max(0.001, deadline.left()))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is sent last does not wait for an ACK
    return sock


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in, and as what the server must prove itself."""

    database: Database
    password: str | None
    closing: threading.Event
    alone: Callable[[], float] = lambda: 0.0
    """Called when the server asks for a password, before it is told one: waits until it may be; the seconds it took."""

    def __repr__(self) -> str:
        return f"Login({self.database.id})"

    def connect(self, addresses: Sequence[ServerAddress], deadline: Deadline) -> tuple[pq.abc.PGconn, ServerAddress]:
        """A connection that is logged in, and its address. Another address is tried only when the one before led to no
        TCP connection, since a refused login is not repeated; or when it let the role in and is not what the plan says
        (`role`), while there is another. Raises CannotAsk."""
        several, last = bool(self.database.addresses), addresses[-1]

        def reach(address: ServerAddress, seconds: float) -> tuple[pq.abc.PGconn, ServerAddress]:
            pgconn = self._try(address, seconds)
            if not several or address is last or self._is_wanted(pgconn):
                return pgconn, address
            pgconn.finish()
            raise DialFailed(Reason.UNREACHABLE, f"{address} is no {self.database.role}")

        return first_reached(addresses, deadline, reach)

    def _is_wanted(self, pgconn: pq.abc.PGconn) -> bool:
        """Of one of several addresses; PostgreSQL before 14 does not tell, and counts."""
        replica = {ServerRole.PRIMARY: b"on", ServerRole.REPLICA: b"off"}.get(self.database.role)
        return replica is None or pgconn.parameter_status(b"in_hot_standby") != replica

    def _try(self, address: ServerAddress, seconds: float) -> pq.abc.PGconn:
        try:
            pgconn = pq.PGconn.connect_start(conninfo(self._parameters(address)))
        except ValueError as error:
            raise CannotAsk(Reason.PARAMETER, str(error)) from None
        try:
            self._complete(pgconn, address, Deadline(seconds))
        except BaseException:
            pgconn.finish()
            raise
        return pgconn

    def _complete(self, pgconn: pq.abc.PGconn, address: ServerAddress, deadline: Deadline) -> None:
        connected, word = False, ServerWord()
        if pgconn.status == pq.ConnStatus.BAD:
            try:
                socket.socket().close()
            except OSError:  # libpq fails without a word when this machine has no descriptor left
                raise CannotAsk(Reason.OPEN_FILES, NO_DESCRIPTOR) from None
        else:
            if address.admit is not None:
                address.admit(local_port(pgconn))
            trace = Trace(pgconn)
            try:
                connected = self._poll(pgconn, address, trace, deadline)
            finally:
                word = trace.end()
        if pgconn.status != pq.ConnStatus.OK:
            trouble = explain(
                Failed(
                    role=self.database.user,
                    name=self.database.dbname,
                    tls=self.database.sslmode is not SslMode.DISABLE,
                    connected=connected,
                    word=word,
                    message=pgconn.get_error_message(),
                    used_password=pgconn.used_password,
                    needs_password=pgconn.needs_password,
                )
            )
            if trouble.reason is Reason.CERTIFICATE_UNTRUSTED:
                with contextlib.suppress(Exception):  # the look explains; without it the refusal still stands
                    soon = deadline.at_most(_SECOND_LOOK_SECONDS)
                    trouble = why_refused(partial(address.connect_again, soon), ca_file(self.database), soon) or trouble
            raise trouble if connected else DialFailed(trouble.reason, f"{address}: {trouble.detail}")

    def _poll(self, pgconn: pq.abc.PGconn, address: ServerAddress, trace: Trace, deadline: Deadline) -> bool:
        """Drives the login to its end, good or bad; whether there was a TCP connection. Raises CannotAsk."""
        connected = asked = False
        step: int = pq.PollingStatus.WRITING
        while step in _STEPS:
            if not wait(pgconn, _STEPS[step], deadline, self.closing):
                raise self._silent(address, connected, deadline)
            if not asked and pgconn.status == pq.ConnStatus.AWAITING_RESPONSE:
                asked, waited = True, self.alone()
                deadline = Deadline(deadline.left() + waited)
            step = pgconn.connect_poll()
            connected = connected or pgconn.status not in _NOT_CONNECTED
            if trace.too_long:
                raise CannotAsk(Reason.NOT_POSTGRESQL, "the server sends without end during the login")
        return connected

    def _silent(self, address: ServerAddress, connected: bool, deadline: Deadline) -> CannotAsk:
        if self.closing.is_set():
            return Closed()
        if connected:
            detail = f"the server accepts connections but did not complete the login within {deadline.spent():.1f} s"
            return CannotAsk(Reason.LOGIN_LATE, detail)
        detail = f"{address}: no answer to the attempt to connect within {deadline.spent():.1f} s"
        return DialFailed(Reason.NO_ANSWER, detail)

    def _parameters(self, address: ServerAddress) -> dict[str, str]:
        database = self.database
        parameters = {
            "host": address.name,
            "hostaddr": address.ip,
            "port": str(address.port),
            "dbname": database.dbname,
            "user": database.user,
            "application_name": "preflight",
            "client_encoding": "UTF8",
            "sslmode": database.sslmode.value,  # "prefer" would repeat a refused login without TLS
            "sslrootcert": ca_file(database),
            "sslcrl": NOWHERE,
            "gssencmode": "disable",
            "passfile": NOWHERE,
            "tcp_user_timeout": "20000",
        }
        if database.sslmode is SslMode.DISABLE and database.connect is Connect.DIRECT:
            parameters["require_auth"] = "!password"  # never the password in clear text on the wire
        if self.password is not None:
            parameters["password"] = self.password
        if database.sslcert is not None:
            parameters |= {"sslcert": str(database.sslcert), "sslkey": str(database.sslkey)}
        elif self.password is not None:  # else libpq offers the client certificate in ~/.postgresql, if there is one
            parameters |= {"sslcertmode": "disable", "sslcert": NOWHERE}
        return parameters
