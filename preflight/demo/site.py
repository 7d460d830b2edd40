"""The demo's whole site: three hosts, two databases, two applications, and the plan that describes them.

Everything lives in folders made for the occasion and is gone when the site is left, however it is left."""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, time, timedelta
from pathlib import Path
from string import Template
from typing import Self

import paramiko

from preflight import clock
from preflight.demo.health_app import ROOT_CERTIFICATE, HealthApp
from preflight.demo.host import DemoHost
from preflight.demo.people import all_confirmed
from preflight.demo.postgres import Postgres
from preflight.demo.ssh_server import Login
from preflight.evidence import write_private
from preflight.plan.confirmed import format_confirmed
from preflight.plan.load import load_plan
from preflight.plan.manifest import format_manifest
from preflight.questions.schema_sql import SCHEMA_SQL
from preflight.rehearsal.account import READABLE, new_folder, new_memory_folder, site_account
from preflight.rehearsal.processes import REMOVE, STOP, run_at_the_end, signals_deferred
from preflight.rehearsal.server import find_programs

_ZONE = "America/New_York"
_WINDOW_HOURS = 6
_SOONEST = timedelta(hours=1)
_DATABASE_HOSTS = {"orders": "db1", "billing": "db2"}
_SQL = Path(__file__).parent / "sql"
_TEMPLATE = Path(__file__).parent / "plan.template.toml"
_TESTED = """[[tested]]
versions = {{ app1 = "4.2", app2 = "{app2}" }}
on       = {on}
evidence = "regression run {run}"
"""
_LEAST_MEMORY_BYTES = 256 * 1024 * 1024
_APP1_RELEASE = "srv/app1/releases/4.1.tar.gz"
_NEWEST_BACKUP_AGE = timedelta(hours=1)
_BACKUP_INTERVAL = timedelta(days=1)
_REHEARSED_BEFORE = timedelta(days=7)
_FREE_AFTER = timedelta(days=7)
"""How long after the window the demo's change freeze begins."""
_CONFIRMED_BEFORE = timedelta(minutes=30)
_ROLE_LEFT = timedelta(hours=2, minutes=30)
"""On the night: how far into the window the database role still works."""


def next_window(moment: datetime) -> tuple[datetime, datetime]:
    """Start and end, naive local times of the site: the next midnight that is at least an hour away, and six hours on.

    Midnight and six o'clock exist once on every day there: clocks change at two."""
    day = (moment + _SOONEST).astimezone(clock.zone(_ZONE)).date() + timedelta(days=1)
    start = datetime.combine(day, time())
    return start, start + timedelta(hours=_WINDOW_HOURS)


def _window_about_now(moment: datetime) -> tuple[datetime, datetime]:
    """A window that is about to begin, for the gate: the next quarter of an hour, and six hours on."""
    start = moment.astimezone(clock.zone(_ZONE)).replace(tzinfo=None, second=0, microsecond=0)
    start += timedelta(minutes=15 - start.minute % 15)
    return start, start + timedelta(hours=_WINDOW_HOURS)


