"""Whether an earlier backup is complete: the right database, all it should hold now, what a restore needs. Pure."""

import re
from collections.abc import Collection, Iterator
from dataclasses import replace

from preflight.finding import Judgement, passed, unknown, warned
from preflight.probe import NoReply
from preflight.questions.backup_reads import ArchiveRead, Held, TextRead
from preflight.questions.backups import MOST_NAMES
from preflight.questions.sizes import LiveContent
from preflight.questions.sql import Major, as_regular_expression, major_in, major_of_server, quote_identifier, shown
from preflight.units import format_size
from preflight.wording import MOST_NAMED, counted, listed

from .seen_backup import SeenBackup

_MOST_STORED_FOR_TEXT = 10
"""Tables take less room than this many times their text, but for those that are mostly free space."""
_MOST_TEXT_FOR_STORED = 20
"""Nor is their text so many times the room they take, also where that is compressed."""
_LEAST_COMPARED = 64 * 1024
"""Bytes; a smaller database is mostly its definitions."""
_KINDS = {
    "TABLE": "the tables themselves (data only)",
    "CONSTRAINT": "primary keys",
    "FK CONSTRAINT": "foreign keys",
    "INDEX": "indexes",
    "EXTENSION": "extensions",
    "FUNCTION": "functions",
    "PUBLICATION": "publications",
    "BLOBS": "large objects",
}
"""What pg_dump leaves out with --data-only, --section, or for one table or schema."""
_SETS_TRANSACTION_TIMEOUT: Major = (17,)
"""From this version on, pg_dump and pg_restore begin with a setting that older servers do not know."""


def judge_content(seen: SeenBackup, read: ArchiveRead | TextRead) -> Iterator[Judgement]:
    name = seen.planned.database.dbname
    held = read.of(name) if isinstance(read, TextRead) else read.held
    yield from _database(seen, read, name)
    if held.tables == 0:
        yield seen.broken("the backup holds no data (schema only)", "no table's data", expected="data of tables")
    if not isinstance(seen.live, LiveContent):
        remedy = f"cure the line database-login {seen.planned.database.id}, then run again"
        yield unknown(
            "the server's own version and tables are not known",
            actual=seen.live.detail if seen.live else "not asked",
            remedy=remedy,
        )
        return
    yield from _versions(seen, read, major_of_server(seen.live.version_num))
    if held.tables:
        yield from _completeness(seen, seen.live, held)
        yield from _roles(seen, seen.live, held)
        yield from _not_put_back(seen, seen.live, held)
    now = seen.text_bytes or seen.live.stored_bytes // _MOST_STORED_FOR_TEXT
    of_cluster = isinstance(read, TextRead) and read.of_cluster
    stored = seen.live.stored_bytes
    if not of_cluster and read.text_bytes > _LEAST_COMPARED * (seen.live.count + 1) + stored * _MOST_TEXT_FOR_STORED:
        yield warned(
            "the database holds far less than this backup of it: was it emptied, or made anew?",
            expected="about as much in both",
            actual=f"{format_size(read.text_bytes)} of text in the backup, {format_size(stored)} in tables now",
            remedy="find out where its rows went, and keep this backup until that is known",
        )
    if now >= _LEAST_COMPARED and not of_cluster and not seen.planned.backup.left_out:
        # A dump of emptied tables has all their names.
        ratio, held_now = read.text_bytes / now, f"the database now about {format_size(now)}"
        summary = f"the backup holds {ratio:.0%} of what the database holds now"
        actual = f"{seen.file.path} is {format_size(read.text_bytes)} of text, {held_now}"
        remedy = f"find out whether the database has grown since, or what is missing in it; {seen.anew}"
        if found := seen.too_small(ratio, summary, actual, remedy):
            yield found


