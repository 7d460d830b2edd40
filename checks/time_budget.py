"""time-budget: the work ends inside the window, and until decide-by there is time to take it back."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from preflight.check import Check, Probes, Subject
from preflight.clock import zone
from preflight.finding import Judgement, Quantity, failed, passed, unknown, warned
from preflight.judging.end_states import DeployOrder
from preflight.judging.schedule import Schedule, Unprotected, beside, schedule, schedule_at, time_in_window, unprotected
from preflight.plan import DecisionKind, Step, UndoKind
from preflight.plan.limits import GUESS
from preflight.questions.rehearsed import Rehearsal, RehearsalProbe, Rehearsed, RehearsedEntry
from preflight.units import format_duration, format_size
from preflight.wording import MOST_NAMED, listed

_OLDEST_RECORD = timedelta(days=366)
"""Of minutes. In a year the data of most databases have grown."""
_SAYS = {UndoKind.NOTHING_TO_UNDO: "leaves nothing to undo", UndoKind.REDEPLOY: "is taken back by a redeploy"}
"""Of a step with which no script is taken back."""


class TimeBudget(Check):
    """Does the work fit into the window, with the time that taking it back would need?

    That night nobody had computed until when a rollback could still be finished (g), and the debate ran on past that
    moment. So the end of every step is computed from `[[steps]]`: start-rollback-by is the window's end less the
    planned rollback times `rollback_factor`, decide-by is `decision_reserve` before it, and the last step that would
    have to be taken back must end `margin` before decide-by. All work must end in the window. Once the window is open,
    the work is taken to begin at the moment judged. A step that runs scripts in a database, or is taken back by a
    restore, FAILs unless it comes after the backup: what is backed up later restores nothing. A step that does not say
    how it is taken back, or how long that takes, leaves decide-by unknown. WARN: guessed times of blocking steps (with
    the minutes to write, where the scripts were rehearsed on a restore), records from the future, ways back left out,
    applications that no step deploys, or one beside the backup, and no time to decide before the point of no return.
    """

    id = "time-budget"
    title = "the work and its rollback fit into the window"
    sections = ("steps",)
    needs = "none: it reads the plan, and the record of a rehearsal beside it"
    cure = "begin earlier, shorten or drop a step, or rehearse it to have a better number"

    def subjects(self) -> Sequence[Subject]:
        """One, the window; who decides about a rollback answers for it."""
        if not self.plan.steps:
            return []
        decides = (each.decides for each in self.plan.decisions if each.on is DecisionKind.ROLLBACK)
        return [Subject("window", self.plan.window, next(decides, ""))]

    def probes(self, subject: Subject) -> Probes:
        return {"rehearsed": RehearsalProbe.of(self.plan)} if self.plan.scripts else {}

    def judge(self, subject: Subject, *, rehearsed: Rehearsed | None = None) -> Judgement:
        return Judgement.of(self._points(rehearsed.record if rehearsed else None))

    def _points(self, record: Rehearsal | None) -> Iterator[Judgement]:
        window = self.plan.window
        is_over, is_open = self.moment >= window.end, self.moment > window.start
        current = schedule(self.plan) if is_over else schedule_at(self.plan, self.moment)
        if current is None:
            return
        if is_over or window.start <= current.latest_start < self.moment:
            yield self._too_late(current)
        else:
            yield from self._over_budget(current, is_open)
        yield from map(_unprotected, unprotected(self.plan))
        yield from (self._unknown_undo(step, current) for step in self.plan.steps if not step.knows_undo)
        for step in self.plan.steps:
            yield from self._left_out(step, record)
        for step, work in beside(self.plan):
            yield warned(
                f"{step.id} deploys {step.deploys}, and nothing says whether before or after {work}",
                expected="an order of backups, scripts and what is deployed, by the `after` of their steps",
                actual=f"{step.id} comes after {', '.join(step.after) or 'no step'}",
                remedy=f'write "{work}" into `after` of step {step.id}; or, if {step.deploys} uses no database of the '
                "plan, give it a `track` of its own",
            )
        blocking = (each for each in self.plan.steps if each.blocking)
        if guessed := [name for name, source in _records(blocking) if source == GUESS]:
            offers = [offer for name in guessed if (offer := self._rehearsed(name, record))]
            rest = f"rehearse {', '.join(guessed)}; then write the minutes and the day (`source`)"
            yield warned(
                f"guessed: the time of {', '.join(guessed)}",
                expected="the time of every blocking step, and of taking it back, is measured or rehearsed",
                actual=f"{len(guessed)} guessed",
                remedy="; ".join([*offers, *([rest] if len(offers) < len(guessed) else [])]),
            )
        if unplanned := ", ".join(DeployOrder(self.plan).unplanned):
            yield warned(
                f"no step deploys {unplanned}: taken to be deployed in any order and taken back at any time",
                expected="a step with `deploys` for each application that changes its version",
                actual="no such step",
                remedy=f"write `deploys` into the [[steps]] that deploy {unplanned}",
            )
        yield from self._no_time_to_decide(current)
        yield from self._odd_records()
        if max(current.begins_at, self.moment) <= current.latest_start and not current.unknown_undo:
            yield self._fits(current)

    def _rehearsed(self, name: str, record: Rehearsal | None) -> str:
        """The time of this step or its undo where its scripts were rehearsed on a restore: what to write, or empty."""
        step = next(each for each in self.plan.steps if name in (each.id, _undo_of(each)))
        back = name != step.id
        entries = self._entries(step, record)
        tried = [each for each in entries if each]
        of = [record.databases[each.database] for each in tried] if record else []
        wanted = not back or (step.undo is not None and step.undo.kind is UndoKind.SCRIPT)
        if not (record and tried and wanted) or len(tried) < len(entries) or not all(each.has_rows for each in of):
            return ""
        seconds = sum(run.seconds for each in tried for run in (each.back if back else each.forward))
        sizes = " and ".join(format_size(each.size_bytes) for each in of)
        day = record.at.astimezone(zone(self.plan.window.zone)).date()
        return (
            f'write minutes = {math.ceil(seconds / 60)}, source = "rehearsed {day}" to {name}: it took '
            f"{format_duration(timedelta(seconds=round(seconds)))} on a restore of {sizes}"
        )

    def _entries(self, step: Step, record: Rehearsal | None) -> Sequence[RehearsedEntry | None]:
        """What the rehearsal tells of each entry of scripts that the step runs; None of one that was not rehearsed."""
        own = (each.id for each in self.plan.scripts.values() if each.step == step.id)
        return [record.scripts.get(name) if record else None for name in own]

    def _fits(self, current: Schedule) -> Judgement:
        begun = "begun now" if self.moment > self.plan.window.start else "as planned"
        parts = [f"{begun}: finish {self._at(current.finish_at)}"]
        if current.last_risky is None:
            parts += [] if current.point_of_no_return else ["nothing to take back"]
        else:
            parts += [
                f"decide by {self._at(current.decide_by)}",
                f"start rollback by {self._at(current.start_rollback_by)}",
                f"margin {format_duration(current.margin)}",
            ]
        if current.point_of_no_return is not None:
            parts.append(f"point of no return {self._at(current.point_of_no_return)}")
        return passed(", ".join(parts), expected=f"{self._margin_kept()}, and all work ends in the window")

    def _too_late(self, current: Schedule) -> Judgement:
        """It is too late now, and would not have been at the window's start; or the window is over."""
        window, late = self.plan.window, self.moment - current.latest_start
        if self.moment >= window.end:
            seen, begun_now, shorter = "the window is over", "", ""
        else:
            seen = f"{format_duration(late)} too late to begin"
            margin = f", margin {format_duration(current.known.margin)}" if current.known.margin else ""
            begun_now = f"; begun now and as planned: finish {self._at(current.finish_at)}{margin}"
            last, decisive = current.last_risky, current.critical_path[-1]  # the step whose end sets the latest start
            if last is not None and current.margin - window.margin <= window.end - current.finish_at:
                decisive = last.step.id
            shorter = _shorten(current, decisive, late)
        judged = _short_by(
            late,
            seen,
            expected=f"the work begins by {self._at(current.latest_start)}",
            actual=f"it is {self._at(self.moment)}{begun_now}",
            remedy=f"{shorter}, or agree on another window" if shorter else "agree on another window",
        )
        return judged if begun_now else replace(judged, minutes_at_stake=None)

    def _over_budget(self, current: Schedule, is_open: bool) -> Iterator[Judgement]:
        window, last = self.plan.window, current.last_risky
        if last is not None and current.margin < window.margin:
            short, bound = window.margin - current.margin, "at most " if current.unknown_undo else ""
            at_last = " at the latest" if bound else ""
            yield _short_by(
                short,
                f"{format_duration(short)} short: {last.step.id} ends {self._at(last.ends_at)}, "
                f"decide by {self._at(current.decide_by)}{at_last}",
                expected=f"{self._margin_kept()}: by {self._at(current.decide_by - window.margin)}",
                actual=f"margin {bound}{format_duration(current.margin)}; the rollback of {self._rollback(current)} "
                f"must start by {self._at(current.start_rollback_by)}",
                remedy=self._cure(current, last.step.id, short, is_open),
            )
        if current.finish_at > window.end:
            short = current.finish_at - window.end
            yield _short_by(
                short,
                f"{format_duration(short)} short: the work ends {self._at(current.finish_at)}, after the window",
                expected=f"all work ends by {self._at(window.end)}",
                actual=f"finish {self._at(current.finish_at)}",
                remedy=self._cure(current, current.critical_path[-1], short, is_open),
            )

    def _cure(self, current: Schedule, last: str, short: timedelta, is_open: bool) -> str:
        window = self.plan.window
        shorter = _shorten(current, last, short) or f"shorten the rollback ({self._rollback(current)})"
        earlier = "" if is_open else f"start the window at {self._at(window.start - short)}, "
        return f"{shorter}, {earlier}or have the window end at {self._at(window.end + short)}"

    def _unknown_undo(self, step: Step, current: Schedule) -> Judgement:
        if step.undo is None:
            gap = "how it is taken back"
            remedy = f"rehearse taking it back, then say how, and in how many minutes: `undo` of step {step.id}"
        else:
            gap = f"how long taking it back ({step.undo.kind}) lasts"
            remedy = f"rehearse it, then add the minutes and the day (`source`) to the undo of step {step.id}"
        return unknown(
            f"step {step.id} does not say {gap}",
            expected="every step that leaves something to undo says how, and in how many minutes",
            actual=f"decide-by is not known, only that it is not after {self._at(current.decide_by)}",
            remedy=remedy,
        )

    def _left_out(self, step: Step, record: Rehearsal | None) -> Iterator[Judgement]:
        """Whoever wrote ways back means to run them, should the night want it; what is deployed is deployed back."""
        says = _SAYS.get(step.undo.kind) if step.undo else None
        backs = [run.script for each in self._entries(step, record) if each for run in each.back]
        left, kind, otherwise = "its scripts have ways back", "script", "have the ways back taken away"
        if step.deploys and not backs:
            left, kind, otherwise = f"deploys {step.deploys}", "redeploy", 'kind = "none", if nothing takes it back'
        if says and (backs or (step.deploys and not step.is_risky)):
            yield warned(
                f"step {step.id} {says}, it says, and {left}",
                expected="the minutes of each way back that may be run, in decide-by",
                actual=listed(backs, MOST_NAMED) or "no minutes",
                remedy=f'write undo = {{ kind = "{kind}", minutes = 10 }}, with its own minutes, to step {step.id}; or '
                f"{otherwise}",
            )

    def _no_time_to_decide(self, current: Schedule) -> Iterator[Judgement]:
        """Before the first step that cannot be undone; from there on nothing is left to decide."""
        reserve, last = self.plan.window.decision_reserve, current.last_risky
        final = next((slot for slot in current.slots if slot.step.is_final), None)
        if final is None or last is None or final.begins_at - last.ends_at >= reserve:
            return
        gap = final.begins_at - last.ends_at
        when = "before that" if gap < timedelta() else f"{format_duration(gap)} later"
        yield warned(
            f"no time to decide: {last.step.id} ends {self._at(last.ends_at)}, and {final.step.id}, "
            f"which cannot be undone, begins {when}",
            expected=f"{format_duration(reserve)} (decision_reserve) to decide before the point of no return",
            actual=f"{final.step.id} begins {self._at(final.begins_at)}",
            remedy=f'put a step of {format_duration(reserve)} with undo = {{ kind = "nothing-to-undo" }} between '
            f"{last.step.id} and {final.step.id}, by their `after`",
        )

    def _odd_records(self) -> Iterator[Judgement]:
        today = self.moment.astimezone(zone(self.plan.window.zone)).date()
        for name, source in (each for each in _records(self.plan.steps) if each[1] != GUESS):
            day = date.fromisoformat(source.partition(" ")[2])
            wrong, cure = ", in the future", f"correct the `source` of {name}"
            if today - day > _OLDEST_RECORD:
                wrong = ": since then it may have grown"
                cure = f"measure or rehearse {name} again, then write its minutes and the day (`source`)"
            elif day <= today:
                continue
            expected = f"a date from {today - _OLDEST_RECORD} to {today}"
            yield warned(f"the time of {name} was {source}{wrong}", expected=expected, actual=source, remedy=cure)

    def _margin_kept(self) -> str:
        return f"the last step to take back ends {format_duration(self.plan.window.margin)} before decide-by"

    def _rollback(self, current: Schedule) -> str:
        return f"{format_duration(current.rollback)} x {self.plan.window.rollback_factor:g}"

    def _at(self, moment: datetime) -> str:
        return time_in_window(self.plan.window, moment)


