"""What the tool gives to be pasted, and the command lines of the night, of a plan full of hostile names that all exist:
the real ssh, sudo, psql, pg_dump and pg_restore do what they say, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from preflight_checks.backup_rights import BackupRights
from preflight_checks.database_login import DatabaseLogin
from preflight_checks.script_hashes import ScriptHashes
from preflight_checks.script_rights import ScriptRights
from preflight_checks.script_runner import ScriptRunner

from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import Backup, Become, Plan, RemotePath, Restore, Scripts, SecretRef
from preflight.plan.command_lines import Act, ScriptOrder, night_commands
from preflight.reference import requests
from preflight.report.harmless import command_in
from tests.site.accounts import Account, Accounts
from tests.site.asking import database_on, findings, host_on, make_plan, pasted, sealed_at, told
from tests.site.machine import TIMEOUT_SECONDS, clean_environment
from tests.site.postgres import SUPERUSER, Cluster
from tests.site.site import Site
from tests.site.test_requirements import blocks

TRAP = r"""x'"\!>canary;$(>canary);"""
"""Makes a file, whichever of a shell and psql takes it for a command; as the loader takes it for a role."""
SCRIPT = f"010{TRAP}.sql"
CHECKS = (DatabaseLogin, BackupRights, ScriptRights, ScriptRunner, ScriptHashes)
CURED = ("backup-rights", "database-login", "script-hashes", "script-rights")


@dataclass
class Hostile:
    """The plan and who works by it."""

    plan: Plan
    cluster: Cluster
    login: Account
    places: tuple[Path, ...]

    @property
    def dbname(self) -> str:
        return self.plan.databases["orders"].dbname

    def psql(self, statement: str) -> None:
        """As pasted into psql by the superuser."""
        said = self.cluster.client("psql", "-X", "-v", "ON_ERROR_STOP=1", self.dbname, stdin=f"{statement}\n")
        assert said.count("\n") == 1, said  # one command tag

    def paste(self, line: str) -> subprocess.CompletedProcess[str]:
        """Into a shell in the plan's folder, in which psql reaches the server as its superuser."""
        server = {"PGHOST": self.cluster.socket_directory, "PGPORT": self.cluster.port, "PGUSER": SUPERUSER}
        own = " ".join(f"{name}={value}" for name, value in server.items())
        return pasted(self.plan, f"export {own}; {line}")

    def assert_no_canary(self, line: str) -> None:
        found = [each for place in self.places for each in place.rglob("canary")]
        tables = self.cluster.sql("SELECT FROM pg_class WHERE relname = 'canary'", dbname=self.dbname)
        assert (found, tables) == ([], []), line

    def findings(self) -> list[Finding]:
        return [each for check in CHECKS for each in findings(check, self.plan).values()]


