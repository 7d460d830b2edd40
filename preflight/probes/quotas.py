"""Reads quota(1): how much more an account may store on a file system. df knows nothing of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_UNIT_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Quota:
    """The hard limit of an account, or of its group, on one file system."""

    source: str
    """The file system's device, as in mountinfo."""
    left_bytes: int | None
    """None without a limit of blocks."""
    left_files: int | None


def read_quotas(lines: Iterable[str]) -> tuple[Quota, ...]:
    """The limits in the output of `quota -w -p`; headings, and what is no row of figures, are left out.

    A row holds: file system, blocks of 1 KiB (`*` when beyond the limit), soft limit, hard limit, grace, and the same
    for files."""
    return tuple(quota for line in lines if (quota := _quota(line.split())) is not None)


def _quota(words: list[str]) -> Quota | None:
    figures = [word.rstrip("*") for word in words[1:]]
    if len(figures) != 8 or not all(word.isdecimal() and word.isascii() for word in figures):
        return None
    blocks, _, most_blocks, _, files, _, most_files, _ = map(int, figures)
    return Quota(
        words[0],
        max(0, most_blocks - blocks) * _UNIT_BYTES if most_blocks else None,
        max(0, most_files - files) if most_files else None,
    )
