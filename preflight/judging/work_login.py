"""What a login of the window's work shows: whether it arrives at the server that database-login sees, whether the work
can be done there, and whether settings of its role end scripts. Pure."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from preflight.finding import Judgement, unknown, warned
from preflight.plan import Database, ServerRole
from preflight.plan.limits import split_server
from preflight.plan.sealed_servers import SealedServer
from preflight.plan.values import LOOPBACK
from preflight.plan.work import PlannedBackup, Section, ServerWork, sudo_cure
from preflight.questions.postgres import Identity
from preflight.questions.sql import RoleSettings, membership_grant, quote_identifier
from preflight.questions.work_start import Method, ServerLogin
from preflight.units import format_duration

SOCKETS = "On {host}, ss -lx | grep -F .s.PGSQL lists the sockets of servers"
_UNDONE = {
    "user": "ALTER ROLE {role} RESET {name};",
    "database": "ALTER DATABASE {database} RESET {name};",
    "database user": "ALTER ROLE {role} IN DATABASE {database} RESET {name};",
    "global": "ALTER ROLE ALL RESET {name};",
    "configuration file": "ALTER SYSTEM RESET {name}; SELECT pg_reload_conf();",
    "command line": "take {name} out of the line that starts the server (pg_ctl -o), and have it started again",
    "client": "take {name} out of PGOPTIONS or PGCLIENTENCODING of the account",
}
"""Source of pg_settings -> what undoes a setting there."""
_WHEREVER = f"{_UNDONE['user']} {_UNDONE['database user']}"
_REPLACED = "\N{REPLACEMENT CHARACTER}"
"""What a session reads for bytes that are no text, as a server with a database in SQL_ASCII sends them."""
_DEFERRABLE = "--serializable-deferrable"
_READ_ONLY = "default_transaction_read_only"
_AS_IT_IS, _ALL = "SQL_ASCII", "UTF8"
"""The encoding without a conversion; and the one that has every letter, and refuses what is not written in it."""
_LIMITS = ("statement_timeout", "transaction_timeout")
"""What they limit may take the whole step; the second one since PostgreSQL 17."""
_TIMEOUTS = (*_LIMITS, "idle_in_transaction_session_timeout", "lock_timeout")
_JUDGED = (_READ_ONLY, *_TIMEOUTS, "search_path", "session_replication_role")


def method_of(work: ServerWork) -> Method:
    if work.replicates:
        return Method.REPLICATION
    return Method.PG_DUMP if work.programs[0] == work.program("pg_dump") else Method.PSQL


@dataclass(frozen=True, slots=True)
class Arrival:
    """A login that worked, beside what database-login sees of the database in the same run."""

    work: ServerWork
    login: ServerLogin
    identity: Identity | None
    """None where there was no login; then the engine lets nothing pass."""
    system: str
    """System identifier of the database's server; empty where it was not seen."""
    sealed: SealedServer | None
    """None for a server that was never sealed."""

    def judge(self) -> Iterator[Judgement]:
        """What is amiss; nothing where the work can be done."""
        found = self._as_somebody_else() or self._at_a_replica() or self._at_a_server_not_sealed()
        if found is None and self.identity:
            found = self._at_another_server(self.identity) or self._through_a_pooler(self.identity)
            found = found or self._at_an_unknown_server(self.identity)
        if found is not None:
            yield found

    def _as_somebody_else(self) -> Judgement | None:
        work, login = self.work, self.login
        if not login.user or (login.user, login.database) == (work.login, work.dbname):
            return None
        return work.failed(
            "the login arrives elsewhere",
            f"role {work.login} in database {work.dbname}",
            f"role {login.user} in database {login.database}",
            f"correct `login` of {work.declared_in} and `server` of {work.table}, and what stands before the server (a "
            f"pooler); or undo what makes it another role: ALTER ROLE {quote_identifier(work.login)} RESET role;",
        )

    def _at_a_replica(self) -> Judgement | None:
        """Scripts and restores write, whatever the plan calls the server."""
        work, in_recovery = self.work, self.login.in_recovery
        if in_recovery is None and self.identity:
            in_recovery = self.identity.in_recovery
        planned = work.database.role
        if not in_recovery:
            return None
        remedy = f"name the primary in {work.table}: `server`"
        if work.part or work.section is Section.SCRIPTS:
            if planned is not ServerRole.PRIMARY:
                remedy = f"name a [databases] entry of the primary in {work.table}: `database`"
            return work.failed("a replica answers, on which nothing can be written", "primary", "replica", remedy)
        if planned is ServerRole.PRIMARY:
            remedy += '; or give the replica a [databases] entry of its own with role = "replica"'
            return work.failed("a replica answers, which may hold an old state", "primary", "replica", remedy)
        if isinstance(work, PlannedBackup) and _DEFERRABLE in work.options:
            remedy = f"take it out of `options` of {work.table}"
            return work.failed(f"a replica refuses {_DEFERRABLE}", "options that a replica takes", _DEFERRABLE, remedy)
        return None

    @property
    def _known(self) -> set[str]:
        """System identifiers that the database's server has, as the plan and database-login say."""
        return {self.work.database.system_identifier, self.system} - {""}

    def _another(self, summary: str, expected: str, actual: str, remedy: str) -> Judgement:
        """No waiver covers that."""
        return replace(self.work.failed(summary, expected, actual, remedy), waivable=False)

    @property
    def _named_there(self) -> str:
        """The cure where the login arrives elsewhere."""
        host = self.work.host.id
        return f"name the server as {host} sees it: `server` of {self.work.table}. {SOCKETS.format(host=host)}"

    def _at_a_server_not_sealed(self) -> Judgement | None:
        login = self.login
        data_directory = login.settings.shown("data_directory") if login.settings else ""
        found = self.sealed and self.sealed.compared(login.system_identifier, login.port, data_directory)
        if not found or not found.differ:
            return None
        return self._another(f"another server than sealed: {found.told}", found.sealed, found.seen, self._named_there)

    def _at_another_server(self, identity: Identity) -> Judgement | None:
        """Servers with one system identifier and one start are one server; a clone shares the identifier alone."""
        work, login = self.work, self.login
        other_cluster = bool(login.system_identifier) and bool(self._known - {login.system_identifier})
        other_start = bool(login.asked_ms) and login.started_ms != identity.started_ms
        # As by a restart: one of the servers was started after the other was asked.
        between = max(login.started_ms, identity.started_ms) > min(login.asked_ms, identity.asked_ms)
        if other_start and not other_cluster and between:
            return unknown(
                f"whether this is the server of {work.database.id} is not known: one was started between the logins",
                expected="one start, seen by both logins",
                remedy="run again",
            )
        if not other_cluster and not other_start and login.port in (0, identity.port):
            return None
        return self._another(
            "another server answers",
            f"the server of {work.database.id}, port {identity.port}, system identifier "
            f"{' or '.join(sorted(self._known)) or 'not shown'}",
            f"port {login.port or 'not shown'}, system identifier {login.system_identifier or 'not shown'}"
            f"{', started at another time' if other_start else ''}",
            self._named_there,
        )

    def _through_a_pooler(self, identity: Identity) -> Judgement | None:
        """To the right server, by its start. A port that is forwarded, as to a container, is no pooler: there the
        login from here arrives by the same port at PostgreSQL itself."""
        work, login, database = self.work, self.login, self.work.database
        other_port = work.port not in ("", str(login.port))
        port_from_here = work.port == str(database.port)
        way_from_here = port_from_here and self._is_named_address(split_server(work.server)[0])
        lent = login.pooled or (identity.pooled and way_from_here)
        if not login.asked_ms or not (lent or (other_port and (identity.pooled or not port_from_here))):
            return None
        through = f"port {work.port}" if work.port else f"the default server of {work.who}"
        return self._another(
            f"a connection pooler answers at {through}, before the server's own port {login.port}",
            f"PostgreSQL itself, at port {login.port}",
            f"{through}, where another connection is lent",
            f"name the server's own port in `server` of {work.table}: settings and locks of a script do not survive "
            "in a pool",
        )

    def _at_an_unknown_server(self, identity: Identity) -> Judgement | None:
        """For programs that do not tell when the server was started: it must hold the place that is named."""
        work, database = self.work, self.work.database
        if self.login.asked_ms or (not work.server and self.login.system_identifier and self._known):
            return None
        psql = let_psql_tell(work) if method_of(work) is Method.PG_DUMP else ""
        remedy = f"name it, as {work.host.id} sees it: `server` of {work.table}"
        if not work.server:
            summary = f"which server {work.programs[0]} reaches is not known: "
            summary += "it does not tell" if psql else "the plan does not name it"
        elif self._is_place_of(identity):
            return None
        else:
            summary = f"whether the server at {work.server} is that of {database.id} is not known"
            if work.server.startswith("/") and not identity.settings.shown("unix_socket_directories"):
                grant = database.on_primary(membership_grant("pg_read_all_settings", database.user))
                remedy = f'{grant}; or server = "localhost" in {work.table}'
        return unknown(
            summary,
            expected=f"a server that runs on {database.host or database.server_address(None)} at port {database.port}",
            actual=f"system identifier {self.login.system_identifier or 'not shown'}; {database.id} listens at "
            f"{identity.settings.shown('listen_addresses') or 'no address'}, sockets: "
            f"{identity.settings.shown('unix_socket_directories') or 'hidden'}",
            remedy="; or ".join(filter(None, (remedy, psql))),
        )

    def _is_named_address(self, host: str) -> bool:
        """Whether that is where database-login connects to, as the plan says it."""
        return host in self.work.database.server_address(self.work.host).split(",")

    def _is_place_of(self, identity: Identity) -> bool:
        """Whether the server that database-login sees listens there itself: no other can at the same time."""
        work, database = self.work, self.work.database
        host, port = split_server(work.server)
        if (port or str(database.port)) != str(identity.port):
            return False
        if host.startswith("/"):
            sockets = identity.settings.shown("unix_socket_directories").split(",")
            return _real_folder(host) in map(_real_folder, sockets)
        if self._is_named_address(host):
            return True
        listens = {name.strip() for name in identity.settings.shown("listen_addresses").split(",")}
        own = {"localhost", LOOPBACK} if host in ("localhost", LOOPBACK) else {host}
        return bool(listens & {"*", "0.0.0.0", *own})  # noqa: S104 - as the server says it