def _database(seen: SeenBackup, read: ArchiveRead | TextRead, name: str) -> Iterator[Judgement]:
    """Whose dump it is. SQL text of pg_dump seldom names its database; then its tables tell."""
    if isinstance(read, TextRead) and read.of_cluster:
        if name in read.databases:
            yield passed(f"of the whole cluster, the database {name} in it")
            return
        among = listed(read.databases, MOST_NAMED) or "no database (roles and tablespaces only)"
        yield seen.broken(
            f"the backup of the whole cluster does not hold the database {name}",
            f"it holds {among}",
            expected=f"\\connect {name}, and what follows it",
        )
    elif read.database == name:
        yield passed(f"of the database {name}")
    elif read.database:
        yield seen.broken(f"the backup is of another database: {read.database}", read.database, expected=name)
    elif isinstance(read, TextRead) and isinstance(seen.live, LiveContent):
        if seen.live.tables & read.of(name).names:
            yield passed("the text does not name its database, its tables are those of it")
        elif not seen.live.count:
            yield seen.not_read("the text does not name its database, which has no tables to know it by")


def _versions(seen: SeenBackup, read: ArchiveRead | TextRead, live: Major) -> Iterator[Judgement]:
    """Of the server that was dumped, and of the program that dumped it."""
    major, dumper = major_in(read.server), major_in(read.dumped_by)
    if major is None:
        yield replace(
            seen.not_read(f"version {read.server[:40]!r}"),
            summary="the backup does not say of which server version it is",
            expected=f"a dump of version {shown(live)}",
        )
    elif major != live:
        yield seen.broken(
            f"the backup is of a server of version {shown(major)}",
            f"dumped from {read.server}",
            expected=f"of version {shown(live)}, as the server is now",
        )
    if dumper is not None and dumper > live:
        summary = f"the backup was made by pg_dump {shown(dumper)}, newer than the server, {shown(live)}"
        expected, remedy = f"made by pg_dump {shown(live)}", f"{seen.anew} with the server's own pg_dump"
        if dumper >= _SETS_TRANSACTION_TIMEOUT > live:
            why = f"its restore sets transaction_timeout, which {shown(live)} does not know, and stops there"
            yield seen.broken(summary, why, expected=expected, remedy=remedy)
        else:
            yield warned(summary, expected=expected, actual=f"dumped by {read.dumped_by}", remedy=remedy)


def _completeness(seen: SeenBackup, live: LiveContent, held: Held) -> Iterator[Judgement]:
    """What a full dump would hold and this one does not. When a table was made no catalogue tells."""
    lacks = [_KINDS[kind] for kind in ("TABLE", *live.kinds.split("\n")) if kind in _KINDS.keys() - held.kinds]
    missing = live.tables - held.names
    if live.count > MOST_NAMES or held.tables > MOST_NAMES:  # too many to be told by name
        missing = frozenset(map(str, range(live.count - held.tables)))
    allowed = re.compile("|".join(map(as_regular_expression, seen.planned.backup.left_out)) or r"(?!)")
    owned = [line.partition("\t") for line in live.others.splitlines()]
    # A column's sequence is left out together with its table.
    others = {name for name, _, table in owned if table not in missing} - held.others
    on_purpose = {name for name in missing | others if allowed.search(_written(name))}
    lost, undefined = (sorted(map(_written, names - on_purpose)) for names in (missing, others))
    lacks += [f"{_others(len(undefined))} ({listed(undefined, MOST_NAMED)})"] if undefined else []
    if lost:
        lacks.insert(0, f"data of {len(lost)} of the {live.count} tables ({listed(lost, MOST_NAMED)})")
    if lacks:
        first = next(iter(lost + undefined), "")
        named = f'; or, where it is meant, name them: {seen.planned.table} left_out = ["{first}"]' if first else ""
        yield seen.broken(
            f"the backup is not complete: it lacks {', '.join(lacks)}",
            f"data of {counted(held.tables, 'table')}; besides: {', '.join(sorted(held.kinds)).lower() or 'nothing'}",
            expected="a full dump: neither data only, nor of single tables or schemas",
            remedy=f"{seen.anew} without options that leave anything out{named}",
        )
    else:
        named = f"; by name {_others(len(owned))}" if owned else ""
        yield passed(f"complete: data of {counted(held.tables, 'table')}, and what defines them{named}")
    if on_purpose:
        yield passed(f"left out on purpose, by the plan: {listed(sorted(map(_written, on_purpose)), MOST_NAMED)}")


