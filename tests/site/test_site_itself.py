"""The test site is what it says it is, seen through plain clients: ssh, psql, ssl."""

from __future__ import annotations

import contextlib
import http.client
import os
import pwd
import socket
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Network
from tests.site import machine
from tests.site.accounts import Account, Accounts
from tests.site.accounts import clear_leftovers as clear_account_leftovers
from tests.site.https import HttpsApp
from tests.site.machine import clean_environment
from tests.site.mounts import Mounts
from tests.site.postgres import Cluster
from tests.site.site import Site
from tests.site.ssh_client import ssh
from tests.site.sshd import Sshd


@pytest.mark.parametrize("password", [False, True])
def test_the_good_account_logs_in_and_runs_commands(sshd: Sshd, good_account: Account, password: bool) -> None:
    done = ssh(sshd, good_account, "id -un; exit 7", password=password)
    assert (done.stdout, done.returncode) == (f"{good_account.name}\n", 7)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("expired", "Connection closed by"),
        ("must-change", "required to change your password"),
        ("password-expired", "Your password has expired"),
        ("nologin", "This account is currently not available."),
        ("forced", ""),
    ],
)
def test_accounts_that_cannot_work_do_not_work(site: Site, sshd: Sshd, kind: str, said: str) -> None:
    done = ssh(sshd, site.account(kind), "echo worked")
    assert "worked" not in done.stdout
    assert said in done.stdout + done.stderr
    assert (done.returncode == 0) == (kind == "forced")


def test_accounts_about_to_expire_still_work_and_know_their_dates(site: Site, sshd: Sshd) -> None:
    in_three_days = (datetime.now(UTC) + timedelta(days=3)).date()
    for kind, field in (("soon", "Account expires"), ("password-soon", "Password expires")):
        done = ssh(sshd, site.account(kind), "LC_ALL=C chage -i -l $(id -un)")
        dates = dict(line.split(":") for line in done.stdout.replace("\t", "").splitlines())
        assert dates[field].strip() == in_three_days.isoformat(), done.stdout


def test_a_password_about_to_expire_is_announced_at_login(site: Site, sshd: Sshd) -> None:
    done = ssh(sshd, site.account("password-soon"), "true", password=True)
    assert "your password will expire in 3 days" in done.stderr


@pytest.mark.long
def test_sudo_lets_postgres_client_programs_through_and_nothing_else(site: Site, sshd: Sshd) -> None:
    become = "sudo -k -n -u postgres --"
    done = ssh(sshd, site.account("sudo"), f"{become} /usr/bin/psql --version; {become} /bin/true")
    assert done.stdout.startswith("psql (PostgreSQL)")
    assert "a password is required" in done.stderr
    account = site.account("sudo-password")
    assert "a password is required" in ssh(sshd, account, f"{become} /usr/bin/psql --version").stderr
    with_password = f"echo '{account.password}' | sudo -k -S -p '' -u postgres -- /usr/bin/psql --version"
    assert ssh(sshd, account, with_password).stdout.startswith("psql (PostgreSQL)")


def test_an_account_made_for_a_test_is_gone_after_it(site: Site) -> None:
    with site.accounts.temporary() as accounts:
        account = accounts.add("brief")
        accounts.allow_sudo(account, "root")
        assert pwd.getpwnam(account.name).pw_dir == str(account.home)
    with pytest.raises(KeyError):
        pwd.getpwnam(account.name)
    assert not account.home.exists()
    assert not any(account.name in file.read_text() for file in Path("/etc/sudoers.d").iterdir())


@pytest.mark.long
def test_another_sshd_has_keys_and_options_of_its_own(site: Site, accounts: Accounts) -> None:
    other = site.start_sshd(address="127.0.0.2", options={"PasswordAuthentication": "no"}, key_types=("ecdsa", "rsa"))
    account = accounts.add("other")
    assert other.fingerprint() not in (site.sshd.fingerprint(), "")
    assert ssh(other, account, "echo worked").stdout == "worked\n"
    assert "Permission denied (publickey)" in ssh(other, account, "echo worked", password=True).stderr


