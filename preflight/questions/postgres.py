"""Questions to a database server about who answers, the roles that will work, and how many may. One SQL statement
each; they need no more than CONNECT. Values are cast to text, since text means the same in every version."""

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from preflight.probe import Family, Reply, Unreadable
from preflight.questions import fields
from preflight.questions.shell import ShellProbe, quoted
from preflight.questions.sql import ASKED_MS, STARTED_MS, RoleSettings, SqlProbe, array_of, quote_literal


@dataclass(frozen=True, slots=True)
class Identity:
    """Which server answered, and what the connection knows of itself."""

    user: str
    database: str
    version_num: int
    in_recovery: bool
    server_address: str | None
    """As the server sees it; None for a socket."""
    client_port: int | None
    backend_pid: int
    """Process id at the server; another than the client library's when a pooler is between."""
    cluster_name: str
    port: int
    """The server's own, which differs from the dialled one behind a forwarded port or a pooler."""
    started_ms: int
    """When the server was started, by its own clock; milliseconds since 1970."""
    asked_ms: int
    oid: str
    session: Mapping[str, str] = field(default_factory=dict)

    @property
    def pooled(self) -> bool:
        """Somebody between us and the server answers for it."""
        seen = self.session.get("backend_pid", "")
        return bool(seen) and seen != str(self.backend_pid)

    @property
    def settings(self) -> RoleSettings:
        return RoleSettings(self.session.get("settings", "{}"))


class IdentityProbe(SqlProbe[Identity]):
    """Who answers, as any role may ask it."""

    family = Family.IDENTITY
    text = f"""\
SELECT current_user::text AS "user", current_database()::text AS database,
  current_setting('server_version_num') AS version_num, pg_is_in_recovery()::text AS in_recovery,
  host(inet_server_addr()) AS server_address,
  inet_client_port()::text AS client_port, pg_backend_pid()::text AS backend_pid,
  current_setting('cluster_name') AS cluster_name, current_setting('port') AS port,
  {STARTED_MS} AS started_ms, {ASKED_MS} AS asked_ms,
  (SELECT oid FROM pg_database WHERE datname = current_database())::text AS oid"""  # noqa: S608 - fixed text

    def read(self, reply: Reply) -> Identity:
        return fields.read_row(Identity, reply, session=dict(reply.session))


class DatabasesProbe(SqlProbe[tuple[str, ...]]):
    """The server's databases that people work in, as any role may see them."""

    family = Family.IDENTITY
    text = """\
SELECT datname::text AS value FROM pg_database
WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres' ORDER BY datname"""

    def read(self, reply: Reply) -> tuple[str, ...]:
        return tuple(row.value for row in fields.read_rows(fields.Value, reply))


class SystemIdentifierProbe(SqlProbe[str]):
    """The cluster's system identifier; empty where the role may not see it. Clones and standbys share it."""

    family = Family.IDENTITY
    text = "SELECT system_identifier::text AS value FROM pg_control_system()"

    def read(self, reply: Reply) -> str:
        if reply.code != 0 and reply.error.startswith(("42501", "0A000", "55000")):  # not allowed, or not supported
            return ""
        return fields.read_row(fields.Value, reply).value


class TimelineProbe(SystemIdentifierProbe):
    """The cluster's timeline, a higher one from each promotion and each recovery from a backup on; empty where it may
    not be seen. Until the first checkpoint after it only `min_recovery_end_timeline` tells; a replica tells it late."""

    text = """\
SELECT greatest(timeline_id, min_recovery_end_timeline)::text AS value
FROM pg_control_checkpoint(), pg_control_recovery()"""


SERVER_WIDE = ("max_locks_per_transaction", "max_prepared_transactions", "track_commit_timestamp", "wal_level")
"""The settings that decide what a statement may do and that no role, database or session can have otherwise."""
NO_ALTER_SYSTEM = "allow_alter_system"
"""Likewise, where it is off; known since PostgreSQL 17."""

_PARAMETER_RIGHTS = 150000
"""Since this version a role may be given the right to set a parameter."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What one server lets statements do, and another may not."""

    name: str
    """A setting; or `library`, `tablespace`, `extension`, `role`, `member of` with a name; or a right on something."""
    setting: str
    """Of an extension its owner, whom no dump tells."""


