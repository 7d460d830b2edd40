"""A question about the files of one folder of a host: what they are, and their SHA-256, computed there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from preflight.probe import Family, Question, Reply, Unreadable
from preflight.questions.fields import Count, Mode, read_lines
from preflight.questions.shell import FIND_HASH_TOOL, ShellProbe, filled, path_and_sha256, quoted

_ASK = """\
set -- @FILES@
for f in "$@"; do
  shift
  if [ -f "$f" ]; then
    set -- "$@" "$f"
    if [ -r "$f" ]; then echo 'kind=file '; else echo 'kind=unreadable '; fi
  elif [ -e "$f" ]; then echo 'kind=other '; else
    p=$f; while [ ! -d "$p" ]; do p=${p%/*}; p=${p:-/}; done
    if [ -x "$p" ]; then echo 'kind=missing '; else printf 'kind=hidden %s\\n' "$p"; fi
  fi
done
if [ $# -gt 0 ]; then
  stat -L -c 'stat=%s %Y %a %U %n' -- "$@"
@FIND_TOOL@  [ -z "$tool" ] || $tool "$@" 2>/dev/null | sed 's/^/sha256=/'
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
    """The folder that cannot be entered."""


@dataclass(frozen=True, slots=True)
class _Stat:
    size_bytes: Count
    changed_at: datetime
    mode: Mode
    owner: str
    path: str


@dataclass(frozen=True, slots=True)
class _Shown:
    kind: tuple[HashedFile, ...]
    stat: tuple[_Stat, ...] = ()
    sha256: tuple[str, ...] = ()


@dataclass(frozen=True)
class HashedFilesProbe(ShellProbe[Mapping[str, HashedFile]]):
    """Files of one folder, by path, as the host's login sees them: one program hashes them all, and a folder on a dead
    network mount costs no other its answer."""

    family = Family.SCRIPTS
    paths: tuple[str, ...]

    def ask(self) -> str:
        return filled(_ASK, FILES=" ".join(map(quoted, self.paths)), FIND_TOOL=FIND_HASH_TOOL)

    def question(self) -> Question:
        return replace(super().question(), timeout_seconds=min(60.0 * len(self.paths), 300.0))

    def read(self, reply: Reply) -> Mapping[str, HashedFile]:
        shown = read_lines(_Shown, reply, ended=True)
        if len(shown.kind) != len(self.paths):
            raise Unreadable(f"{len(shown.kind)} files, expected {len(self.paths)}")
        sums = dict(map(path_and_sha256, shown.sha256))
        stats = {stat.path: stat for stat in shown.stat}
        found = {}
        for path, file in zip(self.paths, shown.kind, strict=True):
            found[path] = file
            if file.state in (FileState.FILE, FileState.UNREADABLE):
                if path not in stats:
                    raise Unreadable(f"a file without its size and permissions: {path}")
                stat = stats[path]
                sha256 = sums.get(path, "") if file.state is FileState.FILE else ""
                found[path] = HashedFile(file.state, sha256, stat.size_bytes, stat.changed_at, stat.owner, stat.mode)
        return found
