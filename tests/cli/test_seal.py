"""`preflight seal` against a real sshd."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.cli.program import BASE, preflight
from tests.site.site import Site
from tests.site.sshd import Sshd

HOST = """
[hosts.db1]
address = "{sshd.address}"
port = {sshd.port}
user = "nobody"
password = "env:DB1_PASSWORD"

[databases.orders]
host = "db1"
user = "release"

[scripts.orders]
database = "orders"
approved = "sql"
manifest = "sql.SHA256SUMS"
staged = "/srv/release"
"""


def make_plan(folder: Path, sshd: Sshd) -> Path:
    (folder / "sql").mkdir()
    (folder / "sql" / "010.sql").write_text("select 1;\n")
    plan = folder / "plan.toml"
    plan.write_text(BASE + HOST.format(sshd=sshd))
    return plan


def test_sealing_writes_manifest_and_host_keys_that_the_usual_tools_read(tmp_path: Path, sshd: Sshd) -> None:
    plan = make_plan(tmp_path, sshd)
    done = preflight("seal", plan, "--accept-host-keys")
    assert done.returncode == 0, done.stderr
    assert sshd.fingerprint() in done.stdout
    checked = subprocess.run(["sha256sum", "--strict", "-c", "../sql.SHA256SUMS"], cwd=tmp_path / "sql", check=False)
    assert checked.returncode == 0
    listed = subprocess.run(
        ["ssh-keygen", "-F", f"[{sshd.address}]:{sshd.port}", "-f", tmp_path / "plan.known_hosts"], check=False
    )
    assert listed.returncode == 0


def test_sealing_twice_changes_nothing(tmp_path: Path, sshd: Sshd) -> None:
    plan = make_plan(tmp_path, sshd)
    preflight("seal", plan, "--accept-host-keys")
    before = (tmp_path / "plan.known_hosts").read_bytes()
    again = preflight("seal", plan)
    assert again.returncode == 0
    assert "pinned already" in again.stdout
    assert (tmp_path / "plan.known_hosts").read_bytes() == before


def test_without_a_terminal_and_without_consent_nothing_is_pinned(tmp_path: Path, sshd: Sshd) -> None:
    done = preflight("seal", make_plan(tmp_path, sshd))
    assert done.returncode == 2
    assert sshd.fingerprint() in done.stdout
    assert "--accept-host-keys" in done.stderr
    assert not (tmp_path / "plan.known_hosts").exists()


def test_a_changed_host_key_is_never_replaced(tmp_path: Path, site: Site, sshd: Sshd) -> None:
    plan = make_plan(tmp_path, sshd)
    other = site.start_sshd()
    pinned = tmp_path / "plan.known_hosts"
    pinned.write_text(other.known_hosts_lines(f"[{sshd.address}]:{sshd.port}"))
    before = pinned.read_bytes()
    done = preflight("seal", plan, "--accept-host-keys")
    assert done.returncode == 2
    assert other.fingerprint() in done.stderr
    assert sshd.fingerprint() in done.stderr
    assert pinned.read_bytes() == before


def test_a_silent_host_is_named_and_the_seal_is_incomplete(tmp_path: Path, sshd: Sshd) -> None:
    plan = make_plan(tmp_path, sshd)
    plan.write_text(plan.read_text().replace(f"port = {sshd.port}", "port = 1"))
    done = preflight("seal", plan, "--accept-host-keys")
    assert done.returncode == 3
    assert "db1: no key seen" in done.stderr


def test_a_folder_that_cannot_be_sealed_is_2_with_every_reason(tmp_path: Path, sshd: Sshd) -> None:
    plan = make_plan(tmp_path, sshd)
    (tmp_path / "sql" / "020.sql").symlink_to("010.sql")
    done = preflight("seal", plan, "--scripts-only")
    assert done.returncode == 2
    assert "020.sql" in done.stderr
    assert not (tmp_path / "sql.SHA256SUMS").exists()
