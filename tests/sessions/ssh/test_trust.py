"""Host keys, jump hosts, algorithms and ssh_config against real sshd servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from preflight.clock import Deadline
from preflight.plan import Account as Login
from preflight.plan import Host
from preflight.reasons import Reason
from preflight.sessions import SessionFailed
from preflight.sessions.secrets import Secrets
from preflight.sessions.ssh.known_hosts import HostKeys, format_line
from preflight.sessions.ssh.pool import SshPool
from tests.sessions.conftest import MakePool, ask, key_host, no_reply, reply
from tests.site.accounts import Account, make_key
from tests.site.machine import run
from tests.site.site import Site
from tests.site.sshd import Sshd


@pytest.fixture(scope="module")
def second(site: Site) -> Iterator[Sshd]:
    """A server with an RSA and an Ed25519 host key."""
    sshd = site.start_sshd(key_types=("ed25519", "rsa"))
    yield sshd
    sshd.close()


@pytest.fixture(scope="module")
def third(site: Site) -> Iterator[Sshd]:
    sshd = site.start_sshd(options={"AllowTcpForwarding": "no"})
    yield sshd
    sshd.close()


def _stranger(tmp_path: Path, name: str, kind: str = "ed25519") -> str:
    words = make_key(tmp_path / "stranger", kind=kind).with_suffix(".pub").read_text().split()
    return f"{name} {words[0]} {words[1]}\n"


def test_an_unknown_host_key_is_refused_before_any_credential_is_sent(
    make_pool: MakePool, sshd: Sshd, good_account: Account
) -> None:
    accepted = sshd.whole_log.count("Accepted")
    answer = no_reply(ask(make_pool(key_host(sshd, good_account))))
    assert answer.reason is Reason.HOST_KEY_UNKNOWN
    assert answer.session["fingerprint"] == sshd.fingerprint()
    assert answer.session["key_type"] == "ssh-ed25519"
    assert sshd.fingerprint() in answer.detail
    assert sshd.whole_log.count("Accepted") == accepted


def test_a_changed_host_key_names_both_fingerprints(
    make_pool: MakePool, sshd: Sshd, good_account: Account, tmp_path: Path
) -> None:
    lines = _stranger(tmp_path, f"[{sshd.address}]:{sshd.port}")
    answer = no_reply(ask(make_pool(key_host(sshd, good_account), known_hosts=lines)))
    assert answer.reason is Reason.HOST_KEY_CHANGED
    pinned = run("ssh-keygen", "-l", "-f", tmp_path / "stranger.pub").stdout.split()[1]
    assert pinned in answer.session["pinned"]
    assert answer.session["fingerprint"] == sshd.fingerprint()


def test_a_revoked_host_key_is_refused(make_pool: MakePool, sshd: Sshd, good_account: Account) -> None:
    lines = sshd.known_hosts_lines() + sshd.known_hosts_lines("@revoked *")
    answer = no_reply(ask(make_pool(key_host(sshd, good_account), known_hosts=lines)))
    assert answer.reason is Reason.HOST_KEY_REVOKED
    assert answer.session["fingerprint"] == sshd.fingerprint()


def test_a_certificate_authority_alone_is_said_to_be_unsupported(
    make_pool: MakePool, sshd: Sshd, good_account: Account, tmp_path: Path
) -> None:
    lines = _stranger(tmp_path, "@cert-authority *")
    answer = no_reply(ask(make_pool(key_host(sshd, good_account), known_hosts=lines)))
    assert answer.reason is Reason.CERT_AUTHORITY
    assert "CA-signed host keys are not supported, pin the key" in answer.detail
    both = lines + sshd.known_hosts_lines()
    assert reply(ask(make_pool(key_host(sshd, good_account), known_hosts=both))).code == 0


def test_the_pinned_type_is_negotiated_when_the_server_has_several(
    make_pool: MakePool, second: Sshd, good_account: Account
) -> None:
    rsa_only = "".join(line for line in second.known_hosts_lines().splitlines(keepends=True) if "ssh-rsa" in line)
    answer = reply(ask(make_pool(key_host(second, good_account), known_hosts=rsa_only)))
    assert answer.session["key_type"] == "ssh-rsa"


def test_a_sealed_key_cannot_be_overruled_by_the_users_own_file(
    sshd: Sshd, good_account: Account, tmp_path: Path
) -> None:
    sealed, own = tmp_path / "sealed", tmp_path / "own"
    sealed.write_text(_stranger(tmp_path, f"[{sshd.address}]:{sshd.port}"))
    own.write_text(sshd.known_hosts_lines())
    hosts = {"db1": key_host(sshd, good_account)}
    pool = SshPool(hosts, Secrets(tmp_path), sealed_known_hosts=sealed, user_known_hosts=[own])
    assert no_reply(ask(pool)).reason is Reason.HOST_KEY_CHANGED
    pool.close()
    sealed.write_text(f"# pins {sshd.known_hosts_lines('another-host').strip()}\n")
    pool = SshPool(hosts, Secrets(tmp_path), sealed_known_hosts=sealed, user_known_hosts=[own])
    assert reply(ask(pool)).code == 0
    pool.close()


def test_known_hosts_files_of_the_plan_stand_alone(
    make_pool: MakePool, sshd: Sshd, good_account: Account, tmp_path: Path
) -> None:
    named = sshd.known_hosts(tmp_path / "named")
    assert reply(ask(make_pool(key_host(sshd, good_account, known_hosts=(named,))))).code == 0
    absent = key_host(sshd, good_account, known_hosts=(tmp_path / "absent",))
    answer = no_reply(ask(make_pool(absent, known_hosts=sshd.known_hosts_lines())))
    assert answer.reason is Reason.HOST_KEY_UNKNOWN


def test_a_host_key_alias_is_looked_up_instead_of_the_address(
    make_pool: MakePool, sshd: Sshd, good_account: Account
) -> None:
    host = key_host(sshd, good_account, host_key_alias="orders-db")
    assert reply(ask(make_pool(host, known_hosts=sshd.known_hosts_lines("orders-db")))).code == 0


def test_a_host_key_is_scanned_without_a_login_and_pins_the_host(
    make_pool: MakePool, sshd: Sshd, good_account: Account, tmp_path: Path
) -> None:
    accepted = sshd.whole_log.count("Accepted")
    host = key_host(sshd, good_account)
    seen = make_pool(replace(host, key=None)).scan_host_key("db1", Deadline(10))
    assert (seen.key.type, seen.key.fingerprint) == ("ssh-ed25519", sshd.fingerprint())
    assert sshd.whole_log.count("Accepted") == accepted
    line = format_line(seen.address, seen.port, seen.key, seen.alias)
    assert reply(ask(make_pool(host, known_hosts=line + "\n"))).code == 0
    (tmp_path / "pinned").write_text(line + "\n")
    assert HostKeys([tmp_path / "pinned"]).lookup(seen.address, seen.port).keys == {seen.key}


def test_a_host_is_reached_through_two_jump_hosts(
    make_pool: MakePool, sshd: Sshd, second: Sshd, third: Sshd, good_account: Account
) -> None:
    hosts = [
        key_host(sshd, good_account, "outer"),
        key_host(second, good_account, "inner", jump="outer"),
        key_host(third, good_account, "db1", jump="inner"),
    ]
    lines = sshd.known_hosts_lines() + second.known_hosts_lines() + third.known_hosts_lines()
    pool = make_pool(*hosts, known_hosts=lines)
    answer = reply(ask(pool))
    assert answer.text == good_account.name + "\n"
    assert answer.session["jump"] == "inner"
    assert answer.session["address"] == f"{third.address}:{third.port}"
    assert reply(ask(pool, "echo inner", "inner")).code == 0
    scanned = make_pool(*hosts, known_hosts=lines).scan_host_key("db1", Deadline(10))
    assert scanned.key.fingerprint == third.fingerprint()


def test_a_jump_host_that_fails_is_named_as_the_cause(
    make_pool: MakePool, sshd: Sshd, second: Sshd, third: Sshd, good_account: Account, tmp_path: Path
) -> None:
    stranger = make_key(tmp_path / "nobody_knows")
    hosts = [
        replace(key_host(sshd, good_account, "outer"), key=stranger),
        key_host(second, good_account, "inner", jump="outer"),
        key_host(third, good_account, "db1", jump="inner"),
    ]
    pool = make_pool(*hosts, known_hosts=sshd.known_hosts_lines())
    answer = no_reply(ask(pool))
    assert answer.reason is Reason.JUMP
    assert answer.detail.startswith("through jump inner: through jump outer: ")


def test_a_jump_host_without_forwarding_or_route_is_told(
    make_pool: MakePool, sshd: Sshd, third: Sshd, good_account: Account
) -> None:
    lines = sshd.known_hosts_lines() + third.known_hosts_lines()
    forbidding = make_pool(
        key_host(third, good_account, "gate"), key_host(sshd, good_account, jump="gate"), known_hosts=lines
    )
    answer = no_reply(ask(forbidding))
    assert answer.reason is Reason.NOT_LET_THROUGH
    closed = replace(key_host(sshd, good_account, jump="gate"), port=1)
    leading_nowhere = make_pool(key_host(sshd, good_account, "gate"), closed, known_hosts=lines)
    answer = no_reply(ask(leading_nowhere))
    assert answer.reason is Reason.NOT_FROM_JUMP
    assert "Connection refused" in answer.detail


def test_jump_hosts_in_a_circle_are_an_answer_not_a_hang(
    make_pool: MakePool, sshd: Sshd, good_account: Account
) -> None:
    pool = make_pool(
        key_host(sshd, good_account, "db1", jump="b"),
        key_host(sshd, good_account, "b", jump="c"),
        key_host(sshd, good_account, "c", jump="db1"),
    )
    answer = no_reply(ask(pool))
    assert "db1 -> b -> c -> db1" in answer.detail
    with pytest.raises(SessionFailed):
        pool.open_channel("b", "127.0.0.1", 1, Deadline(5))


def test_a_server_with_only_the_standard_curve25519_name_is_spoken_to(
    make_pool: MakePool, site: Site, good_account: Account
) -> None:
    hardened = site.start_sshd(options={"KexAlgorithms": "curve25519-sha256", "Ciphers": "aes256-gcm@openssh.com"})
    pool = make_pool(key_host(hardened, good_account), known_hosts=hardened.known_hosts_lines())
    assert reply(ask(pool)).code == 0
    hardened.close()


@pytest.mark.case(36)
@pytest.mark.parametrize(
    ("option", "value", "word"),
    [("KexAlgorithms", "sntrup761x25519-sha512@openssh.com", "kex"), ("Ciphers", "aes128-cbc", "cipher")],
)
def test_a_server_without_a_common_or_strong_algorithm_is_unsupported(
    make_pool: MakePool, site: Site, good_account: Account, option: str, value: str, word: str
) -> None:
    odd = site.start_sshd(options={option: value})
    answer = no_reply(ask(make_pool(key_host(odd, good_account), known_hosts=odd.known_hosts_lines())))
    assert answer.reason is Reason.NO_COMMON_ALGORITHM
    assert word in answer.detail
    odd.close()


def test_ssh_config_fills_what_the_plan_leaves_open(
    make_pool: MakePool, sshd: Sshd, second: Sshd, good_account: Account, ssh_config: Path, tmp_path: Path
) -> None:
    (tmp_path / "pinned").write_text(sshd.known_hosts_lines() + second.known_hosts_lines("orders-db"))
    (tmp_path / "included").write_text(
        f"Host gate\n  HostName {sshd.address}\n  Port {sshd.port}\n"
        f"Host orders\n  HostName {second.address}\n  Port {second.port}\n  ProxyJump gate\n  HostKeyAlias orders-db\n"
    )
    ssh_config.write_text(
        f"Include {tmp_path}/included\n"
        f"Host *\n  User {good_account.name}\n  IdentityFile {good_account.key}\n"
        f"  UserKnownHostsFile {tmp_path}/pinned\n"
    )
    host = Host(id="db1", address="orders", ssh_config=True)
    pool = make_pool(host)
    answer = reply(ask(pool))
    assert answer.text == good_account.name + "\n"
    assert answer.session["jump"] == "ProxyJump gate"
    assert answer.vantage == f"on db1 as {good_account.name}"


def test_proxy_command_and_a_missing_ssh_are_said_to_be_unsupported(
    make_pool: MakePool, sshd: Sshd, good_account: Account, ssh_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = key_host(sshd, good_account, ssh_config=True)
    ssh_config.write_text("Host *\n  ProxyCommand nc %h %p\n")
    answer = no_reply(ask(make_pool(host)))
    assert answer.reason is Reason.PROXY_COMMAND
    monkeypatch.setenv("PATH", "/nonexistent")
    answer = no_reply(ask(make_pool(host)))
    assert answer.reason is Reason.SSH_CONFIG
    assert "needs the OpenSSH client" in answer.detail


def test_a_circle_in_ssh_config_is_an_answer_not_a_hang(
    make_pool: MakePool, good_account: Account, ssh_config: Path
) -> None:
    ssh_config.write_text(
        "Host orders\n  ProxyJump a\nHost a\n  ProxyJump b\nHost b\n  ProxyJump a\n"
        f"Host *\n  IdentityFile {good_account.key}\n"
    )
    host = Host(id="db1", address="orders", user=Login("dba"), ssh_config=True)
    answer = no_reply(ask(make_pool(host), seconds=8))
    assert answer.reason is Reason.JUMP
    assert "circle" in answer.detail


@pytest.mark.case(49)
@pytest.mark.parametrize("where", ["sealed", "user"])
def test_a_plain_name_is_trusted_on_another_port_wherever_it_is_pinned(
    sshd: Sshd, good_account: Account, tmp_path: Path, where: str
) -> None:
    (tmp_path / where).write_text(sshd.known_hosts_lines(sshd.address))
    host = key_host(sshd, good_account)
    pool = SshPool(
        {"db1": host},
        Secrets(tmp_path),
        sealed_known_hosts=tmp_path / "sealed",
        user_known_hosts=[tmp_path / "user"],
    )
    try:
        reply(ask(pool))
    finally:
        pool.close()
