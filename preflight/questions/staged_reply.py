"""A folder of scripts on a server as its reply tells it: records that end in NUL, because a file's name may hold
anything else. Pure; what does not fit exactly is no answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from preflight.probe import Unreadable
from preflight.questions.files import EntryKind

MOST_ENTRIES = 5000
"""A folder with more is not read: somebody named the wrong one."""
_KINDS = {"-": EntryKind.FILE, "d": EntryKind.FOLDER, "l": EntryKind.SYMLINK}
_HASH_LINE = re.compile(r"([0-9a-f]{64}) [ *](\./.+)")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedEntry:
    """One entry of the staged folder; the folder itself has the path `.`."""

    path: str
    """Relative to the folder."""
    kind: EntryKind
    mode: int
    """Permission bits."""
    size_bytes: int
    owner: str
    """Account name, or `uid 1001` where the server's find cannot tell."""
    modified_at: datetime | None
    link_target: str = ""
    sha256: str = ""
    """Empty for everything but a file that could be read."""


@dataclass(frozen=True, slots=True)
class StagedTree:
    """The staged folder as one account sees it."""

    account: str
    """Who looked: the account that was asked for, or the login where sudo does not allow that."""
    problem: str = ""
    """Why nothing was listed: no such folder, not to be entered, far too large."""
    link: str = ""
    """The `ls -l` line of the folder's path where it is a symbolic link."""
    root: str = ""
    """The folder's path with every symbolic link resolved."""
    parents: tuple[tuple[str, int, str], ...] = ()
    """(path, permission bits, owner) of every folder above it, nearest first."""
    entries: tuple[StagedEntry, ...] = ()
    complete: bool = True
    """False when a part could not be listed."""
    tool: str = ""
    """What hashed; empty when the server has nothing that can."""
    complaint: str = ""
    """What the server's commands said on standard error."""


class Records:
    """Takes a reply apart, record by record. Raises Unreadable where one is missing."""

    def __init__(self, text: str) -> None:
        self._records: Iterator[str] = iter(text.split("\0"))

    def take(self) -> str:
        record = next(self._records, None)
        if record is None:
            raise Unreadable("the reply ends too early")
        return record

    def expect(self, word: str) -> None:
        record = self.take()
        if record != word:
            raise Unreadable(f"{record[:40]!r} instead of {word!r}")

    def finish(self) -> None:
        if list(self._records) != [""]:
            raise Unreadable("the reply goes on after its end")


@dataclass(slots=True)
class _Draft:
    """What has been read of a tree so far."""

    tree: StagedTree
    parents: list[tuple[str, int, str]] = field(default_factory=list)
    entries: dict[str, StagedEntry] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)


def read_tree(records: Records) -> StagedTree:
    records.expect("account")
    draft = _Draft(StagedTree(records.take()))
    while (word := records.take()) != "end":
        reader = _READERS.get(word)
        if reader is None:
            raise Unreadable(f"a record {word[:40]!r} that was not asked for")
        reader(draft, records)
    records.finish()
    if not draft.tree.problem and "." not in draft.entries:
        raise Unreadable("the reply does not list the folder")
    if set(draft.hashes) - set(draft.entries):
        raise Unreadable("a file is hashed that was not listed: the folder is being changed")
    entries = tuple(replace(entry, sha256=draft.hashes.get(path, "")) for path, entry in sorted(draft.entries.items()))
    return replace(draft.tree, parents=tuple(draft.parents), entries=entries)


def _read_absent(draft: _Draft, records: Records) -> None:
    reason = records.take().strip().rpartition(": ")[2]
    draft.tree = replace(draft.tree, problem=reason or "it cannot be entered")


def _read_too_many(draft: _Draft, _records: Records) -> None:
    draft.tree = replace(draft.tree, problem=f"it holds more than {MOST_ENTRIES} entries")


def _read_link(draft: _Draft, records: Records) -> None:
    draft.tree = replace(draft.tree, link=records.take())


def _read_root(draft: _Draft, records: Records) -> None:
    draft.tree = replace(draft.tree, root=records.take())


def _read_parent(draft: _Draft, records: Records) -> None:
    path, listed = records.take(), records.take().split()
    if len(listed) < 4:
        raise Unreadable("no line of ls -l for a folder above")
    draft.parents.append((path, _mode(listed[0]), listed[2]))


def _read_entry(draft: _Draft, records: Records) -> None:
    attributes, owner, path, link_target = (records.take() for _ in range(4))
    try:
        mode, size, modified = attributes.split(" ")
        kind = _KINDS.get(mode[0], EntryKind.OTHER)
        size_bytes = int(size) if kind is EntryKind.FILE else 0
    except (ValueError, IndexError):
        raise Unreadable(f"an entry with the attributes {attributes[:60]!r}") from None
    name = path.removeprefix("./")
    if name in draft.entries:
        raise Unreadable(f"{name[:60]!r} is listed twice")
    draft.entries[name] = StagedEntry(
        path=name,
        kind=kind,
        mode=_mode(mode),
        size_bytes=size_bytes,
        owner=owner,
        modified_at=_moment(modified),
        link_target=link_target,
    )


def _read_listed(draft: _Draft, records: Records) -> None:
    draft.tree = replace(draft.tree, complete=records.take() == "0")


def _read_tool(draft: _Draft, records: Records) -> None:
    draft.tree = replace(draft.tree, tool=records.take())


def _read_hashes(draft: _Draft, records: Records) -> None:
    for line in records.take().split("\n"):
        if not line:
            continue
        found = _HASH_LINE.fullmatch(line)
        if found is None:
            raise Unreadable(f"no line of a hash: {line[:60]!r}")
        _add_hash(draft, found[1], found[2])


def _read_hash(draft: _Draft, records: Records) -> None:
    _add_hash(draft, records.take(), records.take())


def _add_hash(draft: _Draft, sha256: str, path: str) -> None:
    name = path.removeprefix("./")
    if not SHA256.fullmatch(sha256) or name in draft.hashes:
        raise Unreadable(f"no single hash of {name[:60]!r}")
    draft.hashes[name] = sha256


_READERS: dict[str, Callable[[_Draft, Records], None]] = {
    "absent": _read_absent,
    "too many": _read_too_many,
    "link": _read_link,
    "root": _read_root,
    "parent": _read_parent,
    "entry": _read_entry,
    "listed": _read_listed,
    "tool": _read_tool,
    "hashes": _read_hashes,
    "hash": _read_hash,
}


def _mode(symbolic: str) -> int:
    """Permission bits of `drwxr-xr-t`. Raises Unreadable."""
    if not re.fullmatch(r"[^\s](?:[r-][w-][xsS-]){2}[r-][w-][xtT-].?", symbolic):
        raise Unreadable(f"no file mode: {symbolic[:20]!r}")
    mode = 0
    for place, character in enumerate(symbolic[1:10]):
        if character not in "-ST":
            mode |= 0o400 >> place
        if character in "sStT":
            mode |= {2: 0o4000, 5: 0o2000, 8: 0o1000}[place]
    return mode


def _moment(seconds: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(seconds.partition(".")[0]), UTC) if seconds != "0" else None
    except (ValueError, OverflowError, OSError):
        return None
