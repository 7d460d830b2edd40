"""The exit codes, and the root of our exceptions. Trouble in the outside world is data (`NoReply`), no exception."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process ends with, the same in every report format."""

    GO = 0
    NO_GO = 1
    USAGE = 2
    """Wrong call or invalid plan."""
    HOLD = 3
    INTERNAL = 4
    INTERRUPTED = 130


class Interruption(BaseException):
    """By a signal; its words are the last that are printed. Not KeyboardInterrupt, for which click prints a line."""


class Overrun(BaseException):
    """Code of a check did not come to an end; no `except Exception` of its own keeps it going."""


CRASHES: tuple[type[BaseException], ...] = (Exception, SystemExit, GeneratorExit, Overrun)
"""What a check or plug-in may die of. `sys.exit(0)` in one must never end the program, least of all with the exit code
of a GO; KeyboardInterrupt alone is the user's."""


class PreflightError(Exception):
    """Something a person can mend; printed without a traceback."""


class RefusedError(PreflightError):
    """What the call names cannot be used, or must not be written over: exit code 2, as for a wrong call."""


@dataclass(frozen=True, slots=True)
class PlanProblem:
    """One thing that is wrong with a plan. Holds no value that could be a secret."""

    file: str
    """The plan's path as the user wrote it."""
    line: int | None
    """Counted from 1; None when it is about no line or the line was not found."""
    where: str
    """Dotted key path: `databases.orders.host`, `steps[2].undo` (elements count from 1); empty for the whole file."""
    message: str
    nearest: str = ""
    """The known name that was probably meant."""
    of: str = ""
    """The entries in which it was found, where what is written once (`[defaults]`, a range) stands for several."""

    @property
    def text(self) -> str:
        """All but its place in the file."""
        suggestion = f'; did you mean "{self.nearest}"?' if self.nearest else ""
        entries = f" (of {self.of})" if self.of else ""
        return ": ".join(part for part in (self.where, self.message) if part) + suggestion + entries

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.text}"


class PlanError(PreflightError):
    """A plan that cannot be used; carries everything that is wrong with it, file by file in the order of its lines.
    What is wrong in the same way with many entries is told once."""

    def __init__(self, problems: Iterable[PlanProblem]) -> None:
        from preflight.wording import listed  # not for --help

        found: dict[PlanProblem, dict[str, None]] = {}
        files: dict[str, int] = {}
        for problem in problems:
            files.setdefault(problem.file, len(files))
            found.setdefault(replace(problem, of=""), {})[problem.of] = None
        told = (replace(each, of=listed(filter(None, entries), 1)) for each, entries in found.items())
        self.errors = tuple(sorted(told, key=lambda each: (files[each.file], each.line or 0)))
        super().__init__("\n".join(map(str, self.errors)))
