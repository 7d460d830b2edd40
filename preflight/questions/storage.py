"""Questions about directories of a host: where they really lie, how much fits there, and who may write to them.

Everything is asked as the account that will do the work. Where sudo gives the login no shell of that account, the
same question is asked as the login; the answer says who looked, and its permission bits must do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, ClassVar

from preflight.plan.command_lines import backup_path
from preflight.plan.limits import Matches
from preflight.plan.work import PlannedBackup
from preflight.probe import Family, Reply, Unreadable
from preflight.questions.fields import Count, End, Mode, output_of, read_fields, read_lines, whole_number
from preflight.questions.shell import BOOT, AccountProbe, AsAccount, BootId, filled, quoted

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


PROOF_BYTES = 1024 * 1024
_BLOCK_BYTES = 512  # of `ulimit -f` in sh; bash in its own mode counts in 1024
_SECONDS = 20.0
_UNSUPPORTED = frozenset({"EOPNOTSUPP", "EISDIR", "EINVAL", "ENOSYS"})

_PLACE = """\
place() {
  p=$2; while [ ! -d "$p" ]; do p=${p%/*}; p=${p:-/}; done
  real=$(cd -- "$p" 2>/dev/null && pwd -P) || real=$(readlink -f -- "$p")
  printf "$1path=%s\\n$1reached=%s\\n$1real=%s\\n" "$2" "$p" "$real"
  printf "$1stat=%s\\n" "$(stat -L -c '%a %u %g %d %U' -- "$p")"
  printf "$1room=%s\\n" "$(stat -f -c '%a %S %b %d %c' -- "$p")"
  AT="${real%/}${2#"${p%/}"}/" awk -v name="$1mount=" '
    { m = $5; gsub(/\\\\040/, " ", m); gsub(/\\\\011/, "\\t", m); gsub(/\\\\134/, "\\\\", m)
      if (m != "/") m = m "/"
      if (index(ENVIRON["AT"], m) == 1) print name $0 }' /proc/self/mountinfo
}
"""
_DIRECTORY = """\
exec </dev/null
LC_ALL=C; export LC_ALL
d=@DIRECTORY@
@PLACE@told=$(
place "" "$d"
if [ -d "$d" ]; then echo kind=directory; elif [ -h "$d" ]; then echo kind=dangling
elif [ -e "$d" ]; then echo kind=other; else echo kind=missing; fi
t=@TARGET@
if [ -z "$t" ]; then w=nothing
elif [ -d "$t" ]; then
  if [ -z "$(ls -A -- "$t" 2>&1)" ]; then w=empty-folder; elif [ -r "$t" ]; then w=full-folder; else w=closed-folder; fi
elif [ -e "$t" ] || [ -h "$t" ]; then if [ -w "$t" ]; then w=file; else w=closed-file; fi
else w=nothing; fi
m=$t; [ ! -e "$t/toc.dat" ] || m=$t/toc.dat # pg_dump writes a directory's table of contents last
printf 'target=%s\\ntarget_changed_at=%s\\n' "$w" "$(stat -L -c %Y -- "$m" 2>/dev/null)"
if [ -x "$p" ]; then echo passable=yes; else echo passable=no; fi
ran_as=$(id -u); set -- @ACCOUNT@
if [ $# -eq 0 ]; then uid=$ran_as; else uid=$(id -u "$1"); fi
printf 'ran_as=%s\\naccount=%s\\ngroups=%s\\n' "$ran_as" "$uid" "$(id -G "$@")"
if [ -w "$d" ] && [ -x "$d" ]; then echo access=yes; else echo access=no; fi
proof=; [ ! -d "$d" ] || proof=$(python3 -I -S -c '@PROOF@' "$d" 2>/dev/null)
printf 'proof=%s\\n' "${proof:-none}"
printf 'fsize=%s\\n' "$(ulimit -f)"
@BOOT@if command -v quota >/dev/null 2>&1; then
  t=; ! timeout 3 true 2>/dev/null || t='timeout 3'
  for q in -u -g; do $t quota "$q" -w -p 2>/dev/null | head -n 50 | sed 's/^/quota=/'; done
fi
c=$real; set -- "$c"
while [ "$c" != / ]; do c=${c%/*}; c=${c:-/}; set -- "$@" "$c"; done
bits=$(stat -c '%a %u %g %n' -- "$@")
set -f; IFS='
'
set -- $(ls -ldr -- "$@") # in the same order: the name of each begins with that of the next
for each in $bits; do
  case $1 in ??????????+*) acl=+ ;; *) acl=- ;; esac # a plus sign marks an access control list
  printf 'chain=%s %s /%s\\n' "${each%% /*}" "$acl" "${each#* /}"; shift
done
echo end=yes)
printf '%s\\n' "$told"
exit 0"""
# O_TMPFILE makes a file without a name: nothing is left behind, not even if the power fails.
# `-S` and `posix` instead of `os`: half of Python's start is importing what is not needed here.
_PROOF = """\
import errno, posix, sys
try:
    posix.posix_fallocate(posix.open(sys.argv[1], posix.O_TMPFILE | posix.O_RDWR, 0o600), 0, @BYTES@)
    print("written")
except OSError as error:
    print(errno.errorcode.get(error.errno, "E"))
except AttributeError:
    pass
"""
_PLACES = """\
exec </dev/null
LC_ALL=C; export LC_ALL
@PLACE@told=$(
@CALLS@
echo end=yes)
printf '%s\\n' "$told"
exit 0"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a path lies."""

    path: str
    """As asked."""
    reached: str
    """The path itself, or the deepest directory on the way to it that could be seen; the rest is known by name only."""
    real: str
    """Without links, as far as it was reached."""
    mode: int
    """Permission bits of what was reached, like the owner."""
    uid: int
    owner: str
    mount: Mount | None
    free_bytes: int
    """For an account without privilege, on the file system of what was reached."""
    size_bytes: int
    free_inodes: int | None
    """None where the file system does not limit them."""

    @property
    def seen(self) -> bool:
        return self.path == self.reached

    @property
    def measured(self) -> bool:
        """The free room is that of the path's own file system."""
        reached = self.real.removesuffix(self.path.removeprefix(self.reached.rstrip("/")))
        return self.seen or (self.mount is not None and f"{reached}/".startswith(f"{self.mount.point.rstrip('/')}/"))

    @property
    def storage(self) -> str:
        """Equal for places that fill up together; empty when not known."""
        return self.mount.storage if self.mount else ""


class DirectoryKind(StrEnum):
    DIRECTORY = "directory"
    DANGLING = "dangling"
    """A symbolic link to nothing."""
    OTHER = "other"
    MISSING = "missing"


class Target(StrEnum):
    """What has the name under which something will be written."""

    NOTHING = "nothing"
    FILE = "file"
    CLOSED_FILE = "closed-file"
    """Whoever looked may not write it."""
    EMPTY_FOLDER = "empty-folder"
    FULL_FOLDER = "full-folder"
    CLOSED_FOLDER = "closed-folder"
    """Whoever looked may not read it."""


@dataclass(frozen=True, slots=True)
class Link:
    """One directory on the way to another, itself included."""

    words: ClassVar = ("mode", "uid", "gid", "has_acl", "path")

    path: str
    mode: Mode
    uid: Count
    gid: Count
    has_acl: bool
    """Its bits are not the whole truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A directory, and what the account can do there."""

    place: Place
    kind: DirectoryKind
    passable: bool
    """Whoever looked may enter what was reached."""
    ran_as: int
    """User id of whoever looked."""
    uid: int
    """User id of the account; -1 when the host does not know it."""
    groups: frozenset[int]
    access: bool
    """By `test -w` and `test -x`, for whoever looked."""
    proof: str
    """`written`, `none`, or why the kernel refused, like `EACCES`."""
    file_limit_bytes: int | None
    """Largest file whoever looked may write (`ulimit -f`)."""
    chain: tuple[Link, ...]
    """The directory first, `/` last."""
    quotas: tuple[Quota, ...] = ()
    boot: str = ""
    """Boot id of the machine; empty where it shows none."""
    target: Target = Target.NOTHING
    """What is there already under the name of what will be written."""
    target_changed_at: datetime | None = None
    """UTC; None where nothing is there, or whoever looked cannot see it."""

    @property
    def as_account(self) -> bool:
        """The account itself looked."""
        return self.ran_as == self.uid

    @property
    def proved(self) -> bool:
        return self.as_account and self.proof == "written"

    @property
    def refused(self) -> str:
        """Why the kernel refused the account to write; empty when it did not, or could not be asked."""
        asked = self.as_account and self.proof not in ("written", "none") and self.proof not in _UNSUPPORTED
        return self.proof if asked else ""

    def lacking(self) -> Link | None:
        """The first directory whose bits keep the account from writing; None when they do not."""
        if self.uid == 0:
            return None
        for number, link in enumerate(reversed(self.chain), start=1):
            wanted = 0o3 if number == len(self.chain) else 0o1
            if self._bits(link) & wanted != wanted:
                return link
        return None

    def _bits(self, link: Link) -> int:
        """The three bits that hold for the account: the owner's, the group's or everybody's, never a mixture."""
        if self.uid == link.uid:
            return link.mode >> 6 & 7
        return (link.mode >> 3 if link.gid in self.groups else link.mode) & 7


@dataclass(frozen=True, slots=True)
class _Stat:
    mode: Mode
    uid: int
    gid: int
    device: int
    owner: str


@dataclass(frozen=True, slots=True)
class _Room:
    """In units of `unit_bytes`."""

    free: int
    unit_bytes: int
    blocks: int
    free_inodes: int
    inodes: int


@dataclass(frozen=True, kw_only=True)
class _PlaceTold:
    path: str
    reached: str
    real: str
    stat: _Stat
    room: _Room
    mount: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _DirectoryTold(_PlaceTold):
    kind: DirectoryKind
    target: Target
    target_changed_at: datetime | None
    passable: bool
    ran_as: int
    account: int | None
    groups: str
    access: bool
    proof: Annotated[str, Matches("written|none|E[A-Z0-9]*", "what came of a file without a name")]
    fsize: str
    boot: BootId
    end: End
    chain: tuple[Link, ...] = ()
    quota: tuple[str, ...] = ()


@dataclass(frozen=True)
class DirectoryProbe(AccountProbe[Directory]):
    """One directory, as the account that will write there."""

    family = Family.SPACE
    timeout_seconds: ClassVar[float] = _SECONDS

    directory: str
    written: str = ""
    """Path of what will be written in it; empty where that is not known."""

    @classmethod
    def of(cls, planned: PlannedBackup) -> DirectoryProbe:
        """The directory of a backup, and what the backup writes there."""
        backup = planned.backup
        written = backup_path(planned.plan, backup) if planned.connects else ""
        return cls(planned.host.id, AsAccount.of(planned), backup.directory, written)

    def ask(self) -> str:
        script = filled(
            _DIRECTORY,
            DIRECTORY=quoted(self.directory),
            TARGET=quoted(self.written),
            PLACE=_PLACE,
            BOOT=BOOT,
            ACCOUNT=self.account.word,
            PROOF=_PROOF.replace("@BYTES@", str(PROOF_BYTES)),
        )
        return self.account.or_login(script)

    def read(self, reply: Reply) -> Directory:
        told = read_lines(_DirectoryTold, reply)
        return Directory(
            place=_place(told),
            kind=told.kind,
            target=told.target,
            target_changed_at=told.target_changed_at,
            passable=told.passable,
            ran_as=told.ran_as,
            uid=-1 if told.account is None else told.account,
            groups=frozenset(map(whole_number, told.groups.split())),
            access=told.access,
            proof=told.proof,
            file_limit_bytes=None if told.fsize == "unlimited" else whole_number(told.fsize) * _BLOCK_BYTES,
            chain=_complete(told.chain, told.real),
            quotas=read_quotas(told.quota),
            boot=told.boot,
        )


@dataclass(frozen=True)
class PlacesProbe(AccountProbe[Mapping[str, Place]]):
    """Where several directories lie, by path; what cannot be seen is told by its path."""

    family = Family.SPACE
    timeout_seconds: ClassVar[float] = _SECONDS

    paths: tuple[str, ...]

    def ask(self) -> str:
        calls = "\n".join(f"place p{number}_ {quoted(path)}" for number, path in enumerate(self.paths))
        return self.account.or_login(filled(_PLACES, PLACE=_PLACE, CALLS=calls))

    def read(self, reply: Reply) -> Mapping[str, Place]:
        fields = read_fields(output_of(reply))
        if fields.pop("end", []) != [End.YES]:
            raise Unreadable("the reply has no end")
        by_place: dict[str, dict[str, list[str]]] = {f"p{number}": {} for number in range(len(self.paths))}
        for name, values in fields.items():
            place, _, field = name.partition("_")
            by_place.setdefault(place, {})[field] = values
        places = [_place(read_lines(_PlaceTold, told)) for told in by_place.values()]
        if tuple(place.path for place in places) != self.paths:
            raise Unreadable("answers for other paths than asked")
        return {place.path: place for place in places}


def _place(told: _PlaceTold) -> Place:
    rest = told.path.removeprefix(told.reached.rstrip("/"))
    real = told.real.rstrip("/") + rest or "/"
    if not real.startswith("/"):
        raise Unreadable(f"no way to {told.reached[:60]!r}")
    # What was reached lies on the device; the rest of the path may lie on another one.
    device = "" if rest else device_name(told.stat.device)
    room = told.room
    return Place(
        path=told.path,
        reached=told.reached,
        real=real,
        mode=told.stat.mode,
        uid=told.stat.uid,
        owner=told.stat.owner,
        mount=mount_of(real, device, told.mount),
        free_bytes=room.free * room.unit_bytes,
        size_bytes=room.blocks * room.unit_bytes,
        free_inodes=room.free_inodes if room.inodes else None,  # btrfs has no fixed number and shows 0
    )


def _complete(chain: tuple[Link, ...], real: str) -> tuple[Link, ...]:
    """Every directory from `real` up to the root; with one missing, the bits of the others prove nothing."""
    path = PurePosixPath(real)
    if [link.path for link in chain] != [str(path), *map(str, path.parents)]:
        raise Unreadable("the directories on the way are not complete")
    return chain
