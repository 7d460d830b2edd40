"""Where a watch is shown: on a terminal a picture that is drawn over again, elsewhere one line for each change."""

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Self

_ENTER, _LEAVE = "\033[?1049h\033[?25l\033[?7l", "\033[?7h\033[?25h\033[?1049l"
"""The terminal's other screen, without cursor and without line breaks of its own; and back."""
_LINES_KEPT = 5
ASK_AGAIN = "r"


def has_screen() -> bool:
    """Whether standard output is a terminal on which can be drawn."""
    return os.environ.get("TERM", "dumb") != "dumb" and sys.stdout is not None and sys.stdout.isatty()


class Lines(contextlib.AbstractContextManager["Lines"]):
    """One line for each change."""

    keys = False
    """Whether somebody can type `ASK_AGAIN`."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __exit__(self, *_error: object) -> None:
        pass

    def add(self, lines: Sequence[str]) -> None:
        """Tells what changed in a round, blockers first."""
        for line in lines:
            self._write(f"{line}\n")

    def show(self, report: str) -> None:
        """Puts the report of another round in place of the one before."""

    def foot(self, line: str) -> None:
        """Puts a line in place of the one below the report."""

    def wait(self, seconds: float) -> bool:
        """Whether `ASK_AGAIN` was typed within so many seconds; returns at once then."""
        select.select([], [], [], seconds)
        return False


class Screen(Lines):
    """The terminal of standard output. Each picture is written over the one before, at once: nothing flickers."""

    def __init__(self) -> None:
        super().__init__(lambda _line: None)
        self.keys = sys.stdin is not None and sys.stdin.isatty()
        self._report: list[str] = []
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._foot = ""
        self._before: list[Any] = []
        self._signals: dict[int, Any] = {}

    def __enter__(self) -> Self:
        acts = {signal.SIGWINCH: lambda *_: self._draw(), signal.SIGTSTP: self._stop}
        self._signals = {number: signal.signal(number, act) for number, act in acts.items()}
        self._take()
        return self

    def __exit__(self, *_error: object) -> None:
        for number, act in self._signals.items():
            signal.signal(number, act)
        self._give_back()

    def add(self, lines: Sequence[str]) -> None:
        self._lines.extend(lines[:_LINES_KEPT])  # the rest stands in the report

    def show(self, report: str) -> None:
        self._report = report.splitlines()
        self._draw()

    def foot(self, line: str) -> None:
        self._foot = line
        self._draw()

    def wait(self, seconds: float) -> bool:
        ready, _, _ = select.select([sys.stdin] if self.keys else [], [], [], seconds)
        if not ready:
            return False
        typed = os.read(sys.stdin.fileno(), 64)
        if not typed:  # the terminal was closed: it would be ready for ever
            self.keys = False
        return ASK_AGAIN.encode() in typed

    def _take(self) -> None:
        if self.keys:
            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)  # a key is read as it is typed; Ctrl-C stays what it is
        _put(_ENTER)
        self._draw()

    def _give_back(self) -> None:
        _put(_LEAVE)
        if self.keys:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def _stop(self, *_: object) -> None:
        """Ctrl-Z: the shell gets the terminal as it was, until `fg`."""
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()

    def _draw(self) -> None:
        """What does not fit is cut off below, never the last changes and the foot."""
        _, rows = shutil.get_terminal_size()
        below = [*self._lines, self._foot][-rows:]
        # What stood there goes first: behind a line that fills its row, a terminal would wipe that line's last sign.
        *above, last = [*self._report[: rows - len(below)], *below]
        _put("\033[H" + "\r\n".join([*(f"\033[K{line}" for line in above), f"\033[J{last}"]))


def _put(text: str) -> None:
    """Past the buffer: it may draw amid anything. A terminal that went away is noticed by whoever writes the report."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
