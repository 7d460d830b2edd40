"""One inspection: which questions the plan's checks ask, and what the checks conclude from the answers. Pure.

A live run and the replay of saved evidence take the same two roads through here (`first_round`, `second_round`,
`findings`), which is why they give equal findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from preflight.check import Check, Probes, Subject
from preflight.errors import CRASHES
from preflight.evidence import Evidence
from preflight.finding import Age, Finding, Judgement, Severity, Status, unknown
from preflight.plan import Plan
from preflight.probe import NO_SECRET, Answer, Cause, Family, NoReply, Probe, Question, Reply
from preflight.registry import Registry
from preflight.units import format_duration

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

    def first_round(self, evidence: Evidence | None = None) -> list[Question]:
        """What `evidence` does not answer yet. Equal probes of different checks give one question."""
        known = evidence.answers if evidence else {}
        asked = _unique(probe.question() for item in self.items for probe in item.probes.values())
        return [question for question in asked if question.id not in known]

    def second_round(self, evidence: Evidence) -> list[Question]:
        """What the answers of the first round make it necessary to ask."""
        more: list[Question] = []
        for item in self.items:
            if item.check and not item.crash:
                _, probes, _ = _follow_up(item.check, item, evidence)
                more.extend(probe.question() for probe in probes.values())
        return [question for question in _unique(more) if question.id not in evidence.answers]

    def still_good(self, evidence: Evidence) -> Evidence:
        """The replies of `evidence` that need not be asked for again: those of a question that is still asked, not
        too old at the moment judged. Staged scripts are always asked for again: they are compared at the call."""
        kept: dict[str, bool] = {}
        for item in self.items:
            if item.check is None or item.crash:
                continue
            _, later, _ = _follow_up(item.check, item, evidence)
            for probe in (*item.probes.values(), *later.values()):
                question = probe.question()
                good = probe.family is not Family.SCRIPTS and not self._age(probe, evidence.answer(question)).too_old
                kept[question.id] = kept.get(question.id, True) and good
        return evidence.only(
            question.id for question, answer in evidence if kept.get(question.id, False) and isinstance(answer, Reply)
        )

    def _age(self, probe: Probe[Any], answer: Answer) -> Age:
        most: timedelta = getattr(self.plan.freshness, probe.family)
        return Age(probe.family, self.moment - answer.asked_at, most)

    def _stalest(self, probes: Probes, answers: Mapping[str, Answer]) -> Age | None:
        ages = [self._age(probe, answers[name]) for name, probe in probes.items() if isinstance(answers[name], Reply)]
        return max((age for age in ages if age.too_old), key=lambda age: age.old - age.most, default=None)

    def ages(self, evidence: Evidence) -> tuple[Age, ...]:
        """The oldest reply of each family that the verdict stands on."""
        oldest: dict[str, Age] = {}
        for item in self.items:
            if item.check is None or item.crash:
                continue
            _, later, _ = _follow_up(item.check, item, evidence)
            for probe in (*item.probes.values(), *later.values()):
                answer = evidence.answer(probe.question())
                if isinstance(answer, Reply):
                    age = self._age(probe, answer)
                    oldest[age.family] = max(oldest.get(age.family, age), age, key=lambda each: each.old)
        return tuple(oldest[family] for family in Family if family in oldest)

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
            steps=item.subject.steps,
            cure_by=self._cure_by(item.subject),
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
        if not item.check.waivable:
            judgement = _never_waived(judgement)
        lost = _first_lost(facts, frozenset())
        if lost is not None and judgement.status not in _COULD_NOT_LOOK:
            return _could_not_look(finding, lost)
        if lost is not None and lost.reason == NO_SECRET and judgement.status is Status.UNKNOWN:
            return _could_not_look(finding, lost)  # the cure and its owner are the same for all that miss the secret
        # A check that sees a NoReply and calls it UNKNOWN shares its cause with the checks that never saw it.
        cause = _cause_of(lost) if lost is not None and judgement.status is Status.UNKNOWN else ""
        age = self._stalest({**item.probes, **probes}, answers)
        if age is not None and judgement.status in (Status.PASS, Status.WARN):
            judgement = _stale(judgement, age)
        return replace(finding, judgement=judgement, cause=cause)

    def _cure_by(self, subject: Subject) -> datetime:
        """When the cure must have been asked for at the latest: its lead time before the window."""
        role = self.plan.roles.get(subject.owner)
        lead_times = [subject.lead_time, role.lead_time if role else None]
        return self.plan.window.start - max((lead for lead in lead_times if lead), default=timedelta())


def _never_waived(judgement: Judgement) -> Judgement:
    points = tuple(replace(point, waivable=False) for point in judgement.points)
    return replace(judgement, waivable=False, points=points)


def _stale(judgement: Judgement, age: Age) -> Judgement:
    """In place of what was concluded from an answer that is too old. What failed stays failed until asked again."""
    return Judgement(
        status=Status.STALE,
        summary=f"was {judgement.status}, but that was seen {format_duration(age.old)} before the moment judged",
        expected=f"at most {format_duration(age.most)} old ({age.family} in [freshness])",
        actual=judgement.summary,
        remedy="ask again: preflight gate PLAN",
        events=judgement.events,
    )


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
    if lost.reason == NO_SECRET:
        said = f"not tried: {lost.detail.partition(': ')[2] or lost.detail} (where preflight runs)"
        remedy = "set it where preflight runs, or name another reference in the plan"
        return replace(finding, judgement=unknown(said, remedy=remedy), cause=said, owner="whoever runs preflight")
    judgement = unknown(f"could not look: {lost.cause}", actual=lost.detail, remedy="remove the cause, then run again")
    return replace(finding, judgement=judgement, cause=_cause_of(lost))


def _cause_of(lost: NoReply) -> str:
    return f"{lost.vantage}: {lost.detail}" if lost.vantage else lost.detail


def _crashed(finding: Finding, crash: str) -> Finding:
    judgement = unknown(f"the check {finding.check} failed itself: {crash}", remedy="report it to the check's author")
    return replace(finding, judgement=judgement, cause=f"defect of {finding.check}: {crash}")


def _provenance(answers: Iterable[Answer]) -> dict[str, Any]:
    seen = [answer for answer in answers if not (isinstance(answer, NoReply) and answer.cause is Cause.NOT_ASKED)]
    vantages = dict.fromkeys(answer.vantage for answer in seen if answer.vantage)
    waited = max((answer.took_seconds for answer in seen if isinstance(answer, NoReply)), default=0.0)  # for one login
    return {
        "vantage": ", ".join(vantages),
        "oldest_evidence_at": min((answer.asked_at for answer in seen), default=None),
        "took_seconds": round(waited + sum(answer.took_seconds for answer in seen if isinstance(answer, Reply)), 6),
    }


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _unique(questions: Iterable[Question]) -> list[Question]:
    return list({question.id: question for question in questions}.values())