def _unprotected(found: Unprotected) -> Judgement:
    """What a restore of that backup gives back may be changed already."""
    step, backup = found.step, found.backup.backup
    if step.id == backup.step:
        remedy = f"give [backups.{backup.id}] a step of its own, and have {step.id} come after it"
    else:
        after = ", ".join(f'"{name}"' for name in (*step.after, backup.step))
        remedy = f"write after = [{after}] in step {step.id}"
        if found.waited_for:
            remedy = f"have {backup.step} come after no step that changes {found.backup.what}, then {remedy}"
    return failed(
        f"{step.id} changes {found.backup.what} before {backup.step} is finished",
        expected=f"{step.id} comes after {backup.step}, which takes the backup that would be restored",
        actual=f"{step.id} comes after {', '.join(step.after) or 'no step'}",
        remedy=remedy,
    )


def _short_by(short: timedelta, summary: str, *, expected: str, actual: str, remedy: str) -> Judgement:
    seconds = short.total_seconds()
    found = failed(summary, expected=expected, actual=actual, remedy=remedy, minutes_at_stake=seconds / 60)
    return replace(found, quantity=Quantity(value=seconds, unit="s"))


def _shorten(current: Schedule, last: str, short: timedelta) -> str:
    """Which step of the chain that ends with `last` to shorten, and by how much; empty when all of it is too short."""
    path = current.path_to(last)
    slots = [slot for slot in current.slots if slot.step.id in path]
    longest = max(slots, key=lambda slot: slot.ends_at - slot.begins_at)
    takes = longest.ends_at - longest.begins_at
    chain = " -> ".join(path)
    if slots[-1].ends_at - current.begins_at < short:
        return ""
    if takes < short:
        return f"shorten {chain} by {format_duration(short)} in all"
    among = f", the longest of {chain}," if len(path) > 1 else ""
    return f"shorten {longest.step.id} ({format_duration(takes)}){among} by {format_duration(short)}"


def _records(steps: Iterable[Step]) -> Iterator[tuple[str, str]]:
    """Where each time of the steps comes from: `scripts-orders`, `measured 2026-10-10`."""
    for step in steps:
        yield step.id, step.source
        if step.undo is not None and step.undo_time:
            yield _undo_of(step), step.undo.source


def _undo_of(step: Step) -> str:
    return f"the undo of {step.id}"
