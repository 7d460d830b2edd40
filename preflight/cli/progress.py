"""One line on standard error that says how far a run is; only on a terminal."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from preflight.clock import monotonic
from preflight.probe import Answer, Question

_SECONDS_BETWEEN_LINES = 0.1


class Progress:
    """Counts answers and shows what is still awaited. Silent where standard error is no terminal."""

    def __init__(self) -> None:
        self._on = sys.stderr is not None and sys.stderr.isatty()
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

    def clear(self) -> None:
        if self._on:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

    def _show(self) -> None:
        if not self._on:
            return
        self._shown_at = monotonic()
        counts = Counter((question.via, question.target) for question in self._open.values())
        awaited = ", ".join(f"{target} ({count})" for (_, target), count in list(counts.items())[:4])
        line = f"asked {self._total}, answered {self._total - len(self._open)}; waiting for {awaited or 'nothing'}"
        sys.stderr.write(f"\r\033[K{line[:99]}")
        sys.stderr.flush()
