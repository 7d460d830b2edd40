"""The state of a database that stays until somebody mends it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from preflight.finding import Judgement, Quantity, Status, failed, passed, warned
from preflight.questions.sql import quote_identifier, quote_literal
from preflight.questions.state import Item
from preflight.units import format_size
from preflight.wording import counted

_WORN_OUT = 1_300_000_000
"""Age at which check_postgres warns: the server takes no more changes at about 2 billion."""


class _Fault(NamedTuple):
    """A kind of object that is not as it should be."""

    one: str
    many: str
    cure: Callable[[Item], str]
    """The statement for one of them."""
    blocks: bool = True
    """A failure, where the scripts touch its table."""


def judge_state(items: Sequence[Item], *, needs_archive: bool) -> Iterator[Judgement]:
    """`needs_archive`: a base backup is a way back, for which the archive has to be whole."""
    (server,) = _of_kind(items, "server")
    judges: Mapping[str, Callable[[Item], Judgement]] = {
        "slot": _judge_slot,
        "archiver": partial(_judge_archiver, needs_archive=needs_archive),
        "checksum": _judge_checksum,
    }
    points = [judge(item) for kind, judge in judges.items() for item in _of_kind(items, kind)]
    if waiting := _of_kind(items, "restart"):
        points.append(_judge_waiting(waiting))
    if not server.touched:  # a replica has these from its primary
        points += [_judge_age(item) for item in _of_kind(items, "age")]
        points += _judge_objects(items)
    if all(point.status is Status.PASS for point in points):
        yield passed("nothing is invalid, disabled or held back")
    yield from points


def judge_limits(items: Sequence[Item], limits: Sequence[Item], warn_used: float) -> Iterator[Judgement]:
    """Ends of sequences, the ones of `items`, and collations. `warn_used`: share of a sequence."""
    ends = {(item.schema, item.table): item.number for item in _of_kind(items, "sequence")}
    last = {key: item.number for item in _of_kind(limits, "sequence") if (key := (item.schema, item.table)) in ends}
    for key, number in last.items():
        used, name = number / ends[key] if ends[key] else 1.0, _name(*key)
        if used >= warn_used:
            yield warned(
                f"the sequence {name} is used up to {used:.0%}",
                expected=f"less than {warn_used:.0%} of {ends[key]}",
                actual=f"its last value is {number}",
                remedy=f"plan a wider type for it and the columns it fills: ALTER SEQUENCE {name} AS bigint;",
            )
    hidden = sum(item.total for item in _of_kind(items, "hidden")[:1])
    every = sum(item.total for item in _of_kind(items, "sequence")[:1])
    unread = hidden + every - len(last)
    if unread:
        yield passed(f"where {counted(unread, 'sequence')} of {hidden + every} that may end is, was not read")
    for item in _of_kind(limits, "collation"):
        kind, name = ("COLLATION", _name(item.schema, item.name)) if item.schema else ("DATABASE", _name(item.name))
        refresh = f"ALTER {kind} {name} REFRESH {'COLLATION ' * (kind == 'DATABASE')}VERSION;"
        yield warned(
            f"the collation of {name} has another version than that by which its indexes were built",
            expected="indexes in the order of the collation that the operating system has",
            actual=item.detail,
            remedy=f"have the indexes on its texts built anew (REINDEX DATABASE CONCURRENTLY ...), then: {refresh}",
        )


def _judge_objects(items: Sequence[Item]) -> Iterator[Judgement]:
    """Each kind of fault in one line for tables that the scripts touch, and one for all others."""
    for kind, fault in _FAULTS.items():
        for touched in (True, False):
            found = [item for item in _of_kind(items, kind) if item.touched is touched]
            if not found:
                continue
            where = "of tables that the scripts touch" if touched else "of tables that the scripts do not touch"
            told = [_described(item) for item in found]
            judge = failed if touched and fault.blocks else warned
            yield judge(
                f"{counted(found[0].total, fault.one, fault.many)}, {where}",
                expected="none",
                actual=_listed(told, found),
                remedy="have the DBA or the owner of the table run: " + " ".join(fault.cure(item) for item in found),
            )


def _judge_slot(slot: Item) -> Judgement:
    """`extended` is more than max_wal_size, as PostgreSQL itself counts it; what is unused keeps growing."""
    held, name = format_size(slot.number), quote_literal(slot.name)
    state = f"the replication slot {slot.name} is {'in use' if slot.touched else 'not in use'}, {slot.detail}"
    drop = f"SELECT pg_drop_replication_slot({name});"
    expected = "each slot in use, and none that makes the server keep more WAL than max_wal_size"
    if slot.detail in ("unreserved", "lost"):
        return failed(
            f"{state}: what reads it cannot go on",
            expected=expected,
            actual=f"{slot.name}: {slot.detail}",
            remedy=f"ask whoever set it up whether its reader is set up anew; what nobody needs: {drop}",
        )
    remedy = f"ask whoever set it up to have its reader connected and catch up; what nobody needs: {drop}"
    if slot.detail == "extended" and not slot.touched:
        held_back = Quantity(slot.number, "B")
        return failed(
            f"{state}: it holds {held} of WAL", expected=expected, actual=held, remedy=remedy, quantity=held_back
        )
    if slot.detail == "extended" or not slot.touched:
        return warned(f"{state}: it holds {held} of WAL, and what the work writes", expected=expected, remedy=remedy)
    return passed(f"{state}")


def _judge_archiver(archiver: Item, *, needs_archive: bool) -> Judgement:
    at = f"{datetime.fromtimestamp(archiver.number, UTC):%Y-%m-%d %H:%M} UTC"
    expected = "archive_mode on with a command that archives, or off"
    look = "have the DBA read the server's log and mend archive_command"
    if archiver.detail == "pretends":
        summary = f"archive_command archives nothing and says that it did: {archiver.name}"
        remedy = "have a command set that archives, then a new base backup taken"
        if needs_archive:
            return failed(summary, expected=expected, actual=archiver.name, remedy=remedy)
        return warned(summary, expected=expected, actual=archiver.name, remedy=remedy)
    summary, actual = {
        "none": ("there is no archive_command: all WAL is kept until the disk is full", "archive_command is empty"),
        "fails": (f"WAL is not archived since {at}: it is kept until the disk is full", f"last failed {at}"),
        "hangs": (f"nothing was archived since {at}, and WAL waits", f"last archived {at}"),
    }[archiver.detail]
    return failed(summary, expected=expected, actual=actual, remedy=look)


def _judge_checksum(database: Item) -> Judgement:
    return failed(
        f"{counted(database.number, 'page')} of {database.name} did not have the checksum that was written",
        expected="no checksum failure",
        actual=str(database.number),
        remedy="have the DBA find out which (pg_amcheck, the server's log) and restore them; then, in that database, "
        "have the count begin anew: SELECT pg_stat_reset();",
        quantity=Quantity(database.number, ""),
    )


def _judge_waiting(waiting: Sequence[Item]) -> Judgement:
    names = _listed([item.name for item in waiting], waiting)
    return warned(
        f"{counted(waiting[0].total, 'setting waits', 'settings wait')} for a restart of the server: {names}",
        expected="a server that runs as its configuration says",
        actual=names,
        remedy="have the server restarted before the window, or the settings taken back: the next restart changes them",
    )


def _judge_age(database: Item) -> Judgement:
    summary = f"the oldest {database.detail} of {database.name} are {database.number} old"
    remedy = f"have the DBA run in {database.name}: VACUUM (FREEZE);"
    expected = "below 90 % of the age at which autovacuum must prevent wraparound"
    actual = str(database.number)
    if database.number >= _WORN_OUT:
        worst = Quantity(database.number, "")
        return failed(summary, expected=expected, actual=actual, remedy=remedy, quantity=worst)
    return warned(f"{summary}: autovacuum will soon work on it", expected=expected, actual=actual, remedy=remedy)


def _index_cure(index: Item) -> str:
    name = _name(index.schema, index.name)
    if _LEFT_OVER.search(index.name):  # of REINDEX CONCURRENTLY, as its manual says
        return f"DROP INDEX {'' if index.schema == 'pg_toast' else 'CONCURRENTLY '}{name};"
    if index.detail == "partitioned":  # becomes valid with the last partition's index
        return f"ALTER INDEX {name} ATTACH PARTITION ...; (with an index of each partition that has none in it yet)"
    return f"REINDEX INDEX CONCURRENTLY {name};"


def _constraint_cure(constraint: Item) -> str:
    kind = "DOMAIN" if constraint.detail == "domain" else "TABLE"
    return f"ALTER {kind} {_table(constraint)} VALIDATE CONSTRAINT {_name(constraint.name)};"


def _trigger_cure(trigger: Item) -> str:
    """Those of foreign keys have no names of their own, and only a superuser enables them."""
    return f"ALTER TABLE {_table(trigger)} ENABLE TRIGGER {_name(trigger.name) if trigger.name else 'ALL'};"


def _column_cure(column: Item) -> str:
    return f"ALTER TABLE {_table(column)} ALTER COLUMN {_name(column.name)} TYPE {column.detail};"


def _analyze_cure(table: Item) -> str:
    return f"ANALYZE {_table(table)};"


_LEFT_OVER = re.compile(r"_cc(new|old)\d*$")
_FAULTS: Mapping[str, _Fault] = {
    "index": _Fault("index is invalid", "indexes are invalid", _index_cure),
    "constraint": _Fault("constraint is NOT VALID", "constraints are NOT VALID", _constraint_cure),
    "trigger": _Fault("trigger is disabled", "triggers are disabled", _trigger_cure),
    "narrow": _Fault(
        "foreign key column is narrower than its target", "foreign key columns are narrower than their targets",
        _column_cure, blocks=False,
    ),
    "statistics": _Fault("table has no statistics", "tables have no statistics", _analyze_cure, blocks=False),
}  # fmt: skip


def _described(item: Item) -> str:
    if item.kind == "trigger" and not item.name:
        return f"those of foreign keys of {_table(item)}"
    return f"{_name(item.name)} of {_table(item)}" if item.name else _table(item)


def _table(item: Item) -> str:
    return _name(item.schema, item.table)


def _name(*parts: str) -> str:
    return ".".join(map(quote_identifier, parts))


def _of_kind(items: Sequence[Item], kind: str) -> list[Item]:
    return [item for item in items if item.kind == kind]


def _listed(told: Sequence[str], found: Sequence[Item]) -> str:
    more = found[0].total - len(found)
    return ", ".join([*told, *([f"and {more} more"] if more > 0 else [])])
