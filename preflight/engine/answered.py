"""An inspection and its answers, as they come: each reply is read once, each subject's second questions are found once,
and the findings are drawn from what was read. Pure.

A live run gives the answers one by one, saved evidence gives all at once; both take the same road, which is why they
give equal findings."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from preflight.engine.cut_off import code_of_checks
from preflight.engine.findings import Seen, finding_of, first_lost, masked
from preflight.engine.inspection import Inspection, PlannedCheck, PlannedProbe, described
from preflight.errors import CRASHES
from preflight.evidence import Evidence, redact
from preflight.finding import Age, Finding
from preflight.probe import Answer, Family, NoReply, Question, Reply, Unreadable, Via
from preflight.reasons import Reason

Target = tuple[Via, str]


@dataclass(slots=True, eq=False)
class _Subject:
    """One planned check on its way to a finding."""

    item: PlannedCheck
    probes: dict[str, PlannedProbe]
    """Of the first round; with `followed_up`, of both."""
    waits_for: set[str] = field(default_factory=set)
    """Ids of questions that are being asked."""
    targets: set[Target] = field(default_factory=set)
    """Where those of the first round are asked."""
    followed_up: bool = False
    crash: str = ""


class Answered:
    """What the answers so far make it necessary to ask, and what the checks conclude from them."""

    def __init__(
        self,
        inspection: Inspection,
        evidence: Evidence,
        *,
        earlier: Evidence | None = None,
        asks: Callable[[Question], bool] = lambda _question: True,
        mask: Callable[[str], str] = str,
    ) -> None:
        """`evidence`: the answers to begin with, none for a live run. `earlier`: a run before, of which is kept what
        need not be asked again. `asks`: False for a question that is not asked from here. `mask` redacts what
        leaves: findings and evidence. What is judged is what was answered."""
        self.inspection, self._evidence, self._earlier, self._asks = inspection, evidence, earlier, asks
        self._mask = mask
        self._answers = dict(evidence.answers)
        self._facts: dict[PlannedProbe, Any] = {}
        self._waiting: dict[str, list[_Subject]] = {}
        self._first_rounds: Counter[Target] = Counter()
        """How many subjects wait there for their first answers, and may ask again."""
        self._subjects = [_Subject(item, dict(item.probes), crash=item.crash) for item in inspection.items]

    @property
    def evidence(self) -> Evidence:
        """All answers so far, redacted."""
        if len(self._answers) != len(self._evidence.answers):
            told = {id_: (question, redact(answer, self._mask)) for id_, (question, answer) in self._answers.items()}
            self._evidence = replace(self._evidence, answers=told)
        return self._evidence

    def begin(self) -> list[Question]:
        """What is to be asked first."""
        return _ordered(due for subject in self._subjects for due in self._ask_for(subject, subject.probes.values()))

    def add(self, question: Question, answer: Answer) -> list[Question]:
        """Takes the answer to a question that was to be asked; gives what is to be asked now because of it."""
        rounded = replace(answer, took_seconds=round(answer.took_seconds, 6))  # as evidence has it
        self._answers[question.id] = (question, rounded)
        due: list[PlannedProbe] = []
        for subject in self._waiting.pop(question.id, ()):
            subject.waits_for.discard(question.id)
            if not subject.waits_for and not subject.followed_up:
                due += self._follow_up(subject)
        return _ordered(due)

    def is_done(self, via: Via, target: str) -> bool:
        """Whether all that asked there first have asked their second questions, too; others may still do so."""
        return not self._first_rounds[via, target]

    def missing(self) -> list[Question]:
        """What the planned checks ask, in both rounds, and no answer is there for."""
        asked = (planned.question for subject in self._settled() for planned in subject.probes.values())
        return list({question.id: question for question in asked if question.id not in self._answers}.values())

    def hosts_reached(self) -> dict[str, bool]:
        """Every host that the planned checks ask, and whether one of its questions was answered."""
        reached: dict[str, bool] = {}
        for subject in self._settled():
            for planned in subject.probes.values():
                if planned.question.via is Via.SSH:
                    host, answer = planned.question.target, self._answer(planned)
                    reached[host] = reached.get(host, False) or isinstance(answer, Reply)
        return reached

    def findings(self) -> list[Finding]:
        """One for each planned check and subject, in plan order; none is ever dropped."""
        found = []
        for subject in self._settled():
            answers = [self._answer(planned) for planned in subject.probes.values()]
            seen = Seen(self._facts_of(subject), subject.probes, answers, list(self._ages(subject)), subject.crash)
            found.append(masked(finding_of(self.inspection.plan, subject.item, seen), self._mask))
        return found

    def ages(self) -> tuple[Age, ...]:
        """The oldest reply of each family that the verdict stands on."""
        oldest: dict[str, Age] = {}
        for subject in self._settled():
            for age in self._ages(subject):
                oldest[age.family] = max(oldest.get(age.family, age), age, key=lambda each: each.old)
        return tuple(oldest[family] for family in Family if family in oldest)

    def _settled(self) -> Iterator[_Subject]:
        """Every subject with the probes of both rounds, as far as the answers go."""
        for subject in self._subjects:
            if not subject.followed_up:
                self._follow_up(subject)
            yield subject

    def _ask_for(self, subject: _Subject, probes: Iterable[PlannedProbe]) -> list[PlannedProbe]:
        """Makes a subject wait for what has no answer; gives what nobody has asked yet."""
        due: list[PlannedProbe] = []
        for planned in probes:
            question = planned.question
            if question.id in self._answers or not self._asks(question) or self._keep(planned):
                continue
            waiting = self._waiting.setdefault(question.id, [])
            if not waiting:
                due.append(planned)
            waiting.append(subject)
            subject.waits_for.add(question.id)
            where = (question.via, question.target)
            if not subject.followed_up and where not in subject.targets:
                subject.targets.add(where)
                self._first_rounds[where] += 1
        if not subject.waits_for and not subject.followed_up:
            due += self._follow_up(subject)
        return due

    def _follow_up(self, subject: _Subject) -> list[PlannedProbe]:
        """The second round of a subject whose first answers are in."""
        subject.followed_up = True
        self._first_rounds.subtract(subject.targets)
        check = subject.item.check
        if check is None or subject.crash or subject.item.skipped:
            return []
        facts = self._facts_of(subject)
        if first_lost(facts, check.judges_no_reply):
            return []
        try:
            with code_of_checks:
                more = self.inspection.planner.plan(check.follow_up(subject.item.subject, **facts))
            repeated = set(more) & set(subject.probes)
            if repeated:
                raise ValueError(f"follow_up names {', '.join(sorted(repeated))} again")
        except CRASHES as error:  # one crashed check must not take the report with it
            subject.crash = described(error)
            return []
        subject.probes.update(more)
        return self._ask_for(subject, more.values())

    def _keep(self, planned: PlannedProbe) -> bool:
        """Takes the answer of the earlier run over when its probe says that it may be kept, and it is neither too old
        at the moment judged nor of the future."""
        found = self._earlier.answers.get(planned.question.id) if self._earlier else None
        if found is None or not isinstance(found[1], Reply):
            return False
        if found[1].asked_at > self._evidence.collected_at or self._age(planned, found[1]).too_old:
            return False
        try:
            with code_of_checks:
                kept = planned.probe.may_be_kept(found[1])
        except CRASHES:  # it cannot be read
            return False
        if kept:
            self._answers[planned.question.id] = found
        return kept

    def _answer(self, planned: PlannedProbe) -> Answer:
        """A question nobody asked is a `NoReply`, never a pass."""
        found = self._answers.get(planned.question.id)
        if found is None:
            return NoReply(Reason.NOT_ASKED, "this question was not asked", self._evidence.collected_at)
        return found[1]

    def _facts_of(self, subject: _Subject) -> dict[str, Any]:
        for planned in subject.probes.values():
            if planned not in self._facts:
                self._facts[planned] = _read(planned, self._answer(planned))
        return {name: self._facts[planned] for name, planned in subject.probes.items()}

    def _ages(self, subject: _Subject) -> Iterator[Age]:
        for planned in subject.probes.values():
            answer = self._answer(planned)
            if isinstance(answer, Reply):
                yield self._age(planned, answer)

    def _age(self, planned: PlannedProbe, reply: Reply) -> Age:
        most: timedelta = getattr(self.inspection.plan.freshness, planned.probe.family)
        old = self.inspection.moment - reply.asked_at  # a run judges for its first moment, before it has asked
        return Age(planned.probe.family, max(old, timedelta()), most)


def _ordered(due: Iterable[PlannedProbe]) -> list[Question]:
    """What may take longest goes last, behind it what is not ours: a hang costs as few others as can be."""
    in_order = sorted(due, key=lambda planned: (planned.probe.asked_last, planned.question.timeout_seconds))
    return [planned.question for planned in in_order]


def _read(planned: PlannedProbe, answer: Answer) -> Any:
    """What a probe reads in an answer. A reply it cannot read is no reply: never a pass."""
    if isinstance(answer, NoReply):
        return answer
    try:
        with code_of_checks:
            return planned.probe.read(answer)
    except CRASHES as error:  # the far end decides what is in a reply
        detail = f"the reply to {type(planned.probe).__name__} cannot be read: {error}"
        reason = error.reason if isinstance(error, Unreadable) else Reason.UNREADABLE
        return NoReply(reason, detail, answer.asked_at, answer.took_seconds, answer.vantage)