class DemoSite:
    """A context manager: inside, the site runs and `plan_path` is the plan against it."""

    def __init__(self, *, soon: bool = False, rehearsed: bool = False) -> None:
        """The window is the coming night; `soon`: it is about to begin instead. `rehearsed`: `preflight rehearse` is
        called inside; without it the plan leaves that out."""
        self._rehearsed = rehearsed
        self._moment = clock.now()
        self.window = (_window_about_now if soon else next_window)(self._moment)
        self._stack = ExitStack()
        self._passwords = {name: secrets.token_urlsafe(12) for name in ("db1", "release", "backup")}

    @property
    def plan_path(self) -> Path:
        return self.folder / "plan" / "demo.toml"

    def __enter__(self) -> Self:
        """Starts everything. Raises ScratchError when this machine cannot, with nothing left behind."""
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

    def drift(self) -> None:
        """Somebody tries the first script of billing by hand, and leaves its column behind."""
        self.postgres.query("ALTER TABLE invoices ADD COLUMN IF NOT EXISTS currency text", "billing")

    def break_night(self) -> None:
        """Breaks the site, and what its plan leaves open, as on the night the tool exists for."""
        self._write_plan(night=True)
        db2 = self.hosts["db2"]
        self.hosts["db1"].server.refuse_login = True
        # The folder is not on the server: the backup could only go over the network to another machine.
        (db2.root / "backup/billing").rmdir()
        # Somebody improved a script after its approval, on the server only.
        approved = (_SQL / "billing/020_rounding.sql").read_bytes()
        db2.put("release/billing/020_rounding.sql", approved.replace(b"total, 2)", b"total, 1)"))
        self.drift()
        # The disk was full for a moment: the newest backup ends in the middle.
        newest = max((db2.root / "archive/billing").iterdir(), key=lambda file: file.stat().st_mtime)
        before = newest.stat()
        os.truncate(newest, before.st_size * 6 // 10)
        os.utime(newest, (before.st_mtime, before.st_mtime))
        start, end = (clock.local_to_utc(moment, _ZONE) for moment in self.window)
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
        self._stack.callback(os.umask, os.umask(READABLE))
        self.folder = new_folder(self._account)
        memory = new_memory_folder(_LEAST_MEMORY_BYTES)
        folders = [self.folder, *([memory] if memory else [])]
        removals = [self._stack.enter_context(run_at_the_end(REMOVE, folder)) for folder in folders]
        self._database_folder = (memory or self.folder) / "postgres"
        self._stack.enter_context(run_at_the_end(STOP, self._database_folder / "data", self._account, removals))

    def _start_postgres(self) -> None:
        self.postgres = Postgres(find_programs(), self._database_folder, self.folder / "s", self._account)
        # psql reads a value after -v from its arguments, where everybody could read it; \set comes on standard input.
        known = "".join(f"\\set {name}_password '{self._passwords[name]}'\n" for name in ("release", "backup"))
        self.postgres.query(known + (_SQL / "tables.sql").read_text())

    def _start_hosts(self) -> None:
        self._key = paramiko.ECDSAKey.generate()
        self.hosts: dict[str, DemoHost] = {}
        self._start_host("db1", Login("dbadmin", password=self._passwords["db1"]), become=("postgres",), database=True)
        self._start_host("db2", Login("dbadmin", key=self._key), database=True)
        self._start_host("app1-a", Login("appadmin", key=self._key))

    def _start_host(self, name: str, login: Login, *, become: Sequence[str] = (), database: bool = False) -> None:
        """A host; on a database host the client programs and the login to the local server are set up."""
        path = self.postgres.programs if database else None
        local = {"PGHOST": str(self.postgres.sockets), "PGPORT": str(self.postgres.port)} if database else {}
        host = DemoHost(self.folder / name, self._account, login, become=become, path=path, environment=local)
        self._stack.callback(host.server.stop)
        self.hosts[name] = host
        if database:
            lines = (f"*:*:*:{role}:{self._passwords[role]}\n" for role in ("release", "backup"))
            host.put("home/.pgpass", "".join(lines).encode(), mode=0o600)

    def _stage(self) -> None:
        """What lies on the hosts before the window: approved scripts, backups, the old release."""
        for database, name in _DATABASE_HOSTS.items():
            host = self.hosts[name]
            host.folder(f"backup/{database}")
            for script in _scripts(database):
                host.put(f"release/{database}/{script.relative_to(_SQL / database)}", script.read_bytes())
            self._back_up(host, database)
        self.hosts["app1-a"].put(_APP1_RELEASE, secrets.token_bytes(20_000))
        self.hosts["app1-a"].put("maintenance.html", b"<h1>Back at six</h1>\n")

    def _back_up(self, host: DemoHost, database: str) -> None:
        """Two backups by pg_dump, a day between them.

        The newer one of orders is an archive of this very moment: its times are true, so they tell how long it took.
        That of billing, which the night breaks, is an hour old, or it could be one that is just being written; it is
        text, since an archive with another time is no measure. So is that of orders where files have no birth."""
        folder = host.folder(f"archive/{database}")
        birth = subprocess.run(["stat", "-c", "%W", folder], capture_output=True, check=False)
        is_archive = database == "orders" and birth.stdout.strip() not in (b"", b"0", b"-")
        made_at = self._moment if is_archive else self._moment - _NEWEST_BACKUP_AGE
        newest = folder / f"{database}-{made_at:%Y%m%d}.dump"
        self.postgres.run("pg_dump", *(("-Fc",) if is_archive else ("-Fp", "-C", "-Z6")), "-f", newest, database)
        older_at = made_at - _BACKUP_INTERVAL
        older = host.put(f"archive/{database}/{database}-{older_at:%Y%m%d}.dump", newest.read_bytes())
        for file, moment in ((older, older_at), *([] if is_archive else [(newest, made_at)])):
            os.utime(file, (moment.timestamp(), moment.timestamp()))

    def _start_apps(self) -> None:
        self.apps: dict[str, HealthApp] = {}
        for name, version in (("app1", "4.1"), ("app2", "2.7")):
            self.apps[name] = app = HealthApp(name, version)
            self._stack.callback(app.stop)

    def _write_plan_folder(self) -> None:
        """The plan and all it names: approved scripts, manifests, host keys, sealed servers, schemas, credentials."""
        folder = self.plan_path.parent
        (folder / "secrets").mkdir(parents=True)
        folder.chmod(0o700)
        for name, password in self._passwords.items():
            write_private(folder / "secrets" / f"{name}.password", password + "\n")
        self._key.write_private_key_file(str(folder / "secrets" / "login.key"))
        shutil.copyfile(ROOT_CERTIFICATE, folder / "ca.pem")
        for database in _DATABASE_HOSTS:
            shutil.copytree(_SQL / database, folder / "sql" / database)
            hashes = {each.relative_to(_SQL / database).as_posix(): _sha256(each) for each in _scripts(database)}
            (folder / "sql" / f"{database}.SHA256SUMS").write_text(format_manifest(hashes))
        pinned = "".join(host.server.known_hosts_line() for host in self.hosts.values())
        self.plan_path.with_suffix(".known_hosts").write_text(pinned)
        server = {
            "system_identifier": self.postgres.query("SELECT system_identifier FROM pg_control_system()"),
            "port": self.postgres.port,
            "data_directory": self.postgres.query("SHOW data_directory"),
            "addresses": [self.postgres.address],
            "timeline": "1",
        }
        oid = "SELECT oid FROM pg_database WHERE datname = current_database()"
        databases = {name: {**server, "oid": self.postgres.query(oid, name)} for name in _DATABASE_HOSTS}
        sealed = {"format": 1, "databases": databases}
        self.plan_path.with_suffix(".sealed.json").write_text(json.dumps(sealed))
        for database in _DATABASE_HOSTS:
            schema = self.postgres.query(SCHEMA_SQL, database)
            self.plan_path.with_suffix(f".{database}.schema.txt").write_text(schema + "\n")
        self._write_plan()

    def _write_plan(self, *, night: bool = False) -> None:
        """Writes the plan against the running site. Its texts come from the demo itself, so none needs escaping.

        `night`: as it stood then: nobody named to take over from the DBA, no rule for decisions, and only the pair of
        versions tested that everybody hoped for."""
        start, end = self.window
        rehearsed = start.date() - _REHEARSED_BEFORE
        runs = {"3.0": 8812} if night else {"3.0": 8812, "2.7": 8813}
        tls = ('sslmode  = "verify-full"', 'sslrootcert = "ca.pem"') if self.postgres.tls else ('sslmode  = "disable"',)
        facts: dict[str, object] = {
            "rehearsal": "" if self._rehearsed else 'without = { rehearsal = "the scripts of the demo are short" }',
            "dba_standby": "" if night else 'standby = "the second DBA"',
            "tested": "\n".join(_TESTED.format(app2=app2, on=rehearsed, run=run) for app2, run in runs.items()),
            "zone": _ZONE,
            "site_account": self._account.name,
            "window_start": start.isoformat(),
            "window_end": end.isoformat(),
            "rehearsed": rehearsed.isoformat(),
            "freeze_from": (end + _FREE_AFTER).date().isoformat(),
            "freeze_until": (end + 2 * _FREE_AFTER).date().isoformat(),
            "tls": "\n".join(tls),
            "postgres_port": self.postgres.port,
            "postgres_version": self.postgres.version_num // 10_000,
            "system_identifier": self.postgres.query("SELECT system_identifier FROM pg_control_system()"),
            "app1_release_sha256": _sha256(self.hosts["app1-a"].root / _APP1_RELEASE),
        }
        for name, host in self.hosts.items():
            key = name.replace("-", "_")
            facts |= {key: host.root, f"{key}_port": host.server.port}
        facts |= {f"{name}_url": app.url for name, app in self.apps.items()}
        blocks = _TEMPLATE.read_text(encoding="utf-8").split("\n\n")
        said = (block for block in blocks if not (night and block.startswith("[[decisions]]")))
        self.plan_path.write_text(Template("\n\n".join(said)).substitute(facts), encoding="utf-8")
        plan = load_plan(self.plan_path)
        confirmed = all_confirmed(plan, self._moment.replace(microsecond=0) - _CONFIRMED_BEFORE)
        plan.confirmed_file.write_text(format_confirmed(confirmed), encoding="utf-8")


def _scripts(database: str) -> list[Path]:
    return sorted((_SQL / database).rglob("*.sql"))


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
