"""A server of the demo as a child of this program: started, watched through its log, and ended for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from preflight.clock import Deadline
from preflight.demo.account import Account

_STOP_SECONDS = 5.0


class Child:
    """A child in a process group of its own, so that Ctrl-C reaches us first and nothing it started survives it."""

    def __init__(self, argv: Sequence[str | Path], account: Account, environment: Mapping[str, str], cwd: Path) -> None:
        self._child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=dict(environment),
            cwd=cwd,
            start_new_session=True,
            **account.identity,
        )
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        assert self._child.stdout is not None  # noqa: S101 - PIPE was asked for
        threading.Thread(target=self._read, args=(self._child.stdout,), name="demo-log", daemon=True).start()

    @property
    def log(self) -> str:
        with self._changed:
            return "".join(self._lines)

    def says(self, text: str, deadline: Deadline) -> bool:
        """Waits until the log holds `text`; False when the child ends or the deadline passes before that."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._holds(text), timeout=deadline.left())
            return self._holds(text)

    def stop(self, number: signal.Signals) -> None:
        """Asks with a signal, waits some seconds, then kills the group; returns when the child is gone."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.send_signal(number)
            self._child.wait(_STOP_SECONDS)
        kill_group(self._child)

    def _holds(self, text: str) -> bool:
        return any(text in line for line in self._lines)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def kill_group(child: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Kills a child that was started in a session of its own, and everything in its process group; waits for it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_STOP_SECONDS)
