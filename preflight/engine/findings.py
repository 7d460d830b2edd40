"""The one line of the report for a planned check: the check's own judgement, or why there is none. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

from preflight.check import Check, Subject
from preflight.clock import format_moment
from preflight.engine.cut_off import code_of_checks
from preflight.engine.inspection import PlannedCheck, PlannedProbe, described
from preflight.errors import CRASHES
from preflight.finding import Age, Finding, Judgement, Status, unknown
from preflight.judging.cures import could_not_look
from preflight.plan import Plan
from preflight.probe import Answer, NoReply, Reply, Via
from preflight.reasons import Reason, Side
from preflight.units import format_duration

WHOEVER_RUNS_IT = "whoever runs preflight"
_COULD_NOT_LOOK = (Status.UNKNOWN, Status.FAIL, Status.SKIPPED, Status.STALE)


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of everything that one planned check asked."""

    facts: Mapping[str, Any]
    """Fact name -> what its probe read; a `NoReply` where it could not."""
    probes: Mapping[str, PlannedProbe]
    answers: Sequence[Answer]
    ages: Sequence[Age]
    """Of the replies."""
    crash: str = ""
    """Of the check itself, on the way here."""


@dataclass(frozen=True, slots=True)
class _Conclusion:
    judgement: Judgement
    cause: str = ""
    owner: str = ""
    """Who cures it, where that is not the subject's owner."""


def finding_of(plan: Plan, item: PlannedCheck, seen: Seen) -> Finding:
    """The one line of the report for a planned check. Never raises for a faulty check."""
    conclusion = _conclude(plan, item, seen)
    role = plan.roles.get(item.subject.owner)
    lead_times = [item.subject.lead_time, role.lead_time if role else None]
    asked = [each for each in seen.answers if not (isinstance(each, NoReply) and each.reason is Reason.NOT_ASKED)]
    waited = max((each.took_seconds for each in asked if isinstance(each, NoReply)), default=0.0)  # for one login
    return Finding(
        check=item.check_id,
        title=item.title,
        subject=item.subject.id,
        severity=item.severity,
        judgement=conclusion.judgement,
        cause=conclusion.cause,
        owner=conclusion.owner or plan.person(item.subject.owner),
        steps=item.subject.steps,
        cure_by=plan.window.start - max((lead for lead in lead_times if lead), default=timedelta()),
        vantage=", ".join(dict.fromkeys(each.vantage for each in asked if each.vantage)),
        oldest_evidence_at=min((each.asked_at for each in asked), default=None),
        runbooks=_runbooks(plan, item, seen),
        took_seconds=round(waited + sum(each.took_seconds for each in asked if isinstance(each, Reply)), 6),
    )


def _runbooks(plan: Plan, item: PlannedCheck, seen: Seen) -> tuple[str, ...]:
    of_hosts: Mapping[str, Any] = plan.hosts
    entries = {Via.SSH: of_hosts, Via.SQL: plan.databases, Via.HTTP: plan.applications}
    asked = [entries.get(each.question.via, {}).get(each.question.target) for each in seen.probes.values()]
    found = [getattr(each, "runbook", "") for each in (item.subject.item, *asked)]
    return tuple(dict.fromkeys(filter(None, [*found, str(plan.checks.get(item.check_id, {}).get("runbook", ""))])))


def masked(finding: Finding, mask: Callable[[str], str]) -> Finding:
    """`finding` with every text that comes from answers passed through `mask`."""
    return replace(finding, judgement=_masked(finding.judgement, mask), cause=mask(finding.cause))


def _masked(judgement: Judgement, mask: Callable[[str], str]) -> Judgement:
    names = ("summary", "expected", "actual", "remedy", "details", "behind")
    texts: dict[str, Any] = {name: mask(getattr(judgement, name)) for name in names}
    points = tuple(_masked(point, mask) for point in judgement.points)
    events = tuple(replace(event, text=mask(event.text)) for event in judgement.events)
    return replace(judgement, points=points, events=events, **texts)


def first_lost(facts: Mapping[str, Any], wanted: frozenset[str]) -> str:
    """The first fact that nobody could be asked for, those aside that the check judges itself; empty for none."""
    lost = (name for name, fact in facts.items() if isinstance(fact, NoReply))
    return next((name for name in lost if name.partition(" ")[0] not in wanted), "")


