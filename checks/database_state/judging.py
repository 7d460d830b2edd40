"""Lines on what goes on in a database and ends by itself, and on the state that stays until it is mended. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial

from preflight.clock import format_moment
from preflight.finding import Judgement, Quantity, Status, failed, passed, unknown, warned
from preflight.plan import Database, Plan
from preflight.questions.activity import Seen
from preflight.questions.sql import membership_grant, quote_identifier, quote_literal
from preflight.questions.state import Item
from preflight.units import format_duration, format_size
from preflight.wording import counted, listed, named, one_line

_VACUUM = "autovacuum worker"
_LASTING = {
    "blocks": ("session holds", "sessions hold", "locks on what the scripts touch",
               "no transaction that holds one"),
    "snapshot": ("transaction keeps", "transactions keep", "a snapshot for which the scripts' CONCURRENTLY waits",
                 "no transaction with a snapshot, on whatever table, that is open"),
    "idle": ("session is", "sessions are", "idle in a transaction", "none"),
    "long": ("transaction is", "transactions are", "open for long", "none"),
}  # fmt: skip
"""Kinds of transactions that last too long -> how one is told, several, what they do, and what is allowed."""
_WORN_OUT = 1_300_000_000
"""Age at which check_postgres warns: the server takes no more changes at about 2 billion."""


class When(Enum):
    """When it is judged, of what ends by itself."""

    EARLY = "early"
    """It will be asked again."""
    NEAR = "near"
    """It should have ended."""
    AFTER = "after"
    """The work is done: the applications may be at work again."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What goes on in a database and ends by itself."""

    plan: Plan = field(repr=False)
    database: Database
    most: Mapping[str, timedelta]
    """How long each kind may last."""
    when: When
    waiting: Mapping[str, str]
    """As of `TouchedObjects`."""

    def judge(self, seen: Sequence[Seen]) -> Iterator[Judgement]:
        judges: Mapping[str, Callable[[Sequence[Seen]], Judgement]] = {
            **dict.fromkeys(_LASTING, self.judge_lasting),
            "prepared": self.judge_prepared,
            "stranger": self.judge_strangers,
            "backup": self.tell_backups,
            "client": self.tell_clients,
            "hidden": self.judge_hidden,
            "untracked": self.judge_untracked,
        }
        for kind, judge in judges.items():
            if found := [each for each in seen if each.kind == kind]:
                yield judge(found)
        if not {*_LASTING, "prepared", "hidden", "untracked"} & {each.kind for each in seen}:
            yield passed(
                f"no transaction is open for long, idle for {self._longest('idle')}, left prepared, or has held a lock "
                f"on what the scripts touch for {self._longest('blocks')}"
            )

    def _longest(self, kind: str) -> str:
        return format_duration(self.most[kind])

    def judge_lasting(self, found: Sequence[Seen]) -> Judgement:
        """A kind of transaction that lasts too long, and that a person ends."""
        one, many, rest, allowed = _LASTING[found[0].kind]
        told = [f"pid {each.pid}, {_who(each)}, {self._since(each)}{self._locks(each)}{_query(each)}" for each in found]
        people = " and ".join(dict.fromkeys(_person(each) for each in found))
        ends = " ".join(f"SELECT pg_terminate_backend({each.pid});" for each in found)
        remedy = f"ask {people} to end it (COMMIT or ROLLBACK); once they agree, the DBA ends what is left over: {ends}"
        if any(each.state == _VACUUM for each in found):
            remedy += " (an autovacuum that prevents wraparound begins anew: have it finished before the window)"
        return self._or_later(
            f"{counted(found[0].total, one, many)} {rest}",
            f"{allowed} for more than {self._longest(found[0].kind)}",
            _listed(told, found),
            remedy,
        )

    def judge_prepared(self, found: Sequence[Seen]) -> Judgement:
        """They keep their locks over a restart, and no session shows them."""
        rollback = " ".join(f"ROLLBACK PREPARED {quote_literal(each.words)};" for each in found)
        owners = " and ".join(dict.fromkeys(each.user for each in found))
        told = [f"{each.words} of {each.user}, {self._since(each)}{self._locks(each)}" for each in found]
        left = counted(found[0].total, "prepared transaction is left over", "prepared transactions are left over")
        return failed(
            f"{left}: it takes somebody to end a prepared transaction",
            expected=f"none older than {self._longest('prepared')}",
            actual=_listed(told, found),
            remedy=f"ask whoever runs the transactions of {owners} whether to commit (COMMIT PREPARED), else, in "
            f"{self.database.dbname}: {rollback}",
        )

    def judge_strangers(self, found: Sequence[Seen]) -> Judgement:
        addresses = dict.fromkeys(each.client or "" for each in found)
        ends = " ".join(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "  # noqa: S608 - only shown
            f"WHERE datname = {quote_literal(self.database.dbname)} AND client_addr = {quote_literal(each)};"
            for each in addresses
        )
        return self._or_later(
            f"clients are connected from {', '.join(addresses)}, which nobody listed",
            f"only clients from {', '.join(self.database.clients or ()) or 'the server itself'}: `clients` of "
            f"[databases.{self.database.id}]",
            _clients(found),
            "ask whoever runs them there: have them stopped, or listed in `clients`; once they agree, what is left "
            f"over is ended by the DBA: {ends}",
        )

    def tell_backups(self, found: Sequence[Seen]) -> Judgement:
        return passed(f"a backup of the plan is being taken: pg_dump by {found[0].user}, {self._since(found[0])}")

    def tell_clients(self, found: Sequence[Seen]) -> Judgement:
        judged = "" if self.database.clients is not None else "; from where they may come, the plan does not say"
        return passed(f"connected: {_clients(found)}{judged}")

    def judge_hidden(self, found: Sequence[Seen]) -> Judgement:
        grant = membership_grant("pg_read_all_stats", self.database.user)
        return unknown(
            "what sessions of other roles do may not be seen: whether they hold locks, or transactions open",
            expected="no transaction that is open for long or holds a lock on what the scripts touch",
            actual=f"{counted(found[0].sessions, 'session')} of other roles now",
            remedy=self.database.on_primary(f"{grant};"),
        )

    def judge_untracked(self, found: Sequence[Seen]) -> Judgement:
        return unknown(
            f"the server does not watch what {counted(found[0].sessions, 'session')} of this database do",
            expected="track_activities on for every session",
            actual="track_activities off",
            remedy="have the DBA set it: ALTER SYSTEM SET track_activities = on; SELECT pg_reload_conf(); and where "
            "pg_db_role_setting has it for a role or a database: ALTER ROLE ... RESET track_activities;",
        )

    def _or_later(self, summary: str, expected: str, actual: str, remedy: str) -> Judgement:
        if self.when is When.EARLY:
            window = self.plan.window
            start = format_moment(window.start - self.plan.freshness.state, window.zone)
            summary, expected = f"{summary}: seen now, asked again at the gate", f"{expected}, from {start} on"
        return (failed if self.when is When.NEAR else warned)(summary, expected=expected, actual=actual, remedy=remedy)

    def _locks(self, seen: Seen) -> str:
        """What it holds, and which script waits for that without end."""
        held = f", {seen.locks}"
        waiting = [script for table, script in self.waiting.items() if f", {table} (" in held]
        told = f", for which {named(waiting)} waits, and everybody else behind it" if waiting else ""
        return f", holds {one_line(seen.locks)}{one_line(told)}" if seen.locks else ""

    def _since(self, seen: Seen) -> str:
        lasted = format_duration(timedelta(seconds=seen.seconds))
        return f"since {format_moment(seen.since, self.plan.window.zone)} ({lasted})"


