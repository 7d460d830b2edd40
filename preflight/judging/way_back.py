"""Which scripts of a folder run forward, and which script takes each of them back. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from preflight.judging.psql_inputs import find_inputs
from preflight.judging.sql_text import without_comments
from preflight.questions.files import SCRIPT_SUFFIXES

_UP = ".up"


@dataclass(frozen=True, slots=True)
class Pair:
    """A script and its way back, as paths relative to the folder."""

    forward: str
    back: str
    """Where it is, or where it should be."""
    present: bool


def pairs(
    pattern: str, files: Sequence[str], staged: str, names: Collection[str], texts: Mapping[str, str]
) -> tuple[Pair, ...]:
    """The forward scripts with their way back.

    `files`: the scripts that the plan lists; `names`: the files of the folder; `texts`: of its scripts, by path. Where
    the plan lists none, all run that neither take another one back nor are included by one, in the order of `names`."""
    if not files:
        scripts = [name for name in names if name.lower().endswith(SCRIPT_SUFFIXES)]
        backs = {place for name in scripts for place in _places(pattern, name) if place != name}
        included = {found.path for found in find_inputs(staged, texts).inputs if found.executed}
        files = [name for name in scripts if name not in backs | included]
    return tuple(_pair(pattern, name, names) for name in files)


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


def does_the_same(one: str, other: str) -> bool:
    """Equal but for comments and white space."""
    return without_comments(one).split() == without_comments(other).split()
