"""A waiver is exact, has a reason and outlives the work, or it is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.program import preflight, write_plan
from tests.confirmed import confirm_all

NOW = datetime.now(UTC)


def hours(count: float) -> str:
    """So many from now on, as a plan for UTC writes it."""
    return f"{NOW + timedelta(hours=count):%Y-%m-%dT%H:%M:%S}"


FAILING = f"""
[release]
id = "REL-1"
[window]
zone = "UTC"
start = {hours(3)}
end = {hours(9)}
[roles.dba]
primary = "D. Kaya"
standby = "M. Ortiz"
contact = "ext. 4411"
[checks.command.run.licences]
program = "false"
wanted = "licences are left"
[checks.command.run.clock]
program = "true"
[[waivers]]
id = "W-1"
check = "command"
subject = "licences"
reason = "bought, not yet delivered"
limit = "nothing printed"
approved_by = "dba"
granted = {hours(-2)}
expires = {hours(11)}
"""


def plan_with(folder: Path, old: str, new: str) -> Path:
    assert old in FAILING
    return confirmed(write_plan(folder, FAILING.replace(old, new)))


def confirmed(plan: Path) -> Path:
    confirm_all(plan)
    return plan


def test_a_whole_waiver_covers(tmp_path: Path) -> None:
    plan = confirmed(write_plan(tmp_path, FAILING))
    assert preflight("lint", plan).returncode == 0
    done = preflight("run", plan)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "GO with 1 waiver  REL-1")


@pytest.mark.case(22)
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('reason = "bought, not yet delivered"', 'reason = ""', ": waivers[1].reason: is empty"),
        ('reason = "bought, not yet delivered"', 'reason = " \\n "', ": waivers[1].reason: is empty"),
        ('"command"', '"comand"', ': waivers[1].check: there is no check "comand"; did you mean "command"?'),
        ('subject = "licences"', 'subject = "licenses"', 'no subject "licenses"; did you mean "licences"?'),
        (
            'subject = "licences"',
            'subject = "z"',
            'command has no subject "z": its subjects are "licences", "clock"',
        ),
        ('"command"', '"app-health"', 'app-health has no subject "licences": the plan gives it nothing to judge'),
    ],
)
def test_a_waiver_without_a_reason_or_for_what_is_not_there_is_an_error_of_the_plan(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    plan = plan_with(tmp_path, old, new)
    for call in (("lint", plan), ("run", plan), ("gate", plan, "--no-ask")):
        done = preflight(*call)
        assert done.returncode == 2, call
        assert said in (done.stdout if call[0] == "lint" else done.stderr)


@pytest.mark.case(22)
@pytest.mark.parametrize(
    ("granted", "expires", "key"),
    [
        (-2, 1, "expires"),
        (-2, 5, "expires"),
        (-2, 9.5, "expires"),  # a rollback may be at work
        (4, 11, "granted"),
    ],
)
def test_a_waiver_that_does_not_hold_until_the_work_is_over_counts_as_absent(
    tmp_path: Path, granted: float, expires: float, key: str
) -> None:
    held = f"granted = {hours(-2)}\nexpires = {hours(11)}"
    plan = plan_with(tmp_path, held, f"granted = {hours(granted)}\nexpires = {hours(expires)}")
    done = preflight("lint", plan)
    assert done.returncode == 2
    assert f"waivers[1].{key}: " in done.stdout
    assert "it counts as absent" in done.stdout
    done = preflight("run", plan)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "NO-GO  REL-1")


def test_a_waiver_of_a_plug_in_that_cannot_be_loaded_is_no_error_of_its_own(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "licences.py").write_text("import nowhere_to_be_found\n")
    text = FAILING.replace("[window]", 'checks = "own"\n[window]').replace('"command"', '"other"', 1)
    done = preflight("run", write_plan(tmp_path, text))
    assert done.returncode == 1, done.stderr


def test_nobody_approves_a_waiver_for_what_he_owns(tmp_path: Path) -> None:
    owned = 'wanted = "licences are left"\nowner = "dba"'
    plan = plan_with(tmp_path, 'wanted = "licences are left"', owned)
    line = plan.read_text().splitlines().index('approved_by = "dba"') + 1
    for command in ("lint", "run"):
        done = preflight(command, plan)
        said = "D. Kaya (dba), ext. 4411 owns command licences, and nobody approves his own waiver"
        told = done.stdout + done.stderr
        assert (done.returncode, f":{line}: waivers[1].approved_by: {said}" in told) == (2, True), told


@pytest.mark.parametrize("people", ['primary = "d. kaya"', 'primary = "S. Ng"\nstandby = "d. kaya"'])
def test_a_person_with_two_roles_does_not_approve_for_himself_either(tmp_path: Path, people: str) -> None:
    other = f"[roles.app1]\n{people}\n[checks.command.run.clock]\n"
    plan = plan_with(tmp_path, "[checks.command.run.clock]\n", other)
    text = plan.read_text().replace('wanted = "licences are left"', 'wanted = "licences are left"\nowner = "app1"')
    plan.write_text(text)
    assert "nobody approves his own waiver" in preflight("lint", plan).stdout


def test_a_waiver_that_was_granted_after_the_cutoff_is_told_by_lint_and_by_the_run(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, 'id = "REL-1"', 'id = "REL-1"\nwaiver_cutoff = "6h"')
    assert ".granted: was granted " in preflight("lint", plan).stdout
    done = preflight("run", plan)
    assert (done.returncode, "GRANTED TOO LATE" in done.stdout) == (1, True), done.stdout
