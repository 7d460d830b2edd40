"""`preflight init --look` on a real site: two hosts, a PostgreSQL with a backup by cron, an application."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from preflight.plan.load import load_plan
from tests.cli.program import argv, environment, preflight, until
from tests.site.accounts import Accounts
from tests.site.https import HttpsApp
from tests.site.site import Site
from tests.site.test_competing_jobs import use_crontab, use_program

MOST_ANSWERS = 12
SECONDS = 120.0
SYSTEMCTL = """\
case "$*" in
  list-units*--state=running*) cat <<END ;;
cron.service         loaded active running Regular background program processing daemon
shop@1.service       loaded active running Shop: sells things
ssh.service          loaded active running OpenBSD Secure Shell server
END
  'is-active shop@1.service') echo active ;;
  *) exit 1 ;;
esac"""
"""In the shape of systemd 252: no machine of the tests runs it."""


@pytest.mark.long
def test_from_an_empty_folder_to_the_first_verdict_in_twelve_answers(
    site: Site, tmp_path: Path, shared_path: Path, accounts: Accounts, https_app: HttpsApp
) -> None:
    account, path = accounts.add("dba"), tmp_path / "plan.toml"
    day = (datetime.now(UTC) + timedelta(days=2)).date()
    role = site.postgres.create_role("release", options="IN ROLE pg_monitor")
    database = site.postgres.create_database("orders", owner=role.name)
    other = site.postgres.create_database("billing", owner=role.name)
    dump = shared_path / f"{database}-2026-10-01.dump"
    site.postgres.sql("CREATE TABLE orders AS SELECT generate_series(1, 9) AS id", dbname=database)
    site.postgres.client("pg_dump", "-Fc", "-f", dump, database)
    shutil.chown(dump, account.name)
    server = f"-h {site.postgres.socket_directory} -p {site.postgres.port} -U {role.name}"
    command = f"pg_dump {server} -Fc {database} -f {shared_path}/{database}-$(date +\\%F).dump"
    use_crontab(account, f"0 2 * * * {command}", "30 1 * * * /opt/cleanup")
    accounts.allow_sudo(account, "postgres")
    https_app.answer_json({"name": "shop", "build": {"version": "4.1"}})
    use_program(account.home / "bin", "systemctl", SYSTEMCTL)
    second = site.start_sshd(address="127.0.0.2")
    hosts = f"db1={account.name}@127.0.0.1:{site.sshd.port}, app1={account.name}@127.0.0.2:{second.port}"
    answers = {
        "Release number": "REL-9",
        "Time zone": "UTC",
        "Start of": f"{day} 00:00",
        "End of": f"{day} 06:00",
        "Hosts": hosts,
        "Databases": f"{database}@{role.name}@db1:{site.postgres.port}",
        "Applications": f"shop={https_app.url()}",
        "Who answers": "D. Kaya",
        "Login of the hosts": f"key={account.key}",
        "Password of": "env:ORDERS_PASSWORD",
        "File with": str(site.authority.certificate),
        "confirm these 2 new fingerprints": "y",
    }
    assert len(answers) <= MOST_ANSWERS
    said = _answer(["init", str(path), "--look"], answers, role.password)
    assert site.sshd.fingerprint() in said
    text = path.read_text()
    assert role.password not in text + said

    plan = load_plan(path)
    backup = plan.backups[database]
    assert plan.databases[database].version == str(site.postgres.version)
    assert f"# data directory {site.postgres.data}  (seen on {database}, " in text
    others = re.search("# TODO: also on this server, add those that the release changes: (.*)", text)
    assert others
    assert other in others[1].split(", ")
    assert (backup.directory, backup.previous) == (str(shared_path), f"{shared_path}/{database}-*.dump")
    assert backup.taken_by == "cron"
    assert backup.login == role.name
    assert backup.server == f"{site.postgres.socket_directory}:{site.postgres.port}"
    assert f'# server = "{backup.server}"  # seen on db1 in crontab of {account.name}, ' in text, "of the scripts, too"
    assert f"newest: {dump}, " in text
    assert [each.account for each in plan.hosts["db1"].become] == ["postgres"]
    assert "starts 01:30" in text
    shop = plan.applications["shop"]
    assert (shop.from_, shop.health[0].version) == ("4.1", "build.version")
    assert 'arguments = ["is-active", "shop@1.service"]  # seen on db1, ' in text
    assert plan.checks["command"]["run"]["shop-on-db1"]["owner"] == "shop"
    assert f"seen on {database}, " in text

    known = preflight("lint", path).stdout
    for to_do in ("standby", "the version that answers after the window", "No scripts are planned"):
        assert to_do in known, known
    assert preflight("lint", path, "--strict").returncode == 2
    done = preflight("run", path, ORDERS_PASSWORD=role.password)
    assert done.returncode == 1, done.stdout + done.stderr
    failed = re.findall(r"^FAIL +(\S+) ", done.stdout, re.MULTILINE)
    assert set(failed) - {"competing-jobs"} == {"on-call"}, done.stdout  # no cron runs on the tests' machine


@pytest.mark.long
def test_answers_by_which_not_everything_was_seen_need_not_be_given_again(
    site: Site, tmp_path: Path, accounts: Accounts
) -> None:
    path, account = tmp_path / "plan.toml", accounts.add("dba")
    host = f"db1={account.name}@127.0.0.1:{site.sshd.port}"
    answers = {
        "Release number": "R 9",
        "Time zone": "UTC",
        "Start of": "2030-10-17 00:00",
        "End of": "2030-10-17 06:00",
        "Hosts": host,
        "Databases": "orders=orders_p@release@db1:1, mysql:shop@db1",
        "Applications": "",
        "Who answers": "D. Kaya",
        "Login of the hosts": f"key={account.key}",
        "Password of": "env:ORDERS_PASSWORD",
        "File with": "",
        "confirm this new fingerprint": "y",
    }
    said = _answer(["init", str(path), "--look"], answers, "Pw-of-nobody-here")
    found = re.search(r"once that is cured, with the same answers: rm (\S+) && preflight (.*)\r\n", said)
    assert found, said
    written = path.read_text()
    Path(found[1]).unlink()
    done = preflight(*shlex.split(found[2]), ORDERS_PASSWORD="Pw-of-nobody-here")
    assert done.returncode == 0, done.stderr
    assert path.read_text() == written


def test_a_fingerprint_that_nobody_confirms_is_not_logged_in_by(site: Site, tmp_path: Path, accounts: Accounts) -> None:
    path, account = tmp_path / "plan.toml", accounts.add("dba")
    host = f"db1={account.name}@127.0.0.1:{site.sshd.port}"
    needed = ("--release", "R", "--zone", "UTC", "--start", "2030-10-17 00:00", "--end", "2030-10-17 06:00")
    call = ("init", path, "--look", *needed, "--by", "D. Kaya", "--credential", f"key={account.key}", "--host", host)
    done = preflight(*call)
    assert (done.returncode, "--accept-host-keys" in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []
    assert f"Accepted publickey for {account.name}" not in site.sshd.whole_log
    assert preflight(*call, "--accept-host-keys").returncode == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["plan.known_hosts", "plan.toml"]
    assert load_plan(path).hosts["db1"].user == account.name


def test_a_managed_database_is_looked_at_and_a_service_that_is_not_seen_is_left_to_do(
    site: Site, tmp_path: Path, accounts: Accounts, https_app: HttpsApp
) -> None:
    path, account = tmp_path / "plan.toml", accounts.add("dba")
    role = site.postgres.create_role("release", options="IN ROLE pg_monitor")
    database = site.postgres.create_database("ledger", owner=role.name)
    https_app.answer_json({"version": "4.1"})
    second = site.start_sshd(address="127.0.0.2")
    needed = ("--release", "R", "--zone", "UTC", "--start", "2030-10-17 00:00", "--end", "2030-10-17 06:00")
    logins = ("--by", "D. Kaya", "--credential", f"key={account.key}", "--database-password", "env:PW")
    places = ("--host", f"tools={account.name}@127.0.0.2:{second.port}", "--ca", str(site.authority.certificate))
    things = (
        "--database",
        f"{database}@{role.name}@127.0.0.1:{site.postgres.port}",
        "--application",
        f"shop={https_app.url()}",
    )
    call = ("init", path, "--look", *needed, *logins, *places, *things, "--accept-host-keys")
    assert preflight(*call, PW=role.password).returncode == 0
    text, ledger = path.read_text(), load_plan(path).databases[database]
    assert (ledger.host, ledger.address, ledger.version) == ("", "127.0.0.1", str(site.postgres.version))
    assert "# TODO: its service on tools, to be asked for as in [checks.command.run.NAME]; none was seen: " in text


@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_folder_of_backups_that_may_not_be_read_is_told_from_an_empty_one(
    site: Site, tmp_path: Path, shared_path: Path, accounts: Accounts, mode: int
) -> None:
    path, account, folder = tmp_path / "plan.toml", accounts.add("dba"), shared_path / "srv" / "backup"
    folder.mkdir(parents=True)
    folder.chmod(mode)
    role = site.postgres.create_role("release", options="IN ROLE pg_monitor")
    database = site.postgres.create_database("orders", owner=role.name)
    server = f"-h {site.postgres.socket_directory} -p {site.postgres.port} -U {role.name}"
    use_crontab(account, f"0 2 * * * pg_dump {server} -Fc {database} -f {folder}/{database}-$(date +\\%F).dump")
    needed = ("--release", "R", "--zone", "UTC", "--start", "2030-10-17 00:00", "--end", "2030-10-17 06:00")
    logins = ("--by", "D. Kaya", "--credential", f"key={account.key}", "--database-password", "env:PW")
    places = (
        *("--host", f"db1={account.name}@127.0.0.1:{site.sshd.port}", "--ca", str(site.authority.certificate)),
        *("--database", f"{database}@{role.name}@db1:{site.postgres.port}"),
    )
    done = preflight("init", path, "--look", *needed, *logins, *places, "--accept-host-keys", PW=role.password)
    assert done.returncode == 0, done.stderr
    pattern = f"{folder}/{database}-*.dump"
    told = f"the folder of {pattern} could not be read" if mode == 0o700 else f"no file was seen that {pattern} finds"
    assert f"# TODO: {told}" in path.read_text(), path.read_text()


def _answer(arguments: list[str], answers: dict[str, str], password: str) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv(*arguments), stdin=theirs, stdout=theirs, stderr=theirs, env=environment(ORDERS_PASSWORD=password)
    )
    os.close(theirs)
    said = ""
    for question, answer in answers.items():
        said += until(ours, question, SECONDS)
        os.write(ours, f"{answer}\n".encode())
    said += until(ours, "is written", SECONDS)
    assert process.wait(SECONDS) == 0, said
    os.close(ours)
    return said
