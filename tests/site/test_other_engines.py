"""Databases other than PostgreSQL: entries on a host alone, on a real sshd with a real MariaDB server behind it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.cli.program import preflight
from tests.docs.example_site import shifted
from tests.docs.test_toml_blocks import guide_plan
from tests.site.accounts import Account
from tests.site.machine import Server, free_port, needs, run
from tests.site.site import Site

pytestmark = pytest.mark.long

PLUGIN = Path(__file__).parent.parent / "sample_engine"
SAID = f'{{ by = "dba", on = {shifted("2026-10-10")}, reason = "logged in as release" }}'
PASSWORD = "Pw-of-the-role-in-mariadb"
ROLES = {"scripts": "release", "backup": "saver"}
"""Key of the plug-in -> the role in the option file that it names."""


@dataclass
class MariaDb:
    """A server on loopback with a database `shop`, and the option files of two roles."""

    folder: Path
    socket: Path
    dump: str = ""
    """Its database, by mariadb-dump."""

    def sql(self, statement: str) -> None:
        run(needs("mariadb"), "--no-defaults", f"--socket={self.socket}", "-u", "root", "-e", statement)

    def option_file(self, role: str, account: Account) -> Path:
        file = self.folder / f"{role}.cnf"
        file.write_text(f"[client]\nsocket={self.socket}\nuser={role}\npassword={PASSWORD}\n")
        shutil.chown(file, account.name)
        file.chmod(0o600)
        return file


@pytest.fixture(scope="module")
def mariadb(site: Site) -> Iterator[MariaDb]:
    folder = site.new_path("mariadb")
    folder.mkdir()
    folder.chmod(0o755)
    shutil.chown(folder, "mysql", "mysql")
    made = MariaDb(folder, folder / "s")
    run(
        needs("mariadb-install-db"), "--no-defaults", "--user=mysql", f"--datadir={folder}/data", "--skip-test-db",
        "--auth-root-authentication-method=normal",
    )  # fmt: skip
    server = Server(
        [
            needs("mariadbd"), "--no-defaults", f"--datadir={folder}/data", f"--socket={made.socket}",
            "--bind-address=127.0.0.1", f"--port={free_port()}", f"--pid-file={folder}/pid", "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=8M",
        ],
        cwd=folder,
        user="mysql",
    )  # fmt: skip
    try:
        assert server.wait_for_log("ready for connections"), server.log
        made.sql(
            "CREATE DATABASE shop; CREATE TABLE shop.item (id INT PRIMARY KEY); INSERT INTO shop.item VALUES (1);"
            f"CREATE USER 'release'@localhost IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON shop.* TO 'release'@localhost;"
            f"CREATE USER saver@localhost IDENTIFIED BY '{PASSWORD}'; GRANT SELECT ON shop.* TO saver@localhost"
        )
        made.dump = run(
            needs("mariadb-dump"), "--no-defaults", f"--socket={made.socket}", "-u", "root", "shop"
        ).stdout  # fmt: skip
        yield made
    finally:
        server.stop()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the sample plug-in was installed to."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PLUGIN, folder / "source")
    run(
        sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--no-build-isolation",
        "--no-deps", "--no-index", "--target", folder / "installed", folder / "source",
    )  # fmt: skip
    return folder / "installed"


Lines = dict[str, dict[str, Any]]


@dataclass
class Shop:
    """The guide's plan, and what it says of its host made true there."""

    plan: Path
    server: MariaDb
    account: Account
    staged: Path
    backups: Path
    installed: Path

    def run(self, *, plugin: bool = False) -> Lines:
        """Each line of `preflight run` as `check subject`, but for who is on call: this is no site with people."""
        with patch.object(sys, "path", [str(self.installed), *sys.path] if plugin else sys.path):
            done = preflight("run", self.plan, "--format", "json")
        assert done.returncode in (0, 1, 3), done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        found = json.loads(done.stdout)["findings"]
        return {f"{each['check']} {each['subject']}": each for each in found if each["check"] != "on-call"}

    def describe_server(self, **more: str) -> None:
        """What the plug-in is told of the server."""
        keys = {
            "database": "shop", "version": "", **more,
            **{key: str(self.server.option_file(role, self.account)) for key, role in ROLES.items()},
        }  # fmt: skip
        told = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        before = self.plan.read_text().partition("[checks.mariadb.on.db3]")[0]
        self.plan.write_text(f"{before}[checks.mariadb.on.db3]\n{told}")

    def change(self, old: str, new: str) -> None:
        text = self.plan.read_text()
        assert old in text
        self.plan.write_text(text.replace(old, new))


