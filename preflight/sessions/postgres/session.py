"""One database: a connection that is kept from the first question to the end.

It stays open between the rounds because its backend is what proves, over SSH, that a host is the database's host."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from preflight.clock import Deadline, monotonic, now
from preflight.plan import Connect, Database, Host
from preflight.plan.values import LOOPBACK, show_address
from preflight.probe import Answer, NoReply, Question, Reply
from preflight.questions.certificates import Certificate
from preflight.reasons import REFUSALS, Reason
from preflight.sessions import VANTAGE, CannotAsk, Closed, Deliver, SessionFailed, local_path, require_time
from preflight.sessions.dial import DialFailed, resolve
from preflight.sessions.postgres.tunnel import Tunnel
from preflight.sessions.secrets import PasswordAccount

if TYPE_CHECKING:
    from psycopg import pq

    from preflight.sessions.postgres import SqlPool
    from preflight.sessions.postgres.connection import Connection, Outcome
    from preflight.sessions.postgres.login import Login, ServerAddress

LOGIN_SECONDS = 10.0
"""From the call to the server to the accepted login."""
STATEMENT_SECONDS = 5.0
"""What a statement may take unless its question asks for a channel of its own, which is how slow ones are marked."""
CLOSE_SECONDS = 1.0
_CERTIFICATE_SECONDS = 3.0


class SqlSession:
    """Asked by one thread at a time. A login that failed is not tried again in the same round."""

    def __init__(self, database: Database, host: Host | None, pool: SqlPool) -> None:
        self._database, self._pool = database, pool
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._pgconn: pq.abc.PGconn | None = None
        self._connection: Connection | None = None
        self._tunnel: Tunnel | None = None
        self._made_at = 0.0
        """When it was logged in, by the monotonic clock."""
        self._failure: NoReply | None = None
        self._session: dict[str, str] = {}
        self._address = database.server_address(host)
        if database.connect is Connect.TUNNEL:
            self._session["tunnel"] = database.tunnel_host
        self._session["address"] = show_address(self._address, database.port)
        self.stage = "waiting for its turn"

    @property
    def vantage(self) -> str:
        place = f"through {self._database.tunnel_host}" if self._database.connect is Connect.TUNNEL else VANTAGE
        return f"{place} as {self._database.user}"

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        with self._lock:
            waiting, begun = deque(questions), monotonic()
            try:
                for answer in self._answers(questions, deadline):
                    deliver(waiting.popleft(), answer)
            except CannotAsk as trouble:
                self._failure = self._no_reply(trouble, begun)
            except BaseException:
                self._failure = self._closed()  # answers are left unread, and would be taken for the next ones
                raise
            finally:
                if self._failure is not None or self._closing.is_set():
                    self._finish()
            for question in waiting:
                deliver(question, replace(self._failure or self._closed(), asked_at=now()))

    @property
    def is_refused(self) -> bool:
        """Whether its role was refused, and is not tried again."""
        return self._failure is not None and self._failure.reason in REFUSALS

    def begin_round(self, oldest: float) -> None:
        """Forgets why it failed, unless its role was refused; closes a connection that has ended, or was logged in
        before `oldest`, by the monotonic clock."""
        if not self._lock.acquire(blocking=False):  # a thread of the round before still asks, and has its own limit
            return
        try:
            if not self.is_refused:
                self._failure = None
            if self._connection is not None and (self._made_at < oldest or self._connection.has_ended()):
                self._finish()
        finally:
            self._lock.release()

    def begin_close(self) -> None:
        """Tells a thread that is just asking to close for itself when it notices."""
        self._closing.set()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """See `preflight.sessions.Session`. Waits at most `seconds` for a thread that is just asking."""
        self.begin_close()
        deadline = Deadline(seconds)
        if self._lock.acquire(timeout=seconds):
            try:
                self._finish(deadline.left())
            finally:
                self._lock.release()

    def _answers(self, questions: Sequence[Question], deadline: Deadline) -> Iterator[Answer]:
        """In the order of the questions. Raises CannotAsk when there will be no more; none at all after that."""
        if self._failure is not None or self._closing.is_set():
            return
        outcomes = self._outcomes(questions, deadline)
        from preflight.sessions.postgres.connection import SqlError

        for _ in questions:
            asked_at, begun = now(), monotonic()
            match next(outcomes):
                case CannotAsk() as trouble:
                    yield replace(self._no_reply(trouble, begun), asked_at=asked_at)
                case SqlError() as refused:
                    error = self._pool.secrets.redact(str(refused))
                    yield Reply(1, "", asked_at, monotonic() - begun, self.vantage, error, dict(self._session))
                case rows:
                    yield Reply(0, rows, asked_at, monotonic() - begun, self.vantage, "", dict(self._session))

    def _outcomes(self, questions: Sequence[Question], deadline: Deadline) -> Iterator[Outcome]:
        """Of the questions, in order. What the server tells of itself is asked with the first. Raises CannotAsk."""
        server = None if self._connection is not None else self._log_in(deadline)
        from preflight.sessions.postgres import connection

        assert self._connection is not None  # noqa: S101 - or _log_in has raised
        self.stage = "waiting for the server's answers"
        statements = [
            connection.Statement(
                question.text,
                question.timeout_seconds if question.own_channel else min(question.timeout_seconds, STATEMENT_SECONDS),
                most_bytes=connection.MOST_BYTES_ALONE if question.own_channel else connection.MOST_BYTES,
                every_row=question.every_row,
            )
            for question in questions
        ]
        if server is None:
            return self._connection.ask(statements, deadline)
        outcomes = self._connection.ask([connection.FACTS, *statements], deadline)
        self._look_at_certificate(server, deadline)
        told = next(outcomes)
        if not isinstance(told, str):
            outcomes = iter(list(outcomes))
            told = next(self._connection.ask([connection.FACTS_WITHIN_LIMITS], deadline))
        if isinstance(told, str):
            with contextlib.suppress(ValueError, LookupError, TypeError):  # something in between answered
                self._note(connection.server_facts(told))
        return outcomes

    def _log_in(self, deadline: Deadline) -> ServerAddress:
        """The address that answered. Raises CannotAsk. The time for the login begins when the server is called: what
        this machine needs for its driver, a secret or a name, and the host for a channel, is not the server's
        slowness."""
        begun = monotonic()
        try:
            self.stage = "loading the PostgreSQL driver"
            self._pool.load_driver()
            from preflight.sessions.postgres.connection import Connection
            from preflight.sessions.postgres.login import Login

            password = None
            if (reference := self._database.password) is not None:
                self.stage = f"reading the secret {reference}"
                password = self._pool.secrets.value(reference, self._database.password_purpose)
            addresses = self._addresses(deadline)
            require_time(deadline, begun)
            with contextlib.ExitStack() as trial:
                login = Login(self._database, password, self._closing, lambda: self._wait_alone(trial, deadline))
                self.stage = f"logging in at {self._session['address']}"
                self._pgconn, server = self._connect(login, addresses, deadline.at_most(LOGIN_SECONDS))
        except ImportError as error:
            raise CannotAsk(Reason.NO_DRIVER, f"the PostgreSQL driver is unusable here: {error}") from None
        except SessionFailed as failed:
            detail = f"through {self._database.tunnel_host}: {failed.answer.detail}"
            # The host refuses the way on, or the host itself cannot be reached: that is the host's own line.
            refused = failed.answer.reason is Reason.FORWARDING_REFUSED
            raise CannotAsk(Reason.FORWARDING_REFUSED if refused else Reason.HOST, detail) from None
        self._session |= {
            "backend_pid": str(self._pgconn.backend_pid),
            "ssl": "TLS" if self._pgconn.ssl_in_use else "no",
            "used_password": "yes" if self._pgconn.used_password else "no",
        }
        if self._tunnel is None:
            self._session["address"] = str(server)
        self._connection, self._made_at = Connection(self._pgconn, self._closing), monotonic()
        return server

    def _connect(
        self, login: Login, addresses: Sequence[ServerAddress], limit: Deadline
    ) -> tuple[pq.abc.PGconn, ServerAddress]:
        """See `Login.connect`. Raises CannotAsk."""
        try:
            return login.connect(addresses, limit)
        except CannotAsk as slow:
            if slow.reason not in (Reason.NO_ANSWER, Reason.LOGIN_LATE) or limit.seconds >= LOGIN_SECONDS:
                raise
            # Ours, and shorter than what a login may take: it tells nothing of the server.
            raise CannotAsk(Reason.TARGET_LIMIT, f"{slow.detail}: all the time left for this database") from None

    def _wait_alone(self, trial: contextlib.ExitStack, deadline: Deadline) -> float:
        """See `PasswordTrials.alone`. Raises CannotAsk."""
        database, secret = self._database, self._database.password
        account = PasswordAccount.of(database, "PostgreSQL", database.user, secret) if secret else None
        return trial.enter_context(self._pool.secrets.trials.alone(account, database.id, deadline))

    def _addresses(self, deadline: Deadline) -> list[ServerAddress]:
        """Where to call the server. Raises CannotAsk and SessionFailed."""
        from preflight.sessions.postgres.login import ServerAddress

        database = self._database
        if database.connect is Connect.DIRECT:
            self.stage = f"resolving {self._address}"
            found = self._resolved(deadline)
            self._session["address"] = str(found[0])
            return found

        def tunnel(deadline: Deadline) -> Tunnel:
            return Tunnel(self._pool.open_channel(database.tunnel_host, self._address, database.port, deadline))

        self.stage = f"opening a channel through {database.tunnel_host}"
        self._tunnel = tunnel(deadline)
        name = database.server_name or self._address
        return [ServerAddress(LOOPBACK, self._tunnel.port, name, lambda soon: tunnel(soon).dial(), self._tunnel.admit)]

    def _resolved(self, deadline: Deadline) -> list[ServerAddress]:
        """Every address that the plan's addresses stand for, in their order. One whose name does not exist is left out
        while another does. Raises DialFailed."""
        from preflight.sessions.postgres.login import ServerAddress

        found: list[ServerAddress] = []
        port, troubles = self._database.port, []
        for name in self._address.split(","):
            shown = self._database.server_name or name
            try:
                ips = [str(where[0]) for _, where in resolve(name, port, deadline).addresses]
            except DialFailed as trouble:
                troubles.append(trouble)
            else:
                found += [ServerAddress.direct(ip, port, shown) for ip in ips]
        if not found:
            raise troubles[0]
        return found

    def _look_at_certificate(self, server: ServerAddress, deadline: Deadline) -> None:
        """Adds until when the server's certificate and those above it are valid, from a handshake of its own, which is
        no login. Nothing but the fact is lost when it fails."""
        if self._session["ssl"] == "no":
            return

        from preflight.sessions.postgres.login import ca_file

        trusted = ca_file(self._database) if self._database.sslmode.verifies else ""

        def look() -> Certificate | None:
            from preflight.sessions.postgres.certificate import shown_certificate

            soon = deadline.at_most(_CERTIFICATE_SECONDS)
            with contextlib.suppress(OSError, ValueError, SessionFailed):
                return shown_certificate(server.connect_again(soon), trusted, soon)
            return None

        seen_as = f"{self._session.get('tunnel')} {self._session['address']} {trusted}"
        certificate = self._pool.certificates.get(seen_as, look)
        if certificate is not None:
            self._session["certificate"] = certificate.to_json()

    def _note(self, told: dict[str, str]) -> None:
        tls, shown = told.pop("tls"), told.pop("client_serial")
        self._session |= told
        # Behind a pooler, the server tells of the pooler's connection: another process, and not our TLS.
        if tls and self._session["ssl"] != "no" and told["server_pid"] == self._session["backend_pid"]:
            self._session["ssl"] = tls
            from preflight.sessions.tls import certificate_in

            offered = self._database.sslcert or local_path("~/.postgresql/postgresql.crt")
            if shown and (certificate := certificate_in(offered)):
                self._session["client_certificate"] = certificate.to_json()

    def _closed(self) -> NoReply:
        return self._no_reply(Closed())

    def _no_reply(self, trouble: CannotAsk, begun: float | None = None) -> NoReply:
        detail = self._pool.secrets.redact(f"{self._database.id}: {trouble.detail}")
        took = 0.0 if begun is None else monotonic() - begun
        return NoReply(trouble.reason, detail, now(), took, self.vantage, dict(self._session))

    def _finish(self, seconds: float = CLOSE_SECONDS) -> None:
        """Frees the connection; only the thread that holds the lock may, since libpq is not safe otherwise. Waits at
        most `seconds` for a server behind a tunnel to close its end."""
        if self._pgconn is not None:
            self._pgconn.finish()
        if self._tunnel is not None:
            self._tunnel.finish(seconds if self._pgconn is not None else 0)
        self._pgconn = self._connection = self._tunnel = None
