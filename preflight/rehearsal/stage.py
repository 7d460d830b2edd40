"""One scratch server, and what runs there: the scripts of one database, their ways back, restores and drills."""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from preflight.clock import Deadline
from preflight.judging.sealed_scripts import SealedScripts, sealed_scripts
from preflight.plan import Account as Login
from preflight.plan import Content, Plan, RemotePath, Scripts
from preflight.plan.command_lines import psql_argv, restore_command
from preflight.plan.work import PlannedBackup, ServerWork, logins_in, restored_by_pg_restore, script_work
from preflight.questions.files import Texts
from preflight.questions.postgres import NO_ALTER_SYSTEM, SERVER_WIDE, Identity
from preflight.questions.rehearsed import Drill, RehearsedDatabase, RehearsedEntry, Run, version_text
from preflight.questions.schema import Schema, SchemaProbe, difference, hashed
from preflight.questions.schema_sql import WITNESS_SCHEMA
from preflight.questions.sql import OF_SCRIPTS, quote_identifier
from preflight.rehearsal import ScratchError
from preflight.rehearsal.account import Account, new_folder, new_memory_folder
from preflight.rehearsal.content import Archive, Contents, Source, make_database
from preflight.rehearsal.named import NamedServer, Place
from preflight.rehearsal.processes import NO_ROUTE, ONE_END, REMOVE, STOP, offered, run_at_the_end, signals_deferred
from preflight.rehearsal.server import CLIENTS, ScratchServer, Server, find_programs
from preflight.rehearsal.witness import Observation, Witness
from preflight.rehearsal.work import FLUSH, Ended, Runner, copy_sealed, went_on
from preflight.sessions.local.files import read_scripts

_FLUSH = "flush.sql"
_LEAST_MEMORY_BYTES = 512 * 1024 * 1024
_UNPACKED = 20
"""How many times its archive a database takes at most, with its indexes and a second copy."""
_OF_SERVER = ("default", "configuration file", "command line", "environment variable", "global")
"""Sources of pg_settings that are the server's own; a container's is often started with `-c`. `global`: ALTER ROLE ALL,
which pg_dumpall leaves out."""
_OLDEST = 15
"""Major version of the scratch server: older ones do not count changed rows between two scripts."""


