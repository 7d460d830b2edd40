"""Files that a plan names beside it and that are not there."""

from __future__ import annotations

from pathlib import Path

from preflight.plan.gaps import missing_files
from preflight.plan.load import load_plan
from tests.plan_texts import MINIMAL

TEXT = MINIMAL + (
    '[hosts.db1]\nuser = "u"\nagent = "a"\n[databases.orders]\nhost = "db1"\nuser = "u"\n'
    '[scripts.orders]\ndatabase = "orders"\napproved = "sql"\nmanifest = "sums"\nstaged = "/s"\n'
)


def test_a_missing_folder_of_scripts_and_a_missing_manifest_are_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(TEXT)
    plan = load_plan(tmp_path / "x.toml")
    (folder,) = missing_files(plan)
    assert 'correct "approved" in [scripts.orders]' in folder.message
    (tmp_path / "sql").mkdir()
    (manifest,) = missing_files(plan)
    assert "run preflight seal" in manifest.message
    (tmp_path / "sums").write_text("")
    assert tuple(missing_files(plan)) == ()


def test_a_name_that_is_too_long_is_that_of_no_file(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(TEXT.replace('"sql"', f'"{"s" * 300}"'))
    (folder,) = missing_files(load_plan(tmp_path / "x.toml"))
    assert 'correct "approved" in [scripts.orders]' in folder.message
