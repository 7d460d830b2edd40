"""What `preflight show --format markdown` asks for is enough, and no line too much, on a real host and server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from preflight_checks.backup_location import BackupLocation
from preflight_checks.backup_rights import BackupRights
from preflight_checks.become import BecomeAccount
from preflight_checks.command import Command, CommandCheck
from preflight_checks.database_login import DatabaseLogin
from preflight_checks.database_state import DatabaseState
from preflight_checks.earlier_backup import EarlierBackup
from preflight_checks.script_hashes import ScriptHashes
from preflight_checks.script_rights import ScriptRights
from preflight_checks.script_runner import ScriptRunner

from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import Backup, BackupMethod, Become, Plan, RemotePath, Scripts, SecretRef
from preflight.plan.values import Privilege
from preflight.reference import requests as requirements
from tests.site.accounts import Account, Accounts
from tests.site.asking import NOW, database_on, findings, host_on, make_plan, sealed_at, told
from tests.site.postgres import Cluster
from tests.site.site import Site

CHECKS = (
    *(BecomeAccount, DatabaseLogin, DatabaseState, BackupLocation, BackupRights, EarlierBackup, ScriptHashes),
    ScriptRights,
)
PREVIOUS = "orders"


@dataclass
class Wanted:
    """A plan, and what its document asks for."""

    plan: Plan
    login: Account
    sudoers: list[str]
    """One program each, of the line in the document."""
    statements: list[str]


def blocks(document: str, language: str) -> list[str]:
    """The lines of the document's blocks in one language."""
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", document, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in found for line in block.splitlines()]


