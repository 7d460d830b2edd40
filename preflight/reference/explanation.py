"""All that can be said of a check, from its docstrings, settings and questions, and how it is printed."""

import inspect
import re
from collections.abc import Iterator, Sequence

from preflight.check import Check
from preflight.engine.inspection import Inspection
from preflight.reference.keys import in_words, keys
from preflight.reference.questions import second_round, text_of
from preflight.report.layout import wrapped

NIGHT = (
    "Letters in brackets name the faults of the night that preflight exists for: (a) no logins on the servers, (b) "
    "work over the network, (c) changed scripts, (d) an unknown state of the database, (e) an untested pair of "
    "versions, (f) a second DBA to be found, (g) no computed point for the way back."
)


class Explanation:
    def __init__(self, check: type[Check], inspection: Inspection | None = None) -> None:
        """`inspection`: of the plan whose questions are shown."""
        self.check = check
        self.question, _, why = (inspect.getdoc(check) or check.title).partition("\n")
        self.why = [" ".join(each.split()) for each in re.split(r"\n\s*\n", why.strip()) if each]
        """Why it exists, what it asks and how it judges: paragraphs, each on one line."""
        planned_items = inspection.items if inspection else ()
        items = [item for item in planned_items if item.check_id == check.id and item.check is not None]
        first = next((item for item in items if item.probes), items[0] if items else None)
        asked = list(first.probes.values()) if first else []
        self.subject = first.subject.id if first else ""
        """The subject it is shown with: the first of which it asks anything. Empty where the plan has none."""
        self.asks = list({planned.question.id: planned.question for planned in asked}.values())
        self.second_round = second_round(check)
        self.settings = keys(check.Settings)
        waivable = "a waiver may cover it" if check.waivable else "no waiver ever covers it"
        needs = "none: it reads the plan" if check.probes is Check.probes else "its author does not say"
        self.facts = [
            ("severity", f"{check.severity}; {waivable}"),
            ("needs", check.needs or needs),
            ("cure", check.cure or "each finding names its own"),
        ]
        """Name and text of what is told in a line each."""
        if families := dict.fromkeys(str(planned.probe.family) for planned in asked):
            self.facts.append(("ages by", f"{', '.join(families)} in [freshness]"))


def listed(explanations: Sequence[Explanation]) -> str:
    """One paragraph for each: id, severity, question."""
    width = max((len(each.check.id) for each in explanations), default=0)
    lines: list[str] = []
    for each in explanations:
        lines += wrapped(each.question, " " * (width + 12), f"{each.check.id:<{width}}  {each.check.severity:<9} ")
    return "\n".join(lines) + "\n"


def render(explanation: Explanation) -> str:
    return "\n".join(_lines(explanation)) + "\n"


def _lines(each: Explanation) -> Iterator[str]:
    for paragraph in (f"{each.check.id}: {each.question}", *each.why):
        yield from wrapped(paragraph, "")
        yield ""
    for name, text in each.facts:
        yield from wrapped(text, " " * 10, f"{name:<10}")
    yield ""
    if each.settings:
        yield f"Settings, in [checks.{each.check.id}]:"
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
        yield f"What it asks of a plan, word for word: preflight explain {each.check.id} --plan PLAN"
    if each.second_round:
        yield ""
        yield from wrapped(each.second_round, "  ", "Then, where needed: ")
