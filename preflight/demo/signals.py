"""Signals while the demo's site exists: each of them unwinds the stack, and none breaks a step half-way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_ALL = (signal.SIGINT, *_ENDING)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt like Ctrl-C, unless the program already does something about them.

    Without that their default ends Python on the spot, and servers and files would stay behind."""
    ours = [number for number in _ENDING if _in_main_thread() and signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def deferred() -> Iterator[None]:
    """Signals that come inside take effect on leaving.

    Starting a server and noting that it must be stopped are two steps; an interrupt between them would leave the
    server behind, and an impatient second Ctrl-C would do so while the first one clears up."""
    if not _in_main_thread():
        yield
        return
    came: list[int] = []
    before = {which: signal.signal(which, lambda number, _frame: came.append(number)) for which in _ALL}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
        if came:
            signal.raise_signal(came[0])


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
