"""What a finding does to the verdict, set for a check, for one of its subjects, for one command of the plan's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from preflight.report.formats import FORMATS
from tests.cli.program import preflight
from tests.cli.test_plan_coverage import WITHOUT, plan_of

COMMANDS = (
    '[checks.command.run.sees]\nprogram = "true"\n'
    '[checks.command.run.licences]\nprogram = "false"\nremedy = "buy more"\n{}'
)
SEVERITIES = ("blocking", "required", "advisory")
CODES = {"blocking": 1, "required": 3, "advisory": 0}


def commands(folder: Path, run: str = "", table: str = "") -> Path:
    return plan_of(folder, COMMANDS.format(f"{run}\n") + table, WITHOUT)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_failing_command_decides_as_the_plan_says(tmp_path: Path, severity: str) -> None:
    for run, table in (
        (f'severity = "{severity}"', ""),
        ("", f'[checks.command.severity_of]\nlicences = "{severity}"\n'),
        ('severity = "blocking"', f'[checks.command.severity_of]\nlicences = "{severity}"\n'),  # goes before it
    ):
        done = preflight("run", commands(tmp_path, run, table))
        assert done.returncode == CODES[severity], done.stdout
        assert ("command licences: made" in " ".join(done.stdout.split())) is (severity != "blocking")


def test_every_format_tells_that_what_failed_is_required(tmp_path: Path) -> None:
    plan = commands(tmp_path, 'severity = "required"')
    files = [f"--output={name}={tmp_path / name}" for name in FORMATS]
    assert preflight("run", plan, *files).returncode == 3
    for name in FORMATS:
        text = (tmp_path / name).read_text()
        assert "required" in text, name
        assert "NO-GO" not in text or name == "prometheus", name


def test_of_one_subject_alone(tmp_path: Path) -> None:
    both = '[checks.command.run.more]\nprogram = "false"\nremedy = "buy more"\n'
    done = preflight("run", commands(tmp_path, 'severity = "advisory"', both))
    assert done.returncode == 1
    assert "blocks" not in done.stdout or "command more" in done.stdout


@pytest.mark.parametrize("call", [("lint",), ("run",), ("gate", "--no-ask")])
def test_a_subject_that_there_is_not_is_an_error_with_its_line_and_the_nearest_name(
    tmp_path: Path, call: tuple[str, ...]
) -> None:
    plan = commands(tmp_path, "", '[checks.command.severity_of]\nlicense = "advisory"\nzzz = "required"\n')
    done = preflight(call[0], plan, *call[1:])
    assert done.returncode == 2
    line = plan.read_text().splitlines().index('license = "advisory"') + 1
    said = f'plan.toml:{line}: checks.command.severity_of.license: command has no subject "license"'
    assert f'{said}; did you mean "licences"?' in done.stdout + done.stderr
    assert 'no subject "zzz": its subjects are "sees", "licences"' in done.stdout + done.stderr


def test_a_query_of_after_the_work_is_a_subject_too(tmp_path: Path) -> None:
    host = '[hosts.db1]\nuser = "u"\nkey = "k"\n'
    host += '[databases.d]\nhost = "db1"\nname = "d"\nuser = "u"\nsslmode = "disable"\n'
    query = '[checks.sql.run.done]\ndatabase = "d"\nquery = "select 1"\nexpect = "1"\nwhen = "after"\n'
    plan = plan_of(tmp_path, host + query + '[checks.sql.severity_of]\ndone = "required"\n')
    assert "has no subject" not in "".join(preflight("lint", plan).stdout)
    assert preflight("lint", plan).returncode == 0


@pytest.mark.parametrize("key", ['severity = "required"', 'severity_of = { hosts = "advisory" }'])
def test_what_must_block_stays_blocking(tmp_path: Path, key: str) -> None:
    done = preflight("run", plan_of(tmp_path, COMMANDS.format(""), f"[checks.plan-coverage]\n{key}\n"))
    assert done.returncode == 2
    assert "checks.plan-coverage: always blocks" in done.stderr
