"""`lint`, `show`, `judge` and `diff` where Unix's modules and calls are missing, as on Windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import environment, preflight, write_plan

_WITHOUT_UNIX = """
import os, runpy, select, shutil, signal, socket, subprocess, sys, tempfile

for name in ("crypt", "fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
kept = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN"}
for name in [name for name in vars(signal) if name.isupper() and name not in kept]:
    delattr(signal, name)
for name in ("setitimer", "getitimer", "alarm", "pause", "pthread_kill", "pthread_sigmask", "sigwait", "siginterrupt"):
    delattr(signal, name)
for name in (
    "O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW", "O_NOCTTY", "O_DIRECTORY", "geteuid", "getuid", "getegid", "getgid",
    "fork", "setsid", "killpg", "uname", "chown", "fchmod", "mkfifo", "memfd_create", "pread", "sched_getaffinity",
    "statvfs", "sysconf", "register_at_fork", "openpty", "posix_spawn", "getpgid", "O_TMPFILE", "O_SYNC", "fdatasync",
    "fchown", "lchown", "getgroups", "set_blocking", "ttyname", "getxattr", "nice", "mknod", "wait", "waitid",
):
    delattr(os, name)
del select.poll, socket.AF_UNIX, socket.TCP_QUICKACK, socket.TCP_USER_TIMEOUT
sys.argv = ["preflight", *sys.argv[1:]]
runpy.run_module("preflight", run_name="__main__")
"""


def without_unix(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT_UNIX, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=600, env=environment(),
    )  # fmt: skip


EXAMPLE = Path(__file__).parent.parent.parent / "plans" / "example.toml"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan, the evidence of its run and its report."""
    folder = tmp_path_factory.mktemp("saved")
    written = ("--evidence", folder / "evidence.json", "--output", f"json={folder / 'report.json'}")
    preflight("run", write_plan(folder), *written)
    return folder


@pytest.mark.long
@pytest.mark.parametrize(
    "typed",
    [
        "lint example.toml",
        "lint example.toml --strict --format json",
        "show example.toml",
        "show example.toml --plan",
        "show example.toml --commands",
        "judge plan.toml evidence.json",
        "judge plan.toml evidence.json --format html",
        "diff report.json report.json",
    ],
)
def test_what_asks_nobody_runs_without_unix(typed: str, saved: Path) -> None:
    asked = [{"example.toml": EXAMPLE}.get(word, saved / word if "." in word else word) for word in typed.split()]
    here, there = preflight(*asked), without_unix(*asked)
    assert there.stderr == here.stderr
    assert there.returncode == here.returncode
    assert there.stdout == here.stdout
