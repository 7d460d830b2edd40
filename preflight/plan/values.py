"""What a plan's values are: kinds of text and number with the loader's limits, and the words to choose from."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NewType, Self

from preflight.plan import limits

RemotePath = NewType("RemotePath", str)
"""An absolute path on a host, without NUL or newline."""
Roots = NewType("Roots", Path)
"""A file with certificate authorities; or `SYSTEM_ROOTS`, those of the machine itself."""
SYSTEM_ROOTS = Roots(Path("system"))
Bytes = NewType("Bytes", int)
"""A size, written `"20GiB"`."""
Sha256 = NewType("Sha256", str)
"""64 lower-case hex digits."""
Account = NewType("Account", str)
"""An account or role name: no white space, no control characters, does not begin with a hyphen."""

SCRIPT_SUFFIXES = (".sql", ".psql")
"""How the scripts are named that psql runs."""
PSQL_VARIABLE = re.compile(
    "AUTOCOMMIT|COMP_KEYWORD_CASE|DBNAME|ECHO|ECHO_HIDDEN|ENCODING|ERROR|FETCH_COUNT|HIDE_(TABLEAM|TOAST_COMPRESSION)"
    "|HIST(CONTROL|FILE|SIZE)|HOST|IGNOREEOF|LASTOID|LAST_ERROR_(MESSAGE|SQLSTATE)|ON_ERROR_(ROLLBACK|STOP)|PORT"
    "|PROMPT[123]|QUIET|ROW_COUNT|(SERVER_)?VERSION_(NAME|NUM)|SERVICE|SHELL_(ERROR|EXIT_CODE)|SHOW_(ALL_RESULTS|CONTEXT)"
    "|SINGLE(LINE|STEP)|SQLSTATE|USER|VERBOSITY|VERSION|WATCH_INTERVAL"
)
"""Variables that psql treats specially, by the manuals of 12 to 18."""
PASSWORD_PROMPT = re.compile(
    r"^(?!.*\b(?:one.?time|t?otp|token|pin|passcode|code|push|hint|expires?)\b)(?:.*\W)?"
    r"(?:password|passwor[td]|kennwort|mot de passe|contraseña|senha|palavra-passe|wachtwoord"
    r"|lösenord|adgangskode|passord|salasana|heslo|hasło|jelszó|parolă?|пароль|şifre|密码|密碼|パスワード|암호)\b",
    re.IGNORECASE | re.DOTALL,
)
"""What pam_unix asks in the languages of Linux-PAM; anything else (`Verification code:`) is a second factor."""
SECRET_NAME = re.compile("passw(or)?d|secret|token", re.IGNORECASE)
"""How a variable is named that may well hold a secret."""
SECRET_SCHEMES = ("env", "file", "command", "prompt")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is found: `env:NAME`, `file:PATH`, `command:ARGV` or `prompt`. Holds no value: those live in
    `preflight.sessions.secrets`."""

    scheme: str
    argument: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for anything that is no reference; its text never repeats the input, which may well
        be a password that somebody typed into the plan."""
        scheme, _, argument = text.partition(":")
        if scheme not in SECRET_SCHEMES or (scheme != "prompt" and not argument.strip()):
            raise ValueError(
                "not a secret reference; write env:NAME, file:PATH, command:ARGV or prompt, never the secret itself"
            )
        return cls(scheme, argument.strip())

    @property
    def is_typed(self) -> bool:
        """For each entry anew."""
        return self.scheme == "prompt"

    def __str__(self) -> str:
        return f"{self.scheme}:{self.argument}" if self.argument else self.scheme


@dataclass(frozen=True, slots=True)
class Ref:
    """Annotation: the value names an entry of this section of the plan."""

    section: str


HostRef = Annotated[str, Ref("hosts")]
DatabaseRef = Annotated[str, Ref("databases")]
RoleRef = Annotated[str, Ref("roles")]
StepRef = Annotated[str, Ref("steps")]
ApplicationRef = Annotated[str, Ref("applications")]

Name = Annotated[str, limits.filled]
Text = Annotated[str, limits.MANY_LINES]
OpenText = Annotated[str, limits.no_password]
"""What is printed with a command line."""
Argument = Annotated[str, limits.filled, limits.no_password]
Address = Annotated[str, limits.network_address]
Network = Annotated[str, limits.network]
Url = Annotated[str, limits.http_url]
Port = Annotated[int, limits.Between(1, 65535)]
EntryId = Annotated[
    str,
    limits.Matches(
        r"[A-Za-z0-9][A-Za-z0-9_.-]*", 'a name of letters, digits, "_", "." and "-", a letter or digit first'
    ),
]
SSH_PORT = 22
POSTGRES_PORT = 5432
LOOPBACK = "127.0.0.1"
THIS_MACHINE = (LOOPBACK, "localhost", "::1")
Minutes = Annotated[float, limits.Between(0, 7 * 24 * 60)]
Factor = Annotated[float, limits.Between(1, 100)]
Source = Annotated[str, limits.guess_or_dated]
Server = Annotated[str, limits.server_place]
FileBelow = Annotated[str, limits.below_folder]
HeaderName = Annotated[
    str,
    limits.Matches(
        r"(?i:(?!(?:host|user-agent|accept|accept-encoding|cache-control|connection|content-length|transfer-encoding)$)"
        r"[a-z0-9!#$%&'*+.^_`|~-]+)",
        "the name of a header that preflight does not write itself",
    ),
]
ObjectPattern = Annotated[str, limits.Matches(r"[^.]+\..+", '"SCHEMA.NAME", where * stands for any text')]
"""Objects of a database by their schema and name as the catalogue holds them, without quotes."""


def show_address(address: str, port: int) -> str:
    """Address and port in one word; an IPv6 address stands in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@dataclass(frozen=True, slots=True)
