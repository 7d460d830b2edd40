"""What is told while the real systems are asked: on a terminal, in a log, on a dumb terminal, and to the quiet."""

from __future__ import annotations

import os
import threading

import pytest

from preflight.cli import progress
from preflight.cli.progress import progress_of_this_call


class Stream:
    def __init__(self, *, terminal: bool) -> None:
        self.terminal = terminal
        self.text = ""
        self.written = threading.Event()

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> None:
        self.text += text
        self.written.set()

    def flush(self) -> None:
        pass


def standard_error(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, term: str = "xterm") -> Stream:
    """In the test itself: pytest puts its own in place after the fixtures."""
    stream = Stream(terminal=terminal)
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setitem(os.environ, "TERM", term)
    return stream


def test_on_a_terminal_one_line_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = standard_error(monkeypatch, terminal=True)
    with progress_of_this_call(quiet=False) as tell:
        tell("asked 3, answered 1")
        tell("")
    assert stream.text == "\r\033[Kasked 3, answered 1\r\033[K"


def test_a_terminal_that_can_do_nothing_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = standard_error(monkeypatch, terminal=True, term="dumb")
    with progress_of_this_call(quiet=False) as tell:
        tell("asked 3, answered 1")
    assert not stream.text


def test_a_log_gets_a_line_now_and_then_and_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = standard_error(monkeypatch, terminal=False)
    with progress_of_this_call(quiet=False) as tell:
        tell("asked 1, answered 1")
    assert not stream.text, "a run that ends soon needs no line"
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES_OF_A_LOG", 0.01)
    with progress_of_this_call(quiet=False) as tell:
        tell("asked 3, answered 1")
        assert stream.written.wait(60)
        stream.written.clear()
        tell("asked 3, answered 2")
        assert stream.written.wait(60)
    assert stream.text == "preflight: asked 3, answered 1\npreflight: asked 3, answered 2\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_is_quiet(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    stream = standard_error(monkeypatch, terminal=terminal)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES_OF_A_LOG", 0.0)
    with progress_of_this_call(quiet=True) as tell:
        tell("asked 3, answered 1")
    assert not stream.text
