"""Credentials against a real sshd with real Linux accounts: what gets in, and what is said about what does not."""

from __future__ import annotations

import shutil
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from preflight.clock import Deadline
from preflight.plan import Account as Login
from preflight.plan import Host, SecretRef
from preflight.reasons import Reason
from preflight.sessions.ssh.prompts import asks_for_password
from tests.sessions.conftest import GENEROUS_SECONDS, MakePool, ask, key_host, no_reply, password_host, question, reply
from tests.sessions.ssh import misbehaving
from tests.site.accounts import Account, make_key
from tests.site.machine import needs, run
from tests.site.site import Site
from tests.site.sshd import Sshd


@pytest.fixture
def unused_sshd(site: Site) -> Iterator[Sshd]:
    """A server that nobody else logs in to, whose log can be counted."""
    sshd = site.start_sshd()
    yield sshd
    sshd.close()


def _add(agent: Path, key: Path) -> None:
    run("ssh-add", "-q", key, environment={"SSH_AUTH_SOCK": str(agent)})


def _fingerprint(key: Path) -> str:
    return run("ssh-keygen", "-l", "-f", key.with_suffix(".pub")).stdout.split()[1]


def test_a_key_logs_in_and_the_reply_says_where_and_as_whom(
    make_pool: MakePool, sshd: Sshd, good_account: Account
) -> None:
    pool = make_pool(key_host(sshd, good_account), known_hosts=sshd.known_hosts_lines())
    answer = reply(ask(pool))
    assert (answer.code, answer.text) == (0, good_account.name + "\n")
    assert answer.vantage == f"on db1 as {good_account.name}"
    assert answer.session["address"] == f"{sshd.address}:{sshd.port}"
    assert answer.session["user"] == good_account.name
    assert answer.session["auth"] == f"key {_fingerprint(good_account.key)}"
    assert answer.session["fingerprint"] == sshd.fingerprint()
    assert answer.session["key_type"] == "ssh-ed25519"
    assert answer.session["server"].startswith("SSH-2.0-OpenSSH")
    assert int(answer.session["login_ms"]) >= 0


def test_a_second_round_uses_the_same_login(make_pool: MakePool, unused_sshd: Sshd, good_account: Account) -> None:
    pool = make_pool(key_host(unused_sshd, good_account), known_hosts=unused_sshd.known_hosts_lines())
    reply(ask(pool, "true"))
    reply(ask(pool, "echo again"))
    assert unused_sshd.whole_log.count("Accepted publickey") == 1


