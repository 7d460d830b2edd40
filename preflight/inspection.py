"""One inspection: which questions the plan's checks ask, and what the checks conclude from the answers. Pure.

A live run and the replay of saved evidence take the same two roads through here (`first_round`, `second_round`,
`findings`), which is why they give equal findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from preflight.check import Check, Probes, Subject
from preflight.errors import CRASHES
from preflight.evidence import Evidence
from preflight.finding import Finding, Judgement, Severity, Status, unknown
from preflight.plan import Plan
from preflight.probe import Answer, Cause, NoReply, Probe, Question
from preflight.registry import Registry

_COULD_NOT_LOOK = (Status.UNKNOWN, Status.FAIL, Status.SKIPPED, Status.STALE)


@dataclass(frozen=True, slots=True)
class _Item:
    """One planned check of one subject."""

    check: Check | None
    check_id: str
    title: str
    severity: Severity
    subject: Subject
    probes: Probes = field(default_factory=dict)
    crash: str = ""
    skipped: bool = False


@dataclass(frozen=True)
class Inspection:
    """Everything that was planned, before anything is asked."""

    plan: Plan
    moment: datetime
    items: Sequence[_Item]
    partial: bool

    @property
    def planned(self) -> int:
        return len(self.items)

    def first_round(self) -> list[Question]:
        """Equal probes of different checks give one question."""
        return _unique(probe.question() for item in self.items for probe in item.probes.values())

    def second_round(self, evidence: Evidence) -> list[Question]:
        """What the answers of the first round make it necessary to ask."""
        more: list[Question] = []
        for item in self.items:
            if item.check and not item.crash:
                _, probes, _ = _follow_up(item.check, item, evidence)
                more.extend(probe.question() for probe in probes.values())
        return [question for question in _unique(more) if question.id not in evidence.answers]

    def findings(self, evidence: Evidence) -> list[Finding]:
        """One finding for each planned check and subject, in plan order; none is ever dropped."""
        return [self._finding(item, evidence) for item in self.items]

    def _finding(self, item: _Item, evidence: Evidence) -> Finding:
        finding = Finding(
            check=item.check_id,
            title=item.title,
            subject=item.subject.id,
            severity=item.severity,
            judgement=unknown("was not judged"),
            owner=self.plan.person(item.subject.owner),
        )
        if item.skipped:
            not_selected = Judgement(status=Status.SKIPPED, summary="not selected in this run")
            return replace(finding, judgement=not_selected)
        if item.crash or item.check is None:
            return _crashed(finding, item.crash)
        crash, probes, answers = _follow_up(item.check, item, evidence)
        finding = replace(finding, **_provenance(answers.values()))
        if crash:
            return _crashed(finding, crash)
        facts = _facts({**item.probes, **probes}, answers)
        lost = _first_lost(facts, item.check.judges_no_reply)
        if lost is not None:
            return _could_not_look(finding, lost)
        try:
            judgement = item.check.judge(item.subject, **facts)
            if not isinstance(judgement, Judgement):
                raise TypeError(f"judge returned {type(judgement).__name__}, not a Judgement")
            _ = [Status(each.status) for each in (judgement, *judgement.points)]
        except CRASHES as error:  # one crashed check must not take the report with it
            return _crashed(finding, _described(error))
        lost = _first_lost(facts, frozenset())
        if lost is not None and judgement.status not in _COULD_NOT_LOOK:
            return _could_not_look(finding, lost)
        # A check that sees a NoReply and calls it UNKNOWN shares its cause with the checks that never saw it.
        cause = _cause_of(lost) if lost is not None and judgement.status is Status.UNKNOWN else ""
        return replace(finding, judgement=judgement, cause=cause)


def inspect(
    plan: Plan, registry: Registry, moment: datetime, selected: Callable[[str], bool] = lambda _: True
) -> Inspection:
    """Plans the run. Never raises for a faulty check: it becomes an item that ends UNKNOWN."""
    items = [item for check in registry.checks for item in _items(check, plan, moment, selected(check.id))]
    plug_in = Subject("plug-in", None)
    items += [
        _Item(None, source.name, "the check can be loaded", Severity.BLOCKING, plug_in, crash=source.problem)
        for source in registry.broken
    ]
    return Inspection(plan, moment, items, partial=not all(selected(check.id) for check in registry.checks))


def _items(check_class: type[Check], plan: Plan, moment: datetime, selected: bool) -> Iterator[_Item]:
    table = plan.checks.get(check_class.id, {})
    severity = Severity(str(table.get("severity", check_class.severity)))
    settings = {key: value for key, value in table.items() if key != "severity"}
    try:
        check = check_class(plan, moment, check_class.Settings(**settings))
        subjects = list(check.subjects())
        if len({subject.id for subject in subjects}) != len(subjects):
            raise ValueError("two subjects have the same id")
    except CRASHES as error:  # see inspect
        yield _Item(None, check_class.id, check_class.title, severity, Subject("all", None), {}, _described(error))
        return
    for subject in subjects:
        item = _Item(check, check.id, check.title, severity, subject, skipped=not selected)
        if selected:
            try:
                probes = check.probes(subject)
                _ = [probe.question() for probe in probes.values()]
                item = replace(item, probes=probes)
            except CRASHES as error:  # see inspect
                item = replace(item, crash=_described(error))
        yield item


def _follow_up(check: Check, item: _Item, evidence: Evidence) -> tuple[str, Probes, Mapping[str, Answer]]:
    """(crash, probes of the second round, answers of both rounds)."""
    answers = {name: evidence.answer(probe.question()) for name, probe in item.probes.items()}
    facts = _facts(item.probes, answers)
    if _first_lost(facts, check.judges_no_reply) is not None:
        return "", {}, answers
    try:
        probes = check.follow_up(item.subject, **facts)
        repeated = set(probes) & set(item.probes)
        if repeated:
            raise ValueError(f"follow_up names {', '.join(sorted(repeated))} again")
        more = {name: evidence.answer(probe.question()) for name, probe in probes.items()}
    except CRASHES as error:  # one crashed check must not take the report with it
        return _described(error), {}, answers
    return "", probes, {**answers, **more}


def _facts(probes: Probes, answers: Mapping[str, Answer]) -> dict[str, Any]:
    return {name: _fact(probe, answers[name]) for name, probe in probes.items()}


def _fact(probe: Probe[Any], answer: Answer) -> Any:
    """What a probe reads in an answer. A reply it cannot read is no reply: never a pass."""
    if isinstance(answer, NoReply):
        return answer
    try:
        return probe.read(answer)
    except CRASHES as error:  # the far end decides what is in a reply
        detail = f"the reply to {type(probe).__name__} cannot be read: {error}"
        return NoReply(Cause.UNREADABLE, detail, answer.asked_at, answer.took_seconds, answer.vantage)


def _first_lost(facts: Mapping[str, Any], wanted: frozenset[str]) -> NoReply | None:
    lost = (fact for name, fact in facts.items() if isinstance(fact, NoReply) and name not in wanted)
    return next(lost, None)


def _could_not_look(finding: Finding, lost: NoReply) -> Finding:
    judgement = unknown(f"could not look: {lost.cause}", actual=lost.detail, remedy="cure the cause, then run again")
    return replace(finding, judgement=judgement, cause=_cause_of(lost))


def _cause_of(lost: NoReply) -> str:
    return f"{lost.vantage}: {lost.detail}" if lost.vantage else lost.detail


def _crashed(finding: Finding, crash: str) -> Finding:
    judgement = unknown(f"the check {finding.check} failed itself: {crash}", remedy="report it to the check's author")
    return replace(finding, judgement=judgement, cause=f"defect of {finding.check}: {crash}")


def _provenance(answers: Iterable[Answer]) -> dict[str, Any]:
    seen = [answer for answer in answers if not (isinstance(answer, NoReply) and answer.cause is Cause.NOT_ASKED)]
    vantages = dict.fromkeys(answer.vantage for answer in seen if answer.vantage)
    return {
        "vantage": ", ".join(vantages),
        "oldest_evidence_at": min((answer.asked_at for answer in seen), default=None),
        "took_seconds": round(sum(answer.took_seconds for answer in seen), 6),
    }


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _unique(questions: Iterable[Question]) -> list[Question]:
    return list({question.id: question for question in questions}.values())
