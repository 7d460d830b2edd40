"""SQL text: names and values written so that PostgreSQL reads just them, whatever they hold; the tokens that PostgreSQL
and psql read in it; version numbers; and the settings with which a session begins."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from preflight.probe import Probe, T, Via

Major = tuple[int, ...]
"""`(15,)`, or `(9, 6)` before PostgreSQL 10; compares as versions do."""
_VERSION = re.compile(r"(\d+)(?:\.(\d+))?")
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_KEYWORDS = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case
    cast char character check coalesce collate collation column concurrently constraint create cross current_catalog
    current_date current_role current_schema current_time current_timestamp current_user dec decimal default
    deferrable desc distinct do else end except exists extract false fetch float for foreign freeze from full grant
    greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull join
    json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize
    json_table json_value lateral leading least left like limit localtime localtimestamp merge_action national
    natural nchar none normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay
    placing position precision primary public real references returning right row select session_user setof similar
    smallint some substring symmetric system_user table tablesample then time timestamp to trailing treat trim true
    union unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat
    xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
    """.split()  # noqa: SIM905 - one word a line would be a page
)
"""What no bare name may be in PostgreSQL 15 to 18 (pg_get_keywords, all but category U), and `public`, everybody."""
VARIABLE = re.compile(r""":(?:\{\?\w+\}|'\w+'|"\w+"|\w+)""")
_TOKEN = re.compile(
    rf"""(?P<comment>--[^\r\n]*)
    | (?P<block>/\*)
    | (?P<string>[eE]?')
    | (?P<word>[A-Za-z_\u0080-\U0010ffff][\w$\u0080-\U0010ffff]*)
    | (?P<identifier>"(?:[^"]++|"")*+(?:"|(?P<cut>\Z)))
    | (?P<dollar>\$(?P<tag>(?:[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)?)\$)
    | (?P<end>;)
    | (?P<open>\()
    | (?P<close>\))
    | (?P<cast>::)
    | (?P<variable>{VARIABLE.pattern})
    | (?P<escape>\\[;:])
    | (?P<command>\\(?P<name>[^\ \t\r\n\f\v\\]*))
    """,
    re.VERBOSE,
)
_PLAIN_STRING = re.compile(r"(?:[^']++|'')*+(?:'|(?P<cut>\Z))")
_ESCAPE_STRING = re.compile(r"(?s)(?:[^'\\]++|''|\\.)*+(?:'(?:[ \t\r\f\v]*\n\s*'(?:[^'\\]++|''|\\.)*+')*+|(?P<cut>\Z))")
"""An E'...' string with the parts that continue it on later lines, in which the backslash still escapes."""
_BLOCK_EDGE = re.compile(r"/\*|\*/")

OWN_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
"""The SQL condition that the schema `n` is none of PostgreSQL's; temporary ones are left out too."""
OF_SCRIPTS = (
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "array_nulls",
    "backslash_quote",
    "bytea_output",
    "check_function_bodies",
    "default_table_access_method",
    "default_tablespace",
    "default_text_search_config",
    "default_transaction_isolation",
    "lock_timeout",
    "row_security",
    "search_path",
    "session_replication_role",
    "standard_conforming_strings",
    "statement_timeout",
    "temp_file_limit",
    "transform_null_equals",
)
"""The settings that decide what the same script does."""
_SETTINGS = (
    *OF_SCRIPTS,
    "client_encoding",
    "data_directory",
    "default_transaction_read_only",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "listen_addresses",
    "server_encoding",
    "transaction_timeout",
    "unix_socket_directories",
)
"""Those that matter to the work of a role, and those that tell one server from another."""


class SqlProbe(Probe[T]):
    """A probe whose question is one SQL statement for a database."""

    via: ClassVar[Via] = Via.SQL


def quote_identifier(name: str) -> str:
    """A name in SQL, as quote_ident writes it: bare only where that means the same. Raises ValueError for NUL."""
    return name if _PLAIN.fullmatch(name) and name not in _KEYWORDS else always_quoted(name)


def bare_name(name: str) -> str:
    """A name as it is, of one that may be quoted."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def always_quoted(name: str) -> str:
    """For pg_hba.conf, where a bare `all`, `replication` or `samerole` means something else. Raises ValueError."""
    return '"' + _without_nul(name).replace('"', '""') + '"'


def membership_grant(group: str, role: str) -> str:
    """What makes `role` a member of another one, as of PostgreSQL's predefined roles."""
    return f"GRANT {quote_identifier(group)} TO {quote_identifier(role)}"


BY_MEMBERSHIP, NOINHERIT = "BY MEMBERSHIP", "NOINHERIT"
INHERITS = f"""\
CASE WHEN current_setting('server_version_num')::int >= 160000 THEN '{BY_MEMBERSHIP}'
      WHEN rolinherit THEN 'INHERIT' ELSE '{NOINHERIT}' END"""
"""The SQL expression, over pg_roles, that tells what decides whether a role has the rights of those it is a member of:
each membership for itself, since PostgreSQL 16; before, an attribute of the role."""


def inheriting_grant(owner: str, role: str, inherits: str, *, member: bool = False) -> str:
    """Statements that give `role` the rights of `owner`. `inherits`: as `INHERITS` tells. `member`: it is one."""
    name = quote_identifier(role)
    if inherits == BY_MEMBERSHIP:
        return f"GRANT {quote_identifier(owner)} TO {name} WITH INHERIT TRUE;"
    granted = [] if member else [f"{membership_grant(owner, role)};"]
    return " ".join([*granted, *([f"ALTER ROLE {name} INHERIT;"] if inherits == NOINHERIT else [])])


