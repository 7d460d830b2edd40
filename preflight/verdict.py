"""What one run answers: GO, NO-GO or HOLD, the exit code, and all that the report says."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from preflight.check import Expect
from preflight.errors import ExitCode
from preflight.finding import Age, Event, Finding, Status
from preflight.judging.end_states import EndState
from preflight.judging.schedule import Schedule
from preflight.plan import Plan, Waiver
from preflight.plan.command_lines import Command
from preflight.plan.confirmed import Decided
from preflight.wording import counted

REPORT_SCHEMA = 2
"""Of the report in JSON. Raised only when a field changes its meaning or goes away; new fields do not raise it."""


class Decision(StrEnum):
    """The answer of `run` and `gate`, and below that the one of `verify`."""

    GO = "GO"
    NO_GO = "NO-GO"
    HOLD = "HOLD"
    VALID = "VALID"
    NOT_VALID = "NOT VALID"
    NOT_KNOWN = "NOT KNOWN"


READINESS = (Decision.GO, Decision.NO_GO, Decision.HOLD)
VERIFIED = (Decision.VALID, Decision.NOT_VALID, Decision.NOT_KNOWN)
_EXIT_CODES = dict(zip((*READINESS, *VERIFIED), 2 * (ExitCode.GO, ExitCode.NO_GO, ExitCode.HOLD), strict=True))


class WaiverState(StrEnum):
    COVERS = "covers"
    EXPIRED = "expired"
    NOT_YET = "not yet granted"
    TOO_LATE = "granted too late"
    UNMATCHED = "unmatched"
    """No check or subject of the plan has that name."""
    BEYOND = "beyond its limit"
    FORBIDDEN = "not waivable"
    NOT_A_FAILURE = "not a failure"
    """What could not be seen cannot be accepted."""
    UNUSED = "unused"


@dataclass(frozen=True, slots=True)
class WaiverUse:
    waiver: Waiver
    state: WaiverState
    text: str
    """One sentence for the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer of one run and everything the report says."""

    plan: Plan
    decision: Decision
    reason: str
    """Why it is not GO when no finding says so (`3 of 9 checks were not selected`); otherwise empty."""
    findings: Sequence[Finding]
    counts: Mapping[Status, int]
    planned: int
    evidence_digest: str
    collected_at: datetime
    moment: datetime
    expect: Expect | None = None
    """What `preflight verify` wanted to find; None where readiness was judged."""
    unconfirmed: Sequence[str] = ()
    """What the plan itself leaves unconfirmed."""
    vantage: str = ""
    """Where the tool ran and as whom."""
    waivers: Sequence[WaiverUse] = ()
    """What became of every waiver of the plan."""
    planned_schedule: Schedule | None = None
    """The work as planned, from the window's start; from the moment judged once the window is open. None when the plan
    has no steps, and once the window is over."""
    found_schedule: Schedule | None = None
    """The same with every step over the network that lost the server path."""
    events: Sequence[Event] = ()
    """Everything that ends or begins by itself inside the window and its reserve, in time order."""
    end_states: Sequence[EndState] = ()
    """Version pairs that may be left standing at the end."""
    commands: Sequence[Command] = ()
    """The night's command lines, in their order."""
    ages: Sequence[Age] = ()
    """The oldest answer of each family, at the moment judged."""
    hosts_reached: Mapping[str, bool] = field(default_factory=dict)
    """Every host that was to be asked, and whether it answered a question."""
    basis: Sequence[str] = ()
    """What the verdict stands on besides this run: which earlier answers were kept, and what voided others."""
    made_with: Sequence[str] = ()
    """Versions of the tool and of installed checks, and the commit of the plan."""
    signatures: Mapping[Decided, str] = field(default_factory=dict)
    """Of each signed decision, where the plan names who may sign: why its signature is not theirs; empty if it is."""

    @property
    def exit_code(self) -> ExitCode:
        return _EXIT_CODES[self.decision]

    @property
    def waived(self) -> int:
        return self.counts.get(Status.WAIVED, 0)

    @property
    def advisory(self) -> Mapping[Status, int]:
        """Of the counts, those of checks that decide nothing."""
        return dict(sorted(Counter(each.status for each in self.findings if not each.severity.decides).items()))

    @property
    def headline(self) -> str:
        """`GO`, `GO with 2 waivers`, `NO-GO`, `HOLD`; `VALID`, `NOT VALID`, `NOT KNOWN`."""
        is_waived = self.exit_code is ExitCode.GO and self.waived
        return f"{self.decision} with {counted(self.waived, 'waiver')}" if is_waived else self.decision.value
