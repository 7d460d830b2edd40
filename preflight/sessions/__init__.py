"""The only folder that touches the network. Sessions carry questions and bring replies back."""

import os
import threading
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from preflight.clock import Deadline, monotonic
from preflight.errors import PreflightError
from preflight.probe import Answer, NoReply, Question
from preflight.reasons import Reason

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Deliver = Callable[[Question, Answer], None]
AskLine = Callable[[str, bool, Callable[[], bool]], str | None]
"""Asks on the terminal (the question, whether what is typed is shown, whether nobody waits for it any more); None when
nobody waited."""
VANTAGE = "from here"
"""Of whoever asks without a host in between."""


def decode(remote: bytes) -> str:
    """UTF-8; bytes that are none stay readable as backslash escapes, NUL survives."""
    return remote.decode("utf-8", "backslashreplace")


def local_path(name: str) -> Path:
    """A file of this machine; the `~` of an account that is not there stays, and leads to nothing."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - `Path.expanduser` raises


class Once(Generic[K, V]):
    """What is made once for each key, by the first who asks for it; the others wait, and for no other key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._making: dict[K, threading.Lock] = {}
        self._made: dict[K, V] = {}

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Raises what `make` raises, for whoever called it; the next one calls it again."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]


class Session(Protocol):
    """What asks one target. Opened at the first question, kept for the second round."""

    @property
    def stage(self) -> str:
        """What it waits for just now, in words that follow "while": `resolving db1`. Read from another thread."""

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        """Calls `deliver` once for every question, as answers arrive, in the calling thread.

        Aims to be done by the deadline, but may block past it where nothing bounds a call (a name service): whoever
        asks waits no longer than the deadline and leaves the thread behind. While questions with a channel of their
        own are under way, others may come by a second call. Trouble in the outside world is delivered as `NoReply`,
        never raised."""

    def close(self) -> None:
        """Frees threads and sockets and ends what is being asked; safe to call twice and from another thread. A
        question that comes later opens the session again, unless its pool is closed."""


class SessionFailed(PreflightError):
    """A session could not be opened or was lost; carries what every question on it gets for an answer."""

    def __init__(self, answer: NoReply) -> None:
        super().__init__(answer.detail)
        self.answer = answer


class CannotAsk(Exception):
    """Why something could not be asked, on its way up to the `NoReply` it becomes; never leaves the sessions."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Closed(CannotAsk):
    """Whoever wanted to ask has closed the session."""

    def __init__(self) -> None:
        super().__init__(Reason.CLOSED_HERE, "the session was closed")


def require_time(deadline: Deadline, begun: float) -> None:
    """Raises CannotAsk where this machine took all the time that there was for a login: its driver, a secret, a name.
    `begun`: by the monotonic clock."""
    if deadline.over:
        detail = f"no time was left for the login: what comes before it took {monotonic() - begun:.1f} s here"
        raise CannotAsk(Reason.BUSY, detail)
