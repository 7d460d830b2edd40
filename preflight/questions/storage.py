"""Questions about directories of a host: where they really lie, how much fits there, and who may write to them.

Everything is asked as the account that will do the work. Where sudo gives the login no shell of that account, the
same question is asked as the login; the answer says who looked, and its permission bits must do."""

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Self

from preflight.plan import BackupMethod
from preflight.plan.command_lines import backup_path
from preflight.plan.limits import Matches
from preflight.plan.work import PlannedBackup
from preflight.probe import Family, Reply, Unreadable
from preflight.questions.fields import Count, Mode, output_of, read_fields, read_lines, whole_number
from preflight.questions.shell import BOOT, MEMBERS, AccountProbe, AsAccount, BootId, Looked, filled, quoted
from preflight.record import fields_of

_ESCAPED = re.compile(r"\\([0-7]{3})")


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


_MEMORY = "tmpfs ramfs devtmpfs rootfs hugetlbfs"
_NETWORK = "nfs nfs4 cifs smb3 smbfs 9p virtiofs ceph glusterfs lustre afs beegfs gpfs ncpfs coda davfs prl_fs vboxsf"
_KINDS = {
    **dict.fromkeys(_MEMORY.split(), StorageKind.MEMORY),
    **dict.fromkeys(_NETWORK.split(), StorageKind.NETWORK),
    **dict.fromkeys(("overlay", "overlayfs", "aufs"), StorageKind.LAYER),
    "fuse": StorageKind.FUSE,
    "autofs": StorageKind.AUTOMOUNTER,
}


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
        return _KINDS.get(self.type.partition(".")[0], StorageKind.DISK)

    @property
    def storage(self) -> str:
        """Equal for two mounts that fill up together: the device, or the pool of a ZFS dataset."""
        return f"zfs {self.source.partition('/')[0]}" if self.type == "zfs" else self.device

    @property
    def label(self) -> str:
        return f"{self.point} ({self.type}, {self.source})"


def mount_of(path: str, device: str, lines: Iterable[str]) -> Mount | None:
    """The mount that `path` (absolute, without links) lies on; None when no line fits. `device`: `major:minor` by
    stat(2), empty when not known. It tells a mount from one that lies hidden below a later mount; where it fits none
    (btrfs shows another one), the longest mount point decides."""
    fitting = [mount for mount in map(_parsed, lines) if _lies_in(path, mount.point)]
    exact = [mount for mount in fitting if mount.device == device]
    # Of several mounts on one point, the last one is seen.
    return max(enumerate(exact or fitting), key=lambda each: (len(each[1].point), each[0]), default=(0, None))[1]


def device_name(number: int) -> str:
    """`major:minor` of a device number, as Linux packs it."""
    major = (number >> 8) & 0xFFF | (number >> 32) & ~0xFFF
    minor = number & 0xFF | (number >> 12) & ~0xFF
    return f"{major}:{minor & 0xFFFFFFFF}"


