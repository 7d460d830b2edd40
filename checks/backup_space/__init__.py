"""backup-space: everything the window's backups write fits where they are written."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, Quantity, passed, unknown, warned
from preflight.judging.backup_size import Seen
from preflight.judging.schedule import time_in_window
from preflight.plan import BackupFormat, BackupMethod, Bytes
from preflight.plan.limits import Between
from preflight.plan.release_plan import Machine, grouped, machine_of
from preflight.plan.values import DatabaseRef
from preflight.plan.work import PlannedBackup, behind_become, planned_backups
from preflight.questions import sizes
from preflight.questions.backup_reads import ArchiveRead, TextRead, earlier_backups, read_in_full
from preflight.questions.backups import Listing
from preflight.questions.shell import AsAccount
from preflight.questions.storage import Directory, DirectoryKind, DirectoryProbe, Place, PlacesProbe
from preflight.units import format_need, format_size

from .need import More, Room, begins_at, judge_expected, names, need_of, nightly_growth, reserved, total, wal_growth

_KEEP_BYTES = Bytes(20 * 1024**3)
_TEMPORARY = "/tmp"  # noqa: S108 - by tmpfile(3), whatever TMPDIR says
"""Where pg_dump puts each table first for the tar format, which tells sizes before contents."""
_SHARED = "storage of several hosts"
"""The subject about hosts that turn out to be one machine."""


class BackupSpace(Check):
    """Does everything that the backups will write still fit when they begin, and does enough stay free?

    A backup that fills the disk at 03:00 ends the window, and with it maybe the database beside it; then the way
    back is gone too (a). The size of each backup is what the plan expects; else that of the previous one (the larger
    of the newest two, as the newest may be cut short) as many times as the database has grown since, and what the
    database holds now, whichever is more: a compressed dump is no larger than the tables (a dump has no index data); of
    one that is not compressed a sample of rows tells how much text it will be; a base backup is all tablespaces and two
    WAL segments. Where the tables would not fit, the newest backup is read to its end, as that tells how much text it
    was of. Times `headroom`, a backup must fit into what an account without privilege may use, into its quota where the
    host shows one, and each file into the limit on the size of files (`ulimit -f`). Backups of the plan that lie on one
    storage are added up, also those of several hosts that are one machine. What will be written there before the
    backup's step begins is taken off first: `reserve` of the entries, the files of the regular backup, by their rhythm
    and size, one of them before the oldest is removed, and write-ahead log where it shares the storage. What stays free
    should be `keep_percent` of the file system or `keep_bytes`, whichever is less: a WARN below, a FAIL when it does
    not fit. Inodes count as well; and for the tar format WARN where the largest table does not fit into `/tmp`. A
    directory that does not exist is UNKNOWN here: the file system of its parent says nothing.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        """What should stay free when all backups are written; the smaller of the two counts."""

        keep_percent: Annotated[float, Between(0, 100)] = 10.0
        """Of the file system's size."""
        keep_bytes: Bytes = _KEEP_BYTES
        """Of whatever size the file system is."""
        wal_per_hour: Mapping[DatabaseRef, Bytes] = field(default_factory=dict)
        """Database -> write-ahead log that its server writes in an hour, where the server was not up for long enough to
        tell."""

    id = "backup-space"
    title = "the backup fits where it is written"
    sections = ("backups",)
    needs = (
        "as the backup's account: search the backup directory; CONNECT for the database role, pg_read_all_settings for "
        "the data directory's place, and pg_read_all_stats for a base backup's tablespaces"
    )
    cure = "free or add room, or name another directory"
    judges_no_reply = frozenset({"read"})

    def subjects(self) -> Sequence[Subject]:
        """Each backup; and where they lie on several hosts, those hosts together, which may be one machine."""
        backups = self._backups
        single = [Subject(planned.id, planned, planned.owner, steps=planned.steps) for planned in backups]
        several = len(self._by_machine) > 1
        return [*single, Subject(_SHARED, tuple(backups), backups[0].owner)] if several else single

    @cached_property
    def _backups(self) -> Sequence[PlannedBackup]:
        return [planned for planned in planned_backups(self.plan) if planned.backup.directory]

    @cached_property
    def _by_machine(self) -> Mapping[Machine, Sequence[PlannedBackup]]:
        """The plan's backups by the machine it reaches."""
        return grouped(self._backups, lambda planned: machine_of(planned.host))

    def _neighbours(self, subject: Subject) -> Sequence[PlannedBackup]:
        """All backups that the plan places on the subject's machine, its own first; those of every host for all."""
        if subject.id == _SHARED:
            every: Sequence[PlannedBackup] = subject.item
            return every
        planned: PlannedBackup = subject.item
        return [planned, *(other for other in self._by_machine[machine_of(planned.host)] if other.id != planned.id)]

    def probes(self, subject: Subject) -> Probes:
        wanted: dict[str, Any] = {}
        for each in self._neighbours(subject):
            backup = each.backup
            wanted[f"directory {backup.id}"] = DirectoryProbe.of(each)
            if previous := earlier_backups(each):
                wanted[f"previous {backup.id}"] = previous
            if each.target and (each.writes_many_files or not backup.expected or _copies_tables(each)):
                wanted[f"sizes {backup.database}"] = sizes.SizesProbe(backup.database)
        if subject.id == _SHARED:
            own = [each for each in subject.item if each.target]
            return wanted | {f"files {each.id}": sizes.DataDirectoriesProbe(each.backup.database) for each in own}
        named = subject.item.backup.database
        return {**wanted, "files": sizes.DataDirectoriesProbe(named)} if named else wanted

    def follow_up(self, subject: Subject, *, files: sizes.DataDirectories | None = None, **facts: Any) -> Probes:
        """In the database session: how much text the tables are, by a sample of their rows, where the backup is not
        compressed or might not fit; and how much write-ahead log the server writes. On the host, as the account that
        takes the backup: on which storage the database's directories lie; and where the previous backup fits and the
        tables would not, that backup is read to its end, as `earlier-backup` reads it, which tells how much text it
        was of."""
        probes: dict[str, Any] = {}
        neighbours = self._neighbours(subject)
        needs = {each.id: need_of(each, _seen(each, facts)) for each in neighbours}
        most: Counter[Machine] = Counter()  # what is on other machines needs no room here
        for each in neighbours:
            most[_machine(each, facts)] += max(needs[each.id].bytes, needs[each.id].size.most or 0)
        for each in neighbours:
            directory: Directory = facts[f"directory {each.id}"]
            may_grow = needs[each.id].doubt is not None and most[_machine(each, facts)] > directory.place.free_bytes
            as_text = each.backup.method is BackupMethod.PG_DUMP and not each.is_packed
            if each.target and not each.backup.expected and (may_grow or as_text):
                probes[f"text {each.backup.database}"] = sizes.TextSizeProbe(each.backup.database)
            listing = _previous(each, facts)
            newest = listing.backups[0] if listing and listing.backups else None
            if listing and newest and may_grow and each.is_packed and not each.backup.verify:
                read = read_in_full(each, listing, newest)
                probes |= {f"read {each.id}": read} if read else {}
        if subject.id != _SHARED and _copies_tables(subject.item):
            probes["temporary"] = PlacesProbe(subject.item.host.id, AsAccount.of(subject.item), (_TEMPORARY,))
        own = {f" {each.id}": each for each in subject.item} if subject.id == _SHARED else {"": subject.item}
        for name, planned in own.items():
            shown: sizes.DataDirectories | None = facts.get(f"files{name}", files)
            if shown and shown.data and planned.is_beside_database and _storage(facts[f"directory {planned.id}"]):
                probes[f"places{name}"] = PlacesProbe(planned.host.id, AsAccount.of(planned), shown.paths)
                probes[f"wal{name}"] = sizes.WalRateProbe(planned.backup.database)
        return probes

    def judge(
        self,
        subject: Subject,
        *,
        places: Mapping[str, Place] | None = None,
        wal: sizes.WalRate | None = None,
        temporary: Mapping[str, Place] | None = None,
        **facts: Any,
    ) -> Judgement:
        if subject.id == _SHARED:
            return Judgement.of(self._together(subject.item, facts))
        planned: PlannedBackup = subject.item
        directory: Directory = facts[f"directory {planned.id}"]
        if problem := _not_measured(planned, directory):
            return problem
        storage = _storage(directory)
        others = self._neighbours(subject)[1:]
        beside = [planned, *(each for each in others if _storage_of(each, facts) == storage != "")]
        perhaps = [each for each in others if not (storage and _storage_of(each, facts))]
        room = self._room(directory, beside, facts, perhaps).less(self._wal(planned, storage, places, wal))
        if room.unsized:
            return room.unsized.not_known()
        size = (room.needs[0].judge_file_size(directory), *judge_expected(planned, _previous(planned, facts)))
        copied = self._judge_copied(planned, facts, temporary[_TEMPORARY]) if temporary else ()
        return Judgement.of([*self._points(planned, directory, room), *size, *copied])

    def _judge_copied(self, planned: PlannedBackup, facts: Mapping[str, Any], place: Place) -> Iterator[Judgement]:
        largest = facts[f"sizes {planned.backup.database}"].largest_table_bytes
        if place.free_bytes < largest:
            yield warned(
                f"pg_dump copies each table to {_TEMPORARY} first, and the largest may not fit there",
                expected=f"{format_need(largest)} free on {place.label} of {planned.host.id}, as the database has it",
                actual=f"{format_size(place.free_bytes)} free",
                remedy=f'have room made there; or have it taken as format = "custom", in [backups.{planned.id}] too',
            )

    def _wal(
        self, planned: PlannedBackup, storage: str, places: Mapping[str, Place] | None, wal: sizes.WalRate | None
    ) -> More:
        """It counts where the data directory, its WAL or a tablespace lies on the backup's storage."""
        if not any(place.storage and place.storage == storage for place in (places or {}).values()):
            return None
        return wal_growth(planned, wal, begins_at(planned), self.settings.wal_per_hour.get(planned.backup.database))

    def _room(
        self,
        directory: Directory,
        together: Sequence[PlannedBackup],
        facts: Mapping[str, Any],
        perhaps: Sequence[PlannedBackup] = (),
    ) -> Room:
        """On the storage of `directory`, on which the backups `together` certainly lie; the first is judged."""
        needs = tuple(need_of(each, _seen(each, facts)) for each in together)
        may_need = tuple(need_of(each, _seen(each, facts)) for each in perhaps)
        begins = begins_at(together[0])
        nightly = [nightly_growth(each, _previous(each, facts), directory, begins) for each in together]
        known = {each.identity: each for each in nightly if each}  # two entries may list the files of one job
        growth = [*known.values(), reserved(together)]
        doubts = tuple(need.doubt for need in needs if need.doubt)
        return Room("free", directory.place.free_bytes, needs, tuple(filter(None, growth)), doubts, may_need)

    def _together(self, backups: Sequence[PlannedBackup], facts: Mapping[str, Any]) -> Iterator[Judgement]:
        """Hosts that were seen to be one machine, although the plan reaches them at several places: what lies on one
        storage of it is added up. A backup that is alone there, and one whose place is not known, has its own line."""

        def place(planned: PlannedBackup) -> Machine:
            return (*_machine(planned, facts), _storage(directories[planned.id]))

        directories: dict[str, Directory] = {each.id: facts[f"directory {each.id}"] for each in backups}
        sharing = grouped((each for each in backups if _storage(directories[each.id])), place)
        groups = [group for group in sharing.values() if len({machine_of(each.host) for each in group}) > 1]
        for group in groups:
            first = group[0]
            room = self._room(directories[first.id], group, facts)
            of_postgres = [each for each in group if each.target]
            for each, *_ in grouped(of_postgres, lambda each: facts[f"files {each.id}"].data).values():  # of one server
                places, wal = facts.get(f"places {each.id}"), facts.get(f"wal {each.id}")
                room = room.less(self._wal(each, _storage(directories[each.id]), places, wal))
            unsized = room.unsized
            yield from [unsized.not_known()] if unsized else self._points(first, directories[first.id], room)
        if not groups:
            yield passed("no two of the hosts are one machine with backups on one storage")

    def _points(self, planned: PlannedBackup, directory: Directory, free: Room) -> Iterator[Judgement]:
        place = directory.place
        yield self._judge_bytes(planned, directory, free)
        source = place.mount.source if place.mount else None
        quotas = [each for each in directory.quotas if directory.as_account and each.source == source]
        own = tuple(need for need in free.needs if need.planned.account == planned.account)
        for left in (quota.left_bytes for quota in quotas):
            if left is not None and left < place.free_bytes:
                what = f"left of the quota of {planned.who}"
                yield self._judge_bytes(planned, directory, replace(free, what=what, bytes=left, needs=own))
        limits = [place.free_inodes, *(quota.left_files for quota in quotas)]
        least = min((left for left in limits if left is not None), default=None)
        yield passed("inodes are not limited") if least is None else free.judge_files(planned, directory, least)

    def _judge_bytes(self, planned: PlannedBackup, directory: Directory, room: Room) -> Judgement:
        place = directory.place
        where = f"{directory.mount_point} of {planned.host.id}"
        percent, most = self.settings.keep_percent, self.settings.keep_bytes
        keep = math.ceil(min(place.size_bytes * percent / 100, most))
        coming = sum(each.bytes for each in room.growth)
        left = room.bytes - coming - sum(need.bytes for need in room.needs)
        needs = total(room.needs)
        begins = time_in_window(self.plan.window, begins_at(planned))
        actual = f"{format_size(room.bytes)} {room.what} of {format_size(place.size_bytes)} on {where}"
        if room.growth:
            then = format_size(max(room.bytes - coming, 0))
            actual += f"; {then} when the backup begins at {begins}, after {' and '.join(map(str, room.growth))}"
        wanted = f"{needs}; {format_need(keep)} should stay free ({percent:g} % of the file system or "
        wanted += f"{format_size(most)}, whichever is less)"
        remedy = f"free {format_need(keep - left)} on {where}, or name another directory in {planned.table}"
        if room.what != "free":
            remedy = f"have the quota of {planned.who} on {where} raised by {format_need(keep - left)}"
        if left < 0:
            together = " together" if len(room.needs) > 1 else ""
            by_then = f" at {begins}" if coming else ""
            short = planned.failed(
                f"{names(room.needs)}{' do' if together else ' does'} not fit{together}{by_then}: {format_need(-left)} "
                f"missing, {format_size(room.bytes)} {room.what}{' now' if coming else ''}",
                expected=wanted,
                actual=actual,
                remedy=remedy,
            )
            return replace(short, quantity=Quantity(-left, "B"))
        if left < sum(need.bytes for need in room.perhaps):
            return room.only_if_elsewhere("fits", f"{wanted}; {total(room.perhaps)}", actual)
        if doubtful := room.judge_doubts(left, actual):
            return doubtful
        if left < keep:
            summary = f"fits, but only {format_size(left)} of {format_size(place.size_bytes)} stays {room.what}"
            return warned(summary, expected=wanted, actual=actual, remedy=remedy)
        summary = f"{needs}; {format_size(room.bytes)} {room.what} on {where}, {format_size(left)} stays"
        return passed(summary, expected=wanted, actual=actual)


