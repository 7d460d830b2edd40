"""What else will be written where a backup goes, from when its room was seen until it begins. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from preflight.judging.backups import PlannedBackup
from preflight.judging.schedule import schedule
from preflight.probes.backup_files import BackupFile, Listing
from preflight.probes.mounts import device_name
from preflight.probes.sizes import WalRate
from preflight.probes.storage import Directory
from preflight.units import format_duration, format_need

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
    slots = {slot.step.id: slot for slot in current.slots} if current else {}
    slot = slots.get(planned.backup.step)
    return slot.begins_at if slot else planned.plan.window.start


def nightly_growth(planned: PlannedBackup, listing: Listing, directory: Directory, until: datetime) -> Growth | None:
    """The files of a regular backup that appear by `until` beside those listed, where they lie on the directory's
    storage; None when there are none.

    Their rhythm is the median distance of the newest ones. What removes old ones counts only where the plan says how
    many are kept, and then only for files that will be written before it: it frees nothing that is free now."""
    beside = [backup for backup in listing.backups if _lies_on(backup, directory)]
    rhythm = _rhythm(beside)
    if rhythm is None or beside[0] is not listing.backups[0]:
        return None
    coming, at = 0, beside[0].changed_at + rhythm
    while at < until:
        coming += at > listing.host_now
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
