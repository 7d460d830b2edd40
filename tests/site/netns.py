"""A machine of a test's own: ports 22, 443 and 5432 are free on it, and its files can be changed at will.

Made of a network namespace with nothing but loopback, and a mount namespace whose root is a layer over the real one.
Nothing outside is touched but the folder for temporary files, which is the same inside, and it ends with the process
that holds it, which ends with the tests' own.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.site.machine import TIMEOUT_SECONDS, clean_environment, needs, needs_root, run

T = TypeVar("T")
_PROJECT = Path(__file__).parent.parent.parent
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of sched.h
_FIRST_UID = 61000  # beyond those of useradd: other tests end the processes of their accounts by number
_SET_UP = """
layer=$1 hosts=$2 zone=$3; shift 3
ip link set lo up
mount -t tmpfs preflight-test "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root"
cd "$layer/root"
mount -t overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" preflight-test .
cd "$layer/root"
mkdir -p mnt
for folder in proc sys dev; do mount --rbind "/$folder" "$folder"; done
for folder do mount --bind "$folder" ".$folder"; done
mount -t tmpfs -o mode=755 preflight-test run
pivot_root . mnt
umount -l /mnt
mkdir -m 755 /run/sshd
printf '%s' "$hosts" >>/etc/hosts
[ -z "$zone" ] || ln -sfn "/usr/share/zoneinfo/$zone" /etc/localtime
echo ready
exec cat
"""


class Namespace:
    """What is changed on the real machine later may not show on it: accounts are made before, or on it alone."""

    def __init__(
        self,
        directory: Path,
        names: Mapping[str, str] | None = None,
        zone: str = "",
        address: str = "",
        router: Namespace | None = None,
    ) -> None:
        """`names`: host name -> address, known on it through /etc/hosts. `zone`: the machine's time zone
        (/etc/localtime), by its IANA name. Without an `address`, just 127.0.0.0/8 answers. Machines with one reach
        each other through one that has no `router` itself; their addresses differ in the last number."""
        needs_root("make network and mount namespaces")
        for tool in ("ip", "mount", "pivot_root"):
            needs(tool)
        directory.mkdir(parents=True)
        self._accounts = 0
        # sshd hands its own TZ on to its sessions.
        self._zone = ["env", "-u", "TZ"] if zone else []
        hosts = "".join(f"{address} {name}\n" for name, address in (names or {}).items())
        shared = [tempfile.gettempdir(), str(_PROJECT)]
        argv = [needs("unshare"), "--net", "--mount", "--", "sh", "-euc", _SET_UP, "holder", directory, hosts, zone]
        self._holder = subprocess.Popen(
            [*argv, *shared],
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
            raise AssertionError(f"no machine of its own (a container needs CAP_SYS_ADMIN for it): {why}")
        if router is not None:
            link = f"to{self.pid}"
            router.run("ip", "link", "add", link, "type", "veth", "peer", "name", "net", "netns", str(self.pid))
            router.run("ip", "link", "set", link, "master", "net", "up")
        elif address:
            self.run("ip", "link", "add", "net", "type", "bridge")
        if address:
            self.add_address(address)
            self.run("ip", "link", "set", "net", "up")

    @property
    def pid(self) -> int:
        return self._holder.pid

    def enter(self, argv: Sequence[str | Path], user: str | None = None) -> list[str]:
        """The command that runs `argv` on it, in the folder /, as the real machine's account `user` where given."""
        account: list[str] = []
        if user is not None:
            entry = pwd.getpwnam(user)
            account = [f"--setgid={entry.pw_gid}", f"--setuid={entry.pw_uid}"]
        inside = [f"--target={self.pid}", "--net", "--mount", *account]
        return [needs("nsenter"), *inside, "--", *self._zone, *map(str, argv)]

    def run(self, *argv: str | Path, user: str | None = None, stdin: str = "") -> str:
        """Standard output of a command that ran on it."""
        return run(*self.enter(argv, user), stdin=stdin).stdout

    def add_address(self, address: str) -> None:
        self.run("ip", "address", "add", f"{address}/24", "dev", "net")

    def add_account(self, name: str, password: str = "", key: Path | None = None, shell: str = "/bin/bash") -> None:
        """An account on it alone, with a home folder, which accepts `key`, a private key file. Written by hand, since
        useradd stops at a lock that another process holds on the real machine's files."""
        self._accounts += 1
        number, hashed = str(_FIRST_UID + self._accounts), "*"
        if password:
            hashed = run(needs("openssl"), "passwd", "-6", "-stdin", stdin=password).stdout.strip()
        for file, line in (
            ("passwd", f"{name}:x:{number}:{number}::/home/{name}:{shell}"),
            ("group", f"{name}:x:{number}:"),
            ("shadow", f"{name}:{hashed}:20000:0:99999:7:::"),
        ):
            self.run("tee", "-a", f"/etc/{file}", stdin=f"{line}\n")
        self.run("install", "-d", "-o", name, "-g", name, f"/home/{name}")
        if key is not None:
            self.run("install", "-D", "-o", name, f"{key}.pub", f"/home/{name}/.ssh/authorized_keys")

    def call(self, work: Callable[[], T]) -> T:
        """What `work` returns; sockets that it opens, in its thread or one that this begins, are on it. Names and
        files are those of the real machine."""
        with ThreadPoolExecutor(1, initializer=self._join) as thread:
            return thread.submit(work).result()

    def close(self) -> None:
        self._holder.communicate(timeout=TIMEOUT_SECONDS)

    def _join(self) -> None:
        opened = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(opened, _NEW_NETWORK) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(opened)
