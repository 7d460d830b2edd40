"""One entry of `[databases]`, with what it costs when nobody gets in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from preflight.finding import Judgement, failed
from preflight.plan import Database, Plan
from preflight.plan.work import ServerWork, minutes_at_stake, work_with
from preflight.questions.sql import quote_identifier


@dataclass(frozen=True, slots=True)
class PlannedLogin:
    """A database as the plan's role enters it."""

    plan: Plan = field(repr=False, compare=False)
    database: Database

    @property
    def role(self) -> str:
        """The role as SQL names it."""
        return quote_identifier(self.database.user)

    @property
    def database_name(self) -> str:
        """The database as SQL names it."""
        return quote_identifier(self.database.dbname)

    @property
    def address_key(self) -> str:
        """Where the plan names the address that is connected to: at the database, or else at its host."""
        entry = f"databases.{self.database.id}" if self.database.address else f"hosts.{self.database.host}"
        return f"`address` in [{entry}]"

    @property
    def work(self) -> Sequence[ServerWork]:
        """What the window does with it on its host."""
        return work_with(self.plan, self.database.id)

    @property
    def minutes_at_stake(self) -> float | None:
        """The price of the work that needs this login."""
        return minutes_at_stake(self.work)

    def failed(self, summary: str, expected: str, actual: str, remedy: str) -> Judgement:
        stake = self.minutes_at_stake
        return failed(summary, expected=expected, actual=actual, remedy=remedy, minutes_at_stake=stake)

    def another(self, summary: str, expected: str, actual: str, remedy: str) -> Judgement:
        """It is not the server that the plan means: no waiver covers that."""
        return replace(self.failed(summary, expected, actual, remedy), waivable=False)
