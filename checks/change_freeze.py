"""change-freeze: the window lies outside of every time in which nothing is deployed."""

import math
from collections.abc import Sequence
from datetime import date, timedelta

from preflight.check import Check, Subject
from preflight.clock import as_written, format_moment
from preflight.finding import Judgement, Quantity, failed, passed, warned
from preflight.plan.freeze import Freeze, Period, next_free, periods
from preflight.units import format_duration


class ChangeFreeze(Check):
    """Does the window keep clear of every change freeze?

    A release that was planned into the year's closing, or whose window was moved into a weekend on which nobody is
    there, is stopped at the start of the call or, worse, is not. So each `[freeze.NAME]` is held against the window
    from its start to its end, in which a rollback must be over as well; the rollback reserve after it is for what goes
    wrong, and touching a freeze with that is no failure. A window that ends when a freeze begins, or begins when it
    ends, is free. Times of every week are by the clock on the wall: on a night on which clocks change, a time that they
    skip is the moment of the change, and one that they show twice is the first for the begin of a freeze and the second
    for its end. WARN where a freeze is over and its days, a year later, touch the window.
    """

    id = "change-freeze"
    title = "the window touches no change freeze"
    sections = ("freeze",)
    owner_decides = True
    cure = "move the window to a free time; or the role that decides grants a waiver"

    def subjects(self) -> Sequence[Subject]:
        return [Subject(each.id, each, each.owner or self.plan.decided_by) for each in self.plan.freeze.values()]

    def judge(self, subject: Subject) -> Judgement:
        freeze: Freeze = subject.item
        window = self.plan.window
        near = periods(freeze, window.zone, window.start, window.end)
        touched = [each for each in near if each.overlap(window.start, window.end)]
        again = [at + timedelta(days=365) for at in near[0]] if isinstance(freeze.until, date) else []
        if again and Period(*again).overlap(window.start, window.end):
            return warned(
                f"it is over, and its days of a year later touch the window: {self._told(near[0])}",
                expected="the days of this year, or no freeze that is over",
                actual=f"until {freeze.until}",
                remedy=f"correct the year in [freeze.{freeze.id}], or take it out of the plan",
            )
        if not touched:
            return passed(f"nearest: {min(map(self._distance, near))[1]}")
        overlap = sum((each.overlap(window.start, window.end) for each in touched), timedelta())
        lasts = "; ".join(map(self._told, touched))
        return failed(
            f"{format_duration(overlap)} of the window lie in it: {lasts}",
            expected="a window that ends before it begins, or begins after it has ended",
            actual=format_duration(overlap),
            remedy=self._cure(subject, overlap),
            details=freeze.reason,
            quantity=Quantity(overlap.total_seconds(), "s"),
        )

    def _told(self, period: Period) -> str:
        begins, ends = (format_moment(at, self.plan.window.zone) for at in period)
        return f"it lasts from {begins} until {ends}"

    def _distance(self, period: Period) -> tuple[timedelta, str]:
        """How far it is from the window, and that in words."""
        window = self.plan.window
        if period.begins_at >= window.end:
            away = period.begins_at - window.end
            told = f"begins {format_moment(period.begins_at, window.zone)}, {format_duration(away)} after the window"
        else:
            away = window.start - period.ends_at
            told = f"ended {format_moment(period.ends_at, window.zone)}, {format_duration(away)} before the window"
        return away, told

    def _cure(self, subject: Subject, overlap: timedelta) -> str:
        window = self.plan.window
        lasts = window.end - window.start
        start = next_free(self.plan.freeze.values(), window.zone, max(window.start, self.moment), lasts)
        limit = f"{math.ceil(overlap.total_seconds() / 60)} min"
        waiver = f'[[waivers]] with check = "{self.id}", subject = "{subject.id}", limit = "{limit}"'
        grant = f"have {self.plan.person(subject.owner) or 'the one who decides'} grant a waiver: {waiver}"
        if start is None:
            return f"{grant}; no time of {format_duration(lasts)} is free within a year"
        begin, end = (as_written(at, window.zone) for at in (start, start + lasts))
        free = f"the next begins {format_moment(start, window.zone)}: start = {begin}, end = {end} in [window]"
        return f"move the window to a free time, {free}; or {grant}"
