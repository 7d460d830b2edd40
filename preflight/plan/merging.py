"""The files of a plan become one table, as the strict reader takes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from preflight.errors import PlanProblem
from preflight.faults import Keys, Misfit, dotted, expected, listed, nearest_name
from preflight.plan import Endpoint, Plan
from preflight.plan.defaults import HEALTH, entries_of, laid_over
from preflight.plan.includes import rebased
from preflight.plan.ranges import Ranges
from preflight.plan.release_plan import NOT_WRITTEN
from preflight.plan.source import Source
from preflight.plan.variables import Variables
from preflight.record import Form, Shape, fields_of, shape_below, shape_of

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


class Merger:
    """Lays the files of one plan over each other, with their ranges written out, and applies the defaults."""

    def __init__(self, own: Source, variables: Variables) -> None:
        self.tables: dict[str, Any] = {}
        self.places: dict[Keys, Place] = {}
        self.overridden: dict[Keys, Place] = {}
        """Keys for which an included file says something else -> where."""
        self.problems: list[PlanProblem] = []
        self._own = own
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
            self._note(("defaults",), str(expected("a table", defaults)))
            return
        # Those of health last: an application may have its health from its own defaults.
        for section, table in sorted(defaults.items(), key=lambda each: each[0] == HEALTH):
            keys: Keys = ("defaults", section)
            if section not in DEFAULTS:
                nearest = nearest_name(section, DEFAULTS)
                known = "" if nearest else f"; known: {listed(DEFAULTS)}"
                self._note(keys, f"there are no defaults of that name{known}", nearest)
            elif not isinstance(table, Mapping):
                self._note(keys, str(expected("a table", table)))
            else:
                try:
                    self._apply(section, table)
                except Misfit as misfit:
                    self._note(keys, str(misfit))
        for entry, key in self._taken_back:
            if entry.get(key) == "":
                del entry[key]

    def _apply(self, section: str, table: Mapping[str, Any]) -> None:
        entries = list(entries_of(section, self.tables))
        source, written = self._place(("defaults", section))
        if source is self._own and ("applications" if section == HEALTH else section) not in self.tables:
            self.problems.append(source.problem(written, "the plan has no entry that they could be for"))
        places = {key: self._place(("defaults", section, key)) for key in table}
        for keys, entry in entries:
            whole = laid_over(section, table, entry)
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
                self.problems.append(source.problem((section, name), str(misfit)))
        for made, written in sorted(found, key=lambda each: _overrides(each[0].entry)):
            if made.number:
                self._ranges.numbers[section, made.name] = made.number
            self._add_entry(source, (section, made.name), made.entry, written)

    def _add_entry(self, source: Source, at: Keys, entry: Any, written: Keys) -> None:
        there = self.tables[str(at[0])]
        if at[0] == "checks" and isinstance(entry, Mapping) and isinstance(there.get(at[1]), Mapping):
            self._lay(source, at, entry, written)
        elif at[1] not in there:
            self._put(source, at, self._not_overriding(source, entry, written), written)
        elif _overrides(entry):
            self._override(source, there, at, entry, written)
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
                self.problems.append(source.problem(written, str(misfit)))
                continue
            for each in made:
                known = earlier.get(_id(each.entry))
                if known is None:
                    at: Keys = (section, len(there))
                    there.append(None)
                    self._ranges.numbers[at] = each.number
                    self._put(source, at, self._not_overriding(source, each.entry, written), written)
                elif _overrides(each.entry):
                    self._override(source, there, (section, known), each.entry, written)
                else:
                    self._note_doubled(source, (section, known), written)

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
                self.problems.append(source.problem(was, str(expected(kind, value))))

    def _override(self, source: Source, there: Any, at: Keys, entry: Mapping[str, Any], written: Keys) -> None:
        """An entry's keys take the place of those of the entry that is there."""
        base = there[at[1]] if isinstance(there[at[1]], Mapping) else {}
        said = {key: value for key, value in entry.items() if key != OVERRIDE}
        there[at[1]] = whole = laid_over(str(at[0]), base, said)
        for key, value in said.items():
            self._replace(source, (*at, key), value, (*written, key), base.get(key))
        self._taken_back += [(whole, key) for key in said if said[key] == "" and key in base]

    def _replace(self, source: Source, at: Keys, value: Any, written: Keys, before: Any) -> None:
        earlier = self._place(at)
        if earlier[0] is not source and value != before:
            self.overridden.setdefault(at, earlier)
        self._forget(at)
        self._put(source, at, value, written)

    def _not_overriding(self, source: Source, entry: Any, written: Keys) -> Any:
        if not isinstance(entry, Mapping) or OVERRIDE not in entry:
            return entry
        if _overrides(entry):
            self._note_nothing(source, written)
        else:
            self.problems.append(source.problem((*written, OVERRIDE), "write true, or leave it out"))
        return {key: value for key, value in entry.items() if key != OVERRIDE}

    def _note_nothing(self, source: Source, written: Keys) -> None:
        self.problems.append(source.problem((*written, OVERRIDE), "there is nothing that it could override"))

    def _put(self, source: Source, at: Keys, value: Any, written: Keys) -> None:
        if shape := _shape_at(at):
            value = self._ranges.inside(shape, value, at, written)
        for now, was in self._ranges.moved.items():
            self.places[now] = (source, was)
            self._moved_in.add(now[:2])
        self._ranges.moved.clear()
        self.problems += [source.problem(keys, str(misfit)) for keys, misfit in self._ranges.faults]
        self._ranges.faults.clear()
        if self._place(at) != (source, written):
            self.places[at] = (source, written)
            if len(at) > _DEEP:
                self._moved_in.add(at[:2])
        self._at(at[:-1])[at[-1]] = value

    def _forget(self, at: Keys) -> None:
        """Where values below `at` were written."""
        if at[:2] in self._moved_in:
            for keys in [each for each in self.places if each[: len(at)] == at]:
                del self.places[keys]

    def _at(self, keys: Keys) -> Any:
        found: Any = self.tables
        for key in keys:
            found = found[key]
        return found

    def _place(self, keys: Keys) -> Place:
        return place_of(self.places, self._own, keys)

    def _note(self, keys: Keys, message: str, nearest: str = "") -> None:
        source, written = self._place(keys)
        self.problems.append(source.problem(written, message, nearest))

    def _note_doubled(self, source: Source, at: Keys, written: Keys) -> None:
        earlier, keys = self._place(at)
        message = f"is there already, at {earlier.at(keys)}; override = true lets what is said here win"
        is_of_several = at != written and isinstance(at[-1], str)
        self.problems.append(source.problem(written, message, of=dotted(at) if is_of_several else ""))


def place_of(places: Mapping[Keys, Place], own: Source, keys: Keys) -> Place:
    """The file in which a value is written, and its keys there. `places`: where that is not the same keys of `own`."""
    for length in range(len(keys), 0, -1):
        if found := places.get(keys[:length]):
            return found[0], (*found[1], *keys[length:])
    return own, keys


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


def _rebased(key: str, value: Any, folder: str) -> Any:
    if key == "defaults" and isinstance(value, Mapping):
        return {
            section: rebased(DEFAULTS[section], table, folder) if section in DEFAULTS else table
            for section, table in value.items()
        }
    return rebased(SHAPES[key], value, folder) if key in SHAPES else value
