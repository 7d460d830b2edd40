"""host-login against a real sshd with real Linux accounts, in every state an account can be in."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.host_login import HostLogin

from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import Backup, Become, Database, Host, LoginUse, Role, SaidUntil, SecretRef, Step
from tests.site.accounts import Account, Accounts, make_key
from tests.site.asking import NOW, WINDOW, finding, findings, host_on, make_plan, told
from tests.site.machine import needs, run
from tests.site.site import Site

Ask = Callable[..., Finding]


def by_key(site: Site, account: Account, **more: object) -> Host:
    return host_on(site.sshd, account, owner="unix", **more)


def by_password(site: Site, account: Account, monkeypatch: pytest.MonkeyPatch, password: str = "") -> Host:
    monkeypatch.setenv("HOST_PASSWORD", password or account.password)
    return replace(by_key(site, account), key=None, password=SecretRef("env", "HOST_PASSWORD"))


@pytest.fixture
def ask(site: Site, tmp_path: Path) -> Ask:
    """The finding about one host, whose key is pinned."""

    def ask(host: Host, **more: object) -> Finding:
        more.setdefault("known_hosts", site.sshd.known_hosts_lines())
        return finding(HostLogin, make_plan(tmp_path, hosts=[host], **more))  # type: ignore[arg-type]

    return ask


def test_a_good_account_passes_and_the_line_says_where_it_arrived(site: Site, ask: Ask) -> None:
    account = site.account("good")
    found = ask(by_key(site, account))
    assert found.status is Status.PASS, told(found)
    assert f"{account.name} runs commands on" in found.judgement.summary
    assert "neither account nor password expires" in found.judgement.summary
    assert found.vantage == f"on db1 as {account.name}"


def test_a_good_account_passes_with_its_password(site: Site, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ask(by_password(site, site.account("good"), monkeypatch))
    assert found.status is Status.PASS, told(found)


@pytest.mark.parametrize(
    ("kind", "said", "remedy"),
    [
        ("expired", "account expired", "extended past"),
        ("must-change", "password expired", "set a new password"),
        ("password-expired", "password expired", "set a new password"),
        ("nologin", "nologin", "usermod -s /bin/sh"),
        ("forced", "forced command", "authorized_keys"),
    ],
)
def test_accounts_that_cannot_work_fail_each_with_its_own_remedy(
    site: Site, ask: Ask, kind: str, said: str, remedy: str
) -> None:
    found = ask(by_key(site, site.account(kind)))
    assert found.status is Status.FAIL, told(found)
    assert said in found.judgement.summary
    assert remedy in found.judgement.remedy
    assert found.judgement.actual


@pytest.mark.parametrize(
    "made",
    [
        {"shell": "/usr/sbin/nologin"},
        {"account_expires": NOW.date() - timedelta(days=2)},
        {"account_expires": NOW.date() + timedelta(days=2)},
    ],
    ids=["no shell", "expired", "expires too soon"],
)
def test_what_root_is_to_run_for_an_account_works_as_it_is_printed(
    site: Site, accounts: Accounts, ask: Ask, made: dict[str, Any]
) -> None:
    account = accounts.add("cured", **made)
    window = replace(WINDOW, end=NOW + timedelta(days=5))
    found = ask(by_key(site, account), window=window)
    assert found.status is Status.FAIL, told(found)
    command = found.judgement.remedy.partition(": ")[2].split()
    assert command[-1] == account.name
    run(needs(command[0]), *command[1:])
    found = ask(by_key(site, account), window=window)
    assert found.status is Status.PASS, told(found)


def test_a_refused_key_and_a_wrong_password_fail(
    site: Site, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = site.account("good")
    for host, word in (
        (replace(by_key(site, account), key=make_key(tmp_path / "other")), "key"),
        (by_password(site, account, monkeypatch, "wrong-password"), "password"),
    ):
        found = ask(host)
        assert found.status is Status.FAIL, told(found)
        assert "bad credential" in found.judgement.summary
        assert f"its {word}, and correct what [hosts." in found.judgement.remedy
        assert "wrong-password" not in repr(found)


def test_a_passphrase_that_is_missing_or_wrong_is_the_callers(
    site: Site, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = replace(by_key(site, site.account("good")), key=make_key(tmp_path / "locked", passphrase="open sesame"))
    found = ask(host)
    assert (found.status, found.owner) == (Status.UNKNOWN, "whoever runs preflight"), told(found)
    assert "is protected by a passphrase and the plan names none" in found.judgement.summary
    monkeypatch.setenv("PASSPHRASE", "not it at all")
    found = ask(replace(host, passphrase=SecretRef("env", "PASSPHRASE")))
    assert (found.status, found.owner) == (Status.UNKNOWN, "whoever runs preflight"), told(found)
    assert "the passphrase does not open" in found.judgement.summary


def test_a_secret_that_is_not_there_is_the_callers_and_no_failure_of_the_host(site: Site, ask: Ask) -> None:
    found = ask(replace(by_key(site, site.account("good")), key=None, password=SecretRef("env", "NOT_SET_ANYWHERE")))
    assert (found.status, found.owner) == (Status.UNKNOWN, "whoever runs preflight"), told(found)
    assert "NOT_SET_ANYWHERE is not set" in found.judgement.summary


def test_a_method_the_server_does_not_allow_fails(
    site: Site, ask: Ask, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys_only = site.start_sshd(options={"PasswordAuthentication": "no"})
    host = replace(by_password(site, accounts.add("keysonly"), monkeypatch), port=keys_only.port)
    found = ask(host, known_hosts=keys_only.known_hosts_lines())
    assert (found.status, found.judgement.summary) == (Status.FAIL, "no login: denied (method not allowed)"), told(
        found
    )


def test_a_host_key_nobody_pinned_fails_and_shows_its_fingerprint(site: Site, ask: Ask) -> None:
    found = ask(by_key(site, site.account("good")), known_hosts="")
    assert found.status is Status.FAIL, told(found)
    assert "host key unknown" in found.judgement.summary
    assert site.sshd.fingerprint() in found.judgement.actual
    assert "preflight seal" in found.judgement.remedy


def test_a_changed_host_key_fails_and_nobody_is_told_to_log_in(site: Site, ask: Ask, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text().split()
    pinned = f"[{site.sshd.address}]:{site.sshd.port} {other[0]} {other[1]}\n"
    found = ask(by_key(site, site.account("good")), known_hosts=pinned)
    assert found.status is Status.FAIL, told(found)
    assert "host key changed" in found.judgement.summary
    assert site.sshd.fingerprint() in found.judgement.actual
    assert found.judgement.remedy.startswith("do not log in: ask unix")


def test_behind_a_jump_host_that_refuses_only_the_jump_host_fails(site: Site, tmp_path: Path) -> None:
    account = site.account("good")
    jump = replace(by_key(site, account), id="jump", key=make_key(tmp_path / "other"))
    behind = replace(by_key(site, account), jump="jump")
    plan = make_plan(tmp_path, hosts=[jump, behind], known_hosts=site.sshd.known_hosts_lines())
    found = findings(HostLogin, plan)
    assert found["jump"].status is Status.FAIL
    assert found["db1"].status is Status.UNKNOWN, told(found["db1"])
    assert "through jump" in found["db1"].judgement.actual
    assert "through jump" in found["db1"].cause


def test_behind_a_good_jump_host_the_login_passes(site: Site, tmp_path: Path) -> None:
    account = site.account("good")
    hosts = [replace(by_key(site, account), id="jump"), replace(by_key(site, account), jump="jump")]
    found = findings(HostLogin, make_plan(tmp_path, hosts=hosts, known_hosts=site.sshd.known_hosts_lines()))
    assert found["db1"].status is Status.PASS, told(found["db1"])
    assert "through jump" in found["db1"].judgement.summary


def test_an_account_that_expires_inside_the_window_fails_though_it_works_now(site: Site, ask: Ask) -> None:
    account = site.account("soon")
    found = ask(by_key(site, account), window=replace(WINDOW, end=NOW + timedelta(days=5)))
    assert found.status is Status.FAIL, told(found)
    assert "the account ends" in found.judgement.summary
    assert "chage -E 20" in found.judgement.remedy
    assert account.name in found.judgement.remedy


def test_an_account_that_expires_shortly_after_the_window_is_warned_of(site: Site, ask: Ask) -> None:
    found = ask(by_key(site, site.account("soon")))
    assert found.status is Status.WARN, told(found)
    assert "warned below 7 d" in found.judgement.summary


def test_a_password_that_expires_inside_the_window_fails(site: Site, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    host = by_password(site, site.account("password-soon"), monkeypatch)
    found = ask(host, window=replace(WINDOW, end=NOW + timedelta(days=5)))
    assert found.status is Status.FAIL, told(found)
    assert "the password ends" in found.judgement.summary


def test_a_host_without_chage_is_unknown_until_the_plan_declares_a_date(site: Site, ask: Ask, tmp_path: Path) -> None:
    """A sandbox without the tool, as on hosts whose accounts a directory keeps."""
    account = site.accounts.add("nochage", key_options='environment="PATH=/nonexistent"')
    sshd = site.start_sshd(options={"PermitUserEnvironment": "yes"})
    tools = site.new_path("tools")
    tools.mkdir()
    for name in ("env", "sh", "id", "uname", "date", "grep", "head", "cut", "sed", "timeout", "awk", "cat"):
        (tools / name).symlink_to(Path("/usr/bin") / name)
    site.accounts.authorize(account.name, f'environment="PATH={tools}"')
    host = replace(by_key(site, account), port=sshd.port)
    found = ask(host, known_hosts=sshd.known_hosts_lines())
    assert found.status is Status.UNKNOWN, told(found)
    assert "the host does not show its dates (chage is not installed)" in found.judgement.summary
    assert "[checks.host-login.valid_through] db1 = { until = " in found.judgement.remedy
    for days, status in ((30, Status.WARN), (0, Status.FAIL)):
        until = (WINDOW.needed_until + timedelta(days=days)).date()
        said = SaidUntil(by="dba", on=NOW.date(), reason="asked the directory team", until=until)
        checks = {"host-login": {"valid_through": {"db1": said}}}
        roles = {"dba": Role(id="dba", primary="D. Kaya")}
        window = replace(WINDOW, end=WINDOW.end + timedelta(days=1)) if not days else WINDOW
        found = ask(host, known_hosts=sshd.known_hosts_lines(), checks=checks, window=window, roles=roles)
        assert found.status is status, told(found)


def test_the_line_is_priced_with_the_steps_that_run_on_the_host(site: Site, ask: Ask) -> None:
    host = by_key(site, site.account("nologin"))
    database = Database(id="orders", host="db1", user=Login("release"))
    backup = Backup(id="orders", database="orders", directory="/backup", step="backup")  # type: ignore[arg-type]
    step = Step(id="backup", minutes=30, minutes_over_network=75)
    found = ask(host, databases=[database], backups={"orders": backup}, steps=(step,))
    assert found.judgement.minutes_at_stake == 45


def test_the_settings_have_defaults() -> None:
    assert HostLogin.Settings().warn_before == timedelta(days=7)


@pytest.mark.parametrize(
    "options",
    [
        'restrict,from="127.0.0.1,::1"',
        'restrict,command="exec sh -c \\"$SSH_ORIGINAL_COMMAND\\""',
    ],
)
def test_a_key_that_is_locked_down_as_the_guide_for_dbas_says_passes(
    site: Site, accounts: Accounts, ask: Ask, options: str
) -> None:
    found = ask(by_key(site, accounts.add("locked", key_options=options)))
    assert found.status is Status.PASS, told(found)


@pytest.mark.case(37)
@pytest.mark.parametrize("forwarding", ["yes", "no"])
def test_a_jump_host_that_only_lets_through_is_asked_nothing(site: Site, tmp_path: Path, forwarding: str) -> None:
    sshd = site.start_sshd(options={"AllowTcpForwarding": forwarding})
    through = host_on(sshd, site.account("nologin"), id="jump", login=LoginUse.THROUGH)
    behind = by_key(site, site.account("good"), jump="jump")
    known_hosts = sshd.known_hosts_lines() + site.sshd.known_hosts_lines()
    found = findings(HostLogin, make_plan(tmp_path, hosts=[through, behind], known_hosts=known_hosts))
    jump, db1 = found["jump"], found["db1"]
    assert jump.status is Status.UNKNOWN, told(jump)
    assert "[checks.host-login.valid_through] jump = { until = " in jump.judgement.remedy, "it shows no dates"
    if forwarding == "yes":
        assert db1.status is Status.PASS, told(db1)
    else:
        assert db1.status is Status.FAIL, told(db1)
        assert "have sshd on jump let its login through to db1 port" in db1.judgement.remedy
    assert "Starting session: command" not in sshd.whole_log
    sshd.close()


def test_a_jump_host_whose_password_has_expired_fails_itself(site: Site, tmp_path: Path) -> None:
    """sshd lets no connection through then, and says that of forwarding alone."""
    through = by_key(site, site.account("must-change"), id="jump", login=LoginUse.THROUGH)
    behind = by_key(site, site.account("good"), jump="jump")
    plan = make_plan(tmp_path, hosts=[through, behind], known_hosts=site.sshd.known_hosts_lines())
    found = findings(HostLogin, plan)
    assert (found["jump"].status, found["db1"].status) == (Status.FAIL, Status.UNKNOWN), told(found["jump"])
    assert "set a new password" in found["jump"].judgement.remedy


def test_a_restricted_shell_is_told_and_its_cure_works(site: Site, accounts: Accounts, ask: Ask) -> None:
    account = accounts.add("restricted", shell="/bin/rbash")
    found = ask(by_key(site, account))
    assert found.status is Status.WARN, told(found)
    assert "do not run in rbash" in found.judgement.summary
    run(*found.judgement.remedy.partition(": ")[2].split())
    assert ask(by_key(site, account)).status is Status.PASS


@pytest.mark.parametrize(
    ("shell", "name"),
    [("/bin/bash", ".bashrc"), ("/bin/tcsh", ".cshrc"), ("/usr/bin/fish", ".config/fish/config.fish")],
)
def test_a_start_up_file_that_prints_is_told_and_its_cure_works(
    site: Site, accounts: Accounts, ask: Ask, shell: str, name: str
) -> None:
    account = accounts.add("noisy", shell=shell)
    file = account.home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("echo Welcome to the database server\n")
    found = ask(by_key(site, account))
    assert found.status is Status.WARN, told(found)
    assert "breaks scp and rsync" in found.judgement.summary
    assert found.judgement.actual == "Welcome to the database server"
    where, _, line = found.judgement.remedy.partition("; where that does not end it")[0].partition(", first line: ")
    assert where == f"in ~/{name} of {account.name} on db1"
    file.write_text(f"{line}\n{file.read_text()}")
    found = ask(by_key(site, account))
    assert found.status is Status.PASS, told(found)


@pytest.mark.parametrize(("other", "status"), [("127.0.0.2", Status.WARN), ("::1", Status.PASS)])
def test_a_name_of_several_addresses_warns_unless_they_are_of_two_families(
    site: Site, ask: Ask, monkeypatch: pytest.MonkeyPatch, other: str, status: Status
) -> None:
    host = replace(by_key(site, site.account("good")), address="db1.example.net")

    def found(_name: str, port: int, **_more: object) -> list[tuple[object, ...]]:
        families = {"127.0.0.1": socket.AF_INET, other: socket.AF_INET6 if ":" in other else socket.AF_INET}
        return [(family, 1, 6, "", (each, port)) for each, family in families.items()]

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", found)
        told_of = ask(host, known_hosts=site.sshd.known_hosts_lines(f"[db1.example.net]:{site.sshd.port}"))
    assert told_of.status is status, told(told_of)
    if status is Status.WARN:
        port = site.sshd.port
        assert f"the login was made at 127.0.0.1:{port}" in told_of.judgement.summary
        assert told_of.judgement.actual == f"127.0.0.1:{port}, 127.0.0.2:{port}"
        assert 'address = "127.0.0.1"; then pin its key: ' in told_of.judgement.remedy
        assert ask(replace(host, address="127.0.0.1")).status is Status.PASS


def test_what_sshd_itself_runs_before_the_shell_is_named_where_text_is_printed(
    site: Site, accounts: Accounts, ask: Ask
) -> None:
    account = accounts.add("noisy")
    file = account.home / ".ssh" / "rc"
    file.parent.mkdir(exist_ok=True)
    file.write_text("echo Welcome\n")
    found = ask(by_key(site, account))
    assert found.status is Status.WARN, told(found)
    assert "~/.ssh/rc there, and /etc/ssh/sshrc, print to standard error (>&2)" in found.judgement.remedy
    file.write_text("echo Welcome >&2\n")
    assert ask(by_key(site, account)).status is Status.PASS


@pytest.mark.case(35)
def test_a_key_that_others_may_read_fails_and_the_cure_works_when_pasted(site: Site, ask: Ask, tmp_path: Path) -> None:
    account = site.account("good")
    key = tmp_path / "a key"
    key.write_bytes(account.key.read_bytes())
    key.chmod(0o644)
    host = replace(by_key(site, account), key=key)
    found = ask(host)
    assert found.status is Status.FAIL, told(found)
    run("sh", "-c", found.judgement.remedy, cwd=tmp_path)
    assert ask(host).status is Status.PASS


@pytest.mark.long
@pytest.mark.case(36)
def test_a_key_in_a_cipher_of_openssh_alone_is_this_tools_limit_and_the_cure_works_when_pasted(
    site: Site, ask: Ask, accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "gcm key"
    options = ("-q", "-t", "ed25519", "-Z", "aes256-gcm@openssh.com", "-N", "open sesame", "-f", key)
    run("ssh-keygen", *options)
    monkeypatch.setenv("PASSPHRASE", "open sesame")
    account = accounts.add("gcm", authorize=False)
    accounts.authorize(account.name, public_key=Path(f"{key}.pub").read_text())
    host = replace(by_key(site, account), key=key, passphrase=SecretRef("env", "PASSPHRASE"))
    found = ask(host)
    assert (found.status, found.owner) == (Status.UNKNOWN, "whoever runs preflight"), told(found)
    command, _, rest = found.judgement.remedy.removeprefix("use a cipher this tool reads: ").partition("; or ")
    assert rest == "log in through the agent"
    run("sh", "-c", f"{command} -P 'open sesame' -N 'open sesame'", cwd=tmp_path)  # as typed at its prompts
    assert ask(host).status is Status.PASS


@pytest.mark.case(48)
def test_a_key_that_is_not_there_is_cured_by_whoever_runs_it(site: Site, ask: Ask, tmp_path: Path) -> None:
    found = ask(replace(by_key(site, site.account("good")), key=tmp_path / "absent"))
    assert (found.status, found.owner) == (Status.UNKNOWN, "whoever runs preflight"), told(found)
    assert "firewall" not in told(found)


@pytest.mark.parametrize("service", ["sudo", "sshd"])
def test_hours_that_pam_time_sets_for_sudo_are_unknown(
    accounts: Accounts, site: Site, tmp_path: Path, service: str
) -> None:
    account = accounts.add()
    machine = site.start_namespace()
    sshd = site.start_sshd(namespace=machine)
    host = host_on(sshd, account, become=(Become(account=Login("postgres")),))
    plan = make_plan(tmp_path, hosts=[host], known_hosts=sshd.known_hosts_lines())
    hours = machine.call(lambda: finding(HostLogin, plan))
    assert hours.status is Status.PASS, told(hours)
    machine.run("tee", "-a", "/etc/pam.d/sudo", stdin="account required pam_time.so\n")
    machine.run("tee", "-a", "/etc/security/time.conf", stdin=f"{service};*;{account.name};!Al2000-0600\n")
    hours = machine.call(lambda: finding(HostLogin, plan))
    assert hours.status is (Status.UNKNOWN if service == "sudo" else Status.PASS), told(hours)
    assert ("time.conf (sudo;" in told(hours)) is (service == "sudo")