@dataclass(frozen=True, slots=True)
class RealServer:
    """One database of the plan, as a session of its role sees it."""

    identity: Identity
    system_identifier: str
    """Empty where the role may not see it."""
    allowed: Mapping[str, str]
    """As `AllowedProbe` tells."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Those of the server itself that the scratch server is to have too: role and database bring their own."""
        told = self.identity.settings
        sources = {name: told.get(name, "source") for name in OF_SCRIPTS}
        found = {name: told.shown(name) for name, source in sources.items() if source in _OF_SERVER}
        return {name: value + told.shown(name, "unit") for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Tried:
    database: RehearsedDatabase
    scripts: Mapping[str, RehearsedEntry]


@dataclass(frozen=True, slots=True)
class _Sealed:
    """One entry with its sealed files, copied for the rehearsal."""

    entry: Scripts
    work: ServerWork
    """At the scratch server."""
    line: tuple[str, ...]
    """As it is declared."""
    files: Mapping[str, str]
    scripts: SealedScripts
    runner: Runner


class Stage:
    def __init__(
        self,
        plan: Plan,
        entries: Sequence[Scripts],
        account: Account,
        real: RealServer,
        place: Place | None,
        deadline: Deadline,
        say: Callable[[str], None],
        stack: ExitStack,
    ) -> None:
        """Whatever it makes is gone when the stack is left. `place`: of the server that the plan names."""
        self._plan, self._entries, self._account, self._real, self._say = plan, entries, account, real, say
        self._stack, self._deadline = stack, deadline
        self._removals: list[int] = []
        with signals_deferred():
            self._folder = self._private(new_folder(account))
        self._database = work_of(plan, entries[0]).database.dbname
        self._place = place
        self._before = () if place else offered(NO_ROUTE, account)

    def _private(self, folder: Path) -> Path:
        """A folder in it that the account alone can enter."""
        self._removals.append(self._stack.enter_context(run_at_the_end(REMOVE, folder)))
        private = folder / "private"
        private.mkdir(mode=0o700)
        self._account.give(private)
        return private

    def rehearse(self, source: Source) -> Tried:
        content = self._plan.rehearsal.content
        named = self._log_in(self._place) if self._place else None
        self._say(f"fetching the {'backup' if content is Content.RESTORE else 'schema'} of {self._database} ...")
        archive = source.fetch(content, self._folder)
        server = named or self._start(self._room(archive))
        contents = Contents.of(server, archive, self._real.allowed)
        where = f"at {server.place}" if self._place else "on this machine"
        self._say(f"filling PostgreSQL {version_text(server.version_num)} {where} ...")

        def make() -> None:
            server.make_roles(archive.roles)
            make_database(server, self._database, archive, contents, self._deadline, schema_only=True)

        make()
        sealed, dump = [self._sealed(server, entry) for entry in self._entries], self._folder / "before.dump"
        if backups := restored_by_pg_restore(self._plan, self._entries[0].database):
            server.run("pg_dump", "-Fc", "-s", "-f", dump, "-d", self._database, seconds=self._deadline.left())
        server.keep(make)
        if archive.content is Content.RESTORE:
            server.drop_database(self._database)
            make_database(server, self._database, archive, contents, self._deadline, schema_only=False)
        tried = self._run_all(server, archive, contents, sealed)
        if any(run.exit_code for entry in tried.scripts.values() for run in entry.runs):
            return tried
        restores = dict(self._try_restore(server, sealed[0].runner, each, dump) for each in backups)
        drills = self._drill_all(server, sealed)
        scripts = {name: replace(entry, drills=drills[name]) for name, entry in tried.scripts.items()}
        return Tried(replace(tried.database, restores=restores), scripts)

    def _room(self, archive: Archive) -> Path:
        """A private folder for the server's files."""
        with signals_deferred():
            memory = new_memory_folder(_LEAST_MEMORY_BYTES + _UNPACKED * archive.size_bytes)
            return self._private(memory) if memory else self._folder

    def _log_in(self, place: Place) -> NamedServer:
        """Raises ScratchError, also where a `command` is to be drilled."""
        if commands := [each.id for each in self._entries if each.command]:
            raise ScratchError(
                f"the drill of a `command` ({', '.join(commands)}) is read from the server's own log, which that of "
                "[rehearsal.server] does not show: take this table out of the plan"
            )
        logins = logins_in(self._plan, self._entries[0].database)
        programs = find_programs(self._major, self._plan.rehearsal.programs, CLIENTS)
        known = {**place.system_identifiers, self._real.system_identifier: self._database}
        place = replace(place, system_identifiers=known)
        with signals_deferred():
            settings, allowed = self._real.settings, self._real.allowed
            server = NamedServer(place, logins, programs, self._folder / "server", self._account, settings, allowed)
            self._stack.callback(server.leave, self._say)
        self._require_version(server)
        return server

    @property
    def _major(self) -> int:
        """Of the real server."""
        return self._real.identity.version_num // 10_000

    def _require_version(self, server: Server) -> None:
        if server.version_num < _OLDEST * 10_000:
            version = version_text(server.version_num)
            raise ScratchError(f"{server.place} is PostgreSQL {version}: a rehearsal needs {_OLDEST}")

    def _start(self, folder: Path) -> ScratchServer:
        """Raises ScratchError, also where it could be taken for a server of the plan."""
        own, sockets = folder / "server", folder / "s"
        self._stack.enter_context(run_at_the_end(STOP, own / "data", self._account, self._removals))
        programs = find_programs(self._major, self._plan.rehearsal.programs)
        allowed = self._real.allowed
        wide = {name: allowed[name] for name in (*SERVER_WIDE, NO_ALTER_SYSTEM) if name in allowed}
        # It replicates to nobody: with `wal_level = minimal` none may.
        settings = {**self._real.settings, **wide, "max_wal_senders": "0"}
        server = ScratchServer(
            programs, own, sockets, self._account, settings=settings, allowed=allowed, before=self._before
        )
        self._require_version(server)
        taken = {self._real.system_identifier, *(each.system_identifier for each in self._plan.sealed.values())}
        if server.query("SELECT system_identifier FROM pg_control_system()") in taken:
            raise ScratchError("the scratch server has the system identifier of a server of the plan")
        return server

    def _sealed(self, server: Server, entry: Scripts) -> _Sealed:
        """Raises ScratchError for files that are not as they were sealed."""
        work = work_of(self._plan, entry)
        folder = self._folder / "work" / entry.id
        files = copy_sealed(entry, folder, self._account)
        texts, unread = read_scripts(folder, Deadline(60.0))
        scripts = sealed_scripts(entry, files, "", Texts(texts, unread))
        line = (*entry.command, *entry.rehearse_command) or psql_argv(entry, work, scripts.order.forward)
        there = replace(work, server=server.place)
        of_command = {**server.superusers_environment, "PGUSER": work.login, "PGDATABASE": self._database}
        environment = {**(of_command if entry.command else {}), **server.login_environment}
        before = (*offered(ONE_END, self._account), *self._before)
        runner = Runner(self._account, folder, self._deadline, before, environment, server.programs)
        return _Sealed(entry, there, line, files, scripts, runner)

    def _run_all(self, server: Server, archive: Archive, contents: Contents, sealed: Sequence[_Sealed]) -> Tried:
        """All scripts, then all ways back, the last entry's first."""
        tried = {
            each.entry.id: RehearsedEntry(database=each.entry.database, files=each.files, line=each.line)
            for each in sealed
        }
        begun: dict[str, Observation] = {}
        with server.connect(self._database) as connection:
            witness = Witness(connection)
            size_bytes, table_bytes = witness.database_bytes, witness.table_bytes
            first = last = witness.look()
            for each in sealed:
                name = each.entry.id
                begun[name] = last
                self._say(f"running {name} ...")
                runs, last = self._forward(server, witness, each, last)
                tried[name] = replace(tried[name], runs=runs)
                if any(run.exit_code for run in runs):
                    break
            else:
                at = last
                for each in reversed(sealed):
                    name, before = each.entry.id, begun[each.entry.id]
                    runs, at = _back(server, witness, each, before, at, with_rows=bool(archive.backup))
                    left = _left(before, at) if runs else ""
                    tried[name] = replace(tried[name], runs=(*tried[name].runs, *runs), left=left)
        identity, changes = self._real.identity, difference(first.schema, last.schema)
        told = "\n".join(changes.values())
        touched = {each.name for entry in tried.values() for run in entry.runs for each in run.touched}
        database = RehearsedDatabase(
            content=archive.content,
            backup=archive.backup,
            size_bytes=size_bytes,
            version_num=server.version_num,
            server_version_num=identity.version_num,
            system_identifier=self._real.system_identifier,
            objects=hashed(first.schema),
            settings=identity.settings.of_scripts,
            changes=changes,
            allowed={
                name: value
                for name, value in self._real.allowed.items()
                if not name.startswith("role ") or name.removeprefix("role ") in told
            },
            table_bytes={name: size for name, size in table_bytes.items() if name in touched},
            missing_extensions=contents.missing_extensions,
            named_server=server.place if self._place else "",
        )
        return Tried(database, tried)

    def _forward(
        self, server: Server, witness: Witness, each: _Sealed, before: Observation
    ) -> tuple[tuple[Run, ...], Observation]:
        names = (each.entry.rehearse_command[0],) if each.entry.command else each.scripts.order.forward
        looks = [before]
        marks = self._marks(len(names) - 1)
        argv = list(each.entry.rehearse_command) or _psql(server, each, names, marks)
        ended = each.runner.run(argv, marks, lambda: looks.append(witness.look(looks[-1])))
        rolled_back = witness.rolled_back()
        looks.append(witness.look(looks[-1]))
        runs = [_run(witness, name, one, other) for name, one, other in zip(names, looks, looks[1:], strict=False)]
        return (*runs[:-1], *(_ended(run, ended, rolled_back) for run in runs[-1:])), looks[-1]

    def _try_restore(self, server: Server, runner: Runner, planned: PlannedBackup, dump: Path) -> tuple[str, str]:
        """The declared line, and how it ended at the scratch server, with this machine's pg_restore and one session."""
        restore, login = planned.backup.restore, planned.acts[-1].login
        assert restore  # noqa: S101 - these backups have it
        self._say(f"putting {planned.id} back ...")
        with server.connect(self._database) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {WITNESS_SCHEMA} CASCADE")
        if restore.into not in ("", self._database):
            with suppress(ScratchError):  # what is missing then, pg_restore says
                server.create_database(restore.into, f" OWNER {quote_identifier(login)}")
        options = [each for each in restore.options if not each.startswith("--jobs=")]
        if self._place:  # where that role has no password
            login, options = server.parameters["user"], [*options, f"--role={login}"]
            runner = replace(runner, environment=server.superusers_environment)
        restore = replace(restore, login=Login(login), options=tuple(options))
        there = replace(planned, server=server.place, backup=replace(planned.backup, restore=restore))
        words = restore_command(self._plan, there).argv[1:-1]
        ended = runner.run([str(server.programs / "pg_restore"), *words, str(dump)])
        line = shlex.join(restore_command(self._plan, planned).argv[:-1])
        return line, f"exit status {ended.code}: {ended.said}" if ended.code else ""

    def _drill_all(self, server: Server, sealed: Sequence[_Sealed]) -> dict[str, tuple[Drill, ...]]:
        """Each script of each entry with a broken statement put first in it, on an untouched copy of the schema in
        which the entries before it ran."""
        drills: dict[str, tuple[Drill, ...]] = {}
        server.put_back()
        for number, each in enumerate(sealed):
            self._say(f"drilling {each.entry.id} ...")
            before, found, touched = self._schema(server), list[Drill](), False
            for place, name in enumerate(each.scripts.order.forward):
                if touched:
                    server.put_back()
                drill, at_once = self._drill(server, each, name, before)
                touched = bool(place or each.entry.command or not at_once)
                found.append(drill)
            drills[each.entry.id] = tuple(found)
            if number + 1 < len(sealed):
                server.put_back()
                run = partial(each.runner.run, self._argv(server, each))
                run()
                server.keep(run)
        return drills

    def _drill(self, server: Server, each: _Sealed, name: str, before: Schema) -> tuple[Drill, bool]:
        """And whether it stopped at the broken statement."""
        if each.entry.command:
            server.query(f"ALTER DATABASE {quote_identifier(self._database)} SET log_statement = 'all'")
        at = server.log.stat().st_size
        with each.runner.broken(name):
            ended = each.runner.run(self._argv(server, each))
        further = went_on(server.log.read_bytes()[at:].decode("utf-8", "replace"))
        kept = _told(before, self._schema(server))
        drill = Drill(script=name, exit_code=ended.code, said=ended.said, kept=kept, went_on=further)
        return drill, ended.stopped_at_drill

    def _argv(self, server: Server, each: _Sealed) -> list[str]:
        return list(each.entry.rehearse_command) or _psql(server, each, each.scripts.order.forward, ())

    def _schema(self, server: Server) -> Schema:
        with server.connect(self._database) as connection:
            return read_schema(connection)

    def _marks(self, number: int) -> list[Path]:
        found = [self._folder / f"mark{place}" for place in range(number)]
        for mark in found:
            mark.unlink(missing_ok=True)
            os.mkfifo(mark, 0o644)
        (self._folder / _FLUSH).write_text(FLUSH)
        return found


def read_schema(connection: psycopg.Connection[Any]) -> Schema:
    """Raises Unreadable and psycopg.Error."""
    row = connection.execute(SchemaProbe.text.encode()).fetchone()
    return Schema.parse(row[0] if row else "")


def _psql(server: Server, each: _Sealed, names: Sequence[str], marks: Sequence[Path]) -> list[str]:
    """The declared line with this machine's psql, at the scratch server, without the log; marks between scripts."""
    entry = replace(each.entry, program=str(server.programs / "psql"), log=RemotePath(""))
    words = list(psql_argv(entry, each.work, ()))
    for number, name in enumerate(names):
        words += ["-f", name]
        if number < len(marks):
            words += ["-f", str(marks[number].with_name(_FLUSH)), "-f", str(marks[number])]
    return words


def _run(witness: Witness, name: str, before: Observation, after: Observation) -> Run:
    return Run(
        script=name,
        seconds=round((after.at - before.until).total_seconds(), 3),
        wal_bytes=after.wal - before.wal,
        temporary_bytes=after.temporary_bytes - before.temporary_bytes,
        exit_code=0,
        changes=_told(before.schema, after.schema),
        touched=witness.touched(before, after),
    )


def _ended(run: Run, ended: Ended, rolled_back: int) -> Run:
    """The run in which the client ended. The transaction that an error rolls back is told by the error."""
    return replace(run, exit_code=ended.code, said=ended.said, rolled_back=0 if ended.code else rolled_back)


def _back(
    server: Server, witness: Witness, each: _Sealed, begun: Observation, at: Observation, *, with_rows: bool
) -> tuple[tuple[Run, ...], Observation]:
    """The ways back of one entry, the last script's first, up to the first that fails."""
    runs: list[Run] = []
    for name in reversed(() if each.entry.command else each.scripts.order.back):
        ended = each.runner.run(_psql(server, each, (name,), ()))
        rolled_back = witness.rolled_back()
        after = witness.look(at)
        run = replace(_run(witness, name, at, after), way_back=True, changes="")
        runs.append(_ended(run, ended, rolled_back))
        at = after
        if ended.code:
            break
    if runs and with_rows:
        runs[-1] = replace(runs[-1], rows_lost=tuple(witness.rows_lost(begun, at)))
    return tuple(runs), at


def _told(before: Schema, after: Schema) -> str:
    return "\n".join(difference(before, after).values())


def _left(before: Observation, after: Observation) -> str:
    """What the ways back left otherwise, in the schema and of what belongs to the server."""
    then, now = before.shared.items(), after.shared.items()
    changes = [("-", each) for each in sorted(then - now)] + [("+", each) for each in sorted(now - then)]
    told = (f"{sign}{kind} {name} {text}" for sign, ((kind, name), text) in changes)
    return "\n".join(filter(None, [_told(before.schema, after.schema), *told]))


def work_of(plan: Plan, entry: Scripts) -> ServerWork:
    return next(each for each in script_work(plan) if each.id == entry.id)