@pytest.fixture
def shop(site: Site, mariadb: MariaDb, installed: Path) -> Shop:
    account, folder = site.account("good"), site.new_path("shop")
    staged, backups, plans = folder / "staged", folder / "backup", folder / "plan"
    for each in (staged, backups, plans / "sql/shop"):
        each.mkdir(parents=True)
    (plans / "sql/shop/010_items.sql").write_text("CREATE TABLE shop.more (id INT PRIMARY KEY);\n")
    (plans / "sql/shop/run.sh").write_text('#!/bin/sh\nset -e\nfor each in *.sql; do mariadb "$1" <"$each"; done\n')
    (plans / "sql/shop/run.sh").chmod(0o755)
    shutil.copytree(plans / "sql/shop", staged, dirs_exist_ok=True)
    verify = folder / "check-dump"
    verify.write_text('#!/bin/sh\ntail -n 1 "$1" | grep -q "^-- Dump completed"\n')
    verify.chmod(0o755)
    for age in (1, 25):
        dump = backups / f"{age}.sql"
        dump.write_text(mariadb.dump)
        os.utime(dump, (time.time() - age * 3600,) * 2)
    for path in (staged, backups, *staged.iterdir(), *backups.iterdir()):
        shutil.chown(path, account.name, account.name)
    backups.chmod(0o755)
    on_this_site = {
        "/srv/release/shop": str(staged),
        "/backup/shop": str(backups),
        "/usr/local/bin/check-dump": str(verify),
        "/usr/local/bin/backup-shop": "/bin/true",
        "/usr/local/bin/restore-shop": "/bin/true",
        '"db3.example.net"': f'"{site.sshd.address}"\nport = {site.sshd.port}',
        '"dbadmin"': f'"{account.name}"',
        '"keys/dbadmin"': f'"{account.key}"',
    }
    plan = plans / "shop.toml"
    plan.write_text(shifted(guide_plan("shop", on_this_site)))
    plans.joinpath("shop.known_hosts").write_text(site.sshd.known_hosts_lines(site.sshd.address))
    done = preflight("seal", plan, "--scripts-only")
    assert done.returncode == 0, done.stderr
    return Shop(plan, mariadb, account, staged, backups, installed)


SCRIPTS, BACKUP = "database-engine scripts shop", "database-engine backups shop"


def not_well(found: Lines) -> dict[str, str]:
    return {name: line["status"] for name, line in found.items() if line["status"] not in ("pass", "warn")}


def test_the_guides_plan_is_looked_at_but_for_what_is_the_engines_own(shop: Shop) -> None:
    found = shop.run()
    assert not_well(found) == {SCRIPTS: "unknown", BACKUP: "unknown"}, found
    assert found["script-hashes shop"]["status"] == found["backup-space shop"]["status"] == "pass"
    assert found["backup-location shop"]["status"] == "pass"
    assert "of the plan says, not observed" in found["earlier-backup shop"]["summary"]
    shop.change('engine   = "mariadb"', f'engine = "mariadb"\nengine_shown = {SAID}')
    shop.change('engine    = "mariadb"', f'engine = "mariadb"\nengine_shown = {SAID}')
    found = shop.run()
    assert not_well(found) == {}
    assert "said by D. Kaya (dba)" in found[SCRIPTS]["summary"]


def test_what_is_not_as_it_must_be_on_the_host_fails(shop: Shop) -> None:
    (shop.staged / "010_items.sql").write_text("DROP TABLE shop.item;\n")
    (shop.staged / "run.sh").chmod(0o644)
    newest, before = shop.backups / "1.sql", shop.backups / "25.sql"
    newest.write_text(before.read_text().partition("-- Dump completed")[0])
    os.utime(newest, (time.time() - 3600,) * 2)  # or it might be being written
    shop.change('"1MiB"', '"900TiB"')
    found = shop.run()
    failing = {"script-hashes shop", "script-runner scripts shop", "earlier-backup shop", "backup-space shop"}
    assert {name for name, status in not_well(found).items() if status == "fail"} == failing
    assert "check-dump" in found["earlier-backup shop"]["summary"]
    assert "does not find the newest backup whole" in found["earlier-backup shop"]["summary"]
    assert "take a new backup of mariadb on db3" in found["earlier-backup shop"]["remedy"]
    newest.unlink()
    os.utime(before, (time.time() - 90 * 3600,) * 2)
    shop.backups.joinpath("25.sql.sha256").write_text(f"{'0' * 64}  25.sql\n")
    shop.change("verify    = ", "# ")
    shop.change("expected  = ", "# ")
    found = shop.run()
    told = json.dumps(found["earlier-backup shop"])
    assert "the newest backup is 3 d" in told
    assert "was changed since its SHA-256 was written down" in told
    assert "what a backup of mariadb looks like is not known here" in told
    assert found["backup-space shop"]["status"] == "unknown"
    assert 'expected = \\"20GiB\\"' in json.dumps(found["backup-space shop"])
    assert "mariadb on db3 has not grown" in json.dumps(found["backup-space shop"])


def test_the_plug_in_answers_for_the_entries_whose_server_it_was_told(shop: Shop) -> None:
    assert not_well(shop.run(plugin=True)) == {SCRIPTS: "unknown", BACKUP: "unknown"}
    shop.describe_server(version="1")
    found = shop.run(plugin=True)
    assert not_well(found) == {}
    assert SCRIPTS not in found
    assert BACKUP not in found
    assert found["mariadb scripts shop"]["summary"].startswith("'release'@'localhost' logs in to MariaDB 1")
    assert found["mariadb backups shop"]["status"] == "pass"


