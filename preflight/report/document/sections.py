"""The parts of the report: its head (of what, when, from where, how it ended), what to cure, waivers, versions, people,
ages, what was not checked, what changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preflight.clock import format_moment
from preflight.finding import WORST_FIRST, Status
from preflight.judging.end_states import matrix
from preflight.judging.schedule import time_in_window
from preflight.report.comparison import Change, Difference, Pair
from preflight.report.document.blockers import Blocker
from preflight.report.document.blocks import Cell, Labelled, Section, Table, row
from preflight.report.document.findings import NOBODY
from preflight.report.document.order import pairs_by_cause
from preflight.report.document.times import in_utc, times, window_span
from preflight.report.json_report import Line
from preflight.units import format_duration
from preflight.verdict import Verdict, WaiverState, WaiverUse
from preflight.wording import counted

_TOLD_CHANGES = (Change.NEW, Change.CHANGED, Change.DISAPPEARED, Change.CURED)


def facts(verdict: Verdict, took_seconds: float | None = None) -> tuple[Labelled, ...]:
    """In the order of the report, without those that have nothing to say."""
    return tuple(Labelled(label, tuple(lines)) for label, lines in _facts(verdict, took_seconds) if any(lines))


def counts(verdict: Verdict) -> str:
    """Every planned check, by what became of it."""
    told = [f"{verdict.counts[each]} {each}" for each in WORST_FIRST if verdict.counts.get(each)]
    return f"{verdict.planned} planned: {', '.join(told) or 'none'}"


def not_selected(verdict: Verdict) -> list[str]:
    """Ids of the checks that were left out, each once."""
    return list(dict.fromkeys(each.check for each in verdict.findings if each.status is Status.SKIPPED))


def unconfirmed_in_words(gaps: Sequence[str]) -> str:
    """`the plan leaves 2 things unconfirmed`."""
    return f"the plan leaves {counted(len(gaps), 'thing')} unconfirmed"


def _facts(verdict: Verdict, took_seconds: float | None) -> Iterator[tuple[str, list[str]]]:
    plan, window = verdict.plan, verdict.plan.window
    yield "window", [window_span(window)]
    needed = time_in_window(window, window.needed_until)
    yield "judged", [f"for {format_moment(verdict.moment, window.zone)}; what is used must last until {needed}"]
    took = "" if took_seconds is None else f", took {took_seconds:.1f} s"
    yield "asked", [f"{format_moment(verdict.collected_at, window.zone)} {verdict.vantage}".rstrip() + took]
    yield "plan", [f"{plan.path.name}, sha256 {plan.digest[:12]}, evidence {verdict.evidence_digest[:12]}"]
    yield "finish", list(times(verdict))
    yield "in UTC", [in_utc(verdict)]
    yield "basis", list(verdict.basis)
    yield "because", [verdict.reason]
    yield "checks", [counts(verdict)]
    gaps = [f"{unconfirmed_in_words(verdict.unconfirmed)}, below"] if verdict.unconfirmed else []
    yield "open", ["; ".join([*_deselected(verdict), *gaps])]


def _deselected(verdict: Verdict) -> list[str]:
    """In one line; none where all checks were run."""
    skipped = not_selected(verdict)
    return [f"not selected: {', '.join(skipped)}"] if skipped else []


def to_cure(verdict: Verdict, blockers: Sequence[Blocker]) -> Section:
    rows = tuple(
        row(
            Cell(each.status.upper(), each.status),
            Cell(each.what, strong=True, then=each.why),
            each.cure,
            f"{each.minutes:.0f} min" if each.minutes else "",
            _ask_by(verdict, each),
            each.owner or NOBODY,
        )
        for each in blockers
    )
    return Section(title="To cure", table=Table(("status", "what", "cure", "cost", "ask by", "owner"), rows))


def _ask_by(verdict: Verdict, blocker: Blocker) -> Cell:
    moment = format_moment(blocker.ask_by, verdict.plan.window.zone)
    return Cell("overdue", strong=True, then=moment) if blocker.ask_by < verdict.moment else Cell(moment)


def waivers(verdict: Verdict) -> Section:
    """Every waiver of the plan, what became of it, who approved it; loud where it covers nothing."""
    rows = tuple(_waiver(verdict, use) for use in verdict.waivers)
    return Section(title="Waivers", table=Table(("waiver", "for", "state", "limit", "reason", "approved by"), rows))


def _waiver(verdict: Verdict, use: WaiverUse) -> tuple[Cell, ...]:
    plan, waiver, covers = verdict.plan, use.waiver, use.state is WaiverState.COVERS
    state = Cell(use.state if covers else use.state.upper(), strong=not covers, then=use.text)
    approved = f"{plan.person(waiver.approved_by)} until {time_in_window(plan.window, waiver.expires)}"
    return row(waiver.id, f"{waiver.check} {waiver.subject}", state, waiver.limit, waiver.reason, approved)


def versions(verdict: Verdict) -> Section:
    """The end states: versions that cross for two applications, a list for more; nothing for a single one."""
    title, applications = "Versions that may meet", len(verdict.plan.applications)
    lines = matrix(verdict.plan, verdict.end_states) if applications > 1 else ()
    if not lines:
        return Section(title=title)
    head, *others = lines if applications == 2 else (("",) * len(lines[0]), *lines)
    return Section(title=title, table=Table(head, tuple(row(*line) for line in others), narrow=True))


def people(verdict: Verdict) -> Section:
    """Who is called for what, and who takes over."""
    nobody = Cell("NO STANDBY", strong=True)
    rows = tuple(
        row(each.id, each.primary, each.standby or nobody, each.contact) for each in verdict.plan.roles.values()
    )
    return Section(title="People", table=Table(("role", "primary", "standby", "contact"), rows))


def ages(verdict: Verdict) -> Section:
    """How old the answers are at the moment judged, against what the plan allows."""
    good, old = Cell("good", Status.PASS), Cell("too old", Status.STALE)
    rows = tuple(
        row(age.family, format_duration(age.old), format_duration(age.most), old if age.too_old else good)
        for age in verdict.ages
    )
    return Section(title="Age of the evidence", table=Table(("family", "oldest answer", "allowed", ""), rows))


def not_checked(verdict: Verdict) -> Section:
    """What no verdict speaks of: what was deselected, and what the plan does not ask."""
    return Section(title="Not checked", items=(*_deselected(verdict), *verdict.unconfirmed))


def changes(difference: Difference | None) -> Section:
    """What changed since the run that a gate started from."""
    title = "Since the run before"
    if difference is None:
        return Section(title=title)
    rows = tuple(
        row(change, _named(group), _told(group[0].old), _told(group[0].new))
        for change in _TOLD_CHANGES
        for group in pairs_by_cause(difference.which(change))
    )
    headline = f"{difference.before.headline} before, {difference.after.headline} now."
    return Section(
        title=title,
        items=(headline, *(f"note: {note}" for note in difference.notes)),
        table=Table(("change", "what", "before", "now"), rows),
    )


def _named(group: Sequence[Pair]) -> str:
    names = ", ".join(f"{pair.line.check} {pair.line.subject}" for pair in group)
    return names if len(group) == 1 else f"{counted(len(group), 'check')}: {names}"


def _told(line: Line | None) -> str:
    """What was seen; of a pass no more than that it is one."""
    if line is None:
        return ""
    if line.status is Status.PASS:
        return line.status
    return f"{line.status}: {line.cause or line.telling[0].summary}"
