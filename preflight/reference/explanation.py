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

_BODY = " " * 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a reader of one check is told."""

    check: type[Check]
    question: str
    why: str
    """Why it exists, what it asks and how it judges."""
    families: tuple[str, ...]
    """What its answers tell: the keys of `[freshness]` by which they age."""
    asks: tuple[Question, ...]
    """What it asks in the first round about one subject of a plan."""
    subject: str
    """Which subject that is; empty where the plan has none for it."""
    settings: tuple[Key, ...]


def explain(check: type[Check], inspection: Inspection | None = None) -> Explanation:
    """`inspection`: of the plan whose questions are shown."""
    question, _, why = (inspect.getdoc(check) or check.title).partition("\n")
    subject, asks, families = _first_subject(check, inspection)
    return Explanation(
        check=check,
        question=question,
        why=why.strip(),
        families=families,
        asks=asks,
        subject=subject,
        settings=tuple(keys(check.Settings)),
    )


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


def _first_subject(
    check: type[Check], inspection: Inspection | None
) -> tuple[str, tuple[Question, ...], tuple[str, ...]]:
    for item in inspection.items if inspection else ():
        if item.check_id == check.id and item.check is not None:
            questions = {planned.question.id: planned.question for planned in item.probes.values()}
            families = dict.fromkeys(str(planned.probe.family) for planned in item.probes.values())
            return item.subject.id, tuple(questions.values()), tuple(families)
    return "", (), ()


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
