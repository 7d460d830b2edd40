"""What a plan runs on its database hosts: which account runs which programs, as which role, in which step. Pure."""

import shlex
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from preflight.finding import Judgement, failed, unknown
from preflight.plan import Backup, BackupFormat, BackupMethod, Database, Host, Plan, Scripts
from preflight.plan.agreements import steps_by_begin
from preflight.plan.limits import split_server
from preflight.plan.release_plan import grouped, machine_of, server_of

Connection = tuple[tuple[str, str], ...]
"""`host`, `port`, `user`, `dbname`, as far as they are named; the rest is the client program's default."""
_OPTIONS = {"host": "-h", "port": "-p", "user": "-U", "dbname": "-d"}


class Section(StrEnum):
    """The section of the plan that asks for the work."""

    BACKUPS = "backups"
    SCRIPTS = "scripts"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerWork:
    """One entry of `[backups]` or `[scripts]`: programs that an OS account runs on the database's own host."""

    section: Section
    id: str
    target: Database | None
    """None for a database that is not PostgreSQL."""
    engine: str = ""
    """What runs on the host instead."""
    host: Host
    account: str
    """OS account; empty where the host's login is left to ssh_config."""
    login: str
    """Database role."""
    into: str = ""
    """Database that is named to the client program instead of the target's own."""
    part: str = ""
    """Of the entry's table, in which this work is declared: `restore`."""
    server: str = ""
    """How its client program reaches the server on the host, as the plan writes it."""
    program_folder: str = ""
    """With its slash; empty where the client programs are looked up on PATH."""
    programs: tuple[str, ...] = ()
    """PostgreSQL's client programs, as they are called: names looked up on PATH, or absolute paths."""
    command: tuple[str, ...] = ()
    """What does the work instead of a client program."""
    taken_by: str = ""
    """What takes the backup by itself."""
    step: str = ""
    price_minutes: float | None = None
    """What it costs when its step has to run over the network; None where the plan does not price that."""
    owner: str = ""

    @property
    def label(self) -> str:
        return f"{self.section} {self.id}"

    @property
    def table(self) -> str:
        """Where the plan declares the account and how its programs reach the server."""
        return f"[{self.section}.{self.id}]"

    @property
    def declared_in(self) -> str:
        """Where the plan declares what this work alone has: the role, the database, the `command`."""
        return f"[{self.section}.{self.id}.{self.part}]" if self.part else self.table

    @property
    def what(self) -> str:
        """The database in words."""
        return self.target.id if self.target else f"{self.engine} on {self.host.id}"

    @property
    def database(self) -> Database:
        """Of work that has one. Raises ValueError for other work."""
        if self.target is None:
            raise ValueError(f"{self.label} names no database")
        return self.target

    @property
    def connects(self) -> bool:
        """Whether a client program of PostgreSQL does it, which logs in to the database."""
        return not (self.command or self.taken_by)

    @property
    def started(self) -> str:
        """The program that does it where that is no client program of PostgreSQL; empty for such a one."""
        return self.command[0] if self.command else ""

    @property
    def replicates(self) -> bool:
        """Whether it connects as a replica does, which enters no database."""
        return False

    @property
    def connections(self) -> int:
        """How many its program opens at once."""
        return 1

    @property
    def by_login(self) -> bool:
        """Whether the account is the host's login itself."""
        return self.account == self.host.user

    @property
    def sudo_asks(self) -> bool:
        """Whether sudo wants the login's password before it gives the account."""
        return not self.by_login and any(each.account == self.account and each.password for each in self.host.become)

    @property
    def sudo(self) -> str:
        """`sudo -n -u ACCOUNT`, or without `-n` where sudo asks for a password; empty for the host's login itself."""
        return "" if self.by_login else f"sudo {'' if self.sudo_asks else '-n '}-u {shlex.quote(self.account)}"

    @property
    def connection(self) -> Connection:
        """What is named to the client program. A named server has the database's port unless it names another."""
        host, port = split_server(self.server)
        named = {"host": host, "port": port or str(self.database.port)} if self.server else {}
        return tuple({**named, "user": self.login, "dbname": self.dbname}.items())

    @property
    def dbname(self) -> str:
        """What the database is called into which the programs log in."""
        return self.into or self.database.dbname

    @property
    def port(self) -> str:
        """Of the server, where the plan says how it is reached from the host; empty for the account's default there."""
        return dict(self.connection).get("port", "")

    @property
    def who(self) -> str:
        """The account in words."""
        return self.account or "the login"

    @property
    def steps(self) -> tuple[str, ...]:
        """Of the run sheet: the one in which it is done."""
        return (self.step,) if self.step else ()

    @property
    def restore(self) -> Self | None:
        """What puts a backup back; None for other work, and where the plan does not say."""
        return None

    @property
    def acts(self) -> tuple[Self, ...]:
        """The work, and what puts it back."""
        return (self, self.restore) if self.restore else (self,)

    def program(self, name: str) -> str:
        """A client program as it is called, beside the one that does the work."""
        return self.program_folder + name

    def failed(self, summary: str, expected: str, actual: str, remedy: str) -> Judgement:
        """A failure of the work, at its price."""
        return failed(summary, expected=expected, actual=actual, remedy=remedy, minutes_at_stake=self.price_minutes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBackup(ServerWork):
    """The work of one entry of `[backups]`."""

    plan: Plan = field(repr=False, compare=False)
    backup: Backup

    @property
    def taken_otherwise(self) -> bool:
        """Whether a command or a job takes it in place of the `method`'s own program."""
        return bool(self.command or self.taken_by)

    @property
    def connects(self) -> bool:
        return not (self.taken_otherwise or self.backup.method.has_repository)

    @property
    def started(self) -> str:
        if self.backup.method.has_repository and not self.taken_otherwise:
            return self.program(self.backup.method)
        return self.command[0] if self.command else ""

    @property
    def kept(self) -> Self:
        """The same work where the earlier backups are, as who reads them there."""
        if self.backup.method.has_repository or not self.backup.kept_on:
            return self
        host = self.plan.hosts[self.backup.kept_on]
        return replace(self, host=host, account=self.backup.kept_by or host.user, program_folder="")

    @property
    def at_database(self) -> Self:
        """On the database's own host; as its login, where the backup is taken elsewhere. Of a managed one itself."""
        host = self.database_host or self.host
        return self if host == self.host else replace(self, host=host, account=host.user)

    @property
    def database_host(self) -> Host | None:
        """None for a managed database."""
        return self.plan.home_of(self.target) if self.target else self.plan.hosts[self.backup.host]

    @property
    def what(self) -> str:
        return self.target.id if self.target else f"{self.engine} on {self.backup.host}"

    @property
    def asking_options(self) -> tuple[str, ...]:
        """With which pgbackrest and barman find their configuration and repository."""
        return tuple(each for each in self.backup.options if each.startswith(("--config", "--repo")))

    @property
    def is_beside_database(self) -> bool:
        """It is written on the database's own machine."""
        return self.database_host is not None and machine_of(self.host) == machine_of(self.database_host)

    @property
    def writes_many_files(self) -> bool:
        if self.backup.method.of_server:
            return self.backup.format is not BackupFormat.TAR
        return self.backup.format is BackupFormat.DIRECTORY

    @property
    def is_packed(self) -> bool:
        """Whether it is written in a compressed form."""
        level = next((each.partition("=")[2] for each in self.backup.options if each.startswith("--compress=")), "")
        if level:
            return level != "0"
        packs = self.backup.format in (BackupFormat.CUSTOM, BackupFormat.DIRECTORY)
        return self.backup.method.has_repository or (packs and self.backup.method is BackupMethod.PG_DUMP)

    @property
    def replicates(self) -> bool:
        return self.backup.method is BackupMethod.PG_BASEBACKUP and not self.part

    @property
    def options(self) -> tuple[str, ...]:
        """Of the program, as the plan writes them."""
        restore = self.backup.restore if self.part else None
        return restore.options if restore else self.backup.options

    @property
    def connections(self) -> int:
        """pg_dump's jobs have one beside them that leads, pg_restore's none; pg_basebackup has one for the WAL, unless
        it fetches that afterwards."""
        if self.replicates:
            return 1 if "--wal-method=fetch" in self.options else 2
        jobs = next((int(each.partition("=")[2]) for each in self.options if each.startswith("--jobs=")), 0)
        return max(1, jobs if self.part else jobs + 1)

    def is_this_windows(self, changed_at: datetime, moment: datetime) -> bool:
        """Whether what has its name is the window's own backup: the window is open at `moment`, it changed in it."""
        return self.plan.window.start <= min(changed_at, moment)

    @property
    def restore(self) -> Self | None:
        """By the same account at the same server."""
        entry = self.backup.restore
        if entry is None:
            return None
        return replace(
            self,
            login=entry.login or (self.target.user if self.target else ""),
            into=entry.into,
            part="restore",
            programs=() if entry.command else (self.program(restoring(self.backup)),),
            command=entry.command,
            taken_by="",
        )


def connection_options(connection: Connection) -> list[str]:
    """The options of psql, pg_dump and their kin that say so. A database's name that libpq would take for a connection
    string is written as one (libpq, 34.1.1)."""
    words = dict(connection)
    name = words.get("dbname", "")
    if "=" in name or name.startswith(("postgres://", "postgresql://")):
        words["dbname"] = connection_string(dbname=name)
    return [word for key, text in words.items() for word in (_OPTIONS[key], text)]


def connection_string(**words: str) -> str:
    """As libpq reads it where a database is named (libpq, 34.1.1)."""
    escaped = ((name, word.replace("\\", r"\\").replace("'", r"\'")) for name, word in words.items())
    return " ".join(f"{name}='{word}'" for name, word in escaped)


def no_shell(host: Host, account: str, summary: str, *, expected: str, actual: str) -> Judgement:
    """UNKNOWN because sudo gives the login no shell of the account. Where `become` fails, its cure holds the shell."""
    remedy = f"{sudo_cure(host, account, '/bin/sh')}; or, where that is there, cure what this complains of, as a limit "
    remedy += f"of processes (nproc) does, on {host.id}: sudo -k -n -u {shlex.quote(account)} -- /bin/sh -c 'id; id'"
    return unknown(summary, expected=expected, actual=actual, remedy=remedy, behind=behind_become(host, account))


def sudo_cure(host: Host, account: str, *programs: str) -> str:
    """What lets the login run programs (full paths) as the account without a password."""
    listed = ", ".join(dict.fromkeys(programs))
    if not host.user:
        return f"have sudo on {host.id} let the login of ssh_config run as {account}, without a password: {listed}"
    return f"have this line in sudoers on {host.id}: {host.user} ALL=({account}) NOPASSWD: {listed}"


def acl_cure(host: Host, account: str, right: str, path: str) -> str:
    """What lets one account read (`r`) a file or search (`x`) a folder, and nobody else."""
    if not account:
        return f"on {host.id}, let the login of ssh_config {'read' if right == 'r' else 'enter'} {path}"
    return f"on {host.id}, as root: setfacl -m {shlex.quote(f'u:{account}:{right}')} {shlex.quote(path)}"


def behind_become(host: Host, account: str) -> str:
    """What could not be seen because the login does not become the account."""
    return f"become {account} on {host.id}: sudo does not give it to the login, or it can start nothing"


def server_work(plan: Plan) -> tuple[ServerWork, ...]:
    """All of it, backups first, in the plan's order."""
    return plan.once(_server_work)


def script_work(plan: Plan) -> tuple[ServerWork, ...]:
    """That of `[scripts]`, in the plan's order."""
    return tuple(work for work in server_work(plan) if work.section is Section.SCRIPTS)


def rehearsed_work(plan: Plan) -> Sequence[ServerWork]:
    """That of `[scripts]` of which a rehearsal tells what it does to its database. None where the plan leaves the
    rehearsal out: the check `rehearsal` says so."""
    return () if plan.release.without.rehearsal else [work for work in script_work(plan) if work.target]


def planned_backups(plan: Plan) -> tuple[PlannedBackup, ...]:
    """All of them, in the plan's order."""
    return plan.once(_planned_backups)


def work_on(plan: Plan, host_id: str) -> Sequence[ServerWork]:
    return plan.once(_by_host).get(host_id, ())


def kept_on(plan: Plan, host_id: str) -> Sequence[PlannedBackup]:
    """The backups of which earlier ones are kept there, as who reads them there, and not where they are taken."""
    return plan.once(_kept).get(host_id, ())


def engine_work(plan: Plan, engines: Container[str]) -> Sequence[ServerWork]:
    """The work with databases of these engines, which are not PostgreSQL: what a plug-in for one of them judges."""
    return [work for work in server_work(plan) if work.engine and work.engine in engines]


def work_with(plan: Plan, database_id: str) -> Sequence[ServerWork]:
    return plan.once(_by_database).get(database_id, ())


def scripts_by_database(plan: Plan) -> Mapping[Hashable, Sequence[Scripts]]:
    """The entries of `[scripts]` that run in one database, whichever entry names it, in the order of their steps."""
    place = {step.id: number for number, step in enumerate(steps_by_begin(plan.steps))}
    entries = sorted(plan.scripts.values(), key=lambda each: place.get(each.step, len(place)))
    return grouped((each for each in entries if each.database), lambda each: _database(plan, each.database))


def scripts_in(plan: Plan, database_id: str) -> Sequence[Scripts]:
    """Those that run in the database of this entry, whichever entry they name."""
    return plan.once(scripts_by_database).get(_database(plan, database_id), ())


def logins_in(plan: Plan, database_id: str) -> tuple[str, ...]:
    """The roles that run scripts there."""
    entries = {each.id for each in scripts_in(plan, database_id)}
    return tuple(dict.fromkeys(work.login for work in script_work(plan) if work.id in entries))


def is_one(plan: Plan, one: str, other: str) -> bool:
    """Whether two entries of `[databases]` are one database."""
    return _database(plan, one) == _database(plan, other)


def _database(plan: Plan, database_id: str) -> Hashable:
    database = plan.databases[database_id]
    return (*server_of(plan, database), database.dbname)


def planned_source(plan: Plan, database: str, scripts: ServerWork) -> ServerWork:
    """Who fetches what a rehearsal runs on: the database's backup by pg_dump, else another of it, else its scripts."""
    backups = plan.once(_backups_by_database).get(_database(plan, database), ())
    by_dump = [each for each in backups if each.backup.method is BackupMethod.PG_DUMP]
    return next(iter((*by_dump, *(each.at_database for each in backups))), scripts)


def restored_by_pg_restore(plan: Plan, database: str) -> Sequence[PlannedBackup]:
    """The database's backups that pg_restore puts back, by a line that is written here."""
    backups = plan.once(_backups_by_database).get(_database(plan, database), ())
    return [each for each in backups if each.restore and each.restore.programs and restoring(each.backup) != "psql"]


def work_of(plan: Plan, host_id: str, account: str) -> Sequence[ServerWork]:
    return [work for work in work_on(plan, host_id) if work.account == account]


def programs_of(plan: Plan, host_id: str, account: str) -> tuple[str, ...]:
    """Every client program that `account` has to run on a host, each once."""
    return tuple(dict.fromkeys(program for work in work_of(plan, host_id, account) for program in work.programs))


def other_accounts(plan: Plan, host: Host) -> list[str]:
    """Accounts other than the login that do work on this host, or that the plan wants to be reached."""
    named = [entry.account for entry in host.become]
    worked = [work.account for work in (*work_on(plan, host.id), *kept_on(plan, host.id))]
    return [account for account in dict.fromkeys([*named, *worked]) if account not in ("", host.user)]


def minutes_at_stake(work: Iterable[ServerWork]) -> float | None:
    """Minutes lost when this runs over the network: the price of its steps, each once. None where none has one."""
    prices = {each.step: each.price_minutes for each in work if each.price_minutes is not None}
    return sum(prices.values()) if prices else None


def _server_work(plan: Plan) -> tuple[ServerWork, ...]:
    backups, scripts = plan.backups.values(), plan.scripts.values()
    return (*(_backup(plan, entry) for entry in backups), *(_scripts(plan, entry) for entry in scripts))


def _planned_backups(plan: Plan) -> tuple[PlannedBackup, ...]:
    return tuple(work for work in server_work(plan) if isinstance(work, PlannedBackup))


def _kept(plan: Plan) -> Mapping[str, Sequence[PlannedBackup]]:
    return grouped((work.kept for work in planned_backups(plan) if work.kept is not work), lambda kept: kept.host.id)


def _by_host(plan: Plan) -> Mapping[str, Sequence[ServerWork]]:
    return grouped(server_work(plan), lambda work: work.host.id)


def _by_database(plan: Plan) -> Mapping[str, Sequence[ServerWork]]:
    return grouped((work for work in server_work(plan) if work.target), lambda work: work.database.id)


def _backups_by_database(plan: Plan) -> Mapping[Hashable, Sequence[PlannedBackup]]:
    """Whichever entry names it."""
    backups = (each for each in planned_backups(plan) if each.target)
    return grouped(backups, lambda each: _database(plan, each.database.id))


def _backup(plan: Plan, entry: Backup) -> PlannedBackup:
    shared = _shared(plan, entry) | {"section": Section.BACKUPS, "taken_by": entry.taken_by}
    is_login = shared["account"] == shared["host"].user
    names = _backup_programs(entry, is_login=is_login) if entry.database else ()
    programs = tuple(shared["program_folder"] + name for name in names)
    return PlannedBackup(plan=plan, backup=entry, programs=programs, **shared)


def _scripts(plan: Plan, entry: Scripts) -> ServerWork:
    programs = () if entry.command else (entry.program,)
    return ServerWork(section=Section.SCRIPTS, programs=programs, **_shared(plan, entry))


def _shared(plan: Plan, entry: Backup | Scripts) -> dict[str, Any]:
    """What both sections say in the same words."""
    host, step, database = plan.host_of(entry), plan.step(entry.step), plan.databases.get(entry.database)
    account = entry.account
    if isinstance(entry, Backup) and entry.method.has_repository and entry.kept_on:
        account = entry.kept_by
    folder, slash, _ = entry.program.rpartition("/")  # where PATH lacks a program, its siblings are found beside it
    return {
        "id": entry.id,
        "target": database,
        "login": entry.login or (database.user if database else ""),
        "engine": entry.engine,
        "host": host,
        "account": account or host.user,
        "server": entry.server,
        "program_folder": folder + slash,
        "command": entry.command,
        "step": entry.step,
        "price_minutes": step.price_minutes if step else None,
        "owner": plan.owner_of(entry),
    }


def restoring(entry: Backup) -> str:
    """The program that puts a dump back."""
    return "psql" if entry.format is BackupFormat.PLAIN else "pg_restore"


def _backup_programs(entry: Backup, *, is_login: bool) -> Iterator[str]:
    taken_here = not (entry.command or entry.taken_by)
    if taken_here and not entry.method.has_repository:
        yield entry.method.value
    if entry.method.of_server:
        return
    # A backup nobody can read back is none. Another account's sudo rules may well list pg_dump alone, though: there
    # the other program is wanted only where the account has to put it back, or to read earlier ones.
    puts_back = entry.restore is not None and not entry.restore.command
    reads_back = bool(entry.previous) and entry.format is not BackupFormat.PLAIN
    if puts_back or reads_back or (taken_here and is_login):
        yield restoring(entry)