def test_roles_log_in_with_scram_over_tls_and_without(postgres: Cluster) -> None:
    role = postgres.create_role("login", options="CONNECTION LIMIT 3")
    database = postgres.create_database("orders", owner=role.name)
    for sslmode, used in (("disable", False), ("verify-full", True)):
        with psycopg.connect(
            host="localhost",
            hostaddr=postgres.address,
            port=postgres.port,
            user=role.name,
            password=role.password,
            dbname=database,
            sslmode=sslmode,
            sslrootcert=str(postgres.ca),
        ) as connection:
            assert connection.pgconn.ssl_in_use == used
            assert connection.pgconn.used_password
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        postgres.connect(database, host=postgres.address, user=role.name, password="wrong")


def test_client_programs_work_as_superuser_and_as_a_role(postgres: Cluster) -> None:
    role = postgres.create_role("tools")
    database = postgres.create_database(owner=role.name)
    assert postgres.client("psql", "-XAtc", "SELECT current_user", database, role=role).strip() == role.name
    postgres.sql("CREATE TABLE things AS SELECT 1 AS id", dbname=database)
    dump = postgres.backups / "things.dump"
    postgres.client("pg_dump", "-Fc", "-f", dump, database)
    assert "TABLE DATA public things" in postgres.client("pg_restore", "-l", dump)


def test_hba_lines_hold_inside_and_are_gone_afterwards(postgres: Cluster) -> None:
    role = postgres.create_role("refused")
    with (
        postgres.hba(f"host all {role.name} all reject"),
        pytest.raises(psycopg.OperationalError, match="rejects connection"),
    ):
        postgres.connect(host=postgres.address, user=role.name, password=role.password)
    postgres.connect(host=postgres.address, user=role.name, password=role.password).close()


def test_the_replica_is_in_recovery(site: Site) -> None:
    assert site.replica.scalar("SELECT pg_is_in_recovery()") is True
    assert site.postgres.scalar("SELECT pg_is_in_recovery()") is False


@pytest.mark.long
def test_a_cluster_restarts_with_other_settings(site: Site) -> None:
    cluster = site.start_postgres()
    cluster.restart({"max_connections": "12"})
    assert cluster.scalar("SHOW max_connections") == "12"


def fetch(app: HttpsApp, path: str = "/health", timeout: float = 5.0) -> tuple[int, bytes, http.client.HTTPMessage]:
    """Status, body and headers of one GET."""
    context = ssl.create_default_context(cafile=str(app.ca))
    connection = http.client.HTTPSConnection(app.address, app.port, context=context, timeout=timeout)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(), response.headers


def test_the_application_answers_what_the_test_sets(https_app: HttpsApp) -> None:
    https_app.answer_json({"status": "UP"}, status=503)
    status, body, headers = fetch(https_app)
    assert (status, body, headers["Content-Type"]) == (503, b'{"status": "UP"}', "application/json")
    assert fetch(https_app, "/other")[0] == 404
    assert [request[1] for request in https_app.requests] == ["/health", "/other"]


def test_a_delayed_answer_is_late(https_app: HttpsApp) -> None:
    https_app.answer(body="late", delay_seconds=30)
    with pytest.raises(TimeoutError):
        fetch(https_app, timeout=0.2)


def test_a_silent_client_does_not_stop_the_application(https_app: HttpsApp) -> None:
    https_app.answer(body="fine")
    with socket.create_connection((https_app.address, https_app.port)):
        assert fetch(https_app)[1] == b"fine"


def test_certificates_carry_the_wanted_names_and_dates(site: Site) -> None:
    ends = datetime(2040, 1, 2, 3, 4, 5, tzinfo=UTC)
    app = site.start_app(["app1.test", "::1"], not_after=ends, address="::1")
    with contextlib.closing(app), socket.create_connection((app.address, app.port)) as plain:
        context = ssl.create_default_context(cafile=str(app.ca))
        with context.wrap_socket(plain, server_hostname="app1.test") as secure:
            certificate = secure.getpeercert()
    assert certificate is not None
    assert ssl.cert_time_to_seconds(str(certificate["notAfter"])) == ends.timestamp()


