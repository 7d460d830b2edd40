"""What a run rests on besides the servers is named with its digest, and a difference is told by name."""

from __future__ import annotations

import re
from pathlib import Path

from preflight import __version__
from preflight.engine.registry import find_checks
from preflight.plan import Release, RemotePath, Scripts
from preflight.plan.load import load_plan
from preflight.runs.gate import changed, read_inputs
from tests.plan_texts import MINIMAL
from tests.toy import toy_plan


def test_manifests_host_keys_and_the_plan_are_inputs(tmp_path: Path) -> None:
    manifest = tmp_path / "orders.SHA256SUMS"
    scripts = Scripts(id="orders", database="orders", approved=tmp_path / "sql", manifest=manifest, staged="/srv")  # type: ignore[arg-type]
    plan = toy_plan(scripts={"orders": scripts})
    before = read_inputs(plan)
    assert before["preflight"] == __version__
    assert before["scripts.orders.manifest"] == "absent"
    manifest.write_text("x")
    after = read_inputs(plan)
    assert changed(before, after) == ("scripts.orders.manifest was added",)
    manifest.write_text("y")
    (told,) = changed(after, read_inputs(plan))
    assert re.fullmatch("scripts.orders.manifest changed from sha256 [0-9a-f]{12} to [0-9a-f]{12}", told)
    assert changed(after, before) == ("scripts.orders.manifest was removed",)
    assert changed(after, after) == ()


def test_whose_signature_counts_is_an_input(tmp_path: Path) -> None:
    signers = tmp_path / "signers"
    scripts = Scripts(
        id="orders",
        database="orders",
        approved=tmp_path / "sql",
        manifest=tmp_path / "sums",
        staged=RemotePath("/srv"),
        allowed_signers=signers,
    )
    plan = toy_plan(scripts={"orders": scripts}, release=Release(id="REL-1", allowed_signers=signers))
    before = read_inputs(plan)
    signers.write_text("x")
    told = ("release.allowed_signers was added", "scripts.orders.allowed_signers was added")
    assert changed(before, read_inputs(plan)) == told


def test_an_approved_script_is_an_input(tmp_path: Path) -> None:
    approved = tmp_path / "sql"
    scripts = Scripts(id="orders", database="orders", approved=approved, manifest=tmp_path / "sums", staged="/srv")  # type: ignore[arg-type]
    plan = toy_plan(scripts={"orders": scripts})
    empty = read_inputs(plan)
    (approved / "undo").mkdir(parents=True)
    (approved / "undo" / "010.sql").write_text("drop table a")
    before = read_inputs(plan)
    assert changed(empty, before) == ("scripts.orders.approved undo/010.sql was added",)
    (approved / "undo" / "010.sql").write_text("drop table b")
    (told,) = changed(before, read_inputs(plan))
    assert told.startswith("scripts.orders.approved undo/010.sql changed from sha256 ")


def test_a_folder_in_place_of_a_file_is_absent_and_no_crash(tmp_path: Path) -> None:
    scripts = Scripts(id="orders", database="orders", approved=tmp_path, manifest=tmp_path, staged="/srv")  # type: ignore[arg-type]
    assert read_inputs(toy_plan(scripts={"orders": scripts}))["scripts.orders.manifest"] == "absent"


def test_a_script_of_the_plans_own_is_an_input(tmp_path: Path) -> None:
    text = '[checks.command.run.q]\nprogram = "./q.sh"\narguments = ["list.txt", "-v", "' + "x" * 300 + '"]\n'
    (tmp_path / "plan.toml").write_text(MINIMAL + text)
    (tmp_path / "q.sh").write_text("echo fine")
    (tmp_path / "list.txt").write_text("a")
    plan = load_plan(tmp_path / "plan.toml", find_checks(None).settings())
    before = read_inputs(plan)
    (tmp_path / "q.sh").write_text("echo full; exit 2")
    (told,) = changed(before, read_inputs(plan))
    assert told.startswith("checks.command.run.q ./q.sh changed from sha256 ")
    assert "checks.command.run.q list.txt" in before
