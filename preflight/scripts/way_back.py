"""Which scripts of a folder run forward, and which script takes each of them back. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from preflight.scripts.psql_script_inputs import RUN_LINE, find_inputs

_SUFFIXES = (".sql", ".psql")
_UP = ".up"
_TOKENS = re.compile(
    r"""(?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?<![\w$])[eE]'(?:[^'\\]|''|\\.)*'
    | '(?:[^']|'')*'
    | "[^"]*"
    | (?<![\w$])\$(?P<tag>[^\W\d]\w*|)\$.*?\$(?P=tag)\$
    | \\[^\n]*
    | [^-/'"$\\eE]+
    | .""",
    re.VERBOSE | re.DOTALL,
)
"""Strings, quoted names and commands of psql are kept whole: what looks like a comment in them is none."""
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_NO_WORK = re.compile(
    r"\s*(?:(?:begin|start\s+transaction|set|reset)\b.*|commit|end|rollback"
    r"|\\(?:set|unset|echo|timing|pset|encoding)\b.*)?\s*",
    re.IGNORECASE,
)


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


def does_nothing(text: str) -> bool:
    """Nothing is left without comments, transaction control and settings."""
    lines = without_comments(text).splitlines()
    # A semicolon ends a statement, but not a command of psql.
    parts = (part for line in lines for part in ([line] if line.lstrip().startswith("\\") else line.split(";")))
    return all(_NO_WORK.fullmatch(part) for part in parts)


def does_the_same(one: str, other: str) -> bool:
    """Equal but for comments and white space."""
    return without_comments(one).split() == without_comments(other).split()


def without_comments(text: str) -> str:
    """SQL without its comments; block comments may be nested."""
    return "".join(_kept(text.removeprefix("\ufeff")))


def _kept(text: str) -> Iterator[str]:
    at = 0
    while match := _TOKENS.match(text, at):
        at = match.end()
        if match["block"]:
            at = _after_block(text, at)
            yield " "
        elif not match["comment"]:
            yield match[0]


def _after_block(text: str, at: int) -> int:
    """Where a block comment ends; nothing in it but such comments has a meaning."""
    depth = 1
    while depth:
        edge = _BLOCK_EDGE.search(text, at)
        if edge is None:
            return len(text)
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return at


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
