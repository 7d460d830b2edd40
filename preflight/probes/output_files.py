"""Asks whether files can be written on a host, from permission bits and mount flags alone: nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from preflight.probe import Reply, Unreadable
from preflight.probes.fields import read_lines
from preflight.probes.shell import AsAccount, ShellProbe, filled, quoted

_SCRIPT = """\
exec </dev/null
printf 'account=%s\\n' "$(id -un)"
for f in @PATHS@; do
  d=${f%/*}; d=${d:-/}; s=writable
  if [ -d "$f" ]; then s=folder
  elif [ -e "$f" ]; then [ -w "$f" ] || s=denied
  elif [ ! -d "$d" ]; then s=absent
  elif [ ! -w "$d" ] || [ ! -x "$d" ]; then s=closed
  fi
  printf 'state=%s\\n' "$s"
done
exit 0
"""


class Writing(StrEnum):
    """What becomes of a file that is opened for writing."""

    WRITABLE = "writable"
    FOLDER = "folder"
    """A folder has that name."""
    DENIED = "denied"
    """The file is there and cannot be written."""
    ABSENT = "absent"
    """Its folder is not there, or cannot be seen."""
    CLOSED = "closed"
    """No file can be made in its folder."""


@dataclass(frozen=True, slots=True)
class OutputFiles:
    account: str
    """Who looked."""
    states: Mapping[str, Writing]
    """By path as asked."""


@dataclass(frozen=True, slots=True)
class _Told:
    account: str
    state: tuple[Writing, ...] = ()


@dataclass(frozen=True)
class OutputFilesProbe(ShellProbe[OutputFiles]):
    """Looks as `writer`, or as the login where sudo does not give it a shell of that account."""

    writer: AsAccount
    paths: tuple[str, ...]
    """Absolute."""

    def ask(self) -> str:
        return self.writer.or_login(filled(_SCRIPT, PATHS=" ".join(map(quoted, self.paths))))

    def stdin_secret(self) -> str:
        return self.writer.password

    def read(self, reply: Reply) -> OutputFiles:
        told = read_lines(_Told, reply)
        if len(told.state) != len(self.paths):
            raise Unreadable(f"{len(told.state)} answers about {len(self.paths)} files")
        return OutputFiles(told.account, dict(zip(self.paths, told.state, strict=True)))
