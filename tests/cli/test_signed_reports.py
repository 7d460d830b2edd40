"""Reports that are signed, and verified by everybody's `ssh-keygen`."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.cli.program import BASE, preflight, write_plan


def test_each_file_has_a_signature_that_ssh_keygen_verifies(tmp_path: Path) -> None:
    key, page = tmp_path / "id", tmp_path / "report.html"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
    (tmp_path / "allowed").write_text(
        f'kaya@example.net namespaces="preflight-report" {key.with_suffix(".pub").read_text()}'
    )
    plan = write_plan(tmp_path, BASE)
    outputs = (f"--output=html={page}", f"--output=json={tmp_path / 'r.json'}", "--output=text=/dev/null")
    done = preflight("run", plan, *outputs, "--sign", key)
    assert "/dev/null" not in done.stderr, "nothing stands beside a device"
    verify = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "kaya@example.net", "-n", "preflight-report", "-s"]
    for name in ("report.html", "r.json"):
        content = (tmp_path / name).read_bytes()
        signed = [*verify, f"{name}.sig"]
        assert subprocess.run(signed, input=content, cwd=tmp_path, capture_output=True).returncode == 0
        assert subprocess.run(signed, input=content + b" ", cwd=tmp_path, capture_output=True).returncode != 0


def test_what_cannot_be_signed_is_an_error_and_no_go(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, BASE)
    done = preflight("run", plan, "--sign", "id")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--sign signs the files of --output" in done.stderr
    done = preflight("run", plan, f"--output=html={tmp_path / 'r.html'}", "--sign", tmp_path / "absent")
    assert done.returncode
    assert "did not sign" in done.stderr
