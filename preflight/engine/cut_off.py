"""Code of checks and plug-ins that does not come to an end is cut off at the deadline of the command.

A timer of the process interrupts the main thread, in which all of that code runs, and nothing else: from the deadline
on again and again, so that each call that hangs costs a moment."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from preflight.errors import Overrun

TIMEOUT_SECONDS = 60.0
"""Deadline of a command where the caller names none."""
_SECONDS_BETWEEN = 0.2


class _CodeOfChecks:
    """`with` it, code that others wrote is run."""

    running = False
    late = False
    """It ran at the last signal already."""
    seconds = 0.0
    """Of the innermost `at_deadline`; 0 outside."""

    def __enter__(self) -> None:
        self.running, self.late = True, False

    def __exit__(self, *_: object) -> None:
        self.running = False


code_of_checks = _CodeOfChecks()


def begin_again() -> None:
    """Lets the time of `at_deadline` begin now: somebody at the terminal took part of it."""
    if code_of_checks.seconds:
        signal.setitimer(signal.ITIMER_REAL, code_of_checks.seconds, _SECONDS_BETWEEN)


@contextmanager
def at_deadline(seconds: float) -> Iterator[None]:
    """Code of checks that still runs so many seconds from now, or begins later and does not end at once, raises
    Overrun. Not outside the main thread, where no signal arrives, nor on a system without timers that signal."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def interrupt(_number: int, frame: FrameType | None) -> None:
        is_ours = frame is not None and frame.f_code.co_filename == __file__  # it is just being left
        if code_of_checks.running and code_of_checks.late and not is_ours:
            raise Overrun(f"it did not come to an end within {seconds:g} s")
        code_of_checks.late = True

    before = signal.signal(signal.SIGALRM, interrupt)
    code_of_checks.seconds = seconds
    begin_again()
    try:
        yield
    finally:
        code_of_checks.seconds = 0.0
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
