"""The document of a verdict, its formats, and what the other commands print; `View` is what a reader asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `--help` complains with the words of this room, and loads no plan
    from preflight.report.comparison import Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What `gate --watch` knows besides the verdict of its last round."""

    at: datetime
    """When that round ended, UTC."""
    begun_at: datetime
    """When the first one began."""
    rounds: int
    every_seconds: float
    goes_on: bool
    """False for the last report: the page need not be read again."""
    steady: str = ""
    """For how long it has been GO, where that was asked."""
    refused: tuple[str, ...] = ()
    """Hosts and databases where an account was refused, which this watch does not try again by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a report is shown, and what is known of the run besides its verdict; a format takes what it needs of it."""

    verbose: bool = False
    """Passes and everything that the plan leaves unconfirmed, too."""
    short: bool = False
    """Five lines."""
    color: bool = False
    ascii: bool = False
    """Nothing beyond ASCII in what is drawn: the stream cannot carry it."""
    took_seconds: float | None = None
    """How long the run took; None when evidence was judged again."""
    difference: Difference | None = None
    """What changed since the run that a gate started from."""
    watch: Watch | None = None
    command: str = ""
    """The call that printed this, to be typed again."""


PLAIN = View()
