"""How many connections may be on their way to a login at once: sshd drops those that are too many (MaxStartups)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from preflight.clock import Deadline

MOST_PER_SERVER = 8
"""Connections to one address and port that are not logged in yet: below the 10 at which sshd begins to drop some
(MaxStartups 10:30:100)."""
MOST_RETURNING = 6
"""Connections of the whole run that come again after they were dropped: one sshd may listen on many addresses."""


class _Server:
    """What is known of one address and port."""

    def __init__(self, lock: threading.Lock) -> None:
        self.changed = threading.Condition(lock)
        self.pending = 0
        self.most: float = MOST_PER_SERVER


class LoginTurns:
    """Turns to log in, by server. A server that drops connections gets half as many at once from then on, and slowly
    more again as logins succeed. Of the connections that were dropped only a few come again at the same time, whatever
    their addresses: many may turn out to be one sshd."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[str, _Server] = {}
        self._returning = threading.Semaphore(MOST_RETURNING)
        self._closed = False

    def take(self, server: str, deadline: Deadline) -> bool:
        """Waits for a turn at `address:port`; False when the deadline or `close` came first."""
        with self._lock:
            entry = self._servers.setdefault(server, _Server(self._lock))
            entry.changed.wait_for(lambda: self._closed or entry.pending < int(entry.most), deadline.left())
            if self._closed or entry.pending >= int(entry.most):
                return False
            entry.pending += 1
            return True

    def give_back(self, server: str, *, dropped: bool) -> None:
        """Ends a turn. `dropped`: the server hung up before it said anything, because it is crowded."""
        with self._lock:
            entry = self._servers[server]
            entry.pending -= 1
            entry.most = max(1, entry.most / 2) if dropped else min(MOST_PER_SERVER, entry.most + 1 / entry.most)
            entry.changed.notify_all()

    @contextmanager
    def returning(self, deadline: Deadline) -> Iterator[bool]:
        """A place among those that come again; False when the deadline came first."""
        taken = self._returning.acquire(timeout=deadline.left())
        try:
            yield taken
        finally:
            if taken:
                self._returning.release()

    def close(self) -> None:
        """Lets everybody who waits go."""
        with self._lock:
            self._closed = True
            for entry in self._servers.values():
                entry.changed.notify_all()
