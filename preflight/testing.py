"""For authors of checks: one check on plain answers, without a network, and what every check must keep to.

trial = Trial(QueueDepth, plan_of(PLAN, tmp_path, QueueDepth), lambda question: answered("17"))
assert trial.finding.status is Status.PASS
trial.assert_contract()"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from preflight.check import Check
from preflight.engine.answered import Answered
from preflight.engine.inspection import Inspection, inspect
from preflight.engine.registry import Registry
from preflight.evidence import Evidence
from preflight.finding import Finding, Status
from preflight.plan import Plan
from preflight.plan.load import load_plan
from preflight.probe import Answer, NoReply, Question, Reply
from preflight.reasons import Reason
from preflight.record import fields_of

MOMENT = datetime(2026, 10, 16, 12, 0, tzinfo=UTC)
"""When everything is asked and judged: the day before the window of `HEAD`."""
HEAD = """\
[release]
id = "REL-1"
[window]
zone = "UTC"
start = 2026-10-17T00:00:00
end = 2026-10-17T06:00:00
"""
"""The two sections that every plan needs."""

_GREEN = (Status.PASS, Status.WARN)


def plan_of(text: str, folder: Path, check: type[Check]) -> Plan:
    """A plan of `HEAD` and `text` with the check's settings read; written to `folder`, where its paths start.

    Raises PlanError, as a run would."""
    path = folder / "plan.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return load_plan(path, {check.id: check.Settings})


def answered(text: str, code: int = 0, error: str = "", **session: str) -> Reply:
    """A reply: `code` is an exit status or an HTTP status. `session`: what the session knows of itself."""
    return Reply(code, text, MOMENT, 0.1, "from the trial", error, session)


def lost(reason: Reason = Reason.UNREACHABLE) -> NoReply:
    return NoReply(reason, f"the trial says: {reason}", MOMENT, 0.1, "from the trial")


@dataclass(frozen=True)
class Trial:
    """One check, planned, asked and judged as a run does it."""

    check: type[Check]
    plan: Plan
    answer: Callable[[Question], Answer]
    """What the far end says to a question; it sees target and text, as the far end does."""
    moment: datetime = MOMENT

    @cached_property
    def inspection(self) -> Inspection:
        return inspect(self.plan, Registry((self.check,)), self.moment)

    @cached_property
    def answered(self) -> Answered:
        """Everything that was asked, in both rounds, with its answers."""
        answered = Answered(self.inspection, Evidence(self.plan.digest, self.moment))
        due = answered.begin()
        while due:
            question = due.pop(0)
            due += answered.add(question, self.answer(question))
        return answered

    @property
    def evidence(self) -> Evidence:
        return self.answered.evidence

    @cached_property
    def findings(self) -> Sequence[Finding]:
        return self.answered.findings()

    @property
    def finding(self) -> Finding:
        """The only one. Raises ValueError when there are several or none."""
        (finding,) = self.findings
        return finding

    def assert_contract(self) -> None:
        """Fails with a sentence when the check breaks a promise that the engine makes for all checks."""
        self._assert_described()
        findings = self.findings
        assert findings, "the trial's plan has nothing for the check: a contract is tested on at least one subject"
        assert self.answered.findings() == findings, "judged twice, the findings differ"
        again = Evidence.from_json(self.evidence.to_json())
        assert Answered(self.inspection, again).findings() == findings, "saved and read again, the findings differ"
        for finding in findings:
            for point in finding.judgement.points or (finding.judgement,):
                if point.status is Status.FAIL:
                    assert point.expected, f"a failure does not say what was wanted: {point.summary}"
                    assert point.actual, f"a failure does not say what was seen: {point.summary}"
        for question, _ in self.evidence:
            self._assert_no_pass_without(question, findings)

    def _assert_described(self) -> None:
        doc = (self.check.__doc__ or "").strip()
        assert doc.partition("\n")[0].rstrip().endswith("?"), "the docstring's first line is the question, with a ?"
        if self.check.follow_up is not Check.follow_up:
            assert self.check.follow_up.__doc__, "follow_up has no docstring; `preflight show` prints it"
        for name, setting in fields_of(self.check.Settings).items():
            assert not setting.required, f"the setting {name} has no default"

    def _assert_no_pass_without(self, question: Question, findings: Sequence[Finding]) -> None:
        """Whatever a lost answer changes must not be green: no evidence is not evidence."""
        less = Answered(self.inspection, self.evidence.without(question.id)).findings()
        assert len(less) == len(findings), f"a finding vanishes without the answer to: {question.text}"
        for before, now in zip(findings, less, strict=True):
            assert now == before or now.status not in _GREEN, (
                f"{now.subject} is {now.status} without the answer to: {question.text}"
            )
