"""Which scripts of a folder run forward, and which script takes each of them back. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from preflight.scripts.psql_script_inputs import RUN_LINE, find_inputs
from preflight.scripts.sql_text import without_comments

_SUFFIXES = (".sql", ".psql")
_UP = ".up"


@dataclass(frozen=True, slots=True)
class Pair:
    """A script and its way back, as paths relative to the folder."""

    forward: str
    back: str
    """Where it is, or where it should be."""
    present: bool


def pairs(pattern: str, run: str, staged: str, names: Collection[str], texts: Mapping[str, str]) -> tuple[Pair, ...]:
    """The forward scripts with their way back.

    `names`: the files of the folder; `texts`: of its scripts, by path. Forward are the scripts that the run line
    names; where it names none of them, all that neither take another one back nor are included by one."""
    scripts = sorted(name for name in names if name.lower().endswith(_SUFFIXES))
    backs = {place for name in scripts for place in _places(pattern, name) if place != name}
    inputs = [found for found in find_inputs(staged, run, texts).inputs if found.executed]
    run_first = [found.path for found in inputs if found.named_in == RUN_LINE and found.path in scripts]
    included = {found.path for found in inputs if found.named_in != RUN_LINE}
    forward = list(dict.fromkeys(run_first)) or [name for name in scripts if name not in backs | included]
    return tuple(_pair(pattern, name, names) for name in forward)


def does_the_same(one: str, other: str) -> bool:
    """Equal but for comments and white space."""
    return without_comments(one).split() == without_comments(other).split()


def _pair(pattern: str, name: str, names: Collection[str]) -> Pair:
    places = _places(pattern, name)
    found = next((place for place in places if place in names), None)
    return Pair(name, found or places[0], found is not None)


def _places(pattern: str, name: str) -> tuple[str, ...]:
    """Where the pattern may mean: from the top of the folder, or from the script's own folder."""
    folder, base = posixpath.split(name)
    stem = posixpath.splitext(base)[0].removesuffix(_UP)
    written = pattern.replace("{stem}", stem).replace("{name}", base)
    return tuple(dict.fromkeys(posixpath.normpath(posixpath.join(top, written)) for top in ("", folder)))
