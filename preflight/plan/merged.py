"""What the files of a plan say together, as the one table that the strict reader takes, and where each value stands."""

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from preflight.errors import PlanError, PlanProblem
from preflight.faults import Keys, Misfit, dotted, expected, listed, nearest_name
from preflight.plan import Endpoint, Plan
from preflight.plan.includes import Files, rebased
from preflight.plan.ranges import Ranges, may_have_ranges
from preflight.plan.release_plan import NOT_WRITTEN
from preflight.plan.source import Source
from preflight.plan.targets import CREDENTIALS
from preflight.plan.variables import Variables
from preflight.record import Form, Shape, fields_of, shape_below, shape_of

HEALTH = "health"
"""`[defaults.health]` is for the endpoints of every application."""
_GO_TOGETHER = {"hosts": (*CREDENTIALS, "passphrase", "certificate")}
"""Keys of which an entry that logs in by another credential than what it is laid over takes none from there."""
_NEVER_OVERRIDDEN = {"freeze": "a freeze is not overridden: an exception is one of [[waivers]] for change-freeze"}
"""Section of which no other file may change an entry, as no release does for itself -> what to do instead."""
SHAPES: Mapping[str, Shape] = {key: each.shape for key, each in fields_of(Plan).items() if key not in NOT_WRITTEN}
"""Top-level key of a plan -> what it holds."""
DEFAULTS: Mapping[str, Shape] = {
    **{
        key: shape.inner[0]
        for key, shape in SHAPES.items()
        if shape.form in (Form.TABLE, Form.LIST) and shape.inner[0].form is Form.RECORD
    },
    HEALTH: shape_of(Endpoint),
}
"""What `[defaults]` may be said of -> its entries."""
_OF_FILES = ("include", "variables")
LANGUAGE = (*_OF_FILES, "defaults")
"""Top-level keys that end here: the strict reader sees none of them."""
OVERRIDE = "override"
"""Key of an entry that lets its keys win over those of the same entry elsewhere."""
_DEEP = 3
"""`(section, entry, key)`."""
Place = tuple[Source, Keys]


