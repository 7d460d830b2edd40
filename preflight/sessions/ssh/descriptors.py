"""How many connections may be open at once, so that this machine's limit of open files is never what fails a host."""

from __future__ import annotations

import resource
import threading
from typing import Protocol

from preflight.clock import Deadline

_KEPT_FREE = 32
"""Descriptors for the program itself: its modules, files, pipes and reports."""
_WAKE_SECONDS = 0.25
"""How soon a thread that waits for a place notices that a connection has become idle."""


class Closable(Protocol):
    """A connection, as far as its place is concerned."""

    def close_if_idle(self) -> bool:
        """Closes it if nobody uses it; whether it did."""


def raise_limit() -> int:
    """Raises this process's limit of open files as far as it may; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # a system whose hard limit is more than it grants
        return soft
    return hard


def connections_for(limit: int) -> int:
    """How many SSH connections fit under a limit of open files: half, since databases and endpoints need some, too."""
    return max(1, (limit - _KEPT_FREE) // 2)


class OpenConnections:
    """The places for open connections. When all are taken, one that is idle is closed; it is opened again when a
    question for its host comes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._open: dict[Closable, None] = {}

    def enter(self, connection: Closable, deadline: Deadline) -> bool:
        """Waits for a place; False when the deadline came first."""
        while not self._try(connection):
            if deadline.over:
                return False
            with self._changed:
                self._changed.wait(min(_WAKE_SECONDS, deadline.left()))
        return True

    def leave(self, connection: Closable) -> None:
        """Gives the place back. Safe to call twice."""
        with self._changed:
            self._open.pop(connection, None)
            self._changed.notify()

    def _try(self, connection: Closable) -> bool:
        with self._changed:
            if len(self._open) < self._most:
                self._open[connection] = None
                return True
            candidates = list(self._open)
        return any(candidate.close_if_idle() for candidate in candidates) and self._try(connection)
