"""become against real sudo, in every state its rules can be in."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.become import BecomeAccount
from preflight_checks.script_hashes import ScriptHashes
from preflight_checks.script_runner import ScriptRunner

from preflight.check import Check
from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import Backup, Become, Database, Host, Plan, RemotePath, Scripts, SecretRef, Step
from preflight.questions.sudo import stamp
from preflight.report.document.order import beginnings, causes_of
from tests.site.accounts import Account, Accounts
from tests.site.asking import WINDOW, database_on, finding, findings, host_on, make_plan, told
from tests.site.site import Site
from tests.site.sshd import Sshd

Ask = Callable[..., Finding]
PROGRAMS = ("/usr/bin/pg_dump", "/usr/bin/pg_restore", "/usr/bin/psql")


@pytest.fixture
def planned(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """A plan with an account of the host that becomes another one, with a backup and scripts to run."""

    def planned(
        account: Account,
        become: str = "postgres",
        *,
        password: str = "",
        work: bool = True,
        folder: str = "/backup",
        sshd: Sshd = site.sshd,
    ) -> Plan:
        monkeypatch.setenv("SUDO_PASSWORD", password)
        reference = SecretRef("env", "SUDO_PASSWORD") if password else None
        host = host_on(sshd, account, become=(Become(account=Login(become), password=reference),))
        database = Database(id="orders", host="db1", user=Login("release"))
        backup = Backup(
            id="b",
            database="orders",
            directory=RemotePath(folder),
            account=Login(become),
            previous=RemotePath(f"{folder}/*.dump"),
            step="backup",
        )
        scripts = Scripts(
            id="s",
            database="orders",
            approved=tmp_path,
            manifest=tmp_path,
            staged=RemotePath(folder),
            account=Login(become),
        )
        sections: dict[str, Any] = {"backups": {"b": backup}, "scripts": {"s": scripts}} if work else {}
        step = Step(id="backup", minutes=30, minutes_over_network=75)
        known_hosts = sshd.known_hosts_lines()
        return make_plan(
            tmp_path, hosts=[host], databases=[database], known_hosts=known_hosts, steps=(step,), **sections
        )

    return planned


@pytest.fixture
def ask(planned: Callable[..., Plan]) -> Ask:
    """The finding about that other account."""
    return lambda *account, **options: finding(BecomeAccount, planned(*account, **options))


def test_programs_that_run_without_a_prompt_pass(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", PROGRAMS)
    found = ask(account)
    assert found.status is Status.PASS, told(found)
    assert found.subject == "postgres on db1"
    for program in PROGRAMS:
        assert f"{program} runs without a prompt" in found.judgement.summary


def test_a_program_that_is_not_listed_fails(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", PROGRAMS[1:])
    found = ask(account)
    assert found.status is Status.FAIL, told(found)
    assert "pg_dump does not run" in found.judgement.summary
    assert f"{account.name} ALL=(postgres) NOPASSWD: /usr/bin/pg_dump" in found.judgement.remedy
    assert found.judgement.minutes_at_stake == 45


@pytest.mark.parametrize("password", [False, True])
def test_a_program_that_is_listed_with_no_arguments_of_the_night_fails_and_its_cure_works(
    ask: Ask, accounts: Accounts, password: bool
) -> None:
    """`--version` runs, what the sheet says does not."""
    account = accounts.add()
    listed = [f"{PROGRAMS[0]} --version", f"{PROGRAMS[1]} --version", PROGRAMS[2], "/bin/sh"]
    accounts.allow_sudo(account, "postgres", listed, password=password)
    found = ask(account, password=account.password if password else "")
    assert found.status is Status.FAIL, told(found)
    assert "pg_dump, pg_restore do not run: sudo allows it with --version, and not with the arguments" in told(found)
    rule = re.search(r"have this line in sudoers on db1: (\S+ ALL=\(postgres\) NOPASSWD: [\w/, ]+)", told(found))
    assert rule, told(found)
    accounts.add_rule(account, rule[1])
    assert ask(account, password=account.password if password else "").status is Status.PASS


def test_a_rule_that_refuses_the_arguments_of_the_night_fails_and_its_cure_works(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", [*PROGRAMS, "/bin/sh"])
    assert ask(account).status is Status.PASS
    accounts.add_rule(account, f"{account.name} ALL=(postgres) !/usr/bin/psql *-f *, !/usr/bin/pg_dump *-f *")
    found = ask(account)
    assert found.status is Status.FAIL, told(found)
    assert "sudo allows it with --version, and not with the arguments of the night" in told(found)
    rule = re.search(r"have this line in sudoers on db1: (\S+ ALL=\(postgres\) NOPASSWD: [\w/, ]+)", told(found))
    assert rule, told(found)
    accounts.add_rule(account, rule[1])
    assert ask(account).status is Status.PASS, told(ask(account))


def test_a_listed_program_that_asks_for_a_password_fails(ask: Ask, accounts: Accounts) -> None:
    """`sudo -l` alone would call it allowed: another rule of the account needs no password."""
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", PROGRAMS[1:])
    accounts.allow_sudo(account, "postgres", PROGRAMS[:1], password=True)
    found = ask(account)
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary == "pg_dump does not run: it is listed, but sudo asks for a password"


def test_sudo_is_asked_without_a_prompt(ask: Ask, accounts: Accounts) -> None:
    """Without a terminal sudo would start the program that an account names for its prompts."""
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", PROGRAMS, password=True)
    account.replace_program("prompt", "touch $HOME/prompted")
    profile = account.home / ".bashrc"
    profile.write_text(f"{profile.read_text()}export DISPLAY=:0 SUDO_ASKPASS={account.home}/bin/prompt\n")
    shutil.chown(account.home, account.name)
    found = ask(account)
    assert found.status is Status.FAIL, told(found)
    assert not (account.home / "prompted").exists()


def test_a_ticket_of_sudo_that_is_still_good_is_not_used(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", PROGRAMS, password=True)
    accounts.sudo_defaults(account, "timestamp_type=global")
    as_account = ["setpriv", f"--reuid={account.name}", f"--regid={account.name}", "--init-groups"]
    subprocess.run([*as_account, "sudo", "-S", "-v"], input=f"{account.password}\n", text=True, check=True)
    subprocess.run([*as_account, "sudo", "-n", "-u", "postgres", PROGRAMS[0], "--version"], check=True)
    found = ask(account)
    assert found.status is Status.FAIL, told(found)
    assert "sudo asks for a password" in found.judgement.summary


def test_the_password_of_the_plan_reaches_sudo_and_nothing_else(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", PROGRAMS, password=True)
    found = ask(account, password=account.password)
    assert found.status is Status.PASS, told(found)
    assert "runs with the password of the plan" in found.judgement.summary
    assert account.password not in repr(found)


def test_a_wrong_password_fails_and_is_offered_once(ask: Ask, accounts: Accounts, site: Site) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", PROGRAMS, password=True)
    found = ask(account, password="wrong-password")
    assert found.status is Status.FAIL, told(found)
    assert "sudo refuses the password" in found.judgement.summary
    assert "1 incorrect password attempt" in told(found)
    assert "wrong-password" not in repr(found)


def test_a_password_does_not_help_with_a_program_that_is_not_listed(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", PROGRAMS[1:], password=True)
    found = ask(account, password=account.password)
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary == "pg_dump does not run: sudo does not allow it"


def test_a_log_of_sudo_that_cannot_be_written_fails_and_is_not_taken_for_a_missing_program(
    ask: Ask, accounts: Accounts
) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", PROGRAMS)
    accounts.sudo_defaults(account, "log_output, iolog_dir=/proc/nix")
    found = ask(account)
    assert found.status is Status.FAIL, told(found)
    assert "pg_dump does not run: sudo cannot write its own log" in told(found)
    assert "unable to mkdir /proc/nix" in told(found)
    assert "mend the place of its log, iolog_dir or logfile of Defaults" in found.judgement.remedy
    accounts.sudo_defaults(account, "!log_output")
    assert ask(account).status is Status.PASS


def test_no_rule_at_all_fails(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    found = ask(account)
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary == "pg_dump, pg_restore, psql do not run: sudo asks for a password"
    line = f"{account.name} ALL=(postgres) NOPASSWD: {', '.join(PROGRAMS)}, /bin/sh"
    assert f"have this line in sudoers on db1: {line}; or" in found.judgement.remedy


@pytest.mark.long
def test_what_sudo_hides_from_other_checks_is_behind_its_line(
    planned: Callable[..., Plan], accounts: Accounts, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, hidden = accounts.add(), site.new_path("hidden")
    hidden.mkdir()
    (hidden / "b").mkdir()
    hidden.chmod(0o700)
    role = site.postgres.create_role("release")
    monkeypatch.setenv("ORDERS_PASSWORD", role.password)
    database = database_on(site.postgres, role.name, name="postgres", password=SecretRef("env", "ORDERS_PASSWORD"))
    plan = replace(planned(account, folder=f"{hidden}/b"), databases={"orders": database})
    become = finding(BecomeAccount, plan)
    for found in findings(ScriptRunner, plan).values():
        lost = [point for point in found.judgement.telling_points() if point.status is Status.UNKNOWN]
        assert any(beginnings(point.behind) & causes_of(become) for point in lost), told(found)
    backup = findings(ScriptRunner, plan)["backups b"]
    assert backup.status is Status.UNKNOWN, told(backup)
    assert beginnings(backup.cause) & causes_of(become)
    hashes = finding(ScriptHashes, plan)
    (denied,) = [point for point in hashes.judgement.telling_points() if "cannot be read by" in point.summary]
    assert beginnings(denied.behind) & causes_of(become)
    assert "chmod" not in denied.remedy
    accounts.allow_sudo(account, "postgres")
    assert finding(BecomeAccount, plan).status is Status.PASS
    assert not finding(ScriptHashes, plan).cause


def test_requiretty_fails_with_its_own_remedy(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", PROGRAMS)
    accounts.sudo_defaults(account, "requiretty")
    found = ask(account)
    assert found.status is Status.FAIL, told(found)
    assert f"Defaults:{account.name} !requiretty" in found.judgement.remedy


def test_an_account_that_does_not_exist_fails(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "ALL")
    found = ask(account, "pfnobodyhere")
    assert found.status is Status.FAIL, told(found)
    assert "there is no such account" in found.judgement.summary


@pytest.mark.case(50)
def test_a_program_that_lies_off_the_path_is_named_where_it_is(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres")
    accounts.sudo_defaults(account, "secure_path=/nonexistent")
    found = ask(account)
    assert found.status is Status.FAIL, told(found)
    assert "the program is not found" in found.judgement.summary
    assert 'program = "/usr/bin/pg_dump" in [backups.b]' in found.judgement.remedy
    assert 'program = "/usr/bin/psql" in [scripts.s]' in told(found)


def test_without_work_in_the_plan_a_shell_of_the_account_passes(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres")
    found = ask(account, work=False)
    assert found.status is Status.PASS, told(found)
    assert "a shell of the account is reached" in found.judgement.summary
    accounts.allow_sudo(account, "postgres", password=True)
    assert ask(account, work=False, password=account.password).status is Status.PASS


def test_without_work_in_the_plan_single_programs_are_not_tried(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", PROGRAMS)
    found = ask(account, work=False)
    assert found.status is Status.UNKNOWN, told(found)
    assert "/usr/bin/pg_dump" in found.judgement.actual
    listed = accounts.add()
    accounts.allow_sudo(listed, "postgres", PROGRAMS, password=True)
    found = ask(listed, work=False, password=listed.password)
    assert found.status is Status.UNKNOWN, told(found)


def test_without_work_in_the_plan_rules_for_another_account_fail(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "daemon", PROGRAMS)
    found = ask(account, work=False)
    assert found.status is Status.FAIL, told(found)
    bare = accounts.add()
    assert ask(bare, work=False).status is Status.FAIL


@pytest.mark.long
@pytest.mark.case(6)
def test_a_rule_that_ends_in_the_window_fails_and_its_cure_works(ask: Ask, accounts: Accounts) -> None:
    """It runs now, and sudo asks for a password by the time it is needed."""
    account, inside = accounts.add(), WINDOW.start + timedelta(hours=1)
    accounts.allow_sudo(account, "postgres", PROGRAMS[:1], until=stamp(inside))
    accounts.allow_sudo(account, "postgres", PROGRAMS[1:], until=stamp(WINDOW.needed_until + timedelta(seconds=1)))
    found = ask(account)
    assert found.status is Status.FAIL, told(found)
    assert f"the sudo rule for {PROGRAMS[0]} ends {inside:%a %Y-%m-%d %H:%M}" in found.judgement.summary
    assert found.judgement.minutes_at_stake == 45
    assert [event.text for event in found.judgement.events if event.at == inside.replace(microsecond=0)]
    rule = re.search(r"NOTAFTER=(\w+) NOPASSWD: ([\w/, ]+)", found.judgement.remedy)
    assert rule, found.judgement.remedy
    accounts.allow_sudo(account, "postgres", rule[2].split(", "), until=rule[1])
    assert ask(account).status is Status.PASS


@pytest.mark.long
@pytest.mark.case(6)
@pytest.mark.parametrize("work", [True, False])
def test_a_rule_with_a_password_ends_too(ask: Ask, accounts: Accounts, work: bool) -> None:
    account = accounts.add()
    programs = PROGRAMS if work else ["/bin/sh"]
    accounts.allow_sudo(account, "postgres", programs, password=True, until=stamp(WINDOW.start))
    found = ask(account, password=account.password, work=work)
    assert found.status is Status.FAIL, told(found)
    assert f"the sudo rule for {', '.join(programs)} ends" in found.judgement.summary
    rule = re.search(r"NOTAFTER=(\w+) PASSWD: ([\w/, ]+)", found.judgement.remedy)
    assert rule, found.judgement.remedy
    accounts.allow_sudo(account, "postgres", rule[2].split(", "), password=True, until=rule[1])
    assert ask(account, password=account.password, work=work).status is Status.PASS


@pytest.mark.long
@pytest.mark.parametrize(
    ("limit", "status"),
    [("TIMEOUT=30m", Status.FAIL), ("TIMEOUT=2h", Status.PASS), ("command_timeout=90", Status.FAIL)],
)
def test_a_rule_that_ends_the_command_before_its_step_has_ended_fails_and_its_cure_works(
    ask: Ask, accounts: Accounts, limit: str, status: Status
) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", PROGRAMS[1:])
    if limit.startswith("command"):
        accounts.sudo_defaults(account, limit)
        accounts.allow_sudo(account, "postgres", PROGRAMS[:1])
    else:
        accounts.add_rule(account, f"{account.name} ALL=(postgres) {limit} NOPASSWD: {PROGRAMS[0]}")
    found = ask(account)
    assert found.status is status, told(found)
    if status is Status.FAIL:
        assert f"sudo ends {PROGRAMS[0]} after" in found.judgement.summary
        accounts.forget_sudo(account)
        accounts.allow_sudo(account, "postgres", PROGRAMS)
        accounts.add_rule(account, found.judgement.remedy.rpartition("others: ")[2])
        assert ask(account).status is Status.PASS


def test_what_sudo_complains_of_before_it_works_is_told_as_that(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres")
    accounts.sudo_defaults(account, "logfile=/dev/full")
    found = ask(account, work=False)
    assert found.status is Status.WARN, told(found)
    assert found.judgement.summary == "a shell of the account is reached, and sudo complains"
    assert "/dev/full" in found.judgement.actual


@pytest.mark.long
def test_a_rule_that_ends_does_not_matter_beside_one_that_does_not(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", PROGRAMS, until=stamp(WINDOW.start))
    accounts.allow_sudo(account, "postgres")
    assert ask(account).status is Status.PASS
    assert ask(account, work=False).status is Status.PASS


def test_a_shell_whose_rule_ends_fails(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", ["/bin/sh"], until=stamp(WINDOW.start))
    found = ask(account, work=False)
    assert found.status is Status.FAIL, told(found)
    assert "the sudo rule for /bin/sh ends" in found.judgement.summary


@pytest.mark.parametrize("work", [True, False])
def test_the_printed_rule_is_enough_for_the_next_run(ask: Ask, accounts: Accounts, work: bool) -> None:
    """Also for the shell with which other checks look at the account's folders."""
    account = accounts.add()
    while (found := ask(account, work=work)).status is not Status.PASS:
        assert found.status is Status.FAIL, told(found)
        rule = re.search(r"NOPASSWD: ([\w/, ]+)", found.judgement.remedy)
        assert rule, found.judgement.remedy
        programs = rule[1].strip().split(", ")
        assert programs[-1] == "/bin/sh"
        accounts.allow_sudo(account, "postgres", programs)


