"""The site that `plans/example.toml` speaks of, on machines of the tests' own: what the plan declares is true there."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from preflight.questions.schema_sql import SCHEMA_SQL
from tests.cli.program import preflight, preflight_process
from tests.confirmed import confirm_all
from tests.site.accounts import make_key
from tests.site.https import HttpsApp
from tests.site.machine import needs, run
from tests.site.netns import Namespace
from tests.site.postgres import Cluster
from tests.site.site import Site
from tests.site.sshd import Sshd

PROJECT = Path(__file__).parent.parent.parent
PLANS = PROJECT / "plans"
ZONE = "America/New_York"
WRITTEN_AT = datetime(2026, 10, 16, 16)
"""The afternoon before the window, for which the example is written: people have just confirmed."""
NAMES = {
    "bastion.example.net": "192.0.2.10",
    "db1.example.net": "192.0.2.11",
    "db2.example.net": "192.0.2.12",
    "app1-a.example.net": "192.0.2.21",
    "app1-b.example.net": "192.0.2.22",
    "app2.example.net": "192.0.2.23",
    "licence.example.net": "192.0.2.30",
    "web1.example.net": "192.0.2.31",
    "web2.example.net": "192.0.2.32",
}
ENVIRONMENT = {
    "DB1_PASSWORD": 'Pw of "dbadmin" & %41 on db1',
    "ORDERS_PASSWORD": "Pw-of-release in orders, <größer>",
    "BILLING_PASSWORD": "Pw-of-release",
    "KEY_PASSPHRASE": "Pw{of}$(the)`key`;'dbadmin'",
}
"""Whatever has a meaning somewhere, and one that is the beginning of another."""
TABLES = {
    "orders": "CREATE TABLE orders (id int, customer_id int, ordered_on date, state text);"
    "INSERT INTO orders SELECT n, n, current_date, 'open' FROM generate_series(1, 1000) n; ANALYZE orders",
    "billing": "CREATE TABLE invoices (id int, total numeric);"
    "INSERT INTO invoices SELECT n, n / 3.0 FROM generate_series(1, 1000) n; ANALYZE invoices",
}
_PLUGINS = {
    "check_file_age": '[ -n "$(find "$4" -mmin -1440)" ] && echo "FILE_AGE OK"',
    "check_tcp": ': <"/dev/tcp/$2/$4" && echo "TCP OK"',
}


class ExampleSite:
    """One machine for each host of the plan, and `here`, which runs preflight and everything that is no host."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._folder = site.new_path("keys")
        self._folder.mkdir()
        self.here = site.start_namespace(names=NAMES, address="192.0.2.1")
        for name in ("app1-b", "app2", "licence", "web1", "web2"):
            self.here.add_address(NAMES[f"{name}.example.net"])
        self._known_hosts = ""
        self._schemas: dict[str, str] = {}
        self.machines: dict[str, Namespace] = {}
        self.sshds: dict[str, Sshd] = {}
        self.clusters: list[Cluster] = []
        self._stack = ExitStack()
        self._agent_keys = [make_key(self._folder / f"agent{number}") for number in (1, 2, 3)]
        self._keys = {
            "dbadmin": make_key(self._folder / "dbadmin", ENVIRONMENT["KEY_PASSPHRASE"]),
            "appadmin": make_key(self._folder / "appadmin"),
        }
        self._start_agent()
        self._trust_the_authority()
        self._add_host("bastion").add_account("jump", key=self._agent_keys[0], shell="/usr/sbin/nologin")
        self._add_database_host("db1", "orders")
        self._add_database_host("db2", "billing")
        self.apps = self._start_apps(self._add_application_host())
        self._licence_server = self.here.call(lambda: socket.create_server((NAMES["licence.example.net"], 27000)))

    def plan(self, folder: Path, text: str, files: Mapping[str, str], written_at: datetime = WRITTEN_AT) -> Path:
        """`text` as example.toml in a copy of its folder, `files` beside it, with what only a person can give, and its
        times moved so that it is `written_at` now."""
        shutil.copytree(PLANS, folder, dirs_exist_ok=True)
        shutil.copytree(self._folder, folder / "keys", dirs_exist_ok=True)
        shutil.copy(self._site.authority.certificate, folder / "ca.pem")
        (folder / "example.known_hosts").write_text(self._known_hosts)
        for database, schema in self._schemas.items():
            (folder / f"example.{database}.schema.txt").write_text(schema)
        fingerprints = map(_fingerprint, self._agent_keys)
        text = re.sub(r"SHA256:[\w+/]{43}", lambda _: next(fingerprints), text)
        plan = folder / "example.toml"
        for name, each in {**files, plan.name: text}.items():
            (folder / name).write_text(shifted(each.replace('"prompt"', '"env:KEY_PASSPHRASE"'), written_at))
        confirm_all(plan)
        return plan

    def preflight(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return preflight_process(*arguments, inside=self.here, **self.environment)

    @property
    def environment(self) -> dict[str, str]:
        """What preflight finds there beside the usual."""
        return {"SSH_AUTH_SOCK": str(self._agent), **ENVIRONMENT}

    def close(self) -> None:
        self._stack.close()
        self._licence_server.close()
        self._kill_agent()
        for app in self.apps:
            app.close()

    def _start_agent(self) -> None:
        self._agent = self._site.new_path("agent")
        started = run(needs("ssh-agent"), "-a", self._agent, "-s").stdout
        self._agent_pid = started.partition("SSH_AGENT_PID=")[2].partition(";")[0]
        for key in self._agent_keys:
            run(needs("ssh-add"), "-q", key, environment={"SSH_AUTH_SOCK": str(self._agent)})

    def _kill_agent(self) -> None:
        run("kill", self._agent_pid)

    def _trust_the_authority(self) -> None:
        """As any company's own authority is trusted on its machines."""
        self.here.run("cp", self._site.authority.certificate, "/usr/local/share/ca-certificates/tests.crt")
        self.here.run("update-ca-certificates")

    def _add_host(self, host: str) -> Namespace:
        name = f"{host}.example.net"
        machine = self._site.start_namespace(names=NAMES, zone=ZONE, address=NAMES[name], router=self.here)
        options = {"AuthorizedKeysFile": ".ssh/authorized_keys"}
        self.machines[host] = machine
        sshd = self._site.start_sshd(namespace=machine, address=NAMES[name], options=options)
        self.sshds[host] = sshd
        self._known_hosts += sshd.known_hosts_lines(name)
        return machine

    def _add_database_host(self, host: str, database: str) -> None:
        machine = self._add_host(host)
        machine.add_account("dbadmin", ENVIRONMENT["DB1_PASSWORD"], self._keys["dbadmin"])
        machine.add_account("dkaya", key=self._agent_keys[1])
        machine.add_account("mortiz", key=self._agent_keys[2])
        cluster = self._start_database(machine, host, database)
        self.clusters.append(cluster)
        self._mount_disk(machine, "/backup")
        text = self._requested()
        machine.run("tee", "/etc/sudoers.d/preflight", stdin=_lines(text, "sudoers")[0] + "\n")
        for line in _lines(text, "sh"):
            if database in line:
                machine.run(*shlex.split(line))
        for line in _lines(text, "sql"):
            if f'"{database}"' in line or "ON DATABASE" not in line:
                cluster.sql(line.rstrip(";"), dbname=database)
        machine.run("cp", "-r", f"{PLANS}/sql/{database}/.", f"/srv/release/{database}")
        machine.run("chown", "-R", "dbadmin", f"/srv/release/{database}")
        machine.run("install", "-d", "-o", "dbadmin", "/srv/release/log")
        for number in (1, 2):
            file = f"/backup/{database}/{number}.dump"
            home = ("env", "HOME=/var/lib/postgresql")
            machine.run(*home, "pg_dump", "-w", "-U", "backup", "-Fc", "-f", file, database, user="postgres")
        self._schemas[database] = str(cluster.scalar(SCHEMA_SQL, dbname=database))
        # The newest keeps its times: they tell how long it took only while its birth and its last change fit together.
        machine.run("touch", "-d", "2 hours ago", f"/backup/{database}/1.dump")

    def _start_database(self, machine: Namespace, host: str, database: str) -> Cluster:
        name = f"{host}.example.net"
        settings = {"listen_addresses": f"{NAMES[name]},127.0.0.1"}
        cluster = self._site.start_postgres(namespace=machine, settings=settings, names=[name])
        machine.run("mkdir", "/run/postgresql")
        machine.run("mount", "--bind", cluster.socket_directory, "/run/postgresql")
        self._stack.enter_context(cluster.hba("hostssl all all samenet scram-sha-256"))
        secret = ENVIRONMENT[f"{database.upper()}_PASSWORD"]
        cluster.sql(f"CREATE ROLE release LOGIN PASSWORD '{secret}'")
        cluster.sql(f"CREATE ROLE backup LOGIN PASSWORD '{secret}' IN ROLE pg_read_all_data")
        cluster.sql(f"CREATE DATABASE {database} OWNER release")
        with cluster.connect(database) as connection:
            connection.execute(f"SET ROLE release; {TABLES[database]}")
        for account, folder in (("postgres", "/var/lib/postgresql"), ("dbadmin", "/home/dbadmin")):
            file = f"{folder}/.pgpass"
            machine.run("install", "-m", "600", "-o", account, "/dev/null", file)
            machine.run("tee", file, stdin=f"*:*:*:*:{secret}\n")
        return cluster

    def _mount_disk(self, machine: Namespace, point: str) -> None:
        image = self._site.new_path("disk")
        with image.open("wb") as file:
            file.truncate(256 * 1024 * 1024)
        run(needs("mkfs.ext4"), "-q", image)
        machine.run("mkdir", point)
        machine.run("mount", "-o", "loop", image, point)

    def _requested(self) -> str:
        """What the plan asks of the owners of hosts and databases."""
        return preflight("show", PLANS / "example.toml", "--format", "markdown").stdout

    def _add_application_host(self) -> Namespace:
        machine = self._add_host("app1-a")
        machine.add_account("appadmin", key=self._keys["appadmin"])
        for name, does in _PLUGINS.items():
            file = f"/usr/lib/nagios/plugins/{name}"
            machine.run("install", "-D", "-m", "755", "/dev/null", file)
            machine.run("tee", file, stdin=f"#!/bin/bash\n{does}\n")
        machine.run("install", "-D", "/dev/null", "/srv/app1/releases/4.1.tar.gz")
        machine.run("tee", "/srv/app1/releases/4.1.tar.gz", stdin="test")
        machine.run("touch", "/srv/app1/maintenance.html")
        return machine

    def _start_apps(self, first: Namespace) -> list[HttpsApp]:
        up = {"status": "UP", "components": {"db": {"status": "UP"}}}
        apps = []
        for host, machine, version, delay in (
            ("app1-a", first, "4.1", 0.0),
            ("app1-b", self.here, "4.1", 2.05),
            ("app2", self.here, "2.7", 0.0),
            ("web1", self.here, "2.7", 0.0),
            ("web2", self.here, "2.7", 0.0),
        ):
            name, application = f"{host}.example.net", "app1" if host.startswith("app1") else "app2"
            app = self._site.start_app([name], address=NAMES[name], namespace=machine)
            app.answer_json({"application": application, **up, "version": version}, delay_seconds=delay)
            apps.append(app)
        return apps


def _fingerprint(key: Path) -> str:
    return run(needs("ssh-keygen"), "-l", "-f", key.with_suffix(".pub")).stdout.split()[1]


def _lines(document: str, language: str) -> list[str]:
    """The lines of the document's blocks in one language."""
    blocks = re.findall(rf"^ *```{language}\n(.*?)^ *```$", document, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines()]


def shifted(text: str, written_at: datetime = WRITTEN_AT) -> str:
    """Every date and time so much later that it is `written_at` now."""
    later = datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None, microsecond=0) - written_at

    def shift(match: re.Match[str]) -> str:
        moment = datetime.fromisoformat(match[0])
        if "T" in match[0]:
            return (moment + later).isoformat()
        return (moment + timedelta(days=later.days)).date().isoformat()

    def shift_weekday(match: re.Match[str]) -> str:
        written = datetime.strptime(f"2026 W42 {match[0]}", "%G W%V %a %H:%M")  # noqa: DTZ007 - local, as all of them
        return f"{written + later:%a %H:%M}"

    dated = re.sub(r"\b20\d\d-\d\d-\d\d(T\d\d:\d\d:\d\d)?\b", shift, text)
    return re.sub(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d\d:\d\d\b", shift_weekday, dated)
