"""restore-room: a backup can be put back where the database lies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, warned
from preflight.judging.data_directory import data_directory, not_measured, not_shown, without_inodes
from preflight.plan import Database
from preflight.plan.limits import Between
from preflight.plan.release_plan import Machine, grouped, machine_of
from preflight.plan.work import PlannedBackup, work_with
from preflight.probe import Probe
from preflight.questions.shell import AsAccount
from preflight.questions.sizes import DataDirectories, DataDirectoriesProbe, SizesProbe, WalRate, WalRateProbe
from preflight.questions.storage import DirectoryProbe, Place, PlacesProbe
from preflight.units import format_need, format_size

_UNSEEN = "whether a restore has room cannot be seen"
_TOGETHER = "storage of several hosts"


@dataclass(frozen=True, slots=True)
class _Part:
    """What one database has at one place."""

    database: str
    path: str
    """Empty where nobody tells."""
    bytes: int
    wal_bytes: int | None = None
    """Of the server's write-ahead log: so much of it stays at most. None for data."""


class RestoreRoom(Check):
    """If the decision is "back", has a restore room where the database lies?

    A restore that fills the disk at 04:00 leaves neither the new state nor the old one (g). Each database with a backup
    needs what it takes now, times `growth`, where its data directory lies, and in each tablespace what it has there:
    over the broken one only what is more, with `keep_broken` of `[rollback]` all of it. Databases of one machine are
    added up on each storage, as all of them may have to go back, also those of several hosts that are one machine.
    Inodes count as well. A place that nobody sees is UNKNOWN. WARN where the write-ahead log that a restore itself
    writes has no room beside it: as much as is restored, or what the server keeps of it.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        growth: Annotated[float, Between(1)] = 1.2
        """A restored database may take so many times the room it takes now."""

    id = "restore-room"
    title = "a restore has room"
    sections = ("backups",)
    needs = "CONNECT for the sizes; pg_read_all_settings for the data directory's place; the account enters its folder"
    cure = "have room made where the database lies"

    def subjects(self) -> Sequence[Subject]:
        """Databases to which a backup could be restored; those on several hosts together: they may be one machine."""
        single = [Subject(each.id, each, each.owner) for each in self._named]
        together = Subject(_TOGETHER, tuple(self._restored), single[0].owner) if single else None
        return [*single, together] if together and len(self._by_machine) > 1 else single

    def probes(self, subject: Subject) -> Probes:
        probes: dict[str, Probe[Any]] = {}
        for each in subject.item if subject.id == _TOGETHER else self._beside(subject.item):
            probes[f"sizes {each.id}"] = SizesProbe(each.id)
            probes[f"data {each.id}"] = DataDirectoriesProbe(each.id)
            probes[f"wal {each.id}"] = WalRateProbe(each.id)
            if subject.id == _TOGETHER:
                probes[f"directory {each.id}"] = DirectoryProbe.of(self._taker(each))
        return probes

    def follow_up(self, subject: Subject, **facts: Any) -> Probes:
        """On the host, as the backup's account: where data directory and tablespaces lie, and what is free there."""
        asked = {"places": subject.item}
        if subject.id == _TOGETHER:
            asked = {f"places {each.id}": each for each in subject.item}
        probes: dict[str, Probe[Any]] = {}
        for name, database in asked.items():
            beside = self._beside(database)  # also for all together: the same questions, which another job may ask
            if paths := tuple(dict.fromkeys(part.path for part in _parts(beside, facts) if part.path)):
                taker = self._taker(database)
                probes[name] = PlacesProbe(taker.host.id, AsAccount.of(taker), paths)
        return probes

    def judge(self, subject: Subject, **facts: Any) -> Judgement:
        if subject.id == _TOGETHER:
            none = passed("no two of the hosts are one machine with databases on one storage")
            return Judgement.of([*self._judge_together(subject.item, facts)] or [none])
        if not subject.item.host:
            return not_shown(self.plan, self.moment, subject.item, _UNSEEN)
        return Judgement.of(self._judge(subject.item, facts, facts.get("places", {})))

    def _judge_together(self, databases: Sequence[Database], facts: Mapping[str, Any]) -> Iterator[Judgement]:
        """Hosts that were seen to be one machine, although the plan reaches them at several places."""

        def machine(database: Database, boot: str = "") -> Machine:
            return machine_of(self.plan.hosts[database.host], boot)

        for group in grouped(databases, lambda each: machine(each, facts[f"directory {each.id}"].boot)).values():
            found = {each.id: facts.get(f"places {each.id}", {}) for each in group}
            placed = [(part, found[part.database][part.path]) for part in _parts(group, facts) if part.path]
            for here in grouped(placed, lambda each: each[1].storage if each[1].measured else "").values():
                names = {part.database for part, _ in here}
                on_it = [each for each in group if each.id in names]
                if here[0][1].measured and len(set(map(machine, on_it))) > 1:
                    yield self._judge_storage(on_it[0], here[0][1], [part for part, _ in here])

    @cached_property
    def _named(self) -> list[Database]:
        named = {backup.database for backup in self.plan.backups.values()}
        return [database for database in self.plan.databases.values() if database.id in named]

    @cached_property
    def _restored(self) -> list[Database]:
        """Those whose machine can be looked at: all but managed ones."""
        return [database for database in self._named if database.host]

    def _beside(self, database: Database) -> list[Database]:
        """Those on the same machine, itself included: all of them may have to be restored."""
        return self._by_machine[machine_of(self.plan.hosts[database.host])] if database.host else []

    @cached_property
    def _by_machine(self) -> Mapping[Machine, list[Database]]:
        return grouped(self._restored, lambda database: machine_of(self.plan.hosts[database.host]))

    def _taker(self, database: Database) -> PlannedBackup:
        works = work_with(self.plan, database.id)
        return next(work for work in works if isinstance(work, PlannedBackup)).at_database

    def _judge(self, database: Database, facts: Mapping[str, Any], places: Mapping[str, Place]) -> Iterator[Judgement]:
        """On each storage that the database lies on. What lies at a place that nobody sees is counted on every one."""
        if not facts[f"data {database.id}"].data:
            yield not_shown(self.plan, self.moment, database, _UNSEEN)
        parts = _parts(self._beside(database), facts)
        mine = [part for part in parts if part.database == database.id and part.path in places]
        own = [place for part in mine if (place := places[part.path]).measured or part.wal_bytes is None]
        who = self._taker(database).who
        yield from (not_measured(self.plan, self.moment, database, each, who) for each in own if not each.measured)
        for storage, (place, *_) in grouped((each for each in own if each.measured), lambda each: each.storage).items():
            here = [part for part in parts if part.path not in places or places[part.path].storage == storage]
            yield from without_inodes(database, place)
            yield self._judge_storage(database, place, here)

    def _judge_storage(self, database: Database, place: Place, here: Sequence[_Part]) -> Judgement:
        keeps_broken = bool(self.plan.rollback and self.plan.rollback.keep_broken)
        growth, data = self.settings.growth, [part for part in here if part.wal_bytes is None]
        now = sum(part.bytes for part in data)
        need = sum(round(part.bytes * (growth if keeps_broken else growth - 1)) for part in data)
        logs = grouped((part for part in here if part.wal_bytes is not None), lambda each: each.path).values()
        log = sum(min(sum(part.bytes for part in each), each[0].wal_bytes or 0) for each in logs)
        where = place.label
        names = ", ".join(dict.fromkeys(part.database for part in here))
        whose = f"{names} {'beside' if keeps_broken else 'over'} the broken one"
        if place.free_bytes < need:
            return failed(
                f"there is no room to restore {whose}",
                expected=f"{format_need(need)} free on {where}: {growth:g} times the size now, {whose}",
                actual=f"{format_size(place.free_bytes)} free; {format_size(now)} of {names} there",
                remedy=f"have {format_need(need - place.free_bytes)} more made free on {where} of {database.host}",
            )
        if (more := need + log - place.free_bytes) > 0:
            return warned(
                f"what a restore of {names} writes to the write-ahead log may fill the disk",
                expected=f"{format_need(need)} free on {where} to restore {whose}, and {format_need(log)} for its "
                "write-ahead log, less what pg_wal takes already",
                actual=f"{format_size(place.free_bytes)} free",
                remedy=f"have {format_need(more)} more made free on {where} of {database.host}",
            )
        beside = f", {format_need(log)} for its write-ahead log" if log else ""
        needed = f"{format_need(need)} needed to restore {whose}{beside}"
        return passed(f"{format_size(place.free_bytes)} free on {where}, {needed}")


def _parts(databases: Sequence[Database], facts: Mapping[str, Any]) -> Sequence[_Part]:
    parts, sizes = [], {each.id: facts[f"sizes {each.id}"].database_bytes for each in databases}
    for each in databases:
        shown: DataDirectories = facts[f"data {each.id}"]
        placed = {path: size for path, size in shown.tablespaces.items() if size}
        root = data_directory(each, shown)
        wal: WalRate | None = facts[f"wal {each.id}"]
        parts.append(_Part(each.id, root, max(sizes[each.id] - sum(placed.values()), 0)))
        parts += [_Part(each.id, path, size) for path, size in placed.items()]
        if wal:
            most = sum(sizes.values()) if wal.held else wal.most_bytes
            parts.append(_Part(each.id, root and f"{root}/pg_wal", sizes[each.id], most))
    return parts