@pytest.fixture
def wanted(
    site: Site,
    postgres: Cluster,
    accounts: Accounts,
    tmp_path: Path,
    shared_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Wanted:
    """A bare login, an account of its own for the work with folders nobody else sees, a bare role."""
    login, worker = accounts.add("login"), accounts.add("work")
    role = postgres.create_role("release")
    name = postgres.create_database("orders")
    postgres.sql(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    backup_role = postgres.create_role("backup").name
    postgres.sql(
        "CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n; ANALYZE t; CREATE SCHEMA audit; "
        "CREATE TABLE own (); CREATE TABLE audit.log (a int); CREATE TABLE audit.l2 (a int);"
        "GRANT REFERENCES ON audit.l2 TO PUBLIC;"
        f"ALTER TABLE own OWNER TO {role.name}",
        dbname=name,
    )
    monkeypatch.setenv("ORDERS_PASSWORD", role.password)
    shared_path.chmod(0o755)
    backups, staged = shared_path / "backup", shared_path / "staged"
    staged.mkdir()
    (staged / "010.sql").write_text("SELECT 1;\n")
    approved = tmp_path / "sql"
    shutil.copytree(staged, approved)
    backups.mkdir()
    spool = postgres.backups / "requirements.dump"
    postgres.client("pg_dump", "--no-sync", "-Fc", "-f", spool, name)
    shutil.move(spool, backups / "a.dump")
    for path in (backups, staged, *backups.iterdir(), *staged.iterdir()):
        shutil.chown(path, worker.name, worker.name)
        path.chmod(0o700 if path.is_dir() else 0o600)
    os.utime(backups / "a.dump", ((NOW - timedelta(hours=1)).timestamp(),) * 2)
    host = host_on(site.sshd, login, become=(Become(account=Login(worker.name)),), owner="unix")
    database = database_on(postgres, role.name, name=name, password=SecretRef("env", "ORDERS_PASSWORD"), owner="dba")
    backup = Backup(
        id="orders", database="orders", directory=RemotePath(str(backups)), account=Login(worker.name),
        previous=RemotePath(f"{backups}/*.dump"), owner="dba", login=Login(backup_role),
    )  # fmt: skip
    scripts = Scripts(
        id="orders", database="orders", approved=approved, manifest=tmp_path / "sums", staged=RemotePath(str(staged)),
        account=Login(worker.name), owner="dba", touches=("public.own",),
        privileges={"audit.log": (Privilege.INSERT, Privilege.SELECT)},
    )  # fmt: skip
    plan = make_plan(
        tmp_path, hosts=[host], databases=[database], known_hosts=site.sshd.known_hosts_lines(),
        sealed=sealed_at(postgres), backups={"orders": backup}, scripts={"orders": scripts},
    )  # fmt: skip
    sums = subprocess.run(["sha256sum", "010.sql"], cwd=approved, capture_output=True, check=True)
    (tmp_path / "sums").write_bytes(sums.stdout)
    document = requirements.render(plan)
    (line,) = [each for each in blocks(document, "sudoers") if each.startswith(login.name)]
    rule, _, programs = line.partition(" NOPASSWD: ")
    assert rule == f"{login.name} ALL=({worker.name})"
    return Wanted(plan, login, programs.split(", "), blocks(document, "sql"))


def red(plan: Plan) -> Iterator[str]:
    """What is not as good as it can be here: the site's storage is one disk and its folders lie in a temporary one."""
    for check in CHECKS:
        for subject, finding in findings(check, plan).items():
            wanted = check is not EarlierBackup or subject == PREVIOUS
            if wanted and finding.status is not Status.PASS and not _storage_alone(finding):
                yield f"{subject}: {told(finding)}"


def _storage_alone(finding: Finding) -> bool:
    points = finding.judgement.telling_points()
    return finding.check == "backup-location" and all("shares the storage of what" in point.summary for point in points)


def allow(accounts: Accounts, wanted: Wanted, programs: Sequence[str]) -> None:
    accounts.forget_sudo(wanted.login)
    if programs:
        accounts.allow_sudo(wanted.login, wanted.plan.backups["orders"].account, programs)


@pytest.mark.long
def test_the_lines_of_the_document_are_enough_and_each_is_needed(
    wanted: Wanted, postgres: Cluster, accounts: Accounts
) -> None:
    allow(accounts, wanted, wanted.sudoers)
    dbname = wanted.plan.databases["orders"].dbname
    assert len(wanted.statements) >= 7
    for statement in wanted.statements:
        postgres.sql(statement, dbname=dbname)
    assert list(red(wanted.plan)) == []
    for program in wanted.sudoers:
        if program.endswith("/pg_dumpall"):  # is for `preflight rehearse`: tests/site/test_rehearse.py sees it refused
            continue
        allow(accounts, wanted, [each for each in wanted.sudoers if each != program])
        assert next(red(wanted.plan), None), f"{program} is not needed"
    allow(accounts, wanted, wanted.sudoers)
    for statement in wanted.statements:
        undone = statement.replace("GRANT ", "REVOKE ", 1).replace(" TO ", " FROM ")
        postgres.sql(undone, dbname=dbname)
        assert next(red(wanted.plan), None), f"{statement} is not needed"
        postgres.sql(statement, dbname=dbname)
    assert list(red(wanted.plan)) == []


@pytest.mark.long
def test_the_lines_for_base_backups_and_the_plans_own_commands_are_enough_and_needed(
    site: Site, postgres: Cluster, accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login, role = accounts.add("login"), postgres.create_role("release")
    monkeypatch.setenv("ORDERS_PASSWORD", role.password)
    pgpass = login.home / ".pgpass"
    pgpass.write_text(f"*:*:*:{role.name}:{role.password}\n")
    pgpass.chmod(0o600)
    shutil.chown(pgpass, login.name)
    own = Command(id="own", program="/usr/bin/id", host="db1", account=Login("nobody"))
    backup = Backup(
        id="orders", database="orders", directory=RemotePath("/backup"), method=BackupMethod.PG_BASEBACKUP,
        server=f"{postgres.socket_directory}:{postgres.port}",
    )  # fmt: skip
    database = database_on(postgres, role.name, name="postgres", password=SecretRef("env", "ORDERS_PASSWORD"))
    plan = make_plan(
        tmp_path, hosts=[host_on(site.sshd, login)], databases=[database], backups={"orders": backup},
        known_hosts=site.sshd.known_hosts_lines(), checks={"command": {"run": {"own": own}}},
    )  # fmt: skip
    document = requirements.render(plan)
    found = findings(CommandCheck, plan)["own"]
    (rule,) = blocks(document, "sudoers")
    assert (found.status, found.judgement.remedy) == (Status.UNKNOWN, f"have this line in sudoers on db1: {rule}")
    accounts.allow_sudo(login, "nobody", [rule.partition("NOPASSWD: ")[2]])
    assert findings(CommandCheck, plan)["own"].status is Status.PASS
    (replicating,) = [line for line in blocks(document, "sql") if line.endswith("REPLICATION;")]
    (seeing,) = [line for line in blocks(document, "sql") if "pg_read_all_settings" in line]
    (let_in,) = [line for line in blocks(document, "pg_hba.conf") if "replication" in line]
    hba = postgres.data / "pg_hba.conf"
    before = hba.read_text()
    try:
        hba.write_text(f"{let_in}\n{before}")
        postgres.reload()
        assert findings(ScriptRunner, plan)["backups orders"].status is Status.FAIL
        postgres.sql(replicating)
        assert findings(ScriptRunner, plan)["backups orders"].status is Status.UNKNOWN
        postgres.sql(seeing)
        found = findings(ScriptRunner, plan)["backups orders"]
        assert found.status is Status.PASS, told(found)
    finally:
        hba.write_text(before)
        postgres.reload()
    assert findings(ScriptRunner, plan)["backups orders"].status is Status.FAIL


def test_sudo_itself_takes_the_line(wanted: Wanted, tmp_path: Path) -> None:
    document = requirements.render(wanted.plan)
    (tmp_path / "rules").write_text("\n".join(blocks(document, "sudoers")) + "\n")
    done = subprocess.run(["visudo", "-c", "-f", tmp_path / "rules"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
