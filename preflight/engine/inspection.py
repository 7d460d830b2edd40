"""One inspection: which checks are planned for which subjects, and what they ask first. Pure.

What the answers make of it is `preflight.engine.answered`."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from preflight.check import Check, Expect, Probes, Subject
from preflight.engine.cut_off import code_of_checks
from preflight.engine.registry import Registry
from preflight.engine.selection import EVERYTHING, Selection
from preflight.errors import CRASHES
from preflight.finding import Severity
from preflight.plan import Plan
from preflight.plan.release_plan import BESIDE_SETTINGS, SEVERITY_OF
from preflight.plan.work import ServerWork
from preflight.probe import Probe, Question, Via


@dataclass(frozen=True, slots=True, eq=False)
class PlannedProbe:
    """A probe and the question it stands for. Equal probes of one inspection are one and the same of these."""

    probe: Probe[Any]
    question: Question


PlannedProbes = Mapping[str, PlannedProbe]
"""Fact name -> what is asked for it."""


class ProbePlanner:
    """Makes the question of each probe, once for all equal probes."""

    def __init__(self, plan: Plan) -> None:
        self._planned: dict[Probe[Any], PlannedProbe] = {}
        self._targets: dict[Via, tuple[str, Container[str]]] = {
            Via.SSH: ("host", plan.hosts),
            Via.SQL: ("database", plan.databases),
        }

    def plan(self, probes: Probes) -> PlannedProbes:
        """Raises what a faulty probe raises, and LookupError for a target that the plan does not have."""
        found = {}
        for name, probe in probes.items():
            try:
                found[name] = self._planned.get(probe) or self._new(probe)
                self._planned[probe] = found[name]
            except TypeError:  # a plug-in's probe that holds a list
                found[name] = self._new(probe)
        return found

    def _new(self, probe: Probe[Any]) -> PlannedProbe:
        question = probe.question()
        kind, known = self._targets.get(question.via, ("", (question.target,)))
        if question.target not in known:
            raise LookupError(f"the plan has no {kind} {question.target}")
        return PlannedProbe(probe, question)


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    check: Check | None
    check_id: str
    title: str
    severity: Severity
    subject: Subject
    probes: PlannedProbes = field(default_factory=dict)
    crash: str = ""
    skipped: bool = False


@dataclass(frozen=True)
class Inspection:
    """Everything that was planned, before anything is asked."""

    plan: Plan
    moment: datetime
    items: Sequence[PlannedCheck]
    partial: bool
    """Part of the checks was not selected."""
    expect: Expect | None
    """What `preflight verify` wants to find; None where readiness is judged."""
    no_warnings: bool
    """A warning holds the release, too."""
    planner: ProbePlanner = field(repr=False, compare=False)
    """For the probes of the second round."""
    registry: Registry = field(repr=False, compare=False)
    """All checks, selected or not."""

    def first_round(self) -> list[Question]:
        """What is asked first. Equal probes of different checks give one question."""
        asked = (planned.question for item in self.items for planned in item.probes.values())
        return list({question.id: question for question in asked}.values())


def inspect(
    plan: Plan,
    registry: Registry,
    moment: datetime,
    selection: Selection = EVERYTHING,
    *,
    asked_at: datetime | None = None,
    expect: Expect | None = None,
    no_warnings: bool = False,
) -> Inspection:
    """Plans the run. Never raises for a faulty check: it becomes an item that ends UNKNOWN. `asked_at`, `expect`: see
    `Check`; `no_warnings`: see `Inspection`."""
    planner = ProbePlanner(plan)
    items: list[PlannedCheck] = []
    for check in registry.checks:
        build = partial(check, plan, moment, asked_at=asked_at, expect=expect)
        items += _items(check, build, plan.checks.get(check.id, {}), selection, planner)
    answered = set(_answered(items))
    items = [item for item in items if not (item.subject.unless_answered and id(item.subject.item) in answered)]
    for source in registry.broken:
        title, plug_in = "the check can be loaded", Subject("plug-in", None)
        items.append(PlannedCheck(None, source.name, title, Severity.BLOCKING, plug_in, crash=source.problem))
    is_part = any(item.skipped for item in items) or not all(map(selection.may_take, registry.ids))
    return Inspection(plan, moment, items, is_part, expect, no_warnings, planner, registry)


def _items(
    check_class: type[Check],
    build: Callable[[Any], Check],
    table: Mapping[str, Any],
    selection: Selection,
    planner: ProbePlanner,
) -> Iterator[PlannedCheck]:
    severity = Severity(str(table.get("severity", check_class.severity)))
    named: Any = table.get(SEVERITY_OF, {})
    settings = {key: value for key, value in table.items() if key not in BESIDE_SETTINGS}
    try:
        with code_of_checks:
            check = build(check_class.Settings(**settings))
            subjects = list(check.subjects())
        if len({subject.id for subject in subjects}) != len(subjects):
            raise ValueError("two subjects have the same id")
    except CRASHES as error:  # see inspect
        subject = Subject("all", None)
        yield PlannedCheck(None, check_class.id, check_class.title, severity, subject, crash=described(error))
        return
    for subject in subjects:
        probes: PlannedProbes = {}
        crash = ""
        selected = selection.may_take(check.id)
        if selected:
            try:
                with code_of_checks:
                    probes = planner.plan(check.probes(subject))
            except CRASHES as error:  # see inspect
                crash = described(error)
            planned = [(each.probe.family, each.question) for each in probes.values()]
            selected = bool(crash) or selection.takes(check.plan, check.id, subject, planned)
            probes = probes if selected else {}
        own = Severity(named.get(subject.id) or subject.severity or severity)
        yield PlannedCheck(check, check.id, check.title, own, subject, probes, crash, skipped=not selected)


def _answered(items: Sequence[PlannedCheck]) -> Iterator[int]:
    """`id` of each entry that a plug-in for its engine judges: it asks something of this very entry, on its host."""
    for each in items:
        engines = each.check.engines if each.check and each.severity is not Severity.ADVISORY else ()
        work = each.subject.item
        if engines and isinstance(work, ServerWork) and work.engine in engines:
            asked = {(planned.question.via, planned.question.target) for planned in each.probes.values()}
            if (Via.SSH, work.host.id) in asked:
                yield id(work)


def described(error: BaseException) -> str:
    """A crash in one line: its type, and its words where it has some."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
