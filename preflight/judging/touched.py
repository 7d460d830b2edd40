"""Which objects of a database the scripts of an entry touch, and who says so. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from preflight.plan import Scripts
from preflight.plan.values import Privilege
from preflight.questions.files import LocalText, read_manifest
from preflight.questions.rehearsed import Rehearsed, Touched
from preflight.questions.sql import array_of, as_regular_expression

_PART = r'(?:"(?:[^"]|"")*"|[^". ]+)'
"""Of an identity as PostgreSQL writes it: `billing."Events"`."""
_OF_A_TABLE = re.compile(rf"(?:.* on |for )?({_PART}\.{_PART})(?:\.{_PART})?")
_EXTENSION = re.compile(r"^[+ ]extension (.+)\n(?:[-+]  .*\n)*?\+  version (.*) in schema ", re.MULTILINE)
_PARTS_OF_TABLES = frozenset({"trigger", "rule", "policy", "table constraint", "table column", "default value"})


@dataclass(frozen=True, slots=True)
class TouchedObjects:
    """What scripts and their ways back touch, as a rehearsal saw it, or else as the plan declares it."""

    told_by: str = ""
    """Who says so, in words; empty where nobody does, and then nothing of it is known."""
    not_told: str = ""
    """Why a rehearsal says nothing."""
    seen: tuple[Touched, ...] = ()
    """By a rehearsal, script by script."""
    extensions: Mapping[str, str] = field(default_factory=dict)
    """Those among them, and what CASCADE made: the version that the scripts left, by name as PostgreSQL quotes it."""
    waiting: Mapping[str, str] = field(default_factory=dict)
    """By table, the script that waits without end for whoever holds a lock there, with its lock."""
    altered: tuple[str, ...] = ()
    """Patterns of what they create, alter or drop; `*` stands for any text."""
    privileges: Mapping[str, tuple[Privilege, ...]] = field(default_factory=dict)
    """What they need on tables that they do not alter, by pattern."""

    @property
    def in_sql(self) -> str:
        """The condition that `c.relname` of schema `n.nspname` is one of them, or a catalogue, which all DDL writes."""
        names = {relation_of(each) or each.name for each in self.seen}
        patterns = map(as_regular_expression, (*self.altered, *self.privileges))
        fits = f"n.nspname = 'pg_catalog' OR n.nspname || '.' || c.relname ~ ANY ({array_of(patterns)})"
        return f"({fits} OR format('%I.%I', n.nspname, c.relname) = ANY ({array_of(sorted(names))}))"

    @property
    def builds_without_lock(self) -> bool:
        """An index was made CONCURRENTLY in the rehearsal: it waits for older snapshots, as of `Scan`."""
        return any(each.kind == "index" and each.created and not each.lock for each in self.seen)


def relation_of(touched: Touched) -> str:
    """The identity of the table that a trigger, a constraint, a column or a default belongs to, which the table's owner
    alone may change; empty for what stands for itself."""
    found = _OF_A_TABLE.fullmatch(touched.name) if touched.kind in _PARTS_OF_TABLES else None
    return found[1] if found else ""


def touched_objects(entry: Scripts, rehearsed: Rehearsed, manifest: LocalText) -> TouchedObjects:
    """Of one entry of `[scripts]`. `manifest`: of the sealed files, since a rehearsal of others says nothing."""
    keys = [f"`{key}`" for key, given in (("touches", entry.touches), ("privileges", entry.privileges)) if given]
    told = f"{' and '.join(keys)} of [scripts.{entry.id}]" if keys else ""
    declared = TouchedObjects(told, altered=entry.touches, privileges=entry.privileges)
    tried = rehearsed.entry(entry.id)
    if rehearsed.record is None or tried is None:
        return replace(declared, not_told="the scripts were not rehearsed")
    if read_manifest(manifest)[0] != tried.files:
        changed = f"the sealed files are others than were rehearsed {rehearsed.record.at:%Y-%m-%d}"
        return replace(declared, not_told=changed)
    told = " and ".join(filter(None, (f"the rehearsal of {rehearsed.record.at:%Y-%m-%d}", declared.told_by)))
    seen = tuple(each for run in tried.runs for each in run.touched)
    waiting = {each.name: f"{run.script} ({each.waits})" for run in tried.forward for each in run.touched if each.waits}
    left = dict(_EXTENSION.findall("\n".join(run.changes for run in tried.forward)))
    extensions = {each.name: "" for each in seen if each.kind == "extension" and each.defined} | left
    return replace(declared, told_by=told, seen=seen, waiting=waiting, extensions=extensions)