@pytest.fixture
def hostile(
    site: Site,
    postgres: Cluster,
    accounts: Accounts,
    tmp_path: Path,
    shared_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Hostile]:
    login, worker = accounts.add("login"), accounts.add("work")
    accounts.allow_sudo(login, worker.name)
    role, saver = postgres.create_role(TRAP), postgres.create_role(TRAP, password="Pw-of-them-both-1")
    name, other = postgres.create_database(TRAP, owner=role.name), postgres.create_database(TRAP, owner=saver.name)
    quoted = TRAP.replace('"', '""')
    postgres.sql(f'CREATE TABLE "{quoted}" (a int); CREATE TABLE ran (a int); GRANT ALL ON ran TO PUBLIC', dbname=name)
    postgres.sql("REVOKE ALL ON FUNCTION pg_control_system() FROM PUBLIC", dbname=name)
    monkeypatch.setenv("ORDERS_PASSWORD", role.password)
    shared_path.chmod(0o755)
    (worker.home / ".pgpass").write_text(f"*:*:*:*:{saver.password}\n")
    (worker.home / ".pgpass").chmod(0o600)
    staged, backups, approved = shared_path / f"s{TRAP}", shared_path / f"b{TRAP}", tmp_path / f"a{TRAP}"
    for folder in (staged, backups, approved):
        folder.mkdir()
        (folder / SCRIPT).write_text("INSERT INTO ran VALUES (1);\n")
    (backups / SCRIPT).unlink()
    (staged / SCRIPT).write_text("\\! touch staged\n")
    for path in (worker.home / ".pgpass", staged, backups, staged / SCRIPT):
        shutil.chown(path, worker.name, worker.name)
    server = f"{postgres.socket_directory}:{postgres.port}"
    scripts = Scripts(
        id="orders", database="orders", approved=approved, manifest=tmp_path / f"m{TRAP}", files=(SCRIPT,),
        staged=RemotePath(str(staged)), account=Login(worker.name), login=Login(saver.name), server=server,
        variables={"a": TRAP}, log=RemotePath(f"{staged}/l{TRAP}"), touches=(f"public.{TRAP}",), owner="dba",
    )  # fmt: skip
    backup = Backup(
        id="orders", database="orders", directory=RemotePath(str(backups)), file=f"f{TRAP}-{{date}}.dump",
        account=Login(worker.name), login=Login(saver.name), server=server, owner="dba",
        restore=Restore(into=other, login=Login(saver.name), options=("--no-owner",)),
    )  # fmt: skip
    host = host_on(site.sshd, login, become=(Become(account=Login(worker.name)),), owner="unix")
    database = database_on(postgres, role.name, name=name, password=SecretRef("env", "ORDERS_PASSWORD"), owner="dba")
    sums = subprocess.run(["sha256sum", SCRIPT], cwd=approved, capture_output=True, check=True)
    (tmp_path / f"m{TRAP}").write_bytes(sums.stdout)
    plan = make_plan(
        tmp_path, hosts=[host], databases=[database], known_hosts=site.sshd.known_hosts_lines(),
        sealed=sealed_at(postgres), backups={"orders": backup}, scripts={"orders": scripts},
    )  # fmt: skip
    yield Hostile(plan, postgres, login, (tmp_path, shared_path, login.home, worker.home, postgres.directory))
    postgres.sql(f"DROP OWNED BY {postgres.scalar('SELECT quote_ident(%s)', saver.name)}", dbname=name)


def test_the_trap_is_one(hostile: Hostile, tmp_path: Path) -> None:
    for argv in (["sh", "-c", f"echo {TRAP}"], ["sh", "-c", f'echo "{TRAP}'], ["psql", "-X", "-c", TRAP[3:]]):
        subprocess.run(argv, cwd=tmp_path, capture_output=True, timeout=TIMEOUT_SECONDS)
    assert (tmp_path / "canary").exists()


@pytest.mark.long
def test_what_is_pasted_into_psql_and_a_shell_does_what_it_says(hostile: Hostile) -> None:
    cures = {point.remedy for found in hostile.findings() for point in found.judgement.telling_points()}
    commands = {found for cure in cures if (found := command_in(cure)[1])}
    statements = {each for each in commands if each.split()[0].isupper()}
    lines = {each for each in commands if each.startswith("psql ")}
    lines |= {line for cure in cures if (line := cure.partition("stage it as approved: ")[2])}
    asked = blocks(requests.render(hostile.plan), "sql")
    assert [len(each) >= most for each, most in ((statements, 2), (lines, 2), (asked, 4))] == [True] * 3, cures
    for line in lines:
        done = hostile.paste(line)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        hostile.assert_no_canary(line)
    for statement in (*statements, *asked):
        hostile.psql(statement)
        hostile.assert_no_canary(statement)
    cured = [found for found in hostile.findings() if found.check in CURED]
    assert {found.status for found in cured} == {Status.PASS}, [told(found) for found in cured]


@pytest.mark.long
def test_the_command_lines_of_the_night_do_what_they_say(hostile: Hostile) -> None:
    plan = hostile.plan
    (staged,) = Path(plan.scripts["orders"].staged).iterdir()
    shutil.copy(plan.scripts["orders"].approved / SCRIPT, staged)
    for statement in blocks(requests.render(plan), "sql"):
        hostile.psql(statement)
    did = []
    for command in night_commands(plan, [], {"orders": ScriptOrder((SCRIPT,))}):
        done = subprocess.run(
            ["/bin/sh", "-c", command.line], cwd=hostile.login.home, user=hostile.login.name, group=hostile.login.name,
            extra_groups=[], env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, f"{command.line}\n{done.stderr}"
        hostile.assert_no_canary(command.line)
        did.append(command.act)
    assert did == [Act.BACKUP, Act.SCRIPTS, Act.RESTORE]
    rows = [
        hostile.cluster.scalar("SELECT count(*) FROM ran", dbname=each)
        for each in (hostile.dbname, plan.backups["orders"].restore.into)
    ]
    assert rows == [1, 0], "the script ran here, and the backup before it was put back there"
