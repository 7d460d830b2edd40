"""All sessions of one run or watch, opened when the first question for them comes and closed together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from preflight.clock import monotonic
from preflight.plan import Plan
from preflight.probe import Via
from preflight.sessions import AskLine, Once, Session
from preflight.sessions.secrets import Secrets

if TYPE_CHECKING:
    from preflight.sessions.postgres import SqlPool
    from preflight.sessions.ssh.pool import SshPool

LOGIN_SECONDS = 600.0
"""How old a login may become that a watch asks by: whether one still succeeds, only a new one tells."""


class Pools(contextlib.AbstractContextManager["Pools"]):
    """Hands out one session for each kind and target. The drivers behind them are imported only when asked for, so
    that a plan without databases never loads psycopg."""

    def __init__(self, plan: Plan, secrets: Secrets) -> None:
        self._plan, self._secrets = plan, secrets
        self.redact = secrets.redact
        self._lock = threading.Lock()
        self._closing = contextlib.ExitStack()
        self._ssh: SshPool | None = None
        self._sql: SqlPool | None = None
        self._open = Once[Via, Callable[[str], Session]]()

    def __exit__(self, *_error: object) -> None:
        self.close()

    def session(self, via: Via, target: str) -> Session:
        return self._open.get(via, lambda: self._opener(via))(target)

    def ssh_pool(self) -> SshPool:
        """What else can be done over SSH than ask; logs in where it must, as a session does."""
        from preflight.sessions.ssh.pool import SshPool

        with self._lock:
            if self._ssh is None:
                self._ssh = SshPool(self._plan.hosts, self._secrets, sealed_known_hosts=self._plan.sealed_known_hosts)
                self._closing.callback(self._ssh.close)
            return self._ssh

    def log_in_by_code(self, host_ids: Iterable[str], ask_line: AskLine) -> None:
        """See `SshPool.log_in_by_code`, of these hosts and of the jump hosts before them, which come first; an empty id
        is none. For a thread that may ask on the terminal."""
        ways = (reversed(self._plan.way_to(each)) for each in host_ids if each)
        steps = dict.fromkeys(step for way in ways for step in way)
        if any(self._plan.hosts[each].second_factor for each in steps):  # else nothing of SSH is loaded for it
            self.ssh_pool().log_in_by_code(steps, ask_line)

    def begin_round(self, *, anew: bool) -> None:
        """Between two rounds of a watch: what failed may be tried again, unless an account was refused. A connection
        that has ended, or is older than LOGIN_SECONDS, is opened anew when it is needed; with `anew` each is. One for
        which somebody typed a code stays open as long as `[freshness] access` lets an answer hold."""
        oldest = monotonic() - (0 if anew else LOGIN_SECONDS)
        self._secrets.trials.begin_round()
        if self._sql is not None:  # databases before the tunnels they may run through
            self._sql.begin_round(oldest)
        if self._ssh is not None:
            self._ssh.begin_round(oldest, monotonic() - self._plan.freshness.access.total_seconds())

    def refused(self) -> list[str]:
        """Ids of the hosts and databases where an account was refused, which is not tried there again."""
        pools = [pool.refused() for pool in (self._ssh, self._sql) if pool is not None]
        return sorted({*self._secrets.trials.refused_at(), *(each for ids in pools for each in ids)})

    def close(self) -> None:
        """Closes databases before the tunnels they may run through."""
        with self._lock:
            closing = self._closing.pop_all()
        with contextlib.suppress(Exception):
            closing.close()

    def _opener(self, via: Via) -> Callable[[str], Session]:
        match via:
            case Via.SSH:
                return self.ssh_pool().session
            case Via.SQL:
                from preflight.sessions.postgres import SqlPool

                ssh = self.ssh_pool()  # first, so that it is closed after the databases
                self._sql = SqlPool(self._plan.databases, self._plan.hosts, self._secrets, ssh.open_channel)
                self._closing.callback(self._sql.close)
                return self._sql.session
            case Via.HTTP:
                from preflight.sessions.http import HttpSession

                http = HttpSession(self._plan.folder, self._secrets)
                return lambda _application_id: http
            case Via.LOCAL:
                from preflight.sessions.local import LocalSession

                local = LocalSession(self._plan.folder)
                return lambda _target: local
