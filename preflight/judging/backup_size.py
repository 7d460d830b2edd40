"""How large a backup will be, by the best source there is. Pure."""

import math
from dataclasses import dataclass

from preflight.plan.work import PlannedBackup
from preflight.questions.backups import BackupFile, Listing
from preflight.questions.sizes import Sizes
from preflight.questions.sql import membership_grant

_WAL_SEGMENTS = 2
_SAMPLE_ERROR = 1.2
"""By so much a sample of a database may be off: less is no growth."""
COMPARED = 2
"""The newest file may be cut short; the one before it then tells how large the next one will be."""


@dataclass(frozen=True, slots=True)
class Size:
    expected: int
    """Bytes; 0 when nothing tells."""
    method: str
    """How that is known; or why it is not."""
    most: int | None
    """Bytes at most, where the database may have grown since its previous backup; None where nothing tells."""
    cure: str = ""
    """What would tell it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What tells the size of one backup; None for what was not asked or could not be seen."""

    previous: Listing | None
    sizes: Sizes | None
    text_bytes: int | None
    """Of what a dump of the database is now, as text."""
    read_bytes: int | None = None
    """The same of the newest previous backup."""

    @property
    def growth(self) -> float | None:
        """How many times the database has grown since its newest previous backup."""
        if not self.text_bytes or not self.read_bytes:
            return None
        grown = self.text_bytes / self.read_bytes
        return grown if grown > _SAMPLE_ERROR else 1.0


def largest_of(previous: Listing | None) -> BackupFile | None:
    """Of the two newest; None where no size could be seen."""
    # A repository names its incremental ones, and the full one that they need.
    newest = previous.backups[: None if previous.repository else COMPARED] if previous else ()
    seen = [backup for backup in newest if backup.size_bytes is not None]
    return max(seen, key=lambda backup: backup.size_bytes or 0, default=None)


def size_of(planned: PlannedBackup, seen: Seen) -> Size:
    """The largest known by the plan, by the previous backup with the growth since, and by what is there now."""
    backup = planned.backup
    if backup.expected:
        return Size(backup.expected, "as the plan expects", backup.expected)
    catalogue = _by_catalogue(planned, seen)
    largest = largest_of(seen.previous)
    if largest is None or not largest.size_bytes:
        return catalogue
    grown = seen.growth
    if planned.is_packed and grown is not None:
        # What has been added may be packed less well than what was there: it is no larger than it is stored.
        added = min(largest.size_bytes + math.ceil(catalogue.expected * (1 - 1 / grown)), catalogue.expected)
        size = max(math.ceil(largest.size_bytes * grown), added if grown > 1 else 0)
        times = f" and what {backup.database} has grown since, {grown:.3g} times" if grown > 1 else ""
        return Size(size, f"as {largest.path}{times}", size)
    if planned.is_packed or catalogue.most is None:
        return Size(largest.size_bytes, f"as {largest.path}", catalogue.most)
    return max(Size(largest.size_bytes, f"as {largest.path}", 0), catalogue, key=lambda each: each.expected)


def _by_catalogue(planned: PlannedBackup, seen: Seen) -> Size:
    """Of what is packed the most that it can be: what is stored, which is packed itself."""
    sizes, is_base = seen.sizes, planned.backup.method.of_server
    if sizes is None:
        return Size(0, "neither a previous backup nor the catalogue was seen", None)
    if is_base and not sizes.cluster_bytes:
        return Size(0, "the role may not see the size of every tablespace", None, granted("pg_read_all_stats", planned))
    if is_base:
        size = (sizes.cluster_bytes or 0) + _WAL_SEGMENTS * sizes.wal_segment_bytes
        return Size(size, f"by the catalogue: all tablespaces and {_WAL_SEGMENTS} WAL segments", size)
    if not sizes.dumped_bytes:
        return Size(0, "by the catalogue, its tables hold nothing", 0)
    if planned.is_packed:
        return Size(sizes.dumped_bytes, "by the catalogue: its tables without indexes", sizes.dumped_bytes)
    if seen.text_bytes is None:
        unread = "it is not compressed, and the role may not read the tables, or a sample of them took too long"
        return Size(0, unread, None, granted("pg_read_all_data", planned))
    # A large object is written in hexadecimal digits.
    size = seen.text_bytes + 2 * sizes.large_object_bytes
    return Size(size, "by a sample of its tables, as text that is not packed", size)


def granted(role: str, planned: PlannedBackup) -> str:
    return planned.database.on_primary(membership_grant(role, planned.database.user))
