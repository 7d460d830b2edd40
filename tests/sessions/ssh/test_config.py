"""What of ssh_config counts beside the plan; `ssh -G` is the real one, with a file of its own."""

from __future__ import annotations

import getpass
import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest

from preflight.clock import Deadline
from preflight.plan import Account, Host
from preflight.plan.load import load_plan
from preflight.sessions.ssh.config import configure
from tests.plan_texts import MINIMAL
from tests.site.machine import needs


@pytest.fixture(autouse=True)
def port_2222(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("Host db1\n  Port 2222\n")
    wrapper = tmp_path / "tools" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {needs("ssh")} -F {config} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:/usr/bin:/bin")


def port_of(host: Host) -> int | None:
    return configure(host, Deadline(10)).host.port


def planned(folder: Path, written: str) -> Host:
    (folder / "x.toml").write_text(f"{MINIMAL}[hosts.db1]\nssh_config = true\n{written}")
    return load_plan(folder / "x.toml").hosts["db1"]


def test_a_port_that_the_plan_leaves_open_is_that_of_ssh_config(tmp_path: Path) -> None:
    assert port_of(planned(tmp_path, "")) == 2222


@pytest.mark.parametrize("port", [22, 2200])
def test_a_port_that_the_plan_names_counts_though_it_be_the_usual_one(tmp_path: Path, port: int) -> None:
    assert port_of(planned(tmp_path, f"port = {port}\n")) == port


def test_a_host_built_without_a_port_leaves_it_open() -> None:
    host = Host(id="db1", user=Account("dba"), ssh_config=True)
    assert (host.port, host.ssh_port, port_of(host), port_of(replace(host, port=22))) == (None, 22, 2222, 22)


def test_a_key_file_below_the_home_folder_may_hold_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    key = tmp_path / "my key"
    key.touch()
    (tmp_path / "config").write_text('Host db1\n  IdentityFile "~/my key"\n')
    assert configure(Host(id="db1", ssh_config=True), Deadline(10)).host.key == key


@pytest.mark.case(40)
@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("{home}/id_x", "id_x"),
        ('"{home}/my key"', "my key"),
        ("{folder}/%h-%n-%r-%p", "real.example.net-db1-dba-2222"),
        ("{folder}/%k", "alias"),
        ("{folder}/100%%", "100%"),
        ("${{FOLDER}}/id_%u-%i", f"id_{getpass.getuser()}-{os.getuid()}"),
    ],
)
def test_a_key_file_is_found_where_ssh_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, name: str
) -> None:
    monkeypatch.setenv("FOLDER", str(tmp_path))
    home = "%d/" + os.path.relpath(tmp_path, pwd.getpwuid(os.getuid()).pw_dir)
    (tmp_path / "config").write_text(
        "Host db1\n  HostName real.example.net\n  Port 2222\n  User dba\n  HostKeyAlias alias\n"
        f"  IdentityFile {tmp_path}/absent-%h\n  IdentityFile {written.format(home=home, folder=tmp_path)}\n"
    )
    host = Host(id="db1", ssh_config=True)
    assert configure(host, Deadline(10)).host.key is None
    (tmp_path / name).write_text("a key")
    found = configure(host, Deadline(10)).host.key
    assert found is not None
    assert found.resolve() == (tmp_path / name).resolve()


@pytest.mark.case(40)
def test_a_known_hosts_file_may_hold_a_space_and_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    files = [tmp_path / "my known hosts", tmp_path / "kh-real.example.net", tmp_path / "absent"]
    for file in files[:2]:
        file.touch()
    named = f'"{files[0]}" "{tmp_path}/kh-%h" ${{HOME}}/absent'
    (tmp_path / "config").write_text(f"Host db1\n  HostName real.example.net\n  UserKnownHostsFile {named}\n")
    found = configure(Host(id="db1", ssh_config=True), Deadline(10)).known_hosts
    assert found is not None
    assert list(found[:3]) == files


@pytest.mark.case(40)
@pytest.mark.parametrize("written", ["$MY_AGENT", "${MY_AGENT}", '"%d/../agent socket"'])
def test_the_agent_may_be_named_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("MY_AGENT", "/run/agent socket")
    (tmp_path / "config").write_text(f"Host db1\n  IdentityAgent {written}\n")
    socket = configure(Host(id="db1", ssh_config=True), Deadline(10)).agent_socket
    assert socket.endswith("agent socket")
    assert not {"$", "%"} & set(socket)


def test_a_name_that_is_too_long_is_that_of_no_file(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        f"Host db1\n  IdentityFile {'x' * 300}\n  UserKnownHostsFile {'x' * 300} {'y' * 300}\n"
    )
    assert configure(planned(tmp_path, ""), Deadline(10)).host.key is None


def test_the_folder_of_an_account_that_is_not_there_leads_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host db1\n  IdentityFile ~gone/id\n  CertificateFile ~gone/id.pub\n")
    found = configure(planned(tmp_path, ""), Deadline(10))
    assert (found.host.key, found.host.certificate) == (None, None)