def test_an_expired_certificate_is_refused(site: Site) -> None:
    app = site.start_app(not_after=datetime.now(UTC) - timedelta(hours=1))
    with contextlib.closing(app), pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        fetch(app)


def test_small_file_systems_run_out_of_bytes_and_of_inodes(mounts: Mounts) -> None:
    small = mounts.tmpfs("small", size="64k")
    with pytest.raises(OSError, match="No space left"):
        (small / "file").write_bytes(bytes(128 * 1024))
    few = mounts.tmpfs("few", inodes=3)
    (few / "one").touch()
    (few / "two").touch()
    with pytest.raises(OSError, match="No space left"):
        (few / "three").touch()


def test_a_read_only_mount_refuses_writes(mounts: Mounts, shared_path: Path) -> None:
    with pytest.raises(OSError, match="Read-only file system"):
        (mounts.read_only("frozen", shared_path) / "file").touch()
    (shared_path / "file").touch()


def test_an_ext4_mount_is_a_device_of_its_own(mounts: Mounts, shared_path: Path) -> None:
    assert mounts.ext4("disk").stat().st_dev != shared_path.stat().st_dev


def test_leaving_loopback_is_noticed(network: Network) -> None:
    with pytest.raises(ConnectionRefusedError, match="stay on loopback"):
        socket.create_connection(("192.0.2.1", 80), timeout=0.1)
    assert network.forbidden == ["192.0.2.1 port 80"]
    network.forbidden.clear()


def test_the_surroundings_are_clean(clean_surroundings: Path) -> None:
    assert Path.home() == clean_surroundings
    assert not [name for name in os.environ if name.startswith("PG")]
    assert datetime.now().astimezone().utcoffset() == timedelta(0)


@pytest.mark.long
def test_what_a_killed_run_left_behind_is_cleared_away(site: Site) -> None:
    script = (
        "import os, signal\n"
        "from tests.site.site import Site\n"
        "site = Site().__enter__()\n"
        "account = site.account('good')\n"
        "site.accounts.allow_sudo(account, 'root')\n"
        "mounts = site.new_mounts()\n"
        "mounts.tmpfs('left')\n"
        "print(site.directory, account.name, site.sshd.port, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=clean_environment(), capture_output=True, text=True
    )
    assert killed.returncode == -9, killed.stderr
    directory, name, port = killed.stdout.split()
    machine.clear_leftovers()
    clear_account_leftovers()
    assert not Path(directory).exists()
    assert not (machine.MEMORY / Path(directory).name).exists()
    assert directory not in Path("/proc/self/mountinfo").read_text()
    assert name not in {entry.pw_name for entry in pwd.getpwall()}
    assert not any(name in file.read_text() for file in Path("/etc/sudoers.d").iterdir())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))
    assert site.directory.exists()


def test_a_machine_of_its_own_has_its_own_ports_files_accounts_and_zone(site: Site) -> None:
    machine = site.start_namespace(names={"db9.test": "127.0.0.1"}, zone="Asia/Kolkata")
    machine.add_account("pf-inside")
    machine.run("mkdir", "/preflight-inside")
    assert machine.run("getent", "hosts", "db9.test").split() == ["127.0.0.1", "db9.test"]
    assert machine.run("date", "+%z") == "+0530\n"
    assert machine.run("ip", "-brief", "link").split()[0] == "lo"
    assert not Path("/preflight-inside").exists()
    with pytest.raises(KeyError):
        pwd.getpwnam("pf-inside")
    listener = machine.call(lambda: socket.create_server(("127.0.0.1", 22)))
    with listener, machine.call(lambda: socket.create_connection(("127.0.0.1", 22))):
        listener.accept()[0].close()
    machine.close()
    assert not Path(f"/proc/{machine.pid}").exists(), "nothing of it is left"
