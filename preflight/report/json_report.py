"""The JSON report as types, declared once: what `--format json` writes, its schema describes, `diff` reads back and
compares. Read back strictly, because a report that is guessed at could turn a failure into something cured.

Every field is one that a reader can count on, so each must be there. One that comes later has a default, and older
reports stay readable; `REPORT_SCHEMA` is raised only when one goes away or changes its meaning."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from preflight.check import Expect
from preflight.clock import format_moment
from preflight.errors import RefusedError
from preflight.evidence import load_saved, require_schema
from preflight.finding import Event, Severity, Status
from preflight.judging.version_tests import StateStatus
from preflight.plan.confirmed import Decided, Digest
from preflight.probe import Unreadable
from preflight.record import fields_of, parse_json, read_record
from preflight.verdict import REPORT_SCHEMA, Decision, WaiverState


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What an observation says, or a whole line."""

    summary: str
    expected: str
    actual: str
    remedy: str
    """The act or command that cures it."""
    minutes_at_stake: float | None
    details: str


@dataclass(frozen=True, kw_only=True)
class Rated:
    status: Status


@dataclass(frozen=True, kw_only=True)
class Point(Conclusion, Rated):  # a dataclass has the fields of its last base first
    """One observation behind a line."""

    @property
    def value(self) -> tuple[Status, str, str]:
        """What makes it another observation. A pass differs in every run (times, free bytes) and is a pass; why
        nobody could look is compared by its cause, and evidence that is too old is just older the next time."""
        match self.status:
            case Status.PASS | Status.STALE:
                return self.status, "", ""
            case Status.UNKNOWN:
                return self.status, self.summary, ""
            case _:
                return self.status, self.summary, self.actual


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    minutes: float
    """At least so many where `finish_at` is not known."""
    finish_at: datetime | None
    margin_minutes: float | None


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Which check of which subject, and what became of it."""

    check: str
    title: str
    subject: str
    status: Status
    severity: Severity
    owner: str
    """Person, role and contact."""
    cause: str
    """Why it could not look, the same text for all findings of one cause."""
    vantage: str
    oldest_evidence_at: datetime | None
    took_seconds: float
    waiver: str
    """Id of the waiver that covers it."""
    price: Price | None
    cure_by: datetime | None
    """When the cure must have been asked for at the latest."""
    runbooks: tuple[str, ...] = ()
    """URLs that the plan names for it."""


@dataclass(frozen=True, kw_only=True)
class Line(Conclusion, Planned):
    """One check of one subject."""

    points: tuple[Point, ...]

    @property
    def telling(self) -> tuple[Point, ...]:
        """What a reader must see: every observation that is no pass, worst first, or the one conclusion."""
        own = Point(**{name: getattr(self, name) for name in fields_of(Point)})
        return tuple(point for point in self.points if point.status is not Status.PASS) or (own,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    id: str
    title: str
    ticket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    zone: str
    start: datetime
    end: datetime
    needed_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    file: str
    sha256: Digest
    set: Mapping[str, str] = field(default_factory=dict)
    """What the call set variables to, where that is not the plan's own value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    step: str
    begins_at: datetime
    ends_at: datetime
    over_network: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The work from the window's start; from the moment judged once the window is open. Null is what is not known."""

    finish_at: datetime | None
    decide_by: datetime | None
    start_rollback_by: datetime | None
    point_of_no_return: datetime | None
    latest_start: datetime | None
    margin_minutes: float | None
    rollback_minutes: float | None
    critical_path: tuple[str, ...]
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedules:
    planned: Schedule | None
    found: Schedule | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    id: str
    check: str
    subject: str
    state: WaiverState
    text: str
    limit: str
    reason: str
    approved_by: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    family: str
    old_seconds: float
    max_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EndState:
    versions: Mapping[str, str]
    status: StateStatus
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndStates:
    counts: Mapping[StateStatus, int]
    listed: tuple[EndState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken(Decided):
    signed: str = ""
    """Whether it is the word of whom it names, in words; empty where nobody wants it signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """The run before, and the lines that are otherwise now, as `check subject`."""

    collected_at: datetime
    headline: str
    new: tuple[str, ...]
    changed: tuple[str, ...]
    disappeared: tuple[str, ...]
    cured: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one run concluded. Moments are UTC."""

    schema: int
    verdict: Decision
    headline: str
    """The verdict in words: `GO with 1 waiver`."""
    expect: Expect | None = None
    """Of `verify`: the state that the systems must be in."""
    exit_code: int
    reason: str
    """Why it is not GO when no finding says so; else empty."""
    release: Release
    window: Window
    moment: datetime
    """The instant judged."""
    collected_at: datetime
    """When the systems were asked."""
    vantage: str
    """Where preflight ran and as whom."""
    plan: PlanFile
    evidence_sha256: Digest
    planned: int
    """Every check of every subject; the counts add up to it."""
    counts: Mapping[Status, int]
    advisory: Mapping[Status, int] = field(default_factory=dict)
    """Of the counts, those of checks that decide nothing."""
    findings: tuple[Line, ...]
    unconfirmed: tuple[str, ...]
    """What the plan asks of nobody."""
    without: tuple[str, ...] = ()
    """What the plan leaves out, and why; what it does not let block; what it overrides of an included file."""
    basis: tuple[str, ...]
    schedule: Schedules
    waivers: tuple[Waiver, ...]
    ages: tuple[Age, ...]
    events: tuple[Event, ...]
    end_states: EndStates
    hosts_reached: Mapping[str, bool] = field(default_factory=dict)
    """Every host that was to be asked, and whether it answered a question."""
    made_with: tuple[str, ...] = ()
    """Versions of preflight and of installed checks, and the commit of the plan."""
    decided: tuple[Taken, ...] = ()
    """What people decided, whatever the verdict is."""

    since: Since | None = None
    """What changed since the run before; null where there is none."""


class ReportError(RefusedError):
    """A file that is no JSON report of this program, or a damaged one."""


def load_report(path: Path) -> Report:
    """Raises ReportError, which names the file."""
    return load_saved(path, read_report, ReportError)


def read_report(text: str) -> Report:
    """The report that `--format json` prints. Raises ReportError, which says where it has another shape."""
    try:
        found = parse_json(text)
        require_schema(found, REPORT_SCHEMA, "verdict", ReportError)
        report = read_record(Report, found, exact=False)
    except Unreadable as error:
        raise ReportError(f"no JSON report: {error}") from None
    if report.planned != len(report.findings):
        raise ReportError(f"{report.planned} checks were planned, {len(report.findings)} are in it: it is not whole")
    for key in ("moment", "collected_at"):
        try:
            format_moment(getattr(report, key), report.window.zone)
        except (ValueError, OverflowError) as error:
            raise ReportError(f"{key} is no moment that can be shown: {str(error)[:100]}") from None
    for line in report.findings:
        worst = line.telling[0].status
        if line.status is Status.PASS and worst is not Status.PASS:
            raise ReportError(f"a line says pass, and one of its points {worst}: it was changed")
    if not f"{report.headline} ".replace(";", " ").startswith(f"{report.verdict} "):
        raise ReportError(f"its headline and its verdict, {report.verdict}, do not agree")
    return report
