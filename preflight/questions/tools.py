"""Questions about PostgreSQL's client programs on the database's own host: their versions, and whether the account
that will run them gets into the database without anybody typing a password."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from preflight.plan.work import Connection, connection_options
from preflight.probe import Family, Reply, Unreadable
from preflight.questions.fields import read_fields, read_lines
from preflight.questions.shell import AccountProbe, Complaint, quoted
from preflight.questions.sql import Major, major_in

_PROGRAM = re.compile(r"\(PostgreSQL\)\s+(\S+)")
_NO_SCHEMA = "preflight_no_such_schema"
_LOGIN_SECONDS = 20.0
_LONGEST_SHOWN = 400
_SYSTEM = "SELECT 'system_identifier=' || system_identifier FROM pg_control_system()"
_WHERE = (
    "SELECT 'user=' || current_user, 'database=' || current_database(), "
    "'version_num=' || current_setting('server_version_num'), 'port=' || current_setting('port'), "
    "'in_recovery=' || pg_is_in_recovery()"
)


def major_of(said: str) -> Major | None:
    """The major version that `PROGRAM --version` printed; None for no such text."""
    found = _PROGRAM.search(said)
    return major_in(found[1]) if found else None


class Method(StrEnum):
    """Which program logs in, and so what the login proves."""

    PSQL = "psql"
    PG_DUMP = "pg_dump"
    """For accounts that may run nothing else: a dump of a schema that does not exist ends right after the login."""
    REPLICATION = "replication"
    """psql as pg_basebackup connects: pg_hba.conf has lines of its own for it."""


class LoginRefusal(Complaint):
    """Why the server, or the client program before it, refused a login on the host. A server's complaint in another
    language is `OTHER`."""

    NO_PASSWORD = "no password at hand", r"no password supplied"
    PEER = "peer authentication failed", r"(?:peer|ident) authentication failed"
    BAD_PASSWORD = "password authentication failed", r"authentication failed"
    NO_HBA = "no pg_hba.conf entry", r"pg_hba\.conf"
    NO_DATABASE = "no such database", r'database "[^"]*" does not exist'
    NO_ROLE = "no such role", r'role "[^"]*" does not exist'
    NOT_PERMITTED = "the role may not log in", r"is not permitted to log in"
    NO_CONNECT = "no CONNECT privilege", r"permission denied for database"
    NO_REPLICATION = (
        "the role may not replicate",
        r"must be superuser or replication role|permission denied to start WAL sender",
    )
    TOO_MANY = "no connection slot is free", r"too many (?:connections|clients)|remaining connection slots"
    STARTING_UP = "the server is starting up", r"starting up|shutting down|not yet accepting"
    TOO_OLD = "the program is older than the server", r"server version mismatch"
    NO_NAME = "unknown server name", r"could not translate host name"
    TLS = "TLS failed", r"\bSSL\b|certificate"
    NO_SERVER = "no server answers", r"connection refused|is the server running|no route to host|timeout expired"
    OTHER = "the login fails"


@dataclass(frozen=True, slots=True)
class ServerLogin:
    """A login on the host: where it arrived, or why it did not."""

    refusal: LoginRefusal | None
    said: str = ""
    """The program's complaint; for a login that worked, its warnings."""
    user: str = ""
    database: str = ""
    port: int = 0
    """The server's own port; 0 where the method does not tell, as for everything below."""
    version_num: int = 0
    system_identifier: str = ""
    in_recovery: bool = False
    """A replica answered, on which scripts cannot write; its system identifier is the primary's."""


@dataclass(frozen=True)
class ServerLoginProbe(AccountProbe[ServerLogin]):
    """Logs in on the host as the work will: without a prompt (`-w`), without a psqlrc (`-X`), with whatever password
    file, peer mapping and environment the account has there."""

    family = Family.ACCESS
    program: str
    """As it is called: a name or a path."""
    method: Method
    connection: Connection
    """`host`, `port`, `user`, `dbname`, as far as the work names them; the rest is the account's default."""

    rather: str = ""
    """psql, which tells where it arrived: used instead of `program` where the account has it and sudo lists it."""

    timeout_seconds = _LOGIN_SECONDS

    def ask(self) -> str:
        run = self._call(self.program, self.method)
        # sudo asked with a password would take it from the standard input twice.
        if not self.rather or self.account.password:
            return run
        return f"if {self.account.may_run(self.rather)}\nthen {self._call(self.rather, Method.PSQL)}\nelse {run}\nfi"

    def _call(self, program: str, method: Method) -> str:
        argv = " ".join(map(quoted, [program, *self._options(method)]))
        return self.account.command(argv) + ("" if self.account.password else " </dev/null")

    def _options(self, method: Method) -> Sequence[str]:
        options = connection_options(self.connection)
        match method:
            case Method.PG_DUMP:
                return ["-w", *options, "--schema-only", "-n", _NO_SCHEMA]
            case Method.REPLICATION:
                server = tuple(each for each in self.connection if each[0] != "dbname")
                options = connection_options(server)
                return ["-X", "-w", "-A", "-t", "-q", *options, "-d", "replication=true", "-c", "IDENTIFY_SYSTEM"]
        asks = ["SET application_name TO 'preflight'", _SYSTEM, _WHERE]
        return ["-X", "-w", "-A", "-t", "-q", "-F", "\t", *options, *(part for ask in asks for part in ("-c", ask))]

    def read(self, reply: Reply) -> ServerLogin:
        said = " ".join(reply.error.split())[:_LONGEST_SHOWN]
        if self.method is Method.PG_DUMP and "no matching schemas" in said:
            return ServerLogin(None)
        if reply.code != 0:
            return ServerLogin(LoginRefusal.of(said), said)
        if self.method is Method.PG_DUMP and not self.rather:
            raise Unreadable(f"pg_dump found a schema {_NO_SCHEMA}")
        return self._identified(reply.text, said) if self.method is Method.REPLICATION else _arrived(reply.text, said)

    @staticmethod
    def _identified(text: str, said: str) -> ServerLogin:
        system_identifier = text.strip().partition("|")[0]
        if not system_identifier.isdecimal():
            raise Unreadable("IDENTIFY_SYSTEM shows no system identifier")
        return ServerLogin(None, said, system_identifier=system_identifier)


def _arrived(text: str, said: str) -> ServerLogin:
    fields = read_fields(text.replace("\t", "\n"))
    fields.setdefault("system_identifier", [""])  # not every role may see it
    return read_lines(ServerLogin, fields, complete=True, refusal=None, said=said)