@dataclass(frozen=True)
class AllowedProbe(SqlProbe[Mapping[str, str]]):
    """`Allowed`, by name. A role without pg_read_all_settings sees no libraries."""

    family = Family.IDENTITY
    logins: tuple[str, ...]
    """Roles of which it tells where they may create, which parameters they may set, and whose members they are."""
    version: int
    """Of the server, as `server_version_num`."""

    def ask(self) -> str:
        # Names are quoted as literals; everything else is fixed text.
        parameters = f"""
UNION ALL SELECT format('SET ON PARAMETER %s TO %I', parname, rolname), 'granted' FROM pg_parameter_acl, pg_roles
WHERE rolname = ANY ({array_of(self.logins)}) AND has_parameter_privilege(rolname, parname, 'SET')"""  # noqa: S608
        return f"""\
SELECT name, setting FROM pg_settings
WHERE name = ANY ({array_of(SERVER_WIDE)}) OR name = '{NO_ALTER_SYSTEM}' AND setting = 'off'
UNION ALL SELECT 'library ' || btrim(library), 'loaded'
FROM pg_settings, regexp_split_to_table(setting, ',') library
WHERE name LIKE '%\\_preload\\_libraries' AND library <> ''
UNION ALL SELECT 'extension ' || extname, pg_get_userbyid(extowner) FROM pg_extension
UNION ALL SELECT 'role ' || quote_ident(rolname), 'made' FROM pg_roles WHERE rolname !~ '^pg_'
UNION ALL SELECT format('member of %I: %I', other.rolname, r.rolname), 'granted' FROM pg_roles r, pg_roles other
WHERE r.rolname = ANY ({array_of(self.logins)}) AND NOT r.rolsuper AND r.oid <> other.oid
  AND pg_has_role(r.oid, other.oid, 'MEMBER')
UNION ALL SELECT 'extension files of ' || name || ' ' || version, 'there'
FROM pg_available_extension_versions WHERE installed
UNION ALL SELECT 'tablespace ' || quote_ident(spcname), 'made' FROM pg_tablespace
UNION ALL SELECT format('CREATE ON TABLESPACE %I TO %I', spcname, rolname), 'granted'
FROM pg_tablespace t, pg_roles r
WHERE rolname = ANY ({array_of(self.logins)}) AND has_tablespace_privilege(r.oid, t.oid, 'CREATE')\
{parameters if self.version >= _PARAMETER_RIGHTS else ""}"""  # noqa: S608

    def read(self, reply: Reply) -> Mapping[str, str]:
        told = {row.name: row.setting for row in fields.read_rows(Allowed, reply)}
        if not set(SERVER_WIDE) <= told.keys():
            raise Unreadable("a setting of the server is missing")
        return told


@dataclass(frozen=True, slots=True)
class Replay:
    """How far a replica is behind its primary."""

    paused: bool
    receives: bool
    """A WAL receiver runs: it is connected to a primary, or tries to be."""
    caught_up: bool
    """All that it received is replayed."""
    behind_ms: fields.Count | None
    """Age of the last transaction that was replayed; None where there was none since the start."""
    sender: str
    """Address and port that it receives from, a primary's or replica's; empty for a role without pg_read_all_stats."""

    @property
    def lag(self) -> timedelta | None:
        """None where it is not known: nothing is received, so there may be more to replay, or the primary idle."""
        if self.receives and self.caught_up:
            return timedelta()
        return timedelta(milliseconds=self.behind_ms) if self.receives and self.behind_ms is not None else None


class ReplayProbe(SqlProbe[Replay]):
    """Asks a replica, as any role may."""

    text = """\
SELECT pg_is_wal_replay_paused()::text AS paused, EXISTS (SELECT FROM pg_stat_wal_receiver)::text AS receives,
  coalesce(pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn(), false)::text AS caught_up,
  floor(greatest(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0) * 1000)::bigint::text
    AS behind_ms,
  coalesce((SELECT sender_host || ':' || sender_port FROM pg_stat_wal_receiver), '') AS sender"""

    def read(self, reply: Reply) -> Replay:
        return fields.read_row(Replay, reply)


@dataclass(frozen=True, slots=True)
class DatabaseRole:
    name: str
    can_login: bool
    is_superuser: bool
    connection_limit: int
    """-1 for none."""
    valid_until: fields.Until | None
    """UTC; until then its password is accepted. None for no end."""
    has_connect: bool
    """CONNECT on the database asked."""
    sessions: int
    """Its connections now, in all databases."""


@dataclass(frozen=True)
class RolesProbe(SqlProbe[Mapping[str, DatabaseRole]]):
    """The roles of these names that exist; a name that is missing has no role."""

    family = Family.ACCESS
    names: tuple[str, ...]

    def ask(self) -> str:
        names = ", ".join(quote_literal(name) for name in self.names)
        # Names of roles are quoted as literals; everything else is fixed text.
        return f"""\
SELECT rolname::text AS name, rolcanlogin::text AS can_login, rolsuper::text AS is_superuser,
  rolconnlimit::text AS connection_limit,
  CASE WHEN rolvaliduntil IS NULL OR rolvaliduntil = 'infinity' THEN NULL
    WHEN rolvaliduntil = '-infinity' OR rolvaliduntil < '0001-01-01' THEN '0'
    ELSE floor(extract(epoch FROM rolvaliduntil))::bigint::text END AS valid_until,
  has_database_privilege(oid, current_database(), 'CONNECT')::text AS has_connect,
  (SELECT count(*) FROM pg_stat_activity WHERE usesysid = pg_roles.oid)::text AS sessions
FROM pg_roles WHERE rolname IN ({names})"""  # noqa: S608

    def read(self, reply: Reply) -> Mapping[str, DatabaseRole]:
        roles = fields.read_rows(DatabaseRole, reply)
        if not {role.name for role in roles} <= set(self.names):
            raise Unreadable("a role nobody asked for")
        return {role.name: role for role in roles}


