"""What is told on standard error while the real systems are asked: how many answers came, and what is still awaited."""

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from preflight.cli.console import complain
from preflight.clock import monotonic
from preflight.probe import Answer, Question

Tell = Callable[[str], None]
_SECONDS_BETWEEN_LINES = 0.1
_SECONDS_BETWEEN_LINES_OF_A_LOG = 10.0
"""Often enough that no CI takes the job for dead, and nothing for a run that ends before."""


@contextmanager
def progress_of_this_call(*, quiet: bool) -> Iterator[Tell]:
    """On a terminal one line, which is replaced; nothing on one that cannot (TERM=dumb); in a log a line every 10 s."""
    if quiet or sys.stderr is None or (sys.stderr.isatty() and os.environ.get("TERM") == "dumb"):
        yield lambda _line: None
    elif sys.stderr.isatty():
        yield _replace_line
    else:
        with _log() as tell:
            yield tell


def _replace_line(line: str) -> None:
    sys.stderr.write(f"\r\033[K{line[:99]}")
    sys.stderr.flush()


@contextmanager
def _log() -> Iterator[Tell]:
    """Writes the newest line now and then, from a thread of its own, and none twice."""
    newest, ended = "", threading.Event()

    def keep(line: str) -> None:
        nonlocal newest
        newest = line or newest

    def write() -> None:
        told = ""
        while not ended.wait(_SECONDS_BETWEEN_LINES_OF_A_LOG):
            if newest != told:
                told = newest
                complain(f"preflight: {told}")

    threading.Thread(target=write, name="progress", daemon=True).start()
    try:
        yield keep
    finally:
        ended.set()


class Progress:
    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._open: dict[str, Question] = {}
        self._total = 0
        self._shown_at = 0.0

    def expect(self, questions: Sequence[Question]) -> None:
        self._open.update((question.id, question) for question in questions)
        self._total += len(questions)
        self._show()

    def count(self, question: Question, _answer: Answer) -> None:
        self._open.pop(question.id, None)
        if monotonic() - self._shown_at >= _SECONDS_BETWEEN_LINES or not self._open:
            self._show()

    def _show(self) -> None:
        self._shown_at = monotonic()
        counts = Counter((question.via, question.target) for question in self._open.values())
        awaited = ", ".join(f"{target} ({count})" for (_, target), count in list(counts.items())[:4])
        answered = self._total - len(self._open)
        self._tell(f"asked {self._total}, answered {answered}" + (f"; waiting for {awaited}" if awaited else ""))