def quote_literal(value: str) -> str:
    """A string constant that means the same whatever standard_conforming_strings says. Raises ValueError for NUL."""
    doubled = "'" + _without_nul(value).replace("'", "''").replace("\\", "\\\\") + "'"
    return f"E{doubled}" if "\\" in value else doubled


def array_of(texts: Iterable[str]) -> str:
    return f"ARRAY[{', '.join(map(quote_literal, texts))}]::text[]"


def as_regular_expression(pattern: str) -> str:
    """Of a pattern of the plan, for the whole text; PostgreSQL and Python read it alike."""
    parts = (re.sub(r"([^\w])", r"\\\1", part) for part in pattern.split("*"))
    return f"^{'.*'.join(parts)}$"


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL in a name or value of SQL")
    return text


def major_in(version: str) -> Major | None:
    """`15.18` and `15beta1` are 15, `9.6.24` is 9.6; None for anything else."""
    found = _VERSION.match(version)
    if found is None:
        return None
    first = int(found[1])
    return (first,) if first >= 10 else (first, int(found[2] or 0))


def major_of_server(version_num: int) -> Major:
    """From `server_version_num`: 150018 is 15, 90624 is 9.6."""
    return (version_num // 10000,) if version_num >= 100000 else (version_num // 10000, version_num // 100 % 100)


def shown(major: Major) -> str:
    return ".".join(map(str, major))


def _in_ms(moment: str) -> str:
    """The SQL expression that tells a moment in milliseconds since 1970."""
    return f"floor(extract(epoch FROM {moment}) * 1000)::bigint::text"


STARTED_MS, ASKED_MS = _in_ms("pg_postmaster_start_time()"), _in_ms("clock_timestamp()")
BEGUN_MS = _in_ms("coalesce((SELECT backend_start FROM pg_stat_get_activity(pg_backend_pid())), clock_timestamp())")
"""When the server's end of the connection began: with the login, unless a pooler lent an older one. A role that works
as another one (`ALTER ROLE ... SET role`) may not see its own."""


def settings_as_json(column: str) -> str:
    """The SQL expression, on one line, that tells a session's settings; `column` of pg_settings holds the value. Every
    name and operator is spelled out, since it runs under the role's own search_path."""
    names = ", ".join(f"'{name}'" for name in _SETTINGS)
    each = (
        f"pg_catalog.json_build_object('setting', s.{column}, 'unit', s.unit, 'source', s.source, 'file', s.sourcefile)"
    )
    wanted = f"s.name OPERATOR(pg_catalog.=) ANY (ARRAY[{names}])"
    # All of it is fixed text.
    return f"(SELECT pg_catalog.json_object_agg(s.name, {each}) FROM pg_catalog.pg_settings s WHERE {wanted})"  # noqa: S608


@dataclass(frozen=True, slots=True)
class RoleSettings:
    """The role's effective settings, before this program set anything."""

    told: str = "{}"
    """JSON: name -> `setting`, `unit`, `source` and `file`, which not every role may see."""

    @property
    def of_scripts(self) -> Mapping[str, str]:
        """As far as they are told."""
        return {name: value for name in OF_SCRIPTS if (value := self.get(name)) is not None}

    def shown(self, name: str, column: str = "setting") -> str:
        """As `get`; empty where nobody tells, as of `data_directory` to a role without pg_read_all_settings."""
        return self.get(name, column) or ""

    def get(self, name: str, column: str = "setting") -> str | None:
        """None where nobody tells. The column `source`: where it was set, in pg_settings' words (`database user`)."""
        try:
            value = json.loads(self.told)[name][column]
        except (ValueError, KeyError, TypeError):
            return None
        return value if isinstance(value, str) else None


class Token(NamedTuple):
    """A piece of a script that means something to psql."""

    kind: str
    """`comment` to the line's end, `block` comment, `string`, `word`, `identifier` in quotes, `dollar` quoted string,
    `end` of a statement, `open` and `close` parenthesis, `cast`, psql `variable`, `escape`d sign, `command`'s name."""
    start: int
    end: int
    closed: bool = True
    """Otherwise the text ends within it."""


def next_token(text: str, at: int) -> Token | None:
    """The first one from `at` on, which is outside any token; what is not closed goes to the end of the text."""
    match = _TOKEN.search(text, at)
    if match is None:
        return None
    kind, end, closed = str(match.lastgroup), match.end(), match["cut"] is None
    if kind == "block":
        end, closed = _after_block_comment(text, end)
    elif kind == "string":
        string = (_PLAIN_STRING if match[0] == "'" else _ESCAPE_STRING).match(text, end)
        end, closed = (string.end(), string["cut"] is None) if string else (len(text), False)
    elif kind == "dollar":
        closing = text.find(match[0], end)
        end, closed = (len(text), False) if closing < 0 else (closing + len(match[0]), True)
    return Token(kind, match.start(), end, closed)


def _after_block_comment(text: str, at: int) -> tuple[int, bool]:
    """(where the block comment ends that `at` is in, whether it is closed). They nest; nothing else in them counts."""
    depth = 1
    while depth:
        edge = _BLOCK_EDGE.search(text, at)
        if edge is None:
            return len(text), False
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return at, True
