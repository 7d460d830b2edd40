"""Text that a server sent, made fit to stand in a sentence of the report. Everything remote is hostile."""

from __future__ import annotations

import re
import unicodedata

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_DROPPED_CATEGORIES = frozenset(
    {"Cc", "Cf", "Cs", "Co", "Cn"}
)  # controls, bidi and other format characters, surrogates


def decode(remote: bytes) -> str:
    """UTF-8; bytes that are none stay readable as backslash escapes, NUL survives."""
    return remote.decode("utf-8", "backslashreplace")


def one_line(text: str, limit: int = 300) -> str:
    """`text` without escape sequences, control and direction characters, on one line of at most `limit` characters."""
    plain = _ESCAPE_SEQUENCE.sub("", text[: limit * 20])
    spaced = "".join(" " if char in "\r\n\t\v\f" else char for char in plain)
    kept = "".join(char for char in spaced if unicodedata.category(char) not in _DROPPED_CATEGORIES)
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
