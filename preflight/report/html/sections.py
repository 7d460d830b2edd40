"""The page's sections, each as HTML; empty where there is nothing to say. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from preflight.clock import format_moment
from preflight.finding import Finding, Judgement, Severity, Status
from preflight.report import window
from preflight.report.blockers import blockers
from preflight.report.html.elements import Html, el, joined
from preflight.report.html.timeline import timeline
from preflight.report.layout import clean_lines, counted
from preflight.report.order import by_cause, by_host, told_one_by_one
from preflight.report.view import View
from preflight.units import format_duration
from preflight.verdict import Decision, Verdict
from preflight.versions.end_states import matrix
from preflight.waivers import WaiverState
from preflight.window.schedule import time_in_window

_MARKS = {Decision.GO: ("\u2713", "go"), Decision.NO_GO: ("\u2715", "nogo"), Decision.HOLD: ("?", "hold")}


def head(verdict: Verdict, view: View) -> Html:
    """The verdict in one word, and what it stands on."""
    mark, kind = _MARKS[verdict.decision]
    release = verdict.plan.release
    more = verdict.headline.removeprefix(verdict.decision.value).strip(" ;")
    title = " ".join(part for part in (release.id, release.title) if part)
    return el(
        "header",
        el(
            "div",
            el("div", el("span", mark, aria_hidden="true"), " ", verdict.decision.value, class_=f"word {kind}"),
            el(
                "div",
                el("h1", title),
                el("p", " ".join(part for part in (release.ticket, more) if part)),
                class_="about",
            ),
            class_=f"verdict {kind}",
        ),
        _labels(_facts(verdict, view), "facts"),
    )


def to_cure(verdict: Verdict) -> Html:
    """What blocks: what was seen, the cure, the cost, by when whom to ask."""
    rows = []
    for row in blockers(verdict):
        rows.append(
            el(
                "tr",
                el("td", _status(row.status)),
                el("td", el("strong", row.what), el("br"), row.why, class_="wide"),
                _cell("cure", row.cure, "wide"),
                _cell("cost", f"{row.minutes:.0f} min" if row.minutes else "", "time"),
                _cell("ask by", _ask_by(verdict, row.ask_by), "time"),
                _cell("owner", row.owner or "nobody named in the plan"),
            )
        )
    return _section("To cure", _table(("status", "what", "cure", "cost", "ask by", "owner"), rows))


def _ask_by(verdict: Verdict, at: datetime) -> Html:
    day, date, time, offset = format_moment(at, verdict.plan.window.zone).split()
    late = joined(" ", el("br"), el("strong", "overdue")) if at < verdict.moment else ""
    return joined(f"{day} {date} ", el("br"), f"{time} {offset}", late)


def the_window(verdict: Verdict) -> Html:
    picture = timeline(verdict)
    if not picture:
        return Html("")
    scroll = el("div", picture, class_="scroll", tabindex=0, role="region", aria_label="The window, to scale")
    at = verdict.plan.window
    inside = [el("li", f"{time_in_window(at, event.at)} {event.text}") for event in verdict.events]
    listed = el("ul", *inside) if inside else Html("")
    legend = el(
        "figcaption",
        "Solid: as planned. Outlined: planned, no longer so. Hatched: as found. The way back is drawn from the "
        "window's end; its left edge is the last moment to begin it.",
        class_="soft",
    )
    return _section("The window", joined(el("figure", scroll, legend), listed))


def waivers(verdict: Verdict) -> Html:
    plan, rows = verdict.plan, []
    for use in verdict.waivers:
        waiver = use.waiver
        state = use.state if use.state is WaiverState.COVERS else use.state.upper()
        until = f"until {time_in_window(plan.window, waiver.expires)}"
        cells = [
            ("for", f"{waiver.check} {waiver.subject}"),
            ("state", joined(el("strong", state), f"; {use.text}")),
            ("limit", waiver.limit),
            ("reason", waiver.reason),
            ("approved by", f"{plan.person(waiver.approved_by)} {until}"),
        ]
        rows.append(el("tr", el("th", waiver.id, scope="row"), *(_cell(label, text) for label, text in cells)))
    return _section("Waivers", _table(("waiver", "for", "state", "limit", "reason", "approved by"), rows))


def versions(verdict: Verdict) -> Html:
    if len(verdict.plan.applications) < 2:
        return Html("")
    lines = matrix(verdict.plan, verdict.end_states)
    columns = max(map(len, lines), default=0)
    padded = [[*line, *[""] * (columns - len(line))] for line in lines]
    crossed = len(verdict.plan.applications) == 2
    head_cells = padded[0] if crossed else [""] * columns
    body = padded[1:] if crossed else padded
    rows = [el("tr", el("th", first, scope="row"), *(el("td", cell) for cell in rest)) for first, *rest in body]
    return _section("Versions that may meet", _table(head_cells, rows, stacked=False))


def people(verdict: Verdict) -> Html:
    rows = [
        el(
            "tr",
            el("th", role.id, scope="row"),
            _cell("primary", role.primary),
            _cell("standby", role.standby or el("strong", "NO STANDBY")),
            _cell("contact", role.contact),
        )
        for role in verdict.plan.roles.values()
    ]
    return _section("People", _table(("role", "primary", "standby", "contact"), rows))


def ages(verdict: Verdict) -> Html:
    """How old the answers are at the moment judged, against what the plan allows."""
    rows = [
        el(
            "tr",
            el("th", age.family, scope="row"),
            _cell("oldest answer", format_duration(age.old)),
            _cell("allowed", format_duration(age.most)),
            el("td", _status(Status.STALE if age.too_old else Status.PASS, "too old" if age.too_old else "good")),
        )
        for age in verdict.ages
    ]
    return _section("Age of the evidence", _table(("family", "oldest answer", "allowed", ""), rows))


def not_checked(verdict: Verdict) -> Html:
    skipped = window.not_selected(verdict)
    lines = [f"not selected: {', '.join(skipped)}"] if skipped else []
    items = [el("li", line) for line in [*lines, *verdict.unconfirmed]]
    return _section("Not checked", el("ul", *items) if items else Html(""))


def findings(verdict: Verdict) -> Html:
    """Everything that is not a pass, folded, each with all that is known of it."""
    parts = [_finding(each, verdict) for each in told_one_by_one(verdict.plan, verdict.findings, Severity.BLOCKING)]
    parts += [_cause(folded) for folded in by_cause(verdict.findings)]
    parts += [_finding(each, verdict) for each in told_one_by_one(verdict.plan, verdict.findings, Severity.ADVISORY)]
    return _section("Findings", joined(*parts), class_="screen")


def all_checks(verdict: Verdict) -> Html:
    parts = []
    for host, group in by_host(verdict.plan, verdict.findings).items():
        rows = [
            el(
                "tr",
                el("td", _status(each.status)),
                el("th", f"{each.check} {each.subject}", scope="row"),
                _result(each),
            )
            for each in group
        ]
        parts.append(joined(el("h3", host or "no host"), _table(("status", "check", "result"), rows)))
    title = el("summary", f"All {counted(verdict.planned, 'check')}, by host")
    return el("details", title, *parts, class_="screen")


def _result(finding: Finding) -> Html:
    return el("td", finding.judgement.summary)


def _facts(verdict: Verdict, view: View) -> Iterator[tuple[str, str]]:
    plan, when = verdict.plan, verdict.plan.window
    yield "window", f"{format_moment(when.start, when.zone)} to {time_in_window(when, when.end)} ({when.zone})"
    needed = time_in_window(when, when.needed_until)
    yield "judged for", f"{format_moment(verdict.moment, when.zone)}; what is used must last until {needed}"
    took = "" if view.took_seconds is None else f", took {view.took_seconds:.1f} s"
    yield "asked", f"{format_moment(verdict.collected_at, when.zone)} {verdict.vantage}".rstrip() + took
    times = list(window.times(verdict))
    if times:
        yield "finish", joined(*(part for line in times for part in (line, el("br"))))
    yield "checks", window.counts(verdict)
    yield "plan", f"{plan.path.name}, sha256 {plan.digest[:12]}, evidence {verdict.evidence_digest[:12]}"
    for line in verdict.basis:
        yield "basis", line
    if verdict.reason:
        yield "because", verdict.reason


def _finding(finding: Finding, verdict: Verdict) -> Html:
    advisory = " (advisory)" if finding.severity is Severity.ADVISORY else ""
    name = el("strong", f"{finding.check} {finding.subject}")
    title = el("summary", _status(finding.status), advisory, " ", name, f": {finding.judgement.summary}")
    points = [_point(point, finding.status) for point in finding.judgement.telling_points()]
    more = [("owner", finding.owner or "nobody named in the plan")]
    if finding.price is not None:
        more.append(("price", window.price(verdict, finding.price)))
    if finding.vantage:
        more.append(("seen", finding.vantage))
    return el("details", title, *points, _labels(more))


def _point(point: Judgement, status: Status) -> Html:
    mark = "" if point.status is status else f"{point.status}: "
    labelled = [("found", point.actual), ("wanted", point.expected), ("cure", point.remedy)]
    details = el("pre", *_lines(point.details)) if point.details else Html("")
    return joined(el("p", el("strong", mark + point.summary)), _labels((a, b) for a, b in labelled if b), details)


def _lines(text: str) -> list[str]:
    return [part for line in clean_lines(text[:20_000]) for part in (line, Html("\n"))]


def _cause(folded: Sequence[Finding]) -> Html:
    first = folded[0]
    title = el("summary", _status(Status.UNKNOWN), " ", el("strong", f"{counted(len(folded), 'check')} could not look"))
    owners = ", ".join(dict.fromkeys(each.owner for each in folded if each.owner))
    names = ", ".join(f"{each.check} {each.subject}" for each in folded)
    labelled = [("cause", first.cause), ("open", names), ("cure", first.judgement.remedy), ("owner", owners)]
    return el("details", title, _labels((label, text) for label, text in labelled if text))


def _status(status: Status, word: str = "") -> Html:
    return el("span", word or status.upper(), class_=f"status {status.value}")


def _labels(labelled: Iterable[tuple[str, str]], class_: str = "labels") -> Html:
    return el("dl", *(el("div", el("dt", label), el("dd", text)) for label, text in labelled), class_=class_)


def _cell(label: str, text: str, class_: str | None = None) -> Html:
    return el("td", text, data_label=label, class_=class_) if text else el("td")


def _table(columns: Sequence[str], rows: Sequence[Html], *, stacked: bool = True) -> Html:
    """Nothing without rows. A stacked one is a list of cards where the screen is narrow."""
    if not rows:
        return Html("")
    head_row = el("tr", *(el("th", column, scope="col") if column else el("td") for column in columns))
    return el("table", el("thead", head_row), el("tbody", *rows), class_="stack" if stacked else None)


def _section(title: str, body: Html, class_: str | None = None) -> Html:
    return el("section", el("h2", title), body, class_=class_) if body else Html("")
