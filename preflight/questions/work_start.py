"""Asks whether an account can start work on a host: enter the folder, find the program, write the log. It looks at
permission bits and mount flags alone: nothing is started or written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from preflight.probe import Family, Reply
from preflight.questions.fields import read_lines
from preflight.questions.shell import AccountProbe, filled, quoted

_SCRIPT = """\
printf 'account=%s\\n' "$(id -un)"
f=@FOLDER@ p=@PROGRAM@ l=@LOG@ s=ready
r=$f; while [ ! -d "$r" ]; do r=${r%/*}; r=${r:-/}; done
if [ ! -x "$r" ]; then s=closed
elif [ "$r" != "$f" ]; then s=absent
elif ! cd -- "$f"; then s=closed
else
  case $p in
  '') ;;
  */*) if [ ! -f "$p" ]; then s=missing; elif [ ! -x "$p" ]; then s=denied; fi ;;
  *) command -v -- "$p" >/dev/null || s=missing ;;
  esac
  d=${l%/*}; d=${d:-/}
  if [ -z "$l" ]; then :
  elif [ -d "$l" ]; then s=log-is-folder
  elif [ -e "$l" ]; then [ -w "$l" ] || s=log-denied
  elif [ ! -d "$d" ]; then s=log-absent
  elif [ ! -w "$d" ] || [ ! -x "$d" ]; then s=log-closed
  fi
fi 2>/dev/null
printf 'state=%s\\nreached=%s\\n' "$s" "$r\""""


class Start(StrEnum):
    """What stands in the way of starting a program in a folder."""

    READY = "ready"
    ABSENT = "absent"
    """The folder is not there."""
    CLOSED = "closed"
    """The folder, or one on the way to it, cannot be entered."""
    MISSING = "missing"
    """The program is not there, or not on the account's PATH."""
    DENIED = "denied"
    """The program is there and cannot be executed."""
    LOG_IS_FOLDER = "log-is-folder"
    LOG_DENIED = "log-denied"
    """The log is there and cannot be written."""
    LOG_ABSENT = "log-absent"
    """The log's folder is not there, or cannot be seen."""
    LOG_CLOSED = "log-closed"
    """No file can be made in the log's folder."""


@dataclass(frozen=True, slots=True)
class WorkStart:
    account: str
    """Who looked."""
    state: Start
    reached: str = "/"
    """The folder, or the deepest one on the way to it that is seen."""


@dataclass(frozen=True)
class WorkStartProbe(AccountProbe[WorkStart]):
    """Looks as `account`, or as the login where sudo does not give it a shell of that account."""

    family = Family.ACCESS
    folder: str = "/"
    program: str = ""
    """As it is called: a name, or a path that may be relative to the folder; empty for none."""
    log: str = ""
    """Absolute path of a file that will be written; empty for none."""

    def ask(self) -> str:
        words = {"FOLDER": self.folder, "PROGRAM": self.program, "LOG": self.log}
        return self.account.or_login(filled(_SCRIPT, **{name: quoted(word) for name, word in words.items()}))

    def read(self, reply: Reply) -> WorkStart:
        return read_lines(WorkStart, reply)
