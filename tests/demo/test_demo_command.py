"""`preflight demo` as a user types it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import argv, environment, preflight


def left_behind() -> set[str]:
    """Command lines that belong to a demo: its servers and helpers."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if "preflight-demo" in line or "preflight demo" in line:
            found.add(line)
    return found


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Whatever else runs on this machine was there before."""
    before = left_behind()
    yield
    assert left_behind() <= before


def test_the_demo_is_go() -> None:
    done = preflight("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("GO")


def test_the_night_is_no_go() -> None:
    done = preflight("demo", "--night")
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith("NO-GO")


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(tmp_path: Path, which: signal.Signals) -> None:
    process = subprocess.Popen(
        argv("demo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(TMPDIR=str(tmp_path))
    )
    assert process.stderr is not None
    process.stderr.readline()  # it has begun
    os.kill(process.pid, which)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []
