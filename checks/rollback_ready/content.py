"""What an earlier backup is worth by what is in it: of which database, of which version, with how much. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from preflight.finding import Judgement, passed, unknown, warned
from preflight.probe import NoReply
from preflight.questions.backup_reads import ArchiveRead, TextRead
from preflight.questions.sizes import LiveTables
from preflight.questions.tools import major_of_server, shown
from preflight.wording import listed

from .seen import SeenBackup

_MOST_NAMED = 8


def judge_content(seen: SeenBackup, read: ArchiveRead | TextRead) -> Iterator[Judgement]:
    """SQL text of pg_dump seldom names its database, and its tables are counted as commands."""
    name = seen.planned.work.database.name or seen.planned.backup.database
    if isinstance(read, TextRead) and read.of_cluster:
        yield from _in_cluster(seen, read, name)
    else:
        yield _database(seen, read.database, name)
        if read.tables == 0:
            yield _no_data(seen)
    if isinstance(seen.live, NoReply):
        yield unknown("the server's own version and tables are not known", actual=seen.live.detail)
        return
    yield from _version(seen, read, major_of_server(seen.live.version_num))
    if isinstance(read, ArchiveRead):
        yield from _tables(seen, read, seen.live)


def _database(seen: SeenBackup, found: str, name: str) -> Judgement:
    if not found:
        return passed("the text does not name its database")
    if found == name:
        return passed(f"of the database {name}")
    return seen.broken(f"the backup is of another database: {found}", found, expected=name)


def _in_cluster(seen: SeenBackup, read: TextRead, name: str) -> Iterator[Judgement]:
    """pg_dumpall connects to one database after the other; with --globals-only to none."""
    if name not in read.databases:
        held = listed(read.databases, _MOST_NAMED)
        yield seen.broken(
            f"the backup of the whole cluster does not hold the database {name}",
            f"it holds {held or 'no database (roles and tablespaces only)'}",
            expected=f"\\connect {name}, and what follows it",
        )
    elif not read.databases[name]:
        yield _no_data(seen)
    else:
        yield passed(f"of the whole cluster, the database {name} in it")


def _no_data(seen: SeenBackup) -> Judgement:
    return seen.broken("the backup holds no data (schema only)", "no table's data", expected="data of tables")


def _version(seen: SeenBackup, read: ArchiveRead | TextRead, live: tuple[int, ...]) -> Iterator[Judgement]:
    major = read.server_major
    if major is None:
        yield warned(
            "the backup does not say of which server version it is",
            expected=f"a dump of version {shown(live)}",
            actual=f"version {read.server[:40]!r}",
            remedy=f"look into {seen.file.path} on {seen.host}",
        )
    elif major != live:
        yield seen.broken(
            f"the backup is of a server of version {shown(major)}",
            f"dumped from {read.server}",
            expected=f"of version {shown(live)}, as the server is now",
        )


def _tables(seen: SeenBackup, read: ArchiveRead, live: LiveTables) -> Iterator[Judgement]:
    if 0 < read.tables < live.count:
        yield warned(
            f"the backup holds data of {read.tables} tables, the database has {live.count}",
            expected=f"data of {live.count} tables",
            actual=f"{read.tables} entries TABLE DATA in {seen.file.path}",
            remedy=f"see which are missing: {seen.planned.program('pg_restore')} -l {shlex.quote(seen.file.path)}; new "
            "tables, or --exclude-table-data?",
        )
