"""The known_hosts reader, against OpenSSH's own rules and, where it writes the file, against ssh-keygen."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from preflight.sessions.ssh.known_hosts import HostKeys, KeyStatus, PublicKey, format_line
from tests.site.accounts import make_key
from tests.site.machine import run


def _key(seed: int, key_type: str = "ssh-ed25519") -> PublicKey:
    name = key_type.encode()
    blob = len(name).to_bytes(4, "big") + name + (32).to_bytes(4, "big") + bytes([seed]) * 32
    return PublicKey(key_type, blob)


GOOD, OTHER, RSA = _key(1), _key(2), _key(3, "ssh-rsa")


def _field(key: PublicKey) -> str:
    return f"{key.type} {key.base64}"


def _status(tmp_path: Path, content: str | bytes, address: str = "db1", port: int = 22, alias: str = "") -> KeyStatus:
    file = tmp_path / "known_hosts"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return HostKeys([file]).lookup(address, port, alias).status(GOOD)


@pytest.mark.parametrize(
    ("names", "address", "port"),
    [
        ("db1", "db1", 22),
        ("other,db1,third", "db1", 22),
        ("DB1", "db1", 22),
        ("db1", "DB1", 22),
        ("[db1]:2201", "db1", 2201),
        ("db1", "db1", 2201),
        ("*", "db1", 22),
        ("*", "db1", 2201),
        ("db*.example", "db1.example", 22),
        ("db?", "db1", 22),
        ("[10.0.0.*]:2201", "10.0.0.7", 2201),
        ("!db2,db*", "db1", 22),
        ("2001:db8::1", "2001:DB8::1", 22),
    ],
)
def test_a_key_is_trusted_where_openssh_trusts_it(tmp_path: Path, names: str, address: str, port: int) -> None:
    assert _status(tmp_path, f"{names} {_field(GOOD)}\n", address, port) is KeyStatus.TRUSTED


@pytest.mark.parametrize(
    ("names", "address", "port"),
    [
        ("db2", "db1", 22),
        ("[db1]:2201", "db1", 22),
        ("[db1]:2201", "db1", 2202),
        ("!db1,db*", "db1", 22),
        ("db*,!db1", "db1", 22),
        ("!db2", "db1", 22),
        ("db", "db1", 22),
        ("[10.0.0.*]:2201", "10.0.0.7", 22),
        ("[db]1", "d1", 22),
        ("# db1", "db1", 22),
    ],
)
def test_a_key_is_unknown_where_openssh_does_not_know_it(tmp_path: Path, names: str, address: str, port: int) -> None:
    assert _status(tmp_path, f"{names} {_field(GOOD)}\n", address, port) is KeyStatus.UNKNOWN


@pytest.mark.parametrize(
    "bad_line",
    [
        f"@cert-authority *.example {_field(OTHER)}",
        f"@revoked * {_field(OTHER)}",
        f"@nonsense * {_field(OTHER)}",
        f"db1 ssh-ed25519 {GOOD.base64[:20]}!!!",
        "db1 ssh-ed25519",
        "db1",
        "",
        f"db1 ssh-rsa {GOOD.base64}",
        "db1 ssh-dss AAAAB3NzaC1kc3MAAACBAO",
        "db1 sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIA==",
        "db1 1024 35 1234567890",
        "|1|broken|hash " + _field(OTHER),
        "|2|AAAA|AAAA " + _field(OTHER),
    ],
)
def test_a_line_that_cannot_be_used_costs_only_itself(tmp_path: Path, bad_line: str) -> None:
    assert _status(tmp_path, f"{bad_line}\ndb1  \t{GOOD.type}   {GOOD.base64}  a comment\n") is KeyStatus.TRUSTED


def test_bytes_that_are_no_utf8_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    content = f"db1 {_field(GOOD)} caf".encode() + b"\xe9\r\ndb2 x\r\n"
    assert _status(tmp_path, content) is KeyStatus.TRUSTED


def test_one_of_two_keys_of_a_type_is_enough(tmp_path: Path) -> None:
    assert _status(tmp_path, f"db1 {_field(OTHER)}\ndb1 {_field(GOOD)}\n") is KeyStatus.TRUSTED


def test_another_key_of_the_same_type_is_a_change(tmp_path: Path) -> None:
    assert _status(tmp_path, f"db1 {_field(OTHER)}\n") is KeyStatus.CHANGED


def test_a_key_of_another_type_pins_nothing_for_this_one(tmp_path: Path) -> None:
    assert _status(tmp_path, f"db1 {_field(RSA)}\n") is KeyStatus.UNKNOWN


def test_a_key_under_the_plain_name_confirms_but_never_contradicts_another_port(tmp_path: Path) -> None:
    assert _status(tmp_path, f"db1 {_field(OTHER)}\n", port=2201) is KeyStatus.UNKNOWN
    both = f"db1 {_field(GOOD)}\n[db1]:2201 {_field(OTHER)}\n"
    assert _status(tmp_path, both, port=2201) is KeyStatus.TRUSTED


def test_a_revoked_key_is_refused_even_when_it_is_pinned(tmp_path: Path) -> None:
    assert _status(tmp_path, f"db1 {_field(GOOD)}\n@revoked * {_field(GOOD)}\n") is KeyStatus.REVOKED


def test_an_alias_replaces_name_and_port(tmp_path: Path) -> None:
    content = f"orders-db {_field(GOOD)}\n"
    assert _status(tmp_path, content, "10.0.0.7", 2201, "Orders-DB") is KeyStatus.TRUSTED
    assert _status(tmp_path, f"10.0.0.7 {_field(GOOD)}\n", "10.0.0.7", 2201, "orders-db") is KeyStatus.UNKNOWN


def test_a_certificate_authority_alone_is_reported_as_such(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"@cert-authority *.example {_field(OTHER)}\n")
    known = HostKeys([file]).lookup("db1.example")
    assert known.only_cert_authority
    assert known.status(OTHER) is KeyStatus.UNKNOWN
    file.write_text(f"@cert-authority *.example {_field(OTHER)}\ndb1.example {_field(GOOD)}\n")
    assert not HostKeys([file]).lookup("db1.example").only_cert_authority


def test_names_hashed_by_ssh_keygen_are_recognised(tmp_path: Path) -> None:
    key = make_key(tmp_path / "host_key").with_suffix(".pub").read_text().split()
    file = tmp_path / "known_hosts"
    file.write_text(f"db1 {key[0]} {key[1]}\n[db2]:2201 {key[0]} {key[1]}\n")
    run("ssh-keygen", "-H", "-f", file)
    assert "db1" not in file.read_text()
    public = PublicKey.parse(key[0], key[1])
    assert public is not None
    keys = HostKeys([file])
    assert keys.lookup("DB1").status(public) is KeyStatus.TRUSTED
    assert keys.lookup("db2", 2201).status(public) is KeyStatus.TRUSTED
    assert keys.lookup("db2").status(public) is KeyStatus.UNKNOWN


def test_the_fingerprint_is_the_one_ssh_keygen_prints(tmp_path: Path) -> None:
    file = make_key(tmp_path / "key").with_suffix(".pub")
    words = file.read_text().split()
    public = PublicKey.parse(words[0], words[1])
    assert public is not None
    assert public.fingerprint == run("ssh-keygen", "-l", "-f", file).stdout.split()[1]


def test_several_files_add_up_and_missing_ones_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "one").write_text(f"db1 {_field(OTHER)}\n")
    (tmp_path / "two").write_text(f"db1 {_field(GOOD)}\n")
    keys = HostKeys([tmp_path / "absent", tmp_path / "one", tmp_path / "two"])
    assert keys.lookup("db1").keys == {GOOD, OTHER}
    assert keys.unreadable == ()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    keys = HostKeys([tmp_path])
    assert keys.lookup("db1").keys == frozenset()
    assert str(tmp_path) in keys.unreadable[0]


def test_a_formatted_line_is_read_back(tmp_path: Path) -> None:
    for address, port, alias in (("db1", 22, ""), ("2001:db8::1", 2201, ""), ("10.0.0.7", 2201, "orders")):
        line = format_line(address, port, GOOD, alias)
        assert _status(tmp_path, line + "\n", address, port, alias) is KeyStatus.TRUSTED


def test_algorithms_of_pinned_keys_are_negotiated_first(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"db1 {_field(RSA)}\n")
    offered = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")
    ordered = HostKeys([file]).lookup("db1").ordered(offered)
    assert ordered == ("rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519", "ecdsa-sha2-nistp256")


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", base64.b64encode(b"\0\0\0\x0bssh-ed25519").decode()])
def test_a_damaged_key_is_no_key(text: str) -> None:
    assert PublicKey.parse("ssh-ed25519", text) is None
