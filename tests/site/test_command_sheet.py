"""The sheet of the night: each printed line is pasted into a real ssh, and does what it says."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from shutil import chown

import pytest

from tests.cli.program import BASE, preflight
from tests.site.accounts import Account, Accounts
from tests.site.postgres import Cluster
from tests.site.site import Site
from tests.site.ssh_client import ssh

SCRIPTS = {
    "010_table.sql": "CREATE TABLE :schema.delivery (id int, name text);\n",
    "020_rows.sql": "INSERT INTO :schema.delivery SELECT n, 'row ' || n FROM generate_series(1, 3) n;\n",
    "undo/010_table.down.sql": "DROP TABLE :schema.delivery;\n",
    "undo/020_rows.down.sql": "DELETE FROM :schema.delivery WHERE id > 2;\n",
}


class Night:
    """A plan, a host and a database, and the lines that the plan's sheet prints."""

    def __init__(self, site: Site, cluster: Cluster, login: Account, worker: Account, folder: Path) -> None:
        self.site, self.cluster, self.login, self.worker, self.folder = site, cluster, login, worker, folder
        self.role = cluster.create_role("release")
        self.name = cluster.create_database("orders", owner=self.role.name)
        self.place = site.new_path("night")
        for path in (self.place, self.place / "staged", self.place / "backup"):
            path.mkdir(mode=0o755)
            chown(path, worker.name)
        pgpass = worker.home / ".pgpass"
        pgpass.write_text(f"*:*:*:{self.role.name}:{self.role.password}\n")
        pgpass.chmod(0o600)
        chown(pgpass, worker.name)
        self.write(SCRIPTS)

    def write(self, scripts: dict[str, str]) -> None:
        sums = []
        for name, text in scripts.items():
            for top in (self.folder / "approved", self.place / "staged"):
                (top / name).parent.mkdir(parents=True, exist_ok=True)
                (top / name).write_text(text)
            sums.append(f"{sha256(text.encode()).hexdigest()}  {name}\n")
        (self.folder / "SHA256SUMS").write_text("".join(sums))

    def lines(self, more: str = "") -> Sequence[str]:
        sshd = self.site.sshd
        plan = self.folder / "plan.toml"
        plan.write_text(f"""{BASE}
[hosts.db1]
address = "{sshd.address}"
port = {sshd.port}
user = "{self.login.name}"
key = "{self.login.key}"
[databases.orders]
host = "db1"
name = "{self.name}"
user = "{self.role.name}"
port = {self.cluster.port}
[backups.orders]
database = "orders"
directory = "{self.place}/backup"
account = "{self.worker.name}"
server = "{self.cluster.socket_directory}"
restore = {{ options = ["--clean", "--if-exists", "--no-owner"] }}
[scripts.orders]
database = "orders"
approved = "approved"
manifest = "SHA256SUMS"
staged = "{self.place}/staged"
account = "{self.worker.name}"
server = "{self.cluster.address}"
variables = {{ schema = "public" }}
way_back = "undo/{{stem}}.down.sql"
log = "{self.place}/backup/night.log"
{more}
""")
        done = preflight("show", plan, "--commands")
        assert self.role.password not in done.stdout
        starts = ("cd ", "sudo ", "pg_")
        return [line[5:] for line in done.stdout.splitlines() if line[:5].isspace() and line[5:].startswith(starts)]

    def paste(self, line: str) -> subprocess.CompletedProcess[str]:
        return ssh(self.site.sshd, self.login, line)

    def rows(self) -> object:
        return self.cluster.scalar("SELECT count(*) FROM delivery", dbname=self.name)

    def has_table(self) -> bool:
        return self.cluster.scalar("SELECT to_regclass('public.delivery')", dbname=self.name) is not None


@pytest.fixture(params=[False, True], ids=["as the login", "through sudo"])
def night(site: Site, accounts: Accounts, postgres: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Night:
    worker = accounts.add("worker")
    login = worker
    if request.param:
        login = accounts.add("login")
        accounts.allow_sudo(login, worker.name, [f"/usr/bin/{name}" for name in ("psql", "pg_dump", "pg_restore")])
    return Night(site, postgres, login, worker, tmp_path)


@pytest.mark.long
def test_each_line_of_the_sheet_does_what_it_says(night: Night) -> None:
    backup, scripts, undo_rows, undo_table, restore = night.lines()
    done = night.paste(scripts)
    assert (done.returncode, night.rows()) == (0, 3), done.stderr
    log = night.place / "backup" / "night.log"
    assert log.owner() == night.worker.name
    done = night.paste(backup)
    assert done.returncode == 0, done.stderr
    assert (night.place / "backup" / "orders-2030-10-17.dump").owner() == night.worker.name
    done = night.paste(undo_rows)
    assert (done.returncode, night.rows()) == (0, 2), done.stderr
    done = night.paste(undo_table)
    assert (done.returncode, night.has_table()) == (0, False), done.stderr
    done = night.paste(restore)
    assert (done.returncode, night.rows()) == (0, 3), done.stderr


def test_the_scripts_stop_at_the_first_error(night: Night) -> None:
    night.write({**SCRIPTS, "020_rows.sql": "SELECT 1 / 0;\n", "030_more.sql": "DROP TABLE :schema.delivery;\n"})
    _, scripts, *_ = night.lines()
    done = night.paste(scripts)
    assert done.returncode == 3, "psql's own status for an error in a script"
    assert "division by zero" in done.stderr
    log = (night.place / "backup" / "night.log").read_text()
    assert "CREATE TABLE" in log
    assert "division by zero" not in log, "psql tells errors on the terminal alone"
    assert (night.has_table(), night.rows()) == (True, 0), "the first script ran, the third did not"


def test_a_single_transaction_takes_all_or_nothing(night: Night) -> None:
    night.write({**SCRIPTS, "020_rows.sql": "SELECT 1 / 0;\n"})
    _, scripts, *_ = night.lines("single_transaction = true")
    assert night.paste(scripts).returncode == 3
    assert not night.has_table()


def test_files_run_in_the_order_in_which_they_are_listed(night: Night) -> None:
    _, scripts, *_ = night.lines('files = ["020_rows.sql", "010_table.sql"]')
    done = night.paste(scripts)
    assert done.returncode == 3
    assert "020_rows.sql:1: ERROR" in done.stderr


def test_without_a_password_file_the_line_fails_and_asks_nobody(night: Night) -> None:
    (night.worker.home / ".pgpass").unlink()
    _, scripts, *_ = night.lines()
    done = night.paste(scripts)
    assert done.returncode == 2
    assert "no password supplied" in done.stderr
