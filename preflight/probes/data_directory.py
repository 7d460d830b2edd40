"""Where a database server keeps its files, as it says itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from preflight.probe import Reply, Unreadable
from preflight.probes.fields import read_rows
from preflight.probes.postgres import SqlProbe


@dataclass(frozen=True, slots=True)
class DataDirectories:
    """Directories on the server's machine."""

    data: str
    """`data_directory`; empty for a role that is no member of pg_read_all_settings (so not of pg_monitor)."""
    tablespaces: tuple[str, ...] = ()
    """Of tablespaces outside it."""

    @property
    def known(self) -> bool:
        return bool(self.data)

    @property
    def paths(self) -> tuple[str, ...]:
        """All that can be named; the write-ahead log first looked for where it lies by default."""
        own = (self.data, str(PurePosixPath(self.data) / "pg_wal")) if self.data else ()
        return tuple(dict.fromkeys((*own, *self.tablespaces)))


class _Kind(StrEnum):
    DATA = "data"
    TABLESPACE = "tablespace"


@dataclass(frozen=True, slots=True)
class _Directory:
    kind: _Kind
    path: str


@dataclass(frozen=True)
class DataDirectoriesProbe(SqlProbe[DataDirectories]):
    """Asks pg_settings: for a role without the right it has no such row, where current_setting() is an error."""

    def ask(self) -> str:
        return """\
SELECT 'data' AS kind, setting AS path FROM pg_settings WHERE name = 'data_directory'
UNION ALL SELECT 'tablespace', pg_tablespace_location(oid) FROM pg_tablespace
ORDER BY kind, path"""

    def read(self, reply: Reply) -> DataDirectories:
        rows = read_rows(_Directory, reply)
        if any("\n" in row.path or "\0" in row.path for row in rows):
            raise Unreadable("a directory with a line break in its name")
        data = "".join(row.path for row in rows if row.kind is _Kind.DATA)
        if data and not data.startswith("/"):
            raise Unreadable(f"data_directory is {data[:60]!r}")
        # The two standard tablespaces have no place of their own.
        outside = (row.path for row in rows if row.kind is _Kind.TABLESPACE and row.path.startswith("/"))
        return DataDirectories(data, tuple(outside))
