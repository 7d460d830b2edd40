"""The manifest of sealed scripts: SHA-256 by path, in the format of sha256sum(1), read strictly and written so that
`sha256sum -c` reads it.

The comparison itself is never left to `sha256sum -c`: that ignores extra files, and malformed lines unless `--strict`.
Names are relative to the sealed folder, so `sha256sum -c` runs inside it: `cd FOLDER && sha256sum -c MANIFEST`."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from preflight.errors import PreflightError
from preflight.wording import in_toml, listed

_MOST_PROBLEMS = 5
_MOST_PARSED = 256
_PLAIN = re.compile(r"(?P<escaped>\\?)(?P<sha256>[0-9A-Fa-f]{64}) [ *](?P<name>.+)", re.DOTALL)
_TAGGED = re.compile(r"(?P<escaped>\\?)SHA256 \((?P<name>.+)\) = (?P<sha256>[0-9A-Fa-f]{64})", re.DOTALL)
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {written: character for character, written in _ESCAPES.items()}


class ManifestError(PreflightError):
    """A manifest that cannot be relied on, or a name that cannot stand in one."""


def approved_text(release: str, text: str) -> str:
    """What a manifest's signature is over: with the release's id, so that it approves the scripts for no other one."""
    return f"release = {in_toml(release)}\n{text}"


@lru_cache(_MOST_PARSED)
def parse_manifest(text: str) -> Mapping[str, str]:
    """SHA-256 (lower-case hex) by path, in the manifest's order; empty when it lists nothing. Reads the plain and the
    `--tag` form, and CRLF. Raises ManifestError, naming the lines: one bad line, and nobody knows what was approved."""
    found: list[tuple[int, str, str]] = []
    problems: list[str] = []
    # Not splitlines(): a name may hold U+0085 or U+2028, which are no line ends to sha256sum.
    for number, line in enumerate(text.split("\n"), 1):
        content = line.removesuffix("\r")
        if not content or content.startswith("#"):
            continue
        try:
            found.append((number, *_parse_line(content)))
        except ManifestError as error:
            problems.append(f"line {number}: {error}")
    problems += _collisions((number, name) for number, name, _ in found)
    if problems:
        raise ManifestError(listed(problems, _MOST_PROBLEMS, "; "))
    return {name: sha256 for _, name, sha256 in found}


def format_manifest(hashes: Mapping[str, str], first: Iterable[str] = ()) -> str:
    """The manifest of `hashes` (SHA-256 by path): those of `first` in their order, the others sorted by path. Raises
    ManifestError for names it cannot hold."""
    problems = [f"{name!r}: {problem}" for name in hashes if (problem := name_problem(name))]
    problems += _collisions((0, name) for name in hashes)
    if problems:
        raise ManifestError("; ".join(problems))
    lines = []
    for name in dict.fromkeys([*(each for each in first if each in hashes), *sorted(hashes)]):
        shown = "./-" if name == "-" else name  # to `sha256sum -c` a lone hyphen is the standard input
        escaped = "".join(_ESCAPES.get(character, character) for character in shown)
        lines.append(f"{'' if escaped == shown else chr(92)}{hashes[name]}  {escaped}\n")
    return "".join(lines)


def name_problem(name: str) -> str:
    """Why a path cannot stand in a manifest; empty when it can."""
    if name.startswith("/"):
        return "the path is absolute"
    parts = name.split("/")
    if ".." in parts:
        return "the path leaves the folder"
    if "" in parts or "." in parts:
        return "the path has an empty part"
    if any(unicodedata.category(character) == "Cc" and character not in "\n\r" for character in name):
        return "the name holds control characters"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "the name is not UTF-8"
    return "the name cannot be read" if "\N{REPLACEMENT CHARACTER}" in name else ""


def _parse_line(line: str) -> tuple[str, str]:
    """(name, SHA-256). Raises ManifestError."""
    found = _PLAIN.fullmatch(line) or _TAGGED.fullmatch(line)
    if found is None:
        raise ManifestError("not `<64 hex digits>  <path>`")
    name = _unescaped(found["name"]) if found["escaped"] else found["name"]
    # `find . -type f -exec sha256sum {} +` writes ./ before every name.
    name = name.removeprefix("./")
    if problem := name_problem(name):
        raise ManifestError(problem)
    return name, found["sha256"].lower()


def _unescaped(name: str) -> str:
    parts = re.split(r"(\\.?)", name, flags=re.DOTALL)
    try:
        return "".join(_UNESCAPES[part] if part.startswith("\\") else part for part in parts)
    except KeyError as error:
        raise ManifestError(f"unknown escape {error.args[0]} in the name") from None


def _collisions(numbered: Iterable[tuple[int, str]]) -> Iterator[str]:
    """Paths that occur twice, also where only a file system could take them for one. Of no line: 0."""
    seen: dict[str, str] = {}
    for number, name in numbered:
        key = unicodedata.normalize("NFC", name).casefold()
        if other := seen.get(key):
            alike = "is listed twice" if other == name else f"and {other!r} are one name on some file systems"
            yield f"line {number}: {name!r} {alike}" if number else f"{name!r} {alike}"
        else:
            seen[key] = name
