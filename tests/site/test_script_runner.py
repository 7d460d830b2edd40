"""script-runner: real client programs, run through a real sshd and sudo against a real PostgreSQL."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.script_runner import ScriptRunner

from preflight.cli.seal import describe
from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import (
    Backup,
    BackupFormat,
    BackupMethod,
    Database,
    RemotePath,
    Restore,
    Role,
    Said,
    Scripts,
    SecretRef,
    ServerRole,
    SslMode,
    Step,
)
from preflight.seal import seal_scripts
from tests.site.accounts import Account, Accounts
from tests.site.asking import NOW, as_root, findings, host_on, make_plan, told
from tests.site.machine import Server as Process
from tests.site.machine import free_port, needs
from tests.site.postgres import Cluster
from tests.site.site import Site

Ask = Callable[..., Finding]


class Server:
    """A database, a role that scripts use, and an account of the host with a password file for it."""

    def __init__(self, site: Site, accounts: Accounts, cluster: Cluster, folder: Path) -> None:
        self.site, self.cluster, self.folder = site, cluster, folder
        self.role = cluster.create_role("release")
        self.name = cluster.create_database("orders", owner=self.role.name)
        self.account = accounts.add("runner")
        self.write_pgpass(f"*:*:*:{self.role.name}:{self.role.password}")
        self.socket = str(cluster.socket_directory)
        self.staged = site.new_path("staged")
        for scripts in (folder / "approved", self.staged):
            scripts.mkdir()
            (scripts / "010.sql").write_text("select 1;\n")
        self.staged.chmod(0o777)
        (folder / "SHA256SUMS").write_text(f"{sha256(b'select 1;' + bytes([10])).hexdigest()}  010.sql\n")

    def write_scripts(self, texts: Mapping[str, str]) -> None:
        """Approved, staged, and sealed in this order; what was there before is gone."""
        for folder in (self.folder / "approved", self.staged):
            for file in folder.iterdir():
                file.unlink()
            for name, text in texts.items():
                (folder / name).write_text(text)
        sums = [f"{sha256(text.encode()).hexdigest()}  {name}\n" for name, text in texts.items()]
        (self.folder / "SHA256SUMS").write_text("".join(sums))

    def write_pgpass(self, line: str, mode: int = 0o600, account: Account | None = None) -> None:
        from shutil import chown

        account = account or self.account
        file = account.home / ".pgpass"
        file.write_text(line + "\n")
        file.chmod(mode)
        chown(file, account.name, account.name)

    def ask(
        self,
        *,
        become: str = "",
        account: Account | None = None,
        entry: Mapping[str, object] | None = None,
        backup: Mapping[str, object] | None = None,
        **changes: object,
    ) -> Mapping[str, Finding]:
        """The findings about one scripts entry, or about one backup; both at the cluster's socket."""
        sshd = self.site.sshd
        user = account or self.account
        host = host_on(sshd, user)
        database = Database(
            id="orders", host="db1", name=self.name, user=Login(self.role.name), port=self.cluster.port,
            password=SecretRef("env", "ORDERS_PASSWORD"),
        )  # fmt: skip
        database = replace(database, **changes)  # type: ignore[arg-type]
        scripts = Scripts(
            id="orders", database="orders", approved=self.folder / "approved", manifest=self.folder / "SHA256SUMS",
            staged=RemotePath(str(self.staged)), server=self.socket, account=Login(become), step="work",
        )  # fmt: skip
        sections: dict[str, Any] = {"scripts": {"orders": replace(scripts, **(entry or {}))}}  # type: ignore[arg-type]
        if backup is not None:
            made = Backup(
                id="orders", database="orders", directory=RemotePath("/backup"), server=self.socket, step="work"
            )
            sections["backups"] = {"orders": replace(made, account=Login(become), **backup)}  # type: ignore[arg-type]
        self.plan = make_plan(
            self.folder,
            roles=[Role(id="dba", primary="D. Kaya")],
            hosts=[host],
            databases=[database],
            known_hosts=sshd.known_hosts_lines(),
            steps=(Step(id="work", minutes=90, minutes_over_network=115),),
            **sections,
        )
        return findings(ScriptRunner, self.plan)

    def scripts(self, **more: object) -> Finding:
        return self.ask(**more)["scripts orders"]  # type: ignore[arg-type]

    def backup(self, **more: object) -> Finding:
        return self.ask(**{"backup": {}, **more})["backups orders"]  # type: ignore[arg-type]


