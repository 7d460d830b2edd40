"""The words in which the outside world is asked and answers.

A `Probe` is a question as text plus a pure reader of the reply. It knows nothing of sockets: sessions carry the
`Question` it stands for and bring back a `Reply`, or a `NoReply` that says why nobody could be asked. A negative
answer ("no such directory") is a `Reply`; only "could not ask" is a `NoReply`."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

from preflight.reasons import Reason

T = TypeVar("T")


class Via(StrEnum):
    """The kind of session that carries a question."""

    SSH = "ssh"
    SQL = "sql"
    HTTP = "http"
    LOCAL = "local"


class Family(StrEnum):
    """What an answer tells, and with that how soon it is out of date: the keys of the plan's `[freshness]`."""

    IDENTITY = "identity"
    STATE = "state"
    SPACE = "space"
    ACCESS = "access"
    HEALTH = "health"
    BACKUP = "backup"
    SCRIPTS = "scripts"


@dataclass(frozen=True, slots=True)
class Question:
    """What is really sent, verbatim. Two questions with equal `via`, `target` and `text` are one question."""

    via: Via
    target: str
    """Host id for ssh, database id for sql, application id for http, `plan` for local."""
    text: str
    """Shell text, one SQL statement, a request (see `preflight.questions.http`) or a request to this machine."""
    timeout_seconds: float = 10.0
    """How long this one question may take at the far end, in seconds."""
    own_channel: bool = False
    """Risky or slow: asked in a channel of its own, so that a hang costs only itself."""
    every_row: bool = False
    """SQL: an error instead of fewer rows, where row security would hide some."""
    stdin_secret: str = ""
    """Secret reference whose value is written to the command's standard input, one line (sudo -S); never the value."""

    id: str = field(init=False, repr=False, compare=False)
    """Stable identity in evidence: 16 hex digits over via, target, text and the secret's reference."""

    def __post_init__(self) -> None:
        parts = "\0".join((self.via, self.target, self.text, self.stdin_secret))
        digest = hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()
        object.__setattr__(self, "id", digest[:16])


CLOCK_SET = "clock_set"
"""In the session of an answer that came after this machine's clock was set: by how much, as `SteadyClock` says it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, also a negative one."""

    code: int
    """Exit status of a command, HTTP status, 0 or 1 for SQL and files; -1 never stands for success."""
    text: str
    """Standard output, rows as JSON, or the body."""
    asked_at: datetime
    """When the question was sent, UTC."""
    took_seconds: float
    vantage: str
    """From where and as whom, for example `on db1 as dbadmin`."""
    error: str = ""
    """Standard error, or SQLSTATE and message."""
    session: Mapping[str, str] = field(default_factory=dict)
    """What the session that carried the reply knows of itself: address, banner, fingerprint, TLS."""


@dataclass(frozen=True, slots=True)
class NoReply:
    """Nobody could be asked, or the answer did not arrive whole. Never evidence for a pass."""

    reason: Reason
    detail: str
    """One sentence for the report, naming what was seen."""
    asked_at: datetime
    took_seconds: float = 0.0
    vantage: str = ""
    session: Mapping[str, str] = field(default_factory=dict)


Answer = Reply | NoReply


class Unreadable(ValueError):
    """A reply that does not have the shape its probe expects; becomes a `NoReply`, never a pass."""

    reason = Reason.UNREADABLE


class ClockSet(Unreadable):
    """A reply that tells a time, to be held against this machine's clock, which was set before the reply came."""

    reason = Reason.CLOCK_SET


@dataclass(frozen=True)
class Probe(Generic[T]):
    """A question about one target and the pure reader of its reply. Subclasses are frozen dataclasses, so that
    equal probes are equal values and are asked once."""

    target: str

    via: ClassVar[Via]
    timeout_seconds: ClassVar[float] = 10.0
    own_channel: ClassVar[bool] = False
    asked_last: ClassVar[bool] = False
    """What it runs is not ours and may hang: asked after everything else that goes to the target at once."""
    family: ClassVar[Family] = Family.STATE
    text: ClassVar[str]
    """What is sent, where that is always the same."""

    def ask(self) -> str:
        """The text that is sent."""
        return self.text

    def read(self, reply: Reply) -> T:
        """The typed fact in a reply. Raises `Unreadable` when the reply has another shape."""
        raise NotImplementedError

    def may_be_kept(self, _reply: Reply) -> bool:
        """True when the gate need not ask this question again after an earlier run got this reply: the question then
        names the very state of what it reads, so that an equal question has an equal answer. May raise as `read`."""
        return False

    def stdin_secret(self) -> str:
        """Secret reference for the command's standard input; empty for none."""
        return ""

    def question(self) -> Question:
        return Question(
            self.via, self.target, self.ask(), self.timeout_seconds, self.own_channel, stdin_secret=self.stdin_secret()
        )
