"""For people in a terminal: 100 columns (a command of a cure in one line), what is not good first, passes counted."""

from collections.abc import Iterator

from preflight.finding import Status
from preflight.report import PLAIN, View, comparison
from preflight.report.document import Document, document
from preflight.report.document.blocks import Entry, Table
from preflight.report.document.order import first_of
from preflight.report.document.sections import unconfirmed_in_words
from preflight.report.drawing import drawn
from preflight.report.harmless import clean, clean_lines
from preflight.report.layout import BODY, WIDTH, Colours, columns, cut, detail, labelled, wrapped
from preflight.verdict import Verdict
from preflight.wording import listed

SCREEN_LINES = 24
_LEAST_ROWS = 3
_HEAD = ("expects", "decision", "window", "judged", "asked", "plan", "finish", "basis", "changed", "because", "without")
_SHORT_FACTS = ("expects", "decision", "window", "finish")
_SHORT_BLOCKERS = 3
_MOST_INSIDE = 8
_MOST_NOT_CHECKED = 5
_LONGEST_SUBJECT = 300


def render(verdict: Verdict, view: View = PLAIN) -> str:
    """The whole report, and below it what changed since the run that a gate started from."""
    shown, colours = document(verdict, view), Colours(view.color)
    if view.short:
        return "\n".join(_short(shown, colours)) + "\n"
    more = {"agreed": shown.agreed, "people": shown.people, "ages": shown.ages}
    paragraphs = [
        _first_screen(shown, colours, view.verbose),
        drawn(shown.timeline, ascii=view.ascii) if shown.timeline else (),
        _columns("steps", shown.steps.table) if view.verbose else (),
        *(_entry(entry, colours) for entry in shown.findings),
        *(_passes(shown, colours) if view.verbose else ()),
        _inside(shown),
        _columns("versions", shown.versions.table),
        *(_columns(label, each.table) for label, each in more.items() if view.verbose),
        _not_checked(shown, view.verbose),
        _facts(shown, "made"),
    ]
    told = [line for lines in map(list, paragraphs) if lines for line in (*lines, "")]
    decision = colours.bold(colours.status(shown.status, verdict.headline))
    text = "\n".join([*told, f"{decision} (exit code {int(verdict.exit_code)})"]) + "\n"
    if view.difference and any(map(view.difference.which, comparison.TOLD)):
        text += "\n" + comparison.render(view.difference, color=view.color)
    return text


def _short(shown: Document, colours: Colours) -> Iterator[str]:
    """The verdict, the window, its times, what blocks, the counts; waivers are never left out."""
    yield _headline(shown, colours)
    yield from _facts(shown, *_SHORT_FACTS)
    if shown.blockers:
        told = [row.told for row in first_of(shown.blockers, _SHORT_BLOCKERS)]
        yield from labelled("blocks", [listed(told, _SHORT_BLOCKERS, "; ", total=len(shown.blockers))])
    yield from _facts(shown, "because", "without")
    yield from _waivers(shown)
    yield from _facts(shown, "checks")


def _first_screen(shown: Document, colours: Colours, verbose: bool) -> Iterator[str]:
    """Not more than SCREEN_LINES with the prompt below it, but where waivers and the grounds of a gate fill it."""
    hint = not verbose and any(each.status is Status.PASS for group in shown.checks.values() for each in group)
    head = [
        _headline(shown, colours),
        *labelled("now", shown.now.items),
        *_facts(shown, *_HEAD),
        *_waivers(shown),
        *_facts(shown, "checks", hint=" (-v shows the passes)" if hint else ""),
        *_facts(shown, "open"),
    ]
    yield from head
    if rows := shown.blockers:
        yield ""
        room = max(SCREEN_LINES - len(head) - 4, _LEAST_ROWS)
        told = rows if len(rows) <= room + 1 else first_of(rows, room)
        yield colours.dim(f"{'':51}  {'cost':>8}  {'ask by':9}  owner")
        for row in told:
            what = cut(clean(row.told), 42 if row.cost else 52)
            text = f"{what:{52 - len(row.cost)}}{row.cost}  {row.ask_by_words:9}  {cut(clean(row.name), 26)}".rstrip()
            yield colours.status(row.status, f"{row.status.upper():<9}") + text
        if len(told) < len(rows):
            yield f"{BODY}and {len(rows) - len(told)} more, all below"


def _headline(shown: Document, colours: Colours) -> str:
    release = shown.verdict.plan.release
    title = "  ".join(part for part in (release.id, release.title, release.ticket) if part)
    decision = shown.verdict.headline
    return f"{colours.bold(colours.status(shown.status, decision))}  {clean(title)[: WIDTH - len(decision) - 2]}"


def _facts(shown: Document, *labels: str, hint: str = "") -> Iterator[str]:
    for fact in shown.facts:
        if fact.label in labels:
            yield from labelled(fact.label, [line + hint for line in fact.lines])


def _waivers(shown: Document) -> Iterator[str]:
    for row in shown.waivers.table.rows:
        name, about, state, limit, reason, approved = row
        text = f"{name.text} for {about.text}: {state.text}; {state.then}"
        yield from labelled("waiver", [f"{text} (up to {limit.text}, {reason.text}, approved by {approved.text})"])


def _entry(entry: Entry, colours: Colours) -> Iterator[str]:
    yield _title(entry.status, entry.check, entry.subject, colours, bold=True) + entry.severity.mark
    for point in entry.points:
        yield from wrapped(point.summary, BODY)
        for fact in point.labelled:
            yield from detail(fact.label, fact.text)
        for line in clean_lines(point.details) if point.details else []:
            yield (BODY + "  | " + line)[:WIDTH]
    for fact in entry.facts:
        yield from detail(fact.label, fact.text)


def _title(status: Status, check: str, subject: str, colours: Colours, *, bold: bool) -> str:
    name = f"{clean(check)}  {cut(clean(subject), _LONGEST_SUBJECT)}".rstrip()
    return colours.status(status, f"{status.upper():<9}") + (colours.bold(name) if bold else name)


def _passes(shown: Document, colours: Colours) -> Iterator[list[str]]:
    for host, findings in shown.checks.items():
        told = []
        for each in findings:
            if each.status is Status.PASS:
                told.append(_title(each.status, each.check, each.subject, colours, bold=False))
                told += wrapped(each.judgement.summary, BODY)
        if told:
            yield [colours.bold(clean(host) or "no host"), *told]


def _inside(shown: Document) -> Iterator[str]:
    yield from labelled("inside", shown.inside[:_MOST_INSIDE], hanging=7)
    if len(shown.inside) > _MOST_INSIDE:
        yield f"{BODY}and {len(shown.inside) - _MOST_INSIDE} more"


def _columns(label: str, table: Table) -> Iterator[str]:
    texts = [[cell.text for cell in row] for row in table.rows]
    return columns(label, [list(table.columns), *texts] if texts and any(table.columns) else texts)


def _not_checked(shown: Document, verbose: bool) -> Iterator[str]:
    if gaps := shown.verdict.unconfirmed:
        told = gaps if verbose else gaps[:_MOST_NOT_CHECKED]
        yield f"{unconfirmed_in_words(gaps).capitalize()}:"
        for line in told:
            yield from wrapped(line, "    ", "  - ")
        if len(told) < len(gaps):
            yield f"  - and {len(gaps) - len(told)} more (-v shows them)"
