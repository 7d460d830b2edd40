"""What a backup needs where it is written, what else is written before, and what does not fit or is unknown. Pure."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Self

from preflight.finding import Judgement, passed, unknown, warned
from preflight.judging.backup_size import COMPARED, Seen, Size, granted, largest_of, size_of
from preflight.judging.schedule import schedule
from preflight.plan import BackupMethod
from preflight.plan.work import PlannedBackup, no_shell
from preflight.questions.backups import PARTS_WITHIN, BackupFile, BackupKind, Listing
from preflight.questions.sizes import Sizes, WalRate
from preflight.questions.storage import SPARE_INODES, Directory, device_name
from preflight.units import format_duration, format_need, format_size

_GIB = 1024**3
_FILES_BESIDE_TABLES = 10
_FORKS = 2
_FILES_BESIDE_RELATIONS = 1000


@dataclass(frozen=True, slots=True)
class Growth:
    """One thing that takes room before the backup begins."""

    what: str
    bytes: int
    identity: str = ""
    """Of the file that shows it: equal for two backups that lie in one folder."""

    def __str__(self) -> str:
        return f"{format_need(self.bytes)} {self.what}"


@dataclass(frozen=True, slots=True)
class Doubt:
    """What may take room besides and could not be seen."""

    summary: str
    most_bytes: int | None
    """None where nobody knows."""
    expected: str
    remedy: str


More = Growth | Doubt | None
"""What takes room besides the backups, or may."""


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
    many are kept, and then only after the next one is written: it frees nothing that is free now. Of a backup that is
    taken by itself the last of them is the window's own."""
    beside = [backup for backup in listing.backups if _lies_on(backup, directory)] if listing else []
    rhythm = _rhythm(beside)
    if listing is None or rhythm is None or beside[0] is not listing.backups[0]:
        return None
    coming, at = 0, beside[0].changed_at + rhythm
    while at < until:
        coming += at > listing.now
        at += rhythm
    if planned.backup.keep is not None:
        coming = min(coming, max(planned.backup.keep - listing.count, 0) + 1)
    coming -= bool(planned.taken_by)
    size = max((backup.size_bytes or 0 for backup in beside[:COMPARED]), default=0)
    if coming <= 0 or not size:
        return None
    files = "1 file" if coming == 1 else f"{coming} files"
    what = f"for {files} like {beside[0].path} (one every {format_duration(rhythm)})"
    return Growth(what, coming * size, beside[0].identity)


def reserved(backups: Iterable[PlannedBackup]) -> Growth | None:
    """What other applications write to one file system; the plan says it for each backup that lies there."""
    most = max((planned.backup.reserve or 0 for planned in backups), default=0)
    return Growth("reserved for other applications", most) if most else None


def wal_growth(planned: PlannedBackup, rate: WalRate | None, until: datetime, per_hour: int | None) -> More:
    """Write-ahead log that lies on the backup's storage; None where none is to be expected. `rate`: None of a server
    that does not count it. `per_hour`: as the plan says it, in bytes."""
    hourly = per_hour if per_hour is not None else rate.bytes_per_hour if rate else None
    hours = (until - (rate.seen_at if rate else planned.plan.window.start)).total_seconds() / 3600
    held = ", held back by a slot or a failing archive command" if rate and rate.held else ""
    if hourly is None:
        return Doubt(
            "how much write-ahead log comes before it begins is not known",
            rate.growth(timedelta(), None) if rate else None,
            "the server's own count of an hour or more (pg_stat_wal)",
            f"run again when the server has counted for an hour, or say the rate: [checks.backup-space] "
            f'wal_per_hour = {{ {planned.backup.database} = "1GiB" }}',
        )
    growth = rate.growth(timedelta(hours=hours), hourly) if rate else int(hourly * max(hours, 0))
    return Growth(f"for write-ahead log{held}", growth) if growth else None


def _rhythm(backups: Iterable[BackupFile]) -> timedelta | None:
    """None for fewer than two, and for parts of one backup."""
    gaps = [later.changed_at - earlier.changed_at for later, earlier in pairwise(backups)]
    rhythm = timedelta(seconds=median(gap.total_seconds() for gap in gaps)) if gaps else timedelta()
    return rhythm if rhythm >= PARTS_WITHIN else None


