"""The program on a real terminal: a pty of which it is the foreground."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from pathlib import Path

from preflight.clock import Deadline
from tests.cli.program import argv, environment

SECONDS = 180
"""What the program may take for one step on a busy machine."""


class Terminal:
    """The program on a pty, and all that it wrote."""

    def __init__(self, *arguments: str | Path, **more: str) -> None:
        self._main, other = pty.openpty()
        self.resize(24)
        self.process = subprocess.Popen(
            argv(*arguments), stdin=other, stdout=other, stderr=other, env=environment(**more), start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self._other = other
        self.written = ""

    def resize(self, rows: int) -> None:
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 100, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self._main, keys.encode())

    def until(self, pattern: str, start: int = 0) -> str:
        """Reads until what was written from `start` on has it; gives that."""
        deadline = Deadline(SECONDS)
        while not re.search(pattern, self.written[start:], re.DOTALL):
            ready, _, _ = select.select([self._main], [], [], deadline.left())
            assert ready, self.written[start:]
            self.written += os.read(self._main, 65536).decode(errors="replace")
        return self.written[start:]

    def end(self) -> int:
        """The exit code, once all was read."""
        os.close(self._other)
        while True:
            try:
                self.written += os.read(self._main, 65536).decode(errors="replace")
            except OSError:  # the other side is closed
                return self.process.wait(SECONDS)

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._main)[3] & termios.ECHO)
