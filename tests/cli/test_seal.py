"""`preflight seal` against a real sshd."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.program import BASE, preflight
from tests.site.accounts import Account
from tests.site.postgres import Cluster, DatabaseRole
from tests.site.site import Site
from tests.site.sshd import Sshd

HOST = """
[hosts.db1]
address = "{sshd.address}"
port = {sshd.port}
user = "nobody"
password = "env:DB1_PASSWORD"

[databases.orders]
host = "db1"
address = "{cluster.address}"
port = {cluster.port}
name = "postgres"
user = "{role.name}"
password = "env:ORDERS_PASSWORD"
{more}
[scripts.orders]
database = "orders"
approved = "sql"
manifest = "sql.SHA256SUMS"
staged = "/srv/release"
"""


class Sealing:
    """A plan whose host and database answer, in a folder of its own."""

    def __init__(self, folder: Path, sshd: Sshd, cluster: Cluster, role: DatabaseRole) -> None:
        (folder / "sql").mkdir()
        (folder / "sql" / "010.sql").write_text("select 1;\n")
        self.plan, self.servers = folder / "plan.toml", folder / "plan.sealed.json"
        self.pinned = folder / "plan.known_hosts"
        self.sshd, self.cluster, self.role = sshd, cluster, role
        self.write()

    def write(self, more: str = "", cluster: Cluster | None = None) -> None:
        entries = HOST.format(sshd=self.sshd, cluster=cluster or self.cluster, role=self.role, more=more)
        self.plan.write_text(BASE + entries)

    def seal(self, *options: str) -> subprocess.CompletedProcess[str]:
        return preflight("seal", self.plan, *options, ORDERS_PASSWORD=self.role.password)


@pytest.fixture
def sealing(tmp_path: Path, sshd: Sshd, postgres: Cluster) -> Sealing:
    return Sealing(tmp_path, sshd, postgres, postgres.create_role("release"))


def test_sealing_writes_manifest_and_host_keys_that_the_usual_tools_read(sealing: Sealing) -> None:
    sshd, folder = sealing.sshd, sealing.plan.parent
    done = sealing.seal("--accept-host-keys")
    assert done.returncode == 0, done.stderr
    assert sshd.fingerprint() in done.stdout
    checked = subprocess.run(["sha256sum", "--strict", "-c", "../sql.SHA256SUMS"], cwd=folder / "sql", check=False)
    assert checked.returncode == 0
    listed = subprocess.run(["ssh-keygen", "-F", f"[{sshd.address}]:{sshd.port}", "-f", sealing.pinned], check=False)
    assert listed.returncode == 0


@pytest.mark.case(17)
def test_sealing_records_at_which_server_each_database_is(sealing: Sealing) -> None:
    cluster = sealing.cluster
    system = str(cluster.scalar("SELECT system_identifier FROM pg_control_system()"))
    server = {
        "system_identifier": system, "port": cluster.port, "data_directory": "", "addresses": ["127.0.0.1"],
        "oid": str(cluster.scalar("SELECT oid::text FROM pg_database WHERE datname = 'postgres'")), "timeline": "1",
    }  # fmt: skip
    done = sealing.seal("--accept-host-keys")
    assert json.loads(sealing.servers.read_text())["databases"] == {"orders": server}
    assert f"orders: system {system}, port {cluster.port} at 127.0.0.1 (new)" in done.stdout
    cluster.sql(f'GRANT pg_read_all_settings TO "{sealing.role.name}"')
    of_before = {name: value for name, value in server.items() if name not in ("oid", "timeline")}
    sealing.servers.write_text(json.dumps({"format": 1, "databases": {"orders": of_before}}))  # by an older version
    done = sealing.seal()
    seen = {**server, "data_directory": str(cluster.data)}
    assert json.loads(sealing.servers.read_text())["databases"] == {"orders": seen}
    assert f"{cluster.data}, port {cluster.port} at 127.0.0.1 (added to)" in done.stdout


@pytest.mark.long
@pytest.mark.case(17)
def test_a_server_that_was_sealed_is_never_replaced(sealing: Sealing, site: Site) -> None:
    assert sealing.seal("--accept-host-keys").returncode == 0
    before = sealing.servers.read_bytes()
    clone = site.start_postgres(copy_of=sealing.cluster)
    clone.sql("SELECT pg_promote()")  # else it would take up a WAL sender
    sealing.write(cluster=clone)
    done = sealing.seal()
    assert done.returncode == 2
    told = f"orders: port {clone.port}, timeline 2, but plan.sealed.json has port {sealing.cluster.port}, timeline 1;"
    assert told in done.stderr
    assert "take its entry away by hand, then seal again" in done.stderr
    assert sealing.servers.read_bytes() == before
    sealing.servers.unlink()
    assert sealing.seal().returncode == 0  # what was told, done


@pytest.mark.case(17)
def test_a_database_that_was_made_anew_is_not_sealed_in_its_place(sealing: Sealing) -> None:
    assert sealing.seal("--accept-host-keys").returncode == 0
    before = sealing.servers.read_text()
    oid = json.loads(before)["databases"]["orders"]["oid"]
    for name, value in (("oid", "1"), ("timeline", "7")):
        sealed = json.loads(before)
        sealed["databases"]["orders"][name] = value
        sealing.servers.write_text(json.dumps(sealed))
        done = sealing.seal()
        assert done.returncode == 2
        told = f"database oid {oid}, but plan.sealed.json has database oid 1; it may be a copy"
        assert (told if name == "oid" else "timeline 1, but plan.sealed.json has timeline 7") in done.stderr
        sealed["databases"].pop("orders")
        sealing.servers.write_text(json.dumps(sealed))
        assert sealing.seal().returncode == 0  # what was told, done
        assert sealing.servers.read_text() == before


def test_a_server_that_the_plan_contradicts_is_not_sealed(sealing: Sealing) -> None:
    sealing.write('system_identifier = "42"')
    done = sealing.seal("--accept-host-keys")
    assert done.returncode == 2
    assert "but the plan says 42" in done.stderr
    assert not sealing.servers.exists()


def test_a_database_that_lets_nobody_in_is_named_and_the_seal_is_incomplete(sealing: Sealing) -> None:
    sealing.cluster.sql(f'ALTER ROLE "{sealing.role.name}" NOLOGIN')
    done = sealing.seal("--accept-host-keys")
    assert done.returncode == 3
    assert "orders: server not sealed: orders: " in done.stderr
    assert "; cure: have the DBA look: SELECT rolcanlogin" in done.stderr
    assert not sealing.servers.exists()
    assert sealing.pinned.exists()


@pytest.mark.long
def test_the_schema_is_recorded_as_text_and_what_changed_since_is_named(sealing: Sealing) -> None:
    cluster = sealing.cluster
    name = cluster.create_database("orders", owner=sealing.role.name)
    sealing.plan.write_text(sealing.plan.read_text().replace('name = "postgres"', f'name = "{name}"'))
    file = sealing.plan.with_suffix(".orders.schema.txt")
    cluster.sql("CREATE TABLE invoice (id int)", dbname=name)
    done = sealing.seal("--accept-host-keys")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"orders: schema of 4 objects in {file} (new)" in done.stdout
    text = file.read_text()
    assert "table public.invoice\n  owner postgres\n  column id integer\n" in text
    assert f"{file} (unchanged)" in sealing.seal().stdout
    cluster.sql("ALTER TABLE invoice ADD total numeric; CREATE SEQUENCE numbers", dbname=name)
    changed = f"{file} (changed)\n  added     sequence public.numbers\n  modified  table public.invoice\n"
    assert changed in sealing.seal().stdout
    password = f"CREATE FUNCTION secret() RETURNS text LANGUAGE sql AS $$SELECT '{sealing.role.password}'::text$$"
    cluster.sql(password, dbname=name)
    assert "added     function public.secret()" in sealing.seal().stdout
    assert "SELECT '[secret]'::text" in file.read_text()
    assert "added" not in sealing.seal().stdout
    asked = preflight("run", sealing.plan, "--only", "schema-drift", "-v", ORDERS_PASSWORD=sealing.role.password)
    assert re.search(r"PASS +schema-drift +orders", asked.stdout), asked.stdout
    file.write_text(text[:-1])
    assert f"{file} (replaced, it could not be read: no schema, or one that is cut off)" in sealing.seal().stdout
    assert "column total numeric" in file.read_text()


def test_a_schema_that_somebody_holds_is_not_sealed_and_said(sealing: Sealing) -> None:
    cluster = sealing.cluster
    name = cluster.create_database("orders", owner=sealing.role.name)
    sealing.plan.write_text(sealing.plan.read_text().replace('name = "postgres"', f'name = "{name}"'))
    cluster.sql("CREATE VIEW one AS SELECT 1 AS n", dbname=name)
    with cluster.connect(name, autocommit=False) as holder:
        holder.execute("LOCK TABLE one IN ACCESS EXCLUSIVE MODE")
        done = sealing.seal("--accept-host-keys")
    assert done.returncode == 3
    assert "orders: schema not sealed: orders: no result within 30 s, locks waited for 1 s at most" in done.stderr
    assert not sealing.plan.with_suffix(".orders.schema.txt").exists()


@pytest.mark.parametrize("text", ["", "{", '{"format": 2, "databases": {}}', '{"format": 1, "databases": {"o": {}}}'])
def test_sealed_servers_that_cannot_be_read_are_an_error_of_the_plan(sealing: Sealing, text: str) -> None:
    sealing.servers.write_text(text)
    for command in ("seal", "lint", "run"):
        done = preflight(command, sealing.plan)
        assert done.returncode == 2, command
        assert "plan.sealed.json: cannot be read" in done.stderr + done.stdout


def test_hosts_behind_jump_hosts_are_sealed_in_one_call(tmp_path: Path, site: Site, good_account: Account) -> None:
    names = ("db1", "inner", "outer")
    servers = {name: site.start_sshd() for name in names}
    text = BASE
    for name, jump in zip(names, ("inner", "outer", ""), strict=True):
        text += f"""