def _clients(found: Sequence[Seen]) -> str:
    return _listed([f"{counted(each.sessions, 'session')} of {_who(each)}" for each in found], found)


def _who(seen: Seen) -> str:
    if seen.state == _VACUUM:
        return "autovacuum, which prevents wraparound"
    place = seen.client or "the server itself"
    named = [f"from {place}", one_line(seen.application), seen.state]
    return f"{seen.user} {', '.join(filter(None, named))}"


def _person(seen: Seen) -> str:
    """Whom to ask."""
    what = one_line(seen.application) or "the session"
    return f"whoever runs {what} as {seen.user} on {seen.client or 'the server itself'}" if seen.user else "the DBA"


def _query(seen: Seen) -> str:
    return f", last query: {one_line(seen.words)}" if seen.words.strip() else ""


def judge_state(
    items: Sequence[Item], sequences: Sequence[Item], *, needs_archive: bool, warn_used: float
) -> Iterator[Judgement]:
    """`sequences`: where they end. `needs_archive`: a base backup is a way back, for which the archive has to be whole.
    `warn_used`: share of a sequence."""
    (server,) = _of_kind(sequences, "server")
    judges: Mapping[str, Callable[[Item], Judgement]] = {
        "slot": _judge_slot,
        "archiver": partial(_judge_archiver, needs_archive=needs_archive),
        "standbys": _judge_standbys,
        "commits": _judge_commits,
        "checksum": _judge_checksum,
        "collation": _judge_collation,
        "silent": _judge_silent,
    }
    points = [judge(item) for kind, judge in judges.items() for item in _of_kind(items, kind)]
    if waiting := _of_kind(items, "restart"):
        points.append(_judge_waiting(waiting))
    if not server.touched:  # a replica has these from its primary
        points += map(_judge_age, _of_kind(items, "age"))
        points += _judge_objects(items)
        points += _judge_sequences(items, sequences, warn_used)
    if all(point.status is Status.PASS for point in points):
        yield passed("nothing is invalid, disabled or held back")
    yield from points


