"""Asks databases, one connection each: the sessions of one run, and what they share."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from preflight.clock import Deadline
from preflight.plan import Database, Host
from preflight.questions.certificates import Certificate
from preflight.sessions import Once
from preflight.sessions.postgres.session import CLOSE_SECONDS, SqlSession
from preflight.sessions.secrets import Secrets

if TYPE_CHECKING:
    import paramiko

OpenChannel = Callable[[str, str, int, Deadline], "paramiko.Channel"]
"""From a host of the plan to an address and port; raises SessionFailed."""


class SqlPool:
    """Nothing is connected, and psycopg is not imported, before somebody asks."""

    def __init__(
        self, databases: Mapping[str, Database], hosts: Mapping[str, Host], secrets: Secrets, open_channel: OpenChannel
    ) -> None:
        self.secrets, self.open_channel, self._databases = secrets, open_channel, databases
        self._sessions = {name: SqlSession(each, hosts.get(each.host), self) for name, each in databases.items()}
        self.certificates = Once[str, Certificate | None]()
        """What was seen of the servers' certificates: once in a round, however many databases a server has."""
        self._scrubbed = Once[None, None]()

    def session(self, database_id: str) -> SqlSession:
        """The session with a database; logs in at its first question. Raises KeyError for an unknown one."""
        return self._sessions[database_id]

    def begin_round(self, oldest: float) -> None:
        self.certificates = Once()
        for session in self._sessions.values():
            session.begin_round(oldest)

    def refused(self) -> list[str]:
        """Ids of the databases whose role was refused."""
        return [database_id for database_id, session in self._sessions.items() if session.is_refused]

    def close(self) -> None:
        """Ends all connections. Safe to call twice and from any thread."""
        for session in self._sessions.values():
            session.begin_close()
        deadline = Deadline(CLOSE_SECONDS)  # for all: what hangs in each of many databases must not add up
        for session in self._sessions.values():
            session.close(deadline.left())

    def load_driver(self) -> None:
        """Raises ImportError where there is none that works."""
        from preflight.sessions.postgres.libpq import scrub_environment

        self._scrubbed.get(None, lambda: scrub_environment(self.secrets, self._databases.values()))
