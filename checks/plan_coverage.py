"""plan-coverage: what the plan does not have is left out for a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from preflight.check import ANY_STATE, Check, Probes, Subject
from preflight.faults import dotted
from preflight.finding import Judgement, Severity, passed, unknown, warned
from preflight.judging.data_directory import not_shown
from preflight.plan.gaps import SECTIONS, Gap, left_out, sealed_signers
from preflight.questions.files import LocalFile, LocalText
from preflight.questions.local import TARGET
from preflight.wording import beside


class PlanCoverage(Check):
    """Is whatever the plan does not ask left out for a reason?

    A check that has nothing to judge says nothing, so a plan without backups would be GO without a word of them. Hosts,
    databases, backups, scripts, applications and the way back must therefore stand in the plan, each database with a
    backup, each backup with the pattern of earlier ones, scripts with a way back, each server of an application with
    an endpoint that tells its version, the way back with its files. What does not is UNKNOWN until the plan says why:
    `[release] without = { backups = "read-only release" }`; in an entry `health = { none = "no endpoint" }`. Then it
    is a warning that every report prints. A plan that named `allowed_signers` when it was sealed, and does not any
    more, or of which that file was changed since, is UNKNOWN, too. `preflight verify` tells the same of the
    applications: a version that nobody asks for is not known.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        """Nothing that could silence it."""

        severity: Severity = Severity.BLOCKING
        """Always `blocking`: another one is refused."""
        severity_of: Mapping[str, Severity] = field(default_factory=dict)
        """The same for each subject."""

        def __post_init__(self) -> None:
            if {self.severity, *self.severity_of.values()} != {Severity.BLOCKING}:
                raise ValueError("always blocks; what is left out on purpose is given its reason instead")

    id = "plan-coverage"
    title = "what the plan does not ask is left out for a reason"
    verifies = ANY_STATE
    waivable = False
    needs = "none: it reads the plan, and the files of allowed signers that it names"
    cure = "add the section or the key, or write the reason into the plan"

    def subjects(self) -> Sequence[Subject]:
        gaps = {dotted(gap.keys): gap for gap in (*left_out(self.plan), *sealed_signers(self.plan))}
        if self.expect is not None:
            told = {name: gap for name, gap in gaps.items() if gap.keys[0] == "applications"}
            return [Subject(name, gap, gap.owner) for name, gap in told.items()]
        there = [Subject(section, None) for section in SECTIONS if getattr(self.plan, section)]
        return [*there, *(Subject(name, gap, gap.owner) for name, gap in gaps.items())]

    def probes(self, subject: Subject) -> Probes:
        gap: Gap | None = subject.item
        return {"file": LocalFile(TARGET, beside(self.plan.folder, gap.file))} if gap and gap.file else {}

    def judge(self, subject: Subject, *, file: LocalText | None = None) -> Judgement:
        gap: Gap | None = subject.item
        if gap is None:
            return passed(f"[{subject.id}] is in the plan")
        if file is not None and file.sha256 == gap.sha256:
            return passed("as it was sealed", expected=f"sha256 {gap.sha256}")
        if gap.managed is not None:
            return not_shown(self.plan, self.moment, gap.managed, gap.missing, remedy=gap.cure)
        if gap.reason:
            return warned(f"{gap.missing}: {gap.reason}", remedy=gap.add)
        seen = file and (file.problem or f"sha256 {file.sha256}")
        return unknown(gap.missing, expected=gap.sha256 and f"sha256 {gap.sha256}", actual=seen or "", remedy=gap.cure)
