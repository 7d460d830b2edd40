"""Tries a run line on paper, one command failing at a time: which scripts it runs, and whether the failure of one
ends the line with a status that somebody notices. Pure; nothing is ever run from here."""

from __future__ import annotations

from dataclasses import dataclass

from preflight.scripts.psql_call import PsqlCall
from preflight.scripts.shell_expansion import Files
from preflight.scripts.shell_line import parse_line
from preflight.scripts.shell_record import Exit, Leave, Output, Ran, Record
from preflight.scripts.shell_walk import Shell
from preflight.scripts.shell_words import Unfollowed


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one way through the line."""

    status: int
    ran: tuple[Ran, ...]
    outputs: tuple[Output, ...] = ()

    @property
    def calls(self) -> tuple[PsqlCall, ...]:
        return tuple(each.psql for each in self.ran if each.psql)


class LineTrial:
    """The ways through one run line. Raises ShellSyntaxError or Unfollowed for a line that has none."""

    def __init__(self, line: str, files: Files) -> None:
        """`files`: those of the folder in which the line is started."""
        self._line, self._files = parse_line(line), files
        self.smooth = self._follow(None)
        """Nothing fails."""

    def failing(self, number: int) -> Trial:
        """The command that ran as number `number` of the smooth way fails, and everything before it does not."""
        return self._follow(number)

    def _follow(self, fails: int | None) -> Trial:
        shell = Shell(Record(fails, self._files), self._files.folder)
        try:
            shell.run(self._line, None)
        except Exit as end:
            shell.status = end.status
        except Leave:
            raise Unfollowed("`break` outside of a loop") from None
        return Trial(shell.status, tuple(shell.record.ran), tuple(shell.record.outputs))
