"""Adding a check or a format touches what CONTRIBUTING says, and nothing else: its own ones are added to a copy."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.report.formats.cases import CASES

PROJECT = Path(__file__).parent.parent.parent
TEXT = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
TOUCHED = re.findall(r"^\| `([\w./]+)` \|", TEXT.partition("## Add a check")[2].partition("```python")[0], re.MULTILINE)
"""What CONTRIBUTING names: three files written by hand, then those that the command writes."""
CHECK, SITE_TEST, FORMAT = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("checks", "preflight", "docs", "plans", "tests"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "pyproject.toml", "CONTRIBUTING.md"):
        shutil.copy(PROJECT / name, tmp_path / name)
    (tmp_path / "preflight_checks").symlink_to("checks")
    return tmp_path


def python(tree: Path, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


def contents(tree: Path) -> dict[str, str]:
    other = {"preflight_checks", "__pycache__"}
    files = (path for path in tree.rglob("*") if path.is_file() and not other.intersection(path.parts))
    return {str(path.relative_to(tree)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.long
def test_a_new_check_touches_its_own_files_and_what_one_command_writes(tree: Path) -> None:
    by_hand, written = TOUCHED[:3], TOUCHED[3:]
    before = contents(tree)
    (tree / by_hand[0]).write_text(CHECK, "utf-8")
    python(tree, "-m", "preflight.reference")
    after = contents(tree)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert changed == {by_hand[0], *written}
    assert "| [`quiet-host`](docs/reference/checks.md#quiet-host) | Is the " in (tree / "README.md").read_text("utf-8")
    (tree / by_hand[2]).write_text(SITE_TEST, "utf-8")
    python(tree, "-m", "pytest", "-p", "no:cacheprovider", "-q", by_hand[2])
    folders = ("tests/report/formats", "tests/reference/test_pages.py")
    python(tree, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-k", "looks_as_when or page_is_up_to_date", *folders)


@pytest.mark.long
def test_a_new_format_touches_its_module_its_golden_files_and_the_readme(tree: Path) -> None:
    before = contents(tree)
    (tree / "preflight/report/formats/chat.py").write_text(FORMAT, "utf-8")
    python(tree, "-m", "preflight.reference")
    folders = ("tests/report/formats/test_formats.py", "tests/report/formats/test_github.py")
    python(tree, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--regenerate-golden", *folders)
    after = contents(tree)
    golden = {f"tests/report/golden/{case}.chat" for case in CASES}
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert changed == {"preflight/report/formats/chat.py", "README.md", *golden}
