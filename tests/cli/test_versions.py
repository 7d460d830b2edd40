"""With what a report was made: versions, and the commit of the plan."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from preflight import __version__
from tests.cli.program import BASE, preflight, write_plan


def made_with(plan: Path) -> list[str]:
    found: list[str] = json.loads(preflight("run", plan, "--format", "json").stdout)["made_with"]
    return found


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=D. Kaya", "-c", "user.email=kaya@example.net", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_commit_of_the_plan_is_told_and_whether_it_was_changed_since(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, 'include = ["site.toml"]\n' + BASE)
    site = tmp_path / "site.toml"
    site.write_text('[roles.dba]\nprimary = "D. Kaya"\nstandby = "M. Ortiz"\n')
    assert made_with(plan) == [f"preflight {__version__}", "plan in no git commit"]
    git(tmp_path, "init", "-q")
    assert made_with(plan)[-1] == "plan in no git commit"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "the plan")
    commit = git(tmp_path, "rev-parse", "HEAD")[:12]
    assert made_with(plan)[-1] == f"plan at git commit {commit}, clean", "what a run keeps beside it is no change"
    assert f"plan at git commit {commit}, clean" in " ".join(preflight("run", plan).stdout.split())
    site.write_text(site.read_text() + "\n")
    assert made_with(plan)[-1] == f"plan at git commit {commit}, changed since"


def test_without_git_nothing_is_guessed(tmp_path: Path) -> None:
    done = preflight("run", write_plan(tmp_path, BASE), "--format", "json", PATH="/nowhere")
    assert json.loads(done.stdout)["made_with"][-1] == "plan in no git commit"
