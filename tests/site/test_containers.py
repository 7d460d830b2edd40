"""The guide's plan for a database in a container: a server in a pid and mount namespace of its own, with its data on a
volume that the host has at another path, reached by a published port."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import preflight
from tests.confirmed import confirm_all
from tests.docs.example_site import shifted
from tests.docs.test_toml_blocks import guide_plan
from tests.site.machine import Server, free_port, needs
from tests.site.postgres import Cluster, DatabaseRole
from tests.site.site import Site
from tests.site.test_managed_database import relay

pytestmark = pytest.mark.long

PUBLISHED = "127.0.0.5"
_CONTAINER = """
mount -t tmpfs container /mnt
mkdir /mnt/data
mount --bind "$1" /mnt/data
mount -t proc proc /proc
shift
exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
"""


@dataclass
class Container:
    """A PostgreSQL whose data directory is called /mnt/data inside; the host has nothing of that name."""

    cluster: Cluster
    role: DatabaseRole
    port: int
    process: int
    """As the host numbers it."""
    dump: bytes


@pytest.fixture(scope="module")
def container(site: Site) -> Iterator[Container]:
    cluster = site.start_postgres()
    role = cluster.create_role("release")
    cluster.sql(f"GRANT pg_monitor TO {role.name}")
    cluster.sql(f"CREATE DATABASE orders OWNER {role.name}")
    cluster.sql(f"SET ROLE {role.name}; CREATE TABLE orders AS SELECT generate_series(1, 100) AS id", dbname="orders")
    saved = cluster.directory / "backups/orders.dump"
    cluster.client("pg_dump", "-Fc", "-f", saved, "orders")
    cluster.stop()
    port = free_port()
    options = ("-c", "listen_addresses=127.0.0.1", "-c", f"port={port}", "-c", "unix_socket_directories=/mnt")
    server = Server(
        [
            needs("unshare"), "--mount", "--pid", "--fork", "--", "sh", "-euc", _CONTAINER, "container", cluster.data,
            cluster.bin / "postgres", "-D", "/mnt/data", *options, "-c", "ssl=on", "-c", "fsync=off",
        ],
        cwd=cluster.directory,
    )  # fmt: skip
    process = 0
    try:
        assert server.wait_for_log("ready to accept"), server.log
        process = int(Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text())
        with relay(PUBLISHED, port, port):
            yield Container(cluster, role, port, process, saved.read_bytes())
    finally:
        if process:
            os.kill(process, signal.SIGQUIT)
        server.stop()


Lines = dict[str, dict[str, Any]]


@dataclass
class Orders:
    """The guide's plan for it."""

    plan: Path
    container: Container

    def run(self) -> Lines:
        done = preflight("run", self.plan, "--format", "json", ORDERS_PASSWORD=self.container.role.password)
        assert done.returncode in (0, 1, 3), done.stderr
        return {f"{each['check']} {each['subject']}": each for each in json.loads(done.stdout)["findings"]}

    def change(self, old: str, new: str) -> None:
        text = self.plan.read_text()
        assert old in text
        self.plan.write_text(text.replace(old, new))


@pytest.fixture
def orders(site: Site, container: Container, tmp_path: Path) -> Orders:
    account = site.accounts.add("box")
    site.accounts.allow_sudo(account, "root", [needs("nsenter")])
    folder = site.new_path("box")
    backups, staged, podman = folder / "backup", folder / "staged", folder / "podman"
    for each in (backups, staged, tmp_path / "sql/orders"):
        each.mkdir(parents=True)
    inside = f"--target={container.process} --mount --pid"
    podman.write_text(f'#!/bin/sh\nshift 2 # exec NAME\nexec sudo -n {needs("nsenter")} {inside} -- "$@"\n')
    podman.chmod(0o755)
    (tmp_path / "sql/orders/010_more.sql").write_text("CREATE TABLE more (id int);\n")
    (tmp_path / "sql/orders/run.sh").write_text("#!/bin/sh\nset -e\nfor each in *.sql; do psql -f $each; done\n")
    shutil.copytree(tmp_path / "sql/orders", staged, dirs_exist_ok=True)
    dump = backups / "1.dump"
    dump.write_bytes(container.dump)
    for path in (backups, staged, dump, *staged.iterdir()):
        shutil.chown(path, account.name, account.name)
    on_this_site = {
        "/srv/release/orders": str(staged),
        "/backup/orders": str(backups),
        '"podman"': f'"{podman}"',
        "/usr/bin/pg_isready": f"{container.cluster.bin}/pg_isready",
        '"--host=localhost"': f'"--host=localhost", "--port={container.port}"',
        'address = "box.example.net"\nuser    = "release"': (
            f'address = "{site.sshd.address}"\nport = {site.sshd.port}\nuser = "{account.name}"'
        ),
        '"keys/release"': f'"{account.key}"',
        'address     = "box.example.net"': f'address = "{PUBLISHED}"\nport = {container.port}',
        '"verify-full"': '"verify-ca"',
        '"ca.pem"': f'"{container.cluster.ca}"',
        'user        = "release"': f'user = "{container.role.name}"',
    }
    plan = tmp_path / "orders-container.toml"
    plan.write_text(shifted(guide_plan("orders-container", on_this_site)))
    plan.with_suffix(".known_hosts").write_text(site.sshd.known_hosts_lines())
    done = preflight("seal", plan, ORDERS_PASSWORD=container.role.password)
    assert done.returncode == 0, done.stderr
    confirm_all(plan)
    return Orders(plan, container)


NOT_REHEARSED = {"script-effect orders", "script-rows orders", "script-rights orders", "database-state orders"}
VOLUME = {"backup-location orders", "restore-room orders"}


def not_well(found: Lines) -> set[str]:
    return {name for name, each in found.items() if each["status"] not in ("pass", "warn")} - NOT_REHEARSED


def test_a_database_in_a_container_is_looked_at_but_for_its_volume(orders: Orders) -> None:
    found = orders.run()
    assert not_well(found) == {*VOLUME, "database-host orders on box"}, found
    assert ", in a container): where its data lies on box" in found["database-host orders on box"]["summary"]
    assert found["database-login orders"]["status"] == "pass"
    assert found["command ready"]["summary"].endswith("accepting connections")
    for name in VOLUME:
        told = json.dumps(found[name])
        assert found[name]["status"] == "unknown", told
        assert "box has no /mnt/data: the server has it elsewhere, as one in a container has" in told
        assert "this tool does not look into containers: have the server's volume at /mnt/data on box too; or" in told
        assert "[databases.orders] data_directory = { path =" in told
    said = f'path = "/srv/volumes/orders", by = "dba", on = {shifted("2026-10-16")}, reason = "df on box: 400 GB free"'
    orders.change("[scripts.orders]", f"data_directory = {{ {said} }}\n[scripts.orders]")
    confirm_all(orders.plan)
    found = orders.run()
    assert not_well(found) == set(), found
    assert {found[name]["status"] for name in VOLUME} == {"warn"}


def test_a_server_that_does_not_answer_inside_fails_with_its_own_words(orders: Orders) -> None:
    orders.change(f'"--port={orders.container.port}"', '"--port=1"')
    found = orders.run()["command ready"]
    assert (found["status"], found["summary"]) == ("fail", "localhost:1 - no response"), found
    assert "D. Kaya (dba)" in found["owner"]
