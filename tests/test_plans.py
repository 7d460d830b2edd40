"""The shipped plans: valid, complete, sealed, and every key of the format explained in the example."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path

import pytest

from preflight.engine.registry import find_checks
from preflight.plan.gaps import left_out, unconfirmed
from preflight.plan.load import load_plan
from preflight.reference.__main__ import SECTIONS
from preflight.reference.keys import SHARING

EXAMPLE = Path(__file__).parent.parent / "plans" / "example.toml"
PLANS = sorted((Path(__file__).parent.parent / "plans").glob("*.toml"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.name)
def test_shipped_plans_are_valid_and_leave_nothing_unconfirmed(path: Path) -> None:
    assert unconfirmed(load_plan(path, find_checks().settings())) == ()


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.name)
def test_the_manifests_are_read_by_sha256sum(path: Path) -> None:
    for scripts in load_plan(path).scripts.values():
        done = subprocess.run(
            ["sha256sum", "--strict", "-c", scripts.manifest], cwd=scripts.approved, capture_output=True
        )
        assert done.returncode == 0, done.stderr


def test_the_example_shows_every_key() -> None:
    text = EXAMPLE.read_text()
    tables = list(SECTIONS.values())
    tables += [check.Settings for check in find_checks().checks]
    keys = {(table.__name__, field.name.rstrip("_")) for table in tables for field in dataclasses.fields(table)}
    assert len(keys) > 100, "the tables are found"
    keys |= {("shared", key) for key in SHARING}
    written_by_us = {"id", "section"}
    missing = {(table, key) for table, key in keys if not re.search(rf"\b{key}\b", text) and key not in written_by_us}
    assert not missing


def head_of(text: str) -> str:
    """The plan with which the example begins, to the line of hyphens; it is told where it ends."""
    head = re.split(r"^# -+$", text, maxsplit=1, flags=re.MULTILINE)[0]
    without = re.search(r"^# (without = .*)$", head, re.MULTILINE)
    assert without is not None
    return re.sub(r"^without = .*$", lambda _: without[1], head, flags=re.MULTILINE)


def test_the_example_begins_with_a_plan_of_25_lines_that_is_enough(tmp_path: Path) -> None:
    head = tmp_path / "head.toml"
    head.write_text(head_of(EXAMPLE.read_text()))
    assert len(re.findall(r"^[a-z\[]", head.read_text(), re.MULTILINE)) <= 25
    assert not [gap for gap in left_out(load_plan(head, find_checks().settings())) if not gap.reason]


def test_what_stands_behind_a_hash_in_the_examples_checks_is_valid_and_the_default(tmp_path: Path) -> None:
    rest = EXAMPLE.read_text().partition("# --- Checks:")[2].partition("\n")[2]
    settings = re.sub(r"^# (\w+ +=)", r"\1", rest, flags=re.MULTILINE)
    plan = tmp_path / "example.toml"
    plan.write_text(EXAMPLE.read_text().partition("# --- Checks:")[0] + settings)
    loaded = load_plan(plan, find_checks().settings())
    assert settings.count(" = ") > rest.count("\n# ") > 15
    for check in find_checks().checks:
        given = {key: value for key, value in loaded.checks.get(check.id, {}).items() if not key.startswith("severity")}
        assert check.id in ("command", "sql") or check.Settings(**given) == check.Settings(), check.id
