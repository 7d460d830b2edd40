"""Three states of a folder of scripts held against each other: approved, sealed, staged. Pure; judges nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from preflight.questions.files import SCRIPT_SUFFIXES, EntryKind, Tree
from preflight.questions.staged import StagedEntry, StagedTree

RUNNABLE_SUFFIXES = (*SCRIPT_SUFFIXES, ".sh", ".py")
"""Files that somebody might run."""


def is_script(name: str) -> bool:
    return name.lower().endswith(RUNNABLE_SUFFIXES)


@dataclass(frozen=True)
class Comparison:
    """Paths are relative to the folder; the manifest itself counts nowhere."""

    sealed: Mapping[str, str]
    """SHA-256 by path; empty while there is no usable manifest."""
    approved_tree: Tree
    staged_tree: StagedTree
    manifest_name: str = ""
    """The manifest's path where it lies in the approved folder."""
    manifest_sha256: str = ""

    @cached_property
    def approved(self) -> Mapping[str, str]:
        """SHA-256 of the approved files by path."""
        files = self.approved_tree.files
        return {name: entry.sha256 for name, entry in files.items() if name != self.manifest_name}

    @cached_property
    def staged(self) -> Mapping[str, StagedEntry]:
        """The staged regular files by path."""
        entries = self.staged_tree.entries
        return {entry.path: entry for entry in entries if entry.kind is EntryKind.FILE and not self._is_manifest(entry)}

    @property
    def wanted(self) -> Mapping[str, str]:
        """What must be staged: the sealed files, or the approved ones while nothing usable is sealed."""
        return self.sealed or self.approved

    @cached_property
    def changed(self) -> Sequence[str]:
        """Files staged with other bytes than wanted."""
        staged = self.staged
        return [
            name for name, sha256 in self.wanted.items() if name in staged and staged[name].sha256 not in ("", sha256)
        ]

    @property
    def unread(self) -> Sequence[str]:
        """Wanted files that lie there and could not be hashed."""
        return [name for name in self.wanted if name in self.staged and not self.staged[name].sha256]

    @property
    def missing(self) -> Sequence[str]:
        """Wanted files of which nothing is staged, not even a link; a folder of that name is nothing."""
        there = {entry.path for entry in self.staged_tree.entries if entry.kind is not EntryKind.FOLDER}
        return [name for name in self.wanted if name not in there]

    @property
    def extra(self) -> Sequence[StagedEntry]:
        """Staged files nobody sealed."""
        return [entry for name, entry in self.staged.items() if name not in self.wanted]

    @property
    def staged_as_approved(self) -> Sequence[str]:
        """Changed files that equal the approved ones: somebody changed both after sealing."""
        return [name for name in self.changed if self.approved.get(name) == self.staged[name].sha256]

    def worth_reading(self, approved_texts: Mapping[str, str]) -> Sequence[str]:
        """Changed files whose text can be held against an approved one that differs."""
        as_approved = self.staged_as_approved
        return [name for name in self.changed if name in approved_texts and name not in as_approved]

    def _is_manifest(self, entry: StagedEntry) -> bool:
        """A copy of the manifest may be staged with the scripts; another manifest is an extra file."""
        return bool(self.manifest_sha256) and entry.sha256 == self.manifest_sha256 and entry.path not in self.sealed
