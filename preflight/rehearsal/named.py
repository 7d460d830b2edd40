"""A server of the site's own, named in `[rehearsal.server]` for rehearsals alone.

What is made there carries a mark, in its comment or in that of its owner, and is removed by it: at the end, or by the
next rehearsal where preflight or the server was killed meanwhile. A session holds a lock there as long as one works."""

import contextlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from preflight.plan import RehearsalServer
from preflight.plan.values import show_address
from preflight.questions.postgres import AllowedProbe
from preflight.questions.sql import bare_name, quote_identifier, quote_literal
from preflight.rehearsal import ScratchError
from preflight.rehearsal.account import Account
from preflight.rehearsal.processes import signals_deferred
from preflight.rehearsal.server import Server, reachable
from preflight.sessions.postgres.login import ca_file
from preflight.wording import named, one_line

_MARK = "made by preflight rehearse, which removes it"
_NEW_DATABASE = "preflight_rehearsal"
"""What a database is called until it has the mark."""
_CONNECT_SECONDS = "10"
_STATEMENT = re.compile(r"""(?:\s|--[^\n]*\n)*+((?:[^;'"]|'[^']*'|"[^"]*")++;)""")
"""One of those that pg_dumpall writes of roles, without the comments before it; it doubles quotes within quotes."""
_NAME = r'("(?:[^"]|"")+"|[^\s;"]+)'
_GRANTED = rf"GRANT (?:{_NAME}|[A-Z ,]+ ON PARAMETER {_NAME}) TO"
_CHANGED_ROLE = re.compile(rf"(CREATE ROLE|ALTER ROLE|COMMENT ON ROLE|{_GRANTED}) {_NAME}")
_GRANTED_BY = re.compile(r" GRANTED BY [^;]*;$")
"""Without it, who runs the statement grants: whom the other server names may not be allowed to here."""
_SEEN = """
SELECT system_identifier::text, current_setting('server_version_num')::int, pg_is_in_recovery(),
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), current_setting('autovacuum') = 'on',
  pg_try_advisory_lock(hashtextextended('preflight rehearse', 0))
FROM pg_control_system()"""
_MARKED_ROLES = f"SELECT oid FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = '{_MARK}'"  # noqa: S608
_MARKED_DATABASES = f"""
SELECT oid FROM pg_database WHERE datname = '{_NEW_DATABASE}'
  OR shobj_description(oid, 'pg_database') = '{_MARK}' OR datdba IN ({_MARKED_ROLES})"""  # noqa: S608
"""The owner may write another comment to it."""
_REACHES_MORE = """
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_roles r JOIN pg_roles login ON login.rolname IN ({logins})
      WHERE pg_has_role(login.oid, r.oid, 'MEMBER') AND (r.rolsuper OR r.rolcreaterole
        OR r.rolname IN ('pg_execute_server_program', 'pg_write_server_files')))
    OR EXISTS (SELECT FROM pg_parameter_acl JOIN pg_roles login ON login.rolname IN ({logins})
      WHERE has_parameter_privilege(login.oid, parname, 'ALTER SYSTEM')) THEN
    RAISE 'the role of the scripts may change the whole server, and what they change of it would stay there: '
      'take [rehearsal.server] out of the plan, so that they run on a server that is thrown away';
  END IF;
END $$;"""


@dataclass(frozen=True, slots=True)
class Place:
    """The server of `[rehearsal.server]`, as far as it is known before a session is opened there."""

    server: RehearsalServer
    ip: str
    """Its address is none of the plan's."""
    password: str
    system_identifiers: Mapping[str, str]
    """Of the plan's servers; with the database that each is known by."""


