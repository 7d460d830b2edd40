"""What is written down while a command line is followed (`preflight.scripts.shell_walk`). Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from preflight.scripts.psql_call import PsqlCall
from preflight.scripts.shell_expansion import Files
from preflight.scripts.shell_words import Unfollowed

_MOST_COMMANDS = 2000


@dataclass(frozen=True, slots=True)
class Ran:
    """One command that ran."""

    text: str
    """As written."""
    psql: PsqlCall | None = None
    """For a call of psql: with the words as the shell expanded them."""
    pipeline: int = 0
    """Commands of one pipeline run at the same time."""


@dataclass(frozen=True, slots=True)
class Output:
    """A file that the line writes: by `>`, `tee`, or an option of psql."""

    written: str
    """As written."""
    path: str
    """Absolute, with `UNKNOWN` for parts that the line does not tell; just that where it may be any path."""
    by_psql: bool
    """Opened by the account that psql runs as; else by whoever starts the line."""


@dataclass
class Record:
    """What all shells of one way have in common."""

    fails: int | None
    files: Files
    ran: list[Ran] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    pipelines: int = 0

    def add(self, text: str, psql: PsqlCall | None, pipeline: int) -> bool:
        """Whether this command succeeds."""
        if len(self.ran) >= _MOST_COMMANDS:
            raise Unfollowed("so many commands")
        self.ran.append(Ran(text, psql, pipeline))
        return len(self.ran) - 1 != self.fails


class Exit(Exception):
    """`exit`, or `set -e`."""

    def __init__(self, status: int) -> None:
        self.status = status


class Leave(Exception):
    """`break` or `continue`."""

    def __init__(self, loop: bool) -> None:
        self.loop = loop
