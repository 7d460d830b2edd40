"""backup-space: everything the window's backups write fits where they are written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import Backup, BackupFormat, BackupMethod, Bytes, Host
from preflight.plan.limits import Between
from preflight.plan.work import Section, ServerWork, minutes_at_stake, server_work
from preflight.probes.backup_files import BackupFile, Listing, PreviousBackups
from preflight.probes.shell import AsAccount
from preflight.probes.sizes import Sizes, SizesProbe
from preflight.probes.storage import Directory, DirectoryKind, DirectoryProbe
from preflight.sizes import format_need, format_size

_KIB, _MIB, _GIB = 1024, 1024**2, 1024**3
_KEEP_BYTES = Bytes(20 * _GIB)
_PLAIN_FACTOR = 4
"""Text is written out of compressed storage: measured up to 3.8 times the tables' size."""
_WAL_SEGMENTS = 2
_SPARE_INODES = 100
_FILES_BESIDE_TABLES = 10
_FORKS = 2
_FILES_BESIDE_RELATIONS = 1000
_COMPRESSED = (BackupFormat.CUSTOM, BackupFormat.DIRECTORY)


@dataclass(frozen=True, slots=True)
class BackupSpaceSettings:
    """What should stay free when all backups are written; the smaller of the two counts."""

    keep_percent: Annotated[float, Between(0, 100)] = 10.0
    """Of the file system's size."""
    keep_bytes: Bytes = _KEEP_BYTES


@dataclass(frozen=True, slots=True)
class _Item:
    """One backup of the plan, with where and as whom it runs."""

    backup: Backup
    work: ServerWork

    @property
    def host(self) -> Host:
        return self.work.host

    @property
    def account(self) -> AsAccount:
        return AsAccount.on(self.host, self.backup.account)

    @property
    def writes_many_files(self) -> bool:
        if self.backup.method is BackupMethod.PG_BASEBACKUP:
            return self.backup.format is not BackupFormat.TAR
        return self.backup.format is BackupFormat.DIRECTORY

    @property
    def machine(self) -> tuple[object, ...]:
        """Equal for two hosts of the plan that are one machine with two logins."""
        return (self.host.address or self.host.id, self.host.port, self.host.jump)


@dataclass(frozen=True, slots=True)
class _Need:
    """What one backup will write."""

    item: _Item
    expected: int
    """Bytes; 0 when nothing tells."""
    method: str
    """How the size is known; or why it is not."""
    files: int

    @property
    def id(self) -> str:
        return self.item.backup.id

    @property
    def bytes(self) -> int:
        return math.ceil(self.expected * self.item.backup.headroom)

    def __str__(self) -> str:
        headroom = f"{self.item.backup.headroom:g}"
        return f"{self.id} needs {format_need(self.bytes)} ({headroom} x {format_need(self.expected)}, {self.method})"


@dataclass(frozen=True, slots=True)
class _Room:
    """What limits the bytes on one file system."""

    what: str
    """`free` or `left of the quota`."""
    bytes: int
    needs: tuple[_Need, ...]
    """Of the backups that certainly share it."""
    perhaps: tuple[_Need, ...] = ()
    """Of those whose place cannot be told."""


