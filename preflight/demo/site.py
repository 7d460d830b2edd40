"""The demo's whole site: three hosts, two databases, two applications, and the plan that describes them.

Everything lives in folders made for the occasion and is gone when the site is left, however it is left.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Self

import paramiko

from preflight import clock
from preflight.demo import plan_file
from preflight.demo.account import new_folder, new_memory_folder, site_account
from preflight.demo.health_app import ROOT_CERTIFICATE, HealthApp
from preflight.demo.host import DemoHost
from preflight.demo.postgres import Postgres, find_programs
from preflight.demo.ssh_server import Login
from preflight.evidence import write_private

PLAN_NAME = "demo.toml"
DATABASE_HOSTS = {"orders": "db1", "billing": "db2"}
_SQL = Path(__file__).parent / "sql"
_LEAST_MEMORY_BYTES = 256 * 1024 * 1024
_APP1_RELEASE = "srv/app1/releases/4.1.tar.gz"
_NEWEST_BACKUP_AGE = timedelta(hours=1)
_BACKUP_INTERVAL = timedelta(days=1)
_ROLE_LEFT = timedelta(hours=2, minutes=30)
"""On the night: how far into the window the database role still works."""
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoSite:
    """A context manager: inside, the site runs and `plan_path` is the plan against it."""

    def __init__(self, *, soon: bool = False) -> None:
        """The window is the coming night; `soon`: it is about to begin instead."""
        self._moment = clock.now()
        window_of = plan_file.window_about_now if soon else plan_file.next_window
        self.window = window_of(self._moment)
        self._stack = ExitStack()
        self._passwords = {name: secrets.token_urlsafe(12) for name in ("db1", "release", "backup")}

    @property
    def plan_path(self) -> Path:
        return self.folder / "plan" / PLAN_NAME

    def __enter__(self) -> Self:
        """Starts everything. Raises DemoError when this machine cannot, with nothing left behind."""
        steps = (
            self._make_folders,
            self._start_postgres,
            self._start_hosts,
            self._stage,
            self._start_apps,
            self._write_plan_folder,
        )
        try:
            for step in steps:
                with signals_deferred():
                    step()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._close()

    def break_night(self) -> None:
        """Breaks the site, and what its plan leaves open, as on the night the tool exists for."""
        self.write_plan(night=True)
        self.hosts["db1"].server.refuse_login = True
        self._drop_backup_location()
        self._change_staged_script()
        self._truncate_newest_backup()
        start, end = (clock.local_to_utc(moment, plan_file.ZONE) for moment in self.window)
        self.postgres.query(f"ALTER ROLE release VALID UNTIL '{(start + _ROLE_LEFT).isoformat()}'")
        # An account is refused from 00:00 UTC of the day chage names; the window ends in the morning of that day.
        self.hosts["app1-a"].expire_account(end.date())
        self.apps["app2"].version = "2.6"

    def _close(self) -> None:
        """Last started, first stopped; safe to call twice."""
        with signals_deferred():
            self._stack.close()

    def _make_folders(self) -> None:
        self._account = site_account()
        self.folder = new_folder(self._account)
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        memory = new_memory_folder(_LEAST_MEMORY_BYTES)
        if memory:
            self._stack.callback(shutil.rmtree, memory, ignore_errors=True)
        self._database_folder = (memory or self.folder) / "postgres"

    def _start_postgres(self) -> None:
        programs = find_programs()
        self.postgres = Postgres(programs, self._database_folder, self.folder / "s", self._account)
        self._stack.callback(self.postgres.stop)
        # psql reads a value after -v from its arguments, where everybody could read it; \set comes on standard input.
        known = "".join(f"\\set {name}_password '{self._passwords[name]}'\n" for name in ("release", "backup"))
        self.postgres.query(known + (_SQL / "tables.sql").read_text())

    def _start_hosts(self) -> None:
        self._key = paramiko.ECDSAKey.generate()
        by_password = Login("dbadmin", password=self._passwords["db1"])
        self.hosts: dict[str, DemoHost] = {}
        self._start_host("db1", by_password, become=("postgres",), database=True)
        self._start_host("db2", Login("dbadmin", key=self._key), database=True)
        self._start_host("app1-a", Login("appadmin", key=self._key))

    def _start_host(self, name: str, login: Login, *, become: Sequence[str] = (), database: bool = False) -> None:
        """A host; on a database host the client programs and the login to the local server are set up."""
        path = self.postgres.programs if database else None
        local = {"PGHOST": str(self.postgres.sockets), "PGPORT": str(self.postgres.port)} if database else {}
        host = DemoHost(self.folder / name, self._account, login, become=become, path=path, environment=local)
        self._stack.callback(host.stop)
        self.hosts[name] = host
        if database:
            lines = (f"*:*:*:{role}:{self._passwords[role]}\n" for role in ("release", "backup"))
            host.put("home/.pgpass", "".join(lines).encode(), mode=0o600)

    def _stage(self) -> None:
        """What lies on the hosts before the window: approved scripts, backups, the old release."""
        for database, name in DATABASE_HOSTS.items():
            host = self.hosts[name]
            host.folder(f"backup/{database}")
            for script in _scripts(database):
                host.put(f"release/{database}/{script.relative_to(_SQL / database)}", script.read_bytes())
            self._back_up(host, database)
        self.hosts["app1-a"].put(_APP1_RELEASE, secrets.token_bytes(20_000))
        self.hosts["app1-a"].put("maintenance.html", b"<h1>Back at six</h1>\n")

    def _back_up(self, host: DemoHost, database: str) -> None:
        """Two backups by pg_dump, the newer one an hour old: text, since an archive with another time is no measure."""
        folder = host.folder(f"archive/{database}")
        made_at = self._moment - _NEWEST_BACKUP_AGE
        newest = folder / f"{database}-{made_at:%Y%m%d}.dump"
        self.postgres.run("pg_dump", "-Fp", "-C", "-Z6", "-f", newest, database)
        older_at = made_at - _BACKUP_INTERVAL
        older = host.put(f"archive/{database}/{database}-{older_at:%Y%m%d}.dump", newest.read_bytes())
        for file, moment in ((newest, made_at), (older, older_at)):
            os.utime(file, (moment.timestamp(), moment.timestamp()))

    def _start_apps(self) -> None:
        self.apps: dict[str, HealthApp] = {}
        for name, version in (("app1", "4.1"), ("app2", "2.7")):
            self.apps[name] = app = HealthApp(name, version)
            self._stack.callback(app.stop)

    def _write_plan_folder(self) -> None:
        """The plan with everything it names: approved scripts, manifests, pinned host keys, credentials."""
        folder = self.plan_path.parent
        (folder / "secrets").mkdir(parents=True)
        folder.chmod(0o700)
        for name, password in self._passwords.items():
            write_private(folder / "secrets" / f"{name}.password", password + "\n")
        self._key.write_private_key_file(str(folder / "secrets" / "login.key"))
        shutil.copyfile(ROOT_CERTIFICATE, folder / "ca.pem")
        for database in DATABASE_HOSTS:
            self._write_approved(folder / "sql", database)
        pinned = "".join(host.server.known_hosts_line() for host in self.hosts.values())
        self.plan_path.with_suffix(".known_hosts").write_text(pinned)
        self.write_plan()

    def write_plan(self, *, night: bool = False) -> None:
        """Writes the plan against the running site; `night`: with what was left open then."""
        tls = ('sslmode  = "verify-full"', 'sslrootcert = "ca.pem"') if self.postgres.tls else ('sslmode  = "disable"',)
        facts = {
            "tls": "\n".join(tls),
            "postgres_port": str(self.postgres.port),
            "postgres_version": self.postgres.major_version,
            "system_identifier": self.postgres.query("SELECT system_identifier FROM pg_control_system()"),
            "app1_release_sha256": _sha256(self.hosts["app1-a"].root / _APP1_RELEASE),
        }
        for name, host in self.hosts.items():
            key = name.replace("-", "_")
            facts |= {key: str(host.root), f"{key}_port": str(host.server.port)}
        facts |= {f"{name}_url": app.url for name, app in self.apps.items()}
        plan_file.write(self.plan_path, self._moment, self.window, facts, night=night)

    def _write_approved(self, folder: Path, database: str) -> None:
        """The approved scripts and their manifest, in the format of sha256sum."""
        lines = []
        for script in _scripts(database):
            name = script.relative_to(_SQL / database)
            target = folder / database / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(script, target)
            lines.append(f"{_sha256(target)}  {name.as_posix()}\n")
        (folder / f"{database}.SHA256SUMS").write_text("".join(lines))

    def _drop_backup_location(self) -> None:
        """The folder is not on the server: the backup could only go over the network to another machine."""
        (self.hosts["db2"].root / "backup/billing").rmdir()

    def _change_staged_script(self) -> None:
        """Somebody improved a script after its approval, on the server only."""
        approved = (_SQL / "billing/020_rounding.sql").read_bytes()
        self.hosts["db2"].put("release/billing/020_rounding.sql", approved.replace(b"total, 2)", b"total, 1)"))

    def _truncate_newest_backup(self) -> None:
        """The disk was full for a moment: the newest backup ends in the middle."""
        newest = max((self.hosts["db2"].root / "archive/billing").iterdir(), key=lambda file: file.stat().st_mtime)
        before = newest.stat()
        os.truncate(newest, before.st_size * 6 // 10)
        os.utime(newest, (before.st_mtime, before.st_mtime))


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Signals that come inside take effect on leaving.

    Starting a server and noting that it must be stopped are two steps; an interrupt between them would leave the
    server behind, and an impatient second Ctrl-C would do so while the first one clears up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {which: signal.signal(which, lambda number, _frame: came.append(number)) for which in _ENDING}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
        if came:
            signal.raise_signal(came[0])


def _scripts(database: str) -> list[Path]:
    return sorted((_SQL / database).rglob("*.sql"))


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
