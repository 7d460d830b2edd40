"""Asks whether an account can start work on a host: enter the folder, find the program. Nothing is started."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from preflight.probe import Family, Reply
from preflight.probes.fields import read_lines
from preflight.probes.shell import AsAccount, ShellProbe, filled, quoted

_SCRIPT = """\
exec </dev/null
printf 'account=%s\\n' "$(id -un)"
f=@FOLDER@ p=@PROGRAM@ s=ready
if [ ! -d "$f" ]; then s=absent
elif ! cd -- "$f"; then s=closed
else case $p in
  '') ;;
  */*) if [ ! -f "$p" ]; then s=missing; elif [ ! -x "$p" ]; then s=denied; fi ;;
  *) command -v -- "$p" >/dev/null || s=missing ;;
  esac
fi 2>/dev/null
printf 'state=%s\\n' "$s"
exit 0
"""


class Start(StrEnum):
    """What stands in the way of starting a program in a folder."""

    READY = "ready"
    ABSENT = "absent"
    """The folder is not there, or cannot be seen."""
    CLOSED = "closed"
    """The folder cannot be entered."""
    MISSING = "missing"
    """The program is not there, or not on the account's PATH."""
    DENIED = "denied"
    """The program is there and cannot be executed."""


@dataclass(frozen=True, slots=True)
class WorkStart:
    account: str
    """Who looked."""
    state: Start


@dataclass(frozen=True)
class WorkStartProbe(ShellProbe[WorkStart]):
    """Looks as `starter`, or as the login where sudo does not give it a shell of that account."""

    family = Family.ACCESS
    starter: AsAccount
    folder: str
    program: str = ""
    """As it is called: a name, or a path that may be relative to the folder; empty for the folder alone."""

    def ask(self) -> str:
        return self.starter.or_login(filled(_SCRIPT, FOLDER=quoted(self.folder), PROGRAM=quoted(self.program)))

    def stdin_secret(self) -> str:
        return self.starter.password

    def read(self, reply: Reply) -> WorkStart:
        return read_lines(WorkStart, reply)
