"""The OS account under which servers that are thrown away, and what belongs to them, run on this machine.

PostgreSQL refuses to run as root, and root may write everywhere, which would make every permission look fine. So root
starts them as an unprivileged account; anybody else runs them as themselves."""

import contextlib
import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preflight.rehearsal import ScratchError

READABLE = 0o022
"""The umask under which the account may read what is written for it, whatever the caller's own."""
_UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """`switched` where it is not the one that runs preflight."""

    name: str
    uid: int
    gid: int
    switched: bool

    @property
    def identity(self) -> dict[str, Any]:
        """Keyword arguments of `subprocess.Popen`."""
        return {"user": self.uid, "group": self.gid, "extra_groups": ()} if self.switched else {}

    def give(self, *paths: Path) -> None:
        """Makes the account the owner of `paths`."""
        if self.switched:
            for path in paths:
                os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_reach(self, path: Path) -> bool:
        """Whether the account can pass every folder above `path`, judged by the permission bits for others."""
        return not self.switched or all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


def site_account() -> Account:
    """The account to use. Raises ScratchError when root calls and the machine knows no other account."""
    if os.geteuid() != 0:
        try:
            return Account(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid(), switched=False)
        except KeyError:
            raise ScratchError(
                f"user id {os.geteuid()} has no entry in the account database, which PostgreSQL insists on"
            ) from None
    for name in _UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid, switched=True)
    raise ScratchError("root cannot run PostgreSQL, and this machine has neither an account `postgres` nor `nobody`")


def new_folder(account: Account) -> Path:
    """A new folder, readable by `account`; the caller removes it. Raises ScratchError when no folder for temporary
    files can be reached by the account."""
    for parent in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108 - mkdtemp makes it safe
        if parent.is_dir() and account.can_reach(parent / "x"):
            return _made(parent)
    raise ScratchError(f"no folder for temporary files that the account {account.name} can reach; set TMPDIR")


def new_memory_folder(least_bytes: int) -> Path | None:
    """A new folder on the memory file system for shared memory; None where there is none or too little room. A database
    that lies there starts faster, and on another device than what is written beside it."""
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes it safe
    has_room = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= least_bytes
    return _made(memory) if has_room else None


def _made(parent: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="preflight-", dir=parent)).resolve()
    folder.chmod(0o755)
    return folder