@dataclass(frozen=True, slots=True)
class Slots:
    """Connections of the server and of the database, our own counted among them."""

    most: int
    """For ordinary roles: max_connections less the reserved ones."""
    used: int
    database_limit: int
    """-1 for none."""
    database_used: int
    wal_senders: int
    """Free for base backups."""


@dataclass(frozen=True)
class SlotsProbe(SqlProbe[Slots]):
    """How many connections there may be, and are. `numbackends` shows everybody's to any role; pg_stat_activity
    hides which of its rows are clients."""

    copying: tuple[str, ...] = ()
    """Roles that take base backups. Their WAL senders count as free: they may be logins of this run on the host."""

    def ask(self) -> str:
        roles = ", ".join(quote_literal(name) for name in self.copying)
        # Names of roles are quoted as literals; everything else is fixed text.
        return f"""\
SELECT (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int)::text AS most,
  (SELECT sum(numbackends) FROM pg_stat_database)::text AS used,
  datconnlimit::text AS database_limit,
  (SELECT numbackends FROM pg_stat_database s WHERE s.datid = d.oid)::text AS database_used,
  (current_setting('max_wal_senders')::int
    - (SELECT count(*) FROM pg_stat_replication WHERE usename <> ALL (ARRAY[{roles}]::name[])))::text AS wal_senders
FROM pg_database d WHERE datname = current_database()"""  # noqa: S608

    def read(self, reply: Reply) -> Slots:
        return fields.read_row(Slots, reply)


@dataclass(frozen=True, slots=True)
class Backend:
    """What a host shows of one database connection."""

    titles: tuple[tuple[int, str], ...]
    """(process id, title) of its PostgreSQL processes that carry the connection's role, database and client port."""
    sees_all: bool
    """The account may see the processes of others; without that, no process found means nothing."""
    addresses: frozenset[str]
    """The host's own IP addresses."""


@dataclass(frozen=True)
class BackendProbe(ShellProbe[Backend]):
    """Looks on a host for the server process of one open connection. Its title (`postgres: ROLE DATABASE
    ADDRESS(PORT) idle`) is readable to every account; a container's processes show up under other ids."""

    family = Family.IDENTITY
    user: str
    database: str
    client_port: int

    def ask(self) -> str:
        # grep finds itself and this shell too; only titles of PostgreSQL are kept.
        pattern = f"({self.client_port})"
        return f"""\
for file in $(grep -lsF -e {quoted(pattern)} /proc/[0-9]*/cmdline 2>/dev/null); do
  pid=${{file#/proc/}}; pid=${{pid%/cmdline}}
  title=$({{ tr '\\0' ' ' <"$file" | head -n 1 | cut -c 1-300; }} 2>/dev/null)
  case $title in postgres:*) printf 'backend=%s %s\\n' "$pid" "$title" ;; esac
done
if [ -n "$({{ tr -d '\\0' </proc/1/cmdline; }} 2>/dev/null)" ]; then echo sees_all=yes; else echo sees_all=no; fi
PATH=$PATH:/usr/sbin:/sbin
{{ ip -o addr show || ifconfig -a || hostname -I | tr ' ' '\\n' | sed 's/^/inet /'; }} 2>/dev/null |
  grep -o 'inet6* [^ ]*' | sed 's/^/address=/'
echo end=yes"""

    def read(self, reply: Reply) -> Backend:
        told = fields.read_fields(fields.output_of(reply))
        session = f"{re.escape(self.user)} {re.escape(self.database)}"
        wanted = re.compile(rf"postgres: (?:.*: )?{session} \S*\({self.client_port}\)(?: |$)")
        processes = (line.partition(" ") for line in told.pop("backend", []))
        titles = [(fields.whole_number(pid), title.strip()) for pid, _, title in processes]
        addresses = set()
        for line in told.pop("address", []):
            word = line.partition(" ")[2].removeprefix("addr:").partition("/")[0].partition("%")[0]
            with suppress(ValueError):
                addresses.add(str(ipaddress.ip_address(word)))
        own = tuple((pid, title) for pid, title in titles if wanted.match(title))
        return fields.read_lines(Backend, told, titles=own, addresses=frozenset(addresses))