def _conclude(plan: Plan, item: PlannedCheck, seen: Seen) -> _Conclusion:
    if item.skipped:
        return _Conclusion(Judgement(status=Status.SKIPPED, summary="not selected in this run"))
    if seen.crash or item.check is None:
        return _crashed(item, seen.crash)
    lost = first_lost(seen.facts, item.check.judges_no_reply)
    if lost:
        return _could_not_look(plan, seen, lost)
    try:
        judgement = _judge(item.check, item.subject, seen.facts)
    except CRASHES as error:  # one crashed check must not take the report with it
        return _crashed(item, described(error))
    lost = first_lost(seen.facts, frozenset())
    if not lost:
        return _aged(plan, item.check, judgement, seen.ages)
    # A check that sees a NoReply and calls it UNKNOWN shares cause, cure and owner with the checks that never saw it.
    shared = _could_not_look(plan, seen, lost)
    if judgement.status not in _COULD_NOT_LOOK:
        return shared
    if judgement.status is not Status.UNKNOWN:
        # A login that fails for what is amiss here is cured here, too; what else a check fails for, by its owner.
        return _Conclusion(judgement, owner=shared.owner if judgement.actual == seen.facts[lost].detail else "")
    return shared if shared.owner else replace(shared, judgement=judgement)


def _judge(check: Check, subject: Subject, facts: Mapping[str, Any]) -> Judgement:
    """Raises what a faulty check raises, also for a judgement that is none."""
    with code_of_checks:
        judgement = check.judge(subject, **facts)
    if not isinstance(judgement, Judgement):
        raise TypeError(f"judge returned {type(judgement).__name__}, not a Judgement")
    if any(Status(each.status) is Status.WAIVED for each in (judgement, *judgement.points)):
        raise ValueError("judge returned waived, which only a waiver of the plan makes of a failure")
    if check.waivable:
        return judgement
    points = tuple(replace(point, waivable=False) for point in judgement.points)
    return replace(judgement, waivable=False, points=points)


def _aged(plan: Plan, check: Check, judgement: Judgement, ages: Sequence[Age]) -> _Conclusion:
    """STALE in place of what was concluded from an answer too old. What failed stays failed until asked again. Whoever
    asks too early is told so once: it is no trouble of each check."""
    age = max((age for age in ages if age.too_old), key=lambda age: age.old - age.most, default=None)
    if age is None or judgement.status not in (Status.PASS, Status.WARN):
        lines = {point.behind for point in judgement.telling_points()}
        return _Conclusion(judgement, lines.pop() if len(lines) == 1 else "")  # not where some of it could be seen
    too_early = check.asked_at < check.moment - min(each.most for each in ages if each.too_old)
    latest = check.moment - min(getattr(plan.freshness, each.name) for each in fields(plan.freshness))
    when = f" from {format_moment(latest, plan.window.zone)} on" if too_early else ""  # then nothing is too old
    stale = Judgement(
        status=Status.STALE,
        summary=f"was {judgement.status}, but that was seen {format_duration(age.old)} before the moment judged",
        expected=f"at most {format_duration(age.most)} old ({age.family} in [freshness])",
        actual=judgement.summary,
        remedy=f"ask again{when}: {plan.call('gate')}",
        events=judgement.events,
    )
    return _Conclusion(stale, "asked too early for the moment judged" if too_early else "", WHOEVER_RUNS_IT)


def _could_not_look(plan: Plan, seen: Seen, name: str) -> _Conclusion:
    """What lies on this machine or in this tool is cured by whoever runs it, once for all that cannot look."""
    lost, question = seen.facts[name], seen.probes[name].question
    judgement = could_not_look(plan, question.via, question.target, lost)
    if lost.reason.side is Side.HERE:
        where = "" if lost.reason is Reason.REFUSED_ELSEWHERE else " (where preflight runs)"
        said = f"not tried: {lost.detail.partition(': ')[2] or lost.detail}{where}"
        return _Conclusion(replace(judgement, summary=said, actual=""), said, WHOEVER_RUNS_IT)
    cause = f"{lost.vantage}: {lost.detail}" if lost.vantage else lost.detail
    return _Conclusion(judgement, cause, WHOEVER_RUNS_IT if lost.reason.side is Side.TOOL else "")


def _crashed(item: PlannedCheck, crash: str) -> _Conclusion:
    said = f"the check {item.check_id} failed itself: {crash}"
    return _Conclusion(unknown(said, remedy="report it to the check's author"), f"defect of {item.check_id}: {crash}")