def _lies_on(backup: BackupFile, directory: Directory) -> bool:
    """By its device, or by its path where a file system shows another device than its mount (btrfs, ZFS)."""
    if backup.kind is BackupKind.MANAGED:
        return True
    mount = directory.place.mount
    device = backup.identity.partition(":")[0]
    if mount is not None and device.isdecimal() and device_name(int(device)) == mount.device:
        return True
    return backup.path.startswith(f"{directory.place.path.rstrip('/')}/")


@dataclass(frozen=True, slots=True)
class Need:
    """What one backup will write."""

    planned: PlannedBackup
    size: Size
    files: int
    """At most."""
    largest_file: int
    """Bytes that one of its files has at most."""

    @property
    def id(self) -> str:
        return self.planned.id

    @property
    def bytes(self) -> int:
        return math.ceil(self.size.expected * self.planned.backup.headroom)

    @property
    def doubt(self) -> Doubt | None:
        """Where the database may have grown since the backup by which the size is known."""
        size, backup = self.size, self.planned.backup
        if size.most is not None and size.most <= size.expected:
            return None
        most = None if size.most is None else math.ceil(size.most * backup.headroom) - self.bytes
        expected = f'{self.planned.table} expected = "20GiB"'
        if not self.planned.target:
            return Doubt(
                f"{self.id} fits only if {self.planned.what} has not grown since: {size.method}",
                most,
                "its size, which nothing here can ask that database for",
                f"declare the size: {expected}",
            )
        reading = f"let the previous one be read to its end (`read_within` of {self.planned.table}) and the tables: "
        reading += granted("pg_read_all_data", self.planned)
        return Doubt(
            f"{self.id} fits only if {backup.database} has not grown since: {size.method}",
            most,
            f"the previous backup of {self.id} held against what {backup.database} holds now",
            f"declare the size: {expected}"
            if backup.method.has_repository
            else f"{reading}; or declare it: {expected}",
        )

    def __str__(self) -> str:
        expected, headroom = format_need(self.size.expected), self.planned.backup.headroom
        return f"{self.id} needs {format_need(self.bytes)} ({headroom:g} x {expected}, {self.size.method})"

    def judge_file_size(self, directory: Directory) -> Judgement:
        """A program that passes `ulimit -f` is killed in the middle of its file (SIGXFSZ)."""
        planned, limit = self.planned, directory.file_limit_bytes
        if limit is None or limit >= self.largest_file:
            return passed("files may be as large as it takes")
        who, host = planned.who, planned.host.id
        expected = f"files of {format_need(self.largest_file)}: {self}"
        if not directory.as_account:
            said = f"files of the login may grow to {format_size(limit)} only (ulimit -f), those of {who} are not seen"
            return no_shell(planned.host, who, said, expected=expected, actual=format_size(limit))
        return planned.failed(
            f"files of {who} may grow to {format_size(limit)} only (ulimit -f)",
            expected=expected,
            actual=f"{format_size(limit)}, the soft limit of a session of {who}",
            remedy=f"have the limit lifted on {host}, as root, then log in anew: "
            f"printf '{who} - fsize unlimited\\n' > /etc/security/limits.d/{who}-fsize.conf",
        )

    def not_known(self) -> Judgement:
        """Where nothing tells its size."""
        return unknown(
            f"the size of backup {self.id} is not known: {self.size.method}",
            expected="a size above 0, from the plan, a previous backup or the catalogue",
            actual=self.size.method,
            remedy=f"{self.size.cure}; or " * bool(self.size.cure)
            + f'declare it, for example: [backups.{self.id}] expected = "20GiB"',
        )


def total(needs: Sequence[Need]) -> str:
    """Each of them, and their sum where there are several."""
    together = f", together {format_need(sum(need.bytes for need in needs))}" if len(needs) > 1 else ""
    return "; ".join(map(str, needs)) + together


def total_files(needs: Sequence[Need]) -> str:
    return " and ".join(f"{need.files} for {need.id}" for need in needs)


def names(needs: Sequence[Need]) -> str:
    return " and ".join(need.id for need in needs)


def need_of(planned: PlannedBackup, seen: Seen) -> Need:
    size = size_of(planned, seen)
    return Need(planned, size, _files(planned, seen.sizes), _largest_file(planned, size, seen.sizes))


