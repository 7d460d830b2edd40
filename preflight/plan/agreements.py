"""What is agreed for the window: its steps, tested versions, rules, decisions, waivers, how old an answer may be."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from graphlib import TopologicalSorter
from typing import Annotated

from preflight.plan import values
from preflight.plan.limits import GUESS, Above, filled


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """How a step is taken back, and how long that takes."""

    kind: values.UndoKind
    """How it is taken back; `nothing-to-undo` and `none` (it cannot be) are answers too. `restore` wants a
    `[backups.NAME.restore]` for each database that the step's scripts change, `script` a `way_back` for the scripts."""
    minutes: values.Minutes = 0
    """How long that takes."""
    source: values.Source = GUESS
    """Where the minutes come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`[[steps]]`: one act of the window."""

    id: values.EntryId
    """Its name, to which `after`, backups and scripts refer."""
    after: tuple[values.StepRef, ...] = ()
    """Steps that must have ended before."""
    minutes: values.Minutes
    """How long it takes."""
    minutes_over_network: values.Minutes | None = None
    """What it takes when the server path is lost."""
    source: values.Source = GUESS
    """`measured DATE`, `rehearsed DATE` or `guess`."""
    undo: Undo | None = None
    """How it is taken back; without it decide-by is not known."""
    track: str = ""
    """Name of the line of work it belongs to, for the picture of the window."""
    host: values.HostRef = ""
    """Where it runs, for the report."""
    deploys: values.ApplicationRef = ""
    """The application that answers with its `to` version once this step is done."""
    blocking: bool = True
    """False for work that the window can be finished without: no backup, no scripts, nothing that `deploys`."""

    @property
    def price_minutes(self) -> float | None:
        """Minutes lost when this step has to run over the network; None when the plan does not say."""
        return None if self.minutes_over_network is None else self.minutes_over_network - self.minutes

    @property
    def is_risky(self) -> bool:
        """It leaves something to undo, or does not say that it does not."""
        return self.undo is None or self.undo.kind is not values.UndoKind.NOTHING_TO_UNDO

    @property
    def is_final(self) -> bool:
        """It cannot be undone: the point of no return lies before it."""
        return self.undo is not None and self.undo.kind is values.UndoKind.NONE

    @property
    def knows_undo(self) -> bool:
        """The plan says how it is taken back, and how long that takes where it takes time."""
        return self.undo is not None and (not self.undo.kind.takes_time or self.undo.minutes > 0)

    @property
    def undo_time(self) -> timedelta:
        """Planned time of taking it back; nothing where there is nothing to undo, no way to, or none is named."""
        return timedelta(minutes=self.undo.minutes if self.undo and self.undo.kind.takes_time else 0)


