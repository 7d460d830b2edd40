"""`run` = collect + judge: the two steps that the commands are made of; and the night's command lines."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

from preflight.clock import Deadline, SteadyClock
from preflight.engine.answered import Answered
from preflight.engine.conclude import conclude, withheld
from preflight.engine.cut_off import TIMEOUT_SECONDS, begin_again
from preflight.engine.gather import Asking, OpenSession
from preflight.engine.inspection import Inspection
from preflight.engine.shards import WHOLE, Part
from preflight.errors import CRASHES
from preflight.evidence import Evidence
from preflight.judging.sealed_scripts import sealed_order, sealing_probes
from preflight.plan import Plan
from preflight.plan.agreements import steps_by_begin
from preflight.plan.command_lines import Command, ScriptOrder, night_commands
from preflight.plan.gaps import unconfirmed
from preflight.probe import CLOCK_SET, Answer, Probe, Question, Reply, Unreadable, Via
from preflight.verdict import Verdict


def collect(
    inspection: Inspection,
    open_session: OpenSession,
    timeout_seconds: float = TIMEOUT_SECONDS,
    *,
    earlier: Evidence | None = None,
    inputs: Mapping[str, str] | None = None,
    part: Part = WHOLE,
    mask: Callable[[str], str] = str,
    keep_open: bool = False,
    log_in: Callable[[Iterable[str]], None] | None = None,
    on_ask: Callable[[Sequence[Question]], None] = lambda _questions: None,
    on_answer: Callable[[Question, Answer], None] = lambda _question, _answer: None,
) -> Answered:
    """Asks everything under one deadline; a subject's second questions as soon as its first answers are in. Never
    raises for the outside world.

    `earlier`: an earlier run, of which is kept what need not be asked again. `inputs`: what the plan rests on besides
    (`preflight.runs.gate`). `part`: asks just what is in it. `keep_open`: leaves connections with
    hosts open for the next round. `log_in`: logs in to those of the hosts where somebody must type a code; that takes
    none of the time there is."""
    plan, clock = inspection.plan, SteadyClock()
    answered = Answered(
        inspection,
        Evidence(
            plan.digest,
            clock.begun_at,
            inputs=inputs or {},
            network_zone=part.network_zone,
            shard=part.shard,
            no_warnings=inspection.no_warnings,
        ),
        earlier=earlier,
        asks=part.asks,
        mask=mask,
    )
    due = answered.begin()
    if log_in is not None:
        log_in(map(plan.host_before, due))
        begin_again()
    with Asking(open_session, Deadline(timeout_seconds)) as asking:
        while True:
            if due:
                on_ask(due)
                asking.ask(due)
            arrived = asking.next_answer()
            if arrived is None:
                return answered
            asked, answer = arrived
            if by := clock.set_by:  # nobody knows by which clock it has its time
                at = clock.now() - timedelta(seconds=answer.took_seconds)
                answer = replace(answer, asked_at=at, session={**answer.session, CLOCK_SET: by})
            on_answer(asked, answer)
            due = answered.add(asked, answer)
            if due and log_in is not None:
                log_in(map(plan.host_before, due))
            if not keep_open and asked.via is Via.SSH and not due and answered.is_done(asked.via, asked.target):
                asking.close(asked.via, asked.target)


def judge(answered: Answered, *, vantage: str = "", basis: Sequence[str] = ()) -> Verdict:
    """The verdict that the answers support at the inspection's moment. Pure."""
    inspection, evidence, plan = answered.inspection, answered.evidence, answered.inspection.plan
    is_readiness = inspection.expect is None
    verdict = conclude(inspection, evidence, answered.findings())
    return replace(
        withheld(verdict, evidence.not_steady) if evidence.not_steady else verdict,
        unconfirmed=tuple(each.message for each in unconfirmed(plan)) if is_readiness else (),
        vantage=vantage,
        commands=command_sheet(plan, evidence) if is_readiness else (),
        ages=answered.ages(),
        hosts_reached=answered.hosts_reached(),
        basis=tuple(basis),
    )


def sheet_questions(plan: Plan) -> Iterator[Question]:
    """What must be known of the files beside the plan for `command_sheet`; script-runner asks the same."""
    yield from (probe.question() for entry in plan.scripts.values() for probe in sealing_probes(plan, entry))


def command_sheet(plan: Plan, evidence: Evidence) -> tuple[Command, ...]:
    """The night's command lines in their order, from the plan and from the sealed scripts as evidence shows them; where
    the scripts are not known, a line that says so instead. Pure."""

    @cache  # many entries name the same folder
    def read(probe: Probe[Any]) -> Any:
        _, answer = evidence.answers.get(probe.question().id, (None, None))
        if not isinstance(answer, Reply):
            raise Unreadable(answer.detail if answer else "nobody looked at the files beside the plan")
        return probe.read(answer)

    orders: dict[str, ScriptOrder] = {}
    for name, entry in plan.scripts.items():
        manifest, texts = sealing_probes(plan, entry)
        try:
            orders[name] = sealed_order(entry, read(manifest), read(texts))
        except CRASHES as error:  # a damaged file of evidence must not take the report with it
            orders[name] = ScriptOrder(problem=str(error) or type(error).__name__)
    return night_commands(plan, [step.id for step in steps_by_begin(plan.steps)], orders)
