"""`preflight diff` from outside: real reports of real runs, and everything that is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import BASE, DEAD_HOST, preflight, write_plan


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `old.json`, of a plan with a host, and `new.json`, of the plan without it."""
    folder = tmp_path_factory.mktemp("reports")
    preflight("run", write_plan(folder), "--output", f"json={folder / 'old.json'}", "--format", "json")
    preflight("run", write_plan(folder, BASE), "--output", f"json={folder / 'new.json'}", "--format", "json")
    return folder


def test_a_host_that_left_the_plan_has_disappeared_and_is_not_cured(reports: Path) -> None:
    done = preflight("diff", "old.json", "new.json", cwd=reports)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("NO-GO -> HOLD  REL-1\n")
    assert "disappeared: no longer looked at, which is not cured" in done.stdout
    assert "fail -> not there  host-login  db1" in done.stdout
    assert "NOTE     the plan is not the same: sha256" in done.stdout
    assert " cured\n" not in done.stdout.replace("which is not cured\n", "")


def test_the_wrong_order_is_said_and_changes_no_exit_code(reports: Path) -> None:
    done = preflight("diff", "new.json", "old.json", cwd=reports)
    assert done.returncode == 0
    assert "OLD is the later run: it was asked" in done.stdout


def test_for_programs_it_is_one_json_object(reports: Path) -> None:
    done = preflight("diff", "old.json", "new.json", "--format", "json", cwd=reports)
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert {"host-login"} <= {line["check"] for line in document["lines"]["disappeared"]}
    assert document["lines"]["cured"] == []


def test_a_report_and_itself_differ_in_nothing(reports: Path) -> None:
    done = preflight("diff", "old.json", "old.json", cwd=reports)
    assert done.returncode == 0
    assert "both judge the same evidence" in done.stdout
    lines = json.loads(preflight("diff", "old.json", "old.json", "--format", "json", cwd=reports).stdout)["lines"]
    assert {name for name, found in lines.items() if found} == {"still"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["old.json"], "name two reports, OLD and NEW"),
        (["old.json", "new.json", "--last", "plan.toml"], "name two reports, OLD and NEW"),
        (["old.json", "absent.json"], "absent.json: No such file or directory"),
        (["plan.toml", "old.json"], "plan.toml: no JSON report"),
        (["old.json", "."], ".: not a regular file"),
        (["old.json", "half.json"], "half.json: no JSON report"),
        (
            ["old.json", "other.json"],
            "other.json: saved by another version of preflight: its schema is 9, this version reads 2",
        ),
        (["old.json", "new.json", "--format", "yaml"], "Invalid value for '--format'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_compared_is_2_with_a_sentence(reports: Path, arguments: list[str], words: str) -> None:
    text = (reports / "old.json").read_text()
    (reports / "half.json").write_text(text[: len(text) // 2])
    (reports / "other.json").write_text(text.replace('"schema": 2', '"schema": 9'))
    done = preflight("diff", *arguments, cwd=reports)
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_evidence_is_no_report(tmp_path: Path) -> None:
    preflight("run", write_plan(tmp_path, BASE + DEAD_HOST), "--evidence", tmp_path / "evidence.json")
    done = preflight("diff", tmp_path / "evidence.json", tmp_path / "evidence.json")
    assert done.returncode == 2
    assert "evidence.json: no JSON report: verdict: is required" in done.stderr


def test_saved_runs_are_compared_as_history_lists_them(tmp_path: Path) -> None:
    path = write_plan(tmp_path)
    preflight("run", path)
    done = preflight("diff", "--last", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "1 run of REL-1 kept beside the plan: two can be compared" in done.stderr
    preflight("run", path)
    newer, older = (run["file"] for run in json.loads(preflight("history", path, "--format", "json").stdout)["runs"])
    done = preflight("diff", older, newer)
    assert done.returncode == 0, done.stderr
    assert preflight("diff", "--last", path).stdout == done.stdout
    assert preflight("diff", "--last", path, "--exit-code").returncode == 0


def test_for_ci_the_exit_code_tells_that_something_got_worse(reports: Path) -> None:
    assert preflight("diff", "old.json", "new.json", "--exit-code", cwd=reports).returncode == 1
    assert preflight("diff", "old.json", "old.json", "--exit-code", cwd=reports).returncode == 0
