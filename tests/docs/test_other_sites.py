"""The plans of the guide to other sites: valid, and they ask what the guide says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import preflight
from tests.docs.test_toml_blocks import guide_plan


@pytest.mark.parametrize(
    ("name", "asked", "not_asked"),
    [
        ("ledger", ("database ledger:", "ledger-a.example.net,ledger-b.example.net", "host tools"), ("database-host",)),
        ("shop-cluster", ("https://shop.example.net/health", "kubectl", "rollout", "host tools"), ("database-login",)),
    ],
)
def test_a_plan_of_the_guide_asks_what_it_says(
    name: str, asked: tuple[str, ...], not_asked: tuple[str, ...], tmp_path: Path
) -> None:
    plan = tmp_path / f"{name}.toml"
    plan.write_text(guide_plan(name))
    valid = preflight("lint", plan)
    assert valid.returncode == 0, valid.stdout + valid.stderr
    shown = preflight("show", plan)
    assert shown.returncode == 0, shown.stderr
    for words in asked:
        assert words in shown.stdout
    for words in not_asked:
        assert words not in shown.stdout
