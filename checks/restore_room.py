"""restore-room: a backup can be put back where the database lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed
from preflight.judging.data_directory import data_directory, not_measured, not_shown
from preflight.plan import Database
from preflight.plan.limits import Between
from preflight.plan.release_plan import Machine, grouped, machine_of
from preflight.plan.work import PlannedBackup, planned_backups
from preflight.probe import Probe
from preflight.questions.shell import AsAccount
from preflight.questions.sizes import DataDirectories, DataDirectoriesProbe, SizesProbe
from preflight.questions.storage import Place, PlacesProbe
from preflight.units import format_need, format_size


@dataclass(frozen=True, slots=True)
class RestoreRoomSettings:
    """How much a restore takes."""

    growth: Annotated[float, Between(1)] = 1.2
    """A restored database may take so many times the room it takes now."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one database has at one place."""

    database: str
    path: str
    """Empty where nobody tells."""
    bytes: int


class RestoreRoom(Check):
    """If the decision is "back", has a restore room where the database lies?

    A restore that fills the disk at 04:00 leaves neither the new state nor the old one (g). Each database with a backup
    needs what it takes now, times `growth`, where its data directory lies, and in each tablespace what it has there:
    over the broken one only what is more, with `keep_broken` of `[rollback]` all of it. Databases of one machine are
    added up on each storage, as all of them may have to go back. A place that nobody sees is UNKNOWN.
    """

    id = "restore-room"
    title = "a restore has room"
    sections = ("backups",)
    needs = "CONNECT for the sizes; pg_read_all_settings for the data directory's place; the account enters its folder"
    cure = "have room made where the database lies"
    Settings = RestoreRoomSettings

    def subjects(self) -> Sequence[Subject]:
        """Databases that a backup could be restored to."""
        return [Subject(each.id, each, each.owner) for each in self._restored]

    def probes(self, subject: Subject) -> Probes:
        probes: dict[str, Probe[Any]] = {}
        for each in self._beside(subject.item):
            probes[f"sizes {each.id}"] = SizesProbe(each.id)
            probes[f"data {each.id}"] = DataDirectoriesProbe(each.id)
        return probes

    def follow_up(self, subject: Subject, **facts: Any) -> Probes:
        """On the host, as the account that takes the backup: where the data directory and the tablespaces lie, and what
        is free there."""
        database: Database = subject.item
        paths = tuple(dict.fromkeys(part.path for part in self._parts(database, facts) if part.path))
        taker = self._taker(database)
        return {"places": PlacesProbe(taker.host.id, AsAccount.of(taker), paths)} if paths else {}

    def judge(self, subject: Subject, **facts: Any) -> Judgement:
        return Judgement.of(self._judge(subject.item, facts, facts.get("places", {})))

    @cached_property
    def _restored(self) -> list[Database]:
        named = {backup.database for backup in self.plan.backups.values()}
        return [database for database in self.plan.databases.values() if database.id in named]

    def _beside(self, database: Database) -> list[Database]:
        """Those on the same machine, itself included: all of them may have to be restored."""
        return self._by_machine[machine_of(self.plan.host_of(database))]

    @cached_property
    def _by_machine(self) -> Mapping[Machine, list[Database]]:
        return grouped(self._restored, lambda database: machine_of(self.plan.host_of(database)))

    def _taker(self, database: Database) -> PlannedBackup:
        return next(each for each in planned_backups(self.plan) if each.backup.database == database.id)

    def _parts(self, database: Database, facts: Mapping[str, Any]) -> Sequence[_Part]:
        parts = []
        for each in self._beside(database):
            shown: DataDirectories = facts[f"data {each.id}"]
            placed = {path: size for path, size in shown.tablespaces.items() if size}
            rest = facts[f"sizes {each.id}"].database_bytes - sum(placed.values())
            parts.append(_Part(each.id, data_directory(each, shown), max(rest, 0)))
            parts += [_Part(each.id, path, size) for path, size in placed.items()]
        return parts

    def _judge(self, database: Database, facts: Mapping[str, Any], places: Mapping[str, Place]) -> Iterator[Judgement]:
        """On each storage that the database lies on. What lies at a place that nobody sees is counted on every one."""
        if not facts[f"data {database.id}"].data:
            yield not_shown(self.plan, self.moment, database, "whether a restore has room cannot be seen")
        parts = self._parts(database, facts)
        own = [places[part.path] for part in parts if part.database == database.id and part.path in places]
        yield from (not_measured(database, place, self._taker(database).who) for place in own if not place.measured)
        for storage, (place, *_) in grouped((each for each in own if each.measured), lambda each: each.storage).items():
            here = [part for part in parts if part.path not in places or places[part.path].storage == storage]
            yield self._judge_storage(database, place, here)

    def _judge_storage(self, database: Database, place: Place, here: Sequence[_Part]) -> Judgement:
        keeps_broken = bool(self.plan.rollback and self.plan.rollback.keep_broken)
        growth, now = self.settings.growth, sum(part.bytes for part in here)
        need = sum(round(part.bytes * (growth if keeps_broken else growth - 1)) for part in here)
        where = place.mount.label if place.mount else place.path
        names = ", ".join(dict.fromkeys(part.database for part in here))
        whose = f"{names} {'beside' if keeps_broken else 'over'} the broken one"
        if place.free_bytes < need:
            return failed(
                f"there is no room to restore {whose}",
                expected=f"{format_need(need)} free on {where}: {growth:g} times the size now, {whose}",
                actual=f"{format_size(place.free_bytes)} free; {format_size(now)} of {names} there",
                remedy=f"have {format_need(need - place.free_bytes)} more made free on {where} of {database.host}",
            )
        return passed(f"{format_size(place.free_bytes)} free on {where}, {format_need(need)} needed to restore {whose}")