@pytest.mark.long
@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_key_with_a_passphrase_logs_in(
    make_pool: MakePool, site: Site, good_account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    key = make_key(tmp_path / "locked", passphrase="open sesame", kind=kind)
    monkeypatch.setenv("KEY_PASSPHRASE", "open sesame")
    account = site.accounts.add(f"k{kind}", authorize=False)
    site.accounts.authorize(account.name, public_key=key.with_suffix(".pub").read_text())
    host = replace(key_host(site.sshd, account), key=key, passphrase=SecretRef("env", "KEY_PASSPHRASE"))
    pool = make_pool(host, known_hosts=site.sshd.known_hosts_lines())
    assert reply(ask(pool)).session["auth"] == f"key {_fingerprint(key)}"


def test_a_missing_and_a_wrong_passphrase_are_told_apart_and_nothing_is_sent(
    make_pool: MakePool, unused_sshd: Sshd, good_account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = replace(key_host(unused_sshd, good_account), key=make_key(tmp_path / "locked", passphrase="open sesame"))
    answer = no_reply(ask(make_pool(locked)))
    assert answer.reason is Reason.PASSPHRASE_NEEDED
    monkeypatch.setenv("KEY_PASSPHRASE", "wrong-passphrase")
    answer = no_reply(ask(make_pool(replace(locked, passphrase=SecretRef("env", "KEY_PASSPHRASE")))))
    assert answer.reason is Reason.PASSPHRASE_WRONG
    assert "wrong-passphrase" not in repr(answer)
    assert unused_sshd.whole_log.count("Connection from") == 1, "another than our look at the log"


@pytest.mark.case(48)
@pytest.mark.parametrize("content", [None, "no key at all", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_a_key_file_that_is_none_is_no_credential(
    make_pool: MakePool, sshd: Sshd, good_account: Account, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    answer = no_reply(ask(make_pool(replace(key_host(sshd, good_account), key=file))))
    assert answer.reason in (Reason.KEY_FILE, Reason.KEY_FORMAT, Reason.KEY_MODE)
    assert str(file) in answer.detail


def test_a_password_logs_in(
    make_pool: MakePool, sshd: Sshd, good_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(password_host(sshd, good_account, monkeypatch), known_hosts=sshd.known_hosts_lines())
    assert reply(ask(pool)).session["auth"] == "password"


def test_a_wrong_password_is_tried_once_and_called_bad_credential(
    make_pool: MakePool, unused_sshd: Sshd, good_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = password_host(unused_sshd, good_account, monkeypatch, "not-the-password")
    pool = make_pool(host, known_hosts=unused_sshd.known_hosts_lines())
    answer = no_reply(ask(pool))
    assert answer.reason is Reason.BAD_CREDENTIAL
    assert answer.vantage == f"from here to db1 as {good_account.name}"
    assert answer.session["fingerprint"] == unused_sshd.fingerprint()
    assert "not-the-password" not in repr(answer)
    assert no_reply(ask(pool, "second round")).reason is Reason.BAD_CREDENTIAL
    assert unused_sshd.whole_log.count("Failed password") == 1


def test_a_key_the_account_does_not_know_is_a_bad_credential(
    make_pool: MakePool, sshd: Sshd, good_account: Account, tmp_path: Path
) -> None:
    host = replace(key_host(sshd, good_account), key=make_key(tmp_path / "stranger"))
    answer = no_reply(ask(make_pool(host, known_hosts=sshd.known_hosts_lines())))
    assert answer.reason is Reason.BAD_CREDENTIAL


def test_a_server_that_breaks_off_after_one_refusal_has_refused_it_all_the_same(
    make_pool: MakePool, site: Site, good_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it is not tried again for another entry of the same account."""
    once = site.start_sshd(options={"MaxAuthTries": "1"})
    host = password_host(once, good_account, monkeypatch, "not-the-password")
    answer = no_reply(ask(make_pool(host, known_hosts=once.known_hosts_lines())))
    assert answer.reason is Reason.BAD_CREDENTIAL


def test_an_unset_password_variable_is_no_credential(
    make_pool: MakePool, sshd: Sshd, good_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = password_host(sshd, good_account, monkeypatch)
    monkeypatch.delenv("HOST_PASSWORD")
    answer = no_reply(ask(make_pool(host)))
    assert answer.reason is Reason.NO_SECRET
    assert "HOST_PASSWORD" in answer.detail


def test_a_host_without_any_credential_is_not_contacted(make_pool: MakePool, sshd: Sshd) -> None:
    host = Host(id="db1", address=sshd.address, port=sshd.port, user=Login("nobody"))
    assert no_reply(ask(make_pool(host))).reason is Reason.NO_CREDENTIAL


def test_the_agent_logs_in_with_just_the_named_key(
    make_pool: MakePool, sshd: Sshd, good_account: Account, agent: Path, tmp_path: Path
) -> None:
    for number in range(7):  # more than MaxAuthTries: offering all of them would be thrown out
        _add(agent, make_key(tmp_path / f"other{number}"))
    _add(agent, good_account.key)
    fingerprint = _fingerprint(good_account.key)
    for named in (fingerprint, str(good_account.key.with_suffix(".pub"))):
        host = replace(key_host(sshd, good_account), key=None, agent=named)
        pool = make_pool(host, known_hosts=sshd.known_hosts_lines())
        assert reply(ask(pool)).session["auth"] == f"agent {fingerprint}"


def test_no_other_credential_than_that_of_the_plan_is_offered(
    make_pool: MakePool,
    unused_sshd: Sshd,
    good_account: Account,
    agent: Path,
    clean_surroundings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The agent and ~/.ssh hold the key that would get in."""
    _add(agent, good_account.key)
    (clean_surroundings / ".ssh").mkdir(exist_ok=True)
    shutil.copy(good_account.key, clean_surroundings / ".ssh" / "id_ed25519")
    lines = unused_sshd.known_hosts_lines()
    by_key = replace(key_host(unused_sshd, good_account), key=make_key(tmp_path / "stranger"))
    by_password = password_host(unused_sshd, good_account, monkeypatch, "not-the-password")
    for host in (by_key, by_password):
        assert no_reply(ask(make_pool(host, known_hosts=lines))).reason is Reason.BAD_CREDENTIAL
    log = unused_sshd.whole_log
    assert (log.count("Failed publickey"), log.count("Failed password"), log.count("Accepted")) == (1, 1, 0)


def test_an_agent_that_is_absent_silent_or_lacks_the_key_is_no_credential(
    make_pool: MakePool, sshd: Sshd, good_account: Account, agent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = replace(key_host(sshd, good_account), key=None, agent=_fingerprint(good_account.key))
    assert no_reply(ask(make_pool(host))).reason is Reason.NOT_IN_AGENT
    assert no_reply(ask(make_pool(replace(host, agent="~gone/id.pub")))).reason is Reason.KEY_FILE
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "silent"))
        answer = no_reply(ask(make_pool(host)))
        assert answer.reason is Reason.NO_AGENT
        assert answer.took_seconds < 10
    monkeypatch.delenv("SSH_AUTH_SOCK")
    assert no_reply(ask(make_pool(host))).reason is Reason.NO_AGENT


def test_an_expired_account_is_told_from_a_bad_password(make_pool: MakePool, site: Site) -> None:
    host = key_host(site.sshd, site.account("expired"))
    answer = no_reply(ask(make_pool(host, known_hosts=site.sshd.known_hosts_lines())))
    assert answer.reason is Reason.ACCOUNT_EXPIRED
    assert "expired" in answer.session["banner"]


def test_a_forced_command_that_echoes_the_script_does_not_pass_for_a_shell(make_pool: MakePool, site: Site) -> None:
    account = site.accounts.add("echo", key_options='command="cat; echo >&2"')
    host = key_host(site.sshd, account)
    answer = no_reply(ask(make_pool(host, known_hosts=site.sshd.known_hosts_lines())))
    assert answer.reason is Reason.FORCED_COMMAND


def test_the_expiry_warning_is_kept_as_banner(make_pool: MakePool, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    host = password_host(site.sshd, site.account("password-soon"), monkeypatch)
    answer = reply(ask(make_pool(host, known_hosts=site.sshd.known_hosts_lines())))
    assert "your password will expire in 3 days" in answer.session["banner"]


def test_a_server_that_takes_only_keys_is_named_as_such(
    make_pool: MakePool, site: Site, good_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_keys = site.start_sshd(options={"PasswordAuthentication": "no"})
    host = password_host(only_keys, good_account, monkeypatch)
    answer = no_reply(ask(make_pool(host, known_hosts=only_keys.known_hosts_lines())))
    assert answer.reason is Reason.METHOD_NOT_ALLOWED
    assert "publickey" in answer.detail
    only_keys.close()


def test_a_password_is_typed_at_a_prompt_where_the_server_wants_that(
    make_pool: MakePool, site: Site, good_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"PasswordAuthentication": "no", "KbdInteractiveAuthentication": "yes"}
    prompting = site.start_sshd(options=options)
    lines = prompting.known_hosts_lines()
    assert reply(ask(make_pool(password_host(prompting, good_account, monkeypatch), known_hosts=lines))).code == 0
    wrong = no_reply(
        ask(make_pool(password_host(prompting, good_account, monkeypatch, "wrong-one"), known_hosts=lines))
    )
    assert wrong.reason is Reason.BAD_CREDENTIAL
    change = password_host(prompting, site.account("must-change"), monkeypatch)
    expired = no_reply(ask(make_pool(change, known_hosts=lines)))
    assert expired.reason is Reason.PASSWORD_EXPIRED, expired
    prompting.close()


def test_a_second_factor_is_said_to_be_missing(make_pool: MakePool, site: Site, good_account: Account) -> None:
    both = site.start_sshd(options={"AuthenticationMethods": "publickey,password"})
    answer = no_reply(ask(make_pool(key_host(both, good_account), known_hosts=both.known_hosts_lines())))
    assert answer.reason is Reason.PARTIAL
    assert "password" in answer.detail
    both.close()


def test_many_askers_of_one_host_share_one_login(make_pool: MakePool, unused_sshd: Sshd, good_account: Account) -> None:
    pool = make_pool(key_host(unused_sshd, good_account), known_hosts=unused_sshd.known_hosts_lines())
    codes: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: codes.append(reply(ask(pool, f"echo {n}")).text.strip())) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [str(n) for n in range(8)]
    assert unused_sshd.whole_log.count("Accepted publickey") == 1


@pytest.mark.long
def test_fifty_hosts_behind_one_stock_sshd_are_all_answered(
    make_pool: MakePool, sshd: Sshd, good_account: Account
) -> None:
    hosts = [key_host(sshd, good_account, f"db{number}") for number in range(50)]
    pool = make_pool(*hosts, known_hosts=sshd.known_hosts_lines())
    answers: dict[str, object] = {}

    def ask_one(host: Host) -> None:
        session = pool.session(host.id)
        session.ask([question("true", host.id)], Deadline(40), lambda asked, answer: answers.update({host.id: answer}))

    threads = [threading.Thread(target=ask_one, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 50
    assert all(reply(answer).code == 0 for answer in answers.values())  # type: ignore[arg-type]


def test_a_closed_pool_answers_that_nobody_was_asked(make_pool: MakePool, sshd: Sshd, good_account: Account) -> None:
    pool = make_pool(key_host(sshd, good_account), known_hosts=sshd.known_hosts_lines())
    pool.close()
    pool.close()
    assert no_reply(ask(pool)).reason is Reason.CLOSED_HERE


@pytest.mark.case(35)
def test_a_key_that_others_may_read_is_refused_as_ssh_refuses_it(
    make_pool: MakePool, sshd: Sshd, good_account: Account, tmp_path: Path
) -> None:
    key = tmp_path / "open_key"
    key.write_bytes(good_account.key.read_bytes())
    host = replace(key_host(sshd, good_account), key=key)
    key.chmod(0o644)
    answer = no_reply(ask(make_pool(host, known_hosts=sshd.known_hosts_lines())))
    assert answer.reason is Reason.KEY_MODE
    assert "mode 0644" in answer.detail
    key.chmod(0o600)
    reply(ask(make_pool(host, known_hosts=sshd.known_hosts_lines())))


@pytest.mark.case(36)
def test_a_cipher_that_only_openssh_reads_is_this_tools_limit(
    make_pool: MakePool, sshd: Sshd, good_account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "gcm_key"
    run(needs("ssh-keygen"), "-q", "-t", "ed25519", "-Z", "aes256-gcm@openssh.com", "-N", "open sesame", "-f", key)
    monkeypatch.setenv("KEY_PASSPHRASE", "open sesame")
    host = replace(key_host(sshd, good_account), key=key, passphrase=SecretRef("env", "KEY_PASSPHRASE"))
    answer = no_reply(ask(make_pool(host, known_hosts=sshd.known_hosts_lines())))
    assert answer.reason is Reason.KEY_CIPHER
    assert "aes256-gcm@openssh.com" in answer.detail


@pytest.mark.parametrize("with_plain_key", [True, False])
@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_certificate_in_the_agent_logs_in(
    make_pool: MakePool, site: Site, agent: Path, tmp_path: Path, kind: str, with_plain_key: bool
) -> None:
    account = site.accounts.add("cert", authorize=False)
    authority, key = make_key(tmp_path / "ca"), make_key(tmp_path / "user", kind=kind)
    keygen = needs("ssh-keygen")
    run(keygen, "-q", "-s", authority, "-I", "test", "-n", account.name, "-V", "-5m:+8h", key.with_suffix(".pub"))
    certificate = tmp_path / "user-cert.pub"
    trusting = site.start_sshd(options={"TrustedUserCAKeys": str(authority.with_suffix(".pub"))})
    _add(agent, key)
    if not with_plain_key:
        run("ssh-add", "-q", "-d", key.with_suffix(".pub"), environment={"SSH_AUTH_SOCK": str(agent)})
        certificate_only = tmp_path / "only"
        certificate_only.write_bytes(key.read_bytes())
        certificate_only.chmod(0o600)
        (tmp_path / "only-cert.pub").write_bytes(certificate.read_bytes())
        run("ssh-add", "-q", certificate_only, environment={"SSH_AUTH_SOCK": str(agent)})
        (tmp_path / "only.pub").write_bytes(key.with_suffix(".pub").read_bytes())
        (tmp_path / "only-cert.pub").unlink()
        run("ssh-add", "-q", "-d", tmp_path / "only.pub", environment={"SSH_AUTH_SOCK": str(agent)})
    host = replace(key_host(trusting, account), key=None, agent=_fingerprint(key))
    answer = reply(ask(make_pool(host, known_hosts=trusting.known_hosts_lines())))
    assert answer.text == account.name + "\n"
    trusting.close()


@pytest.mark.case(33)
@pytest.mark.parametrize("own", [False, True])
def test_a_wrong_password_is_refused_once_for_each_account(
    make_pool: MakePool, unused_sshd: Sshd, good_account: Account, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    host = password_host(unused_sshd, good_account, monkeypatch, "not-the-password")
    hosts = [replace(host, id=f"h{n}", local_account=own and n == 0) for n in range(8)]
    pool = make_pool(*hosts, known_hosts=unused_sshd.known_hosts_lines())
    with ThreadPoolExecutor(len(hosts)) as threads:
        answers = [no_reply(answer) for answer in threads.map(lambda host: ask(pool, "true", host.id), hosts)]
    tried = 1 + own
    counts = {Reason.BAD_CREDENTIAL: tried, Reason.REFUSED_ELSEWHERE: 8 - tried}
    assert Counter(answer.reason for answer in answers) == counts
    *_, refused_on = (answer.detail.partition(":")[0] for answer in answers if answer.reason is Reason.BAD_CREDENTIAL)
    for answer in answers:
        assert answer.reason is Reason.BAD_CREDENTIAL or f"refused on {refused_on}" in answer.detail
    assert unused_sshd.whole_log.count("Failed password") == tried


def test_a_server_that_hangs_in_the_login_holds_up_nobody_with_a_key_and_its_own_account_until_its_limit(
    make_pool: MakePool, site: Site, unused_sshd: Sshd, good_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = {"login_within": timedelta(seconds=1.5)}
    by_password = password_host(unused_sshd, good_account, monkeypatch)
    with misbehaving.serving(misbehaving.hanging_in("auth")) as port:
        hung = replace(by_password, id="hung", port=port, **short)  # type: ignore[arg-type]
        same = [replace(by_password, id=f"same{n}", **short) for n in range(3)]  # type: ignore[arg-type]
        by_key = key_host(unused_sshd, good_account, "key")
        lines = unused_sshd.known_hosts_lines() + f"[127.0.0.1]:{port} {misbehaving.HOST_KEY_FIELDS}\n"
        pool = make_pool(hung, *same, by_key, known_hosts=lines)
        with ThreadPoolExecutor(5) as threads:
            first = threads.submit(ask, pool, "true", "hung")
            until = Deadline(GENEROUS_SECONDS)
            while pool.session("hung").stage != f"logging in as {good_account.name}" and not until.over:
                threading.Event().wait(0.01)
            others = [threads.submit(ask, pool, "true", host.id) for host in same]
            reply(ask(pool, "true", "key"))
            assert not first.done(), "the key waits for nobody"
            assert no_reply(first.result()).reason is Reason.LOGIN_LATE
            for other in others:
                assert reply(other.result()).code == 0
        pool.close()


@pytest.mark.long
def test_a_right_password_that_many_hosts_share_logs_in_to_all(
    make_pool: MakePool, sshd: Sshd, good_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = [password_host(sshd, good_account, monkeypatch, id_=f"h{n}") for n in range(8)]
    pool = make_pool(*hosts, known_hosts=sshd.known_hosts_lines())
    with ThreadPoolExecutor(len(hosts)) as threads:
        for answer in threads.map(lambda host: ask(pool, "true", host.id), hosts):
            assert reply(answer).code == 0


@pytest.mark.case(34)
@pytest.mark.parametrize(
    ("prompt", "is_one"),
    [
        ("Password: ", True),
        ("(dba@db1) Password: ", True),
        ("Passwort: ", True),
        ("Mot de passe : ", True),
        ("Verification code: ", False),
        ("One-time password (OATH) for `dba': ", False),
        ("Enter PASSCODE: ", False),
        ("New password: ", False),
        ("Current Password: ", False),
        ("Password (again): ", False),
        ("Choose a password: ", False),
        ("Password + token: ", False),
        ("Password or PIN: ", False),
        ("Password (OTP): ", False),
        ("Enter your password or press enter for a push: ", False),
        ("Password hint: ", False),
        ("Password expires in 3 days. Press Enter: ", False),
        ("Enter passphrase for key '/home/dba/.ssh/id_ed25519': ", False),
        ("Whoever forgot the password calls 4422.\nVerification code: ", False),
        ("Your password expires in 3 days.\nPress Enter: ", False),
        ("The new code of conduct is in force, the old one is not.\nPassword: ", True),
        ("LDAP Password: ", True),
        ("Password for dba@EXAMPLE.NET: ", True),
        ("Password required for dba: ", True),
        ("", False),
    ],
)
def test_only_a_prompt_for_a_password_gets_the_password(prompt: str, is_one: bool) -> None:
    assert asks_for_password(prompt) is is_one


@pytest.mark.case(54)
def test_the_time_a_secret_takes_is_not_the_servers(
    make_pool: MakePool, sshd: Sshd, good_account: Account, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(good_account.password)
    slow = SecretRef.parse(f"command:sh -c 'sleep 2; cat {tmp_path}/password'")
    host = replace(key_host(sshd, good_account), key=None, password=slow, login_within=timedelta(seconds=1.5))
    reply(ask(make_pool(host, known_hosts=sshd.known_hosts_lines())))
    answer = no_reply(ask(make_pool(host, known_hosts=sshd.known_hosts_lines()), seconds=1))
    assert (answer.reason, "reading the credential" in answer.detail) == (Reason.TARGET_LIMIT, True)


def test_an_account_that_may_only_copy_files_is_told(make_pool: MakePool, site: Site, good_account: Account) -> None:
    copying = site.start_sshd(options={"ForceCommand": "internal-sftp"})
    answer = no_reply(ask(make_pool(key_host(copying, good_account), known_hosts=copying.known_hosts_lines())))
    assert answer.reason is Reason.SFTP_ONLY, answer
    copying.close()