def _others(number: int) -> str:
    return counted(number, "sequence or view", "sequences or views")


def _written(name: str) -> str:
    return name.replace(" ", ".", 1)


def _roles(seen: SeenBackup, live: LiveContent, held: Held) -> Iterator[Judgement]:
    """A dump of a database holds none, and its restore stops at the first one that is missing."""
    read = seen.globals_read
    if seen.planned.backup.globals:
        yield _judge_globals(seen, read, [each for each in held.owners if not each.startswith(("-", "pg_"))])
    known = {*live.roles.split("\n"), *(read.roles if isinstance(read, TextRead) else ()), "-"}
    lost = sorted(held.owners - known)
    restore = seen.planned.backup.restore
    if lost and not (restore and "--no-owner" in restore.options):
        cures = "; ".join(f"CREATE ROLE {quote_identifier(name)};" for name in lost[:MOST_NAMED])
        yield seen.broken(
            f"roles that own its tables are not on the server: {listed(lost, MOST_NAMED)}",
            "neither there nor in a dump of the globals",
            expected="every owner on the server, or in a file of pg_dumpall --globals-only",
            remedy=f"{cures} or name such a file: globals of {seen.planned.table}",
        )


def _not_put_back(seen: SeenBackup, live: LiveContent, held: Held) -> Iterator[Judgement]:
    """By --no-acl tables come back that only their owner may use; and nobody reads a view that is not filled."""
    restore = seen.planned.backup.restore
    named = restore and {"-x", "--no-acl", "--no-privileges"} & {*restore.options}
    lacks = {*live.kinds.split("\n")} - held.kinds
    if "ACL" in lacks and not named:
        yield warned(
            "the backup holds no right that was granted: after a restore they are gone",
            expected="the rights on its tables, or a restore whose `options` say --no-acl, too",
            actual="no ACL; rights were granted on tables since, or it was taken with --no-acl",
            remedy=f"{seen.anew} without --no-acl",
        )
    if "MATERIALIZED VIEW DATA" in lacks:
        yield warned(
            "the backup fills no materialized view: after a restore whoever reads one gets an error",
            expected="the data of its materialized views",
            actual="none; they were filled since, or left out (--exclude-table-data)",
            remedy=f"{seen.anew} with their data; or have each filled after a restore: REFRESH MATERIALIZED VIEW",
        )


def _judge_globals(seen: SeenBackup, read: TextRead | NoReply | None, owners: Collection[str]) -> Judgement:
    """The newest file of pg_dumpall --globals-only; `owners` of what is in the backup."""
    wanted = f"a file {seen.planned.backup.globals} of pg_dumpall, whole"
    cure = f"have pg_dumpall --globals-only write one on {seen.host} beside each backup"
    if isinstance(read, TextRead) and read.is_whole and read.of_cluster:
        if len(read.roles) < MOST_NAMES and (lost := sorted({*owners} - {*read.roles})):
            what = f"it lacks roles that own what the backup holds: {listed(lost, MOST_NAMED)}"
            return seen.broken(f"the dump of the globals: {what}", what, expected=wanted, remedy=cure)
        return passed(f"the roles are in a dump of the globals, {counted(len(read.roles), 'role')}")
    if read is None or (isinstance(read, TextRead) and read.readable):
        what = "there is none" if read is None else "it is not whole, or no file of pg_dumpall"
        return seen.broken(f"the dump of the globals: {what}", what, expected=wanted, remedy=cure)
    return unknown("the dump of the globals was not read", expected=wanted, remedy=f"let {seen.who} read it; or {cure}")
