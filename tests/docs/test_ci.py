"""Every snippet of `docs/ci.md`: valid for its reader, and its commands run against a real application.

What installs preflight is left out: it is on PATH here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree as Xml

import pytest
from prometheus_client.parser import text_string_to_metric_families

from preflight.reference import lint
from tests.docs import snippets
from tests.plan_texts import with_reasons
from tests.report.formats.test_github import commands as annotations
from tests.site.https import HttpsApp

TOOLS = Path(sys.executable).parent
T = TypeVar("T")
SECRET = "canary-hunter22"
PLANS = ".github/workflows/plans.yml"
READINESS = ".github/workflows/readiness.yml"
FLEET = ".github/workflows/fleet.yml"
GITLAB = ".gitlab-ci.yml"
GITLAB_FLEET = "fleet.gitlab-ci.yml"
ZONES = ["east", "west"]
SHARDS = [*range(1, 9)]
PLAN = """\
[release]
id = "REL-1"

[window]
zone = "UTC"
start = {start:%Y-%m-%dT%H:%M:%S}
end = {end:%Y-%m-%dT%H:%M:%S}
"""
TESTED = """
[[tested]]
versions = {{ app1 = "{app1}", app2 = "{app2}" }}
on = {on:%Y-%m-%d}
evidence = "regression run 8812"
"""
APPLICATION = """
[applications.{name}]
from = "4.1"
to = "4.2"
network_zone = "{zone}"
[[applications.{name}.health]]
url = "{url}"
ca = "{ca}"
version = "version"
"""


@pytest.fixture
def checkout(tmp_path: Path, https_app: HttpsApp) -> Path:
    """A repository as a job finds it: a plan with an application in each of two network zones."""
    https_app.answer_json({"version": "4.1"})
    now = datetime.now(UTC)
    text = PLAN.format(start=now + timedelta(hours=9), end=now + timedelta(hours=15))
    for pair in (("4.2", "4.2"), ("4.1", "4.2"), ("4.2", "4.1")):
        text += TESTED.format(app1=pair[0], app2=pair[1], on=now - timedelta(days=3))
    for name, zone in zip(("app1", "app2"), ZONES, strict=True):
        text += APPLICATION.format(name=name, zone=zone, url=https_app.url(), ca=https_app.ca)
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "release.toml").write_text(with_reasons(text))
    return tmp_path


def break_plan(checkout: Path) -> None:
    (checkout / "plans" / "broken.toml").write_text('[release]\nid = "REL-2"\nticket = 7\n')


def shell(shell: str, script: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs what a job says as its engine does: `shell` is what that hands the script to."""
    environment = {"PATH": f"{TOOLS}:{os.environ['PATH']}", "HOME": os.environ["HOME"], "PREFLIGHT": "absent", **more}
    return subprocess.run(
        [*shell.split(), "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )


def github(step: Mapping[str, Any], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    (folder / "summary").write_text("")
    return shell("bash -e", step["run"], folder, GITHUB_STEP_SUMMARY=str(folder / "summary"), **more)


def in_every_job(collect: Callable[[T], subprocess.CompletedProcess[str]], jobs: Sequence[T]) -> list[int]:
    """The exit codes of the jobs of a matrix, which run side by side."""
    with ThreadPoolExecutor(len(jobs)) as runners:
        return [done.returncode for done in runners.map(collect, jobs)]


def job(workflow: str, name: str) -> Any:
    return snippets.read_yaml(workflow)["jobs"][name]


def step(workflow: str, job_name: str, name: str) -> Any:
    (found,) = [step for step in job(workflow, job_name)["steps"] if step.get("name") == name]
    return found


def gitlab(name: str, folder: Path, file: str = GITLAB, **more: str) -> subprocess.CompletedProcess[str]:
    document = snippets.read_yaml(file)
    script = "\n".join(document[name]["script"])
    return shell("bash -eo pipefail", script, folder, PLAN=document["variables"]["PLAN"], **more)


def jenkins() -> Sequence[str]:
    """What its `sh` steps run, in the order of the file."""
    found = re.findall(r"\bsh (?:'''(.*?)'''|'([^'\n]*)')", snippets.files()["Jenkinsfile"], re.DOTALL)
    return [(long or short).replace("\\\\", "\\") for long, short in found]


def verdict_of(report: Path) -> str:
    """What the case `verdict` of a JUnit file became."""
    case = Xml.parse(report).find("testsuite/testcase[@name='verdict']")
    assert case is not None
    return next((tag for tag in ("failure", "error") if case.find(tag) is not None), "passed")


@pytest.mark.long
@pytest.mark.parametrize(
    ("schema", "names"), [("github-workflows", [PLANS, READINESS, FLEET]), ("gitlab-ci", [GITLAB, GITLAB_FLEET])]
)
def test_the_files_follow_their_schema(tmp_path: Path, schema: str, names: Sequence[str]) -> None:
    paths = [tmp_path / f"{number}.yml" for number, _ in enumerate(names)]
    for path, name in zip(paths, names, strict=True):
        path.write_text(snippets.files()[name])
    done = shell("bash -e", f"check-jsonschema --builtin-schema vendor.{schema} {' '.join(map(str, paths))}", tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_github_lint_annotates_the_plan_that_is_wrong(checkout: Path) -> None:
    lint_step = step(PLANS, "lint", "Lint")
    done = github(lint_step, checkout)
    assert done.returncode == 0
    assert {each.name for each in annotations(done.stdout)} == {"warning"}
    break_plan(checkout)
    done = github(lint_step, checkout)
    assert done.returncode == 2
    (ticket,) = [each for each in annotations(done.stdout) if "release.ticket" in each.data]
    assert (ticket.name, ticket.properties["file"], ticket.properties["line"]) == ("error", "plans/broken.toml", "3")


@pytest.mark.long
def test_github_collects_in_every_zone_and_judges_all_of_it(checkout: Path) -> None:
    document = snippets.read_yaml(READINESS)
    values = {"inputs.plan": document["on"]["workflow_dispatch"]["inputs"]["plan"]["default"]}
    assert document["env"]["PLAN"] == "${{ inputs.plan }}"
    plan = {"PLAN": values["inputs.plan"]}
    assert job(READINESS, "collect")["strategy"]["matrix"]["zone"] == ZONES
    collect = step(READINESS, "collect", "Collect")
    assert in_every_job(lambda zone: github(collect, checkout, **plan, ZONE=zone, DB1_PASSWORD=SECRET), ZONES) == [0, 0]
    done = github(step(READINESS, "judge", "Judge"), checkout, **plan)
    assert done.returncode == 0, done.stdout + done.stderr
    (verdict,) = [each for each in annotations(done.stdout) if each.name == "notice"]
    assert verdict.properties["title"].startswith("REL-1: GO")
    assert (checkout / "summary").read_text().startswith("# GO")
    assert verdict_of(checkout / "preflight.xml") == "passed"
    assert (checkout / "preflight.html").read_text().startswith("<!DOCTYPE html>")
    assert all(SECRET not in path.read_text() for path in checkout.glob("*.*"))

    (checkout / "evidence-west.json").unlink()
    done = github(step(READINESS, "judge", "Judge"), checkout, **plan)
    assert done.returncode == 3
    assert "preflight collect release.toml --zone west" in (checkout / "summary").read_text().replace("`", "")
    assert verdict_of(checkout / "preflight.xml") == "error"


@pytest.mark.long
def test_sarif_is_written_also_for_a_wrong_plan(checkout: Path) -> None:
    break_plan(checkout)
    sarif, *_ = snippets.commands()
    assert shell("bash -e", sarif, checkout).returncode == 2
    results = json.loads((checkout / "preflight.sarif").read_text())["runs"][0]["results"]
    assert {result["ruleId"] for result in results} == {"invalid-plan", "unconfirmed"}


@pytest.mark.long
def test_gitlab_lint_leaves_its_report_and_ends_as_lint_does(checkout: Path) -> None:
    break_plan(checkout)
    done = gitlab("lint", checkout)
    assert done.returncode == 2
    assert "plans/broken.toml:3: release.ticket" in done.stdout
    issues = json.loads((checkout / "gl-code-quality.json").read_text())
    assert {issue["location"]["path"] for issue in issues} == {"plans/broken.toml", "plans/release.toml"}


@pytest.mark.long
def test_gitlab_collects_in_every_zone_and_judges_all_of_it(checkout: Path, https_app: HttpsApp) -> None:
    https_app.answer_json({"version": "4.0"})
    assert snippets.read_yaml(GITLAB)["collect"]["parallel"]["matrix"] == [{"ZONE": ZONES}]
    assert in_every_job(lambda zone: gitlab("collect", checkout, ZONE=zone), ZONES) == [0, 0]
    done = gitlab("judge", checkout)
    assert done.returncode == 1
    assert done.stdout.startswith("NO-GO")
    assert verdict_of(checkout / "preflight.xml") == "failure"


@pytest.mark.long
@pytest.mark.long
def test_gitlab_splits_a_plan_over_its_parallel_jobs(checkout: Path) -> None:
    assert snippets.read_yaml(GITLAB_FLEET)["collect"]["parallel"] == len(SHARDS)

    def collect(number: int) -> subprocess.CompletedProcess[str]:
        numbers = {"CI_NODE_INDEX": str(number), "CI_NODE_TOTAL": str(len(SHARDS))}
        return gitlab("collect", checkout, GITLAB_FLEET, **numbers)

    assert in_every_job(collect, SHARDS) == [0] * len(SHARDS)
    done = gitlab("judge", checkout, GITLAB_FLEET)
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdict_of(checkout / "preflight.xml") == "passed"
    for number in SHARDS:
        evidence = checkout / f"evidence-{number}.json"
        if any(each["question"]["via"] != "local" for each in json.loads(evidence.read_text())["answers"]):
            evidence.unlink()
            assert f"shard {number} of 8 is missing" in gitlab("judge", checkout, GITLAB_FLEET).stdout
            break
    assert gitlab("judge", checkout, GITLAB_FLEET).returncode == 3


@pytest.mark.long
def test_github_splits_a_plan_over_the_jobs_of_a_matrix(checkout: Path) -> None:
    assert job(FLEET, "collect")["strategy"]["matrix"]["shard"] == SHARDS
    plan, total = {"PLAN": snippets.read_yaml(FLEET)["env"]["PLAN"]}, str(len(SHARDS))
    collect = step(FLEET, "collect", "Collect")
    codes = in_every_job(lambda number: github(collect, checkout, **plan, SHARD=str(number), SHARDS=total), SHARDS)
    assert codes == [0] * len(SHARDS)
    done = github(step(READINESS, "judge", "Judge"), checkout, **plan)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_jenkins_lints_collects_and_judges(checkout: Path) -> None:
    plan = {"PLAN": "plans/release.toml"}
    assert "defaultValue: 'plans/release.toml'" in snippets.files()["Jenkinsfile"]
    check, collect, judge = jenkins()
    assert shell("sh -xe", check, checkout).returncode == 0
    assert in_every_job(lambda zone: shell("sh -xe", collect, checkout, **plan, ZONE=zone), ZONES) == [0, 0]
    done = shell("sh -xe", judge, checkout, **plan)
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdict_of(checkout / "preflight.xml") == "passed"


@pytest.mark.long
def test_the_plugin_and_the_textfile_are_what_the_page_says(checkout: Path) -> None:
    _, plugin, textfile = snippets.commands()
    done = shell("sh -e", plugin, checkout)
    assert done.returncode == 1, "the plan leaves things unconfirmed"
    assert done.stdout.startswith("PREFLIGHT WARNING - REL-1: GO")
    (checkout / "textfile").mkdir()
    assert shell("sh -e", textfile, checkout).returncode == 0
    written = (checkout / "textfile" / "preflight.prom").read_text()
    families = {family.name for family in text_string_to_metric_families(written)}
    assert set(re.findall(r"\bpreflight_\w+", snippets.files()["alerts.yml"])) <= families


def test_the_page_names_every_format_of_lint() -> None:
    assert {*lint.FORMATS} <= set(re.findall(r"`(\w+)`", snippets.PAGE.read_text()))
