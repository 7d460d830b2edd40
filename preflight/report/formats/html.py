"""For the shared screen of the call, a phone and paper: one self-contained page, without a script."""

import base64
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import preflight
from preflight.clock import format_moment
from preflight.errors import ExitCode
from preflight.finding import WORST_FIRST, Status
from preflight.report import PLAIN, View
from preflight.report.command_sheet import FOREWORD
from preflight.report.document import Document, document
from preflight.report.document.blocks import Cell, Entry, Labelled, Section, Table, row
from preflight.report.document.order import Act, Card
from preflight.report.document.sections import NOBODY, RUNBOOK, counts
from preflight.report.document.window import Timeline
from preflight.report.harmless import Html, clean_lines, command_in, el, joined, whole
from preflight.report.svg import Picture
from preflight.report.upright import Upright
from preflight.verdict import Verdict
from preflight.wording import counted

STYLE = Path(__file__).with_name("page.css").read_text("utf-8")
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'"
)
"""Nothing is loaded and nothing runs: not from elsewhere, and not from text that got into the page."""
_MARKS = {ExitCode.GO: ("\u2713", "go"), ExitCode.NO_GO: ("\u2715", "nogo"), ExitCode.HOLD: ("?", "hold")}
_EVIDENCE = ("asked", "plan", "made")
_MOST_ABREAST = 3
"""From so many acts on, a card has two columns of them where there is room."""
_MOST_CHARACTERS_OF_DETAILS = 20_000


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
    return el(
        "body",
        el("header", _verdict(shown), _figures(shown), _labels(_facts(shown, but=(*_EVIDENCE, "checks")), "facts")),
        el(
            "main",
            _section(shown.now, "now"),
            _titled("The window", _window(shown), "window"),
            _titled("Who must do what by when", _cards(shown)),
            _section(shown.waivers),
            _section(shown.changes),
            _section(shown.agreed, "agreed"),
            el("div", *map(_section, (shown.versions, shown.people)), class_="columns"),
            _titled("Command sheet", _commands(shown), "screen"),
            _titled("Evidence", _evidence(shown), "evidence"),
            _titled("Findings", joined(*map(_entry, shown.findings)), "screen"),
            _titled("All checks by host", _all_checks(shown), "screen"),
        ),
        el("footer", el("p", f"To reproduce, with preflight {preflight.__version__}: "), _command(shown.call)),
    )


def _verdict(shown: Document) -> Html:
    (mark, kind), release = _MARKS[shown.verdict.exit_code], shown.verdict.plan.release
    more = shown.verdict.headline.removeprefix(shown.verdict.decision).strip(" ;")
    title, ticket = (" ".join(filter(None, each)) for each in ((release.id, release.title), (release.ticket, more)))
    return el(
        "div",
        el("p", el("span", mark, aria_hidden="true"), " ", shown.verdict.decision.value, class_="word"),
        el("div", el("h1", title), *(el("p", text) for text in (ticket, counts(shown.verdict)) if text)),
        class_=f"verdict {kind}",
    )


def _figures(shown: Document) -> Html:
    told = [
        el(
            "div",
            el("dt", each.label),
            el("dd", each.value, class_="value"),
            *(el("dd", text) for text in (each.utc, each.note) if text),
            class_="bad" if each.bad else None,
        )
        for each in shown.figures
    ]
    return el("dl", *told, class_="figures") if told else el("p", shown.without_times, class_="soft")


def _facts(shown: Document, *, but: Collection[str] = (), only: Collection[str] = ()) -> list[Labelled]:
    """Of the head: `but` some, or `only` some; the times are told as figures."""
    chosen = [each for each in shown.facts if each.label != "finish" and each.label not in but]
    return [each for each in chosen if not only or each.label in only]


def _window(shown: Document) -> Html:
    if not shown.timeline:
        return _items(shown.inside)
    across, upright = Picture(shown.timeline).svg(), Upright(shown.timeline).svg()
    legend = el("figcaption", _legend(shown.timeline), class_="soft")
    return joined(el("figure", across, upright, legend), _items(shown.inside))


def _legend(timeline: Timeline) -> str:
    told = [f"Solid: as planned{timeline.begun}."]
    told += ["Outlined: planned, no longer so. Hatched: as found."] * timeline.moved
    told += ["The left edge of the way back is the last moment to begin it."] * timeline.way_back_known
    told += ["+: or later."] * bool(timeline.found.unpriced)
    return " ".join(told)


