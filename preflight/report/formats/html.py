"""For everybody who opens a link: one self-contained page, without a script, that prints on landscape sheets."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import preflight
from preflight.errors import ExitCode
from preflight.finding import Status
from preflight.report import PLAIN, View
from preflight.report.command_sheet import FOREWORD
from preflight.report.document import Document, document
from preflight.report.document.blocks import Cell, Entry, Labelled, Section, Table, row
from preflight.report.harmless import Html, clean_lines, el, joined, whole
from preflight.report.svg import Picture
from preflight.verdict import Verdict
from preflight.wording import counted

STYLE = Path(__file__).with_name("page.css").read_text("utf-8")
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'"
)
"""Nothing is loaded and nothing runs: not from elsewhere, and not from text that got into the page."""
_MARKS = {ExitCode.GO: ("\u2713", "go"), ExitCode.NO_GO: ("\u2715", "nogo"), ExitCode.HOLD: ("?", "hold")}
_MOST_CHARACTERS_OF_DETAILS = 20_000
_LEGEND = (
    "Solid: as planned. Outlined: planned, no longer so. Hatched: as found. The way back is drawn from the window's "
    "end; its left edge is the last moment to begin it. +: or later."
)


def render(verdict: Verdict, view: View = PLAIN) -> str:
    """The page, UTF-8."""
    shown = document(verdict, view)
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=CONTENT_SECURITY_POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        *_reload(view),
        el("title", f"{shown.verdict.headline} {shown.verdict.plan.release.id}"),
        el("style", Html(STYLE)),
    )
    return f"<!DOCTYPE html>\n{el('html', head, _body(shown), lang='en')}\n"


def _reload(view: View) -> Iterator[Html]:
    """While a watch rewrites it, the page reads itself again, without a script."""
    if view.watch and view.watch.goes_on:
        yield el("meta", http_equiv="refresh", content=f"{max(view.watch.every_seconds, 1):.0f}")


def _body(shown: Document) -> Html:
    aside = (shown.versions, shown.people, shown.ages, shown.not_checked)
    return el(
        "body",
        el("header", _verdict(shown), _labels(shown.facts, "facts")),
        el(
            "main",
            _section(shown.now),
            _titled("The window", _window(shown)),
            _section(shown.to_cure),
            _section(shown.waivers),
            el("div", *map(_section, aside), class_="columns"),
            _section(shown.changes),
            _titled("Findings", joined(*map(_entry, shown.findings)), "screen"),
            _commands(shown),
            _all_checks(shown),
        ),
        el("footer", el("p", "To reproduce: ", el("code", whole(shown.call)), f" (preflight {preflight.__version__})")),
    )


def _verdict(shown: Document) -> Html:
    """The verdict in one word, and of what."""
    (mark, kind), release = _MARKS[shown.verdict.exit_code], shown.verdict.plan.release
    more = shown.verdict.headline.removeprefix(shown.verdict.decision).strip(" ;")
    title, about = (" ".join(filter(None, parts)) for parts in ((release.id, release.title), (release.ticket, more)))
    return el(
        "div",
        el("div", el("span", mark, aria_hidden="true"), " ", shown.verdict.decision.value, class_=f"word {kind}"),
        el("div", el("h1", title), el("p", about), class_="about"),
        class_=f"verdict {kind}",
    )


def _window(shown: Document) -> Html:
    figure = Html("")
    if shown.timeline:
        drawn, role = Picture(shown.timeline).svg(), "region"
        scroll = el("div", drawn, class_="scroll", tabindex=0, role=role, aria_label="The window, to scale")
        figure = el("figure", scroll, el("figcaption", _LEGEND, class_="soft"))
    return joined(figure, _items(shown.inside))


def _section(section: Section) -> Html:
    return _titled(section.title, joined(_items(section.items), _table(section.table)))


def _titled(title: str, body: Html, class_: str | None = None) -> Html:
    return el("section", el("h2", title), body, class_=class_) if body else Html("")


def _items(items: tuple[str, ...]) -> Html:
    return el("ul", *(el("li", item) for item in items)) if items else Html("")


def _table(table: Table) -> Html:
    """Nothing without rows. One that is not narrow is a list of cards on a small screen."""
    if not table.rows:
        return Html("")
    head = el("tr", *(el("th", column, scope="col") if column else el("td") for column in table.columns))
    body = [el("tr", *_cells(table, cells)) for cells in table.rows]
    return el("table", el("thead", head), el("tbody", *body), class_=None if table.narrow else "stack")


def _cells(table: Table, cells: tuple[Cell, ...]) -> Iterator[Html]:
    """What the row is about heads it."""
    about = next(number for number, cell in enumerate(cells) if cell.status is None)
    for number, (column, cell) in enumerate(zip(table.columns, cells, strict=True)):
        text = _status(cell.status, cell.text) if cell.status else joined(cell.text)
        shown = el("strong", text) if cell.strong else text
        if cell.then:
            shown = joined(shown, ": ", cell.then)
        if number == about and not cell.then:
            yield el("th", shown, scope="row")
        else:
            yield el("td", shown, data_label=(column or None) if shown and not table.narrow else None)


def _entry(entry: Entry) -> Html:
    """Folded: its status and name, and what was seen first."""
    seen = f": {entry.points[0].summary}" if entry.points else ""
    advisory = " (advisory)" * entry.advisory
    title = el("summary", _status(entry.status), advisory, " ", el("strong", entry.name), seen)
    parts = []
    for point in entry.points:
        parts += [el("p", el("strong", point.summary)), _labels(point.labelled)]
        if point.details:
            lines = clean_lines(point.details[:_MOST_CHARACTERS_OF_DETAILS])
            parts.append(el("pre", *(part for line in lines for part in (line, Html("\n")))))
    return el("details", title, *parts, _labels(entry.facts))


def _commands(shown: Document) -> Html:
    """The hand-over sheet, folded."""
    if not shown.commands:
        return Html("")
    title = el("summary", f"{counted(len(shown.commands), 'command')} of the night")
    items = [
        el("li", each.about, el("pre", whole(each.line)) if each.line else Html(""), el("p", each.note, class_="soft"))
        for each in shown.commands
    ]
    return el("details", title, el("p", FOREWORD), el("ol", *items))


def _all_checks(shown: Document) -> Html:
    parts = []
    for host, findings in shown.checks.items():
        rows = tuple(
            row(Cell(each.status.upper(), each.status), f"{each.check} {each.subject}", each.judgement.summary)
            for each in findings
        )
        parts += [el("h3", host or "no host"), _table(Table(("status", "check", "result"), rows))]
    title = el("summary", f"All {counted(shown.verdict.planned, 'check')}, by host")
    return el("details", title, *parts, class_="screen")


def _status(status: Status, word: str = "") -> Html:
    return el("span", word or status.upper(), class_=f"status {status.value}")


def _labels(facts: Iterable[Labelled], class_: str = "labels") -> Html:
    shown = []
    for fact in facts:
        first, *others = fact.lines
        lines = [first, *(part for line in others for part in (el("br"), line))]
        shown.append(el("div", el("dt", fact.label), el("dd", *lines)))
    return el("dl", *shown, class_=class_)
