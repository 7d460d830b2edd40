"""What a host prints of file systems. Pure.

`/proc/self/mountinfo` says of a path its mount point, the file system on it, and whether two paths share a storage;
quota(1) says how much more an account may store, of which df knows nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from preflight.probe import Unreadable

_ESCAPED = re.compile(r"\\([0-7]{3})")
_MEMORY = {"tmpfs", "ramfs", "devtmpfs", "rootfs", "hugetlbfs"}
_LAYERED = {"overlay", "overlayfs", "aufs"}
_NETWORK = {
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "glusterfs", "lustre", "afs", "beegfs", "gpfs",
    "ncpfs", "coda", "davfs", "prl_fs", "vboxsf",
}  # fmt: skip


class StorageKind(StrEnum):
    """What keeps the bytes of a file system, as far as its type tells."""

    DISK = "a disk"
    MEMORY = "memory"
    """Gone after a restart."""
    LAYER = "a container's layer"
    """Gone with the container."""
    NETWORK = "the network"
    FUSE = "a program (FUSE)"
    """May be a disk or the network; only the program knows."""
    AUTOMOUNTER = "the automounter"
    """Nothing is mounted there yet."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    device: str
    """`major:minor`."""
    point: str
    read_only: bool
    """The mount, or the file system below it."""
    type: str
    """As the kernel calls it: `ext4`, `nfs4`, `fuse.sshfs`."""
    source: str

    @property
    def kind(self) -> StorageKind:
        if self.type in _MEMORY:
            return StorageKind.MEMORY
        if self.type in _LAYERED:
            return StorageKind.LAYER
        if self.type in _NETWORK:
            return StorageKind.NETWORK
        if self.type == "fuse" or self.type.startswith("fuse."):
            return StorageKind.FUSE
        return StorageKind.AUTOMOUNTER if self.type == "autofs" else StorageKind.DISK

    @property
    def storage(self) -> str:
        """Equal for two mounts that fill up together: the device, or the pool of a ZFS dataset."""
        return f"zfs {self.source.partition('/')[0]}" if self.type == "zfs" else self.device

    @property
    def label(self) -> str:
        return f"{self.point} ({self.type}, {self.source})"


def mount_of(path: str, device: str, lines: Iterable[str]) -> Mount | None:
    """The mount that `path` (absolute, without links) lies on; None when no line fits.

    `device`: `major:minor` by stat(2), empty when not known. It tells a mount from one that lies hidden below a later
    mount; where it fits none (btrfs shows another one), the longest mount point decides."""
    fitting = [mount for mount in map(_parsed, lines) if _holds(mount.point, path)]
    exact = [mount for mount in fitting if mount.device == device]
    # Of several mounts on one point, the last one is seen.
    return max(enumerate(exact or fitting), key=lambda each: (len(each[1].point), each[0]), default=(0, None))[1]


def device_name(number: int) -> str:
    """`major:minor` of a device number, as Linux packs it."""
    major = (number >> 8) & 0xFFF | (number >> 32) & ~0xFFF
    minor = number & 0xFF | (number >> 12) & ~0xFF
    return f"{major}:{minor & 0xFFFFFFFF}"


def _holds(point: str, path: str) -> bool:
    return point == "/" or path == point or path.startswith(f"{point}/")


def _parsed(line: str) -> Mount:
    before, dash, after = line.partition(" - ")
    fields, about = before.split(" "), after.split(" ")
    if not dash or len(fields) < 6 or len(about) < 3:
        raise Unreadable(f"no line of mountinfo: {line[:60]!r}")
    options = {*fields[5].split(","), *about[2].split(",")}
    return Mount(fields[2], _unescaped(fields[4]), "ro" in options, about[0], _unescaped(about[1]))


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)


_QUOTA_UNIT_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Quota:
    """The hard limit of an account, or of its group, on one file system."""

    source: str
    """The file system's device, as in mountinfo."""
    left_bytes: int | None
    """None without a limit of blocks."""
    left_files: int | None


def read_quotas(lines: Iterable[str]) -> tuple[Quota, ...]:
    """The limits in the output of `quota -w -p`; headings, and what is no row of figures, are left out.

    A row holds: file system, blocks of 1 KiB (`*` when beyond the limit), soft limit, hard limit, grace, and the same
    for files."""
    return tuple(quota for line in lines if (quota := _quota(line.split())) is not None)


def _quota(words: list[str]) -> Quota | None:
    figures = [word.rstrip("*") for word in words[1:]]
    if len(figures) != 8 or not all(word.isdecimal() and word.isascii() for word in figures):
        return None
    blocks, _, most_blocks, _, files, _, most_files, _ = map(int, figures)
    return Quota(
        words[0],
        max(0, most_blocks - blocks) * _QUOTA_UNIT_BYTES if most_blocks else None,
        max(0, most_files - files) if most_files else None,
    )
