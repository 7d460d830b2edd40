"""What a backup told when it was read to its end: whose it is, what is in it, and whether it is all there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from preflight.probes.tools import Major

_CLUSTER = "-- PostgreSQL database cluster dump"
_DBNAME = re.compile(r"dbname='(.*)'")
_MAJOR = re.compile(r"(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class ArchiveRead:
    """What pg_restore made of an archive."""

    listed: bool
    """It could show the table of contents."""
    code: int
    """Exit status of the full read, or of the listing where that failed."""
    said: str
    """Its complaint; empty when there was none."""
    database: str
    server: str
    """`Dumped from database version`, the first word."""
    tables: int
    """Tables whose data is in it."""

    @property
    def whole(self) -> bool:
        return self.code == 0

    @property
    def server_major(self) -> Major | None:
        return major_in(self.server)


@dataclass(frozen=True, slots=True)
class TextRead:
    """What came of reading SQL text, compressed or not, to its end."""

    readable: bool
    as_account: bool
    code: int = 0
    """Exit status of what read it."""
    said: str = ""
    size_bytes: int = 0
    """Of the text, unpacked."""
    first_line: str = ""
    """The first line by which pg_dump or pg_dumpall says what it writes; empty for other text."""
    holds_archive: bool = False
    """Unpacked, it is an archive for pg_restore."""
    complete: bool = False
    """It ends as what began it ends: of a whole cluster's dump, the end of one database is none."""
    server: str = ""
    databases: Mapping[str, int] = field(default_factory=dict)
    """Name -> COPY and INSERT commands after its `\\connect`; most dumps of pg_dump have none."""
    tables_before: int = 0
    """COPY and INSERT commands before any `\\connect`."""

    @property
    def is_dump(self) -> bool:
        return bool(self.first_line)

    @property
    def of_cluster(self) -> bool:
        """It is pg_dumpall's."""
        return self.first_line == _CLUSTER

    @property
    def last_line(self) -> str:
        """By which it would be complete; since the minor releases of 2025 others may follow."""
        return f"{self.first_line} complete"

    @property
    def database(self) -> str:
        """Of its first `\\connect`."""
        return next(iter(self.databases), "")

    @property
    def tables(self) -> int:
        """COPY and INSERT commands in all."""
        return self.tables_before + sum(self.databases.values())

    @property
    def server_major(self) -> Major | None:
        return major_in(self.server)


@dataclass(frozen=True, slots=True)
class BaseRead:
    """What pg_verifybackup said of a base backup: every file against the manifest, and the WAL it needs."""

    code: int
    said: str


def connected_to(argument: str) -> str:
    """The database's name in what pg_dump writes after `\\connect` (appendPsqlMetaConnect): the name alone, quoted
    unless it is plain, or a connection string where it holds more than letters, digits, `_` and `.`."""
    word = argument.strip().removeprefix("-reuse-previous=on ")
    if len(word) > 1 and word[0] == word[-1] == '"':
        word = word[1:-1].replace('""', '"')
    quoted_name = _DBNAME.fullmatch(word)
    return re.sub(r"\\(.)", r"\1", quoted_name[1]) if quoted_name else word


def major_in(version: str) -> Major | None:
    """`15.18` is 15, `9.6.24` is 9.6; None for anything else."""
    found = _MAJOR.match(version)
    if found is None:
        return None
    first = int(found[1])
    return (first,) if first >= 10 else (first, int(found[2] or 0))
