"""competing-jobs against a real sshd, sudo and PostgreSQL. cron and systemd are stood in for by programs on the
account's PATH that print what the real ones print; the site's machine has neither running."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.competing_jobs import CompetingJobs

from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import Become, Host, Role, Said, SecretRef
from preflight.probe import Reply
from preflight.questions.jobs import CrontabProbe
from preflight.questions.shell import AsAccount
from tests.site.accounts import Account, Accounts
from tests.site.asking import NOW, WINDOW, database_on, findings, host_on, make_plan, told
from tests.site.machine import run
from tests.site.postgres import DatabaseRole
from tests.site.site import Site

Ask = Callable[..., Finding]
AT_START = f"{WINDOW.start:%M %H} * * *"
AFTERWARDS = f"0 {(WINDOW.needed_until.hour + 2) % 24} * * *"
MACHINE = ("/etc/cron", "crontab of root")
"""What is agreed of this machine's own jobs, so that the tests see theirs only."""
DBA = Role(id="dba", primary="D. Kaya")
NOTHING = Said(by="dba", on=NOW.date(), reason="nothing else starts then")


@pytest.fixture
def ask(site: Site, tmp_path: Path) -> Ask:
    """The finding about a host with this login."""

    def ask(account: Account, become: Sequence[str] = (), **settings: Any) -> Finding:
        host = host_on(site.sshd, account, become=tuple(Become(account=Login(name)) for name in become))
        given = {"known": MACHINE, "asked": {"db1": NOTHING}, **settings}
        known_hosts = site.sshd.known_hosts_lines()
        plan = make_plan(tmp_path, hosts=[host], known_hosts=known_hosts, roles=[DBA], checks={"competing-jobs": given})
        return findings(CompetingJobs, plan)["db1"]

    return ask


def use_program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def use_crontab(account: Account, *lines: str, script: str = "") -> None:
    """Puts a `crontab` that lists these lines on the PATH of the account's commands."""
    listing = script or f"printf '%s\\n' {shlex.join(lines)}"
    use_program(account.home / "bin", "crontab", listing)
    (account.home / ".bashrc").write_text(f"PATH={account.home}/bin:$PATH\n")


