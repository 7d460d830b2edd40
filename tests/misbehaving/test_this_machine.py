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
from tests.misbehaving.test_ssh import Plan
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
import itertools, os, resource, socket, sys, threading

def limit_files():
    lowest = os.dup(0)
    os.close(lowest)
    limit = lowest + {free}
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

sockets, refused = itertools.count(), threading.Event()
together = threading.Barrier({connections} or 1, limit_files)

class Socket(socket.socket):
    def __init__(self, *arguments, **named):
        if next(sockets) < {connections}:
            together.wait()
        try:
            super().__init__(*arguments, **named)
        except OSError:
            refused.set()
            raise
        refused.wait()

socket.socket = Socket
from preflight.__main__ import main
import preflight.cli.run
sys.argv = ["preflight", "run", *sys.argv[2:]]
if not {connections}:
    limit_files()
main()
"""


def without_descriptors(free: int, connections: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`preflight run` in a process that may open so many more files, from the moment at which so many connections are
    about to be opened; whoever can open one waits with it until another could not."""
    argv = [sys.executable, "-c", SHORT_OF_DESCRIPTORS.format(free=free, connections=connections), "run"]
    argv += map(str, arguments)
    return subprocess.run(argv, capture_output=True, text=True, env=environment(), timeout=600)


@pytest.mark.long
def test_without_a_descriptor_the_plan_that_cannot_be_read_is_named(site: Site, tmp_path: Path) -> None:
    plan = Plan(site).write(tmp_path)
    done = without_descriptors(0, 0, plan)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == f"{plan}: cannot be read: Too many open files"


@pytest.mark.long
def test_with_one_descriptor_whoever_got_none_is_this_machines_trouble(
    site: Site, good_account: Account, tmp_path: Path
) -> None:
    plan, kept = Plan(site), tmp_path / "evidence.json"
    for number in range(4):
        plan.add(f"h{number}", good_account)
    with leaving_nothing(good_account):
        done = without_descriptors(1, 5, plan.write(tmp_path), "--format", "json", "--evidence", kept)
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


@pytest.mark.parametrize(("days", "way"), [(-30, "back"), (30, "forward")])
def test_a_clock_here_that_is_set_meanwhile_ends_no_wait_and_no_host_is_blamed(
    site: Site,
    good_account: Account,
    accounts: Accounts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    days: int,
    way: str,
) -> None:
    """It is set when the host's shell starts."""
    plan, account = Plan(site), accounts.add("steps")
    set_now = account.home / "set"
    (account.home / ".bashrc").write_text(f"touch {set_now}\n")
    plan.add("steps", account)

    class Set(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + (timedelta(days=days) if set_now.exists() else timedelta())

    monkeypatch.setattr(clock, "datetime", Set)
    ended = run_whole(plan.write(tmp_path))
    assert ended.reasons("steps") == ended.reasons("healthy") == set(), "no deadline is by that clock"
    ages = [answer.asked_at - ended.evidence.collected_at for _, answer in ended.evidence]
    assert all(timedelta() <= age < timedelta(minutes=2) for age in ages), "no answer seems fresher or older than it is"
    found = ended.findings("steps")["clock-skew"]
    assert (found["status"], found["owner"]) == ("unknown", "whoever runs preflight")
    assert f"this machine's clock was set 30 d {way} meanwhile" in found["summary"]
    assert "look at this machine's clock (chronyc tracking, timedatectl)" in found["remedy"]
    assert ended.code != 0
    for name in ("steps", "healthy"):  # of which the clock may have been asked before
        seen = ended.statuses(name)
        assert seen.pop("clock-skew") in ("pass", "unknown")
        assert set(seen.values()) == {"pass"}
