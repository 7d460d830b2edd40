"""A plan whose every text is a trap: what would be sent to a host and to a database, run there for real."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest

from preflight.engine.answered import Answered
from preflight.engine.inspection import Inspection, inspect
from preflight.engine.registry import find_checks
from preflight.evidence import Evidence
from preflight.plan import Plan
from preflight.plan.command_lines import ScriptOrder, night_commands
from preflight.plan.load import load_plan
from preflight.probe import Via
from tests.hostile import FOR_A_SHELL, FOR_SQL, commands_in, each_text
from tests.site.machine import TIMEOUT_SECONDS
from tests.site.postgres import Cluster
from tests.toy import MOMENT

EXAMPLE = Path(__file__).parent.parent.parent / "plans" / "example.toml"
SUDO = """#!/bin/sh
case $* in *" -l "*) for last; do :; done; echo "$last"; exit ;; esac
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
"""Lets the login be everybody, so that what runs as another account runs, too."""


def full_of(trap: str) -> Plan:
    plan: Plan = each_text(load_plan(EXAMPLE, find_checks().settings()), lambda text: text + trap if text else "")
    return plan


def inspected(plan: Plan) -> Inspection:
    return inspect(plan, find_checks(), MOMENT)


def sends(plan: Plan, via: Via) -> list[str]:
    return [question.text for question in inspected(plan).first_round() if question.via is via]


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def run(line: str, folder: Path, path: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=folder, env={"PATH": path}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, errors="replace", timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    return done.stderr


def test_the_trap_is_one(empty: Path) -> None:
    run(f"echo a{FOR_A_SHELL}", empty, "/usr/bin:/bin")
    assert [*empty.iterdir()] == [empty / "canary"]


@pytest.mark.long
def test_no_question_to_a_host_runs_what_the_plan_says(empty: Path, tmp_path: Path) -> None:
    (tmp_path / "sudo").write_text(SUDO)
    (tmp_path / "sudo").chmod(0o755)
    asked = sends(full_of(FOR_A_SHELL), Via.SSH)
    assert len(asked) > 40
    for text in asked:
        complaint = run(text, empty, f"{tmp_path}:/usr/bin:/bin")
        assert "yntax error" not in complaint, text
        assert [*empty.iterdir()] == [], text


def test_no_command_to_paste_runs_what_the_plan_says(empty: Path) -> None:
    """With no program on PATH, so that the commands themselves do nothing."""
    plan = full_of(FOR_A_SHELL)
    commands = night_commands(plan, [step.id for step in plan.steps], dict.fromkeys(plan.scripts, ScriptOrder(("x",))))
    lines = {command.line for command in commands}
    findings = Answered(inspected(plan), Evidence(plan.digest, MOMENT)).findings()
    pasted = commands_in(findings)
    assert len(lines) > 5
    assert len(pasted) > 5
    for line in lines | pasted:
        run(line, empty, "/nowhere")
        assert [*empty.iterdir()] == [], line


def test_no_question_to_a_database_runs_what_the_plan_says(postgres: Cluster) -> None:
    asked = sends(full_of(FOR_SQL), Via.SQL)
    assert len(asked) > 15
    refused = []
    with postgres.connect(autocommit=True) as connection:
        for text in asked:
            try:
                connection.execute(text.encode())
            except psycopg.Error as error:
                refused.append((error.sqlstate, text))
        assert connection.execute("SELECT count(*) FROM pg_class WHERE relname = 'canary'").fetchone() == (0,)
    assert [text for state, text in refused if state == "42601"] == [], "no SQL"
