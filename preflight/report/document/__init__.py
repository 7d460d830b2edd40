"""The report as data, built once from a verdict: every format renders this and adds no word of its own.

A section that all formats show is a function in `sections` and a field here. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from preflight.errors import ExitCode
from preflight.finding import Finding, Status
from preflight.report import View, command_sheet
from preflight.report.command_sheet import CommandShown
from preflight.report.document import sections
from preflight.report.document.blocks import Entry, Labelled, Section
from preflight.report.document.figures import Figure, figures, without_times
from preflight.report.document.now import now
from preflight.report.document.order import Blocker, Card, blockers, cards, findings_by_host
from preflight.report.document.sections import entries
from preflight.report.document.window import Timeline, event_text, timeline
from preflight.report.harmless import line_to_paste
from preflight.verdict import Verdict

_DECISION_STATUS = {ExitCode.GO: Status.PASS, ExitCode.NO_GO: Status.FAIL, ExitCode.HOLD: Status.UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    verdict: Verdict
    """For its headline, which begins with the decision, its release, its counts."""
    status: Status
    """The status whose colour the decision has."""
    now: Section
    """Of a watch: where in the night it is, what comes next, how long until decide-by."""
    facts: tuple[Labelled, ...]
    """The head: window, moment, times, counts."""
    figures: tuple[Figure, ...]
    """The times of the head, one by one."""
    without_times: str
    """Why there are none."""
    blockers: tuple[Blocker, ...]
    cards: tuple[Card, ...]
    """The same by owner, for pages that show who must do what by when."""
    to_cure: Section
    """The same as a table."""
    waivers: Section
    steps: Section
    timeline: Timeline | None
    """The window to scale; None for a plan without steps, and once the window is over."""
    inside: tuple[str, ...]
    """What ends or begins by itself inside the window."""
    findings: tuple[Entry, ...]
    checks: Mapping[str, Sequence[Finding]]
    """Every planned check by its host, in the plan's order; those of no host last, under an empty name."""
    versions: Section
    agreed: Section
    people: Section
    ages: Section
    not_checked: Section
    """What was not selected, and what the plan does not ask."""
    changes: Section
    commands: Sequence[CommandShown]
    """The night's command lines, the ways back last; formats fold them."""
    call: str
    """The one that gives this report again, to be pasted."""


def document(verdict: Verdict, view: View) -> Document:
    blocking = tuple(blockers(verdict))
    return Document(
        verdict=verdict,
        status=_DECISION_STATUS[verdict.exit_code],
        now=now(verdict, view.watch),
        facts=sections.facts(verdict, view),
        figures=figures(verdict),
        without_times=without_times(verdict),
        blockers=blocking,
        cards=cards(blocking),
        to_cure=sections.to_cure(verdict, blocking),
        waivers=sections.waivers(verdict),
        steps=sections.steps(verdict),
        timeline=timeline(verdict),
        inside=tuple(event_text(verdict, event) for event in verdict.events),
        findings=entries(verdict),
        checks=findings_by_host(verdict.plan, verdict.findings),
        versions=sections.versions(verdict),
        agreed=sections.agreed(verdict.plan),
        people=sections.people(verdict),
        ages=sections.ages(verdict),
        not_checked=sections.not_checked(verdict),
        changes=sections.changes(view.difference),
        commands=tuple(command_sheet.shown(verdict.plan, verdict.commands)),
        call=line_to_paste(view.command or verdict.plan.call("run", path=str(verdict.plan.path)))
        or "(a line break in the call: it cannot be shown)",
    )
