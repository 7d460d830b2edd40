"""Work of which each part is due at a moment of its own: waiting for it holds no thread that other work needs."""

import heapq
import threading
from collections.abc import Callable
from itertools import count

from preflight.clock import monotonic

Work = Callable[[], None]


class Timetable:
    """Done by the thread that asks for it and as many more as are needed, up to a limit."""

    def __init__(self, most_at_once: int) -> None:
        self._most_at_once = most_at_once
        self._changed = threading.Condition()
        self._planned: list[tuple[float, int, Work]] = []
        """By the monotonic clock; of equal moments, what was planned first."""
        self._numbers = count()
        self._left = 0
        """Planned or under way: what is under way may plan more."""
        self._helping: list[threading.Thread] = []

    def add(self, work: Work, after_seconds: float = 0.0) -> None:
        """`work` must not raise, and may add more."""
        with self._changed:
            heapq.heappush(self._planned, (monotonic() + after_seconds, next(self._numbers), work))
            self._left += 1
            if len(self._helping) + 1 < min(self._most_at_once, self._left):
                self._helping.append(threading.Thread(target=self._work, name="ask", daemon=True))
                self._helping[-1].start()
            self._changed.notify()

    def work_off(self) -> None:
        """Returns when nothing is planned and nothing under way."""
        self._work()
        for thread in self._helping:
            thread.join()

    def _work(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            finally:
                with self._changed:
                    self._left -= 1
                    if not self._left:
                        self._changed.notify_all()

    def _next(self) -> Work | None:
        """What is due, as soon as it is; None when nothing is left."""
        with self._changed:
            while self._left:
                wait = self._planned[0][0] - monotonic() if self._planned else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._planned)[2]
                self._changed.wait(wait)
            return None
