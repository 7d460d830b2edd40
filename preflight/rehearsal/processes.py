"""What begins and ends with a rehearsal: processes, and what is left to be done when preflight is killed."""

import contextlib
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from preflight import INTERRUPTIONS
from preflight.rehearsal.account import Account

_TRY_SECONDS = 30.0
NO_ROUTE = ("unshare", "--map-current-user", "--net", "--")
"""A network of its own with nothing in it, as the caller's own account (unshare(1), user_namespaces(7))."""
ONE_END = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--map-current-user", "--pid", "--fork", "--kill-child", "--"),
    *("sh", "-c", '"$@"; exit "$?"', "sh"),
)
"""It ends with this process, whatever ends that, and so does all that it starts. Numbers of processes of its own: when
the first, the shell, ends, the kernel ends all others, also one that called setsid (pid_namespaces(7)). That the shell
is the first leaves the command what it is elsewhere: `kill $$` ends it."""
STOP = """pid=$(head -n 1 "$1/postmaster.pid") && kill -QUIT "$pid" &&
while [ -e "$1/postmaster.pid" ] && kill -0 "$pid"; do sleep 0.1; done"""
"""Ends the server of a data directory at once, as pg_ctl does."""
REMOVE = 'for time in 1 2 3 4 5; do rm -rf -- "$1" && break; sleep 1; done'
"""Several times: a program that still runs may have added a file meanwhile."""


def offered(before: tuple[str, ...], account: Account) -> tuple[str, ...]:
    """`before`, to be put before a command of the account; empty where this machine does not offer that."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            [*before, "true"], capture_output=True, timeout=_TRY_SECONDS, cwd="/", check=True, **account.identity
        )
        return before
    return ()


@contextlib.contextmanager
def run_at_the_end(script: str, path: Path, account: Account | None = None, held: Sequence[int] = ()) -> Iterator[int]:
    """Runs `script` of sh with `path`, as the account or as ourselves, on leaving, and also when this process is
    killed: a shell waits for the end of a pipe. Gives the end that keeps it open; what has it in `held` is awaited."""
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", f"cat\n{script}", "sh", path],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # what ends our group is no end of this one
        pass_fds=held,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        **(account.identity if account else {}),
    )
    assert watcher.stdin is not None  # noqa: S101 - it is a pipe
    try:
        yield watcher.stdin.fileno()
    finally:
        with signals_deferred():
            watcher.communicate()


@contextlib.contextmanager
def signals_deferred() -> Iterator[None]:
    """Signals that come inside take effect on leaving. Starting a server and noting that it must be stopped are two
    steps; an interrupt between them would leave the server behind, and an impatient second Ctrl-C would do so while the
    first one clears up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {which: signal.signal(which, lambda number, _frame: came.append(number)) for which in INTERRUPTIONS}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
        if came:
            signal.raise_signal(came[0])
