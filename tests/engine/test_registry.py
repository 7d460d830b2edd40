"""Checks of a plan's own folder: what does not load is named, and nothing vanishes or ends the program."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from preflight.check import Check
from preflight.engine.inspection import inspect
from preflight.engine.registry import find_checks
from preflight.plan import Plan
from preflight.plan.load import load_plan
from tests.plan_texts import MINIMAL
from tests.toy import MOMENT, toy_plan

GOOD = """
from preflight.check import Check
from preflight.finding import passed
class One(Check):
    "One?"
    id = "one"
    title = "one"
    def subjects(self): return []
    def probes(self, subject): return {}
    def judge(self, subject): return passed("one")
"""
MISSPELT = (
    GOOD.partition("class")[0]
    + "class "
    + GOOD.partition("class")[2].replace("One", "Two").replace('"one"', '"two"').replace("def judge", "def jugde")
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import sys; sys.exit(0)", "SystemExit"),
        (GOOD + MISSPELT, "judge"),
        (GOOD.replace('title = "one"', 'title = "one"; severity = "Blocking"'), "severity"),
        (GOOD.replace('id = "one"', 'id = "host-login"'), "which preflight_checks.host_login has"),
        ("raise ZeroDivisionError", "ZeroDivisionError"),
        ("x = 1", "no Check subclass"),
    ],
)
def test_a_plug_in_that_cannot_be_used_is_named(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "own.py").write_text(text)
    (broken,) = find_checks(tmp_path).broken
    assert problem in broken.problem


def test_a_base_class_beside_a_check_is_no_trouble(tmp_path: Path) -> None:
    base = GOOD.replace("class One(Check):", "class Base(Check):\n    pass\nclass One(Base):")
    (tmp_path / "own.py").write_text(base)
    found = find_checks(tmp_path)
    assert not found.broken
    assert "one" in {check.id for check in found.checks}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("own.py", GOOD.replace("class One", "import nowhere_to_be_found\nclass One")),
        ("own.py", GOOD + "def broken(:\n"),
        ("own.py", GOOD.replace('id = "one"', 'id: ClassVar[str] = "one"')),
        ("one.py", "raise ZeroDivisionError"),
    ],
    ids=["import", "syntax", "annotated", "by its name"],
)
def test_settings_of_a_check_that_cannot_be_loaded_are_no_error_of_the_plan(
    tmp_path: Path, file: str, text: str
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / file).write_text(text)
    plan = tmp_path / "plan.toml"
    plan.write_text(MINIMAL.replace("[window]", 'checks = "own"\n[window]') + "[checks.one]\nlimit = 3\n")
    found = load_plan(plan, lambda plan: find_checks(plan.release.checks, plan).settings())
    assert found.checks == {"one": {"limit": 3}}
    inspection = inspect(found, find_checks(own), MOMENT)
    assert [item.check_id for item in inspection.items if item.check_id.startswith("own/")] == [f"own/{file}"]


def test_a_check_may_be_a_folder_with_parts_of_its_own(tmp_path: Path) -> None:
    own = tmp_path / "own" / "one"
    own.mkdir(parents=True)
    (own / "part.py").write_text("ID = 'in-a-folder'\n")
    (own / "__init__.py").write_text("from .part import ID\n" + GOOD.replace('id = "one"', "id = ID"))
    found = find_checks(tmp_path / "own")
    assert not found.broken
    assert "in-a-folder" in {check.id for check in found.checks}


def test_a_folder_that_cannot_be_loaded_is_named_like_a_file(tmp_path: Path) -> None:
    own = tmp_path / "own" / "one"
    own.mkdir(parents=True)
    (own / "__init__.py").write_text(GOOD.replace('id = "one"', 'id = "other"') + "from .gone import part\n")
    (broken,) = find_checks(tmp_path / "own").broken
    assert (broken.name, broken.offers) == ("own/one", ("other", "one"))


def test_a_check_that_the_plan_has_nothing_for_is_not_loaded_but_known() -> None:
    everything, found = find_checks(), find_checks(plan=toy_plan())
    assert {"host-login", "clock-skew"} <= {check.id for check in found.checks}
    assert {"backup-space", "app-health"} <= set(found.unused)
    assert found.ids == everything.ids
    assert found.settings().keys() == everything.settings().keys()


def test_settings_of_its_own_load_a_check() -> None:
    found = find_checks(plan=toy_plan(checks={"backup-space": {}}))
    assert "backup-space" in {check.id for check in found.checks}


def test_a_plug_in_cannot_take_the_id_of_a_check_that_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(GOOD.replace('id = "one"', 'id = "backup-space"'))
    found = find_checks(tmp_path, toy_plan())
    (broken,) = found.broken
    assert broken.problem == "offers the check backup-space, which preflight_checks.backup_space has"
    assert "backup-space" not in {check.id for check in found.checks}


@pytest.mark.parametrize("check", find_checks().checks, ids=lambda check: check.id)
def test_a_check_has_no_subject_without_its_sections(check: type[Check]) -> None:
    """Else it would vanish: a plan without these sections does not load it."""
    assert set(check.sections) <= {field.name for field in fields(Plan)}
    assert check.id == check.__module__.rpartition(".")[2].replace("_", "-")
    if check.sections:
        assert not check(toy_plan(hosts=() if "hosts" in check.sections else ("db1",)), MOMENT).subjects()


def test_the_sections_of_a_check_are_read_from_its_text() -> None:
    program = (
        "import sys; from preflight.engine.registry import find_checks; from tests.toy import toy_plan\n"
        "find_checks(plan=toy_plan()); print(*[name for name in sys.modules if name.startswith('preflight_checks.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "preflight_checks.host_login" in loaded
    expected = {check.__module__ for check in find_checks(plan=toy_plan()).checks}
    assert {name for name in loaded if name.count(".") == 1} == expected


def test_an_installed_plug_in_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [check for check in find_checks().checks if check.__module__ == "acme_checks"]
    (tmp_path / "acme_checks.py").write_text(GOOD)
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[preflight.checks]\none = acme_checks:One\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [check.id for check in find_checks().checks if check.__module__ == "acme_checks"] == ["one"]
