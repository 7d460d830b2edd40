"""For the change ticket: reads well as it stands and rendered, also where the system strips HTML."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from preflight.clock import format_moment
from preflight.finding import Finding, Judgement, Severity, Status
from preflight.report import window
from preflight.report.blockers import ask_by, blockers
from preflight.report.difference import groups
from preflight.report.drawing import drawn
from preflight.report.layout import counted
from preflight.report.markup import code, escaped, fenced, fenced_text, limited, table
from preflight.report.order import by_cause, told_one_by_one
from preflight.report.view import PLAIN, View
from preflight.runs.difference import Change, Difference, Line, Pair
from preflight.verdict import Verdict
from preflight.versions.end_states import matrix
from preflight.waivers import WaiverState
from preflight.window.schedule import time_in_window

Lines = Iterator[str]
_NOBODY = "nobody named in the plan"
_MOST_BYTES = {"findings": 300_000, "all checks": 350_000, "section": 40_000}
"""The whole, with its eight other sections, stays below the 1 MiB that GitHub takes as the summary of a step."""


def render(verdict: Verdict, view: View = PLAIN) -> str:
    """The whole report; what needs work first, everything else folded, the call to repeat last."""
    sections: list[tuple[str, Lines]] = [
        ("", _head(verdict, view)),
        ("To cure", _to_cure(verdict)),
        ("Waivers", _waivers(verdict)),
        ("The window", _window(verdict, view)),
        ("Findings", _findings(verdict)),
        ("Versions that may meet", _versions(verdict)),
        ("People", _people(verdict)),
        ("Not checked", _not_checked(verdict)),
        ("Since the run before", _difference(view.difference)),
    ]
    lines = []
    for title, section in sections:
        body = list(limited(section, _MOST_BYTES["findings" if title == "Findings" else "section"]))
        if body:
            lines += [f"## {title}", "", *body, ""] if title else [*body, ""]
    lines += [*_all_checks(verdict), "", "To reproduce:", "", *fenced([_command(verdict, view)], "sh")]
    return "\n".join(lines) + "\n"


def _head(verdict: Verdict, view: View) -> Lines:
    release, when = verdict.plan.release, verdict.plan.window
    title = " ".join(part for part in (release.id, release.title) if part)
    ticket = f" ({escaped(release.ticket)})" if release.ticket else ""
    yield f"# {verdict.headline} - {escaped(title)}{ticket}"
    yield ""
    end, needed = (time_in_window(when, at) for at in (when.end, when.needed_until))
    yield f"- **Window:** {format_moment(when.start, when.zone)} to {end} ({when.zone})"
    yield f"- **Judged for:** {format_moment(verdict.moment, when.zone)}; what is used must last until {needed}"
    took = "" if view.took_seconds is None else f", took {view.took_seconds:.1f} s"
    yield f"- **Asked:** {format_moment(verdict.collected_at, when.zone)} {escaped(verdict.vantage)}".rstrip() + took
    digests = f"sha256 {code(verdict.plan.digest[:12])}, evidence {code(verdict.evidence_digest[:12])}"
    yield f"- **Plan:** {code(verdict.plan.path.name)}, {digests}"
    for label, line in zip(("- **Finish:** ", "  - "), window.times(verdict), strict=False):
        yield f"{label}{line}"
    yield f"- **Checks:** {window.counts(verdict)}"
    for line in verdict.basis:
        yield f"- **Basis:** {escaped(line)}"
    if verdict.reason:
        yield f"- **Because:** {escaped(verdict.reason)}"
    skipped, gaps = window.not_selected(verdict), len(verdict.unconfirmed)
    if skipped:
        yield f"- **Not selected:** {escaped(', '.join(skipped))}"
    if gaps:
        yield f"- **Not checked:** {counted(gaps, 'thing')} that the plan leaves unconfirmed, below"


def _to_cure(verdict: Verdict) -> Lines:
    rows = []
    for row in blockers(verdict):
        cost = f"{row.minutes:.0f} min" if row.minutes else ""
        what, owner, why = map(escaped, (row.what, row.owner or _NOBODY, row.why))
        rows.append([row.status.upper(), what, cost, ask_by(verdict, row.ask_by), owner, why])
    yield from table(("status", "what", "cost", "ask by", "owner", "seen"), rows, aligned=True)


def _waivers(verdict: Verdict) -> Lines:
    plan, rows = verdict.plan, []
    for use in verdict.waivers:
        waiver = use.waiver
        state = use.state if use.state is WaiverState.COVERS else f"**{use.state.upper()}**"
        approved = f"{plan.person(waiver.approved_by)} until {time_in_window(plan.window, waiver.expires)}"
        cells = (waiver.id, f"{waiver.check} {waiver.subject}", use.text, waiver.limit, waiver.reason, approved)
        first, about, *others = map(escaped, cells)
        rows.append([first, about, state, *others])
    yield from table(("waiver", "for", "state", "seen", "limit", "reason", "approved by"), rows, aligned=True)


def _window(verdict: Verdict, view: View) -> Lines:
    picture = drawn(verdict, ascii=view.ascii)
    if picture:
        yield from fenced(picture)
    if picture and verdict.events:
        yield ""
    for event in verdict.events:
        yield f"- {time_in_window(verdict.plan.window, event.at)} {escaped(event.text)}"


def _findings(verdict: Verdict) -> Lines:
    parts = []
    for finding in told_one_by_one(verdict.plan, verdict.findings, Severity.BLOCKING):
        parts.append(_finding(finding, verdict))
    for folded in by_cause(verdict.findings):
        parts.append(_cause(folded))
    for finding in told_one_by_one(verdict.plan, verdict.findings, Severity.ADVISORY):
        parts.append(_finding(finding, verdict))
    for number, part in enumerate(parts):
        if number:
            yield ""
        yield from part


def _finding(finding: Finding, verdict: Verdict) -> Lines:
    advisory = ", advisory" if finding.severity is Severity.ADVISORY else ""
    yield f"### {finding.status.upper()}{advisory}: {escaped(f'{finding.check} {finding.subject}')}"
    yield ""
    points = finding.judgement.telling_points()
    for point in points:
        yield from _point(point, finding)
    yield f"- owner: {escaped(finding.owner or _NOBODY)}"
    if finding.price is not None:
        yield f"- price: {escaped(window.price(verdict, finding.price))}"
    if finding.vantage:
        yield f"- vantage: {escaped(finding.vantage)}"
    for point in points:
        if point.details:
            yield ""
            yield from fenced_text(point.details)


def _point(point: Judgement, finding: Finding) -> Lines:
    mark = "" if point.status is finding.status else f"{point.status}: "
    yield f"- **{mark}{escaped(point.summary)}**"
    if point.actual and point.actual not in point.summary:
        yield f"- found: {escaped(point.actual)}"
    if point.expected:
        yield f"- wanted: {escaped(point.expected)}"
    if point.remedy:
        yield f"- cure: {escaped(point.remedy)}"
    if point.minutes_at_stake and finding.price is None:
        yield f"- cost: {point.minutes_at_stake:g} min longer if it stays so"


def _cause(folded: Sequence[Finding]) -> Lines:
    first = folded[0]
    yield f"### {Status.UNKNOWN.upper()}: {counted(len(folded), 'check')} could not look"
    yield ""
    yield f"- cause: {escaped(first.cause)}"
    yield f"- open: {', '.join(escaped(f'{each.check} {each.subject}') for each in folded)}"
    if first.judgement.remedy:
        yield f"- cure: {escaped(first.judgement.remedy)}"
    owners = ", ".join(dict.fromkeys(each.owner for each in folded if each.owner))
    if owners:
        yield f"- owner: {escaped(owners)}"


def _versions(verdict: Verdict) -> Lines:
    if len(verdict.plan.applications) < 2:
        return
    rows = [[escaped(cell) for cell in row] for row in matrix(verdict.plan, verdict.end_states)]
    columns = max(map(len, rows), default=0)
    head, *others = [[*row, *[""] * (columns - len(row))] for row in rows]
    if len(verdict.plan.applications) == 2:
        yield from table(head, others, aligned=True)
    else:
        yield from table([""] * columns, [head, *others], aligned=True)


def _people(verdict: Verdict) -> Lines:
    rows = [
        [escaped(role.id), escaped(role.primary), escaped(role.standby or "NO STANDBY"), escaped(role.contact)]
        for role in verdict.plan.roles.values()
    ]
    yield from table(("role", "primary", "standby", "contact"), rows, aligned=True)


def _not_checked(verdict: Verdict) -> Lines:
    for line in verdict.unconfirmed:
        yield f"- {escaped(line)}"


def _difference(difference: Difference | None) -> Lines:
    if difference is None:
        return
    yield f"{escaped(difference.before.headline)} before, {escaped(difference.after.headline)} now."
    yield ""
    for note in difference.notes:
        yield f"- note: {escaped(note)}"
    if difference.notes:
        yield ""
    rows = [
        [change.value, _lines_of(group), _told(group[0].old), _told(group[0].new)]
        for change in (Change.NEW, Change.CHANGED, Change.DISAPPEARED, Change.CURED)
        for group in groups(difference.which(change))
    ]
    yield from table(("change", "what", "before", "now"), rows, aligned=True)


def _lines_of(group: Sequence[Pair]) -> str:
    names = ", ".join(f"{pair.line.check} {pair.line.subject}" for pair in group)
    return escaped(names if len(group) == 1 else f"{counted(len(group), 'check')}: {names}")


def _told(line: Line | None) -> str:
    """What was seen; of a pass no more than that it is one."""
    if line is None:
        return ""
    if line.status is Status.PASS or not line.points:
        return line.status
    return escaped(f"{line.status}: {line.cause or line.points[0].summary}")


def _all_checks(verdict: Verdict) -> Lines:
    """Folded where HTML is allowed; a table with a heading where it is stripped."""
    yield f"<details><summary>All {counted(verdict.planned, 'check')}</summary>"
    yield ""
    rows = [
        [each.status.upper(), escaped(f"{each.check} {each.subject}"), escaped(each.judgement.summary)]
        for each in verdict.findings
    ]
    head = ("status", f"all {counted(verdict.planned, 'check')}", "result")
    yield from limited(table(head, rows, aligned=True), _MOST_BYTES["all checks"])
    yield ""
    yield "</details>"


def _command(verdict: Verdict, view: View) -> str:
    return view.command or shlex.join(["preflight", "run", str(verdict.plan.path)])
