"""`preflight demo` as a user types it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import argv, environment, preflight, preflight_process
from tests.site.machine import TIMEOUT_SECONDS, command_lines


def left_behind(folder: Path) -> list[str]:
    """What a demo in `folder` has left: command lines of its servers and helpers that name it, and files."""
    found = [str(path) for path in folder.iterdir()]
    return found + [line for line in command_lines().values() if str(folder) in line]


@pytest.fixture
def folder() -> Iterator[Path]:
    """For TMPDIR: a folder that the servers' account can reach; the demo leaves nothing in it and nothing of it."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
        assert left_behind(folder) == []
    finally:
        shutil.rmtree(folder)


@pytest.mark.long
@pytest.mark.case(57)
def test_the_demo_is_go_in_new_york(folder: Path) -> None:
    done = preflight_process("demo", TMPDIR=str(folder), TZ="America/New_York")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("GO")


@pytest.mark.long
@pytest.mark.case(57)
def test_the_night_is_no_go_in_kolkata(folder: Path) -> None:
    done = preflight_process("demo", "--night", "--story", TMPDIR=str(folder), TZ="Asia/Kolkata")
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith("NO-GO")
    assert done.stdout.endswith("without them the night ends at 03:45, both applications live.\n")


@pytest.mark.parametrize("others", [(), ("--night", "--gate"), ("--night", "--format", "json")])
def test_the_story_belongs_to_the_text_of_the_night(others: tuple[str, ...]) -> None:
    done = preflight("demo", "--story", *others)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "--story stands below the text of --night, without --gate" in done.stderr


@pytest.mark.long
def test_the_gate_keeps_only_the_reads_of_unchanged_backups(folder: Path) -> None:
    done = preflight_process("demo", "--gate", TMPDIR=str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    run, gate = done.stdout.split("\nbasis    ")
    assert run.startswith("GO  REL-DEMO")
    told = r"run of .* \(GO\): everything is asked again but the full reads? of \d backups?, unchanged since"
    assert re.match(told, " ".join(gate.split())), gate
    assert "(GO): nothing changed" in " ".join(gate.split())


@pytest.mark.long
def test_a_night_between_run_and_gate_is_no_go_with_what_is_new(folder: Path) -> None:
    done = preflight_process("demo", "--gate", "--night", TMPDIR=str(folder))
    assert done.returncode == 1, done.stdout + done.stderr
    run, gate = done.stdout.split("\nbasis    ")
    assert run.startswith("GO  REL-DEMO")
    told = " ".join(gate.split())
    assert "(GO) is void: plan changed from sha256 " in told
    report, difference = told.split(" GO -> NO-GO REL-DEMO ")
    for line in ("database-login orders the password of role release ends", "version-pairs end states", "no standby"):
        assert line in report
    assert "longer with what failed" in " ".join(run.split()), "the price stands in the head of the gate's report"
    assert "password of role release on orders ends" in report
    assert "pass -> FAIL database-login orders was release logs in with its password" in difference
    assert "NOTE the plan is not the same" in difference


@pytest.mark.long
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_nothing(folder: Path, which: signal.Signals) -> None:
    process = subprocess.Popen(
        argv("demo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(TMPDIR=str(folder))
    )
    assert process.stderr is not None
    process.stderr.readline()  # it has begun
    os.kill(process.pid, which)
    process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 130
