"""Which rights scripts need for what they touch. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from preflight.judging.touched import TouchedObjects, relation_of
from preflight.questions.rehearsed import Touched
from preflight.questions.sql import bare_name
from preflight.questions.work_rights import OWNER, Wanted

_OBJECTS = frozenset(
    {"table", "view", "materialized view", "sequence", "index", "foreign table", "composite type", "type", "function",
     "procedure", "aggregate"}
)  # fmt: skip
"""Kinds of which the owner, and the schema, decide: PostgreSQL's words."""
_KNOWN = _OBJECTS | {"schema", "extension"}
_ROWS = {"inserted": ("INSERT",), "updated": ("UPDATE", "SELECT"), "deleted": ("DELETE", "SELECT")}
"""What was done to rows -> privileges: which rows are updated or deleted is read."""
_LOCKED = {
    "AccessShareLock": ("SELECT",),
    "RowShareLock": ("SELECT",),
    "RowExclusiveLock": ("INSERT", "UPDATE", "DELETE"),
    "ShareRowExclusiveLock": ("REFERENCES",),  # a foreign key to it; the trigger of CREATE TRIGGER is seen itself
}
"""The strongest lock on a table of which nothing else was seen -> what it was perhaps for; any other one: OWNER."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What is asked of the catalogues, and what they do not tell."""

    wanted: tuple[Wanted, ...]
    schemas: tuple[str, ...]
    """That the scripts make, alter or drop."""
    extensions: tuple[tuple[str, str], ...]
    """With the versions that the rehearsal got, where it tells."""
    others: tuple[str, ...]
    """Seen objects of kinds whose rights nobody looks at here: roles, settings, publications ..."""


def needs_of(touched: TouchedObjects) -> Needs:
    wanted = {Wanted(OWNER, pattern=pattern) for pattern in touched.altered}
    for pattern, privileges in touched.privileges.items():
        wanted |= {Wanted(each, pattern=pattern) for each in privileges}
    made = {each.name for each in touched.seen if each.created}
    for seen in touched.seen:
        wanted.update(replace(each, made=each.name in made) for each in _wanted(seen))
    sure = {each.name for each in wanted if each.certain}
    wanted = {each for each in wanted if each.certain or each.name not in sure}
    others = (f"{each.kind} {each.name}" for each in touched.seen if each.kind not in _KNOWN and not relation_of(each))
    schemas = dict.fromkeys(bare_name(each.name) for each in touched.seen if each.kind == "schema" and each.defined)
    extensions = tuple((bare_name(name), version) for name, version in touched.extensions.items())
    return Needs(tuple(sorted(wanted)), tuple(schemas), extensions, tuple(dict.fromkeys(others)))


def _wanted(seen: Touched) -> Iterator[Wanted]:
    if seen.kind == "schema" and seen.defined and not seen.dropped:
        yield Wanted(OWNER, seen.name)
    if table := relation_of(seen):
        yield Wanted("TRIGGER" if seen.kind == "trigger" and seen.created else OWNER, table)
    if seen.kind not in _OBJECTS:
        return
    done = _ROWS if seen.kind == "table" else {}
    rows = [privilege for act, needed in done.items() if getattr(seen, act) for privilege in needed]
    yield from (Wanted(privilege, seen.name) for privilege in rows)
    if seen.defined:
        yield Wanted(OWNER, seen.name)
    elif seen.rewritten or (seen.lock and not (rows and seen.lock in _LOCKED)):
        yield from (Wanted(each, seen.name, certain=False) for each in _for_lock(seen))


def _for_lock(seen: Touched) -> Sequence[str]:
    """What the lock was perhaps for: TRUNCATE, CLUSTER and their kin, a partition, a foreign key, a look."""
    if seen.kind == "sequence":  # which nextval() locks, too
        return ("USAGE",)
    return (OWNER,) if seen.rewritten else _LOCKED.get(seen.lock, (OWNER,))
