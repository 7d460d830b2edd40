"""Questions about files, beside the plan on this machine or in one folder of a host; and the plan's own commands:
monitoring plugins and scripts, run here or on a host. Pure; `preflight.sessions.local` looks here, and runs them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import ClassVar

from preflight.plan.manifest import ManifestError, parse_manifest
from preflight.probe import Family, Probe, Question, Reply, T, Unreadable, Via
from preflight.questions.fields import Count, Mode, read_lines
from preflight.questions.local import LocalAct, LocalRequest
from preflight.questions.shell import FIND_HASH_TOOL, MEMBERS, AccountProbe, ShellProbe, filled, quoted, writers
from preflight.record import parse_json, read_record

MOST_ENTRIES = 5000
"""A folder with more is not read: somebody named the wrong one."""
MOST_BYTES = 512 * 1024 * 1024
"""Of all files of one tree."""
LARGEST_TEXT_BYTES = 16 * 1024 * 1024
"""The schema of 5,000 tables is 5 MB."""
LARGEST_SCRIPT_BYTES = 8 * 1024 * 1024
MOST_SCRIPT_BYTES = 16 * 1024 * 1024
"""Of all scripts of one tree: the record of a run keeps them."""


class EntryKind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    OTHER = "other"
    """FIFO, socket or device; never opened."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a folder, seen without following symbolic links."""

    path: str
    """Relative to the tree's folder, parts joined by `/`."""
    kind: EntryKind
    size_bytes: int
    link_target: str = ""
    """Where a symlink points, as written in it."""
    sha256: str = ""
    """Of a file's bytes; empty for everything else, and for a file that could not be read."""


@dataclass(frozen=True, kw_only=True)
class TreeEntry(Entry):
    """One entry beside the plan. Equal for every checkout of the same files: without mode or the size of a folder."""

    sha256_with_lf: str = ""
    """With LF for every CRLF; empty for large files."""
    sha256_bare: str = ""
    """Without byte order mark, CR and trailing newlines; empty for large files."""
    crlf_lines: int = 0
    """How many lines end in CRLF."""
    error: str = ""
    """Why this entry could not be read whole; it must not count as seen."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Everything below one folder."""

    entries: tuple[TreeEntry, ...]
    """Sorted by path, folders included."""
    problem: str = ""
    """Why there is no tree: no such folder, or no folder at all."""

    @property
    def files(self) -> Mapping[str, TreeEntry]:
        return {entry.path: entry for entry in self.entries if entry.kind is EntryKind.FILE}

    @property
    def unread(self) -> tuple[TreeEntry, ...]:
        """Entries that could not be read whole."""
        return tuple(entry for entry in self.entries if entry.error)


@dataclass(frozen=True, slots=True)
class LocalText:
    text: str = ""
    """What is not UTF-8 in it is U+FFFD."""
    sha256: str = ""
    problem: str = ""
    """Why there is no text: no such file, or no regular file."""


def read_manifest(manifest: LocalText) -> tuple[Mapping[str, str], str]:
    """(SHA-256 by path, why there is none): the one or the other is empty."""
    if manifest.problem:
        return {}, manifest.problem
    try:
        sealed = parse_manifest(manifest.text)
    except ManifestError as error:
        return {}, str(error)
    return sealed, "" if sealed else "the manifest lists no file"


@dataclass(frozen=True, slots=True)
class Texts:
    """The scripts below a folder."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """Text by path relative to the folder; what is not UTF-8 is U+FFFD."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Why a script's text is not here, by path."""
    problem: str = ""
    """Why there are none: no such folder, or no folder at all."""


@dataclass(frozen=True)
class LocalProbe(Probe[T]):
    """The target is `TARGET`."""

    family = Family.SCRIPTS
    via: ClassVar[Via] = Via.LOCAL
    act: ClassVar[LocalAct]
    path: str

    def ask(self) -> str:
        return LocalRequest(self.act, self.path).text()