def _judge_sequences(state: Sequence[Item], sequences: Sequence[Item], warn_used: float) -> Iterator[Judgement]:
    """`sequences`: where they end. `warn_used`: share of one."""
    ends = {(item.schema, item.table): item for item in _of_kind(sequences, "sequence")}
    read = _of_kind(state, "sequence")
    for item in read:
        end, name = ends.get((item.schema, item.table), replace(item, number=0)), _table(item)
        used = item.number / end.number if end.number else 0
        if item.touched or used >= warn_used:
            yield (failed if item.touched else warned)(
                f"the sequence {name} is used up{': no next value fits' if item.touched else f' to {used:.0%}'}",
                expected=f"less than {warn_used:.0%} of {end.number}",
                actual=f"its last value is {item.number}",
                remedy=f"{'set' if item.touched else 'plan'} a wider type for it and the columns it fills: "
                f"ALTER SEQUENCE {name} AS bigint {end.detail}",
            )
    every = sum(item.total for kind in ("sequence", "hidden") for item in _of_kind(sequences, kind)[:1])
    if every > len(read):
        yield passed(f"of {counted(every, 'sequence')} that may end, {len(read)} may be read")


def _judge_collation(item: Item) -> Judgement:
    kind, name = ("COLLATION", _name(item.schema, item.name)) if item.schema else ("DATABASE", _name(item.name))
    refresh = f"ALTER {kind} {name} REFRESH {'COLLATION ' if kind == 'DATABASE' else ''}VERSION;"
    return warned(
        f"the collation of {name} has another version than that by which its indexes were built",
        expected="indexes in the order of the collation that the operating system has",
        actual=item.detail,
        remedy=f"have the indexes on its texts built anew (REINDEX DATABASE CONCURRENTLY ...), then: {refresh}",
    )