class Nothing:
    """`{ none = "reason" }` in place of a value: there is none, for a reason that every report prints."""

    none: Name
    """Why there is none."""


class ServerRole(StrEnum):
    PRIMARY = "primary"
    REPLICA = "replica"
    ANY = "any"


class Connect(StrEnum):
    DIRECT = "direct"
    TUNNEL = "tunnel"


class LoginUse(StrEnum):
    SHELL = "shell"
    THROUGH = "through"


class SslMode(StrEnum):
    DISABLE = "disable"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"

    @property
    def verifies(self) -> bool:
        """The server's certificate must be trusted."""
        return self in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL)


class BackupMethod(StrEnum):
    PG_DUMP = "pg_dump"
    PG_BASEBACKUP = "pg_basebackup"
    PGBACKREST = "pgbackrest"
    BARMAN = "barman"

    @property
    def of_server(self) -> bool:
        """It saves every database of the server."""
        return self is not BackupMethod.PG_DUMP

    @property
    def has_repository(self) -> bool:
        """It keeps its backups by itself, and tells of them."""
        return self in (BackupMethod.PGBACKREST, BackupMethod.BARMAN)


ENGINE = limits.Matches(r"[a-z][a-z0-9._-]{0,39}", "a name such as mysql, mariadb, oracle, sqlserver or db2")
Engine = Annotated[str, ENGINE]
"""A kind of database other than PostgreSQL, by the name by which a plug-in answers for it."""


class BackupFormat(StrEnum):
    CUSTOM = "custom"
    DIRECTORY = "directory"
    TAR = "tar"
    PLAIN = "plain"


class Privilege(StrEnum):
    """What PostgreSQL grants on a table or a view; USAGE on a sequence."""

    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    TRUNCATE = "TRUNCATE"
    REFERENCES = "REFERENCES"
    TRIGGER = "TRIGGER"
    USAGE = "USAGE"


class LineEndings(StrEnum):
    AS_APPROVED = "as-approved"
    LF_OR_CRLF = "lf-or-crlf"


class UndoKind(StrEnum):
    RESTORE = "restore"
    SCRIPT = "script"
    REDEPLOY = "redeploy"
    NOTHING_TO_UNDO = "nothing-to-undo"
    NONE = "none"
    """Cannot be undone: the point of no return lies before this step."""

    @property
    def takes_time(self) -> bool:
        """There is something to take back, and a way to."""
        return self not in (UndoKind.NOTHING_TO_UNDO, UndoKind.NONE)


class TestResult(StrEnum):
    __test__ = False  # no test case, whatever pytest makes of the name

    PASSED = "passed"
    FAILED = "failed"


class Content(StrEnum):
    """What a scratch database holds before the scripts are rehearsed there."""

    SCHEMA = "schema"
    """The real database's schema: no rows, so that minutes and rows tell nothing."""
    RESTORE = "restore"
    """The newest previous backup, put back."""


class ExpectedChange(StrEnum):
    """What scripts are said to change."""

    NOTHING = "nothing"


class DecisionKind(StrEnum):
    """The decisions that a window may need."""

    RETRY = "retry"
    PARTIAL = "partial go-live"
    ROLLBACK = "rollback"


_NOBODY = frozenset({"", "na", "nn", "nobody", "none", "open", "tba", "tbd", "todo", "unknown", "vacant"})
"""What is written where a name is still missing, as `person_key` leaves it."""


def is_named(name: str) -> bool:
    """Whether `name` names somebody: not empty, not `TBD`, `n/a` or `?`."""
    return person_key(name) not in _NOBODY


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's: case, spaces and punctuation make no difference (`M. Ortiz`, `m ortiz`),
    nor does what stands after them in brackets, or the surname first (`Ortiz, M. (mobile)`)."""
    return is_named(one) and person_key(one) == person_key(other)


def person_key(name: str) -> str:
    """Equal for two names of one person."""
    surname, _, first = re.sub(r"(?<=\S)\s*\(.*?\)", "", unicodedata.normalize("NFKC", name)).partition(",")
    return "".join(filter(str.isalnum, f"{first}{surname}".casefold()))
