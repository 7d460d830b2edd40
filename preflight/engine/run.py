"""`run` = collect + judge: the two steps that the commands are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from preflight.clock import Deadline, now
from preflight.engine.answered import Answered
from preflight.engine.command_sheet import command_sheet
from preflight.engine.conclude import conclude
from preflight.engine.gather import Asking, OpenSession
from preflight.engine.inspection import Inspection
from preflight.evidence import Evidence
from preflight.plan.gaps import unconfirmed
from preflight.probe import Answer, Question, Via
from preflight.verdict import Verdict

TIMEOUT_SECONDS = 60.0
"""Whole-run deadline when the caller names none."""


def collect(
    inspection: Inspection,
    open_session: OpenSession,
    timeout_seconds: float = TIMEOUT_SECONDS,
    *,
    earlier: Evidence | None = None,
    inputs: Mapping[str, str] | None = None,
    network_zone: str = "",
    mask: Callable[[str], str] = str,
    on_ask: Callable[[Sequence[Question]], None] = lambda _questions: None,
    on_answer: Callable[[Question, Answer], None] = lambda _question, _answer: None,
) -> Answered:
    """Asks everything under one deadline; a subject's second questions as soon as its first answers are in. Never
    raises for the outside world.

    `earlier`: an earlier run, of which is kept what need not be asked again. `inputs`: what the plan rests on besides
    (`preflight.runs.inputs`). `network_zone`: asks just what the plan has in it."""
    plan = inspection.plan
    answered = Answered(
        inspection,
        Evidence(plan.digest, now(), inputs=inputs or {}, network_zone=network_zone),
        earlier=earlier,
        asks=lambda question: not network_zone or plan.is_asked_from(network_zone, question),
    )
    with Asking(open_session, Deadline(timeout_seconds), mask=mask) as asking:
        due = answered.begin()
        while True:
            if due:
                on_ask(due)
                asking.ask(due)
            arrived = asking.next_answer()
            if arrived is None:
                return answered
            on_answer(*arrived)
            due = answered.add(*arrived)
            asked = arrived[0]
            if asked.via is Via.SSH and not due and answered.is_done(asked.via, asked.target):
                asking.close(asked.via, asked.target)


def judge(answered: Answered, *, vantage: str = "", basis: Sequence[str] = ()) -> Verdict:
    """The verdict that the answers support at the inspection's moment. Pure."""
    inspection, evidence = answered.inspection, answered.evidence
    return conclude(
        inspection.plan,
        answered.findings(),
        planned=inspection.planned,
        evidence_digest=evidence.digest,
        collected_at=evidence.collected_at,
        moment=inspection.moment,
        partial=inspection.partial,
        unconfirmed=unconfirmed(inspection.plan),
        vantage=vantage,
        commands=command_sheet(inspection.plan, evidence),
        ages=answered.ages(),
        basis=basis,
    )
