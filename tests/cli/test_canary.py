"""A marked secret goes through every road of the program and must come out nowhere."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from preflight.report.formats import FORMATS
from preflight.wording import MASK
from tests.cli.program import BASE, environment, preflight, preflight_process, write_plan
from tests.site.accounts import Account
from tests.site.https import HttpsApp
from tests.site.postgres import Cluster
from tests.site.sshd import Sshd

CANARY = "canary-%20'hunter22"

CANARIES = {
    "plain": "canary-hunter22",
    "blanks": " canary  hunter22 ",
    "newline": "canary-a\nhunter22",
    "percent": CANARY,
    "quotes": "canary\"hunter22\\'`$(id)",
    "unicode": "canary-hünter22-漢字",
    "markup": "canary<hunter22>&|*_",
}

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

[applications.app1]
from = "4.1"
to = "4.2"
health = [{{ url = "{app_url}", ca = "{app.ca}", json = {{ status = "UP" }} }}]
"""


def shapes_of(value: str) -> list[str]:
    shown = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1], html.escape(value)
    coded = quote(value, safe=""), quote_plus(value), base64.b64encode(value.encode()).decode(), shlex.quote(value)
    return [value, *shown, *coded, *(line for line in value.splitlines() if len(line) >= 6)]


@pytest.mark.long
@pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES)
def test_a_refused_secret_is_in_no_output_evidence_or_log(
    tmp_path: Path, sshd: Sshd, postgres: Cluster, good_account: Account, https_app: HttpsApp, canary: str
) -> None:
    """Nor what an application repeats of it, in whatever shape: this one is shown by the finding on it."""
    shapes = shapes_of(canary)
    https_app.answer_json({"status": "you sent " + " ".join(shapes)})
    site = SITE.format(sshd=sshd, postgres=postgres, user=good_account.name, app=https_app, app_url=https_app.url())
    plan = write_plan(tmp_path, BASE + site)
    (tmp_path / "plan.known_hosts").write_text(sshd.known_hosts_lines())
    kept, reports = tmp_path / "evidence.json", {name: tmp_path / f"report.{name}" for name in FORMATS}
    options = ["-v", "--evidence", kept, *(f"--output={name}={file}" for name, file in reports.items())]
    done = preflight_process("run", plan, *options, DB1_PASSWORD=canary, PREFLIGHT_TRACEBACK="1")
    assert done.returncode == 1, done.stderr
    assert "refused the password" in done.stdout
    assert re.search(r"you\s+sent", done.stdout)
    assert MASK in done.stdout
    places = {"said": done.stdout, "told": done.stderr, "evidence": kept.read_text()}
    places |= {name: file.read_text() for name, file in reports.items()}
    places |= {"sshd": sshd.whole_log, "PostgreSQL": postgres.whole_log}
    places |= {command: preflight(command, plan, DB1_PASSWORD=canary).stdout for command in ("show", "lint")}
    for shape in shapes:
        assert [place for place, text in places.items() if shape in text] == [], shape


def test_a_literal_secret_in_a_plan_is_never_repeated(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, BASE + '[hosts.db1]\nuser = "dbadmin"\npassword = "hunter22"\n')
    done = preflight("lint", plan)
    assert done.returncode == 2
    assert "hosts.db1.password" in done.stdout
    assert "hunter22" not in done.stdout + done.stderr


@pytest.mark.long
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