@dataclass(frozen=True)
class Merged:
    tables: Mapping[str, Any]
    sources: tuple[Source, ...]
    """Its files; the release's own is the last one."""
    places: Mapping[Keys, Place] = field(default_factory=dict)
    """Where a value is written that is not written at the same keys of the release's own file, with all below it."""
    overridden: Mapping[Keys, Place] = field(default_factory=dict)
    """Keys for which an included file says something else -> where."""
    problems: tuple[PlanProblem, ...] = ()
    set_values: Mapping[str, str] = field(default_factory=dict)
    """The variables that a call set to another value than the plan's own."""

    @property
    def own(self) -> Source:
        return self.sources[-1]

    @property
    def digest(self) -> str:
        """SHA-256, hex: of the plan's file alone where it is the whole plan, else of all files and what was set."""
        if len(self.sources) == 1 and not self.set_values:
            return self.own.digest
        whole = json.dumps([[each.digest for each in self.sources], self.set_values], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()

    @property
    def told_overridden(self) -> Mapping[str, tuple[str, ...]]:
        """`freeze of site.toml` -> the keys there for which another file of the plan wins: `weekend.until`."""
        found: dict[str, tuple[str, ...]] = {}
        for (section, name, *key), (source, _) in self.overridden.items():
            where = f"{section} of {os.path.relpath(source.path, self.own.path.parent)}"
            entry = self.tables[str(section)][name]["id"] if isinstance(name, int) else name
            found[where] = (*found.get(where, ()), dotted((entry, *key)))
        return found

    def place(self, keys: Keys) -> Place:
        """The file in which a value is written, and its keys there."""
        for length in range(len(keys), 0, -1):
            if found := self.places.get(keys[:length]):
                return found[0], (*found[1], *keys[length:])
        return self.own, keys

    def problem(self, keys: Keys, message: str, nearest: str = "") -> PlanProblem:
        """`keys`: of the merged table; it is told where that is written."""
        source, written = self.place(keys)
        is_of_several = written[:2] != keys[:2] and len(keys) > 1 and isinstance(keys[1], str)
        return source.problem(written, message, nearest, dotted(keys[:2]) if is_of_several else "")


class Problems:
    def __init__(self, merged: Merged) -> None:
        self.found = list(merged.problems)
        self.merged = merged

    def add(self, keys: Keys, message: str, nearest: str = "") -> None:
        """`keys`: what it is about; a key that is missing gets the line of the table that should hold it."""
        self.found.append(self.merged.problem(keys, message, nearest))

    def add_unknown(self, keys: Keys, message: str, known: Collection[str]) -> None:
        """A name that is none of `known`: says which one is nearest, or else which there are."""
        nearest = nearest_name(str(keys[-1]), known)
        self.add(keys, message if nearest else f"{message}; known: {listed(known)}", nearest)


def read_merged(path: Path, values: Mapping[str, str]) -> Merged:
    """The files of a plan, merged. `values`: what a call sets the plan's variables to.

    Raises PlanError where a file cannot be read; anything else that is wrong is among the problems."""
    variables = Variables(values)
    files = Files(variables)
    own = files.read(path)
    if files.problems:  # what is missing would be missed everywhere
        raise PlanError([*files.problems, *variables.problems])
    if len(files.sources) == 1 and not values and _is_plain(own):
        return Merged(own.tables, (own,))
    merger = Merger(files.sources, variables)
    is_merged = False
    with suppress(RecursionError):
        for source in files.sources:
            merger.add(source)
        merger.apply_defaults()
        is_merged = True
    if not is_merged:  # outside, so that no context keeps the file's text
        raise PlanError([PlanProblem(own.name, None, "", "its tables are nested too deep")])
    problems = (*variables.problems, *merger.problems.found, *variables.unused(own))
    return replace(merger.merged, problems=problems, set_values=variables.changed)


class Merger:
    """Lays the files of one plan over each other, with their ranges written out, and applies the defaults."""

    def __init__(self, sources: Sequence[Source], variables: Variables) -> None:
        self.tables: dict[str, Any] = {}
        self.places: dict[Keys, Place] = {}
        self.overridden: dict[Keys, Place] = {}
        self.merged = Merged(self.tables, tuple(sources), self.places, self.overridden)
        """What there is so far."""
        self.problems = Problems(self.merged)
        self._own = self.merged.own
        self._variables = variables
        self._ranges = Ranges()
        self._moved_in: set[Keys] = set()
        """Entries that have places for values below their keys."""
        self._taken_back: list[tuple[dict[str, Any], str]] = []
        """Keys that an entry overrides with nothing; taken out when the defaults have been applied, too."""

    def add(self, source: Source) -> None:
        """Lays a file over those before it."""
        folder = os.path.relpath(os.path.realpath(source.path.parent), os.path.realpath(self._own.path.parent))
        for key, written in source.tables.items():
            if key in _OF_FILES or (key == "format" and source is not self._own):
                continue
            value = self._variables.filled(source, (key,), written)
            if folder != ".":
                value = _rebased(key, value, folder)
            shape = SHAPES.get(key)
            if key == "defaults" and isinstance(value, Mapping):
                self.tables.setdefault(key, {})
            if isinstance(value, Mapping) and (key == "checks" or (shape and shape.form is Form.TABLE)):
                self._add_entries(source, key, value)
            elif isinstance(value, list) and shape and shape.form is Form.LIST:
                self._add_elements(source, key, value)
            else:
                self._lay(source, (), {key: value}, ())

    def apply_defaults(self) -> None:
        """Gives every entry what `[defaults]` says for its section."""
        defaults = self.tables.pop("defaults", {})
        if not isinstance(defaults, Mapping):
            self.problems.add(("defaults",), str(expected("a table", defaults)))
            return
        # Those of health last: an application may have its health from its own defaults.
        for section, table in sorted(defaults.items(), key=lambda each: each[0] == HEALTH):
            keys: Keys = ("defaults", section)
            if section not in DEFAULTS:
                self.problems.add_unknown(keys, "there are no defaults of that name", DEFAULTS)
            elif not isinstance(table, Mapping):
                self.problems.add(keys, str(expected("a table", table)))
            else:
                try:
                    self._apply(section, table)
                except Misfit as misfit:
                    self.problems.add(keys, str(misfit))
        for entry, key in self._taken_back:
            if entry.get(key) == "":
                del entry[key]

    def _apply(self, section: str, table: Mapping[str, Any]) -> None:
        entries = list(_entries_of(section, self.tables))
        source, written = self.merged.place(("defaults", section))
        if source is self._own and ("applications" if section == HEALTH else section) not in self.tables:
            self.problems.found.append(source.problem(written, "the plan has no entry that they could be for"))
        places = {key: self.merged.place(("defaults", section, key)) for key in table}
        for keys, entry in entries:
            whole = _laid_over(section, table, entry)
            number = self._ranges.numbers.get(keys) or self._ranges.numbers.get(keys[:2])
            for key in whole.keys() - entry.keys():
                self.places[*keys, key] = places[key]
                if number:
                    whole[key] = self._ranges.numbered(whole[key], number)
            entry.clear()
            entry.update(whole)

    def _add_entries(self, source: Source, section: str, table: Mapping[str, Any]) -> None:
        """Those of `[section.NAME]`; in one file, too, the ones that override come after the others."""
        if not isinstance(self.tables.setdefault(section, {}), Mapping):
            return  # another file says something else, which the strict reader refuses
        found = []
        for name, entry in table.items():
            try:
                found += [(made, (section, name)) for made in self._ranges.entries(name, entry)]
            except Misfit as misfit:
                self.problems.found.append(source.problem((section, name), str(misfit)))
        for made, written in sorted(found, key=lambda each: _overrides(each[0].entry)):
            if made.number:
                self._ranges.numbers[section, made.name] = made.number
            is_there = made.name in self.tables[section]
            self._add_entry(source, (section, made.name), made.entry, written, is_there=is_there)

    def _add_entry(self, source: Source, at: Keys, entry: Any, written: Keys, *, is_there: bool) -> None:
        """The one of this name, or of this place in a list."""
        there = self._at(at[:-1])[at[-1]] if is_there else None
        if at[0] == "checks" and isinstance(entry, Mapping) and isinstance(there, Mapping):
            self._lay(source, at, entry, written)
        elif not is_there:
            self._put(source, at, self._not_overriding(source, entry, written), written)
        elif _overrides(entry) and at[0] not in _NEVER_OVERRIDDEN:
            self._override(source, at, entry, written)
        else:
            self._note_doubled(source, at, written)

    def _add_elements(self, source: Source, section: str, elements: list[Any]) -> None:
        there = self.tables.setdefault(section, [])
        if not isinstance(there, list):
            return  # as above
        earlier = {found: at for at, each in enumerate(there) if (found := _id(each))}
        for index, element in enumerate(elements):
            written: Keys = (section, index)
            try:
                made = list(self._ranges.elements(element))
            except Misfit as misfit:
                self.problems.found.append(source.problem(written, str(misfit)))
                continue
            for each in made:
                known = earlier.get(_id(each.entry))
                at: Keys = (section, len(there) if known is None else known)
                if known is None:
                    there.append(None)
                    self._ranges.numbers[at] = each.number
                self._add_entry(source, at, each.entry, written, is_there=known is not None)

    def _lay(self, source: Source, at: Keys, table: Mapping[str, Any], written: Keys) -> None:
        """The keys of a table beside those that are there; of the same key, only one that overrides wins."""
        there = self._at(at)
        override = _overrides(table)
        if override and not there.keys() & table.keys():
            self._note_nothing(source, written)
        for key, value in table.items():
            now, was = (*at, key), (*written, key)
            if override and key == OVERRIDE:
                continue
            if key not in there:
                self._put(source, now, self._not_overriding(source, value, was) if len(now) < 3 else value, was)
            elif override:
                self._replace(source, now, value, was, there[key])
            elif isinstance(value, Mapping) and isinstance(there[key], Mapping):
                self._lay(source, now, value, was)
            elif at:
                self._note_doubled(source, now, was)
            elif isinstance(there[key], Mapping | list):
                kind = "a table" if isinstance(there[key], Mapping) else "an array of tables"
                self.problems.found.append(source.problem(was, str(expected(kind, value))))

    def _override(self, source: Source, at: Keys, entry: Mapping[str, Any], written: Keys) -> None:
        """An entry's keys take the place of those of the entry that is there."""
        there = self._at(at[:-1])
        base = there[at[1]] if isinstance(there[at[1]], Mapping) else {}
        said = {key: value for key, value in entry.items() if key != OVERRIDE}
        there[at[1]] = whole = _laid_over(str(at[0]), base, said)
        for key, value in said.items():
            self._replace(source, (*at, key), value, (*written, key), base.get(key))
        self._taken_back += [(whole, key) for key in said if said[key] == "" and key in base]

    def _replace(self, source: Source, at: Keys, value: Any, written: Keys, before: Any) -> None:
        earlier = self.merged.place(at)
        if earlier[0] is not source and value != before:
            self.overridden.setdefault(at, earlier)
        if at[:2] in self._moved_in:  # where values below it were written
            for keys in [each for each in self.places if each[: len(at)] == at]:
                del self.places[keys]
        self._put(source, at, value, written)

    def _not_overriding(self, source: Source, entry: Any, written: Keys) -> Any:
        if not isinstance(entry, Mapping) or OVERRIDE not in entry:
            return entry
        if _overrides(entry):
            self._note_nothing(source, written)
        else:
            self.problems.found.append(source.problem((*written, OVERRIDE), "write true, or leave it out"))
        return {key: value for key, value in entry.items() if key != OVERRIDE}

    def _note_nothing(self, source: Source, written: Keys) -> None:
        self.problems.found.append(source.problem((*written, OVERRIDE), "there is nothing that it could override"))

    def _put(self, source: Source, at: Keys, value: Any, written: Keys) -> None:
        if shape := _shape_at(at):
            value = self._ranges.inside(shape, value, at, written)
        for now, was in self._ranges.moved.items():
            self.places[now] = (source, was)
            self._moved_in.add(now[:2])
        self._ranges.moved.clear()
        self.problems.found += [source.problem(keys, str(misfit)) for keys, misfit in self._ranges.faults]
        self._ranges.faults.clear()
        if self.merged.place(at) != (source, written):
            self.places[at] = (source, written)
            if len(at) > _DEEP:
                self._moved_in.add(at[:2])
        self._at(at[:-1])[at[-1]] = value

    def _at(self, keys: Keys) -> Any:
        found: Any = self.tables
        for key in keys:
            found = found[key]
        return found

    def _note_doubled(self, source: Source, at: Keys, written: Keys) -> None:
        earlier, keys = self.merged.place(at)
        advice = _NEVER_OVERRIDDEN.get(str(at[0]), "override = true lets what is said here win")
        message = f"is there already, at {earlier.at(keys)}; {advice}"
        is_of_several = at != written and isinstance(at[-1], str)
        self.problems.found.append(source.problem(written, message, of=dotted(at) if is_of_several else ""))


def _overrides(entry: Any) -> bool:
    return isinstance(entry, Mapping) and entry.get(OVERRIDE) is True


def _id(element: Any) -> str:
    """Of an element of an array of tables; empty where it has none."""
    found = element.get("id") if isinstance(element, Mapping) else None
    return found if isinstance(found, str) else ""


def _shape_at(keys: Keys) -> Shape | None:
    """What the plan wants there; None where it wants nothing."""
    top, *below = keys
    shape = SHAPES.get(str(top))
    if top == "defaults":
        shape = DEFAULTS.get(str(below.pop(0))) if below else None
    for key in below:
        shape = shape and (shape.inner[0] if isinstance(key, int) else shape_below(shape, key))
    return shape


def _rebased(key: str, value: Any, folder: str, shapes: Mapping[str, Shape] = SHAPES) -> Any:
    if key == "defaults" and isinstance(value, Mapping):
        return {section: _rebased(section, table, folder, DEFAULTS) for section, table in value.items()}
    return rebased(shapes[key], value, folder) if key in shapes else value


def _laid_over(section: str, base: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """`entry`, with the keys of `base` that it does not say itself. An empty text takes a key of `base` away."""
    own, theirs = ({key for key in CREDENTIALS if table.get(key)} for table in (entry, base))
    left_out = _GO_TOGETHER.get(section, ()) if own and own.isdisjoint(theirs) and theirs else ()
    taken_back = [key for key in base if entry.get(key) == ""]
    found = {**entry, **{key: value for key, value in base.items() if key not in entry and key not in left_out}}
    return {key: value for key, value in found.items() if key not in taken_back}


def _entries_of(section: str, tables: Mapping[str, Any]) -> Iterator[tuple[Keys, dict[str, Any]]]:
    """Every entry to which the defaults of a section belong, with its keys."""
    if section == HEALTH:
        applications = tables.get("applications", {})
        for name, application in applications.items() if isinstance(applications, Mapping) else ():
            found = application.get(HEALTH) if isinstance(application, Mapping) else None
            yield from ((("applications", name, HEALTH, *keys), entry) for keys, entry in _below(found))
        return
    yield from (((section, *keys), entry) for keys, entry in _below(tables.get(section)))


def _below(found: Any) -> Iterator[tuple[Keys, dict[str, Any]]]:
    pairs = found.items() if isinstance(found, Mapping) else enumerate(found) if isinstance(found, list) else ()
    yield from (((key,), entry) for key, entry in pairs if isinstance(entry, dict))


def _is_plain(source: Source) -> bool:
    """The file says everything itself, as the strict reader takes it."""
    return not (
        any(key in source.tables for key in LANGUAGE)
        or OVERRIDE in source.text
        or Variables.may_stand_in(source)
        or may_have_ranges(source.text)
    )
