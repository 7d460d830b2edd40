"""A link between two machines that dies without a word to either, in the middle of what is asked."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from preflight.clock import Deadline
from preflight.evidence import Evidence
from preflight.finding import Status
from preflight.reasons import Reason
from tests.cli.program import preflight_process, write_plan
from tests.misbehaving.conftest import HEAD, OWNER, Told, WholeRun, leaving_nothing
from tests.site.accounts import Account, Accounts
from tests.site.site import Site

NEAR, FAR = "198.51.100.1", "198.51.100.2"
PASSED = {"host-login": "pass", "clock-skew": "pass", "competing-jobs": "pass"}


@pytest.mark.long
def test_a_link_that_dies_costs_what_was_not_yet_answered_behind_it(
    site: Site, good_account: Account, accounts: Accounts, tmp_path: Path, shared_path: Path
) -> None:
    def wait(name: str) -> str:
        return f"touch {shared_path}/{name}; until [ -e {shared_path}/over ]; do sleep 0.1; done"

    amid, before = accounts.add("amid"), accounts.add("before")
    amid.replace_program("id", wait("amid"))
    (before.home / ".bashrc").write_text(wait("before"))
    near = site.start_namespace(address=NEAR)
    far = site.start_namespace(address=FAR, router=near)
    here, there = site.start_sshd(namespace=near, address=NEAR), site.start_sshd(namespace=far, address=FAR)
    text = HEAD
    for name, login, sshd in (("healthy", good_account, here), ("amid", amid, there), ("before", before, there)):
        text += (
            f'[hosts.{name}]\naddress = "{sshd.address}"\nuser = "{login.name}"\nkey = "{login.key}"\nowner = "dba"\n'
        )
    plan, kept = write_plan(tmp_path, text), tmp_path / "evidence.json"
    (tmp_path / "plan.known_hosts").write_text(here.known_hosts_lines() + there.known_hosts_lines())
    with leaving_nothing(good_account, amid, before), ThreadPoolExecutor(1) as running:
        arguments = ("run", plan, "--format", "json", "--evidence", kept)
        process = running.submit(preflight_process, *arguments, inside=near)
        until = Deadline(60)
        while not {"amid", "before"} <= {file.name for file in shared_path.iterdir()} and not until.over:
            threading.Event().wait(0.05)
        far.run("ip", "link", "set", "net", "down")
        done = process.result()
        far.run("ip", "link", "set", "net", "up")
        (shared_path / "over").touch()
    run = WholeRun(done.returncode, done.stderr, 0.0, json.loads(done.stdout), Evidence.from_json(kept.read_text()))
    assert run.statuses("healthy") == PASSED
    assert set(run.statuses("amid").values()) <= {"pass", "unknown"}, "what was answered before is kept"
    amid_login = run.findings("amid")["host-login"]
    assert (amid_login["status"], amid_login["owner"]) == ("unknown", OWNER)
    ways = ("took more than 10 s", "did not open a channel in time")  # the second question may not have begun
    assert any(words in amid_login["actual"] for words in ways)
    assert "see why amid is so slow" in amid_login["remedy"]
    lost = Told(
        Status.UNKNOWN,
        Reason.CONNECTION_LOST,
        "have the network on the way there looked at",
        "the connection was lost before the answer",
    )
    run.prove("host-login", "before", lost)
    assert set(run.statuses("before").values()) == {"unknown"}
