"""What `preflight checks` and `preflight explain` print, for people in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from preflight.reference.explanation import NIGHT, Explanation
from preflight.reference.keys import Key, in_words
from preflight.report.layout import wrapped
from preflight.report.questions import second_round, text_of

_BODY = " " * 10


def listed(explanations: Sequence[Explanation]) -> str:
    """One paragraph for each: id, severity, question."""
    width = max((len(each.check.id) for each in explanations), default=0)
    lines: list[str] = []
    for each in explanations:
        lines += wrapped(each.question, " " * (width + 12), f"{each.check.id:<{width}}  {each.check.severity:<9} ")
    return "\n".join(lines) + "\n"


def render(explanation: Explanation) -> str:
    """The whole explanation."""
    return "\n".join(_lines(explanation)) + "\n"


def _lines(each: Explanation) -> Iterator[str]:
    yield from wrapped(f"{each.check.id}: {each.question}", "")
    yield ""
    for paragraph in re.split(r"\n\s*\n", each.why):
        if paragraph:
            yield from wrapped(" ".join(paragraph.split()), "")
            yield ""
    waivable = "a waiver may cover it" if each.check.waivable else "no waiver ever covers it"
    yield from wrapped(f"{each.check.severity}; {waivable}", _BODY, "severity  ")
    yield from wrapped(each.check.needs or "its author does not say", _BODY, "needs     ")
    yield from wrapped(each.check.cure or "each finding names its own", _BODY, "cure      ")
    if each.families:
        yield from wrapped(f"{', '.join(each.families)} in [freshness]", _BODY, "ages by   ")
    yield ""
    if each.settings:
        yield f"Settings, in [checks.{each.check.id}]:"
        for key in each.settings:
            yield from _setting(key)
        yield ""
    yield from _asks(each)
    if re.search(r"\([a-g](, [a-g])*\)", each.why):
        yield ""
        yield from wrapped(NIGHT, "")


def _setting(key: Key) -> Iterator[str]:
    default = f", {key.default} when left out" if key.default else ""
    yield from wrapped(f"{in_words(key.shape)}{default}".replace("`", ""), "      ", f"  {key.name}: ")
    if key.text:
        yield from wrapped(key.text, "      ")


def _asks(each: Explanation) -> Iterator[str]:
    if each.asks:
        yield f"Asks, for {each.subject}:"
        for question in each.asks:
            yield ""
            target = f" on {question.target}" if question.target else ""
            yield from wrapped(f"{question.via}{target}, at most {question.timeout_seconds:g} s", "  ", "  ")
            yield from text_of(question)
    elif each.subject:
        yield from wrapped(f"It asks nobody: for {each.subject} it reads the plan and the answers of others.", "")
    else:
        yield "What it asks of a plan, word for word: preflight explain " + each.check.id + " --plan PLAN"
    later = second_round(each.check)
    if later:
        yield ""
        yield from wrapped(later, "  ", "Then, where needed: ")