class LocalTree(LocalProbe[Tree]):
    """Every entry below a folder, regular files with their hashes."""

    act = LocalAct.TREE
    timeout_seconds: ClassVar[float] = 30.0

    def read(self, reply: Reply) -> Tree:
        return Tree((), refusal_of(reply)) if reply.code else read_record(Tree, parse_json(reply.text), problem="")


class LocalFile(LocalProbe[LocalText]):
    """The text of one file of at most `LARGEST_TEXT_BYTES`."""

    act = LocalAct.TEXT

    def read(self, reply: Reply) -> LocalText:
        return text_in(reply)


class LocalTexts(LocalProbe[Texts]):
    """The texts of all scripts below a folder, and of files of any other name that these include."""

    act = LocalAct.TEXTS

    def read(self, reply: Reply) -> Texts:
        if reply.code:
            return Texts(problem=refusal_of(reply))
        return read_record(Texts, parse_json(reply.text), complete=True, problem="")


def text_in(reply: Reply) -> LocalText:
    """The text of a file, with its hash from the line before it. Raises Unreadable where that is missing."""
    if reply.code:
        return LocalText(problem=refusal_of(reply))
    line, _, text = reply.text.partition("\n")
    return read_record(LocalText, parse_json(line), complete=True, text=text, problem="")


def refusal_of(reply: Reply) -> str:
    """Why there is no such text or tree. Raises Unreadable for a refusal that does not say."""
    if not reply.error:
        raise Unreadable("a refusal without a reason")
    return reply.error


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    """Exit status; 128 + N when signal N ended it."""
    output: str
    error: str = ""


@dataclass(frozen=True)
class LocalCommand(Probe[Ended]):
    """A command run where preflight runs."""

    via: ClassVar[Via] = Via.LOCAL
    argv: tuple[str, ...]
    seconds: float

    def ask(self) -> str:
        return LocalRequest(LocalAct.RUN, argv=self.argv).text()

    def question(self) -> Question:
        return replace(super().question(), timeout_seconds=self.seconds)

    def read(self, reply: Reply) -> Ended:
        return Ended(reply.code, reply.text, reply.error)


@dataclass(frozen=True)
class HostCommand(AccountProbe[Ended]):
    """A command run on a host, as the login or as an account reached through sudo."""

    asked_last = True
    argv: tuple[str, ...]
    seconds: float
    alone: bool
    """In a channel of its own: a command that takes long then keeps no other question waiting."""

    def ask(self) -> str:
        # Such a program may compare the host's own local times; ours are asked in UTC.
        return "unset TZ; " + self.account.command(" ".join(quoted(word) for word in self.argv))

    def question(self) -> Question:
        return replace(super().question(), timeout_seconds=self.seconds, own_channel=self.alone)

    def read(self, reply: Reply) -> Ended:
        return Ended(reply.code, reply.text, reply.error)


def path_and_sha256(line: str) -> tuple[str, str]:
    """Of a line of sha256sum or openssl -r; a backslash before it marks an escaped name. Raises Unreadable."""
    found = re.fullmatch(r"(\\?)([0-9a-f]{64}) [ *](.+)", line, re.DOTALL)
    if not found:
        raise Unreadable(f"no line of sha256sum: {line[:80]!r}")
    return (found[3].replace("\\\\", "\\") if found[1] else found[3]), found[2]


