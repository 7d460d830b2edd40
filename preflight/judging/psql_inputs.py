"""Where the files that psql scripts read lie: inside the sealed folder, or anywhere else. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from preflight.judging.psql_script import scan_script


@dataclass(frozen=True, slots=True)
class Input:
    """A file that a script makes psql read."""

    named_in: str
    """`030_app1.sql line 4`."""
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
    """What was found, in the order of the scripts."""

    inputs: list[Input]
    open_places: list[OpenPlace]


def find_inputs(folder: str, texts: Mapping[str, str]) -> Inputs:
    """What the scripts `texts` (by path relative to `folder`) read.

    psql takes `\\i` relative to the folder it was started in, which is `folder`; `\\ir` relative to the script that
    names it."""
    found = Inputs([], [])
    for name, text in texts.items():
        scan, own_folder = scan_script(text), posixpath.dirname(posixpath.join(folder, name))
        for include in scan.includes:
            base = own_folder if include.relative else folder
            # psql puts the home directory of whoever runs it for the tilde.
            path = include.path if include.path.startswith("~") else below(folder, posixpath.join(base, include.path))
            written = f"{include.command} {include.path}"
            found.inputs.append(Input(f"{name} line {include.line}", written, path, include.executed))
        found.open_places.extend(
            OpenPlace(f"{name} line {place.line}", place.text, place.reason) for place in scan.unsealable
        )
    return found


def below(folder: str, path: str) -> str:
    """`path` relative to `folder`, or as it is when it does not lie below."""
    normal, top = posixpath.normpath(path), posixpath.normpath(folder)
    return normal.removeprefix(f"{top}/")
