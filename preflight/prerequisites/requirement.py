"""One thing to ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One thing to ask for, in words, and the lines that grant it."""

    owner: str
    """Id of the role that can grant it."""
    text: str
    lines: tuple[str, ...] = ()
    """Ready to be used: lines of sudoers, SQL statements, shell commands."""
    language: str = ""
    """Of the lines: `sudoers`, `sql`, `sh`, `pg_hba.conf`."""
    checks: tuple[str, ...] = ()
    """The checks that cannot pass without it."""
