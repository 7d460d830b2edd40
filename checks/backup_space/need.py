"""How much a backup will write, by the best source there is. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from preflight.judging.backups import PlannedBackup
from preflight.plan import BackupFormat, BackupMethod
from preflight.probes.backup_files import BackupFile, Listing
from preflight.probes.sizes import Sizes
from preflight.units import format_need

_GIB = 1024**3
_PLAIN_FACTOR = 4
"""Text is written out of compressed storage: measured up to 3.8 times the tables' size."""
_WAL_SEGMENTS = 2
_FILES_BESIDE_TABLES = 10
_FORKS = 2
_FILES_BESIDE_RELATIONS = 1000
_COMPRESSED = (BackupFormat.CUSTOM, BackupFormat.DIRECTORY)
_COMPARED = 2
"""The newest backup may be cut short; the one before it then tells."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one backup will write."""

    planned: PlannedBackup
    expected: int
    """Bytes; 0 when nothing tells."""
    method: str
    """How the size is known; or why it is not."""
    files: int
    """At most."""

    @property
    def id(self) -> str:
        return self.planned.id

    @property
    def bytes(self) -> int:
        return math.ceil(self.expected * self.planned.backup.headroom)

    def __str__(self) -> str:
        headroom = f"{self.planned.backup.headroom:g}"
        return f"{self.id} needs {format_need(self.bytes)} ({headroom} x {format_need(self.expected)}, {self.method})"


def need_of(planned: PlannedBackup, previous: Listing | None, sizes: Sizes | None) -> Need:
    """`previous`, `sizes`: None where they were not asked for."""
    expected, method = _expected(planned, previous, sizes)
    return Need(planned, expected, method, _files(planned, sizes))


def largest_of(previous: Listing | None) -> BackupFile | None:
    """Of the two newest; None where no size could be seen."""
    newest = previous.backups[:_COMPARED] if previous else ()
    seen = [backup for backup in newest if backup.size_bytes is not None]
    return max(seen, key=lambda backup: backup.size_bytes or 0, default=None)


def total(needs: Sequence[Need]) -> str:
    """Each of them, and their sum where there are several."""
    together = f", together {format_need(sum(need.bytes for need in needs))}" if len(needs) > 1 else ""
    return "; ".join(map(str, needs)) + together


def total_files(needs: Sequence[Need]) -> str:
    return " and ".join(f"{need.files} for {need.id}" for need in needs)


def names(needs: Sequence[Need]) -> str:
    return " and ".join(need.id for need in needs)


def _expected(planned: PlannedBackup, previous: Listing | None, sizes: Sizes | None) -> tuple[int, str]:
    """(bytes, how they are known), best source first."""
    backup = planned.backup
    if backup.expected:
        return backup.expected, "as the plan expects"
    largest = largest_of(previous)
    if largest is not None:
        return largest.size_bytes or 0, f"as {largest.path}" if largest.size_bytes else f"{largest.path} is empty"
    if sizes is None:
        return 0, "neither a previous backup nor the catalogue was seen"
    if backup.method is BackupMethod.PG_BASEBACKUP:
        return _of_cluster(sizes)
    if not sizes.dumped_bytes:
        return 0, "by the catalogue, its tables hold nothing"
    if backup.format in _COMPRESSED:
        return sizes.dumped_bytes, "by the catalogue: its tables without indexes"
    return (
        _PLAIN_FACTOR * sizes.dumped_bytes,
        f"by the catalogue: {_PLAIN_FACTOR} x its tables, as {backup.format} is not compressed",
    )


def _of_cluster(sizes: Sizes) -> tuple[int, str]:
    if not sizes.cluster_bytes:
        return 0, "the role may not see the size of every tablespace (GRANT pg_read_all_stats)"
    wal = _WAL_SEGMENTS * sizes.wal_segment_bytes
    return sizes.cluster_bytes + wal, f"by the catalogue: all tablespaces and {_WAL_SEGMENTS} WAL segments"


def _files(planned: PlannedBackup, sizes: Sizes | None) -> int:
    is_dump = planned.backup.method is BackupMethod.PG_DUMP
    if not planned.writes_many_files or sizes is None:
        return 1 if is_dump else (sizes.tablespaces if sizes else 1) + 2
    if is_dump:
        return sizes.tables + sizes.large_objects + _FILES_BESIDE_TABLES
    segments = (sizes.cluster_bytes or 0) // _GIB
    return _FORKS * sizes.cluster_relations + segments + _FILES_BESIDE_RELATIONS