def test_the_program_of_the_guide_logs_every_question_and_no_password(ask: Ask, accounts: Accounts, site: Site) -> None:
    guide = (Path(__file__).parent.parent.parent / "docs/guides/dba.md").read_text()
    (text,) = re.findall(r"^```sh\n(#!/bin/sh\n.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    program, log = site.new_path("log-preflight"), site.new_path("questions.log")
    log.touch(0o666)
    log.chmod(0o666)
    program.write_text(text.replace("logger -t preflight", f"cat >>{log}"))
    program.chmod(0o755)
    account = accounts.add(key_options=f'restrict,command="{program}"')
    accounts.allow_sudo(account, "postgres", PROGRAMS, password=True)
    found = ask(account, password=account.password)
    assert found.status is Status.PASS, told(found)
    logged = log.read_text()
    for program_name in PROGRAMS:
        assert f"try {program_name}" in logged or program_name.rpartition("/")[2] in logged
    assert account.password not in logged
    assert "sh -s" not in logged


def test_the_login_itself_is_not_asked_about(site: Site, tmp_path: Path) -> None:
    account = site.account("good")
    host = Host(id="db1", user=Login(account.name), key=account.key)
    database = Database(id="orders", host="db1", user=Login("release"))
    backup = Backup(id="b", database="orders", directory=RemotePath("/backup"))
    plan = make_plan(tmp_path, hosts=[host], databases=[database], backups={"b": backup})
    assert not findings(BecomeAccount, plan)


def test_a_host_nobody_reaches_leaves_the_line_unknown(site: Site, tmp_path: Path) -> None:
    account = site.account("nologin")
    host = host_on(site.sshd, account, become=(Become(account=Login("postgres")),))
    plan = make_plan(tmp_path, hosts=[host], known_hosts=site.sshd.known_hosts_lines())
    found = finding(BecomeAccount, plan)
    assert found.status is Status.UNKNOWN, told(found)
    assert "nologin" in found.cause


@pytest.mark.case(43)
@pytest.mark.parametrize(
    ("setting", "work"),
    [
        ("lecture = always", True),
        ("listpw = always", True),
        ("listpw = always", False),
        ("noexec", True),
        ("noexec", False),
    ],
)
def test_defaults_of_sudo_are_taken_as_they_work_and_the_cure_is_none_that_stands_there(
    ask: Ask, accounts: Accounts, planned: Callable[..., Plan], setting: str, work: bool
) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "postgres", [*PROGRAMS, "/bin/sh"])
    accounts.sudo_defaults(account, setting)
    found = ask(account, work=work)
    if setting == "noexec":
        assert found.status is Status.FAIL, told(found)
        assert "noexec" in found.judgement.summary
        rule = re.search(r"(\S+ ALL=\(\S+\) NOPASSWD: EXEC: .*)", found.judgement.remedy)
        assert rule, told(found)
        accounts._rules[account.name].append(rule[1])
        accounts._write_sudoers()
        found = ask(account, work=work)
    assert found.status is Status.PASS, told(found)
    if work:  # other checks look with a shell of it
        (files,) = findings(ScriptHashes, planned(account)).values()
        assert "sudo gives" not in told(files)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_host_that_does_not_know_its_own_name_refuses_nothing(
    planned: Callable[..., Plan], accounts: Accounts, site: Site, allowed: bool
) -> None:
    account = accounts.add()
    machine = site.start_namespace()
    sshd = site.start_sshd(namespace=machine)
    machine.run(
        "sh", "-c", "echo 127.0.0.1 localhost >/etc/hosts; sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf"
    )
    listed = [*PROGRAMS, "/bin/sh"] if allowed else PROGRAMS[1:]
    rule = f"{account.name} ALL=(postgres) NOPASSWD: {', '.join(listed)}\n"
    machine.run("tee", "/etc/sudoers.d/warns", stdin=rule)

    def asked(check: type[Check], **options: Any) -> list[Finding]:
        return [*machine.call(lambda: findings(check, planned(account, sshd=sshd, **options))).values()]

    for found in [*asked(BecomeAccount), *asked(BecomeAccount, work=False)]:
        assert (found.status is Status.PASS) is allowed, told(found)
        assert "unable to resolve" not in told(found)
    hidden = site.new_path("hidden")
    hidden.mkdir(0o700)
    shutil.chown(hidden, "postgres")
    (found,) = asked(ScriptHashes, folder=str(hidden))
    behind = [point for point in found.judgement.telling_points() if point.behind.startswith("become postgres")]
    assert bool(behind) is not allowed, told(found)
