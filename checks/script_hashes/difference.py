"""How staged files differ from the approved ones, in words and as diffs, from whatever is known of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from preflight.questions.staged import TEXT_CAP_BYTES, Forms, StagedBeginning

from .comparison import Comparison
from .text_diff import describe_difference, unified_diff

_FOREIGN_BYTE = re.compile(r"\\x[89a-f][0-9a-f]|\N{REPLACEMENT CHARACTER}")


@dataclass(frozen=True, slots=True)
class Differences:
    files: Comparison
    approved_texts: Mapping[str, str]
    read: Mapping[str, StagedBeginning]
    """What was read of staged files, by path; each has an approved text."""
    forms: Mapping[str, Forms]
    """Hashes of staged files' normalised forms, by path."""

    def describe(self, name: str) -> str:
        """`2 lines differ`, `the same but for ...`, or no more than `other content`."""
        if name in self.files.staged_as_approved:
            return "it is as in the approved folder now, not as sealed"
        if name in self.read:
            approved, staged = self._texts(name)
            if approved != staged:
                return describe_difference(approved, staged, cut=not self.read[name].whole)
            if not self.read[name].whole:
                return f"the first {TEXT_CAP_BYTES // 1024} KiB are the same, what follows is not"
        return self._describe_forms(name)

    def diff(self, name: str) -> str:
        """A bounded unified diff; empty where there is nothing to show."""
        if name not in self.read:
            return ""
        return unified_diff(*self._texts(name), f"approved {name}", f"staged {name}")

    def _describe_forms(self, name: str) -> str:
        approved, staged = self.files.approved_tree.files.get(name), self.forms.get(name)
        if approved is None or staged is None or not approved.sha256_bare:
            return "other content"
        if staged.without_cr == approved.sha256_without_cr:
            return f"the same but for line endings ({'LF instead of CRLF' if approved.crlf else 'CRLF instead of LF'})"
        if staged.bare == approved.sha256_bare:
            return "the same but for line endings, byte order mark or newlines at the end"
        return "other content"

    def _texts(self, name: str) -> tuple[str, str]:
        """Approved and staged text, made comparable: here a byte that is not UTF-8 is U+FFFD, from a server `\\xe9`;
        and where only the beginning was read, no more than that is looked at here."""
        approved, staged = self.approved_texts[name], self.read[name].text
        if "\N{REPLACEMENT CHARACTER}" in approved:
            approved, staged = (_FOREIGN_BYTE.sub("\N{REPLACEMENT CHARACTER}", text) for text in (approved, staged))
        if self.read[name].whole:
            return approved, staged
        return approved[:TEXT_CAP_BYTES], staged[:TEXT_CAP_BYTES]
