"""What a shell makes of a word, as far as its text and the names of the files tell: parameters, file name patterns,
tests (POSIX.1-2017, Shell Command Language, 2.6 and 2.13). Pure; no file is ever looked at."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from preflight.scripts.shell_words import Kind, Word

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""Stands in an expanded word for what neither the line nor the files' names tell."""
_PATTERN = re.compile(r"[*?\[]")
_BRACES = re.compile(r"\{[^}]*(?:,|\.\.)[^}]*\}")
_COMPARISONS = {
    "-eq": int.__eq__,
    "-ne": int.__ne__,
    "-gt": int.__gt__,
    "-lt": int.__lt__,
    "-ge": int.__ge__,
    "-le": int.__le__,
}


@dataclass(frozen=True, slots=True)
class Files:
    """The files that are known to a reader of the line: those of one folder."""

    folder: str
    """Absolute."""
    names: tuple[str, ...]
    """Relative to it, sorted."""

    def matching(self, pattern: str, at: str) -> list[str]:
        """What a pattern stands for in the working folder `at`; nothing where it matches none of the files."""
        full = posixpath.normpath(posixpath.join(at, pattern))
        paths = (posixpath.join(self.folder, name) for name in self.names)
        found = sorted(path for path in paths if _matches(path, full))
        return found if pattern.startswith("/") else [posixpath.relpath(path, at) for path in found]


def _matches(path: str, pattern: str) -> bool:
    """Part by part: `*` stands for no slash, and for no dot at the beginning."""
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(
        fnmatch.fnmatchcase(part, want.replace("[^", "[!")) and (want.startswith(".") or not part.startswith("."))
        for part, want in zip(parts, wanted, strict=True)
    )


def expand(word: Word, value_of: Callable[[str], str], files: Files, at: str) -> list[str]:
    """The words that one becomes in the folder `at`. `value_of`: a parameter's value, by what is written (`$?`)."""
    text = pattern = ""
    for part in word.parts:
        if part.kind is Kind.PARAMETER:
            value = value_of(part.text)
        else:
            value = UNKNOWN if part.kind is Kind.SUBSTITUTION else part.text
        text += value
        pattern += value if part.kind is Kind.PLAIN else re.sub(r"([*?\[])", r"[\1]", value)
    plain = "".join(part.text for part in word.parts if part.kind is Kind.PLAIN)
    if _BRACES.search(plain):
        return [UNKNOWN]
    if _PATTERN.search(plain) and UNKNOWN not in text:
        return files.matching(pattern, at) or [text]
    return [text]


def outcome(words: Sequence[str]) -> bool | None:
    """Of `test WORDS` where the words tell it; None where it depends on the machine."""
    if words[:1] == ["!"]:
        inner = outcome(words[1:])
        return None if inner is None else not inner
    match words:
        case [left, ("=" | "==" | "!=") as operator, right] if UNKNOWN not in left + right:
            return (left == right) == (operator != "!=")
        case [left, operator, right] if operator in _COMPARISONS and left.isdecimal() and right.isdecimal():
            return bool(_COMPARISONS[operator](int(left), int(right)))
    return None
