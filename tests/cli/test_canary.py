"""A marked secret goes through every road of the program and must come out nowhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.cli.program import BASE, environment, preflight, preflight_process, write_plan
from tests.site.postgres import Cluster
from tests.site.sshd import Sshd

CANARY = "canary-%20'hunter22"

SITE = """
[hosts.db1]
address = "{sshd.address}"
port = {sshd.port}
user = "{user}"
password = "env:DB1_PASSWORD"

[databases.orders]
host = "db1"
address = "127.0.0.1"
port = {postgres.port}
user = "release"
password = "env:DB1_PASSWORD"
"""


def test_a_refused_secret_is_in_no_output_evidence_or_log(
    tmp_path: Path, sshd: Sshd, postgres: Cluster, good_account: object
) -> None:
    user = good_account.name  # type: ignore[attr-defined]
    plan = write_plan(tmp_path, BASE + SITE.format(sshd=sshd, postgres=postgres, user=user))
    (tmp_path / "plan.known_hosts").write_text(sshd.known_hosts_lines())
    kept, report = tmp_path / "evidence.json", tmp_path / "report.json"
    options = ("-v", "--output", f"json={report}", "--evidence", kept)
    done = preflight_process("run", plan, *options, DB1_PASSWORD=CANARY, PREFLIGHT_TRACEBACK="1")
    assert done.returncode == 1, done.stderr
    outputs = [done.stdout, done.stderr, report.read_text(), kept.read_text()]
    outputs += [preflight(command, plan, DB1_PASSWORD=CANARY).stdout for command in ("show", "lint")]
    assert "refused the password" in outputs[0]
    assert not [text for text in outputs if "hunter22" in text]


def test_a_literal_secret_in_a_plan_is_never_repeated(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, BASE + '[hosts.db1]\nuser = "dbadmin"\npassword = "hunter22"\n')
    done = preflight("lint", plan)
    assert done.returncode == 2
    assert "hosts.db1.password" in done.stdout
    assert "hunter22" not in done.stdout + done.stderr


def test_a_defect_that_quotes_a_secret_is_masked(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from preflight.cli import main\nimport preflight.cli.asking as asking\n"
        "def boom(plan, secrets):\n"
        "    value = secrets.value(next(plan.secrets())[0], 'x')\n"
        "    raise RuntimeError('cannot use ' + value + repr({'password': value}))\n"
        "asking.Pools = boom\n"
        f"sys.argv = ['preflight', 'run', {str(write_plan(tmp_path))!r}]\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(DB1_PASSWORD=CANARY, PREFLIGHT_TRACEBACK="1"),
    )
    assert done.returncode == 4
    assert "cannot use" in done.stderr
    assert "hunter22" not in done.stdout + done.stderr
