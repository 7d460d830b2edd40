"""What of the jobs that start by themselves takes a backup, as far as its command shows it. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from preflight.plan import BackupFormat, Database
from preflight.plan.limits import server_place
from preflight.plan.values import POSTGRES_PORT
from preflight.questions.jobs import FURTHER_COMMAND, SHELL_FILLS_IN, HostJobs, Table

_TAKES = re.compile(r"\b(pg_dumpall|pg_dump|pg_basebackup|pgbackrest|barman)\b")
_WRITES = re.compile(r"(?:-f\s*|--file[= ]\s*|>\s*)[\"']?(/[^\s\"';|&]+)")
_FORMAT = re.compile(r"\s(?:-F|--format[= ])\s*([cdtp])")
_FORMATS = {each.value[0]: each for each in BackupFormat}
_HOST = re.compile(r"\s(?:-h|--host[= ])\s*(\S+)")
_ROLE = re.compile(r"\s(?:-U\s*|--username[= ])\s*(\S+)")
_PORT = re.compile(r"\s(?:-p|--port[= ])\s*(\d+)")
_ELSEWHERE = re.compile(r"\bPG(?:HOST|HOSTADDR|PORT|SERVICE|DATABASE)=|://|\bservice=")
_LOCAL = re.compile(r"/|localhost$|127\.|::1$")
_NO_WORD = re.compile(r"[$`'\"\\]")
"""What a shell makes something else of."""


@dataclass(frozen=True, slots=True)
class BackupJob:
    """A job that calls a program which takes backups."""

    user: str
    """Empty where it is not told."""
    command: str
    source: str
    """`crontab of postgres`, `/etc/cron.d/backup`, `night.timer`."""

    @property
    def pattern(self) -> str:
        """Of the file that it writes, what changes as `*`; empty where its command does not show it."""
        found = _WRITES.search(SHELL_FILLS_IN.sub("*", self.command.replace("\\%", "%")))
        return re.sub(r"\*+", "*", found[1]) if found else ""

    @property
    def format(self) -> BackupFormat:
        found = _FORMAT.search(self.command)
        return _FORMATS[found[1]] if found else BackupFormat.PLAIN

    @property
    def taken_by(self) -> str:
        """How a plan names it."""
        if self.source.endswith(".timer"):
            return self.source
        return " ".join(self.command.split()) if FURTHER_COMMAND.search(self.command) else "cron"

    @property
    def server(self) -> str:
        """How it reaches the server, as a plan names it; empty where its command names no socket and no host."""
        host, port = _HOST.search(self.command), _PORT.search(self.command)
        named = f"{host[1]}:{port[1]}" if host and port else host[1] if host else ""
        return "" if server_place(named) or _NO_WORD.search(named) else named

    @property
    def login(self) -> str:
        """The role it takes the backup as: libpq's default is the account's name. Empty where neither is told."""
        named = _ROLE.search(self.command)
        told = named[1] if named else "" if "PGUSER" in self.command else self.user
        return "" if _NO_WORD.search(told) else told

    def saves(self, database: Database, address: str) -> bool:
        """Whether it surely dumps this database: by its name, at the server's port of this very host, at `address`."""
        program, name = _TAKES.search(self.command), re.escape(database.dbname)
        if program is None or program[1] != "pg_dump" or _ELSEWHERE.search(self.command):
            return False
        host, port = _HOST.search(self.command), _PORT.search(self.command)
        is_here = host is None or host[1] in (address, database.address) or bool(_LOCAL.match(host[1]))
        is_named = re.search(rf"(?:\s|-d\s*|--dbname=)[\"']?{name}[\"']?(?=\s|$)", self.command)
        return is_here and is_named is not None and int(port[1] if port else POSTGRES_PORT) == database.port


def backup_jobs(jobs: HostJobs | None, own: Table | None) -> Iterator[BackupJob]:
    """Of what a host shows, and the login's own crontab. Where a crontab sets what libpq goes by, the line is told with
    it, so that nobody takes the server for the local one."""
    tables = {table.source: table for table in (*(jobs.tables if jobs else ()), *([own] if own else ()))}
    found = [job for table in tables.values() for job in _of_table(table)]
    found += (BackupJob("", timer.command, timer.name) for timer in (jobs.timers if jobs else ()))
    return (job for job in found if _TAKES.search(job.command))


def _of_table(table: Table) -> Iterable[BackupJob]:
    settings = [line for line in table.lines if _ELSEWHERE.match(line)]
    for line in table.lines:
        before = (1 if line.startswith("@") else 5) + (0 if table.user else 1)
        words = line.split(None, before)
        if len(words) > before:
            yield BackupJob(table.user or words[-2], " ".join([*settings, words[-1]]), table.source)
