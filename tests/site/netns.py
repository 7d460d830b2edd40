"""A machine of a test's own, as far as its network and its /etc go: ports 22, 443 and 5432 are free in it.

Made of a network namespace with nothing but loopback and a mount namespace whose /etc is a layer over the real one.
Nothing outside is touched, and it ends with the process that holds it, which ends with the tests' own.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.site.machine import TIMEOUT_SECONDS, clean_environment, needs, needs_root, run

T = TypeVar("T")
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of sched.h
_SET_UP = """
ip link set lo up
mount -t tmpfs preflight-test "$1"
mkdir "$1/upper" "$1/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" preflight-test /etc
printf '%s' "$2" >>/etc/hosts
[ -z "$3" ] || ln -sfn "/usr/share/zoneinfo/$3" /etc/localtime
echo ready
exec cat
"""


class Namespace:
    """Accounts and sudo rules must be made before it: its /etc does not show what is changed in the real one later."""

    def __init__(self, directory: Path, names: Mapping[str, str] | None = None, zone: str = "") -> None:
        """`names`: host name -> address, known in it through /etc/hosts; all of 127.0.0.0/8 answers. `zone`: the
        machine's time zone (/etc/localtime), by its IANA name."""
        needs_root("make network and mount namespaces")
        for tool in ("ip", "mount", "nsenter"):
            needs(tool)
        directory.mkdir(parents=True)
        # sshd hands its own TZ on to its sessions.
        self._zone = ["env", "-u", "TZ"] if zone else []
        hosts = "".join(f"{address} {name}\n" for name, address in (names or {}).items())
        self._holder = subprocess.Popen(
            [needs("unshare"), "--net", "--mount", "--", "sh", "-euc", _SET_UP, "holder", directory, hosts, zone],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        if self._holder.stdout.readline() != "ready\n":
            why = self._holder.stderr.read().strip()
            raise AssertionError(f"no namespace of its own (a container needs CAP_SYS_ADMIN for it): {why}")

    def enter(self, argv: Sequence[str | Path], user: str | None = None) -> list[str]:
        """The command that runs `argv` inside, in the folder /, as the OS account `user` where given."""
        account: list[str] = []
        if user is not None:
            entry = pwd.getpwnam(user)
            account = [f"--setgid={entry.pw_gid}", f"--setuid={entry.pw_uid}"]
        inside = [f"--target={self._holder.pid}", "--net", "--mount", *account]
        return [needs("nsenter"), *inside, "--", *self._zone, *map(str, argv)]

    def run(self, *argv: str | Path, user: str | None = None) -> str:
        """Standard output of a command that ran inside."""
        return run(*self.enter(argv, user)).stdout

    def call(self, work: Callable[[], T]) -> T:
        """What `work` returns; sockets that it opens, in its thread or one that this begins, are inside. Names and
        /etc are those outside."""
        with ThreadPoolExecutor(1, initializer=self._join) as thread:
            return thread.submit(work).result()

    def close(self) -> None:
        self._holder.communicate(timeout=TIMEOUT_SECONDS)

    def _join(self) -> None:
        opened = os.open(f"/proc/{self._holder.pid}/ns/net", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(opened, _NEW_NETWORK) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(opened)
