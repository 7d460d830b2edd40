"""What the files of a plan say together, and where each value of it is written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from preflight.errors import PlanError, PlanProblem
from preflight.faults import Keys, dotted, listed, nearest_name
from preflight.plan.includes import Files
from preflight.plan.merging import LANGUAGE, OVERRIDE, Merger, Place, place_of
from preflight.plan.ranges import may_have_ranges
from preflight.plan.source import Source
from preflight.plan.variables import Variables


@dataclass(frozen=True)
class Merged:
    """The tables of one plan."""

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
        return place_of(self.places, self.own, keys)

    def problem(self, keys: Keys, message: str, nearest: str = "") -> PlanProblem:
        """`keys`: of the merged table; it is told where that is written."""
        source, written = self.place(keys)
        is_of_several = written[:2] != keys[:2] and len(keys) > 1 and isinstance(keys[1], str)
        return source.problem(written, message, nearest, dotted(keys[:2]) if is_of_several else "")


class Problems:
    """Every problem of one plan."""

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
    merger = Merger(own, variables)
    is_merged = False
    with suppress(RecursionError):
        for source in files.sources:
            merger.add(source)
        merger.apply_defaults()
        is_merged = True
    if not is_merged:  # outside, so that no context keeps the file's text
        raise PlanError([PlanProblem(own.name, None, "", "its tables are nested too deep")])
    problems = (*variables.problems, *merger.problems, *variables.unused(own))
    return Merged(
        merger.tables, tuple(files.sources), merger.places, merger.overridden, problems, variables.changed
    )  # fmt: skip


def _is_plain(source: Source) -> bool:
    """The file says everything itself, as the strict reader takes it."""
    return not (
        any(key in source.tables for key in LANGUAGE)
        or OVERRIDE in source.text
        or Variables.may_stand_in(source)
        or may_have_ranges(source.text)
    )