def _judge_objects(items: Sequence[Item]) -> Iterator[Judgement]:
    """Each kind of fault in one line for tables that the scripts touch, and one for all others."""
    for kind, (one, many) in _FAULTS.items():
        for touched in (True, False):
            found = [item for item in _of_kind(items, kind) if item.touched is touched]
            if not found:
                continue
            yield (failed if kind in _BLOCKING[touched] else warned)(
                f"{counted(found[0].total, one, many)}, of tables that the scripts {'' if touched else 'do not '}touch",
                expected="none",
                actual=_listed([_described(item) for item in found], found),
                remedy="have the DBA or the owner of the table run: " + " ".join(map(_cure, found)),
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
    holds = f"{state}: it holds {held} of WAL"
    if slot.detail == "extended" and not slot.touched:
        return failed(holds, expected=expected, actual=held, remedy=remedy, quantity=Quantity(slot.number, "B"))
    if slot.detail == "extended" or not slot.touched:
        return warned(f"{holds}, and what the work writes", expected=expected, remedy=remedy)
    return passed(state)


def _judge_archiver(archiver: Item, *, needs_archive: bool) -> Judgement:
    at = f"{datetime.fromtimestamp(archiver.number, UTC):%Y-%m-%d %H:%M} UTC"
    expected = "archive_mode on with a command that archives, or off"
    if archiver.detail == "pretends":
        summary = f"archive_command archives nothing and says that it did: {archiver.name}"
        remedy = "have a command set that archives, then a new base backup taken"
        return (failed if needs_archive else warned)(summary, expected=expected, actual=archiver.name, remedy=remedy)
    summary, actual = {
        "none": ("there is no archive_command: all WAL is kept until the disk is full", "archive_command is empty"),
        "fails": (f"WAL is not archived since {at}: it is kept until the disk is full", f"last failed {at}"),
        "hangs": (f"nothing was archived since {at}, and WAL waits", f"last archived {at}"),
    }[archiver.detail]
    remedy = "have the DBA read the server's log and mend archive_command"
    return failed(summary, expected=expected, actual=actual, remedy=remedy)


def _judge_standbys(standbys: Item) -> Judgement:
    """Each COMMIT waits for so many of them, without an end."""
    expected = f"{counted(standbys.number, 'synchronous standby')} connected and caught up: {standbys.name}"
    if not standbys.touched:
        return unknown(
            "whether commits wait for a standby may not be seen",
            expected=expected,
            actual=f"synchronous_standby_names = {standbys.name}",
            remedy=f"{membership_grant('pg_read_all_stats', standbys.detail)};",
        )
    return failed(
        "each COMMIT waits without an end for a synchronous standby that is not there, or hangs",
        expected=expected,
        actual=f"{standbys.detail} of {standbys.number}",
        remedy="have the DBA bring it back; or once it is agreed to work without it: "
        "ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();",
    )


def _judge_commits(commits: Item) -> Judgement:
    """A standby that is connected and streams may still not write, or not replay, what the primary waits for."""
    waiting = counted(commits.number, "session")
    return failed(
        f"a COMMIT waits for a synchronous standby that is there and does not confirm it: {waiting}",
        expected="no session that waits for SyncRep",
        actual=f"{waiting}, synchronous_standby_names = {commits.name}",
        remedy="have the DBA look why, in pg_stat_replication here (flush_lsn, replay_lsn) and on the standby "
        "(SELECT pg_is_wal_replay_paused(), its log, its disk)",
    )


def _judge_checksum(database: Item) -> Judgement:
    return failed(
        f"{counted(database.number, 'page')} of {database.name} did not have the checksum that was written",
        expected="no checksum failure",
        actual=str(database.number),
        remedy="have the DBA find out which (pg_amcheck, the server's log) and restore them; then, in that database, "
        "have the count begin anew: SELECT pg_stat_reset();",
        quantity=Quantity(database.number, ""),
    )


def _judge_silent(setting: Item) -> Judgement:
    old = setting.name == "old_snapshot_threshold"
    harm = "damaged pages are passed over, and a backup leaves out their rows without an error"
    return warned(
        f"{setting.name} is set: {'a backup that takes longer ends with snapshot too old' if old else harm}",
        expected=f"{setting.name} as PostgreSQL has it",
        actual=setting.detail,
        remedy=f"have the DBA take it back{', and the server restarted' if old else ''}: "
        f"ALTER SYSTEM RESET {setting.name}; SELECT pg_reload_conf();",
    )


def _judge_waiting(waiting: Sequence[Item]) -> Judgement:
    names = _listed([item.name for item in waiting], waiting)
    return warned(
        f"{counted(waiting[0].total, 'setting waits', 'settings wait')} for a restart of the server: {names}",
        expected="a server that runs as its configuration says",
        actual=names,
        remedy="have the server restarted before the window, since the next restart changes them, or the settings "
        "written as they run",
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


_LEFT_OVER = re.compile(r"_cc(new|old)\d*$")
_FAULTS = {
    "index": ("index is invalid", "indexes are invalid"),
    "constraint": ("constraint is NOT VALID", "constraints are NOT VALID"),
    "trigger": ("trigger is disabled", "triggers are disabled"),
    "gone": ("table had rows, and its file is empty or gone", "tables had rows, and their files are empty or gone"),
    "unfilled": ("materialized view is not filled", "materialized views are not filled"),
    "taken": ("next value of a sequence is taken", "next values of sequences are taken"),
    "narrow": ("foreign key column is narrower than its target", "foreign key columns are narrower than their targets"),
    "statistics": ("table has no statistics", "tables have no statistics"),
}
"""Kinds of objects that are not as they should be, in words."""
_BLOCKING = {True: frozenset({"index", "constraint", "trigger", "taken", "gone"}), False: frozenset({"gone"})}
"""Failures, by whether the scripts touch the table."""


def _cure(item: Item) -> str:
    """The statement that mends it."""
    table, name = _table(item), _name(item.name)
    match item.kind:
        case "index":
            return _index_cure(item, _name(item.schema, item.name))
        case "constraint":
            return f"ALTER {'DOMAIN' if item.detail == 'domain' else 'TABLE'} {table} VALIDATE CONSTRAINT {name};"
        case "trigger":  # those of foreign keys have no names of their own, and only a superuser enables them
            return f"ALTER TABLE {table} ENABLE TRIGGER {name if item.name else 'ALL'};"
        case "gone":  # an unlogged one is empty after a crash
            return f"ANALYZE {table}; (an error: have it restored; none: see where its rows went)"
        case "unfilled":
            return f"REFRESH MATERIALIZED VIEW {table};"
        case "taken":
            return f"SELECT setval({quote_literal(item.detail)}, (SELECT max({name}) FROM {table}));"  # noqa: S608 - only shown
        case "narrow":
            return f"ALTER TABLE {table} ALTER COLUMN {name} TYPE {item.detail};"
    return f"ANALYZE {table};"


def _index_cure(index: Item, name: str) -> str:
    if _LEFT_OVER.search(index.name):  # of REINDEX CONCURRENTLY, as its manual says
        return f"DROP INDEX {'' if index.schema == 'pg_toast' else 'CONCURRENTLY '}{name};"
    if index.detail == "partitioned":  # becomes valid with the last partition's index
        return f"ALTER INDEX {name} ATTACH PARTITION ...; (with an index of each partition that has none in it yet)"
    return f"REINDEX INDEX CONCURRENTLY {name};"


def _described(item: Item) -> str:
    if item.kind == "trigger" and not item.name:
        return f"those of foreign keys of {_table(item)}"
    return f"{_name(item.name)} of {_table(item)}" if item.name else _table(item)


def _table(item: Item) -> str:
    return _name(item.schema, item.table)


def _name(*parts: str) -> str:
    return ".".join(part if part == "public" else quote_identifier(part) for part in parts)


def _of_kind(items: Sequence[Item], kind: str) -> list[Item]:
    return [item for item in items if item.kind == kind]


def _listed(told: Sequence[str], found: Sequence[Seen] | Sequence[Item]) -> str:
    return listed(told, len(told), total=found[0].total)
