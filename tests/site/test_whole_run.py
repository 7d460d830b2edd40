"""What a whole run sends to a host, a database and an application, and what it leaves there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from preflight.clock import Deadline
from tests.cli.program import BASE, preflight, write_plan
from tests.site.accounts import Account
from tests.site.machine import TIMEOUT_SECONDS
from tests.site.postgres import Cluster
from tests.site.site import Site

GUIDE = Path(__file__).parent.parent.parent / "docs/guides/dba.md"
WTMP = Path("/var/log/wtmp")
COUNTS = """
SELECT (SELECT sum(seq_scan + coalesce(idx_scan, 0)) FROM pg_stat_user_tables WHERE relname = 'private'),
  (SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables),
  (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_locks WHERE database <> 0 AND pid <> pg_backend_pid())
"""
PLAN = """
[hosts.db1]
address = "{sshd.address}"
port = {sshd.port}
user = "{account.name}"
key = "{account.key}"

[databases.orders]
host = "db1"
address = "127.0.0.1"
port = {postgres.port}
name = "{name}"
user = "{role.name}"
password = "env:ORDERS_PASSWORD"
sslmode = "verify-full"
sslrootcert = "{postgres.ca}"

[backups.orders]
database = "orders"
directory = "{backups}"
previous = "{backups}/*.dump"
format = "custom"

[applications.shop]
from = "1"
to = "2"
health = [{{ url = "{url}", ca = "{postgres.ca}", version = "version" }}]
"""


@dataclass
class Told:
    """What `show` says, and what came to the servers when the plan was run."""

    shown: str
    opened: int
    """Connections while `show` ran."""
    words: Sequence[str]
    """Of what came to the shell, taken apart as it does."""
    statements: str
    requests: Sequence[str]
    logins: int
    sessions: int
    before: object
    after: object
    report: str
    in_wtmp: bool


def logging_program(site: Site) -> tuple[Path, Path]:
    """The DBA's guide has it: it writes what is asked of an account into a file, and runs it."""
    (text,) = re.findall(r"^```sh\n(#!/bin/sh\n.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    program, log = site.new_path("log-preflight"), site.new_path("questions.log")
    log.touch()
    log.chmod(0o666)
    program.write_text(text.replace("logger -t preflight", f"cat >>{log}"))
    program.chmod(0o755)
    return program, log


def state(account: Account, folder: Path, cluster: Cluster, name: str) -> object:
    paths = [path for root in (account.home, folder) for path in (root, *root.rglob("*"))]
    running, deadline = ["not looked yet"], Deadline(TIMEOUT_SECONDS)
    while running and not deadline.over:  # a session ends a moment after its connection
        running = subprocess.run(["pgrep", "-u", account.name], capture_output=True, text=True).stdout.split()
        running += cluster.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'preflight'")
    return sorted((str(path), path.stat().st_mtime_ns) for path in paths), running, cluster.sql(COUNTS, dbname=name)


@pytest.fixture(scope="module")
def told(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    program, log = logging_program(site)
    cluster, folder = site.start_postgres(settings={"log_statement": "all"}), site.new_path("backups")
    folder.mkdir(mode=0o755)
    app, sshd = site.start_app(), site.start_sshd()
    app.answer_json({"version": "1"})
    account = site.accounts.add("asked", key_options=f'restrict,command="{program}"')
    role = cluster.create_role("release", options="IN ROLE pg_monitor")
    name = cluster.create_database("orders", owner=role.name)
    cluster.sql("CREATE TABLE private AS SELECT n FROM generate_series(1, 1000) n", dbname=name)
    spool = cluster.backups / "a.dump"
    cluster.client("pg_dump", "-Fc", "-f", spool, name)
    shutil.move(spool, folder / "a.dump")
    for path in (folder, folder / "a.dump"):
        shutil.chown(path, account.name, account.name)
    text = PLAN.format(
        sshd=sshd, account=account, postgres=cluster, role=role, name=name, backups=folder, url=app.url()
    )
    plan = write_plan(tmp_path_factory.mktemp("plan"), BASE + text)
    plan.with_suffix(".known_hosts").write_text(sshd.known_hosts_lines())
    at = len(cluster.whole_log)
    shown = preflight("show", plan).stdout
    opened = sshd.whole_log.count("Connection from") - 1 + cluster.whole_log[at:].count("received: host=127.0.0.1")
    opened += len(app.requests)
    before, at = state(account, folder, cluster, name), len(cluster.whole_log)
    done = preflight("run", plan, "-v", ORDERS_PASSWORD=role.password)
    assert done.returncode in (0, 1, 3), done.stderr
    assert "orders" in done.stdout
    statements = cluster.whole_log[at:]
    yield Told(
        shown=shown,
        opened=opened,
        words=shlex.split(log.read_text()),
        statements=statements,
        requests=[f"{method} {app.url(path)}" for method, path, _ in app.requests],
        logins=sshd.whole_log.count("Accepted publickey"),
        sessions=len(re.findall(f"authorized: user={role.name} .*application_name=preflight", statements)),
        before=before,
        after=state(account, folder, cluster, name),
        report=done.stdout,
        in_wtmp=WTMP.exists() and account.name.encode() in WTMP.read_bytes(),
    )
    app.close()
    sshd.close()


def questions(shown: str, kind: str) -> list[str]:
    """The texts under `ssh`, `sql` or `http` in what `show` prints."""
    part = re.split(r"^  (?=(?:ssh|sql|http|local) +[A-Z])", shown, flags=re.MULTILINE)
    (lines,) = [each.splitlines() for each in part if each.startswith(kind)]
    texts: list[str] = []
    for line, above in zip(lines[1:], lines, strict=False):
        if line.startswith("      |"):
            text = line.removeprefix("      |").removeprefix(" ")
            texts = [*texts[:-1], f"{texts[-1]}\n{text}"] if above.startswith("      |") else [*texts, text]
    return texts


def bare(text: str) -> str:
    """Without blanks, and without the quoting of a script that is handed to another shell: `show` indents that one."""
    return "".join(text.replace("'\"'\"'", "'").split())


def test_show_connects_to_nothing(told: Told) -> None:
    assert "to 4 targets" in told.shown, "a host, a database, an application and the files beside the plan"
    assert told.opened == 0


def test_what_show_prints_is_what_is_sent(told: Told) -> None:
    assert {text.partition("\n")[0] for text in questions(told.shown, "http")} == set(told.requests)
    statements = re.findall(r"LOG:  (?:statement|execute [^:]*): (.*(?:\n\t.*)*)", told.statements)
    for kind, sent in (("ssh", told.words), ("sql", statements)):
        asked = questions(told.shown, kind)
        assert asked
        assert {*map(bare, asked)} - {*map(bare, sent)} == set(), kind


def test_each_server_is_logged_in_to_once(told: Told) -> None:
    assert (told.logins, told.sessions) == (1, 1)


def test_no_login_stands_in_wtmp(told: Told) -> None:
    """Where sshd writes sessions that have a terminal."""
    assert (told.logins, told.in_wtmp) == (1, False)


def test_nothing_is_left_and_no_table_is_read(told: Told) -> None:
    """No file, not for a moment: folders keep their times; no process, no lock, no row, no object of a database."""
    assert "(proved, nothing left" in " ".join(told.report.split())
    assert told.after == told.before
