"""What a readiness check is. A check never touches the network: it names subjects, says what must be known about
each, and judges one subject from plain facts."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

from preflight.finding import Judgement, Severity
from preflight.plan import Plan
from preflight.probe import Probe

Probes = Mapping[str, Probe[Any]]
"""Fact name -> probe; the names are the keyword arguments of `follow_up` and `judge`."""


def asked(**probes: Probe[Any] | None) -> Probes:
    """Those that are not None: what need not be asked of a subject."""
    return {name: probe for name, probe in probes.items() if probe is not None}


class Expect(StrEnum):
    """Which state the systems must be in: that before the work, also once it was taken back, or that after it."""

    BEFORE = "before"
    AFTER = "after"


ANY_STATE = frozenset(Expect)


@dataclass(frozen=True, slots=True)
class NoSettings:
    """For checks that have nothing to set."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What one judgement is about."""

    id: str
    """Unique within its check: `db1`, `orders`, `app1 https://...`."""
    item: Any
    """The part of the plan it stands for."""
    owner: str = ""
    """Role that mends it."""
    steps: tuple[str, ...] = ()
    """Steps of the window that run over the network when this fails, at their `minutes_over_network`."""
    lead_time: timedelta | None = None
    """How long the cure takes, when the plan says so for the entry itself."""
    severity: Severity | None = None
    """Its own, when the plan says so for the entry itself; the check's where it does not."""
    unless_answered: bool = False
    """It says what nobody looked at in the item, and falls away where a check answers for the item's engine."""


class Check(ABC):
    """One readiness question.

    The class docstring's first line is the question; the rest says why it exists and how it judges. A subclass is
    built once per run and must be pure: equal facts, plan and moment give an equal judgement.
    """

    id: ClassVar[str]
    """Noun with hyphens, as in `[checks.backup-space]`."""
    title: ClassVar[str]
    """An assertion: `the backup directory has room`."""
    sections: ClassVar[tuple[str, ...]] = ()
    """Sections of the plan without any of which a built-in check has nothing to judge. It is then not even loaded: they
    are read from its text, so they stand there as plain strings on one line."""
    severity: ClassVar[Severity] = Severity.BLOCKING
    waivable: ClassVar[bool] = True
    """False where no waiver may ever cover a failure: what the check tells is identity or script content."""
    owner_decides: ClassVar[bool] = False
    """True where the owner of a subject is whoever decides about exceptions: he may approve their waivers. Nobody else
    may approve one for what he owns."""
    needs: ClassVar[str] = ""
    """The least privilege with which it can answer, for whoever grants it; left out where it reads the plan alone."""
    cure: ClassVar[str] = ""
    """The act that mostly cures a failure; each finding names its own."""
    Settings: ClassVar[type] = NoSettings
    """Frozen dataclass of what `[checks.ID]` may set; each field has a default and a docstring."""
    verifies: ClassVar[frozenset[Expect]] = frozenset()
    """The states for which `preflight verify` asks it, too; `self.expect` is then one of them."""
    engines: ClassVar[frozenset[str]] = frozenset()
    """Of a plug-in: the databases other than PostgreSQL for which it answers (`engine` of the plan's entries). A
    subject whose item is the `ServerWork` of such an entry takes the place of database-engine's UNKNOWN, where a probe
    of it is asked on the entry's host, and unless its severity is advisory, which decides nothing."""
    judges_no_reply: ClassVar[frozenset[str]] = frozenset()
    """Facts, or first words of their names, that `judge` wants to see even when they are a `NoReply`: only the check
    that confirms access turns a refusal into a FAIL. For every other fact a `NoReply` makes the subject UNKNOWN before
    `judge` is called. A missing fact can never end in a pass: the engine lowers such a judgement to UNKNOWN."""

    def __init__(
        self,
        plan: Plan,
        moment: datetime,
        settings: Any = None,
        *,
        asked_at: datetime | None = None,
        expect: Expect | None = None,
    ) -> None:
        """`moment`: the instant judged, UTC. `asked_at`: when that was asked; the same unless a later one is named.
        `expect`: what `preflight verify` wants to find; None where readiness is judged."""
        self.plan, self.moment = plan, moment
        self.asked_at = asked_at or moment
        self.expect = expect
        self.settings = self.Settings() if settings is None else settings

    @abstractmethod
    def subjects(self) -> Sequence[Subject]:
        """What the plan gives this check to judge; empty when the plan has nothing of the kind."""

    def probes(self, subject: Subject) -> Probes:
        """What must be known about `subject`; asked in the first round. Nothing, for a check that reads the plan."""
        return {}

    def follow_up(self, subject: Subject, *_args: Any, **_facts: Any) -> Probes:
        """Probes that need another one's answer; asked in the second round, never a third."""
        return {}

    @abstractmethod
    def judge(self, subject: Subject, *args: Any, **facts: Any) -> Judgement:
        """The conclusion from facts of both rounds, given by name."""
