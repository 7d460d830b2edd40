"""For the call: what the release manager reads aloud, under a minute, the verdict first.

About 110 words; every waiver is said, so many of them make it longer. Times are spoken in 24-hour radio style, hours
and minutes in two digits each: `zero zero hundred` is 00:00, `zero four thirty-three` 04:33, `twenty-two zero five`
22:05. A time without a day is on the day on which the window opens. Whoever has something to cure is named once, with
the first of it; what it costs is heard in the new finish.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from preflight.finding import Severity, Status
from preflight.report import PLAIN, View, speech
from preflight.report.document.order import Blocker, blockers
from preflight.report.document.sections import not_selected
from preflight.report.document.window import begun_now
from preflight.verdict import Decision, Verdict, WaiverState, WaiverUse

_MOST_PEOPLE = 3
_LONGEST_REASON = 300
_VERDICTS = {Decision.GO: "Go", Decision.NO_GO: "No go", Decision.HOLD: "Hold"}
_UNSEEN = ((Status.FAIL, "failed"), (Status.UNKNOWN, "could not look"), (Status.STALE, "looked too long ago"))


def render(verdict: Verdict, view: View = PLAIN) -> str:  # noqa: ARG001 - the same call for every format
    """Sentences, one on a line."""
    return "\n".join(f"{line[:1].upper()}{line[1:]}." for line in _sentences(verdict)) + "\n"


def _sentences(verdict: Verdict) -> Iterator[str]:
    release, window = verdict.plan.release, verdict.plan.window
    waived = verdict.decision is Decision.GO and verdict.waived
    covered = f" with {speech.counted(verdict.waived, 'waiver')}" if waived else ""
    title = f", {speech.name(release.title)}" if release.title else ""
    yield f"{_VERDICTS[verdict.decision]}{covered} for {speech.name(release.id)}{title}"
    opens, ends = (speech.clock_time(at, window) for at in (window.start, window.end))
    yield f"window {speech.day(window.start, window)}, {opens} to {ends}"
    yield from _to_cure(verdict)
    warnings = verdict.counts.get(Status.WARN, 0)
    if warnings:
        yield f"{speech.counted(warnings, 'warning')}, to be read in the report"
    if verdict.reason:
        yield speech.name(verdict.reason, _LONGEST_REASON)
    for use in verdict.waivers:
        yield _waiver(verdict, use)
    yield from _times(verdict)
    skipped, gaps = len(not_selected(verdict)), len(verdict.unconfirmed)
    told = [f"{speech.counted(skipped, 'check')} not selected"] if skipped else []
    told += [f"{speech.counted(gaps, 'thing')} left unconfirmed"] if gaps else []
    if told:
        yield f"not checked: {speech.listed(told)}"


def _to_cure(verdict: Verdict) -> Iterator[str]:
    """How many checks block (advisory findings never decide, so nobody has to hear them), and who must do what by when.
    What only waits for another cure is told with that one."""
    rows = blockers(verdict)
    if not rows:
        return
    blocking = Counter(each.status for each in verdict.findings if each.severity is Severity.BLOCKING)
    counts = [f"{speech.number(blocking[status])} {words}" for status, words in _UNSEEN if blocking[status]]
    yield f"of {speech.counted(verdict.planned, 'check')} {speech.listed(counts)}"
    waiting = {row.behind: row.waiting for row in rows if row.behind}
    by_owner: dict[str, list[Blocker]] = {}
    for row in rows:
        if not row.behind:
            by_owner.setdefault(row.name, []).append(row)
    told = list(by_owner.values())
    for own in told[:_MOST_PEOPLE]:
        yield _person(verdict, sorted(own, key=lambda row: -waiting.get(row.what, 0)), waiting)
    rest = sum(map(len, told[_MOST_PEOPLE:]))
    if rest:
        yield f"and {speech.number(rest)} more"


def _person(verdict: Verdict, rows: Sequence[Blocker], waiting: dict[str, int]) -> str:
    who = speech.name(rows[0].name) or "somebody"
    shown = 2 if len(rows) == 2 else 1
    acts = [_act(row, waiting.get(row.what, 0)) for row in rows[:shown]]
    if len(rows) > shown:
        acts.append(f"{speech.number(len(rows) - shown)} more")
    at, window = min(row.ask_by for row in rows), verdict.plan.window
    by = "by the start" if at == window.start else f"by {speech.clock_time(at, window)}"
    return f"{who} must cure {speech.listed(acts)}, {'overdue' if at < verdict.moment else by}"


def _act(row: Blocker, waiting: int) -> str:
    if row.waiting:
        said = "that could not look" if row.status is Status.UNKNOWN else "to be asked again"
        return f"{speech.counted(row.waiting, 'check')} {said}"
    behind = f" with {speech.counted(waiting, 'check')} behind it" if waiting else ""
    return f"{speech.name(row.what)}{behind}"


def _waiver(verdict: Verdict, use: WaiverUse) -> str:
    waiver, plan = use.waiver, verdict.plan
    approver = speech.name(plan.person(waiver.approved_by).partition(" (")[0])
    approved = f"approved by {approver} until {speech.clock_time(waiver.expires, plan.window)}"
    if use.state is WaiverState.COVERS:
        return f"waiver {speech.name(waiver.id)} covers {speech.name(f'{waiver.check} {waiver.subject}')}, {approved}"
    return f"waiver {speech.name(waiver.id)}, {approved}, covers nothing: {use.state}"


def _times(verdict: Verdict) -> Iterator[str]:
    """Once the window is open, those of work that begins now: nobody here knows when it was begun."""
    window, planned, found = verdict.plan.window, verdict.planned_schedule, verdict.found_schedule
    if planned is None or found is None:
        return
    late = begun_now(verdict)
    if late is not None:
        yield f"work that begins now ends {speech.clock_time(late.finish_at, window)}"
    else:
        moved = found.finish_at != planned.finish_at
        later = f", planned {speech.clock_time(planned.finish_at, window)}" if moved else ""
        yield f"finish {speech.clock_time(found.finish_at, window)}{later}"
    schedule = late or found
    if schedule.unknown_undo:
        yield "decide by is not known, the plan has no time for taking everything back"
    else:
        decide, start = (speech.clock_time(at, window) for at in (schedule.decide_by, schedule.start_rollback_by))
        margin = f"margin {speech.duration(schedule.margin)}"
        if schedule.margin < timedelta():
            margin = f"{speech.duration(-schedule.margin)} too late"
        yield f"decide by {decide}, start rollback by {start}, {margin}"
    if schedule.point_of_no_return is not None:
        yield f"no way back from {speech.clock_time(schedule.point_of_no_return, window)}"