@pytest.fixture
def spoilt(mariadb: MariaDb) -> Iterator[None]:
    """A server that takes no writes, and roles that may do too little."""
    mariadb.sql(
        "SET GLOBAL read_only = 1; REVOKE DROP ON shop.* FROM 'release'@localhost;"
        "REVOKE SELECT ON shop.* FROM saver@localhost; CREATE TABLE shop.hidden (id INT);"
        "GRANT SELECT ON shop.item TO saver@localhost"
    )
    yield
    mariadb.sql(
        "SET GLOBAL read_only = 0; DROP TABLE shop.hidden; GRANT ALL ON shop.* TO 'release'@localhost;"
        "GRANT SELECT ON shop.* TO saver@localhost"
    )


@pytest.mark.usefixtures("spoilt")
def test_the_plug_in_fails_where_a_role_or_the_server_is_not_as_it_must_be(shop: Shop) -> None:
    shop.describe_server(version="9.9")
    found = {name: json.dumps(line) for name, line in shop.run(plugin=True).items()}
    scripts, backup = found["mariadb scripts shop"], found["mariadb backups shop"]
    for sentence in (
        "the server is of version",
        "what the scripts need: DROP",
        "the server takes no writes (read_only)",
    ):
        assert sentence in scripts
    assert "GRANT DROP ON shop.* TO 'release'@'localhost'" in scripts
    shop.describe_server(database="shoq")
    found = {name: json.dumps(line) for name, line in shop.run(plugin=True).items()}
    assert "sees no database shoq" in found["mariadb scripts shop"]
    assert "may not read everything that mariadb-dump saves" in backup + found["mariadb backups shop"]


def test_the_plug_in_fails_where_nobody_can_log_in(shop: Shop) -> None:
    shop.describe_server()
    for role, old, new in (("release", PASSWORD, "wrong"), ("saver", "socket=", "socket=/nowhere")):
        file = shop.server.folder / f"{role}.cnf"
        file.write_text(file.read_text().replace(old, new))
    found = shop.run(plugin=True)
    assert not_well(found) == {"mariadb scripts shop": "fail", "mariadb backups shop": "fail"}
    assert "Access denied for user" in json.dumps(found["mariadb scripts shop"])
    assert "Can't connect to local server" in json.dumps(found["mariadb backups shop"])


def test_what_needs_no_network_knows_such_entries(shop: Shop) -> None:
    planned = preflight("lint", shop.plan).stdout
    assert "database-engine 2" in planned
    sheet = preflight("show", shop.plan, "--commands").stdout
    assert f"cd {shop.staged} && ./run.sh shop" in sheet
    assert "restore shop: on db3" in sheet
    assert "20 min" in sheet.partition("restore shop")[2]
    asked_for = preflight("show", shop.plan, "--format", "markdown")
    assert asked_for.returncode == 0
    assert str(shop.backups) in asked_for.stdout
    assert "pg_restore" not in asked_for.stdout
    done = preflight("rehearse", shop.plan)
    assert (done.returncode, "has no scripts that psql or a `rehearse_command` runs" in done.stderr) == (2, True)


def test_the_order_of_backup_and_scripts_and_the_way_back_are_held_to_the_engine_on_the_host(shop: Shop) -> None:
    before = shop.plan.read_text()
    shop.change('after   = ["backup-shop"]\n', "")
    assert "scripts-shop changes mariadb on db3 before backup-shop is finished" in json.dumps(shop.run())
    shop.plan.write_text(before)
    shop.change("restore   = ", "# ")
    done = preflight("lint", shop.plan)
    assert "nothing says how mariadb on db3 is restored: add [backups.shop.restore]" in done.stdout
    shop.plan.write_text(before)
    shop.change('engine    = "mariadb"', 'engine = "oracle"')
    done = preflight("lint", shop.plan)
    assert "nothing says how mariadb on db3 is restored: add a [backups.NAME]" in done.stdout


def test_a_backup_that_is_a_folder_is_verified_too(shop: Shop) -> None:
    """As mariadb-backup writes it."""
    made = shop.backups / "0.sql"
    made.mkdir()
    (made / "ibdata1").write_text("pages")
    (made / "xtrabackup_info").write_text("-- Dump completed\n")
    (made / "PG_VERSION").write_text("15")  # by which PostgreSQL's base backups are known
    for path in (made, *made.iterdir()):
        shutil.chown(path, shop.account.name, shop.account.name)
        os.utime(path, (time.time() - 600,) * 2)
    shop.change('"{file}"]', '"{file}/xtrabackup_info"]')
    line = json.dumps(shop.run()["earlier-backup shop"])
    assert "check-dump '{file}/xtrabackup_info'` of the plan says, not observed" in line
    (made / "xtrabackup_info").write_text("")
    os.utime(made / "xtrabackup_info", (time.time() - 600,) * 2)
    assert "does not find the newest backup whole" in json.dumps(shop.run()["earlier-backup shop"])
