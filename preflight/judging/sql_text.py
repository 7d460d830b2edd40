"""SQL text as psql takes it apart: without its comments, and statement by statement. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TOKENS = re.compile(
    r"""(?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?P<string>(?<![\w$])[eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*')
    | (?P<name>"[^"]*")
    | (?P<dollar>(?<![\w$])\$(?P<tag>[^\W\d]\w*|)\$.*?\$(?P=tag)\$)
    | (?P<command>\\[^\n]*)
    | (?P<end>;)
    | [^-/'"$\\eE;]+
    | .""",
    re.VERBOSE | re.DOTALL,
)
"""Strings, quoted names and commands of psql are kept whole: what looks like a comment in them is none."""
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_COPIES_DATA = re.compile(r"copy\b.*\bfrom\s+stdin\b", re.DOTALL)
_DATA_END = re.compile(r"^\\\.[^\n]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of SQL without its semicolon, or one command of psql with its backslash."""

    syntax: str
    """In lower case, without comments and with nothing in its strings and quoted names."""
    strings: tuple[str, ...] = ()
    """What its strings hold, in their order; of DO, the code."""


def without_comments(text: str) -> str:
    """SQL without its comments; block comments may be nested."""
    text = text.removeprefix("\ufeff")
    at, kept = 0, []
    while match := _TOKENS.match(text, at):
        at = _after_block(text, match.end()) if match["block"] else match.end()
        kept.append(" " if match["block"] else "" if match["comment"] else match[0])
    return "".join(kept)


def statements(text: str) -> Iterator[Statement]:
    """In the script's order; the data after `COPY ... FROM STDIN` are left out.

    A command of psql ends with its line, whatever it holds; what stands before it is a statement of its own."""
    text = text.removeprefix("\ufeff")
    at, parts = 0, list[re.Match[str]]()
    while match := _TOKENS.match(text, at):
        at = _after_block(text, match.end()) if match["block"] else match.end()
        if not (match["end"] or match["command"]):
            parts.append(match)
            continue
        statement = _statement(parts)
        parts = []
        if statement.syntax:
            yield statement
        if match["command"]:
            yield Statement(match[0].strip())
        elif _COPIES_DATA.match(statement.syntax):
            end = _DATA_END.search(text, at)
            at = end.end() if end else len(text)
    statement = _statement(parts)
    if statement.syntax:
        yield statement


def _statement(tokens: Sequence[re.Match[str]]) -> Statement:
    syntax, strings = [], []
    for token in tokens:
        if token["string"] or token["dollar"]:
            syntax.append("''")
            strings.append(_content(token))
        elif token["name"]:
            syntax.append('""')
        else:
            syntax.append("" if token["comment"] else " " if token["block"] else token[0].lower())
    return Statement("".join(syntax).strip(), tuple(strings))


def _content(token: re.Match[str]) -> str:
    if token["dollar"]:
        edge = len(token["tag"]) + 2
        return token[0][edge:-edge]
    return token[0][token[0].index("'") + 1 : -1].replace("''", "'")


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
