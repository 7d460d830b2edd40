"""The machine that preflight runs on misbehaves: its disk is full, it has no descriptors left, its clock is set."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from preflight import clock
from preflight.reasons import Reason
from tests.cli.program import environment, preflight
from tests.misbehaving.conftest import leaving_nothing, run_whole
from tests.misbehaving.test_ssh import Plan, prove_healthy
from tests.site.accounts import Account, Accounts
from tests.site.machine import run
from tests.site.mounts import Mounts
from tests.site.site import Site


@pytest.mark.parametrize("place", ["beside the plan", "of the evidence", "of the report"])
def test_a_full_disk_here_is_told_with_the_verdict_and_keeps_nothing_half(
    site: Site, good_account: Account, tmp_path: Path, mounts: Mounts, place: str
) -> None:
    full = mounts.tmpfs("full", size="64k")
    plan = Plan(site).write(full if place == "beside the plan" else tmp_path)
    run("dd", "if=/dev/zero", f"of={full}/filler", "bs=1k", check=False)
    with leaving_nothing(good_account):
        more = {
            "of the evidence": ("--evidence", full / "e.json"),
            "of the report": ("--output", f"json={full}/r.json"),
        }
        done = preflight("run", plan, "--format", "json", *more.get(place, ()))
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert str(full) in done.stderr
    assert place == "of the report" or "name another place with --evidence FILE" in done.stderr
    statuses = {each["check"]: each["status"] for each in json.loads(done.stdout)["findings"]}
    assert statuses["host-login"] == "pass"
    left = {file.name for file in full.rglob("*") if file.is_file()}
    assert left <= {"filler", "plan.toml", "plan.known_hosts"}, left


SHORT_OF_DESCRIPTORS = """
import os, resource, sys
from preflight.__main__ import main
import preflight.cli.run
sys.argv = ["preflight", "run", *sys.argv[2:]]
lowest = os.dup(0)
os.close(lowest)
limit = lowest + {free}
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
main()
"""


def without_descriptors(free: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`preflight run` in a process that may open so many more files, from the moment at which it is loaded."""
    argv = [sys.executable, "-c", SHORT_OF_DESCRIPTORS.format(free=free), "run", *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, env=environment(), timeout=90)


def test_without_a_descriptor_the_plan_that_cannot_be_read_is_named(site: Site, tmp_path: Path) -> None:
    plan = Plan(site).write(tmp_path)
    done = without_descriptors(0, plan)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == f"{plan}: cannot be read: Too many open files"


def test_with_one_descriptor_whoever_got_none_is_this_machines_trouble(
    site: Site, good_account: Account, tmp_path: Path
) -> None:
    plan, kept = Plan(site), tmp_path / "evidence.json"
    for number in range(4):
        plan.add(f"h{number}", good_account)
    with leaving_nothing(good_account):
        done = without_descriptors(1, plan.write(tmp_path), "--format", "json", "--evidence", kept)
    findings = [each for each in json.loads(done.stdout)["findings"] if each["check"] == "host-login"]
    assert len(findings) == 5
    assert {each["status"] for each in findings} <= {"pass", "unknown"}
    lost = [each for each in findings if each["status"] == "unknown"]
    assert lost
    for each in lost:
        assert each["owner"] == "whoever runs preflight"
        assert "this machine's limit of open files" in each["summary"]
        assert each["remedy"] == "raise the limit of open files where preflight runs (ulimit -n)"
    assert Reason.OPEN_FILES.id in kept.read_text()


@pytest.mark.parametrize("days", [-30, 30])
def test_a_clock_here_that_is_set_meanwhile_ends_no_wait_and_gives_no_go(
    site: Site, accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """It is set while the host answers its first question."""
    plan, account = Plan(site), accounts.add("steps")
    set_now = account.home / "set"
    account.replace_program("id", f'touch {set_now}; exec /usr/bin/id "$@"')
    plan.add("steps", account)

    class Set(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + (timedelta(days=days) if set_now.exists() else timedelta())

    monkeypatch.setattr(clock, "datetime", Set)
    ended = run_whole(plan.write(tmp_path))
    assert not any(ended.reasons(name) for name in ("steps", "healthy")), "no deadline is by that clock"
    if days > 0:
        prove_healthy(ended)
        return
    stale = [each for each in ended.report["findings"] if each["status"] == "stale"]
    assert stale
    assert ended.code != 0
    assert {each["remedy"] for each in stale} == {"ask again: preflight gate plan.toml"}
