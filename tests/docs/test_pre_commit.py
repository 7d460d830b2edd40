"""The hook of `.pre-commit-hooks.yaml`, installed and run by the real pre-commit as `docs/ci.md` says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.docs.snippets import PROJECT, files
from tests.plan_texts import MINIMAL

SHIPPED = ("preflight", "checks", "pyproject.toml", "README.md", ".pre-commit-hooks.yaml")
ADDRESS, VERSION = "https://git.example.net/tools/preflight", "v0.1.0"


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.net", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """What the snippet names by an address: the repository of preflight, with the tag of a release."""
    folder = tmp_path / "tool"
    folder.mkdir()
    for name in SHIPPED:
        source, target = PROJECT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a release")
    git(folder, "tag", VERSION)
    return folder


@pytest.mark.long
def test_the_hook_lints_the_plans_of_a_commit_and_nothing_else(tool: Path, tmp_path: Path) -> None:
    folder = tmp_path / "releases"
    (folder / "plans").mkdir(parents=True)
    snippet = files()[".pre-commit-config.yaml"]
    assert snippet.count(ADDRESS) == 1
    (folder / ".pre-commit-config.yaml").write_text(snippet.replace(ADDRESS, str(tool)))
    (folder / "pyproject.toml").write_text("is no plan")
    (folder / "plans" / "good.toml").write_text(MINIMAL)
    (folder / "plans" / "broken.toml").write_text('[release]\nid = "REL-2"\nticket = 7\n')
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    stopped = run_hooks(folder)
    assert stopped.returncode == 1
    assert "plans/broken.toml:3: release.ticket" in stopped.stdout
    assert "plans/good.toml: valid" in stopped.stdout
    assert "pyproject.toml" not in stopped.stdout


def run_hooks(folder: Path) -> subprocess.CompletedProcess[str]:
    """pre-commit makes its environment and installs the package in it, for this test without asking a registry: what
    the package needs is found where the tests have it."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "PRE_COMMIT_HOME": str(folder.parent / "cache"),
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # sic: pip reads 0 as "no isolation"
        "PIP_NO_COMPILE": "1",
        "PYTHONPATH": sysconfig.get_path("purelib"),
    }
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--all-files"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