class BackupSpace(Check):
    """Does everything that the backups will write fit, and does enough stay free?

    A backup that fills the disk at 03:00 ends the window, and with it maybe the database beside it; then the way
    back is gone too (a). The size of each backup is what the plan expects; else that of the previous one (the larger
    of the newest two, as the newest may be cut short); else an estimate from the catalogue: a compressed dump is no
    larger than the tables (a dump has no index data), plain and tar are taken as 4 times that, since stored text is
    compressed and binary data doubles; a base backup is all tablespaces and two WAL segments. Times `headroom`, it
    must fit into what an account without privilege may use, and into its quota where the host shows one. Backups of
    the plan that lie on one storage are added up. What stays free should be `keep_percent` of the file system or
    `keep_bytes`, whichever is less: a WARN below, a FAIL when it does not fit. Inodes count as well. A directory
    that does not exist is UNKNOWN here: the file system of its parent says nothing.
    """

    id = "backup-space"
    title = "the backup fits where it is written"
    Settings = BackupSpaceSettings

    def subjects(self) -> Sequence[Subject]:
        return [Subject(item.backup.id, item, item.work.owner) for item in self._items()]

    def _items(self) -> list[_Item]:
        works = (work for work in server_work(self.plan) if work.section is Section.BACKUPS)
        return [_Item(self.plan.backups[work.id], work) for work in works]

    def _neighbours(self, item: _Item) -> list[_Item]:
        """All backups of the same machine, this one first."""
        others = (other for other in self._items() if other.backup.id != item.backup.id)
        return [item, *(other for other in others if other.machine == item.machine)]

    def probes(self, subject: Subject) -> Probes:
        wanted: dict[str, Any] = {}
        for item in self._neighbours(subject.item):
            backup, host = item.backup, item.host.id
            wanted[f"directory {backup.id}"] = DirectoryProbe(host, item.account, backup.directory)
            if backup.previous and not backup.expected:
                wanted[f"previous {backup.id}"] = PreviousBackups(host, item.account, backup.previous)
            elif not backup.expected or item.writes_many_files:
                wanted[f"sizes {backup.database}"] = SizesProbe(backup.database)
        return wanted

    def follow_up(self, subject: Subject, *_args: Any, **facts: Any) -> Probes:
        """In the database session: the sizes of tables and of the database from the catalogue, where there turns out to
        be no previous backup to go by, or the number of files depends on it."""
        return {
            name: SizesProbe(item.backup.database)
            for item in self._neighbours(subject.item)
            if (name := f"sizes {item.backup.database}") not in facts
            and f"previous {item.backup.id}" in facts
            and (item.writes_many_files or _largest(facts[f"previous {item.backup.id}"]) is None)
        }

    def judge(self, subject: Subject, *_args: Any, **facts: Any) -> Judgement:
        item: _Item = subject.item
        directory: Directory = facts[f"directory {item.backup.id}"]
        problem = _not_measured(item, directory)
        if problem:
            return problem
        together, perhaps = [], []
        for other in self._neighbours(item):
            need = _need(other, facts)
            storage = _storage(facts[f"directory {other.backup.id}"])
            if other is item or (storage and storage == _storage(directory)):
                together.append(need)
            elif not storage or not _storage(directory):
                perhaps.append(need)
        lacking = [need for need in (*together, *perhaps) if need.expected <= 0]
        if lacking:
            return _size_not_known(lacking[0])
        return Judgement.of(self._points(item, directory, tuple(together), tuple(perhaps)))

    def _points(
        self, item: _Item, directory: Directory, together: tuple[_Need, ...], perhaps: tuple[_Need, ...]
    ) -> Iterator[Judgement]:
        place = directory.place
        free = _Room("free", place.free_bytes, together, perhaps)
        yield self._judge_bytes(item, directory, free)
        quotas = [
            quota
            for quota in directory.quotas
            if directory.as_account and place.mount is not None and quota.source == place.mount.source
        ]
        own = tuple(need for need in together if need.item.account == item.account)
        for left in (quota.left_bytes for quota in quotas):
            if left is not None and left < place.free_bytes:
                room = _Room(f"left of the quota of {item.work.account}", left, own, perhaps)
                yield self._judge_bytes(item, directory, room)
        limits = [place.free_inodes, *(quota.left_files for quota in quotas)]
        yield self._judge_files(item, directory, min((left for left in limits if left is not None), default=None), free)

    def _judge_bytes(self, item: _Item, directory: Directory, room: _Room) -> Judgement:
        place = directory.place
        where = f"{_mount(directory)} of {item.host.id}"
        share = place.size_bytes * self.settings.keep_percent / 100
        keep = math.ceil(min(share, self.settings.keep_bytes))
        left = room.bytes - sum(need.bytes for need in room.needs)
        needs = _told(room.needs)
        actual = f"{format_size(room.bytes)} {room.what} of {format_size(place.size_bytes)} on {where}"
        wanted = f"{needs}; {format_need(keep)} should stay free ({self._rule()})"
        remedy = (
            f"free {format_need(keep - left)} on {where}, or name another directory in [backups.{item.backup.id}]"
            if room.what == "free"
            else f"have the quota of {item.work.account} on {where} raised by {format_need(keep - left)}"
        )
        if left < 0:
            together = " together" if len(room.needs) > 1 else ""
            return failed(
                f"{_ids(room.needs)}{' do' if together else ' does'} not fit{together}: {format_need(-left)} missing, "
                f"{format_size(room.bytes)} {room.what}",
                expected=wanted,
                actual=actual,
                remedy=remedy,
                minutes_at_stake=minutes_at_stake(self.plan, [item.work]),
            )
        if left < sum(need.bytes for need in room.perhaps):
            return unknown(
                f"fits only if {_ids(room.perhaps)} lies elsewhere, which cannot be told",
                expected=f"{wanted}; {_told(room.perhaps)}",
                actual=actual,
                remedy=f"cure what backup-location says of {_ids(room.perhaps)}, then run again",
            )
        if left < keep:
            summary = f"fits, but only {format_size(left)} of {format_size(place.size_bytes)} stays {room.what}"
            return warned(summary, expected=wanted, actual=actual, remedy=remedy)
        return passed(
            f"{needs}; {format_size(room.bytes)} {room.what} on {where}, {format_size(left)} stays",
            expected=wanted,
            actual=actual,
        )

    def _rule(self) -> str:
        return f"{self.settings.keep_percent:g} % of the file system or {format_size(self.settings.keep_bytes)}"

    def _judge_files(self, item: _Item, directory: Directory, left: int | None, room: _Room) -> Judgement:
        if left is None:
            return passed("inodes are not limited")
        where = f"{_mount(directory)} of {item.host.id}"
        certain = sum(need.files for need in room.needs) + _SPARE_INODES
        wanted = f"{certain} free inodes: {_told_files(room.needs)} and {_SPARE_INODES} to spare"
        if left < certain:
            return failed(
                f"{left} inodes free, {certain} needed",
                expected=wanted,
                actual=f"{left} inodes free on {where}, whatever its free bytes",
                remedy=f"remove {certain - left} files on {where}, or name another directory in "
                f"[backups.{item.backup.id}]",
                minutes_at_stake=minutes_at_stake(self.plan, [item.work]),
            )
        if left < certain + sum(need.files for need in room.perhaps):
            return unknown(
                f"inodes suffice only if {_ids(room.perhaps)} lies elsewhere, which cannot be told",
                expected=f"{wanted}; {_told_files(room.perhaps)}",
                actual=f"{left} inodes free on {where}",
                remedy=f"cure what backup-location says of {_ids(room.perhaps)}, then run again",
            )
        return passed(f"{left} inodes free", expected=wanted)