[hosts.{name}]
address = "{servers[name].address}"
port = {servers[name].port}
user = "{good_account.name}"
key = "{good_account.key}"
{f'jump = "{jump}"' if jump else ""}
"""
    plan = tmp_path / "plan.toml"
    plan.write_text(text)
    done = preflight("seal", plan, "--accept-host-keys")
    assert done.returncode == 0, done.stderr
    pinned = (tmp_path / "plan.known_hosts").read_text().splitlines()
    assert [line.split()[0] for line in pinned[1:]] == [f"[127.0.0.1]:{servers[name].port}" for name in names[::-1]]


def test_sealing_twice_changes_nothing(sealing: Sealing) -> None:
    sealing.seal("--accept-host-keys")
    before = sealing.pinned.read_bytes(), sealing.servers.read_bytes()
    again = sealing.seal()
    assert again.returncode == 0, again.stderr
    assert "pinned already" in again.stdout
    assert "sealed already" in again.stdout
    assert (sealing.pinned.read_bytes(), sealing.servers.read_bytes()) == before


def test_without_a_terminal_and_without_consent_nothing_is_pinned(sealing: Sealing) -> None:
    done = sealing.seal()
    assert done.returncode == 2
    assert sealing.sshd.fingerprint() in done.stdout
    assert "--accept-host-keys" in done.stderr
    assert not sealing.pinned.exists()


def test_a_changed_host_key_is_never_replaced(sealing: Sealing, site: Site) -> None:
    sshd, pinned, other = sealing.sshd, sealing.pinned, site.start_sshd()
    pinned.write_text(other.known_hosts_lines(f"[{sshd.address}]:{sshd.port}"))
    before = pinned.read_bytes()
    done = sealing.seal("--accept-host-keys")
    assert done.returncode == 2
    assert other.fingerprint() in done.stderr
    assert sshd.fingerprint() in done.stderr
    assert pinned.read_bytes() == before


def test_a_silent_host_is_named_and_the_seal_is_incomplete(sealing: Sealing) -> None:
    text = sealing.plan.read_text()
    sealing.plan.write_text(text.replace(f"port = {sealing.sshd.port}", "port = 1"))
    done = sealing.seal("--accept-host-keys")
    assert done.returncode == 3
    assert "db1: no key seen" in done.stderr


def test_a_folder_that_cannot_be_sealed_is_2_with_every_reason(sealing: Sealing, tmp_path: Path) -> None:
    (tmp_path / "sql" / "020.sql").symlink_to("010.sql")
    done = sealing.seal("--scripts-only")
    assert done.returncode == 2
    assert "020.sql" in done.stderr
    assert not (tmp_path / "sql.SHA256SUMS").exists()
