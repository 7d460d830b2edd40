"""Until when things must hold: accounts, passwords, keys, certificates, roles, waivers, whatever ends by itself. Pure.

Design, section 2: what ends is held against the window's end and its rollback reserve, by one function."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Self

from preflight.check import Check
from preflight.clock import format_moment
from preflight.finding import Event, Judgement, Status, failed, passed, warned
from preflight.judging.schedule import schedule_at
from preflight.plan import Plan
from preflight.questions.certificates import Certificate
from preflight.units import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Something that ends by itself. Whoever sees one makes this of it: finding, axis and report follow from it."""

    what: str
    """`account`, `intermediate certificate CN=Example CA 2`."""
    where: str
    """Whose it is: `of dbadmin on db1`."""
    at: datetime
    """First instant, UTC, at which it is over."""
    remedy: str
    known_by: str = ""
    """How its end is known, where it was not simply seen: `as announced at login`."""
    actual: str = ""
    """What was seen of it, where that is more than when it ends."""
    tolerated: str = ""
    """Why an end within the work is no more than a warning: `which this login does not verify`."""
    minutes_at_stake: float | None = None
    """Lost when it ends within the work."""

    @property
    def event(self) -> Event:
        """As the window's axis shows it."""
        known_by = f" ({self.known_by})" if self.known_by else ""
        return Event(at=self.at, text=f"{self.what} {self.where} ends{known_by}")


def certificate_ends(shown: Certificate, owner: str, remedy: str, what: str = "certificate", **more: Any) -> list[End]:
    """Of the certificate of `owner` and of all above it; `remedy`: of its own end; `more`: further fields of each."""
    more = {**more, "where": f"of {owner}"}
    ends = [End(what=what, at=shown.not_after, remedy=remedy, actual=str(shown), **more)]
    for issuer in shown.issuers:
        then = "and it trusted here and by all clients" if issuer.is_root else "and sent with it"
        renewal = f"have {issuer.subject} replaced by its successor, {then}, and the certificate issued anew under it"
        ends.append(End(what=str(issuer), at=issuer.not_after, remedy=renewal, **more))
    return ends


@dataclass(frozen=True, slots=True)
class TimeOfNeed:
    """Until when whatever the window uses must hold."""

    plan: Plan
    moment: datetime
    """The instant judged, UTC: what is over by then is over, however long ago the window was."""
    warn_before: timedelta = timedelta()
    """What ends this soon after it is last needed is worth a warning."""
    to_start: bool = False
    """Only to the window's start, when the gate asks for it."""

    @classmethod
    def of(cls, check: Check) -> Self:
        """Of a check with `warn_before`. Whoever only looks at what the work left needs it now, and no longer."""
        return cls(check.plan, check.moment, check.settings.warn_before, to_start=check.expect is not None)

    @property
    def until(self) -> datetime:
        window = self.plan.window
        return max(window.start if self.to_start else window.needed_until, self.moment)

    @property
    def expected(self) -> str:
        last = "the window's start" if self.to_start else "the end of the window and of a rollback"
        return f"valid past {self.told(self.until)}, {last}"

    def outlasted_by(self, at: datetime) -> bool:
        return at > self.until

    def good_date(self) -> date:
        """The first day of expiry with which no line would complain."""
        return (self.until + self.warn_before + timedelta(days=1)).date()

    def told(self, at: datetime) -> str:
        return format_moment(at, self.plan.window.zone)

    def judge(self, end: End) -> Judgement:
        """FAIL when it ends before the work is over, with what runs then; WARN when it ends soon after."""
        return replace(self._judge(end), events=(end.event,))

    def judge_together(self, ends: Iterable[End]) -> Iterator[Judgement]:
        """What holds only together: each that ends too soon, or else the first to end."""
        judged = [self.judge(end) for end in sorted(ends, key=lambda end: end.at)]
        yield from [each for each in judged if each.status is not Status.PASS] or judged[:1]

    def _judge(self, end: End) -> Judgement:
        known_by = f" ({end.known_by})" if end.known_by else ""
        seen = f"the {end.what}{known_by} ends {self.told(end.at)}"
        actual = end.actual or seen
        if not self.outlasted_by(end.at):
            when = self._place(end.at)
            if end.tolerated:
                summary = f"{seen}, {when}, {end.tolerated}"
                return warned(summary, expected=self.expected, actual=actual, remedy=end.remedy)
            summary, stake = f"{seen}, before the work is over: {when}", end.minutes_at_stake
            return failed(summary, expected=self.expected, actual=actual, remedy=end.remedy, minutes_at_stake=stake)
        left = end.at - self.until
        if left <= self.warn_before:
            limit = format_duration(self.warn_before)
            summary = f"{seen}, only {format_duration(left)} after it is needed (warned below {limit})"
            return warned(summary, expected=self.expected, actual=actual, remedy=end.remedy)
        return passed(f"{seen}, after the work is over", expected=self.expected)

    def _place(self, at: datetime) -> str:
        """Where in the night that is: how long before the start, or during which step."""
        window = self.plan.window
        if at < window.start:
            return f"{format_duration(window.start - at)} before the start"
        planned = schedule_at(self.plan, self.moment)
        steps = planned.running_at(at) if planned else ()
        if steps:
            return f"while {' and '.join(steps)} {'runs' if len(steps) == 1 else 'run'}"
        if at < window.end:
            return f"{format_duration(at - window.start)} after the start"
        return "while a rollback may be at work" if at <= window.needed_until else "by the moment judged"
