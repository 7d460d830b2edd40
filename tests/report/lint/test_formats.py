"""What lint prints for programs: each format read by a real reader of it, and the same exit code in all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sarif_pydantic import Sarif

from preflight.cli.main import cli
from preflight.errors import PlanProblem
from preflight.report import lint
from preflight.report.lint import FORMATS, LintedPlan
from tests.plan_texts import MINIMAL
from tests.report.formats.test_github import commands

FAULTY = MINIMAL + '[hosts.db1]\nusr = "release"\n'


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.toml").write_text(MINIMAL)
    (tmp_path / "faulty.toml").write_text(FAULTY)
    return tmp_path


def called(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["lint", *arguments])


@pytest.mark.parametrize("name", FORMATS)
def test_the_exit_code_is_the_same_in_every_format(plans: Path, name: str) -> None:
    assert called("a b.toml", "--format", name).exit_code == 0
    assert called("a b.toml", "faulty.toml", "--format", name).exit_code == 2
    assert called("missing.toml", "--format", name).exit_code == 2


def test_sarif_is_read_with_rule_file_and_line(plans: Path) -> None:
    printed = called("a b.toml", "faulty.toml", "--format", "sarif").stdout
    (run,) = Sarif.model_validate_json(printed).runs
    results = {result.rule_id: result for result in run.results or []}
    rules = [rule.id for rule in run.tool.driver.rules or []]
    for result in run.results or []:
        assert rules[result.rule_index or 0] == result.rule_id
    invalid = results["invalid-plan"]
    assert 'did you mean "user"?' in (invalid.message.text or "")
    place = (invalid.locations or [])[0].physical_location
    assert place is not None
    assert place.artifact_location is not None
    assert place.artifact_location.uri == "faulty.toml"
    assert place.region is not None
    assert FAULTY.splitlines()[(place.region.start_line or 0) - 1] == 'usr = "release"'
    uris = {each["physicalLocation"]["artifactLocation"]["uri"] for each in _locations(printed)}
    assert uris == {"a%20b.toml", "faulty.toml"}


def _locations(printed: str) -> list[dict[str, dict[str, dict[str, str]]]]:
    return [place for run in json.loads(printed)["runs"] for each in run["results"] for place in each["locations"]]


def test_sarif_has_every_required_property_and_no_empty_one(plans: Path) -> None:
    document = json.loads(called("faulty.toml", "--format", "sarif").stdout)
    assert document["version"] == "2.1.0"
    run = document["runs"][0]
    assert run["tool"]["driver"]["name"] == "preflight"
    assert run["invocations"][0] == {"executionSuccessful": True, "exitCode": 2}
    assert all(result["message"]["text"] for result in run["results"])
    assert {result["level"] for result in run["results"]} <= {"error", "warning", "note", "none"}


def test_github_annotates_the_line_of_the_error(plans: Path) -> None:
    found = commands(called("a b.toml", "faulty.toml", "--format", "github").stdout)
    assert found[0].name == "error"
    assert found[0].properties["file"] == "faulty.toml"
    (mistyped,) = [each for each in found if "did you mean" in each.data]
    assert FAULTY.splitlines()[int(mistyped.properties["line"]) - 1] == 'usr = "release"'
    assert {command.name for command in found} == {"error", "warning"}


def test_github_is_given_no_more_than_it_shows() -> None:
    problems = tuple(PlanProblem("x.toml", n, "key", "wrong") for n in range(1, 31))
    found = commands(lint.render("github", [LintedPlan(shown_as="x.toml", problems=problems)]))
    assert len(found) == 10
    assert found[-1].data == "and 21 more"


def test_json_tells_each_plan(plans: Path) -> None:
    document = json.loads(called("a b.toml", "faulty.toml", "--format", "json").stdout)
    valid, faulty = document["plans"]
    assert valid["valid"] is True
    assert valid["errors"] == []
    assert valid["unconfirmed"]
    assert faulty["valid"] is False
    assert any(each["did_you_mean"] == "user" for each in faulty["errors"])


def test_errors_go_to_standard_error_as_text_and_to_standard_output_for_programs(plans: Path) -> None:
    as_text = called("faulty.toml")
    assert "faulty.toml" in as_text.stderr
    assert as_text.stdout == ""
    assert called("faulty.toml", "--format", "json").stderr == ""
