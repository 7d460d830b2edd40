"""Whether a restored database has room on its host. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from preflight.finding import Judgement, failed, passed, warned
from preflight.plan import Database
from preflight.questions.sql import quote_identifier
from preflight.questions.storage import Place
from preflight.units import format_need, format_size


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRoom:
    """A database, and what was seen of it and of those that lie beside it; mappings by database or by path."""

    database: Database
    database_bytes: Mapping[str, int]
    """As large as they are now, of all databases of the host that may have to be restored."""
    data_paths: Mapping[str, str]
    """Database -> its data directory; empty where nobody tells."""
    tablespaces: tuple[str, ...]
    """Directories of the database's server outside its data directory."""
    places: Mapping[str, Place]
    growth: float
    """A restored database takes so many times the room it takes now."""
    keeps_broken: bool
    """The broken database stays until the restored one is there."""

    def judge(self) -> Judgement:
        own = self.data_paths[self.database.id]
        if not own or not self.places[own].measured:
            return self._no_place(own)
        place, need = self.places[own], self._need(self.places[own])
        enough = self._on_data(place, need)
        return Judgement.of([enough, *self._on_tablespaces(place, need)]) if place.free_bytes >= need else enough

    def _sharing(self, place: Place) -> list[str]:
        """A directory that nobody shows may lie on the same file system: it is counted too."""
        return [
            name for name, path in self.data_paths.items() if not path or self.places[path].storage == place.storage
        ]

    def _need(self, place: Place) -> int:
        freed = 0 if self.keeps_broken else 1
        return sum(round(self.database_bytes[name] * (self.growth - freed)) for name in self._sharing(place))

    def _on_data(self, place: Place, need: int) -> Judgement:
        where = place.mount.label if place.mount else place.path
        how = "beside the broken one" if self.keeps_broken else "over the broken one"
        whose = f"{', '.join(self._sharing(place))} {how}"
        if place.free_bytes >= need:
            return passed(
                f"{format_size(place.free_bytes)} free on {where}, {format_need(need)} needed to restore {whose}"
            )
        return failed(
            f"there is no room to restore {whose}",
            expected=f"{format_need(need)} free on {where}: {self.growth:g} times the size now, {whose}",
            actual=f"{format_size(place.free_bytes)} free; {self.database.id} has "
            f"{format_size(self.database_bytes[self.database.id])}",
            remedy=f"have {format_need(need - place.free_bytes)} more made free on {where} of {self.database.host}",
        )

    def _on_tablespaces(self, data: Place, need: int) -> Iterator[Judgement]:
        """The catalogue does not tell an ordinary role which share of the room each of them takes."""
        elsewhere: Iterable[Place] = (self.places[path] for path in self.tablespaces)
        for place in elsewhere:
            if place.measured and (place.storage == data.storage or place.free_bytes >= need):
                continue
            seen = f"{format_size(place.free_bytes)} free" if place.measured else f"seen as far as {place.reached}"
            yield warned(
                f"whether a restore has room in the tablespace {place.path} is not known",
                expected=f"what {self.database.id} keeps there, at most {format_need(need)}",
                actual=f"{place.path}: {seen}",
                remedy=f"compare what psql shows for it (\\db+ in {self.database.id}) with: df -h "
                f"{shlex.quote(place.path)} on {self.database.host}; have room made there",
            )

    def _no_place(self, data: str) -> Judgement:
        seen = f"{data} is seen as far as {self.places[data].reached}" if data else ""
        return warned(
            "whether a restore has room cannot be seen",
            expected="the free room where the data directory lies",
            actual=seen or "the role may not see data_directory",
            remedy=f"GRANT pg_read_all_settings TO {quote_identifier(self.database.user)}; or declare it: "
            f'[checks.rollback-ready] data_directory = {{ {self.database.id} = "/var/lib/..." }}',
        )
