"""What the test machine must offer, and the directories of a test run.

Everything a run leaves on the machine (directories, processes, mounts, accounts, sudo rules) carries the run's tag, so
that the next run can clear away what a killed one left behind, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import pytest

PREFIX = "preflight-site-"
MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 6 * 1024**3
TIMEOUT_SECONDS = 180.0
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PACKAGES = {
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sudo": "sudo",
    "visudo": "sudo",
    "useradd": "passwd",
    "userdel": "passwd",
    "chage": "passwd",
    "mount": "mount",
    "umount": "mount",
    "mkfs.ext4": "e2fsprogs",
    "mariadbd": "mariadb-server",
    "setfacl": "acl",
    "mariadb-install-db": "mariadb-server",
    "mariadb": "mariadb-client",
    "mariadb-dump": "mariadb-client",
    "kubectl": "kubernetes-client",
    "openssl": "openssl",
    "oathtool": "libpam-oath oathtool",
    "strace": "strace",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "pivot_root": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}


def needs(command: str) -> str:
    """The absolute path of `command`; a missing one fails the test, it never skips it."""
    found = shutil.which(command, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")
    if found is None:
        package = _PACKAGES.get(command, command)
        pytest.fail(f"these tests need `{command}`: install it, on Debian `apt-get install {package}`", pytrace=False)
    return str(Path(found).absolute())


def needs_root(purpose: str) -> None:
    """Fails unless root runs the tests; `purpose` completes `tests run as root, because they ...`."""
    if os.geteuid() != 0:
        pytest.fail(f"run these tests as root (in a container, say), because they {purpose}", pytrace=False)


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment for server processes and plain clients that holds nothing of the caller's."""
    return {"PATH": _SYSTEM_PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": "/nonexistent", **(extra or {})}


def run(
    *argv: str | Path,
    stdin: str = "",
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: str | Path = "/",
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end, as the OS account `user` where given; with `check`, a failure shows its output."""
    # Not `user=` of subprocess: with it Python copies the whole process for each start, which takes ten times as long.
    turned = () if user is None else (needs("setpriv"), f"--reuid={user}", f"--regid={user}", "--clear-groups", "--")
    done = subprocess.run(
        [str(part) for part in (*turned, *argv)],
        input=stdin,
        text=True,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        env=clean_environment(environment),
        cwd=cwd,
        check=False,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def free_port(address: str = "127.0.0.1") -> int:
    """A port nobody listens on at this moment; the caller must cope with losing it to somebody else."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as listener:
        listener.bind((address, 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def closed_port(address: str = "127.0.0.1") -> Iterator[int]:
    """A port that refuses connections: bound by us, so that nobody else can begin to listen on it."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as bound:
        bound.bind((address, 0))
        yield int(bound.getsockname()[1])


class Server:
    """A server process in the foreground whose log is read line by line, so that tests can wait for an event."""

    def __init__(self, argv: Sequence[str | Path], *, cwd: Path, user: str | None = None) -> None:
        self._process = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=clean_environment(),
            cwd=cwd,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else (),
        )
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), name="server-log", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        with self._changed:
            return "".join(self._lines)

    def wait_for_log(self, text: str, timeout_seconds: float = TIMEOUT_SECONDS, start: int = 0) -> bool:
        """Waits until the log holds `text` at or after its `start`th character; False when the server ended first.

        Raises AssertionError after the timeout."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._ended or text in "".join(self._lines)[start:], timeout=timeout_seconds
            ):
                raise AssertionError(f"no {text!r} in the server's log within {timeout_seconds} s:\n{self.log}")
            return text in "".join(self._lines)[start:]

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Asks with `number`, waits, and kills the whole process group if that was not enough."""
        self.send(number)
        try:
            self._process.wait(TIMEOUT_SECONDS / 3)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(TIMEOUT_SECONDS / 3)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def own_tag() -> str:
    """This run's tag: process id and start time, which together are never reused."""
    return f"{os.getpid()}-{_start_time(os.getpid())}"


def is_alive(tag: str) -> bool:
    """Whether the test run that chose `tag` still exists."""
    pid, _, started = tag.partition("-")
    return pid.isdigit() and _start_time(int(pid)) == started


def temporary() -> Path:
    """The folder for temporary files."""
    return Path(tempfile.gettempdir()).resolve()


def memory() -> Path:
    """A folder on a file system in memory, for what a disk would slow down; the folder for temporary files where there
    is none, or too little room for the clusters of the whole suite, which take up to half of what is asked for here."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > _MEMORY_BYTES
    return MEMORY if roomy else temporary()


@contextlib.contextmanager
def run_directory(parent: Path) -> Iterator[Path]:
    """A directory of the run: short, so that sockets fit, and open to other accounts; removed afterwards."""
    directory = parent / f"{PREFIX}{own_tag()}"
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        unmount_below(directory)
        shutil.rmtree(directory, ignore_errors=True)


def clear_leftovers() -> None:
    """Ends the servers, mounts and files of killed runs."""
    for directory in (*temporary().glob(f"{PREFIX}*"), *MEMORY.glob(f"{PREFIX}*")):
        if not is_alive(directory.name.removeprefix(PREFIX)) and directory.stat().st_uid == os.geteuid():
            _end_processes_of(directory)
            unmount_below(directory)
            shutil.rmtree(directory, ignore_errors=True)


def unmount_below(directory: Path) -> None:
    """Unmounts everything at or below `directory`, innermost first."""
    for point in sorted(_mount_points(), key=len, reverse=True):
        if f"{point}/".startswith(f"{directory}/"):
            run(needs("umount"), "--lazy", point, check=False)


def _mount_points() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4].replace("\\040", " ") for line in lines]


def _start_time(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


def command_lines() -> dict[int, str]:
    """What every process shows as its command line, by process id; one that ends meanwhile is left out."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def _end_processes_of(directory: Path) -> None:
    for pid, line in command_lines().items():
        if f"{directory}/" in line:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
