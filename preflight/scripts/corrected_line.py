"""Run lines as they should be: what a finding says to write instead. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence

from preflight.scripts.psql_call import PsqlCall

_PSQL = re.compile(r"(?<![\w./'\"-])(?:/[\w./-]*/)?psql(?=\s|$)")
_TAIL = re.compile(r"\s*(?:(?:\|\||;)\s*(?:true|:|exit\s+0)\s*;?|&|;\s*exit)\s*$")


def good_line(role: str, database: str, scripts: Sequence[str], call: PsqlCall | None = None) -> str:
    """One call of psql that runs `scripts`; where it is called, and at which server, is taken from `call`."""
    where = [part for option, word in (("-h", "host"), ("-p", "port")) if call and call.says(word)
             for part in (option, call.says(word))]  # fmt: skip
    program = call.program if call else "psql"
    named = [part for name in scripts or ("SCRIPT",) for part in ("-f", name)]
    words = [program, "-X", "-w", "-v", "ON_ERROR_STOP=1", *where, "-U", role, "-d", database, *named]
    return " ".join(word if word == "SCRIPT" else shlex.quote(word) for word in words)


def with_option(line: str, option: str) -> str:
    """Every call of psql gets one more option."""
    return _PSQL.sub(lambda found: f"{found[0]} {option}", line)


def keeping_status(line: str, is_good: Callable[[str], bool]) -> str:
    """The line, changed as little as possible, so that a failure of psql ends it; empty where no change is known.

    `is_good` tries a changed line."""
    return next((changed for changed in _changes(line) if is_good(changed)), "")


def _changes(line: str) -> Iterator[str]:
    stripped = _TAIL.sub("", line)
    if stripped != line:
        yield stripped
    for option in ("-e", "-o pipefail", "-eo pipefail"):
        yield f"set {option}; {stripped}"
