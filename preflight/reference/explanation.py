"""All that can be said of a check, from the check itself (its docstrings, its settings, the questions it asks), and how
`preflight checks` and `preflight explain` print it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from preflight.check import Check
from preflight.engine.inspection import Inspection
from preflight.probe import Question
from preflight.reference.keys import Key, in_words, keys
from preflight.reference.questions import second_round, text_of
from preflight.report.layout import wrapped

NIGHT = (
    "Letters in brackets name the faults of the night that preflight exists for: (a) no logins on the servers, (b) "
    "work over the network, (c) changed scripts, (d) an unknown state of the database, (e) an untested pair of "
    "versions, (f) a second DBA to be found, (g) no computed point for the way back."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a reader of one check is told."""

    check: type[Check]
    id: str
    question: str
    why: tuple[str, ...]
    """Why it exists, what it asks and how it judges: paragraphs, each on one line."""
    facts: tuple[tuple[str, str], ...]
    """Name and text of what is told in a line each."""
    asks: tuple[Question, ...]
    """What it asks in the first round about one subject of a plan."""
    subject: str
    """Which subject that is; empty where the plan has none for it."""
    second_round: str
    settings: tuple[Key, ...]


def explain(check: type[Check], inspection: Inspection | None = None) -> Explanation:
    """`inspection`: of the plan whose questions are shown."""
    question, _, why = (inspect.getdoc(check) or check.title).partition("\n")
    items = inspection.items if inspection else ()
    first = next((item for item in items if item.check_id == check.id and item.check is not None), None)
    asked = list(first.probes.values()) if first else []
    facts = [
        ("severity", f"{check.severity}; {'a waiver may cover it' if check.waivable else 'no waiver ever covers it'}"),
        ("needs", check.needs or "its author does not say"),
        ("cure", check.cure or "each finding names its own"),
    ]
    families = dict.fromkeys(str(planned.probe.family) for planned in asked)
    if families:
        facts.append(("ages by", f"{', '.join(families)} in [freshness]"))
    return Explanation(
        check=check,
        id=check.id,
        question=question,
        why=tuple(" ".join(each.split()) for each in re.split(r"\n\s*\n", why.strip()) if each),
        facts=tuple(facts),
        asks=tuple({planned.question.id: planned.question for planned in asked}.values()),
        subject=first.subject.id if first else "",
        second_round=second_round(check),
        settings=tuple(keys(check.Settings)),
    )


def listed(explanations: Sequence[Explanation]) -> str:
    """One paragraph for each: id, severity, question."""
    width = max((len(each.id) for each in explanations), default=0)
    lines: list[str] = []
    for each in explanations:
        lines += wrapped(each.question, " " * (width + 12), f"{each.id:<{width}}  {each.check.severity:<9} ")
    return "\n".join(lines) + "\n"


def render(explanation: Explanation) -> str:
    """The whole explanation."""
    return "\n".join(_lines(explanation)) + "\n"


def _lines(each: Explanation) -> Iterator[str]:
    for paragraph in (f"{each.id}: {each.question}", *each.why):
        yield from wrapped(paragraph, "")
        yield ""
    for name, text in each.facts:
        yield from wrapped(text, " " * 10, f"{name:<10}")
    yield ""
    if each.settings:
        yield f"Settings, in [checks.{each.id}]:"
        for key in each.settings:
            default = f", {key.default} when left out" if key.default else ""
            yield from wrapped(f"{in_words(key.shape)}{default}".replace("`", ""), "      ", f"  {key.name}: ")
            if key.text:
                yield from wrapped(key.text, "      ")
        yield ""
    yield from _asks(each)
    if re.search(r"\([a-g](, [a-g])*\)", " ".join(each.why)):
        yield ""
        yield from wrapped(NIGHT, "")


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
        yield f"What it asks of a plan, word for word: preflight explain {each.id} --plan PLAN"
    if each.second_round:
        yield ""
        yield from wrapped(each.second_round, "  ", "Then, where needed: ")
