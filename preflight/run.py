"""`run` = collect + judge: the two steps that the commands are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from preflight.clock import Deadline, now
from preflight.command_sheet import command_sheet
from preflight.evidence import Evidence
from preflight.gather import OpenSession, gather
from preflight.inspection import Inspection
from preflight.plan.network_zones import is_asked_from
from preflight.probe import Answer, Question
from preflight.verdict import Verdict, conclude

TIMEOUT_SECONDS = 60.0
"""Whole-run deadline when the caller names none."""


def collect(
    inspection: Inspection,
    open_session: OpenSession,
    timeout_seconds: float = TIMEOUT_SECONDS,
    *,
    known: Evidence | None = None,
    inputs: Mapping[str, str] | None = None,
    network_zone: str = "",
    mask: Callable[[str], str] = str,
    on_round: Callable[[Sequence[Question]], None] = lambda _questions: None,
    on_answer: Callable[[Question, Answer], None] = lambda _question, _answer: None,
) -> Evidence:
    """Asks in at most two rounds under one deadline. Never raises for the outside world.

    `known`: answers that need not be asked for again. `inputs`: what the plan rests on besides
    (`preflight.runs.inputs`). `network_zone`: asks just what the plan has in it."""
    deadline = Deadline(timeout_seconds)
    plan = inspection.plan
    evidence = Evidence(plan.digest, now(), known.answers if known else {}, inputs or {}, network_zone)
    for questions_of in (inspection.first_round, inspection.second_round):
        questions = [
            question
            for question in questions_of(evidence)
            if not network_zone or is_asked_from(plan, network_zone, question)
        ]
        if questions:
            on_round(questions)
            answers = gather(questions, open_session, deadline, mask=mask, on_answer=on_answer)
            evidence = evidence.with_answers(answers)
    return evidence


def judge(
    inspection: Inspection,
    evidence: Evidence,
    *,
    unconfirmed: Sequence[str] = (),
    vantage: str = "",
    basis: Sequence[str] = (),
) -> Verdict:
    """The verdict that the evidence supports at the inspection's moment. Pure."""
    return conclude(
        inspection.plan,
        inspection.findings(evidence),
        planned=inspection.planned,
        evidence_digest=evidence.digest,
        collected_at=evidence.collected_at,
        moment=inspection.moment,
        partial=inspection.partial,
        unconfirmed=unconfirmed,
        vantage=vantage,
        commands=command_sheet(inspection.plan, evidence),
        ages=inspection.ages(evidence),
        basis=basis,
    )
