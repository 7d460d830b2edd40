"""SQL sessions of one run: one connection per database, kept from the first question to the end.

It stays open between the rounds because its backend is what proves, over SSH, that a host is the database's host.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from preflight.clock import Deadline, monotonic, now
from preflight.errors import SecretError
from preflight.plan import Connect, Database, Host
from preflight.plan.values import LOOPBACK, show_address
from preflight.probe import BUSY, NO_SECRET, Answer, Cause, NoReply, Question, Reply
from preflight.secrets import Secrets
from preflight.sessions import CannotAsk, Deliver, Session, SessionFailed
from preflight.sessions.dial import resolve
from preflight.sessions.tunnel import Tunnel

if TYPE_CHECKING:
    import paramiko
    from psycopg import pq

    from preflight.sessions.pg_login import Door, Login
    from preflight.sessions.pg_statement import Conversation

OpenChannel = Callable[[str, str, int, Deadline], "paramiko.Channel"]
"""From a host of the plan to an address and port; raises SessionFailed."""

LOGIN_SECONDS = 10.0
STATEMENT_SECONDS = 5.0
"""What a statement may take unless its question asks for a channel of its own, which is how slow ones are marked."""
_CLOSE_SECONDS = 1.0
_CERTIFICATE_SECONDS = 3.0


class SqlPool:
    """The SQL sessions of one run. Nothing is connected, and psycopg is not imported, before somebody asks."""

    def __init__(
        self,
        databases: Mapping[str, Database],
        hosts: Mapping[str, Host],
        secrets: Secrets,
        open_channel: OpenChannel,
    ) -> None:
        self._databases = databases
        self._hosts = hosts
        self._secrets = secrets
        self._open_channel = open_channel
        self._sessions: dict[str, SqlSession] = {}
        self._scrubbed = False
        self._lock = threading.Lock()

    def session(self, database_id: str) -> Session:
        """The session with a database; logs in at its first question. Raises KeyError for an unknown one."""
        with self._lock:
            if database_id not in self._sessions:
                database = self._databases[database_id]
                self._sessions[database_id] = SqlSession(
                    database, self._hosts[database.host], self._secrets, self._open_channel, self._scrub
                )
            return self._sessions[database_id]

    def close(self) -> None:
        """Ends all connections. Safe to call twice and from any thread."""
        with self._lock:
            sessions = list(self._sessions.values())
        for session in sessions:
            session.begin_close()
        deadline = Deadline(_CLOSE_SECONDS)  # for all: what hangs in each of many databases must not add up
        for session in sessions:
            session.close(deadline.left())

    def _scrub(self) -> None:
        from preflight.sessions.libpq import scrub_environment

        with self._lock:
            if not self._scrubbed:
                scrub_environment(self._secrets, self._databases.values())
                self._scrubbed = True


class SqlSession:
    """One database, asked by one thread at a time. A login that failed is never tried again."""

    def __init__(
        self,
        database: Database,
        host: Host,
        secrets: Secrets,
        open_channel: OpenChannel,
        prepare: Callable[[], None],
    ) -> None:
        self._database = database
        self._address = database.server_address(host)
        self._secrets = secrets
        self._open_channel = open_channel
        self._prepare = prepare
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._pgconn: pq.abc.PGconn | None = None
        self._conversation: Conversation | None = None
        self._tunnel: Tunnel | None = None
        self._door: Door | None = None
        self._failure: NoReply | None = None
        self.stage = "waiting for its turn"
        self._session = {"user": str(database.user), "database": database.name or database.id}
        if database.connect is Connect.TUNNEL:
            self._session["tunnel"] = database.host

    @property
    def vantage(self) -> str:
        tunnelled = self._database.connect is Connect.TUNNEL
        place = f"through {self._database.host}" if tunnelled else "from here"
        return f"{place} as {self._database.user}"

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        """See `preflight.sessions.Session`."""
        if not self._lock.acquire(timeout=deadline.left()):
            for question in questions:
                deliver(question, self._no_reply(CannotAsk(Cause.TIMED_OUT, "the session was busy", BUSY)))
            return
        try:
            self._open(deadline)
            for question in questions:
                deliver(question, self._answer(question, deadline))
        finally:
            if self._closing.is_set():
                self._finish()
            self._lock.release()

    def begin_close(self) -> None:
        """Tells a thread that is just asking to close for itself when it notices."""
        self._closing.set()

    def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """See `preflight.sessions.Session`. Waits at most `seconds` for a thread that is just asking."""
        self.begin_close()
        deadline = Deadline(seconds)
        if self._lock.acquire(timeout=seconds):
            try:
                self._finish(deadline.left())
            finally:
                self._lock.release()

    def _answer(self, question: Question, deadline: Deadline) -> Answer:
        from preflight.sessions.pg_statement import ConnectionLost, SqlError

        if self._failure is not None or self._conversation is None:
            return replace(self._failure or self._closed(), asked_at=now())
        asked_at, begun = now(), monotonic()
        self.stage = "waiting for the rows of a statement"
        seconds = question.timeout_seconds
        if not question.own_channel:
            seconds = min(seconds, STATEMENT_SECONDS)
        code, text, error = 0, "", ""
        try:
            text = self._conversation.rows(question.text, seconds, deadline)
        except SqlError as refused:
            code, error = 1, self._secrets.redact(str(refused))
        except CannotAsk as trouble:
            answer = self._no_reply(trouble, begun)
            if isinstance(trouble, ConnectionLost):
                self._failure = answer
                self._finish()
            return replace(answer, asked_at=asked_at)
        return Reply(code, text, asked_at, monotonic() - begun, self.vantage, error, dict(self._session))

    def _open(self, deadline: Deadline) -> None:
        """Logs in, once; what goes wrong becomes the answer to everything."""
        if self._conversation is not None or self._failure is not None or self._closing.is_set():
            return
        begun = monotonic()
        try:
            conversation = self._log_in(deadline)
            self.stage = "waiting for answers"
            self._look_around(conversation, deadline)
            self._look_at_certificate(deadline)
            self._conversation = conversation
        except ImportError as error:
            detail = f"the PostgreSQL driver is unusable here: {error}"
            self._failure = self._no_reply(CannotAsk(Cause.UNSUPPORTED, detail, "no-driver"), begun)
        except SessionFailed as failed:
            detail = f"through {self._database.host}: {failed.answer.detail}"
            # The host refuses the way on, or the host itself cannot be reached: that is the host's own line.
            reason = "tunnel" if failed.answer.reason == "tunnel" else "host"
            self._failure = self._no_reply(CannotAsk(failed.answer.cause, detail, reason), begun)
        except CannotAsk as trouble:
            self._failure = self._no_reply(trouble, begun)
        finally:
            if self._failure is not None or self._conversation is None:
                self._failure = self._failure or self._closed()
                self._finish()

    def _log_in(self, deadline: Deadline) -> Conversation:
        """The time of the login begins when all is there that does not depend on the server: driver, password, the
        server's address, the host's own login. Raises CannotAsk, SessionFailed and ImportError."""
        begun = monotonic()
        self.stage = "loading the driver"
        self._prepare()
        from preflight.sessions.pg_login import Login, describe
        from preflight.sessions.pg_statement import Conversation

        database = self._database
        self.stage = "reading the password"
        login = Login(database, database.server_name or self._address, self._password(), self._closing)
        if deadline.over:
            detail = f"no time was left for the login: driver and password took {monotonic() - begun:.1f} s here"
            raise CannotAsk(Cause.NOT_ASKED, detail, BUSY)
        doors = self._doors(login, deadline)
        self.stage = f"logging in as {database.user}"
        begun = monotonic()
        self._pgconn, door = login.through(doors, deadline.at_most(LOGIN_SECONDS))
        self._session["login_ms"] = str(round((monotonic() - begun) * 1000))
        self._door = door
        if database.connect is Connect.DIRECT:
            from preflight.sessions.libpq import local_port

            self._session["address"] = str(door)
            self._session["client_port"] = str(local_port(self._pgconn))
        self._session |= describe(self._pgconn, login)
        return Conversation(self._pgconn, self._closing)

    def _password(self) -> str | None:
        if self._database.password is None:
            return None
        try:
            return self._secrets.value(self._database.password, self._database.password_purpose)
        except SecretError as error:
            raise CannotAsk(Cause.NO_CREDENTIAL, str(error), NO_SECRET) from None

    def _doors(self, login: Login, deadline: Deadline) -> list[Door]:
        from preflight.sessions.pg_login import Door

        database = self._database
        self._session["address"] = show_address(self._address, database.port)
        if database.connect is Connect.DIRECT:
            self.stage = f"resolving {self._address}"
            resolved = resolve(self._address, database.port)
            self._session["address"] = resolved.first
            return [Door.direct(str(where[0]), database.port) for _, where in resolved.addresses]

        def dial_again(deadline: Deadline) -> paramiko.Channel:
            return self._open_channel(database.host, self._address, database.port, deadline)

        self.stage = f"waiting for the login on {database.host}"
        self._tunnel = Tunnel(dial_again(deadline))
        return [Door(LOOPBACK, self._tunnel.port, dial_again, self._tunnel.admit)]

    def _look_around(self, conversation: Conversation, deadline: Deadline) -> None:
        """Adds to the session what the server tells of itself. Raises ConnectionLost."""
        from preflight.sessions.pg_settings import look_around

        told = look_around(conversation, deadline)
        tls = told.pop("tls", "")
        self._session |= told
        # Behind a pooler, the server tells of the pooler's connection: another process, and not our TLS.
        if tls and self._session["ssl"] != "no" and told["server_pid"] == self._session["backend_pid"]:
            self._session["ssl"] = tls

    def _look_at_certificate(self, deadline: Deadline) -> None:
        """Adds until when the server's certificate is valid, from a handshake of its own, which is no login. Nothing
        but the fact is lost when it fails."""
        from preflight.sessions.pg_certificate import shown

        if self._session["ssl"] == "no" or self._door is None:
            return
        deadline = deadline.at_most(_CERTIFICATE_SECONDS)
        with contextlib.suppress(OSError, SessionFailed):
            certificate = shown(self._door.dial_again(deadline), deadline)
            if certificate is not None:
                self._session["certificate"] = certificate.to_json()

    def _closed(self) -> NoReply:
        return self._no_reply(CannotAsk(Cause.NOT_ASKED, "the session was closed", "closing"))

    def _no_reply(self, trouble: CannotAsk, begun: float | None = None) -> NoReply:
        detail = self._secrets.redact(f"{self._database.id}: {trouble.detail}")
        took = 0.0 if begun is None else monotonic() - begun
        return NoReply(trouble.cause, detail, now(), took, self.vantage, trouble.reason, dict(self._session))

    def _finish(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Frees the connection; only the thread that holds the lock may, since libpq is not safe otherwise. Waits at
        most `seconds` for a server behind a tunnel to hang up."""
        if self._pgconn is not None:
            self._pgconn.finish()
        if self._tunnel is not None:
            self._tunnel.finish(seconds if self._pgconn is not None else 0)
        self._pgconn = self._conversation = self._tunnel = None
