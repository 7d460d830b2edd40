"""One entry of `[databases]`, with what it costs when nobody gets in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from preflight.clock import format_moment
from preflight.finding import Judgement, failed
from preflight.plan import Database, Plan
from preflight.plan.work import ServerWork, minutes_at_stake, work_with


@dataclass(frozen=True, slots=True)
class PlannedLogin:
    """A database as the plan's role enters it."""

    plan: Plan = field(repr=False, compare=False)
    database: Database

    @property
    def name(self) -> str:
        """Of the database at its server."""
        return self.database.name or self.database.id

    @property
    def work(self) -> Sequence[ServerWork]:
        """What the window does with it on its host."""
        return work_with(self.plan, self.database.id)

    def moment(self, moment: datetime) -> str:
        return format_moment(moment, self.plan.window.zone)

    def failed(self, summary: str, expected: str, actual: str, remedy: str) -> Judgement:
        """A failure at the price of the work that needs this login."""
        stake = minutes_at_stake(self.plan, self.work)
        return failed(summary, expected=expected, actual=actual, remedy=remedy, minutes_at_stake=stake)

    def another(self, summary: str, expected: str, actual: str, remedy: str) -> Judgement:
        """It is not the server that the plan means: no waiver covers that."""
        return replace(self.failed(summary, expected, actual, remedy), waivable=False)