def _real_folder(path: str) -> str:
    """/var/run is a link to /run on every system of today."""
    return re.sub(r"^/var/run(?=/|$)", "/run", path.strip().rstrip("/"))


def let_psql_tell(work: ServerWork) -> str:
    """The cure where only pg_dump was tried."""
    psql = work.program("psql")
    if work.by_login:
        return f"have psql installed on {work.host.id}, on the PATH of {work.who}"
    path = psql if psql.startswith("/") else f"/usr/bin/{psql}"
    return sudo_cure(work.host, work.account, path)


@dataclass(frozen=True, slots=True)
class ScriptRole:
    """A role as a session of it begins."""

    name: str
    database: Database
    dbname: str
    """The one of its server that it works in."""
    settings: RoleSettings
    failed: Callable[[str, str, str, str], Judgement]
    """Of summary, expected, actual and remedy: a failure at the price of its work."""

    def undo(self, name: str) -> str:
        """Statements for a superuser, where the setting was made; where that is not told, wherever the role has it."""
        source, file = self.settings.shown(name, "source"), self.settings.shown(name, "file")
        template = _UNDONE.get(source, _WHEREVER)
        if file and not file.endswith("postgresql.auto.conf"):  # where ALTER SYSTEM does not reach
            template = f"take {{name}} out of {file} on the server, then: SELECT pg_reload_conf();"
        elif source == "configuration file" and not file:
            template += " If it stands in postgresql.conf, take it out there first"
        elif name == _READ_ONLY and source in ("database", "global"):  # it holds for the DBA, too
            template = f"SET {{name}} = off; {template}"
        role, dbname = quote_identifier(self.name), quote_identifier(self.dbname)
        return self.database.on_primary(template.format(name=name, role=role, database=dbname))

    @property
    def is_seen(self) -> bool:
        """Its settings were told."""
        return self.settings.get(_READ_ONLY) is not None

    def begins_like(self, other: RoleSettings) -> bool:
        """Whether all that is judged here is the same there."""
        return all(self.settings.get(name) == other.get(name) for name in _JUDGED)

    def judge(self, longest: timedelta) -> Iterator[Judgement]:
        """`longest`: of the steps in which it works."""
        if not self.is_seen:
            grant = f"GRANT SELECT ON pg_catalog.pg_settings TO {quote_identifier(self.name)};"
            remedy = self.database.on_primary(grant)
            yield unknown(f"the own settings of {self.name} could not be seen", remedy=remedy)
            return
        yield from self._judge_timeouts(longest)
        yield from self._judge_search_path()
        if self.settings.get("session_replication_role") == "replica":
            summary = f"triggers and foreign keys are off for {self.name} (session_replication_role)"
            remedy = self.undo("session_replication_role")
            yield warned(summary, expected="origin", actual="replica", remedy=remedy)

    def judge_encoding(self, also: str) -> Iterator[Judgement]:
        """Of a client's own session: the server takes a script's bytes for what this says, without an error, and ends a
        dump at a letter that is not in it. `also`: what else cures it."""
        taken, own = (self.settings.shown(name) for name in ("client_encoding", "server_encoding"))
        if own not in ("", _AS_IT_IS) and taken not in (own, _AS_IT_IS, _ALL):
            yield self.failed(
                f"what {self.name} sends and reads is {taken} there: letters beyond ASCII become others, or end it",
                f"client_encoding = {own}, as the database",
                f"client_encoding = {taken}",
                f"{self.undo('client_encoding')} {also.format(taken=taken, own=own)}",
            )

    def judge_read_only(self) -> Iterator[Judgement]:
        """Of a role that has to write."""
        if self.settings.get(_READ_ONLY) == "on":
            expected, actual = f"{_READ_ONLY} = off", f"{_READ_ONLY} = on"
            yield self.failed(f"{self.name} starts read-only transactions", expected, actual, self.undo(_READ_ONLY))

    def _judge_search_path(self) -> Iterator[Judgement]:
        path = self.settings.shown("search_path")
        if not {"$user", "public"} & {name.strip().strip('"') for name in path.split(",")}:
            yield warned(
                f"unusual search_path of {self.name}: {path or 'empty'}",
                expected="a search_path with public or $user",
                actual=path or "empty",
                remedy=f"make sure the scripts name their schemas, or: {self.undo('search_path')}",
            )
        if _REPLACED in path:
            yield warned(
                f"the search_path of {self.name} holds bytes that are no UTF-8",
                expected="names that every client reads alike",
                actual=f"{path}, where {_REPLACED} stands for such a byte",
                remedy=self.undo("search_path"),
            )

    def _judge_timeouts(self, longest: timedelta) -> Iterator[Judgement]:
        for name in _TIMEOUTS:
            raw = self.settings.get(name) or "0"
            limit = timedelta(milliseconds=int(raw)) if raw.isdecimal() else timedelta()
            if not limit:
                continue
            seen = f"{name} of {self.name} is {format_duration(limit) if limit.seconds else f'{raw} ms'}"
            remedy = self.undo(name)
            if name in _LIMITS and limit < longest:
                summary = f"{seen}, shorter than the step of {format_duration(longest)} it may end"
                yield self.failed(summary, f"{name} = 0", f"{raw} ms", remedy)
            elif name != "lock_timeout":  # a lock_timeout is what scripts should have
                yield warned(seen, expected=f"{name} = 0", actual=f"{raw} ms", remedy=remedy)