def in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Every step after those that it waits for."""
    by_id = {step.id: step for step in steps}
    order = TopologicalSorter({step.id: step.after for step in by_id.values()}).static_order()
    return tuple(by_id[name] for name in order)


def ends_after(steps: Iterable[Step], durations: Mapping[str, timedelta]) -> dict[str, timedelta]:
    """How long after the begin each of `steps`, which are in order, ends. Steps that are not among them are done."""
    ends: dict[str, timedelta] = {}
    for step in steps:
        earlier = (ends[name] for name in step.after if name in ends)
        ends[step.id] = max(earlier, default=timedelta()) + durations[step.id]
    return ends


def steps_by_begin(steps: Iterable[Step]) -> Sequence[Step]:
    """In the order in which they begin as planned."""
    ordered = in_order(steps)
    durations = {step.id: timedelta(minutes=step.minutes) for step in ordered}
    ends = ends_after(ordered, durations)
    return sorted(ordered, key=lambda step: ends[step.id] - durations[step.id])


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a person answers for because preflight cannot see it: `{ by = "dba", on = 2026-10-10, reason = "..." }`."""

    by: values.RoleRef
    """Role that answers for it."""
    on: date
    """The day on which it was said; it counts from that day on, for `said` of `[freshness]`."""
    reason: values.Name
    """How it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidUntil(Said):
    """The same of something that ends."""

    until: date
    """Last day (UTC) on which it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidPath(Said):
    """The same of a place on a host."""

    path: values.RemotePath
    """Where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """`[[tested]]`: versions that were tried together, and how that ended."""

    versions: Mapping[values.ApplicationRef, values.Name]
    """Application -> version."""
    on: date
    """The day of the test."""
    evidence: values.Name
    """Where the result can be read: `regression run 8812`."""
    result: values.TestResult = values.TestResult.PASSED
    """A pair that failed stays failed until a later record says that it passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`[[rules]]`: what was decided beforehand about versions that meet. Exactly one of the first three."""

    together: tuple[values.ApplicationRef, ...] = ()
    """Go forward and back together, so that mixed end states cannot occur."""
    unrelated: tuple[values.ApplicationRef, ...] = ()
    """Never talk to each other, so that their versions need no test together."""
    exclude: Mapping[values.ApplicationRef, values.Name] = field(default_factory=dict)
    """An end state (application -> version) that is never left standing."""
    reason: values.Text = ""
    """Why it was decided so."""
    decides: values.RoleRef = ""
    """Role that stands for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`[[decisions]]`: who decides in the window, agreed beforehand."""

    on: values.DecisionKind
    """Which decision."""
    steps: tuple[values.StepRef, ...] = ()
    """The steps it is about; all of them when left out."""
    rule: values.Text
    """What was agreed: `one retry, if the cause is known within 10 minutes`."""
    decides: values.RoleRef
    """Role that takes it."""
    default: values.Name
    """What is done when nobody who decides can be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """`[[waivers]]`: one failing finding accepted for this window. Exact, limited and dated."""

    id: values.EntryId
    """Its number, named in every report."""
    check: values.Name
    """Id of one check."""
    subject: values.Name
    """One subject of it, as the report names it."""
    reason: Annotated[values.Text, filled]
    """Why it is acceptable."""
    limit: values.Name
    """The worst value it covers: `900 ms`, `12 GiB`; for a finding without a number, the text after `found`."""
    approved_by: values.RoleRef
    """Role that accepted it."""
    granted: datetime
    """Valid from then on."""
    expires: datetime
    """Valid until then: past the window and its reserve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attest:
    """`[[attest]]`: an item that only a person can say, such as that the vendor is on standby. `preflight confirm PLAN
    --item ID` writes down who said it."""

    id: values.EntryId
    """Its name, by which it is attested."""
    text: Annotated[values.Text, filled]
    """What is said: `the vendor is on standby until 08:00`."""
    owner: values.RoleRef
    """Role whose people can say it."""
    evidence: values.Text = ""
    """Where it is written down: a link, the number of a ticket."""
    valid: Annotated[timedelta, Above(0)] = timedelta(hours=12)
    """How old somebody's word may be at the window's start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """`[freshness]`: how old an answer may be at the moment judged, by what it tells."""

    identity: Annotated[timedelta, Above(0)] = timedelta(minutes=30)
    """Which server answers, primary or replica."""
    state: Annotated[timedelta, Above(0)] = timedelta(minutes=30)
    """What changes by itself: mounts, jobs, settings, clocks; sessions and locks of a database, which block a release
    from so long before the window's start."""
    space: Annotated[timedelta, Above(0)] = timedelta(minutes=30)
    """What is free on the file systems."""
    access: Annotated[timedelta, Above(0)] = timedelta(hours=4)
    """Logins, accounts, tools."""
    health: Annotated[timedelta, Above(0)] = timedelta(hours=4)
    """Health endpoints."""
    backup: Annotated[timedelta, Above(0)] = timedelta(hours=24)
    """Earlier backups read to their end."""
    people: Annotated[timedelta, Above(0)] = timedelta(hours=12)
    """Confirmations of `[roles]`, by `preflight confirm`."""
    scripts: Annotated[timedelta, Above(0)] = timedelta(minutes=30)
    """Staged scripts."""
    said: Annotated[timedelta, Above(0)] = timedelta(days=30)
    """What a person answers for (`by`, `on`, `reason`), from that day to the day of the window's start."""
