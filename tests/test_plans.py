"""The shipped plans: valid, complete, sealed, and every key of the format explained in the example."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from preflight import plan as types
from preflight.loader import load_plan
from preflight.plan.coverage import unconfirmed
from preflight.registry import find_checks

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
    text = (Path(__file__).parent.parent / "plans" / "example.toml").read_text()
    classes = [value for value in vars(types).values() if dataclasses.is_dataclass(value) and isinstance(value, type)]
    written_by_us = {"id", "path", "digest", "section", "folder"}
    for cls in classes:
        if cls.__module__ != types.__name__:
            continue
        for field in dataclasses.fields(cls):
            name = field.name.rstrip("_")
            assert name in written_by_us or name in text, f"{cls.__name__}.{name}"
