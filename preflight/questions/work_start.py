"""Questions about whether work can start on a host: whether an account can enter the folder, find the program and write
the log, by permission bits and mount flags alone; of which versions PostgreSQL's client programs are, and whether the
account that will run them gets into the database without anybody typing a password."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from preflight.plan.work import Connection, connection_options, connection_string
from preflight.probe import Family, Reply, Unreadable
from preflight.questions.fields import read_fields, read_lines
from preflight.questions.shell import AccountProbe, Complaint, filled, quoted
from preflight.questions.sql import ASKED_MS, BEGUN_MS, STARTED_MS, Major, RoleSettings, major_in, settings_as_json

_SCRIPT = """\
printf 'account=%s\\n' "$(id -un)"
f=@FOLDER@ p=@PROGRAM@ l=@LOG@ s=ready
r=$f; while [ ! -d "$r" ]; do r=${r%/*}; r=${r:-/}; done
if [ ! -x "$r" ]; then s=closed
elif [ "$r" != "$f" ]; then s=absent
elif ! cd -- "$f"; then s=closed
else
  case $p in
  '') ;;
  */*) if [ ! -f "$p" ]; then s=missing; elif [ ! -x "$p" ]; then s=denied; fi ;;
  *) command -v -- "$p" >/dev/null || s=missing ;;
  esac
  d=${l%/*}; d=${d:-/}
  if [ -z "$l" ]; then :
  elif [ -d "$l" ]; then s=log-is-folder
  elif [ -e "$l" ]; then [ -w "$l" ] || s=log-denied
  elif [ ! -d "$d" ]; then s=log-absent
  elif [ ! -w "$d" ] || [ ! -x "$d" ]; then s=log-closed
  fi
fi 2>/dev/null
printf 'state=%s\\nreached=%s\\nend=yes\\n' "$s" "$r\""""


class Start(StrEnum):
    """What stands in the way of starting a program in a folder."""

    READY = "ready"
    FOLDER_ABSENT = "absent"
    FOLDER_CLOSED = "closed"
    """It, or a folder on the way to it, cannot be entered."""
    PROGRAM_MISSING = "missing"
    """Not there, or not on the account's PATH."""
    PROGRAM_DENIED = "denied"
    LOG_IS_FOLDER = "log-is-folder"
    LOG_DENIED = "log-denied"
    LOG_ABSENT = "log-absent"
    """The log's folder is not there, or cannot be seen."""
    LOG_CLOSED = "log-closed"
    """No file can be made in the log's folder."""


@dataclass(frozen=True, slots=True)
class WorkStart:
    account: str
    """Who looked."""
    state: Start
    reached: str = "/"
    """The folder, or the deepest one on the way to it that is seen."""


@dataclass(frozen=True)
class WorkStartProbe(AccountProbe[WorkStart]):
    """Looks as `account`, or as the login where sudo does not give it a shell of that account."""

    family = Family.ACCESS
    folder: str = "/"
    program: str = ""
    """As it is called: a name, or a path that may be relative to the folder; empty for none."""
    log: str = ""
    """Absolute path of a file that will be written; empty for none."""

    def ask(self) -> str:
        words = {"FOLDER": self.folder, "PROGRAM": self.program, "LOG": self.log}
        return self.account.or_login(filled(_SCRIPT, **{name: quoted(word) for name, word in words.items()}))

    def read(self, reply: Reply) -> WorkStart:
        return read_lines(WorkStart, reply)


_LOGIN_SECONDS = 20.0
_NO_SCHEMA = "preflight_no_such_schema"
_SYSTEM = "SELECT 'system_identifier=' || system_identifier FROM pg_control_system()"
_WHERE = (
    "SELECT 'user=' || current_user, 'database=' || current_database(), "
    "'version_num=' || current_setting('server_version_num'), 'port=' || current_setting('port'), "
    f"'in_recovery=' || pg_is_in_recovery(), 'started_ms=' || {STARTED_MS}, 'asked_ms=' || {ASKED_MS}, "
    f"'begun_ms=' || {BEGUN_MS}, "
    f"'settings=' || {settings_as_json('setting')}"
)
_ONCE = """\
case ${PGSSLMODE:-prefer} in prefer | allow) tls='sslmode=require sslrootcert=/dev/null/none' ;; *) tls= ;; esac
{ said=$(log_in "$@" 2>&1 >&3); code=$?; } 3>&1
case ${tls:+again}$said in
again*'does not support SSL'* | again*pg_hba.conf*) tls=sslmode=disable; log_in "$@"; code=$? ;;
*) [ -z "$said" ] || printf '%s\\n' "$said" >&2 ;;
esac
[ "$code" -ne 0 ] || [ -z "$again" ] || { log_in -c "$again" 2>/dev/null || echo again_ms=0; echo end=yes; }
exit "$code\""""
"""What libpq's default does, short of its second attempt with a password that was refused: it is repeated without TLS
only where no password was judged. A login that worked is made once more: a server begins a new end for it, a pooler
lends the one that has just come back."""


def major_of(said: str) -> Major | None:
    """The major version that `PROGRAM --version` printed; None for no such text."""
    found = re.search(r"\(PostgreSQL\)\s+(\S+)", said)
    return major_in(found[1]) if found else None


class Method(StrEnum):
    """Which program logs in, and so what the login proves."""

    PSQL = "psql"
    PG_DUMP = "pg_dump"
    """For accounts that may run nothing else: a dump of a schema that does not exist ends right after the login."""
    REPLICATION = "replication"
    """psql as pg_basebackup connects: pg_hba.conf has lines of its own for it."""


class LoginRefusal(Complaint):
    """Why the server, or the client program, refused a login on the host; `OTHER` for words in another language."""

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
    in_recovery: bool | None = None
    """A replica answered, on which scripts cannot write; its system identifier is the primary's."""
    started_ms: int = 0
    """When the server was started, by its own clock; milliseconds since 1970."""
    asked_ms: int = 0
    begun_ms: int = 0
    """When the server's end of the connection began."""
    again_ms: int = 0
    """The same of a second login, made after the first one had ended; 0 where it was refused."""
    settings: RoleSettings | None = None

    @property
    def pooled(self) -> bool:
        """A connection was there before its login, to which a pooler lent it."""
        return self.asked_ms - self.begun_ms > _LOGIN_SECONDS * 1000 or 0 < self.again_ms < self.asked_ms


@dataclass(frozen=True)
class ServerLoginProbe(AccountProbe[ServerLogin]):
    """Logs in on the host as the work will: without a prompt (`-w`), without a psqlrc (`-X`), with whatever password
    file, peer mapping and environment the account has there."""

    family = Family.ACCESS
    timeout_seconds: ClassVar[float] = _LOGIN_SECONDS
    program: str
    """As it is called: a name or a path."""
    method: Method
    connection: Connection
    """`host`, `port`, `user`, `dbname`, as far as the work names them; the rest is the account's default."""
    rather: str = ""
    """psql, which tells where it arrived: used instead of `program` where the account has it and sudo lists it."""

    def ask(self) -> str:
        run = self._call(self.program, self.method)
        # sudo asked with a password would take it from the standard input twice.
        if not self.rather or self.account.password:
            return run
        return f"if {self.account.may_run(self.rather)}\nthen {self._call(self.rather, Method.PSQL)}\nelse {run}\nfi"

    def _call(self, program: str, method: Method) -> str:
        server = connection_options(tuple(each for each in self.connection if each[0] != "dbname"))
        words = {name: word for name, word in self.connection if name == "dbname"}
        argv, again = [program, "-X", "-w", "-A", "-t", "-q", *server], ""
        match method:
            case Method.PG_DUMP:
                argv, tell = [program, "-w", *server], ["--schema-only", "-n", _NO_SCHEMA]
            case Method.REPLICATION:
                words = {"replication": "true"}
                tell = ["-c", "SHOW in_hot_standby", "-c", "SHOW port", "-c", "IDENTIFY_SYSTEM"]
            case Method.PSQL:
                tell, again = ["-F", "\t", "-c", _SYSTEM, "-c", _WHERE], f"SELECT 'again_ms=' || {BEGUN_MS}"
        named = connection_string(**words, application_name="preflight")
        run = self.account.command(f'{" ".join(map(quoted, argv))} -d {quoted(f"{named} ")}"$tls" "$@"')
        run = f"printf '%s\\n' \"$secret\" | {run}" if self.account.password else f"{run} </dev/null"
        secret = "IFS= read -r secret\n" if self.account.password else ""
        return f"{secret}log_in() {{ {run}; }}\nset -- {' '.join(map(quoted, tell))}\nagain={quoted(again)}\n{_ONCE}"

    def read(self, reply: Reply) -> ServerLogin:
        said = " ".join(reply.error.split())[:400]
        if self.method is Method.PG_DUMP and "no matching schemas" in said:
            return ServerLogin(None)
        if reply.code != 0:
            return ServerLogin(LoginRefusal.of(said), said)
        if self.method is Method.PG_DUMP and not self.rather:
            raise Unreadable(f"pg_dump found a schema {_NO_SCHEMA}")
        if self.method is Method.REPLICATION:
            return _of_wal_sender(reply.text, said)
        fields = read_fields(reply.text.replace("\t", "\n"))
        if said:  # by the server: not every role may see it
            fields = {"system_identifier": [""], **fields}
        settings = RoleSettings("".join(fields.pop("settings", [])))
        return read_lines(ServerLogin, fields, refusal=None, said=said, settings=settings)


def _of_wal_sender(text: str, said: str) -> ServerLogin:
    """in_hot_standby, since PostgreSQL 14, then the port and what IDENTIFY_SYSTEM shows."""
    found = re.fullmatch(r"(?:(on|off)\n)?(\d{1,5})\n(\d+)\|.*", text.strip())
    if found is None:
        raise Unreadable("IDENTIFY_SYSTEM shows no system identifier")
    in_recovery = found[1] == "on" if found[1] else None
    return ServerLogin(None, said, port=int(found[2]), system_identifier=found[3], in_recovery=in_recovery)
