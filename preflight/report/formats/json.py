"""For programs: one JSON object, deterministic for equal verdicts."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

from preflight.finding import Finding
from preflight.judging.end_states import EndState, telling_first
from preflight.judging.schedule import Schedule
from preflight.probe import T
from preflight.record import fields_of
from preflight.report import PLAIN, View
from preflight.report import json_report as told
from preflight.report.comparison import TOLD, Difference
from preflight.report.document.sections import left_out, signed_words
from preflight.report.harmless import json_text
from preflight.report.json_report import Line, Point, Report
from preflight.verdict import REPORT_SCHEMA, Verdict

_MOST_END_STATES = 100


def render(verdict: Verdict, view: View = PLAIN) -> str:
    return json_text(report_of(verdict, view.difference))


def report_of(verdict: Verdict, difference: Difference | None = None) -> Report:
    """What `--format json` tells of a verdict, and of what changed since the run before."""
    plan = verdict.plan
    return _made(
        Report,
        verdict,
        schema=REPORT_SCHEMA,
        verdict=verdict.decision,
        exit_code=int(verdict.exit_code),
        release=_made(told.Release, plan.release),
        window=_made(told.Window, plan.window),
        plan=told.PlanFile(file=plan.path.name, sha256=plan.digest, set=plan.set_values),
        evidence_sha256=verdict.evidence_digest,
        counts=dict(sorted(verdict.counts.items())),
        findings=tuple(map(_line, verdict.findings)),
        unconfirmed=tuple(verdict.unconfirmed),
        without=tuple(left_out(verdict)),
        basis=tuple(verdict.basis),
        made_with=tuple(verdict.made_with),
        since=difference and _since(difference),
        schedule=told.Schedules(planned=_schedule(verdict.planned_schedule), found=_schedule(verdict.found_schedule)),
        waivers=tuple(_made(told.Waiver, use, use.waiver) for use in verdict.waivers),
        ages=tuple(
            told.Age(family=age.family, old_seconds=age.old.total_seconds(), max_seconds=age.most.total_seconds())
            for age in verdict.ages
        ),
        events=tuple(verdict.events),
        end_states=_end_states(verdict.end_states),
        hosts_reached=dict(verdict.hosts_reached),
        decided=tuple(_made(told.Taken, each, signed=signed_words(verdict, each)) for each in plan.confirmed.decided),
    )


def _since(difference: Difference) -> told.Since:
    pairs = {each.value: difference.which(each) for each in TOLD}
    names = {change: tuple(f"{each.line.check} {each.line.subject}" for each in of) for change, of in pairs.items()}
    return _made(told.Since, difference.before, **names)


def _made(cls: Callable[..., T], *sources: object, **own: object) -> T:
    """`cls` with the fields `own`; of the others each is the one that the first source has under its name."""
    for name in fields_of(cls):
        if name not in own:
            own[name] = getattr(next(source for source in sources if hasattr(source, name)), name)
    return cls(**own)


def _line(finding: Finding) -> Line:
    price, judgement = finding.price, finding.judgement
    told_price = price and _made(told.Price, price, margin_minutes=_minutes(price.margin))
    points = tuple(_made(Point, each) for each in judgement.points)
    return _made(Line, finding, judgement, price=told_price, points=points)


def _schedule(found: Schedule | None) -> told.Schedule | None:
    if found is None:
        return None
    return _made(
        told.Schedule,
        found.known,
        found,
        margin_minutes=_minutes(found.known.margin),
        rollback_minutes=None if found.unknown_undo else _minutes(found.rollback),
        slots=tuple(_made(told.Slot, slot, step=slot.step.id) for slot in found.slots),
    )


def _minutes(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds() / 60


def _end_states(states: Sequence[EndState]) -> told.EndStates:
    """How many there are of each status, and the most telling ones: hundreds of applications have thousands."""
    listed = telling_first(states)[:_MOST_END_STATES]
    shown = tuple(_made(told.EndState, state, versions=dict(state.versions)) for state in listed)
    return told.EndStates(counts=Counter(state.status for state in states), listed=shown)