def test_a_host_without_jobs_in_the_window_passes(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    use_crontab(account, "# nightly", f"{AFTERWARDS} pg_dump orders")
    found = ask(account)
    assert found.status is Status.PASS, told(found)
    assert f"the crontab of {account.name}" in found.judgement.summary
    assert "no timers" in found.judgement.summary


def test_a_host_without_cron_says_so(ask: Ask, site: Site) -> None:
    found = ask(site.account("good"))
    assert found.status is Status.PASS, told(found)
    assert "looked at" in found.judgement.summary


@pytest.mark.long
def test_a_job_in_the_window_is_told_with_its_time_and_without_its_password(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    use_crontab(account, f"{AT_START} PGPASSWORD=s3cret-7 pg_dump -Fc orders > /backup/orders.dump")
    found = ask(account)
    assert found.status is Status.WARN, told(found)
    command = "PGPASSWORD=[redacted] pg_dump -Fc orders > /backup/orders.dump"
    assert command in found.judgement.summary
    assert f"({account.name}, {AT_START}, crontab of {account.name})" in found.judgement.summary
    assert "s3cret" not in repr(found)
    (event,) = [event for event in found.judgement.events if "pg_dump" in event.text]
    assert WINDOW.start <= event.at <= WINDOW.needed_until


@pytest.mark.long
def test_an_agreed_job_is_not_warned_of(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    use_crontab(account, f"{AT_START} /opt/report")
    assert ask(account).status is Status.WARN
    found = ask(account, known=(*MACHINE, "/opt/report"))
    assert found.status is Status.PASS, told(found)
    assert "known, and agreed: " in found.judgement.summary


def test_a_line_that_cannot_be_read_is_shown(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    use_crontab(account, "0~30 3 * * * /opt/report")
    found = ask(account, asked={})
    assert found.status is Status.UNKNOWN, told(found)
    assert "cannot be read: 0~30 3 * * * /opt/report" in found.judgement.summary


def test_a_crontab_that_is_refused_is_said(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    use_crontab(account, script=f"echo 'You ({account.name}) are not allowed to use this program' >&2; exit 1")
    found = ask(account, asked={})
    assert found.status is Status.UNKNOWN, told(found)
    assert f"not seen: the crontab of {account.name} (You ({account.name}) are not allowed" in told(found)


@pytest.mark.long
def test_the_crontab_of_an_account_it_becomes_is_read(ask: Ask, accounts: Accounts) -> None:
    login, worker = accounts.add(), accounts.add("worker")
    use_crontab(login, f"{AFTERWARDS} true")
    use_crontab(worker, f"{AT_START} pg_dump orders")
    login.home.chmod(0o755)
    worker.home.chmod(0o755)
    refused = ask(login, [worker.name], asked={})
    assert refused.status is Status.UNKNOWN, told(refused)
    assert f"the crontab of {worker.name} (sudo gives the login no shell of {worker.name})" in told(refused)
    accounts.allow_sudo(login, worker.name)
    accounts.sudo_defaults(login, f"secure_path={worker.home}/bin:/usr/bin:/bin")
    found = ask(login, [worker.name])
    assert found.status is Status.WARN, told(found)
    assert f"pg_dump orders ({worker.name}, {AT_START}, crontab of {worker.name})" in found.judgement.summary


@pytest.mark.parametrize(
    ("changed", "until"),
    [
        ({"account_expires": date(2026, 11, 1)}, date(2026, 10, 31)),
        ({"last_change": date(2026, 8, 1), "max_days": 10}, date(2026, 8, 11)),
        ({"account_expires": date(2099, 1, 1), "last_change": date(2026, 8, 1), "max_days": 10}, date(2026, 8, 11)),
        ({"must_change": True}, date.min),
        ({}, None),
    ],
)
def test_the_last_day_on_which_cron_starts_anything_for_an_account_is_told(
    accounts: Accounts, changed: Mapping[str, Any], until: date | None
) -> None:
    worker = accounts.add("worker", **changed)
    probe = CrontabProbe("db1", AsAccount(worker.name, is_login=True))
    done = run("sh", "-c", probe.ask(), user=worker.name)
    assert probe.read(Reply(0, done.stdout, NOW, 0.1, "here")).starts_until == until


@pytest.mark.case(45)
@pytest.mark.parametrize(
    ("hours_before", "accuracy", "late"), [(0, "1min", ""), (7, "8h", ", up to 8 h later"), (7, "30s", None)]
)
def test_timers_of_systemd_are_read(
    ask: Ask, accounts: Accounts, hours_before: int, accuracy: str, late: str | None
) -> None:
    account = accounts.add()
    use_crontab(account, f"{AFTERWARDS} true")
    calendar = f"*-*-* {WINDOW.start - timedelta(hours=hours_before):%H:%M}:00 UTC"
    timer = (
        f"Unit=pg-backup.service\nTimersCalendar={{ OnCalendar={calendar} ; next_elapse=n/a }}\n"
        f"NextElapseUSecRealtime=\nNextElapseUSecMonotonic=0\nRandomizedDelayUSec=0\nAccuracyUSec={accuracy}\nId=pg-backup.timer\n"
        "ActiveState=active"
    )
    service = (
        "ExecStart={ path=/opt/b ; argv[]=/opt/backup --token=s3cret-7 all ; ignore_errors=no }\nId=pg-backup.service"
    )
    script = f"""case "$*" in
  *Unit,ActiveState*) printf '%s\\n' {shlex.quote(timer)} ;;
  *) printf '%s\\n' {shlex.quote(service)} ;;
esac"""
    use_program(account.home / "bin", "systemctl", script)
    found = ask(account)
    assert f"/opt/backup --token=[redacted] all ({calendar}{late}, pg-backup.timer)" in told(found) or late is None
    assert found.status is (Status.PASS if late is None else Status.WARN), told(found)
    assert "s3cret" not in repr(found)


@pytest.mark.long
def test_a_systemd_that_does_not_answer_is_unknown(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    use_crontab(account, f"{AFTERWARDS} true")
    use_program(account.home / "bin", "systemctl", "echo 'Failed to connect to bus: No such file' >&2; exit 1")
    found = ask(account, asked={})
    assert found.status is Status.UNKNOWN, told(found)
    assert "Failed to connect to bus" in told(found)


def test_a_host_nobody_reaches_is_unknown(ask: Ask, site: Site) -> None:
    found = ask(site.account("nologin"))
    assert found.status is Status.UNKNOWN, told(found)


@pytest.fixture
def ask_database(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The finding about pg_cron in a database, asked as a role."""

    def ask(name: str, role: DatabaseRole, **settings: Any) -> Finding:
        monkeypatch.setenv("JOBS_PASSWORD", role.password)
        host = Host(id="db1", user=Login("nobody"), key=tmp_path / "none")
        database = database_on(site.postgres, role.name, name=name, password=SecretRef("env", "JOBS_PASSWORD"))
        plan = make_plan(tmp_path, hosts=[host], databases=[database], roles=[DBA], checks={"competing-jobs": settings})
        return findings(CompetingJobs, plan)["pg_cron of orders"]

    return ask


# The tables and policies of pg_cron's own installation script.
PG_CRON = """\
CREATE SCHEMA cron;
CREATE TABLE cron.job (jobid bigint PRIMARY KEY, schedule text NOT NULL, command text NOT NULL,
  nodename text NOT NULL DEFAULT 'localhost', nodeport int NOT NULL DEFAULT 5432,
  database text NOT NULL DEFAULT current_database(), username text NOT NULL DEFAULT current_user,
  active boolean NOT NULL DEFAULT true, jobname text);
ALTER TABLE cron.job ENABLE ROW LEVEL SECURITY;
CREATE POLICY cron_job_policy ON cron.job USING (username = current_user);
"""


@pytest.fixture
def database(site: Site) -> str:
    return site.postgres.create_database("jobs")


def rows(site: Site, database: str, *jobs: Mapping[str, Any]) -> None:
    site.postgres.sql(PG_CRON, dbname=database)
    for number, job in enumerate(jobs, 1):
        site.postgres.sql(
            "INSERT INTO cron.job (jobid, schedule, command, username, active, jobname) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            number, job["schedule"], job["command"], job["user"], job.get("active", True), job.get("name"),
            dbname=database,
        )  # fmt: skip


def grant(site: Site, database: str, role: DatabaseRole) -> None:
    site.postgres.sql(f'GRANT USAGE ON SCHEMA cron TO "{role.name}"', dbname=database)
    site.postgres.sql(f'GRANT SELECT ON cron.job TO "{role.name}"', dbname=database)


def test_a_database_without_pg_cron_passes(ask_database: Ask, site: Site, database: str) -> None:
    role = site.postgres.create_role("jobs")
    found = ask_database(database, role)
    assert found.status is Status.UNKNOWN, told(found)
    assert "not seen: whether pg_cron works from another database" in told(found)
    site.postgres.sql(f'GRANT pg_read_all_settings TO "{role.name}"')
    found = ask_database(database, role)
    assert (found.status, found.judgement.summary) == (Status.PASS, "pg_cron has no table in this database")


def test_jobs_of_pg_cron_are_told_without_their_passwords(ask_database: Ask, site: Site, database: str) -> None:
    role = site.postgres.create_role("jobs", options="BYPASSRLS")
    rows(
        site, database,
        {"schedule": AT_START, "command": "VACUUM orders", "user": "postgres", "name": "nightly"},
        {"schedule": AT_START, "command": "ALTER ROLE x PASSWORD 's3cret-7'", "user": "postgres"},
        {"schedule": AT_START, "command": "REINDEX TABLE orders", "user": "postgres", "active": False},
        {"schedule": AFTERWARDS, "command": "SELECT 1", "user": "postgres"},
    )  # fmt: skip
    grant(site, database, role)
    found = ask_database(database, role)
    assert found.status is Status.WARN, told(found)
    assert f"nightly in {database}: VACUUM orders (postgres, {AT_START}, pg_cron)" in found.judgement.summary
    assert f"job 2 in {database}: ALTER ROLE x PASSWORD [redacted]" in told(found)
    assert "s3cret" not in repr(found)
    assert "REINDEX" not in told(found)
    assert "SELECT 1" not in told(found)
    assert ask_database(database, role, known=(f" in {database}: ",)).status is Status.PASS


def test_jobs_of_other_roles_that_are_hidden_are_said(ask_database: Ask, site: Site, database: str) -> None:
    role = site.postgres.create_role("jobs")
    rows(
        site, database,
        {"schedule": AT_START, "command": "VACUUM orders", "user": "postgres"},
        {"schedule": AT_START, "command": "SELECT report()", "user": role.name},
    )  # fmt: skip
    found = ask_database(database, role)
    assert found.status is Status.UNKNOWN, told(found)
    assert "not seen: cron.job, which the role may not read" in found.judgement.summary
    grant(site, database, role)
    found = ask_database(database, role)
    assert "SELECT report()" in told(found)
    assert "VACUUM" not in told(found)
    assert f"not seen: jobs in cron.job of other roles than {role.name}" in told(found)


def test_a_database_nobody_reaches_is_unknown(ask_database: Ask, site: Site) -> None:
    found = ask_database("no_such_database", site.postgres.create_role("jobs"))
    assert found.status is Status.UNKNOWN, told(found)
