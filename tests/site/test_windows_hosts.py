"""A site with Windows machines: the guide's plan is a GO, and what wants to look at one over SSH says why it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import preflight
from tests.confirmed import confirm_all
from tests.docs.example_site import shifted
from tests.docs.test_toml_blocks import guide_plan
from tests.sessions.ssh import misbehaving
from tests.site.https import HttpsApp
from tests.site.site import Site

CMD = "'env' is not recognized as an internal or external command,\noperable program or batch file.\n"
CMD_IN_GERMAN = 'Der Befehl "env" ist entweder falsch geschrieben oder\nkonnte nicht gefunden werden.\n'
POWERSHELL = """env : The term 'env' is not recognized as the name of a cmdlet, function, script file, or operable
program. Check the spelling of the name, or if a path was included, verify that the path is correct and try again.
At line:1 char:1
+ env LC_ALL=C sh -s
+ ~~~
    + CategoryInfo          : ObjectNotFound: (env:String) [], CommandNotFoundException
    + FullyQualifiedErrorId : CommandNotFoundException
"""
POWERSHELL_7 = (
    "env: The term 'env' is not recognized as a name of a cmdlet, function, script file, or executable program.\n"
)
PASSWORD = "Pw-of-the-windows-account"
HOST = """
[hosts.web1]
address  = "127.0.0.1"
port     = {port}
user     = "release"
password = "env:WEB1_PASSWORD"
owner    = "web"

[checks.command.run.queue]
program = "/opt/queue-is-empty"
host    = "web1"
"""


@pytest.fixture
def app(site: Site) -> Iterator[HttpsApp]:
    app = site.start_app()
    app.answer_json({"name": "portal", "version": "8.1", "status": "Healthy"})
    yield app
    app.close()


@pytest.fixture
def plan(app: HttpsApp, tmp_path: Path) -> Path:
    on_this_site = {'"https://portal.example.net/health"': f'"{app.url()}", ca = "{app.ca}"'}
    file = tmp_path / "portal.toml"
    file.write_text(shifted(guide_plan("portal", on_this_site)))
    confirm_all(file)
    return file


def findings(plan: Path) -> dict[str, dict[str, Any]]:
    done = preflight("run", plan, "--format", "json", WEB1_PASSWORD=PASSWORD)
    assert PASSWORD not in done.stdout + done.stderr
    return {f"{each['check']} {each['subject']}": each for each in json.loads(done.stdout)["findings"]}


def test_the_guides_plan_is_a_go_by_health_and_by_a_persons_word(plan: Path, app: HttpsApp) -> None:
    done = preflight("run", plan)
    assert (done.returncode, done.stdout.startswith("GO")) == (0, True), done.stdout
    said = findings(plan)["attestations iis"]
    assert "P. Roy" in said["summary"]
    app.answer_json({"name": "portal", "version": "8.1", "status": "Unhealthy"})
    assert preflight("run", plan).returncode == 1


def test_without_the_word_it_is_on_hold(plan: Path) -> None:
    plan.with_suffix(".confirmed.toml").unlink()
    found = findings(plan)
    assert found["attestations iis"]["status"] == "unknown"
    assert "preflight confirm portal.toml --item iis --by" in found["attestations iis"]["remedy"]


@pytest.mark.parametrize("complaint", [CMD, CMD_IN_GERMAN, POWERSHELL, POWERSHELL_7])
def test_what_cannot_be_seen_is_this_tools_limit_and_the_rest_is_seen(plan: Path, complaint: str) -> None:
    before = findings(plan).keys()
    with misbehaving.serving(misbehaving.windows(complaint)) as port:
        plan.write_text(plan.read_text().replace('hosts = "Windows", ', "") + HOST.format(port=port))
        confirm_all(plan)
        plan.with_suffix(".known_hosts").write_text(f"[127.0.0.1]:{port} {misbehaving.HOST_KEY_FIELDS}\n")
        found = findings(plan)
    unseen = {name: each for name, each in found.items() if each["status"] not in ("pass", "warn")}
    assert set(unseen) == {"host-login web1", "clock-skew web1", "competing-jobs web1", "command queue"}
    assert before - {"plan-coverage hosts"} <= found.keys() - unseen.keys()
    for each in unseen.values():
        told = json.dumps(each)
        assert each["status"] == "unknown", told
        assert "not supported (no Unix shell)" in told
    login = unseen["host-login web1"]
    assert "the login succeeded, but a shell of Windows answered" in json.dumps(login)
    assert login["remedy"].startswith("this tool cannot look at Windows hosts over SSH: take [hosts.web1] out, ask its")
    assert "in an [[attest]]" in login["remedy"]