def _cards(shown: Document) -> Html:
    if not shown.cards:
        return el("p", "Nothing is to be cured before the window.")
    return el("div", *(_card(shown, card) for card in shown.cards), class_="cards")


def _card(shown: Document, card: Card) -> Html:
    by, window = card.first.ask_by_words, shown.verdict.plan.window
    when = "" if by == "now" else format_moment(card.first.ask_by, window.zone)
    return el(
        "article",
        el("h3", card.name or NOBODY, " ", el("span", card.contact, class_="soft")),
        el("p", el("strong", by if by in ("overdue", "now") else f"ask by {by}"), " ", el("span", when, class_="soft")),
        el("ul", *map(_act, card.acts)),
        class_=f"card acts{min(len(card.acts), _MOST_ABREAST)}",
    )


def _act(act: Act) -> Html:
    """With a box to tick; several that are alike fold their own cures."""
    row = act.blocker
    name = el("label", el("input", type="checkbox"), " ", _status(row.status), " ", el("strong", row.what))
    waiting = f"; {counted(act.waiting, 'check')} cannot look until then" if act.waiting and not row.waiting else ""
    costs = joined(el("strong", f"costs {row.cost}"), ": ") if row.cost else Html("")
    each = [el("li", el("strong", subject), " ", _cure(cure)) for subject, cure in row.alike]
    folded = el("details", el("summary", f"each of the {len(each)}"), el("ul", *each)) if each else Html("")
    return el("li", name, el("p", costs, row.why, waiting, class_="soft"), _cure(row.cure), folded)


def _cure(cure: str) -> Html:
    before, command, after = command_in(cure)
    parts = [el("p", before) if before else "", _command(command) if command else "", el("p", after) if after else ""]
    return joined(*filter(None, parts))


def _command(line: str) -> Html:
    """Never broken, and selected as one piece."""
    return el("pre", whole(line), class_="command", tabindex=0)


def _section(section: Section, class_: str | None = None) -> Html:
    return _titled(section.title, joined(_items(section.items), _table(section.table)), class_)


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
    title = el("summary", _status(entry.status), entry.severity.mark, " ", el("strong", entry.name), seen)
    parts = []
    for point in entry.points:
        parts += [el("p", el("strong", point.summary)), _labels(point.labelled)]
        if point.details:
            lines = clean_lines(point.details[:_MOST_CHARACTERS_OF_DETAILS])
            parts.append(el("pre", *(part for line in lines for part in (line, Html("\n"))), tabindex=0))
    return el("details", title, *parts, _labels(entry.facts))


def _commands(shown: Document) -> Html:
    if not shown.commands:
        return Html("")
    items = [
        el("li", each.about, _command(each.line) if each.line else Html(""), el("p", each.note, class_="soft"))
        for each in shown.commands
    ]
    title = el("summary", f"{counted(len(shown.commands), 'command')} of the night")
    return el("details", title, el("p", FOREWORD), el("ol", *items))


def _evidence(shown: Document) -> Html:
    asked = el("div", _labels(_facts(shown, only=_EVIDENCE)), _items(shown.not_checked.items))
    return el("div", asked, _table(shown.ages.table), class_="columns")


def _all_checks(shown: Document) -> Html:
    parts = []
    for host, findings in shown.checks.items():
        rows = tuple(
            row(Cell(each.status.upper(), each.status), f"{each.check} {each.subject}", each.judgement.summary)
            for each in findings
        )
        number = Counter(each.status for each in findings)
        told = ", ".join(f"{number[status]} {status}" for status in WORST_FIRST if number[status])
        title = el("summary", el("strong", host or "no host"), f": {told}")
        parts.append(el("details", title, _table(Table(("status", "check", "result"), rows))))
    return joined(*parts)


def _status(status: Status, word: str = "") -> Html:
    return el("span", word or status.upper(), class_=f"status {status.value}")


def _labels(facts: Iterable[Labelled], class_: str = "labels") -> Html:
    shown = []
    for fact in facts:
        is_link = fact.label == RUNBOOK  # the plan names http and https alone
        first, *others = [el("a", line, href=line, rel="noreferrer") if is_link else line for line in fact.lines]
        lines = [first, *(part for line in others for part in (el("br"), line))]
        shown.append(el("div", el("dt", fact.label), el("dd", *lines)))
    return el("dl", *shown, class_=class_)
