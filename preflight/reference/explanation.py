"""All that can be said of a check, from the check itself: its docstrings, its settings, the questions it asks."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from preflight.check import Check
from preflight.engine.inspection import Inspection
from preflight.probe import Question
from preflight.reference.keys import Key, keys

NIGHT = (
    "Letters in brackets name the faults of the night that preflight exists for: (a) no logins on the servers, (b) "
    "work over the network, (c) changed scripts, (d) an unknown state of the database, (e) an untested pair of "
    "versions, (f) a second DBA to be found, (g) no computed point for the way back."
)


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


def _first_subject(
    check: type[Check], inspection: Inspection | None
) -> tuple[str, tuple[Question, ...], tuple[str, ...]]:
    for item in inspection.items if inspection else ():
        if item.check_id == check.id and item.check is not None:
            questions = {planned.question.id: planned.question for planned in item.probes.values()}
            families = dict.fromkeys(str(planned.probe.family) for planned in item.probes.values())
            return item.subject.id, tuple(questions.values()), tuple(families)
    return "", (), ()
