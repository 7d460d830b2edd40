"""How much a backup will write, by the best source there is, and what else is written there before it begins. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from preflight.judging.schedule import schedule
from preflight.plan import BackupFormat, BackupMethod
from preflight.plan.work import PlannedBackup
from preflight.questions.backups import BackupFile, Listing
from preflight.questions.sizes import Sizes, WalRate
from preflight.questions.storage import Directory, device_name
from preflight.units import format_duration, format_need

_GIB = 1024**3
_PLAIN_FACTOR = 4
"""Text is written out of compressed storage: measured up to 3.8 times the tables' size."""
_WAL_SEGMENTS = 2
_FILES_BESIDE_TABLES = 10
_FORKS = 2
_FILES_BESIDE_RELATIONS = 1000
_COMPRESSED = (BackupFormat.CUSTOM, BackupFormat.DIRECTORY)
_SHORTEST_RHYTHM = timedelta(minutes=10)
"""Files that follow each other faster are parts of one backup."""
_COMPARED = 2
"""The newest file may be cut short; the one before it then tells how large the next one will be."""


@dataclass(frozen=True, slots=True)
class Growth:
    """One thing that takes room before the backup begins."""

    what: str
    bytes: int

    def __str__(self) -> str:
        return f"{format_need(self.bytes)} {self.what}"


def begins_at(planned: PlannedBackup) -> datetime:
    """When the backup's step begins as planned; the window's start when it has no step. UTC."""
    current = schedule(planned.plan)
    slot = current.slot(planned.backup.step) if current else None
    return slot.begins_at if slot else planned.plan.window.start


def nightly_growth(
    planned: PlannedBackup, listing: Listing | None, directory: Directory, until: datetime
) -> Growth | None:
    """The files of a regular backup that appear by `until` beside those listed, where they lie on the directory's
    storage; None when there are none.

    Their rhythm is the median distance of the newest ones. What removes old ones counts only where the plan says how
    many are kept, and then only for files that will be written before it: it frees nothing that is free now."""
    beside = [backup for backup in listing.backups if _lies_on(backup, directory)] if listing else []
    rhythm = _rhythm(beside)
    if listing is None or rhythm is None or beside[0] is not listing.backups[0]:
        return None
    coming, at = 0, beside[0].changed_at + rhythm
    while at < until:
        coming += at > listing.now
        at += rhythm
    if planned.backup.keep is not None:
        coming = min(coming, max(planned.backup.keep - listing.count, 0))
    size = max((backup.size_bytes or 0 for backup in beside[:_COMPARED]), default=0)
    if not coming or not size:
        return None
    files = "1 file" if coming == 1 else f"{coming} files"
    return Growth(f"for {files} like {beside[0].path} (one every {format_duration(rhythm)})", coming * size)


def wal_growth(rate: WalRate | None, until: datetime) -> Growth | None:
    """Write-ahead log that lies on the backup's storage; None where none is to be expected."""
    growth = rate.growth(until - rate.seen_at) if rate else 0
    if rate is None or not growth:
        return None
    held = ", held back by a slot or a failing archive command" if rate.held else ""
    return Growth(f"for write-ahead log{held}", growth)


def _rhythm(backups: Iterable[BackupFile]) -> timedelta | None:
    """None for fewer than two, and for parts of one backup."""
    times = [backup.changed_at for backup in backups]
    gaps = [later - earlier for later, earlier in pairwise(times)]
    rhythm = timedelta(seconds=median(gap.total_seconds() for gap in gaps)) if gaps else timedelta()
    return rhythm if rhythm >= _SHORTEST_RHYTHM else None


def _lies_on(backup: BackupFile, directory: Directory) -> bool:
    """By its device, or by its path where a file system shows another device than its mount (btrfs, ZFS)."""
    mount = directory.place.mount
    device = backup.identity.partition(":")[0]
    if mount is not None and device.isdecimal() and device_name(int(device)) == mount.device:
        return True
    return backup.path.startswith(f"{directory.place.path.rstrip('/')}/")


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


def need_of(planned: PlannedBackup, previous: Listing | None, sizes: Sizes | None) -> Need:
    """`previous`, `sizes`: None where they were not asked for."""
    return Need(planned, *_expected(planned, previous, sizes), _files(planned, sizes))


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
    if backup.method is BackupMethod.PG_BASEBACKUP and not sizes.cluster_bytes:
        return 0, "the role may not see the size of every tablespace (GRANT pg_read_all_stats)"
    if backup.method is BackupMethod.PG_BASEBACKUP:
        wal = _WAL_SEGMENTS * sizes.wal_segment_bytes
        return (sizes.cluster_bytes or 0) + wal, f"by the catalogue: all tablespaces and {_WAL_SEGMENTS} WAL segments"
    if not sizes.dumped_bytes:
        return 0, "by the catalogue, its tables hold nothing"
    if backup.format in _COMPRESSED:
        return sizes.dumped_bytes, "by the catalogue: its tables without indexes"
    return (
        _PLAIN_FACTOR * sizes.dumped_bytes,
        f"by the catalogue: {_PLAIN_FACTOR} x its tables, as {backup.format} is not compressed",
    )


def _files(planned: PlannedBackup, sizes: Sizes | None) -> int:
    is_dump = planned.backup.method is BackupMethod.PG_DUMP
    if not planned.writes_many_files or sizes is None:
        return 1 if is_dump else (sizes.tablespaces if sizes else 1) + 2
    if is_dump:
        return sizes.tables + sizes.large_objects + _FILES_BESIDE_TABLES
    segments = (sizes.cluster_bytes or 0) // _GIB
    return _FORKS * sizes.cluster_relations + segments + _FILES_BESIDE_RELATIONS
