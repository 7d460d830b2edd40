"""Runs a command of the plan's own on this machine: by argv, without a shell, without a terminal, under a deadline."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from preflight.clock import Deadline
from preflight.questions.files import Ended
from preflight.sessions.local.files import TooMuchToRead

MOST_BYTES = 64 * 1024
"""Of output and error together."""
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ")
"""Environment that a command gets. The rest may hold the secrets of the plan."""
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_CHUNK_BYTES = 16 * 1024


def run_command(argv: Sequence[str], folder: Path, deadline: Deadline) -> Ended:
    """Raises TooMuchToRead and TimeoutError; either way the command and what it started are ended. A command that
    is not there or cannot be executed ends with 127 or 126, as in a shell."""
    try:
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env={name: os.environ[name] for name in _KEPT if name in os.environ} | {"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a group of its own, so that all of it can be ended
        )
    except FileNotFoundError as error:
        return Ended(_NOT_FOUND, "", f"{error.filename}: {error.strerror}")
    except (OSError, ValueError) as error:
        return Ended(_NOT_EXECUTABLE, "", f"{argv[0]}: {getattr(error, 'strerror', None) or error}")
    try:
        output, errors = _read(process, deadline)
        code = process.wait(timeout=max(deadline.left(), 0.001))
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{argv[0]} did not end in time") from None
    finally:
        _end(process)
    return Ended(code if code >= 0 else 128 - code, output, errors)


def _read(process: subprocess.Popen[bytes], deadline: Deadline) -> tuple[str, str]:
    assert process.stdout is not None  # noqa: S101 - both are pipes
    assert process.stderr is not None  # noqa: S101
    found: dict[int, bytearray] = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    with selectors.DefaultSelector() as selector:
        for descriptor in found:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(deadline.left())
            if not ready:
                raise TimeoutError("the command did not end in time")
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK_BYTES)
                found[key.fd] += chunk
                if not chunk:
                    selector.unregister(key.fd)
            if sum(map(len, found.values())) > MOST_BYTES:
                raise TooMuchToRead(f"the command printed more than {MOST_BYTES // 1024} KiB")
    output, errors = (bytes(each).decode("utf-8", "replace") for each in found.values())
    return output, errors


def _end(process: subprocess.Popen[bytes]) -> None:
    """The whole group: a child that kept running must not outlive the question."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()
    process.wait()
