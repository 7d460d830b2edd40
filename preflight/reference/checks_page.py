"""The checks reference, Markdown, from the checks themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preflight.reference.explanation import NIGHT, Explanation
from preflight.reference.plan_page import key_table
from preflight.report.markup import table
from preflight.report.questions import second_round


def checks_page(explanations: Sequence[Explanation]) -> str:
    """The page; a test compares it with docs/reference/checks.md."""
    return "\n".join(_lines(explanations)) + "\n"


def _lines(explanations: Sequence[Explanation]) -> Iterator[str]:
    yield "# Checks reference"
    yield ""
    yield "<!-- Written by `python -m preflight.reference`; edit the checks instead. -->"
    yield ""
    yield f"{NIGHT} `preflight show PLAN` prints what is asked, word for word."
    yield ""
    rows = [(f"[{each.check.id}](#{each.check.id})", str(each.check.severity), each.question) for each in explanations]
    yield from table(("check", "severity", "question"), rows)
    for each in explanations:
        yield from _check(each)


def _check(explanation: Explanation) -> Iterator[str]:
    yield ""
    yield f"## {explanation.check.id}"
    yield ""
    yield f"**{explanation.question}**"
    yield ""
    yield _prose(explanation.why)
    yield ""
    later = second_round(explanation.check)
    if later:
        yield f"- **Second round:** {later}"
    yield f"- **Needs:** {explanation.check.needs}."
    yield f"- **Mostly cured by:** {explanation.check.cure}."
    waivable = "may be covered by a waiver" if explanation.check.waivable else "no waiver ever covers it"
    families = (
        f"; answers age by `{'`, `'.join(explanation.families)}` in `[freshness]`" if explanation.families else ""
    )
    yield f"- **Severity:** {explanation.check.severity}, {waivable}{families}."
    if explanation.settings:
        yield ""
        yield f"Settings, in `[checks.{explanation.check.id}]`:"
        yield ""
        yield from key_table(list(explanation.settings))


def _prose(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
