"""Where the files that psql scripts read lie: inside the sealed folder, or anywhere else. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from preflight.scripts.psql_script import Scan, scan_script
from preflight.scripts.run_line import psql_calls

_SHELL_CHARACTERS = re.compile(r"[$`*?\[~]")
RUN_LINE = "the run line"


@dataclass(frozen=True, slots=True)
class Input:
    """A file that a script, or the run line, makes psql read."""

    named_in: str
    """`030_app1.sql line 4`, or `the run line`."""
    written: str
    """`\\i sub/mid.sql`."""
    path: str
    """Relative to the folder; absolute or beginning with `~` when it lies outside."""
    executed: bool

    @property
    def outside(self) -> bool:
        return self.path.startswith(("/", "~"))


@dataclass(frozen=True, slots=True)
class OpenPlace:
    """A place whose effect no manifest can seal."""

    named_in: str
    written: str
    reason: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was found, in the order of run line and scripts."""

    inputs: list[Input]
    open_places: list[OpenPlace]


def find_inputs(folder: str, run: str, texts: Mapping[str, str]) -> Inputs:
    """What the scripts `texts` (by path relative to `folder`) and the run line read.

    psql takes `\\i` relative to the folder it was started in: `folder`, unless the run line changes it with `cd`;
    `\\ir` relative to the script that names it."""
    found = Inputs([], [])
    started_in = folder
    for call in psql_calls(run):
        started_in = posixpath.join(folder, call.folder)
        for file in call.files:
            _add_run_file(found, folder, started_in, file)
        for command in call.commands:
            _add(found, folder, scan_script(command), started_in, started_in)
    for name, text in texts.items():
        _add(found, folder, scan_script(text), started_in, posixpath.dirname(posixpath.join(folder, name)), name)
    return found


def _add_run_file(found: Inputs, folder: str, started_in: str, file: str) -> None:
    if _SHELL_CHARACTERS.search(file):
        found.open_places.append(OpenPlace(RUN_LINE, file, "leaves it to the shell which script is run"))
    elif file != "-":
        path = _below(folder, posixpath.join(started_in, file))
        found.inputs.append(Input(RUN_LINE, file, path, executed=True))


def _add(found: Inputs, folder: str, scan: Scan, started_in: str, own_folder: str, name: str = "") -> None:
    """What one script, or without a `name` one command of the run line, reads."""
    for include in scan.includes:
        base = own_folder if include.relative else started_in
        # psql puts the home directory of whoever runs it for the tilde.
        path = include.path if include.path.startswith("~") else _below(folder, posixpath.join(base, include.path))
        written = f"{include.command} {include.path}"
        found.inputs.append(Input(_place(name, include.line), written, path, include.executed))
    found.open_places.extend(OpenPlace(_place(name, place.line), place.text, place.reason) for place in scan.unsealable)


def _place(name: str, line: int) -> str:
    return f"{name} line {line}" if name else RUN_LINE


def _below(folder: str, path: str) -> str:
    """`path` relative to `folder`, or as it is when it does not lie below."""
    normal, top = posixpath.normpath(path), posixpath.normpath(folder)
    return normal.removeprefix(f"{top}/")
