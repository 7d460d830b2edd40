"""A backup of the plan, with where, as whom and with which programs it runs. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from preflight.finding import Judgement, failed
from preflight.plan import Backup, BackupFormat, BackupMethod, Host, Plan
from preflight.plan.work import Section, ServerWork, minutes_at_stake, server_work
from preflight.questions.shell import AsAccount


@dataclass(frozen=True, slots=True)
class PlannedBackup:
    """One entry of `[backups]`."""

    plan: Plan = field(repr=False, compare=False)
    backup: Backup
    work: ServerWork

    @property
    def id(self) -> str:
        return self.backup.id

    @property
    def host(self) -> Host:
        return self.work.host

    @property
    def owner(self) -> str:
        """Role that mends it."""
        return self.work.owner

    @property
    def steps(self) -> tuple[str, ...]:
        """Of the run sheet: the one that takes it."""
        return (self.backup.step,) if self.backup.step else ()

    @property
    def account(self) -> AsAccount:
        return AsAccount.on(self.host, self.backup.account)

    @property
    def who(self) -> str:
        """The account in words."""
        return self.account.account or "the login"

    @property
    def writes_many_files(self) -> bool:
        if self.backup.method is BackupMethod.PG_BASEBACKUP:
            return self.backup.format is not BackupFormat.TAR
        return self.backup.format is BackupFormat.DIRECTORY

    @property
    def minutes_at_stake(self) -> float | None:
        """What it costs when it has to go over the network; None where the plan does not say."""
        return minutes_at_stake(self.plan, [self.work])

    def program(self, name: str) -> str:
        """A client program as it is called, beside the one that takes the backup."""
        return self.work.program_folder + name

    def failed(self, summary: str, *, expected: str, actual: str, remedy: str) -> Judgement:
        """A failure at the price of a backup over the network."""
        return failed(summary, expected=expected, actual=actual, remedy=remedy, minutes_at_stake=self.minutes_at_stake)


def planned_backups(plan: Plan) -> tuple[PlannedBackup, ...]:
    """All of them, in the plan's order."""
    return plan.once(_planned_backups)


def _planned_backups(plan: Plan) -> tuple[PlannedBackup, ...]:
    works = (work for work in server_work(plan) if work.section is Section.BACKUPS)
    return tuple(PlannedBackup(plan, plan.backups[work.id], work) for work in works)