def _lies_in(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def _parsed(line: str) -> Mount:
    before, dash, after = line.partition(" - ")
    fields, about = before.split(" "), after.split(" ")
    if not dash or len(fields) < 6 or len(about) < 3:
        raise Unreadable(f"no line of mountinfo: {line[:60]!r}")
    point, source = (_ESCAPED.sub(lambda found: chr(int(found[1], 8)), text) for text in (fields[4], about[1]))
    return Mount(fields[2], point, "ro" in {*fields[5].split(","), *about[2].split(",")}, about[0], source)


@dataclass(frozen=True, slots=True)
class Quota:
    """What the hard limits of an account, or of its group, leave on one file system; None without such a limit."""

    source: str
    """The file system's device, as in mountinfo."""
    left_bytes: int | None
    left_files: int | None


PROOF_BYTES = 1024 * 1024
SPARE_INODES = 100
"""So many are to stay free beside those that are known to be needed."""
_BLOCK_BYTES = 512  # of `ulimit -f` in sh; bash in its own mode counts in 1024
_SECONDS = 20.0
_UNSUPPORTED = frozenset({"EOPNOTSUPP", "EISDIR", "EINVAL", "ENOSYS"})
_PLACE = """\
place() {
  p=$1; while [ ! -d "$p" ]; do p=${p%/*}; p=${p:-/}; done
  real=$(cd -- "$p" 2>/dev/null && pwd -P) || real=$(readlink -f -- "$p")
  case $real in '') at= ;; *) at=${real%/}${1#"${p%/}"}; at=${at:-/} ;; esac
  printf 'path=%s\\nreached=%s\\nreal=%s\\n' "$1" "$p" "$at"
  if [ "$p" = "$1" ] || [ ! -x "$p" ]; then echo absent=no; else echo absent=yes; fi
  stat -L -c 'mode=%a
owner=%U
device=%d' -- "$p"
  stat -f -c '%a %S %b %d %c' -- "$p" | while read -r free unit all left most; do
    [ "$most" != 0 ] || left= # btrfs has no fixed number of inodes and shows 0
    printf 'free_bytes=%s\\nsize_bytes=%s\\nfree_inodes=%s\\n' $((free * unit)) $((all * unit)) "$left"
  done
  AT="${at%/}/" awk '
    { m = $5; gsub(/\\\\040/, " ", m); gsub(/\\\\011/, "\\t", m); gsub(/\\\\134/, "\\\\", m)
      if (m != "/") m = m "/"
      if (index(ENVIRON["AT"], m) == 1) print "mount=" $0 }' /proc/self/mountinfo
  echo
}
"""
_DIRECTORY = """\
d=@DIRECTORY@
@PLACE@told=$(
place "$d"
if [ -d "$d" ]; then echo kind=directory; elif [ -h "$d" ]; then echo kind=dangling
elif [ -e "$d" ]; then echo kind=other; else echo kind=missing; fi
t=@TARGET@
if [ -e "$t" ] && [ ! -f "$t" ] && [ ! -d "$t" ]; then w=other
elif [ -h "$t" ] || { [ -f "$t" ] && [ "$(stat -c %h -- "$t")" != 1 ]; }; then w=another
elif [ -d "$t" ]; then
  if [ -z "$(ls -A -- "$t" 2>&1)" ]; then w=empty-folder; elif [ -r "$t" ]; then w=full-folder; else w=closed-folder; fi
elif [ -e "$t" ]; then if [ -w "$t" ]; then w=file; else w=closed-file; fi
else w=nothing; fi
m=$t; [ ! -e "$t/toc.dat" ] || m=$t/toc.dat # pg_dump writes a directory's table of contents last
printf 'target=%s\\ntarget_changed_at=%s\\n' "$w" "$(stat -L -c %Y -- "$m" 2>/dev/null)"
if [ -x "$p" ]; then echo passable=yes; else echo passable=no; fi
@MEMBERS@printf 'members=%s\\n' "$(members "$(stat -L -c %g -- "$p")")"
ran_as=$(id -u); set -- @ACCOUNT@
if [ $# -eq 0 ]; then uid=$ran_as; else uid=$(id -u "$1"); fi
printf 'ran_as=%s\\naccount=%s\\ngroups=%s\\n' "$ran_as" "$uid" "$(id -G "$@")"
if [ -w "$d" ] && [ -x "$d" ]; then echo access=yes; else echo access=no; fi
proof=; [ ! -d "$d" ] || proof=$(python3 -I -S -c '@PROOF@' "$d" 2>/dev/null)
printf 'proof=%s\\n' "${proof:-none}"
printf 'fsize=%s\\ncpu=%s\\n' "$(ulimit -f)" "$(ulimit -t)"
@BOOT@if command -v quota >/dev/null 2>&1; then
  t=; ! timeout 3 true 2>/dev/null || t='timeout 3'
  # Rows of a file system, blocks of 1 KiB (* when beyond), soft limit, hard limit, grace, and the same for files.
  for q in -u -g; do $t quota "$q" -w -p 2>/dev/null | head -n 50; done | awk '
    function left(used, most) { return most > 0 ? sprintf("%.0f", most > used ? most - used : 0) : "?" }
    { gsub(/[*]/, "") }
    NF == 9 && /^ *[^ ]+( +[0-9]+)+ *$/ { print "quotas=" $1, left($2 * 1024, $4 * 1024), left($6, $8) }'
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
printf '%s\\n' "$told\""""
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
@PLACE@told=$(
@CALLS@
echo end=yes)
printf '%s\\n' "$told\""""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    path: str
    reached: str
    """The path itself, or the deepest directory on the way to it that could be seen; the rest is known by name only."""
    real: Annotated[str, Matches("/.*", "an absolute path")]
    """Without links, as far as it was reached."""
    mode: Mode
    """Permission bits of what was reached, like the owner."""
    owner: str
    mount: Mount | None
    free_bytes: int
    """For an account without privilege, on the file system of what was reached."""
    size_bytes: int
    free_inodes: int | None
    """None where the file system does not limit them."""
    absent: bool = False
    """What was reached could be looked into, and there is no such directory in it."""

    @property
    def label(self) -> str:
        """Of the file system, where it is known."""
        return self.mount.label if self.mount else self.path

    @property
    def seen(self) -> bool:
        return self.path == self.reached

    @property
    def real_reached(self) -> str:
        """What was reached, without links."""
        return self.real.removesuffix(self.path.removeprefix(self.reached.rstrip("/"))) or "/"

    @property
    def measured(self) -> bool:
        """The free room is that of the path's own file system."""
        return self.seen or (
            not self.absent and self.mount is not None and _lies_in(self.real_reached, self.mount.point)
        )

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
    ANOTHER = "another"
    """A link, or a file that has a further name: what is written there is written over another one."""
    OTHER = "other"
    """A pipe, a device or a socket, or a link to one: no backup is kept there."""


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
class Directory(Looked):
    """A directory, and what the account can do there."""

    place: Place
    kind: DirectoryKind
    passable: bool
    """Whoever looked may enter what was reached."""
    groups: frozenset[int]
    access: bool
    """By `test -w` and `test -x`, for whoever looked."""
    proof: Annotated[str, Matches("written|none|E[A-Z0-9]*", "what came of a file without a name")]
    """`written`, `none`, or why the kernel refused, like `EACCES`."""
    fsize: Annotated[str, Matches(r"[0-9]{1,18}|unlimited", "a limit of ulimit -f")]
    """Largest file whoever looked may write, in blocks of 512 bytes."""
    cpu: Annotated[str, Matches(r"[0-9]{1,18}|unlimited", "a limit of ulimit -t")]
    """Seconds of processor time after which a program of whoever looked is killed (SIGXCPU)."""
    chain: tuple[Link, ...]
    """The directory first, `/` last."""
    members: str
    """Of the directory's group."""
    quotas: tuple[Quota, ...] = ()
    boot: BootId = ""
    target: Target = Target.NOTHING
    """What is there already under the name of what will be written."""
    target_changed_at: datetime | None = None
    """UTC; None where nothing is there, or whoever looked cannot see it."""

    @property
    def mount_point(self) -> str:
        """Of its file system; where that is not known, what was reached."""
        return self.place.mount.point if self.place.mount else self.place.real

    @property
    def file_limit_bytes(self) -> int | None:
        return None if self.fsize == "unlimited" else int(self.fsize) * _BLOCK_BYTES

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
        if self.account == 0:
            return None
        for link in reversed(self.chain):
            wanted = 0o3 if link is self.chain[0] else 0o1
            # The owner's bits hold, the group's or everybody's, never a mixture.
            shift = 6 if link.uid == self.account else 3 if link.gid in self.groups else 0
            if link.mode >> shift & wanted != wanted:
                return link
        return None


@dataclass(frozen=True)
class DirectoryProbe(AccountProbe[Directory]):
    """One directory, as the account that will write there."""

    family = Family.SPACE
    timeout_seconds: ClassVar[float] = _SECONDS
    directory: str
    written: str = ""
    """Path of what will be written in it; empty where that is not known."""

    @classmethod
    def of(cls, planned: PlannedBackup) -> Self:
        backup = planned.backup
        written = backup_path(planned.plan, backup) if planned.connects else ""
        if backup.method.has_repository:  # what it must hold
            inner = "backup" if backup.method is BackupMethod.PGBACKREST else ""
            written = posixpath.join(backup.directory, inner, backup.known_as)
        return cls(planned.host.id, AsAccount.of(planned), backup.directory or "/", written)

    def ask(self) -> str:
        words = {"DIRECTORY": quoted(self.directory), "TARGET": quoted(self.written), "ACCOUNT": self.account.word}
        proof = filled(_PROOF, BYTES=str(PROOF_BYTES))
        return self.account.or_login(filled(_DIRECTORY, PLACE=_PLACE, MEMBERS=MEMBERS, BOOT=BOOT, PROOF=proof, **words))

    def read(self, reply: Reply) -> Directory:
        fields = read_fields(output_of(reply))
        place = _read_place({name: fields.pop(name) for name in (*fields_of(Place), "device") if name in fields})
        found = read_lines(Directory, fields, place=place)
        # With one directory missing on the way, the bits of the others prove nothing.
        path = PurePosixPath(place.real_reached)
        if [link.path for link in found.chain] != [str(path), *map(str, path.parents)]:
            raise Unreadable("the directories on the way are not complete")
        return found


@dataclass(frozen=True)
class PlacesProbe(AccountProbe[Mapping[str, Place]]):
    """Where several directories lie, by path; what cannot be seen is told by its path."""

    family = Family.SPACE
    timeout_seconds: ClassVar[float] = _SECONDS
    paths: tuple[str, ...]

    def ask(self) -> str:
        calls = "\n".join(f"place {quoted(path)}" for path in self.paths)
        return self.account.or_login(filled(_PLACES, PLACE=_PLACE, CALLS=calls))

    def read(self, reply: Reply) -> Mapping[str, Place]:
        *told, end = output_of(reply).split("\n\n")
        places = [_read_place(read_fields(each, part=True)) for each in told]
        if end.strip() != "end=yes" or tuple(place.path for place in places) != self.paths:
            raise Unreadable("answers for other paths than asked")
        return {place.path: place for place in places}


def _read_place(fields: dict[str, list[str]]) -> Place:
    """`fields`: those of `Place` with the device of what was reached, and the lines of mountinfo that may be meant."""
    device, lines = fields.pop("device", []), fields.pop("mount", [])
    if len(device) != 1:
        raise Unreadable("no device")
    place = read_lines(Place, fields, mount=None)
    # The rest of the path may lie on another device.
    name = device_name(whole_number(device[0])) if place.seen else ""
    return replace(place, mount=mount_of(place.real, name, lines))