def _copies_tables(planned: PlannedBackup) -> bool:
    return planned.backup.method is BackupMethod.PG_DUMP and planned.backup.format is BackupFormat.TAR


def _seen(planned: PlannedBackup, facts: Mapping[str, Any]) -> Seen:
    """What could not be read tells nothing; the database then may have grown."""
    name, read = planned.backup.database, facts.get(f"read {planned.id}")
    read_bytes = read.text_bytes if isinstance(read, ArchiveRead | TextRead) and read.is_whole else None
    return Seen(_previous(planned, facts), facts.get(f"sizes {name}"), facts.get(f"text {name}"), read_bytes)


def _previous(planned: PlannedBackup, facts: Mapping[str, Any]) -> Listing | None:
    return facts.get(f"previous {planned.id}")


def _not_measured(planned: PlannedBackup, directory: Directory) -> Judgement | None:
    place, path = directory.place, planned.backup.directory
    if directory.kind is not DirectoryKind.DIRECTORY or not place.seen:
        hidden = directory.kind is DirectoryKind.MISSING and not directory.passable
        why = "cannot be seen by the account" if hidden else "does not exist"
        by_login = hidden and not directory.as_account
        return unknown(
            f"directory {why} (see backup-location)",
            expected=f"a directory {path} on {planned.host.id}, whose file system can be measured",
            actual=f"seen as far as {place.reached}",
            remedy=f"cure what backup-location says of {planned.id}, then run again",
            behind=behind_become(planned.host, planned.who) if by_login else "",
        )
    if place.size_bytes <= 0:
        return unknown(
            "the file system does not tell its size",
            expected=f"free and total bytes of {directory.mount_point} on {planned.host.id}",
            actual="0 bytes in total",
            remedy=f"name a directory of a file system that tells its size in {planned.table}",
        )
    return None


def _machine(planned: PlannedBackup, facts: Mapping[str, Any]) -> Machine:
    """As it was seen: hosts of the plan may be one machine."""
    return machine_of(planned.host, facts[f"directory {planned.id}"].boot)


def _storage(directory: Directory) -> str:
    """Where the directory's bytes go; empty when that cannot be told."""
    return directory.place.storage if directory.kind is DirectoryKind.DIRECTORY and directory.place.seen else ""


def _storage_of(planned: PlannedBackup, facts: Mapping[str, Any]) -> str:
    return _storage(facts[f"directory {planned.id}"])
