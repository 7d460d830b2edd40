"""For the call: what the release manager reads aloud, under a minute, the verdict first.

About 110 words; every waiver is said, so many of them make it longer. Times are spoken in 24-hour radio style (`zero
four thirty-three`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from preflight.finding import Severity, Status
from preflight.report import speech
from preflight.report.blockers import Blocker, blockers
from preflight.report.layout import clean, cut
from preflight.report.view import PLAIN, View
from preflight.verdict import Decision, Verdict
from preflight.waivers import WaiverState

_MOST_BLOCKERS = 3
_LONGEST_REASON = 300
_VERDICTS = {Decision.GO: "Go", Decision.NO_GO: "No go", Decision.HOLD: "Hold"}


def render(verdict: Verdict, view: View = PLAIN) -> str:  # noqa: ARG001 - the same call for every format
    """Sentences, one on a line."""
    return "\n".join(_sentences(verdict)) + "\n"


def _sentences(verdict: Verdict) -> Iterator[str]:
    yield _verdict(verdict)
    window = verdict.plan.window
    opens, ends = (speech.clock_time(at, window) for at in (window.start, window.end))
    yield f"The window opens {speech.day(window.start, window)}, {opens}, and ends {ends}."
    rows = blockers(verdict)
    if rows:
        yield _counts(verdict)
        yield from _blockers(verdict, rows)
    if verdict.reason:
        yield f"{_as_sentence(cut(clean(verdict.reason), _LONGEST_REASON))}."
    yield from _waivers(verdict)
    yield from _times(verdict)
    if verdict.unconfirmed:
        yield f"Not checked: {speech.counted(len(verdict.unconfirmed), 'thing')} that the plan leaves unconfirmed."


def _verdict(verdict: Verdict) -> str:
    release = verdict.plan.release
    waived = f" with {speech.counted(verdict.waived, 'waiver')}" if verdict.waived else ""
    title = f", {speech.name(release.title)}" if release.title else ""
    return f"{_VERDICTS[verdict.decision]}{waived if verdict.decision is Decision.GO else ''} for {release.id}{title}."


def _counts(verdict: Verdict) -> str:
    """Of what blocks: advisory findings never decide, so nobody has to hear them."""
    blocking = Counter(each.status for each in verdict.findings if each.severity is Severity.BLOCKING)
    told = [
        f"{speech.number(count)} {words}"
        for status, words in ((Status.FAIL, "failed"), (Status.UNKNOWN, "could not look"), (Status.STALE, "are stale"))
        if (count := blocking[status])
    ]
    return _as_sentence(f"of {speech.counted(verdict.planned, 'check')} {', '.join(told)}") + "."


def _blockers(verdict: Verdict, rows: Sequence[Blocker]) -> Iterator[str]:
    """Who must do what by when, and what it costs."""
    for row in rows[:_MOST_BLOCKERS]:
        who, what, by = speech.name(row.name) or "Somebody", speech.name(row.what), _ask_by(verdict, row)
        if row.waiting:
            behind = what.partition(" behind ")[2]
            act = f"see to {behind}" if behind else "find out why"
            yield _as_sentence(f"{speech.counted(row.waiting, 'check')} could not look; {who} must {act}, {by}.")
        else:
            cost = f"; it costs {speech.duration(timedelta(minutes=row.minutes))}" if row.minutes else ""
            yield _as_sentence(f"{who} must cure {what}, {by}{cost}.")
    rest = len(rows) - _MOST_BLOCKERS
    if rest > 0:
        yield f"And {speech.number(rest)} more."


def _ask_by(verdict: Verdict, row: Blocker) -> str:
    if row.ask_by < verdict.moment:
        return "overdue"
    return f"by {speech.clock_time(row.ask_by, verdict.plan.window)}"


def _times(verdict: Verdict) -> Iterator[str]:
    window, planned, found = verdict.plan.window, verdict.planned_schedule, verdict.found_schedule
    if planned is None or found is None:
        return

    def said(at: datetime) -> str:
        return speech.clock_time(at, window)

    later = "" if found.finish_at == planned.finish_at else f", planned was {said(planned.finish_at)}"
    yield f"The work ends {said(found.finish_at)}{later}."
    margin = f"margin {speech.duration(found.margin)}"
    if found.margin < timedelta():
        margin = f"{speech.duration(-found.margin)} too late"
    yield f"Decide by {said(found.decide_by)}, start rollback by {said(found.start_rollback_by)}, {margin}."


def _waivers(verdict: Verdict) -> Iterator[str]:
    for use in verdict.waivers:
        waiver = use.waiver
        until = speech.clock_time(waiver.expires, verdict.plan.window)
        approver = speech.name(verdict.plan.person(waiver.approved_by).partition(" (")[0])
        if use.state is WaiverState.COVERS:
            said = f"covers {speech.name(f'{waiver.check} {waiver.subject}')} until {until}, approved by {approver}"
        else:
            said = f"covers nothing: {use.state}"
        yield f"Waiver {speech.name(waiver.id)} {said}."


def _as_sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
