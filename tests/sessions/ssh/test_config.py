"""What of ssh_config counts beside the plan; `ssh -G` is the real one, with a file of its own."""

from __future__ import annotations

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


@pytest.mark.parametrize("written", ["%d/.ssh/id_x", '"~/.ssh/my key"', "~/.ssh/%r"])
def test_an_identity_file_is_found_as_ssh_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    key = tmp_path / ".ssh" / {"%": "id_x", '"': "my key", "~": "dba"}[written[0]]
    key.touch()
    (tmp_path / "config").write_text(f"Host db1\n  IdentityFile {written}\n")
    assert configure(Host(id="db1", user=Account("dba"), ssh_config=True), Deadline(10)).host.key == key
