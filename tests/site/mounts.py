"""Small, full, read-only, dead and separate file systems, unmounted whatever happens."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import threading
from pathlib import Path

from tests.site.machine import clean_environment, needs, needs_root, run, unmount_below

_REQUEST, _REPLY, _INIT = struct.Struct("=IIQ"), struct.Struct("=IiQ"), struct.Struct("=IIIIHHI")
"""The heads of what the kernel asks and is answered, and what is said to its first request, FUSE_INIT (fuse(4))."""
_FUSE_INIT = 26
_MOST_BYTES = 128 * 1024


class Mounts:
    """Mounts below one directory."""

    def __init__(self, directory: Path) -> None:
        needs_root("mount file systems")
        self._directory = directory
        self._dead: dict[Path, threading.Thread] = {}
        directory.mkdir(parents=True, exist_ok=True)

    def tmpfs(self, name: str, *, size: str = "1m", inodes: int = 0, mode: int = 0o777) -> Path:
        """A memory file system of `size` (`512k`, `1m`) and at most `inodes` inodes; 0 for the kernel's default."""
        limit = f",nr_inodes={inodes}" if inodes else ""
        return self._mount(name, "-t", "tmpfs", "-o", f"size={size},mode={mode:o}{limit}", "preflight-test")

    def ext4(self, name: str, *, megabytes: int = 16, mode: int = 0o777) -> Path:
        """An ext4 file system in a file: a disk of its own, with the 5 % that only root may use."""
        image = self._directory / f"{name}.image"
        with image.open("wb") as file:
            file.truncate(megabytes * 1024 * 1024)
        run(needs("mkfs.ext4"), "-q", image)
        point = self._mount(name, "-o", "loop", str(image))
        point.chmod(mode)
        return point

    def read_only(self, name: str, source: Path) -> Path:
        """The directory `source` seen through a read-only mount."""
        point = self._mount(name, "--bind", str(source))
        run(needs("mount"), "-o", "remount,bind,ro", point)
        return point

    def overlay(self, name: str, disk: Path, *, mode: int = 0o1777) -> Path:
        """A layer as a container's, kept in folders on `disk`."""
        for folder in ("lower", "upper", "work"):
            (disk / folder).mkdir()
        (disk / "upper").chmod(mode)
        options = f"lowerdir={disk}/lower,upperdir={disk}/upper,workdir={disk}/work"
        return self._mount(name, "-t", "overlay", "-o", options, "preflight-test")

    def dead(self, name: str) -> Path:
        """A file system whose server is lost, as a hard NFS mount's: of FUSE, with a server that reads each request and
        answers none. Whoever asks it anything and is signalled then sleeps uninterruptibly (`D`): SIGKILL does not end
        it, and it ends when this is closed."""
        served = os.open("/dev/fuse", os.O_RDWR)
        point = self._directory / name
        point.mkdir()
        options = f"fd={served},rootmode=40000,user_id=0,group_id=0,allow_other"
        argv = [needs("mount"), "-i", "-t", "fuse", "-o", options, "dead", str(point)]
        subprocess.run(argv, check=True, pass_fds=[served], env=clean_environment())
        server = threading.Thread(target=_take_requests, args=(served,), name="dead-mount")
        server.start()
        self._dead[point] = server
        return point

    def remount_read_only(self, point: Path) -> None:
        run(needs("mount"), "-o", "remount,ro", point)

    def close(self) -> None:
        for point, server in self._dead.items():
            run(needs("umount"), "--force", "--lazy", point)  # whoever still waits gets an error
            server.join()
        self._dead.clear()
        unmount_below(self._directory)

    def _mount(self, name: str, *arguments: str) -> Path:
        point = self._directory / name
        point.mkdir()
        run(needs("mount"), *arguments, point)
        return point


def _take_requests(served: int) -> None:
    """Until the file system is unmounted."""
    with contextlib.suppress(OSError):
        while True:
            _, kind, number = _REQUEST.unpack_from(os.read(served, _MOST_BYTES))
            if kind == _FUSE_INIT:
                told = _INIT.pack(7, 31, 0, 0, 1, 1, 4096).ljust(64, b"\0")
                os.write(served, _REPLY.pack(_REPLY.size + len(told), 0, number) + told)
    os.close(served)
