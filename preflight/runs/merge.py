"""Evidence of several network zones made one. Pure.

Each zone asks its own targets; what two of them answer both must be the same. Nothing is chosen: of two different
answers neither is believed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from preflight.clock import format_moment
from preflight.engine.answered import Answered
from preflight.engine.inspection import Inspection
from preflight.errors import PreflightError
from preflight.evidence import Evidence
from preflight.plan import Plan
from preflight.probe import Answer, NoReply, Question, Reply
from preflight.reasons import Reason
from preflight.runs.gate import ABSENT, changed
from preflight.wording import counted

_Pair = tuple[Question, Answer]


class MergeError(PreflightError):
    """Evidence that does not belong together."""


@dataclass(frozen=True, slots=True)
class Merged:
    answered: Answered
    notes: tuple[str, ...]
    """For the report: what came from where, what contradicts, what nobody asked."""


def merge(inspection: Inspection, parts: Mapping[str, Evidence], inputs: Mapping[str, str]) -> Merged:
    """`parts`: name of each file -> its evidence, at least one; `inputs`: the plan's files as they are now. Raises
    MergeError for evidence of another plan, or of other scripts, manifests, pinned keys or versions of the tool;
    what is not there to compare, where it is judged elsewhere, does not count.

    The whole counts as collected when the last part was, so that the others must be fresh enough by then."""
    plan = inspection.plan
    _require_one_release(plan, parts, inputs)
    if len(parts) == 1:
        answered = Answered(inspection, *parts.values())
        return Merged(answered, tuple(_gaps(answered)))
    answers: dict[str, _Pair] = {}
    contradicted: dict[str, set[str]] = {}
    sources: dict[str, str] = {}
    for name, part in parts.items():
        for question_id, pair in part.answers.items():
            earlier = answers.get(question_id)
            if earlier is None:
                answers[question_id], sources[question_id] = pair, name
            elif _says(earlier[1]) == _says(pair[1]):
                answers[question_id] = max(earlier, pair, key=lambda each: each[1].asked_at)
            else:
                contradicted.setdefault(question_id, {sources[question_id]}).add(name)
    conflicts: Counter[tuple[str, str]] = Counter()
    for question_id, names in contradicted.items():
        question, answer = answers[question_id]
        who = " and ".join(sorted(names))
        conflicts[question.target, who] += 1
        detail = f"{question.target}: {who} answer it differently"
        answers[question_id] = (question, NoReply(Reason.CONTRADICTION, detail, answer.asked_at))
    evidence = Evidence(
        plan_digest=plan.digest,
        collected_at=max(part.collected_at for part in parts.values()),
        answers=answers,
        inputs=inputs,
        no_warnings=any(part.no_warnings for part in parts.values()),
        not_steady="; ".join(part.not_steady for part in parts.values() if part.not_steady),
    )
    answered = Answered(inspection, evidence)
    notes = (
        *(_provenance(plan, name, part) for name, part in parts.items()),
        *(
            f"{target}: {who} answer {counted(n, 'question')} differently, and neither is believed: pass one of them"
            for (target, who), n in conflicts.items()
        ),
        *_gaps(answered),
    )
    return Merged(answered, notes)


def _require_one_release(plan: Plan, parts: Mapping[str, Evidence], inputs: Mapping[str, str]) -> None:
    here = {each: digest for each, digest in inputs.items() if digest != ABSENT}  # elsewhere, the scripts may be absent
    first: dict[str, tuple[str, str]] = {}
    for name, part in parts.items():
        if part.plan_digest != plan.digest:
            was, is_ = part.plan_digest[:12], plan.digest[:12]
            raise MergeError(f"{name} was collected for another text of this plan ({was}, now {is_}); run it again")
        if part.network_zone and part.network_zone not in plan.network_zones:
            raise MergeError(f"{name} is of network zone {part.network_zone}, which the plan does not have")
        if changes := changed({each: digest for each, digest in part.inputs.items() if each in here}, here):
            raise MergeError(f"{name} is void: {'; '.join(changes)}; run it again")
        for each, digest in part.inputs.items():
            earlier, its_digest = first.setdefault(each, (name, digest))
            if digest != its_digest:
                raise MergeError(f"{earlier} and {name} were collected beside different files ({each}); run both again")


def _says(answer: Answer) -> tuple[object, ...]:
    return (answer.code, answer.text, answer.error) if isinstance(answer, Reply) else (answer.reason,)


def _provenance(plan: Plan, name: str, part: Evidence) -> str:
    zone = f"network zone {part.network_zone}" if part.network_zone else "every network zone"
    lost = sum(isinstance(answer, NoReply) for _, answer in part)
    without = f", {lost} without a reply" if lost else ""
    when = format_moment(part.collected_at, plan.window.zone)
    return f"{name}: {zone}, {when}, {counted(len(part.answers), 'question')}{without}"


def _gaps(answered: Answered) -> list[str]:
    """Zones from which something was not asked that the plan has there."""
    plan = answered.inspection.plan
    open_questions = answered.missing()
    found = []
    for zone in plan.network_zones or ("",):
        targets = dict.fromkeys(
            question.target for question in open_questions if not zone or plan.is_asked_from(zone, question)
        )
        if targets:
            cure = plan.call("collect", "--zone", zone) if zone else "preflight run"
            found.append(f"nobody asked {', '.join(targets)}: {cure}")
    return found