class NamedServer(Server):
    """It, while one rehearsal works there: as its superuser, and as roles with a password of that time."""

    reaches_network = True

    def __init__(
        self,
        place: Place,
        logins: Sequence[str],
        programs: Path,
        folder: Path,
        account: Account,
        settings: Mapping[str, str],
        allowed: Mapping[str, str],
    ) -> None:
        """`logins`: the roles of the scripts. `settings`: of the database that is made. `allowed`: what the real server
        lets them do, as `AllowedProbe` tells. Nothing is written before the server is known to be none of the plan's.
        Raises ScratchError."""
        folder.mkdir()
        account.give(folder)
        super().__init__(reachable(programs, folder, account), folder, account)
        self._place, self._logins, self._settings, self._allowed = place, logins, settings, allowed
        self.place, self._password = show_address(place.server.address, place.server.port), secrets.token_urlsafe(24)
        tls = {"sslmode": place.server.sslmode.value, "sslrootcert": ca_file(place.server)}
        way = {"connect_timeout": _CONNECT_SECONDS, "hostaddr": place.ip, **tls}
        told = {"host": place.server.address, "user": place.server.user, "password": place.password}
        self.parameters = {**told, "port": str(place.server.port), **way}
        of_roles = {**way, "password": self._password}
        self.login_environment = {f"PG{name.upper()}": each for name, each in of_roles.items()}
        self._makes: list[Callable[[], object]] = []
        self._lock = self._session("postgres", {})
        try:
            self._admit()
            self.clear()
            others = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1"
            if found := self.query(others).splitlines():
                raise self._refused(
                    f"holds the database {named(found)}, and a script reaches all of its server: "
                    "name a server that is there for rehearsals alone"
                )
        except BaseException:
            self._lock.close()
            raise

    def keep(self, make: Callable[[], object]) -> None:
        self._makes.append(make)

    def put_back(self) -> None:
        self.clear()
        for make in self._makes:
            make()

    def make_roles(self, dumped: str) -> None:
        """Those that are missing; what is there stays as it is."""
        there = {"PUBLIC", *self.query("SELECT rolname FROM pg_roles").splitlines()}
        if taken := [login for login in self._logins if login in there]:
            raise self._refused(f"has the role {named(taken)}, which is left as it is: name a server without it")
        statements, made = [], []
        for statement in _STATEMENT.findall(dumped):
            changed = _CHANGED_ROLE.match(statement)
            if changed is None or bare_name(changed[4]) not in there:
                statements.append(_GRANTED_BY.sub(";", statement))
                made += [changed[4]] if changed and changed[1] == "CREATE ROLE" else []
        statements += [f"COMMENT ON ROLE {name} IS {quote_literal(_MARK)};" for name in made]
        for login in self._logins:
            told = self._lock.pgconn.encrypt_password(self._password.encode(), login.encode(), b"scram-sha-256")
            word = quote_literal(told.decode())
            statements.append(f"ALTER ROLE {quote_identifier(login)} PASSWORD {word} VALID UNTIL 'infinity';")
        statements.append(_REACHES_MORE.format(logins=", ".join(map(quote_literal, self._logins))))
        self.execute("\n".join(statements))
        for login in self._logins:
            self._session("postgres", {"user": login, "password": self._password}).close()
        self._require_no_more_allowed()

    def create_database(self, name: str, options: str) -> None:
        self.execute(f"CREATE DATABASE {_NEW_DATABASE} TEMPLATE template0{options}")
        marked = f"COMMENT ON DATABASE {_NEW_DATABASE} IS {quote_literal(_MARK)}"
        quoted = quote_identifier(name)
        settings = [
            f"ALTER DATABASE {quoted} SET {key} = {value if key == 'search_path' else quote_literal(value)}"
            for key, value in self._settings.items()
        ]
        self.execute("; ".join([marked, f"ALTER DATABASE {_NEW_DATABASE} RENAME TO {quoted}", *settings]))

    def clear(self) -> None:
        """Removes what a rehearsal made there, also an earlier one that was killed. Raises ScratchError."""
        name = "SELECT datname FROM pg_database WHERE oid IN"
        for database in self.query(f"{name} ({_MARKED_DATABASES})").splitlines():
            self.drop_database(database)
        role = "SELECT string_agg(quote_ident(rolname), ', ') FROM pg_roles WHERE oid IN"
        if roles := self.query(f"{role} ({_MARKED_ROLES})"):
            self.query(f"DROP OWNED BY {roles}; DROP ROLE {roles}")

    def leave(self, say: Callable[[str], None]) -> None:
        """Removes all that was made, and says so where it cannot."""
        with signals_deferred(), contextlib.closing(self._lock):
            try:
                self.clear()
            except ScratchError as error:
                say(
                    f"what was made on {self.place} is still there ({one_line(str(error))}): the next rehearsal "
                    "removes it; or drop there the databases and roles with the comment "
                    f"{quote_literal(_MARK)} (psql: \\l+ and \\du+)"
                )

    def _session(self, database: str, role: Mapping[str, str]) -> psycopg.Connection[Any]:
        """Of the superuser, or of the role that is named in its place. Raises ScratchError."""
        try:
            return self.connect(database, role)
        except psycopg.Error as error:
            user = role.get("user", self._place.server.user)
            raise self._refused(f"does not let {user} in from here: {one_line(str(error))}") from None

    def _admit(self) -> None:
        """Raises ScratchError for a server that a rehearsal must not or cannot work on."""
        row = self._lock.execute(_SEEN).fetchone()
        assert row is not None  # noqa: S101 - it gives one row
        system, self.version_num, replica, superuser, vacuums, alone = row
        if known := self._place.system_identifiers.get(system):
            raise self._refused(
                f"is the server of {known} or a copy of its files, by its system identifier {system}: "
                "name one that initdb made for rehearsals"
            )
        user = self._place.server.user
        if replica:
            raise self._refused("is a replica, on which nothing can be written: name another one")
        if not superuser:
            cure = f"ALTER ROLE {quote_identifier(user)} SUPERUSER"
            raise self._refused(f"lets only a superuser make event triggers, and {user} is none: run there: {cure}")
        if vacuums:
            cure = "ALTER SYSTEM SET autovacuum = off; SELECT pg_reload_conf()"
            raise self._refused(f"runs autovacuum, whose work would be taken for the scripts': run there: {cure}")
        if not alone:
            raise self._refused("is in use by another rehearsal: wait for its end")
        self._require_no_more_allowed()

    def _require_no_more_allowed(self) -> None:
        """Raises ScratchError where something could pass here and fail at the real server."""
        told = self._lock.execute(AllowedProbe("", tuple(self._logins), self.version_num).ask().encode()).fetchall()
        own = [(name, value) for name, value in told if not name.startswith(("extension ", "role "))]
        real = {name: self._allowed.get(name, "none") for name, _ in own}
        if others := [f"{name} is {value} (real server: {real[name]})" for name, value in own if value != real[name]]:
            raise self._refused(
                f"lets scripts do what the real server may not: {named(others)}: have the setting or library as the "
                "real one, in postgresql.conf and by a restart (a role with pg_read_all_settings sees its libraries); "
                "the tablespace dropped, or CREATE on it revoked from PUBLIC; or name another server"
            )

    def _refused(self, why: str) -> ScratchError:
        return ScratchError(f"the server {self.place} of [rehearsal.server] {why}")
