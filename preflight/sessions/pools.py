"""All sessions of one run, opened when the first question for them comes and closed together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from preflight.clock import Deadline
from preflight.plan import Plan
from preflight.probe import Via
from preflight.sessions import Session
from preflight.sessions.secrets import Secrets

if TYPE_CHECKING:
    from preflight.sessions.ssh.pool import SshPool


class Pools:
    """Hands out one session for each kind and target. The drivers behind them are imported only when asked for, so
    that a plan without databases never loads psycopg."""

    def __init__(self, plan: Plan, secrets: Secrets) -> None:
        self._plan = plan
        self._secrets = secrets
        self._lock = threading.RLock()
        self._closing = contextlib.ExitStack()
        self._ssh: SshPool | None = None
        self._open: dict[Via, Callable[[str], Session]] = {}

    def __enter__(self) -> Pools:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def session(self, via: Via, target: str) -> Session:
        with self._lock:
            opener = self._open.get(via)
            if opener is None:
                opener = self._open[via] = self._opener(via)
        return opener(target)

    def stream(
        self, host_id: str, script: str, secret: str, take: Callable[[bytes], object], deadline: Deadline
    ) -> tuple[int, str]:
        """See `preflight.sessions.ssh.stream`. Raises SessionFailed."""
        return self._ssh_pool().stream(host_id, script, secret, take, deadline)

    def close(self) -> None:
        """Closes databases before the tunnels they may run through."""
        with self._lock:
            closing = self._closing.pop_all()
        with contextlib.suppress(Exception):
            closing.close()

    def _opener(self, via: Via) -> Callable[[str], Session]:
        match via:
            case Via.SSH:
                return self._ssh_pool().session
            case Via.SQL:
                from preflight.sessions.postgres import SqlPool

                ssh = self._ssh_pool()  # first, so that it is closed after the databases
                sql = SqlPool(self._plan.databases, self._plan.hosts, self._secrets, ssh.open_channel)
                self._closing.callback(sql.close)
                return sql.session
            case Via.HTTP:
                from preflight.sessions.http import HttpSession

                http = HttpSession(self._plan.folder, self._secrets)
                return lambda _application_id: http
            case Via.LOCAL:
                from preflight.sessions.local import LocalSession

                local = LocalSession(self._plan.folder)
                return lambda _target: local

    def _ssh_pool(self) -> SshPool:
        from preflight.sessions.ssh.pool import SshPool

        with self._lock:
            if self._ssh is None:
                self._ssh = SshPool(self._plan.hosts, self._secrets, sealed_known_hosts=self._plan.sealed_known_hosts)
                self._closing.callback(self._ssh.close)
            return self._ssh