@pytest.fixture
def server(
    site: Site, accounts: Accounts, postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Server:
    server = Server(site, accounts, postgres, tmp_path)
    monkeypatch.setenv("ORDERS_PASSWORD", server.role.password)
    return server


def fails(found: Finding, summary: str, remedy: str) -> None:
    assert found.status is Status.FAIL, told(found)
    assert summary in found.judgement.summary
    assert remedy in found.judgement.remedy
    assert found.judgement.minutes_at_stake == 25


def typed_by(account: str, command: str, answer: str) -> int:
    """The exit status of `command`, which asks on a terminal, as the account."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        called = ["runuser", "-u", account, "--", "sh", "-c", command]
        return subprocess.run(called, stdin=theirs, stdout=theirs, stderr=theirs, timeout=60).returncode
    finally:
        os.close(ours)
        os.close(theirs)


def stub(server: Server, programs: Mapping[str, str]) -> Account:
    """An account whose PATH holds only the shell's own tools and these programs (name: shell text; or a path)."""
    folder = server.site.new_path("stubs")
    folder.mkdir()
    for name in ("env", "sh", "id", "head", "cut", "tr", "sed", "cat", "timeout", "sudo"):
        (folder / name).symlink_to(Path("/usr/bin") / name)
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    account = server.site.accounts.add("stub")
    server.site.accounts.authorize(account.name, f'environment="PATH={folder}"')
    server.write_pgpass(f"*:*:*:{server.role.name}:{server.role.password}", account=account)
    return account


@pytest.fixture
def with_stubs(site: Site, server: Server) -> Callable[[Mapping[str, str]], Account]:
    server.site = _OwnSshd(site)  # type: ignore[assignment]
    return lambda programs: stub(server, programs)


class _OwnSshd:
    """The site with an sshd that lets keys set the environment."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.sshd = site.start_sshd(options={"PermitUserEnvironment": "yes"})

    def __getattr__(self, name: str) -> object:
        return getattr(self._site, name)


def test_a_login_without_a_prompt_passes(server: Server) -> None:
    found = server.scripts()
    assert found.status is Status.PASS, told(found)
    for words in ("/usr/bin/psql", f"{server.role.name} logs in to {server.name} on the server", "stops at the first"):
        assert words in found.judgement.summary


def test_a_backup_that_can_log_in_and_read_back_passes(server: Server) -> None:
    found = server.backup(backup={"server": ""})
    assert found.status is Status.FAIL, "the server is never taken from [scripts]"
    assert "no server answers" in found.judgement.summary
    found = server.backup()
    assert found.status is Status.PASS, told(found)
    for words in ("pg_dump", "pg_restore", f"{server.role.name} logs in to {server.name} on the server"):
        assert words in found.judgement.summary


@pytest.mark.long
def test_a_base_backup_needs_a_role_that_may_replicate(server: Server) -> None:
    base = {"method": BackupMethod.PG_BASEBACKUP, "server": server.cluster.address}
    fails(server.backup(backup=base), "the role may not replicate", "REPLICATION")
    server.cluster.sql(f'ALTER ROLE "{server.role.name}" REPLICATION')
    server.write_pgpass(f"*:*:*:{server.role.name}:{server.role.password}")
    found = server.backup(backup=base)
    assert found.status is Status.PASS, told(found)


@pytest.mark.long
def test_a_login_that_would_ask_for_a_password_fails(server: Server) -> None:
    (server.account.home / ".pgpass").unlink()
    fails(server.scripts(), "no database login on the server: no password at hand", "/.pgpass && chmod 600")
    fails(server.backup(), "no password at hand", "/.pgpass && chmod 600")


@pytest.mark.long
@pytest.mark.parametrize("by_root", [False, True])
def test_the_password_is_put_where_psql_finds_it_by_the_printed_command(server: Server, by_root: bool) -> None:
    file = server.account.home / ".pgpass"
    file.unlink()
    server.cluster.sql(f'ALTER ROLE "{server.role.name}" PASSWORD \'a:b\\c "d\'')
    cure = server.scripts().judgement.remedy
    assert cure.startswith(f"on db1, as {server.account.name}: ")
    who = "root" if by_root else server.account.name
    assert typed_by(who, cure.partition(": ")[2], 'a:b\\c "d') == 0
    assert file.read_text().startswith(f"*:{server.cluster.port}:{server.name}:{server.role.name}:a\\:b")
    assert (file.owner(), file.stat().st_mode & 0o777) == (server.account.name, 0o600)
    found = server.ask()["scripts orders"]
    assert "no database login" not in told(found), told(found)


@pytest.mark.long
@pytest.mark.parametrize(
    "break_it", ['ALTER ROLE "{role}" NOLOGIN', 'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC', ""]
)
def test_the_statements_that_let_a_role_in_work_as_they_are_printed(server: Server, break_it: str) -> None:
    """Also for names that mean nothing to SQL without their quotes."""
    role, name = f"Release-Bot {server.role.name}", f"Orders 2 {server.name}"
    server.cluster.sql(f'ALTER ROLE "{server.role.name}" RENAME TO "{role}"')
    server.cluster.sql(f"ALTER ROLE \"{role}\" PASSWORD '{server.role.password}'")
    server.cluster.sql(f'ALTER DATABASE "{server.name}" RENAME TO "{name}"')
    server.cluster.sql(f'ALTER DATABASE "{name}" OWNER TO postgres')
    server.role, server.name = replace(server.role, name=role), name
    server.write_pgpass(f"*:*:*:{role}:{server.role.password}")
    if break_it:
        server.cluster.sql(break_it.format(role=role, name=name))
        found = server.scripts
    else:
        base = {"method": BackupMethod.PG_BASEBACKUP, "server": server.cluster.address}
        found = partial(server.backup, backup=base)
    cure = found().judgement.remedy
    server.cluster.client("psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", "postgres", stdin=cure)
    assert "no database login" not in told(found()), told(found())


def test_a_password_file_that_others_can_read_is_no_password(server: Server) -> None:
    server.write_pgpass(f"*:*:*:{server.role.name}:{server.role.password}", 0o644)
    found = server.scripts()
    fails(found, "no password at hand", "chmod 600")
    assert "group or world access" in found.judgement.actual


def test_a_wrong_password_fails(server: Server) -> None:
    server.write_pgpass(f"*:*:*:{server.role.name}:not-it")
    fails(server.scripts(), "password authentication failed", "correct the password")


def test_peer_authentication_of_another_account_fails(server: Server) -> None:
    with server.cluster.hba(f"local all {server.role.name} peer"):
        fails(server.scripts(), "peer authentication failed", "pg_ident.conf")


def test_a_pg_hba_conf_without_an_entry_fails(server: Server) -> None:
    with server.cluster.hba(f"local all {server.role.name} reject"):
        fails(server.scripts(), "no pg_hba.conf entry", "pg_hba.conf")


@pytest.mark.long
def test_a_wrong_database_or_role_fails(server: Server) -> None:
    fails(server.scripts(name="nosuch"), "no such database", "`name` of [databases.orders]")
    other = server.cluster.create_role("other")
    fails(server.scripts(entry={"login": Login(other.name)}), "no password at hand", other.name)
    server.write_pgpass(f"*:*:*:{other.name}:{other.password}")
    assert server.scripts(entry={"login": Login(other.name)}).status is Status.PASS, "the declared login is tried"


@pytest.mark.long
def test_a_role_without_connect_and_one_that_may_not_log_in_fail(server: Server) -> None:
    server.cluster.sql(f'REVOKE CONNECT ON DATABASE "{server.name}" FROM PUBLIC')
    server.cluster.sql(f'ALTER DATABASE "{server.name}" OWNER TO postgres')
    fails(server.scripts(), "no CONNECT privilege", "GRANT CONNECT")
    server.cluster.sql(f'ALTER ROLE "{server.role.name}" NOLOGIN')
    fails(server.scripts(), "the role may not log in", "LOGIN")


@pytest.mark.long
def test_no_server_at_the_default_place_fails(server: Server) -> None:
    nobody = f"{server.socket}:{free_port('127.0.0.1')}"
    fails(server.scripts(entry={"server": nobody}), "no server answers", "`server` of [scripts.orders]")
    fails(server.scripts(entry={"server": "nosuch.invalid"}), "unknown server name", "correct `server`")


def test_another_server_than_planned_fails(server: Server) -> None:
    fails(server.scripts(system_identifier="1234567890"), "another server answers", "`server` of [scripts.orders]")


def test_a_server_that_database_login_does_not_reach_proves_nothing(server: Server) -> None:
    found = server.scripts(port=free_port("127.0.0.1"), entry={"server": f"{server.socket}:{server.cluster.port}"})
    assert found.status is Status.UNKNOWN, told(found)
    assert "could not look" in found.judgement.summary


@pytest.mark.long
def test_a_promoted_clone_fails(server: Server) -> None:
    """It has the system identifier that the plan names, the database and the roles; another start."""
    system = str(server.cluster.scalar("SELECT system_identifier FROM pg_control_system()"))
    server.cluster.sql(f'ALTER ROLE "{server.role.name}" REPLICATION')
    clone = server.site.start_postgres(copy_of=server.cluster)
    clone.sql("SELECT pg_promote()")
    for place in (f"{clone.socket_directory}:{clone.port}", f"{clone.address}:{clone.port}"):
        there = {"server": place}
        fails(server.scripts(system_identifier=system, entry=there), "another server answers", "`server` of")
        fails(server.backup(system_identifier=system, backup=there), "another server answers", "`server` of")
    base = {"method": BackupMethod.PG_BASEBACKUP, **there}
    fails(server.backup(system_identifier=system, backup=base), "another server answers", "`server` of")


def test_a_restart_between_the_logins_is_unknown(
    server: Server, with_stubs: Callable[[Mapping[str, str]], Account]
) -> None:
    later = (
        'case "$*" in *--version*) exec /usr/bin/psql --version;; esac\n'
        '/usr/bin/psql "$@" | sed -e s/started_ms=1/started_ms=9/ -e s/asked_ms=1/asked_ms=9/'
    )
    found = server.scripts(account=with_stubs({"psql": later}))
    assert found.status is Status.UNKNOWN, told(found)
    assert "one was started between the logins" in found.judgement.summary
    assert found.judgement.remedy == "run again"


@pytest.mark.long
def test_scripts_that_the_server_takes_for_another_encoding_fail(server: Server) -> None:
    cluster, role = server.cluster, server.role.name
    assert server.scripts().status is Status.PASS
    for where in (f'ROLE "{role}"', "SYSTEM"):
        cluster.sql(f"ALTER {where} SET client_encoding = 'LATIN1'")
        cluster.reload()
        try:
            found, dumped = server.scripts(), server.backup()
            named = server.backup(backup={"options": ("--encoding=UTF8",)})
        finally:
            cluster.sql(f"ALTER {where} RESET client_encoding")
            cluster.reload()
        undo = f"ALTER {where} RESET client_encoding;".replace('"', "")
        fails(found, f"what {role} sends and reads is LATIN1 there", undo)
        fails(dumped, "sends and reads is LATIN1 there", 'options = ["--encoding=UTF8"]')
        assert named.status is Status.PASS, told(named)


@pytest.mark.long
def test_settings_that_end_scripts_fail_for_the_role_that_runs_them(server: Server) -> None:
    deployer = server.cluster.create_role("deployer")
    server.write_pgpass("\n".join(f"*:*:*:{role.name}:{role.password}" for role in (server.role, deployer)))
    entry = {"login": Login(deployer.name)}
    backup = {"restore": Restore(login=Login(deployer.name))}
    assert server.scripts(entry=entry).status is Status.PASS
    server.cluster.sql(f"ALTER ROLE \"{deployer.name}\" SET statement_timeout = '50s'")
    fails(server.scripts(entry=entry), "is 50 s, shorter than the step of 1 h 30 min", "RESET statement_timeout")
    assert server.backup(backup=backup).status is Status.PASS
    server.cluster.sql(f'ALTER ROLE "{deployer.name}" SET default_transaction_read_only = on')
    undo = f"ALTER ROLE {deployer.name} RESET default_transaction_read_only"
    fails(server.scripts(entry=entry), "starts read-only transactions", undo)
    fails(server.backup(backup=backup), f"restore: {deployer.name} starts read-only transactions", undo)


def test_a_role_that_works_as_another_one_is_named(server: Server) -> None:
    """It may not see when its own connection began."""
    other = server.cluster.create_role("other")
    server.cluster.sql(f'GRANT "{other.name}" TO "{server.role.name}"')
    server.cluster.sql(f"ALTER ROLE \"{server.role.name}\" SET role = '{other.name}'")
    fails(server.scripts(), "the login arrives elsewhere", f"ALTER ROLE {server.role.name} RESET role;")


@pytest.mark.long
def test_the_scripts_are_the_sealed_ones_and_stop_at_the_first_error(server: Server) -> None:
    fails(server.scripts(entry={"files": ("010.sql", "020.sql")}), "names what is not sealed: 020.sql", '["010.sql"]')
    (server.folder / "approved" / "010.sql").write_text("\\set ON_ERROR_STOP off\nselect 1;\n")
    fails(server.scripts(), "010.sql line 1: \\set ON_ERROR_STOP off makes psql go on", "take it out of the script")
    (server.folder / "SHA256SUMS").unlink()
    found = server.scripts()
    assert found.status is Status.UNKNOWN, told(found)
    assert "they are not sealed" in found.judgement.summary


CANNOT_BE_SEALED = [
    ({"010.sql": "select 1;\n:x\n"}, Status.UNKNOWN, "010.sql line 2: :x stands where a statement begins"),
    ({"010.sql": "\\set x '\\\\i 020.sql'\n:x\n"}, Status.UNKNOWN, "010.sql line 1"),
    ({"010.sql": "\\i :dir/020.sql\n"}, Status.UNKNOWN, "010.sql line 1: \\i :dir/020.sql"),
    ({"010.sql": "\\ir `ls`\n"}, Status.UNKNOWN, "010.sql line 1: \\ir `ls`"),
    ({"010.sql": "\\i 010.sql\n"}, Status.FAIL, "010.sql line 1: \\i 010.sql includes this script again, without end"),
    ({"010.sql": "\\i b.inc\n", "b.inc": "\\ir c.inc\n", "c.inc": "\\i b.inc\n"}, Status.FAIL,
     "b.inc line 1: \\ir c.inc includes this script again, without end"),
    ({"010.sql": "\\if :{?x}\n\\i 010.sql\n\\endif\n"}, Status.UNKNOWN, "includes this script again, without end"),
]  # fmt: skip


@pytest.mark.case(19)
@pytest.mark.parametrize(("texts", "status", "said"), CANNOT_BE_SEALED)
def test_what_cannot_be_sealed_and_what_never_ends_is_told_with_its_line(
    server: Server, texts: dict[str, str], status: Status, said: str
) -> None:
    server.write_scripts(texts)
    found = server.scripts(entry={"variables": {"x": "select 2;"}})
    assert found.status is status, told(found)
    assert said in told(found)


@pytest.mark.long
@pytest.mark.case(29)
def test_another_order_than_the_sealed_one_fails_with_both(server: Server) -> None:
    server.write_scripts({"fill.sql": "select 2;\n", "create.sql": "select 1;\n"})
    assert server.scripts(entry={"files": ("fill.sql", "create.sql")}).status is Status.PASS
    found = server.scripts(entry={"files": ("create.sql", "fill.sql")})
    fails(found, "runs the scripts in another order than sealed: create.sql, fill.sql", 'files = ["fill.sql", "create')
    assert found.judgement.expected == "the sealed order: fill.sql, create.sql"
    (sealed,) = seal_scripts(server.plan)
    assert "in another order" in describe(sealed)
    assert server.scripts(entry={"files": ("create.sql", "fill.sql")}).status is Status.PASS
    server.write_scripts({"9_last.sql": "select 2;\n", "10_x.sql": "select 1;\n"})
    fails(server.scripts(entry={"files": ("10_x.sql", "9_last.sql")}), "another order than that of their", "9_last.sql")
    numbered = {"10_x.sql": "select 1;\n", "9_last.sql": "select 2;\n"}
    server.write_scripts(numbered)
    assert server.scripts(entry={"files": ("9_last.sql", "10_x.sql")}).status is Status.PASS, "numbers tell the order"


@pytest.mark.long
def test_a_log_must_be_writable_where_it_is_written(server: Server) -> None:
    def log(path: str) -> Finding:
        return server.scripts(entry={"log": RemotePath(path)})

    assert log(f"{server.staged}/run.log").status is Status.PASS
    assert not [*server.staged.glob("*.log")], "nothing is written"
    absent = log(f"{server.staged}/logs/x")
    fails(absent, "there is no such folder", "mkdir -p")
    as_root(absent)
    assert log(f"{server.staged}/logs/x").status is Status.PASS
    fails(log(str(server.staged)), "a folder has that name", "another file")
    server.staged.chmod(0o755)
    closed = log(f"{server.staged}/own.log")
    fails(closed, "no file can be made in the folder", "touch -- ")
    as_root(closed)
    assert log(f"{server.staged}/own.log").status is Status.PASS
    assert server.staged.stat().st_uid == 0, "the folder stays whose it was"
    (server.staged / "out.log").touch(0o444)
    denied = log(f"{server.staged}/out.log")
    fails(denied, "the file is there and cannot be written", "chown ")
    as_root(denied)
    assert log(f"{server.staged}/out.log").status is Status.PASS


def test_a_log_of_an_account_that_sudo_gives_no_shell_of_is_unknown(server: Server, accounts: Accounts) -> None:
    runner = accounts.add("login")
    accounts.allow_sudo(runner, server.account.name, ("/usr/bin/psql",))
    entry = {"log": RemotePath(f"{server.staged}/run.log")}
    found = server.scripts(account=runner, become=server.account.name, entry=entry)
    assert found.status is Status.UNKNOWN, told(found)
    assert f"who may not become {server.account.name}" in found.judgement.actual


@pytest.mark.long
def test_the_login_must_enter_the_folder_in_which_it_starts_psql(server: Server, accounts: Accounts) -> None:
    from shutil import chown

    runner = accounts.add("login")
    accounts.allow_sudo(runner, server.account.name, ("/usr/bin/psql",))
    chown(server.staged, server.account.name)
    server.staged.chmod(0o700)
    found = server.scripts(account=runner, become=server.account.name)
    fails(found, f"{runner.name} cannot start the work in", f"chmod o+x {server.staged}; or let {runner.name} alone")
    as_root(found)
    assert server.scripts(account=runner, become=server.account.name).status is Status.PASS


@pytest.mark.long
def test_a_command_is_there_and_executable_for_its_account(server: Server) -> None:
    def run(**entry: object) -> Finding:
        return server.scripts(entry={"server": "", "command": ("./deploy.sh", "prod"), **entry})

    fails(run(), "./deploy.sh does not start: there is no such program", "`command` of [scripts.orders]")
    script = server.staged / "deploy.sh"
    script.write_text("exit 0\n")
    script.chmod(0o644)
    fails(run(), "./deploy.sh does not start: it is not executable", "executable for")
    script.chmod(0o755)
    fails(run(), "deploy.sh is not sealed", "seal again")
    with (server.folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{sha256(script.read_bytes()).hexdigest()}  deploy.sh\n")
    found = run()
    assert found.status is Status.UNKNOWN, told(found)
    assert "whether ./deploy.sh prod stops at the first error is not known" in found.judgement.summary
    shown = Said(by="dba", on=NOW.date(), reason="run 8812")
    assert run(stops_on_error=shown).status is Status.WARN
    assert run(command=("env", "true"), stops_on_error=shown).status is Status.WARN
    fails(run(command=("no-such-program",)), "no-such-program does not start", "executable for")


@pytest.mark.long
def test_a_replica_takes_backups_alone_and_where_the_plan_says_so(server: Server) -> None:
    server.cluster.sql(f'ALTER ROLE "{server.role.name}" REPLICATION')
    replica = server.site.replica
    replica.wait_for(server.cluster)
    here = {"server": f"{replica.socket_directory}:{replica.port}"}
    base = {"method": BackupMethod.PG_BASEBACKUP, "server": f"{replica.address}:{replica.port}"}
    waits = {"options": ("--serializable-deferrable",), **here}
    for backup in (here, base):
        fails(server.backup(backup=backup), "a replica answers, which may hold an old state", 'role = "replica"')
    fails(server.scripts(entry=here), "a replica answers, on which nothing can be written", "`server`")
    for role in (ServerRole.REPLICA, ServerRole.ANY):
        planned = {"role": role, "port": replica.port}
        fails(server.scripts(entry=here, **planned), "a replica answers, on which nothing can be written", "`database`")
        for backup in (here, base):
            found = server.backup(backup=backup, **planned)
            assert found.status is Status.PASS, told(found)
        fails(server.backup(backup=waits, **planned), "refuses --serializable-deferrable", "`options` of")
        fails(server.backup(backup={**here, "restore": Restore()}, **planned), "restore: a replica", "primary")


def test_the_same_server_by_another_name_passes(server: Server) -> None:
    found = server.scripts(entry={"server": "127.1"})
    assert found.status is Status.PASS, told(found)


@pytest.mark.long
def test_a_cluster_owner_dumps_over_the_socket_and_scripts_run_over_tcp(server: Server, accounts: Accounts) -> None:
    """The server of a backup is left to pg_dump's default; psql tells which one that is where sudo lists it."""
    runner = accounts.add("login")
    place = {"PGHOST": server.socket, "PGPORT": str(server.cluster.port)}
    wrapper = server.site.new_path("bin")
    wrapper.mkdir(mode=0o755)
    for name in ("psql", "pg_dump", "pg_restore"):
        exports = "".join(f"export {key}={value}\n" for key, value in place.items())
        (wrapper / name).write_text(f'#!/bin/sh\n{exports}exec /usr/bin/{name} "$@"\n')
        (wrapper / name).chmod(0o755)
    program = {"program": f"{wrapper}/psql", "server": server.cluster.address}
    ask = {"account": runner, "become": server.account.name, "entry": program}
    accounts.allow_sudo(runner, server.account.name, [f"{wrapper}/{name}" for name in ("psql", "pg_dump")])
    assert server.scripts(**ask).status is Status.PASS
    backup = {"server": "", "program": f"{wrapper}/pg_dump"}
    found = server.ask(**ask, backup=backup)["backups orders"]  # type: ignore[arg-type]
    assert found.status is Status.PASS, told(found)
    assert f"{server.role.name} logs in to {server.name} on the server" in found.judgement.summary
    accounts.forget_sudo(runner)
    accounts.allow_sudo(runner, server.account.name, [f"{wrapper}/pg_dump"])
    found = server.ask(**ask, backup=backup)["backups orders"]  # type: ignore[arg-type]
    assert found.status is Status.UNKNOWN, told(found)
    assert "pg_dump reaches is not known" in found.judgement.summary


@pytest.mark.long
def test_a_backup_must_reach_the_server_that_the_plan_names(server: Server, accounts: Accounts) -> None:
    """Another cluster with the same port, role and database is told by its system identifier."""
    other = server.site.start_postgres(settings={"listen_addresses": ""}, port=server.cluster.port)
    role = server.role
    other.sql(f"CREATE ROLE {role.name} LOGIN PASSWORD '{role.password}'")
    other.sql(f"CREATE DATABASE {server.name} OWNER {role.name}")
    system = str(server.cluster.scalar("SELECT system_identifier FROM pg_control_system()"))
    backup = {"server": str(other.socket_directory)}
    fails(server.backup(backup=backup, system_identifier=system), "another server answers", "`server` of")
    fails(server.backup(backup=backup), "another server answers", "`server` of")
    fails(server.scripts(entry=backup), "another server answers", "`server` of")
    assert server.backup(system_identifier=system).status is Status.PASS
    runner = accounts.add("login")
    accounts.allow_sudo(runner, server.account.name, ["/usr/bin/pg_dump"])
    ask = {"account": runner, "become": server.account.name, "backup": backup, "system_identifier": system}
    found = server.backup(**ask)
    assert found.status is Status.UNKNOWN, told(found)
    line = found.judgement.remedy.partition(": ")[2]
    assert line == f"{runner.name} ALL=({server.account.name}) NOPASSWD: /usr/bin/psql"
    accounts.allow_sudo(runner, server.account.name, ["/usr/bin/psql"])
    fails(server.backup(**ask), "another server answers", "`server` of")


@pytest.mark.long
def test_who_puts_a_backup_back_must_get_in(server: Server) -> None:
    reader = server.cluster.create_role("reader")
    logins = [f"*:*:*:{role.name}:{role.password}" for role in (server.role, reader)]
    server.write_pgpass("\n".join(logins))
    backup = {"login": Login(reader.name), "restore": Restore()}
    found = server.backup(backup=backup)
    assert found.status is Status.PASS, told(found)
    assert f"restore: {server.role.name} logs in to {server.name}" in found.judgement.summary
    with server.cluster.hba(f"local all {server.role.name} peer"):
        fails(server.backup(backup=backup), "restore: no database login", "have [backups.orders.restore] log in")
    into = {**backup, "restore": Restore(into="nosuch")}
    fails(server.backup(backup=into), "restore: no database login on the server: no such database", "`into` of")
    other = f"{server.name}_other"
    into = {**backup, "restore": Restore(into=other)}
    server.cluster.sql(f"CREATE DATABASE {other} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        server.cluster.sql("CREATE TABLE late ()", dbname=other)
        found = server.backup(backup=into)
        summary = f"restore: the backup does not go into {other}: tables, views and sequences in it already: 1; "
        summary += f"its encoding is LATIN1, that of the backup UTF8; {server.role.name} has no CREATE on it"
        fails(found, summary, "TEMPLATE template0 ENCODING 'UTF8';")
        for statement in found.judgement.remedy.partition("in it: ")[2].split(";")[:-1]:
            server.cluster.sql(statement)
        assert server.backup(backup=into).status is Status.PASS
    finally:
        server.cluster.sql(f"DROP DATABASE IF EXISTS {other}")
    command = {**backup, "restore": Restore(command=("/no/such/restore.sh",))}
    fails(server.backup(backup=command), "/no/such/restore.sh does not start", "`command` of [backups.orders.restore]")
    server.write_pgpass(logins[1])
    fails(server.backup(backup=backup), "restore: no database login on the server: no password", ".pgpass && chmod 600")


@pytest.mark.long
def test_the_folder_that_keeps_the_login_out_is_named(server: Server, accounts: Accounts) -> None:
    from shutil import chown

    runner = accounts.add("login")
    accounts.allow_sudo(runner, server.account.name, ("/usr/bin/psql",))
    inner = server.staged / "deep" / "er"
    inner.mkdir(parents=True)
    for path in (inner.parent, inner):
        chown(path, server.account.name)
        path.chmod(0o700)
    ask = {"account": runner, "become": server.account.name}
    found = server.scripts(**ask, entry={"staged": RemotePath(str(inner))})
    fails(found, "the folder cannot be entered", f"chmod o+x {inner.parent}")
    for _ in range(2):  # each names the first folder that keeps the login out
        as_root(server.scripts(**ask, entry={"staged": RemotePath(str(inner))}))
    found = server.scripts(**ask, entry={"staged": RemotePath(str(inner))})
    assert found.status is Status.PASS, told(found)
    found = server.scripts(**ask, entry={"staged": RemotePath(f"{server.staged}/nosuch")})
    fails(found, "the folder is not there", "have the approved scripts put there on db1")


def test_a_program_that_is_missing_fails(server: Server, with_stubs: Callable[[Mapping[str, str]], Account]) -> None:
    fails(server.scripts(account=with_stubs({})), "psql does not run: the program is not found", "on the PATH")


@pytest.mark.parametrize(
    ("version", "status", "words"),
    [
        ("14.9 (Debian 14.9-1)", Status.FAIL, "psql 14 is older than the server"),
        ("9.6.24", Status.FAIL, "psql 9.6 is older than the server"),
        ("18beta1", Status.PASS, "psql 18"),
        ("", Status.UNKNOWN, "psql tells no version"),
    ],
)
def test_an_older_psql_fails(
    server: Server,
    with_stubs: Callable[[Mapping[str, str]], Account],
    version: str,
    status: Status,
    words: str,
) -> None:
    said = f"psql (PostgreSQL) {version}" if version else "a wrapper"
    text = f'case $1 in --version) echo "{said}";; *) exec /usr/bin/psql "$@";; esac'
    found = server.scripts(account=with_stubs({"psql": text}))
    assert found.status is status, told(found)
    assert words in found.judgement.summary


@pytest.mark.parametrize(
    ("dump", "restore", "status", "words"),
    [
        (0, 0, Status.PASS, "pg_dump {dump}"),
        (-1, 0, Status.FAIL, "pg_dump {dump} is older than the server, {server}"),
        (2, 2, Status.WARN, "pg_dump {dump} is newer than the server, {server}"),
        (0, -1, Status.FAIL, "pg_restore {restore} is older than pg_dump {dump}"),
    ],
)
def test_versions_of_dump_restore_and_server_must_fit(
    server: Server,
    with_stubs: Callable[[Mapping[str, str]], Account],
    dump: int,
    restore: int,
    status: Status,
    words: str,
) -> None:
    """`dump` and `restore`: majors newer than the server."""
    major = server.cluster.version
    programs = {
        name: f'case $1 in --version) echo "{name} (PostgreSQL) {version}.1";; *) exec /usr/bin/{name} "$@";; esac'
        for name, version in (("pg_dump", major + dump), ("pg_restore", major + restore))
    }
    server.cluster.sql(f'GRANT pg_read_all_settings TO "{server.role.name}"')
    found = server.backup(account=with_stubs(programs), version=str(major))
    assert found.status is status, told(found)
    assert words.format(dump=major + dump, restore=major + restore, server=major) in found.judgement.summary


def test_a_pg_dump_that_the_server_is_too_new_for_fails(
    server: Server, with_stubs: Callable[[Mapping[str, str]], Account]
) -> None:
    said = "pg_dump: error: aborting because of server version mismatch"
    text = f'case $1 in --version) echo "pg_dump (PostgreSQL) 14.1";; *) echo "{said}" >&2; exit 1;; esac'
    found = server.backup(account=with_stubs({"pg_dump": text, "psql": text}), backup={"format": BackupFormat.PLAIN})
    fails(found, "the program is older than the server", "first on the PATH")


def test_another_account_runs_the_programs_through_sudo(server: Server, accounts: Accounts) -> None:
    runner = accounts.add("login")
    accounts.allow_sudo(runner, server.account.name, ("/usr/bin/psql", "/usr/bin/pg_dump"))
    found = server.scripts(account=runner, become=server.account.name)
    assert found.status is Status.PASS, told(found)
    found = server.backup(account=runner, become=server.account.name)
    assert found.status is Status.PASS, told(found)


def test_an_account_that_sudo_does_not_give_leaves_the_line_unknown(server: Server, accounts: Accounts) -> None:
    found = server.scripts(account=accounts.add("login"), become=server.account.name)
    assert found.status is Status.UNKNOWN, told(found)
    assert f"become {server.account.name} on db1" in found.judgement.remedy


def over_tcp(server: Server, work: str) -> Finding:
    place = {"server": server.cluster.address}
    plain = SslMode.DISABLE  # of our own login
    return (
        server.scripts(entry=place, sslmode=plain) if work == "scripts" else server.backup(backup=place, sslmode=plain)
    )


@pytest.mark.long
@pytest.mark.parametrize("work", ["scripts", "backup"])
def test_a_login_on_the_host_names_us_and_a_refused_password_is_not_tried_again_without_tls(
    server: Server, work: str
) -> None:
    before = len(server.cluster.whole_log)
    assert over_tcp(server, work).status is Status.PASS
    log = server.cluster.whole_log[before:]
    assert log.count(f"connection authorized: user={server.role.name}") == log.count("application_name=preflight") > 1
    server.write_pgpass(f"*:*:*:{server.role.name}:not-it")
    before = len(server.cluster.whole_log)
    fails(over_tcp(server, work), "password authentication failed", "correct the password")
    tried = {"scripts": 1, "backup": 2}  # scripts are asked about beside the backup, over the socket
    assert server.cluster.whole_log[before:].count("password authentication failed") == tried[work]


@pytest.mark.long
@pytest.mark.parametrize("work", ["scripts", "backup"])
def test_where_tls_is_not_let_in_the_login_goes_without_as_psql_does(server: Server, work: str) -> None:
    with server.cluster.hba(f"hostssl all {server.role.name} all reject"):
        found = over_tcp(server, work)
    assert found.status is Status.PASS, told(found)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_pooler_at_the_servers_own_port_is_seen_on_its_first_connection(server: Server, mode: str) -> None:
    cluster, pooler = server.cluster, server.site.new_path("pooler")
    pooler.mkdir()
    (pooler / "users").write_text(f'"{server.role.name}" "{server.role.password}"\n')
    (pooler / "ini").write_text(
        f"[databases]\n* = host={cluster.address} port={cluster.port}\n[pgbouncer]\nlisten_addr = 127.0.0.2\n"
        f"listen_port = {cluster.port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {pooler}/users\n"
        f"pool_mode = {mode}\nignore_startup_parameters = extra_float_digits\n"
    )
    running = Process([needs("pgbouncer"), pooler / "ini"], cwd=pooler, user=cluster.account)
    try:
        assert running.wait_for_log("process up"), running.log
        found = server.scripts(entry={"server": "127.0.0.2"})
    finally:
        running.stop(signal.SIGQUIT)
    fails(found, "a connection pooler answers", "name the server's own port")
