"""What a check concludes, and how conclusions combine. Pure values; imports nothing of ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypedDict, Unpack


class Status(StrEnum):
    """Outcome of one check on one subject."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    """Looked, and it is not so, now or at the time of need."""
    UNKNOWN = "unknown"
    """Could not look."""
    STALE = "stale"
    """The evidence is too old for the moment judged."""
    SKIPPED = "skipped"
    WAIVED = "waived"


WORST_FIRST = (Status.FAIL, Status.UNKNOWN, Status.STALE, Status.SKIPPED, Status.WARN, Status.WAIVED, Status.PASS)
"""The one order of statuses: what keeps a release from GO stands before what does not."""


class Severity(StrEnum):
    """What a finding does to the verdict."""

    BLOCKING = "blocking"
    """A failure is NO-GO; what was not seen is HOLD."""
    REQUIRED = "required"
    """Either is HOLD, never NO-GO."""
    ADVISORY = "advisory"
    """Neither decides."""

    @property
    def decides(self) -> bool:
        return self is not Severity.ADVISORY

    @property
    def mark(self) -> str:
        """Stands in brackets behind what does not simply block: ` (advisory)`."""
        return "" if self is Severity.BLOCKING else f" ({self})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that ends or begins by itself: a password that expires, a job that wakes up."""

    at: datetime
    """UTC."""
    text: str
    """What happens, with whose: `password of dbadmin on db1 expires`."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """How bad it is as a number, for findings that a waiver may cover up to a limit."""

    value: float
    """In the base unit: seconds, bytes, or a plain number."""
    unit: str
    """`s`, `B` or empty."""
    more_is_worse: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One conclusion in the words of the report. A failing one says what was seen, what was needed and the cure."""

    status: Status
    summary: str
    """One line, without the subject's name: `password expires 2026-10-16, before the window ends`."""
    expected: str = ""
    actual: str = ""
    remedy: str = ""
    """An act or a command that cures it, never an option that silences the check."""
    minutes_at_stake: float | None = None
    """Minutes lost in the window if this stays as it is; None when the plan does not price it."""
    details: str = ""
    """Further lines, for example a bounded diff."""
    points: tuple[Judgement, ...] = ()
    """The single observations this judgement was drawn from, worst first; empty for a single observation."""
    events: tuple[Event, ...] = ()
    """What this subject brings to the window's time axis, whatever the status."""
    quantity: Quantity | None = None
    """The measured value that failed, for a waiver's limit."""
    behind: str = ""
    """Of an UNKNOWN: the line of another check that tells why, `check subject: what it says`; a report folds by it."""
    waivable: bool = True
    """False for identity, script content, primary or replica: no waiver ever covers such a failure."""

    def __post_init__(self) -> None:
        if self.status in (Status.FAIL, Status.WARN, Status.UNKNOWN) and not self.remedy and not self.points:
            raise ValueError(f"a {self.status} needs a remedy: {self.summary}")
        if any(WORST_FIRST.index(point.status) < WORST_FIRST.index(self.status) for point in self.points):
            raise ValueError(f"a {self.status} holds a point that is worse: {self.summary}")

    @classmethod
    def of(cls, points: Iterable[Judgement]) -> Judgement:
        """The worst of several observations of one subject. No observation at all is UNKNOWN, never a pass."""
        ordered = tuple(sorted(points, key=lambda point: WORST_FIRST.index(point.status)))
        if not ordered:
            return unknown("nothing was observed", remedy="report this as a defect of the check")
        if len(ordered) == 1:
            return ordered[0]
        events = tuple(event for point in ordered for event in point.events)
        worst = replace(ordered[0], points=ordered, events=events)
        if worst.status is Status.PASS:
            return replace(worst, summary="; ".join(point.summary for point in ordered))
        stakes = [point.minutes_at_stake for point in ordered if point.minutes_at_stake is not None]
        return replace(worst, minutes_at_stake=max(stakes, default=None))

    def telling_points(self) -> tuple[Judgement, ...]:
        """The observations a reader must see: all that are not a pass, or the judgement itself."""
        return tuple(point for point in self.points if point.status is not Status.PASS) or (self,)


def passed(summary: str, *, expected: str = "", actual: str = "") -> Judgement:
    return Judgement(status=Status.PASS, summary=summary, expected=expected, actual=actual)


class Rest(TypedDict, total=False):
    """What else a judgement may say; see `Judgement`."""

    details: str
    minutes_at_stake: float | None
    quantity: Quantity | None
    waivable: bool
    behind: str


def warned(summary: str, *, remedy: str, expected: str = "", actual: str = "", **rest: Unpack[Rest]) -> Judgement:
    return Judgement(status=Status.WARN, summary=summary, expected=expected, actual=actual, remedy=remedy, **rest)


def failed(summary: str, *, remedy: str, expected: str, actual: str, **rest: Unpack[Rest]) -> Judgement:
    return Judgement(status=Status.FAIL, summary=summary, expected=expected, actual=actual, remedy=remedy, **rest)


def unknown(summary: str, *, remedy: str, expected: str = "", actual: str = "", **rest: Unpack[Rest]) -> Judgement:
    return Judgement(status=Status.UNKNOWN, summary=summary, expected=expected, actual=actual, remedy=remedy, **rest)


@dataclass(frozen=True, slots=True)
class Age:
    """How old an answer is at the moment judged, and how old it may be."""

    family: str
    """What it tells: a key of `[freshness]`."""
    old: timedelta
    most: timedelta

    @property
    def too_old(self) -> bool:
        return self.old > self.most


@dataclass(frozen=True, slots=True)
class Price:
    """What a failure costs when it stays: the window's schedule with its steps over the network."""

    minutes: float
    """By how much the work ends later; at least so much where `finish_at` is not known."""
    finish_at: datetime | None
    margin: timedelta | None
    """From the end of the last risky step to decide-by; negative when there is none left, None when not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One planned check of one subject: its judgement and where the evidence came from."""

    check: str
    title: str
    subject: str
    severity: Severity
    judgement: Judgement
    owner: str = ""
    """Whom to call: person, role and contact."""
    cause: str = ""
    """Shared cause of an UNKNOWN, one text for all findings it explains; the report folds them by it."""
    vantage: str = ""
    """From where and as whom it was seen: `on db1 as dbadmin`."""
    oldest_evidence_at: datetime | None = None
    took_seconds: float = 0.0
    steps: tuple[str, ...] = ()
    """Steps that run over the network while this fails."""
    price: Price | None = None
    """What that costs in the window; None when it costs nothing that the plan prices."""
    cure_by: datetime | None = None
    """When the cure must have been asked for at the latest, UTC: the owner's lead time before the window."""
    waiver: str = ""
    """Id of the waiver that covers it."""
    runbooks: tuple[str, ...] = ()
    """URLs of what describes the operation of its subject, of what was asked, and the check."""

    @property
    def status(self) -> Status:
        return Status.WAIVED if self.waiver else self.judgement.status