def _largest_file(planned: PlannedBackup, size: Size, sizes: Sizes | None) -> int:
    if not planned.writes_many_files or sizes is None:
        return size.expected
    if planned.backup.method.of_server:
        return min(size.expected, _GIB)  # the server's own segments
    return min(size.expected, sizes.largest_table_bytes)


def _files(planned: PlannedBackup, sizes: Sizes | None) -> int:
    is_dump = planned.backup.method is BackupMethod.PG_DUMP
    if not planned.writes_many_files or sizes is None:
        return 1 if is_dump else (sizes.tablespaces if sizes else 1) + 2
    if is_dump:
        return sizes.tables + sizes.large_objects + _FILES_BESIDE_TABLES
    return _FORKS * sizes.cluster_relations + (sizes.cluster_bytes or 0) // _GIB + _FILES_BESIDE_RELATIONS


@dataclass(frozen=True, slots=True)
class Room:
    """What limits the bytes on one file system."""

    what: str
    """`free` or `left of the quota`."""
    bytes: int
    needs: tuple[Need, ...]
    """Of the backups that certainly share it."""
    growth: tuple[Growth, ...] = ()
    """What takes room there before the backup begins."""
    doubts: tuple[Doubt, ...] = ()
    """What may take room besides, and could not be seen."""
    perhaps: tuple[Need, ...] = ()
    """Of those whose place cannot be told."""

    @property
    def unsized(self) -> Need | None:
        """The first of which nothing tells the size."""
        return next((need for need in (*self.needs, *self.perhaps) if need.size.expected <= 0), None)

    def less(self, more: More) -> Self:
        """With one more thing that takes room, or may."""
        if isinstance(more, Doubt):
            return replace(self, doubts=(*self.doubts, more))
        return replace(self, growth=(*self.growth, more)) if more else self

    def judge_doubts(self, left: int, actual: str) -> Judgement | None:
        """UNKNOWN where what may come besides does not fit into the bytes `left`, or has no limit."""
        boundless = next((doubt for doubt in self.doubts if doubt.most_bytes is None), None)
        most = sum(doubt.most_bytes or 0 for doubt in self.doubts)
        if boundless is None and left >= most:
            return None
        doubt = boundless or self.doubts[0]
        summary = doubt.summary if boundless else f"{doubt.summary}: {format_need(most)} more at most"
        return unknown(summary, expected=doubt.expected, actual=actual, remedy=doubt.remedy)

    def only_if_elsewhere(self, fits: str, expected: str, actual: str) -> Judgement:
        """UNKNOWN for backups whose place cannot be told. `fits`: what is so without them."""
        return unknown(
            f"{fits} only if {names(self.perhaps)} lies elsewhere, which cannot be told",
            expected=expected,
            actual=actual,
            remedy=f"cure what backup-location says of {names(self.perhaps)}, then run again",
        )

    def judge_files(self, planned: PlannedBackup, directory: Directory, left: int) -> Judgement:
        where = f"{directory.mount_point} of {planned.host.id}"
        certain = sum(need.files for need in self.needs) + SPARE_INODES
        wanted = f"{certain} free inodes: {total_files(self.needs)} and {SPARE_INODES} to spare"
        if left < certain:
            return planned.failed(
                f"{left} inodes free, {certain} needed",
                expected=wanted,
                actual=f"{left} inodes free on {where}, whatever its free bytes",
                remedy=f"remove {certain - left} files on {where}, or name another directory in {planned.table}",
            )
        if left < certain + sum(need.files for need in self.perhaps):
            expected = f"{wanted}; {total_files(self.perhaps)}"
            return self.only_if_elsewhere("inodes suffice", expected, f"{left} inodes free on {where}")
        return passed(f"{left} inodes free", expected=wanted)


def judge_expected(planned: PlannedBackup, previous: Listing | None) -> Iterator[Judgement]:
    """What the plan expects is believed, but told where the previous backup was larger."""
    largest, expected = largest_of(previous), planned.backup.expected
    if not expected or largest is None or largest.size_bytes is None:
        return
    if largest.size_bytes > expected:
        size = format_size(largest.size_bytes)
        yield warned(
            f"the plan expects {format_size(expected)}, less than the previous backup has",
            expected=f"`expected` of at least {size}, or the reason why it is less now",
            actual=f"{largest.path} has {size}",
            remedy=f"correct `expected` in {planned.table}, or take it out",
        )