FOLDERS_ABOVE = 'while [ "$d" != / ]; do d=${d%/*}; d=${d:-/}; set -- "$@" "$d"; done'
"""Adds every folder above the absolute path `d` to the arguments of a shell."""
_HASHED = f"""\
{MEMBERS}set -- @FILES@
for f in "$@"; do
  shift
  if [ -f "$f" ]; then
    set -- "$@" "$f"
    printf 'kind=%s %s\\n' "$([ -r "$f" ] && echo file || echo unreadable)" "$(readlink -f -- "$f")"
  elif [ -e "$f" ]; then echo 'kind=other '; else
    p=$f; while [ ! -d "$p" ]; do p=${{p%/*}}; p=${{p:-/}}; done
    if [ -x "$p" ]; then echo 'kind=missing '; else printf 'kind=hidden %s\\n' "$p"; fi
  fi
done
if [ $# -gt 0 ]; then
{FIND_HASH_TOOL}  [ -z "$tool" ] || $tool "$@" 2>/dev/null | sed 's/^/sha256=/'
  for f in "$@"; do for d in "$f" "$(readlink -f -- "$f")"; do {FOLDERS_ABOVE}; done; done
  stat -L -c 'stat=%s %Y %a %g %U %n' -- "$@" | sort -u
  for g in $(stat -L -c %g -- "$@" | sort -u); do printf 'group=%s root %s\\n' "$g" "$(members "$g")"; done
fi
echo end=yes
exit 0"""


class FileState(StrEnum):
    FILE = "file"
    MISSING = "missing"
    OTHER = "other"
    """A folder, or no file at all."""
    UNREADABLE = "unreadable"
    HIDDEN = "hidden"
    """The login may not look into a folder on the way."""


@dataclass(frozen=True, slots=True)
class HashedFile:
    words: ClassVar = ("state", "behind")

    state: FileState
    sha256: str = ""
    """Empty for a file that could not be hashed."""
    size_bytes: int = 0
    changed_at: datetime | None = None
    owner: str = ""
    mode: int = 0
    behind: str = ""
    """The folder that cannot be entered; of a file, its path without symbolic links."""
    writers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Who else may change the file, and each folder above it, on its path with links and without."""


@dataclass(frozen=True, slots=True)
class _Stat:
    size_bytes: Count
    changed_at: datetime
    mode: Mode
    gid: str
    owner: str
    path: str


@dataclass(frozen=True, slots=True)
class _Shown:
    kind: tuple[HashedFile, ...]
    stat: tuple[_Stat, ...] = ()
    group: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()


@dataclass(frozen=True)
class HashedFilesProbe(ShellProbe[Mapping[str, HashedFile]]):
    """Files of one folder, by path, as the host's login sees them: one program hashes them all, and a folder on a dead
    network mount costs no other its answer."""

    family = Family.SCRIPTS
    paths: tuple[str, ...]

    def ask(self) -> str:
        return filled(_HASHED, FILES=" ".join(map(quoted, self.paths)))

    def question(self) -> Question:
        return replace(super().question(), timeout_seconds=min(60.0 * len(self.paths), 300.0))

    def read(self, reply: Reply) -> Mapping[str, HashedFile]:
        shown = read_lines(_Shown, reply)
        if len(shown.kind) != len(self.paths):
            raise Unreadable(f"{len(shown.kind)} files, expected {len(self.paths)}")
        sums = dict(map(path_and_sha256, shown.sha256))
        stats = {stat.path: stat for stat in shown.stat}
        members = {gid: names.split() for gid, _, names in (each.partition(" ") for each in shown.group)}
        found = {}
        for path, file in zip(self.paths, shown.kind, strict=True):
            found[path] = file
            if file.state in (FileState.FILE, FileState.UNREADABLE):
                above = [str(each) for way in (path, file.behind or path) for each in PurePosixPath(way).parents]
                on_the_way = dict.fromkeys([path, *above])
                if on_the_way.keys() - stats.keys() or {stats[each].gid for each in on_the_way} - members.keys():
                    raise Unreadable(f"a file without size and permissions, or a folder above it: {path}")
                stat, way = stats[path], map(stats.__getitem__, on_the_way)
                others = {each.path: writers(each.mode, each.owner, members[each.gid]) for each in way}
                sha256 = sums.get(path, "") if file.state is FileState.FILE else ""
                seen = (sha256, stat.size_bytes, stat.changed_at, stat.owner, stat.mode)
                found[path] = HashedFile(file.state, *seen, writers=others)
        return found
