"""What a plan runs on its database hosts: which account runs which programs, as which role, in which step. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from preflight.plan import Backup, BackupFormat, BackupMethod, Database, Host, Plan, Scripts
from preflight.scripts.psql_call import PsqlCall
from preflight.scripts.run_line import leading_call, psql_calls


class Section(StrEnum):
    """The section of the plan that asks for the work."""

    BACKUPS = "backups"
    SCRIPTS = "scripts"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerWork:
    """One entry of `[backups]` or `[scripts]`: programs that an OS account runs on the database's own host."""

    section: Section
    id: str
    database: Database
    host: Host
    account: str
    """OS account; empty where the host's login is left to ssh_config."""
    login: str
    """Database role."""
    programs: tuple[str, ...]
    """As they are called: names looked up on PATH, or absolute paths."""
    psql: PsqlCall | None = None
    """How the plan's run line calls psql; None where it does not say."""
    step: str = ""
    owner: str = ""

    @property
    def label(self) -> str:
        return f"{self.section} {self.id}"


def server_work(plan: Plan) -> tuple[ServerWork, ...]:
    """All of it, backups first, in the plan's order."""
    return (
        *(_backup(plan, entry) for entry in plan.backups.values()),
        *(_scripts(plan, entry) for entry in plan.scripts.values()),
    )


def programs_of(plan: Plan, host_id: str, account: str) -> tuple[str, ...]:
    """Every program that `account` has to run on a host, each once."""
    return tuple(
        dict.fromkeys(
            program
            for work in server_work(plan)
            if work.host.id == host_id and work.account == account
            for program in work.programs
        )
    )


def minutes_at_stake(plan: Plan, work: Iterable[ServerWork]) -> float | None:
    """Minutes lost when this work has to run over the network: the price of its steps, each counted once. None when
    the plan prices none of them."""
    steps = [plan.step(step) for step in dict.fromkeys(entry.step for entry in work if entry.step)]
    prices = [step.price_minutes for step in steps if step and step.price_minutes is not None]
    return sum(prices) if prices else None


def _backup(plan: Plan, entry: Backup) -> ServerWork:
    database = plan.databases[entry.database]
    host = plan.host_of(database)
    account = entry.account or host.user
    names = _backup_programs(entry, is_login=account == host.user)
    folder = next(_folders(plan, database), "")
    return ServerWork(
        section=Section.BACKUPS,
        id=entry.id,
        database=database,
        host=host,
        account=account,
        login=entry.login or database.user,
        programs=tuple(folder + name for name in names),
        step=entry.step,
        owner=entry.owner or database.owner,
    )


def _backup_programs(entry: Backup, *, is_login: bool) -> tuple[str, ...]:
    if entry.method is BackupMethod.PG_BASEBACKUP:
        return ("pg_basebackup",)
    if entry.format is BackupFormat.PLAIN:
        return ("pg_dump", "psql") if is_login else ("pg_dump",)
    # A backup nobody can read back is none. Another account's sudo rules may well list pg_dump alone, though: there
    # pg_restore is wanted only where the plan has earlier backups read, which that account does.
    return ("pg_dump", "pg_restore") if is_login or entry.previous else ("pg_dump",)


def _scripts(plan: Plan, entry: Scripts) -> ServerWork:
    database = plan.databases[entry.database]
    host = plan.host_of(database)
    call = leading_call(psql_calls(entry.run))
    return ServerWork(
        section=Section.SCRIPTS,
        id=entry.id,
        database=database,
        host=host,
        account=entry.account or host.user,
        login=database.user,
        programs=(call.program if call else "psql",),
        psql=call,
        step=entry.step,
        owner=entry.owner or database.owner,
    )


def _folders(plan: Plan, database: Database) -> Iterator[str]:
    """Folders of client programs that run lines of the database name, with their slash: where PATH lacks psql, its
    siblings are found beside it."""
    for entry in plan.scripts.values():
        if entry.database == database.id:
            for call in psql_calls(entry.run):
                if call.program.startswith("/"):
                    yield call.program.removesuffix("psql")
