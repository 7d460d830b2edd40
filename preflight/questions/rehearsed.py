"""The record that `preflight rehearse` writes beside the plan: what the sealed work did where it was tried. Pure.

It holds no row of anybody's data and no secret; psql's own error line may quote a value, so only its owner reads it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Annotated, Self

from preflight.plan import Content, Plan
from preflight.plan.limits import Between
from preflight.probe import Reply, Unreadable
from preflight.questions.files import LocalProbe, text_in
from preflight.questions.local import TARGET, LocalAct
from preflight.record import parse_json, plain, read_record
from preflight.wording import beside

_FORMAT = 1
LOCKS = (
    *("AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock"),
    *("ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"),
)
"""From the weakest to the strongest (PostgreSQL, 13.3.1)."""
_STOP_WRITERS = LOCKS[LOCKS.index("ShareLock") :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """One object of the scratch database or server that a script touched."""

    kind: str
    """PostgreSQL's word: table, index, function, schema, role, setting ..."""
    name: str
    """Its identity, quoted where PostgreSQL quotes it: `billing.events`."""
    defined: bool = False
    """Created, altered or dropped by a statement of DDL: what its owner alone may do."""
    created: bool = False
    dropped: bool = False
    rewritten: bool = False
    """Its files were written anew: it needs its own size again."""
    lock: str = ""
    """The strongest that the script held on it, as pg_locks calls it; empty where none was seen."""
    lock_timeout_ms: int | None = None
    """`lock_timeout` of the session that took it, in milliseconds; 0 is none. None where that was not seen."""
    inserted: int = 0
    """Rows, those that were rolled back again with them; updated and deleted likewise."""
    updated: int = 0
    deleted: int = 0

    @property
    def waits(self) -> str:
        """The lock for which it waits until nobody holds one there, however long that takes, while all who write wait
        behind it; empty where it does not."""
        is_others = self.kind != "index" and (self.dropped or not self.created)
        strong = self.lock in _STOP_WRITERS and not self.lock_timeout_ms
        return f"{self.lock}, no lock_timeout seen" if strong and is_others else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One script, or the command, as it ran."""

    script: str
    """Its path relative to the staged folder; of a command, its program."""
    way_back: bool = False
    seconds: float
    wal_bytes: int = 0
    temporary_bytes: int = 0
    """Of all its temporary files, one after the other."""
    exit_code: int
    """Of the client program that ran it; 128 + N when signal N ended it."""
    said: str = ""
    """Where it failed: the client's own error line. With status 0: the error after which it went on."""
    rolled_back: int = 0
    """Transactions of this client that were rolled back, one that was left open with them."""
    rows_lost: tuple[str, ...] = ()
    """Of a way back: tables with fewer rows than before the scripts, `billing.events: 3 rows of 10`."""
    changes: str = ""
    """Unified diff of the schema before and after it; empty for a way back, whose entry has `left`."""
    touched: tuple[Touched, ...] = ()

    @property
    def idle(self) -> bool:
        """It changed nothing, as far as there was something to change."""
        return not (self.touched or self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """The same line once more, on an untouched copy of the schema, with a broken statement put first in one script."""

    script: str
    exit_code: int
    said: str
    kept: str = ""
    """What was applied all the same: unified diff of the schema; empty for nothing."""
    went_on: str = ""
    """The first statement that the server got after the broken one; empty where it stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedEntry:
    database: str
    """The entry of `[databases]`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 by path of every sealed file: scripts, ways back and what they include."""
    line: tuple[str, ...] = ()
    """As the plan declares it for the real server; a command, and then its `rehearse_command`."""
    runs: tuple[Run, ...] = ()
    """The scripts in their order up to the first that failed; then the ways back, as far as they ran."""
    drills: tuple[Drill, ...] = ()
    left: str = ""
    """Unified diff of schema, roles and settings, before the scripts and after the ways back; empty for none."""

    @property
    def forward(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if not run.way_back)

    @property
    def back(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.way_back)

    @property
    def minutes(self) -> float:
        """Of all scripts; it tells something only where the content is a restore."""
        return sum(run.seconds for run in self.forward) / 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedDatabase:
    """One entry of `[databases]`, and the scratch database that stood for it."""

    content: Content
    backup: str = ""
    """The file that was restored; empty for the schema alone."""
    size_bytes: int
    """Of the scratch database before the work."""
    version_num: int
    """Of the scratch server, as `server_version_num` says it: 150018."""
    server_version_num: int
    """Of the real one."""
    system_identifier: str = ""
    """Of the real server; empty where the plan's role may not see it."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """With which the role of the database began a session at the real server: `RoleSettings.of_scripts`."""
    objects: Mapping[str, str] = field(default_factory=dict)
    """Of the schema before the work: a hash of each object's definition, by kind and name."""
    changes: Mapping[str, str] = field(default_factory=dict)
    """What all of them changed: for each object of the schema its lines that are gone and those that are new."""
    missing_extensions: tuple[str, ...] = ()
    """Of the real database, and not to be had on the scratch server."""
    allowed: Mapping[str, str] = field(default_factory=dict)
    """What the real server let the scripts do then, as `AllowedProbe` tells; of its roles those that `changes` name."""
    table_bytes: Mapping[str, int] = field(default_factory=dict)
    """Of the tables that they touched, before the work, with indexes and TOAST."""
    restores: Mapping[str, str] = field(default_factory=dict)
    """By declared line of pg_restore, without its file: how it ended after all scripts and ways back; empty for 0."""
    named_server: str = ""
    """That of `[rehearsal.server]`, where it was rehearsed there; empty for one that was thrown away."""

    @property
    def has_rows(self) -> bool:
        """Whether minutes, rows and WAL tell something of the real database."""
        return self.content is Content.RESTORE

    @property
    def major(self) -> int:
        return self.version_num // 10_000

    @property
    def version(self) -> str:
        return version_text(self.version_num)

    @property
    def server_major(self) -> int:
        return self.server_version_num // 10_000


def version_text(version_num: int) -> str:
    """`15.18`, as `server_version` says it."""
    return f"{version_num // 10_000}.{version_num % 10_000}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    release: str
    at: datetime
    """When it began, UTC."""
    by: str
    """Who called it: the account of the machine where preflight ran."""
    where: str
    """The name of that machine."""
    databases: Mapping[str, RehearsedDatabase] = field(default_factory=dict)
    """By id of `[databases]`."""
    scripts: Mapping[str, RehearsedEntry] = field(default_factory=dict)
    """By id of `[scripts]`, in the order in which they ran; a command without `rehearse_command` is not among them."""
    not_rehearsed: Mapping[str, str] = field(default_factory=dict)
    """By id of `[databases]`: why nothing of its scripts is here."""
    format: Annotated[int, Between(_FORMAT, _FORMAT)] = _FORMAT


@dataclass(frozen=True, slots=True)
class Rehearsed:
    record: Rehearsal | None
    problem: str = ""
    """Why there is no record: no such file, or one that cannot be relied on."""

    def entry(self, name: str) -> RehearsedEntry | None:
        """That of `[scripts]`; None where it was not rehearsed."""
        return self.record.scripts.get(name) if self.record else None


@dataclass(frozen=True)
class RehearsalProbe(LocalProbe[Rehearsed]):
    """Reads the record beside the plan."""

    act = LocalAct.TEXT

    @classmethod
    def of(cls, plan: Plan) -> Self:
        return cls(TARGET, beside(plan.folder, plan.rehearsal_record))

    def read(self, reply: Reply) -> Rehearsed:
        told = text_in(reply)
        try:
            return Rehearsed(None if told.problem else parse_rehearsal(told.text), told.problem)
        except Unreadable as error:
            return Rehearsed(None, f"it cannot be read: {error}")


def parse_rehearsal(text: str) -> Rehearsal:
    """The record in a file's text. Raises Unreadable, also where a later or an earlier version wrote it."""
    return read_record(Rehearsal, parse_json(text), complete=True)


def format_rehearsal(record: Rehearsal) -> str:
    return json.dumps(asdict(record), indent=1, default=plain, ensure_ascii=False) + "\n"
