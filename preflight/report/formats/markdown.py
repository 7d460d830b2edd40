"""For the change ticket: reads well as it stands and rendered, also where the system strips HTML."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from preflight.report import PLAIN, View
from preflight.report.command_sheet import FOREWORD
from preflight.report.document import Document, document
from preflight.report.document.blocks import Cell, Section
from preflight.report.drawing import drawn
from preflight.report.harmless import clean, clean_lines, longest_run, markdown_text
from preflight.verdict import Verdict
from preflight.wording import counted

Lines = Iterator[str]
_MOST_LINES = 200
_MOST_CHARACTERS = 20_000
_MOST_PADDED = 60
_MOST_BYTES = {"Findings": 210_000, "All checks": 220_000, "Commands": 240_000}
_MOST_BYTES_OF_A_SECTION = 40_000
"""The whole, with its ten other sections, stays below the 1 MiB that GitHub takes as the summary of a step."""


def render(verdict: Verdict, view: View = PLAIN) -> str:
    """The whole report; what needs work first, everything else folded, the call to repeat last."""
    shown = document(verdict, view)
    picture = fenced(drawn(shown.timeline, ascii=view.ascii)) if shown.timeline else iter(())
    sections: list[tuple[str, Lines]] = [
        ("", _head(shown)),
        *map(_section, (shown.to_cure, shown.waivers)),
        ("The window", chain(picture, [""] if shown.timeline and shown.inside else [], _items(shown.inside))),
        _section(shown.steps),
        ("Findings", _findings(shown)),
        *map(_section, (shown.versions, shown.agreed, shown.people, shown.ages, shown.not_checked, shown.changes)),
    ]
    lines = []
    for title, section in sections:
        if body := list(limited(section, _MOST_BYTES.get(title, _MOST_BYTES_OF_A_SECTION))):
            lines += [f"## {title}", "", *body, ""] if title else [*body, ""]
    lines += [*_commands(shown), *_all_checks(shown), "", "To reproduce:", "", *fenced([shown.call], "sh")]
    return "\n".join(lines) + "\n"


def _head(shown: Document) -> Lines:
    release = shown.verdict.plan.release
    title = " ".join(part for part in (release.id, release.title) if part)
    ticket = f" ({markdown_text(release.ticket)})" if release.ticket else ""
    yield from (f"# {shown.verdict.headline} - {markdown_text(title)}{ticket}", "")
    for fact in shown.facts:
        first, *others = map(markdown_text, fact.lines)
        yield f"- **{fact.label[:1].upper()}{fact.label[1:]}:** {first}"
        yield from (f"  - {line}" for line in others)


def _section(section: Section) -> tuple[str, Lines]:
    shown = section.table
    rows = [[*map(_cell, row)] for row in shown.rows]
    lines = table([*map(markdown_text, shown.columns)], rows, aligned=True)
    return section.title, chain(_items(section.items), [""] if section.items and shown.rows else [], lines)


def _items(items: tuple[str, ...]) -> Lines:
    return (f"- {markdown_text(item)}" for item in items)


def _cell(cell: Cell) -> str:
    text = f"**{markdown_text(cell.text)}**" if cell.strong else markdown_text(cell.text)
    return f"{text}: {markdown_text(cell.then)}" if cell.then else text


def _findings(shown: Document) -> Lines:
    for number, entry in enumerate(shown.findings):
        if number:
            yield ""
        yield from (f"### {entry.status.upper()}{entry.severity.mark}: {markdown_text(entry.name)}", "")
        for point in entry.points:
            yield f"- **{markdown_text(point.summary)}**"
            yield from (f"- {each.label}: {markdown_text(each.text)}" for each in point.labelled)
        yield from (f"- {each.label}: {markdown_text(each.text)}" for each in entry.facts)
        for point in entry.points:
            if point.details:
                yield from ("", *fenced_text(point.details))


def _commands(shown: Document) -> Lines:
    if not shown.commands:
        return
    yield from (f"<details><summary>{counted(len(shown.commands), 'command')} of the night</summary>", "")
    yield from limited(_command_lines(shown), _MOST_BYTES["Commands"], "`preflight show PLAN --commands` prints all")
    yield from ("", "</details>", "")


def _command_lines(shown: Document) -> Lines:
    yield FOREWORD
    for number, command in enumerate(shown.commands, 1):
        yield from ("", f"**{number}.** {markdown_text(command.about)}")
        if command.line:
            yield from ("", *fenced([command.line], "sh"))
        if command.note:
            yield from ("", markdown_text(command.note))


def _all_checks(shown: Document) -> Lines:
    """Folded where HTML is allowed; a table with a heading where it is stripped."""
    number = counted(shown.verdict.planned, "check")
    yield from (f"<details><summary>All {number}</summary>", "")
    rows = [
        [each.status.upper(), markdown_text(f"{each.check} {each.subject}"), markdown_text(each.judgement.summary)]
        for findings in shown.checks.values()
        for each in findings
    ]
    yield from limited(table(("status", f"all {number}", "result"), rows, aligned=True), _MOST_BYTES["All checks"])
    yield from ("", "</details>")


def fenced(lines: Sequence[str], language: str = "text") -> Iterator[str]:
    """A block of text as it stands, and all of it."""
    shown = [clean(line) for line in lines]
    fence = "`" * max(3, *(longest_run(line) + 1 for line in shown))
    yield from (f"{fence}{language}", *shown, fence)


def fenced_text(text: str) -> Iterator[str]:
    """A block of the text's first lines as they stand; a difference in the colours of one."""
    lines = clean_lines(text[:_MOST_CHARACTERS])
    left_out = [f".. and {len(lines) - _MOST_LINES} more lines"] if len(lines) > _MOST_LINES else []
    return fenced([*lines[:_MOST_LINES], *left_out], "diff" if text.startswith("--- ") else "text")


def limited(lines: Iterable[str], most_bytes: int, elsewhere: str = "the JSON report has all") -> Iterator[str]:
    """The first lines, and how many are left out; a block of text that is cut is closed."""
    left_bytes, left_out, fence = most_bytes, 0, ""
    for line in lines:
        left_bytes -= len(line.encode()) + 1
        if left_bytes < 0:
            left_out += 1
            continue
        if line == fence:
            fence = ""
        elif not fence and line.startswith("```"):
            fence = "`" * longest_run(line)
        yield line
    if left_out:
        yield from (fence, f"{left_out} more lines are left out here; {elsewhere}.")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, aligned: bool = False) -> Iterator[str]:
    """A table of cells that are Markdown already; nothing without rows. `aligned`: in columns also where nobody
    renders it; a cell longer than `_MOST_PADDED` shifts the rest of its own row only."""
    if not rows:
        return
    # A bar ends a cell even in a code span; the backslash before it is taken off before anything else is read.
    lines = [[each.replace("|", "\\|") for each in line] for line in (head, *rows)]
    widest = [max(map(len, column)) for column in zip(*lines, strict=True)] if aligned else [0] * len(head)
    widths = [min(width, _MOST_PADDED) for width in widest[:-1]]
    widths.append(widest[-1] if widest[-1] <= _MOST_PADDED else 0)
    first, *others = [[each.ljust(width) for each, width in zip(line, widths, strict=True)] for line in lines]
    yield from (f"| {' | '.join(line)} |" for line in (first, ["-" * max(width, 3) for width in widths], *others))