def _not_measured(item: _Item, directory: Directory) -> Judgement | None:
    place, path = directory.place, item.backup.directory
    if directory.kind is not DirectoryKind.DIRECTORY or not place.seen:
        hidden = directory.kind is DirectoryKind.MISSING and not directory.passable
        why = "cannot be seen by the account" if hidden else "does not exist"
        return unknown(
            f"directory {why} (see backup-location)",
            expected=f"a directory {path} on {item.host.id}, whose file system can be measured",
            actual=f"seen as far as {place.reached}",
            remedy=f"cure what backup-location says of {item.backup.id}, then run again",
        )
    if place.size_bytes <= 0:
        return unknown(
            "the file system does not tell its size",
            expected=f"free and total bytes of {_mount(directory)} on {item.host.id}",
            actual="0 bytes in total",
            remedy=f"name a directory of a file system that tells its size in [backups.{item.backup.id}]",
        )
    return None


def _size_not_known(need: _Need) -> Judgement:
    return unknown(
        f"the size of backup {need.id} is not known: {need.method}",
        expected="a size above 0, from the plan, a previous backup or the catalogue",
        actual=need.method,
        remedy=f'declare it, for example: [backups.{need.id}] expected = "20GiB"',
    )


def _storage(directory: Directory) -> str:
    """Where the directory's bytes go; empty when that cannot be told."""
    return directory.place.storage if directory.kind is DirectoryKind.DIRECTORY and directory.place.seen else ""


def _largest(previous: Listing | None) -> BackupFile | None:
    """Of the two newest; None where no size could be seen."""
    seen = [backup for backup in previous.backups[:2] if backup.size_bytes is not None] if previous else []
    return max(seen, key=lambda backup: backup.size_bytes or 0, default=None)


def _need(item: _Item, facts: Mapping[str, Any]) -> _Need:
    sizes: Sizes | None = facts.get(f"sizes {item.backup.database}")
    expected, method = _expected(item.backup, facts.get(f"previous {item.backup.id}"), sizes)
    return _Need(item, expected, method, _files(item, sizes))


def _expected(backup: Backup, previous: Listing | None, sizes: Sizes | None) -> tuple[int, str]:
    """(bytes, how they are known), best source first."""
    if backup.expected:
        return backup.expected, "as the plan expects"
    largest = _largest(previous)
    if largest is not None:
        return largest.size_bytes or 0, f"as {largest.path}" if largest.size_bytes else f"{largest.path} is empty"
    if sizes is None:
        return 0, "neither a previous backup nor the catalogue was seen"
    if backup.method is BackupMethod.PG_BASEBACKUP:
        if not sizes.cluster_bytes:
            return 0, "the role may not see the size of every tablespace (GRANT pg_monitor)"
        segments = _WAL_SEGMENTS * sizes.wal_segment_bytes
        return sizes.cluster_bytes + segments, "by the catalogue: all tablespaces and 2 WAL segments"
    if not sizes.dumped_bytes:
        return 0, "by the catalogue, its tables hold nothing"
    if backup.format in _COMPRESSED:
        return sizes.dumped_bytes, "by the catalogue: its tables without indexes"
    return (
        _PLAIN_FACTOR * sizes.dumped_bytes,
        f"by the catalogue: {_PLAIN_FACTOR} x its tables, as {backup.format} is not compressed",
    )


def _files(item: _Item, sizes: Sizes | None) -> int:
    """How many files the backup makes, at most."""
    if not item.writes_many_files or sizes is None:
        return 1 if item.backup.method is BackupMethod.PG_DUMP else (sizes.tablespaces if sizes else 1) + 2
    if item.backup.method is BackupMethod.PG_BASEBACKUP:
        segments = (sizes.cluster_bytes or 0) // _GIB
        return _FORKS * sizes.cluster_relations + segments + _FILES_BESIDE_RELATIONS
    return sizes.tables + sizes.large_objects + _FILES_BESIDE_TABLES


def _mount(directory: Directory) -> str:
    mount = directory.place.mount
    return mount.point if mount else directory.place.real


def _ids(needs: Sequence[_Need]) -> str:
    return " and ".join(need.id for need in needs)


def _told(needs: Sequence[_Need]) -> str:
    total = f", together {format_need(sum(need.bytes for need in needs))}" if len(needs) > 1 else ""
    return "; ".join(map(str, needs)) + total


def _told_files(needs: Sequence[_Need]) -> str:
    return " and ".join(f"{need.files} for {need.id}" for need in needs)
