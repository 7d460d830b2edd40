"""The saved runs of a release, as they are listed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.program import preflight
from tests.cli.test_gate import change_plan, plan

__all__ = ["plan"]


def listed(path: Path) -> list[dict[str, object]]:
    done = preflight("history", path, "--format", "json")
    assert done.returncode == 0, done.stderr
    runs: list[dict[str, object]] = json.loads(done.stdout)["runs"]
    return runs


def test_without_a_run_the_list_is_empty(plan: Path) -> None:
    assert listed(plan) == []
    assert "0 runs kept" in preflight("history", plan).stdout


def test_each_run_is_judged_again_newest_first(plan: Path) -> None:
    preflight("run", plan)
    (plan.parent / "answer.txt").write_text("no")
    preflight("run", plan)
    newer, older = listed(plan)
    assert (newer["verdict"], older["verdict"]) == ("NO-GO", "GO")
    assert newer["counts"] == {"fail": 1, "warn": 6}
    assert newer["void"] == []
    told = preflight("history", plan).stdout
    assert told.index("NO-GO") < told.index("  GO")
    assert "checks   7 planned: 1 fail, 6 warn" in told
    assert "blocks   answer file" in told
    assert (newer["blockers"], older["blockers"]) == (["answer file"], [])


def test_a_run_of_another_plan_is_not_judged(plan: Path) -> None:
    preflight("run", plan)
    change_plan(plan)
    (run,) = listed(plan)
    assert run["verdict"] is None
    (void,) = run["void"]
    assert void.startswith("plan changed from sha256 ")
    assert "not judged" in preflight("history", plan).stdout


def test_a_file_changed_by_hand_is_never_go(plan: Path) -> None:
    preflight("run", plan)
    saved = max((plan.parent / ".preflight" / "REL-1").glob("*Z.json"))
    saved.write_text(saved.read_text().replace("yes", "YES"))
    (run,) = listed(plan)
    assert run["verdict"] is None
    assert run["void"]
    told = preflight("history", plan).stdout
    assert "unread   " in told
    assert "GO" not in told


def test_a_report_changed_by_hand_does_not_change_the_verdict(plan: Path) -> None:
    (plan.parent / "answer.txt").write_text("no")
    preflight("run", plan)
    report = max((plan.parent / ".preflight" / "REL-1").glob("*.report.json"))
    report.write_text(report.read_text().replace("NO-GO", "GO"))
    (run,) = listed(plan)
    assert run["verdict"] == "NO-GO"


def test_a_part_that_was_run_is_never_listed_as_a_go_of_the_whole(plan: Path) -> None:
    preflight("run", plan, "--only", "answer")
    (run,) = listed(plan)
    assert run["printed"] == "HOLD"
    assert run["verdict"] is None
    assert run["void"] == ["it was HOLD, and only a part was asked (--only, --skip)"]
    (plan.parent / "answer.txt").write_text("no")
    preflight("run", plan, "--skip", "answer")
    assert [each["verdict"] for each in listed(plan)] == [None, None], "what was not asked is no line of its history"


def test_a_gate_is_told_from_a_run_and_what_is_new_beside_the_plan_in_a_sentence(plan: Path) -> None:
    preflight("run", plan)
    preflight("gate", plan)
    assert [each["command"] for each in listed(plan)] == ["gate", "run"]
    keys = plan.with_suffix(".known_hosts")
    keys.write_text("")
    told = preflight("history", plan).stdout
    assert told.count("void     does not count today: file of sealed host keys was added\n") == 2
    assert told.index("  gate  GO") < told.index("  run  GO")
    for report in (plan.parent / ".preflight" / "REL-1").glob("*.report.json"):
        report.unlink()
    assert [each["command"] for each in listed(plan)] == [None, None]
