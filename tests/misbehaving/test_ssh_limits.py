"""SSH servers and hosts that misbehave until the limit of a question, of a target, or of the run ends the wait."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from preflight.reasons import Reason
from tests.misbehaving.conftest import Told, WholeRun, leaving_nothing, run_whole, states
from tests.misbehaving.test_ssh import AFTER_LOGIN, UNKNOWN, Plan, names, prove_healthy
from tests.sessions.ssh import misbehaving
from tests.site.accounts import Account
from tests.site.site import Site

RUN_SECONDS = 15
"""Of the run whose own limit ends what hangs later."""
SLOW = "have D. Kaya (dba), 1 see why {} is so slow"
STALLS = {
    "channel": Told(UNKNOWN, Reason.QUESTION_LIMIT, SLOW.format("channel"), "server did not open a channel in time"),
    "exec": Told(UNKNOWN, Reason.TARGET_LIMIT, SLOW.format("exec"), f"{AFTER_LOGIN}no shell answered in"),
    "output": Told(UNKNOWN, Reason.TARGET_LIMIT, SLOW.format("output"), f"{AFTER_LOGIN}no shell answered in"),
}
"""Fakes that hang after the login, where nothing but the limit of a target ends the wait."""
HANGING_NAME = Told(
    UNKNOWN, Reason.NAME_SERVICE, "mend the name service of the machine that runs preflight", "no address for hanging."
)


def turning_away(words: bytes) -> misbehaving.Behaviour:
    return lambda connection, over: connection.sendall(words)


def stalling(plan: Plan, fakes: ExitStack) -> None:
    """Adds the servers of `STALLS`, and a name that the name service never answers for."""
    for name in STALLS:
        plan.add_fake(name, fakes.enter_context(misbehaving.serving(misbehaving.hanging_in(name))))
    plan.add_fake("hanging-name", 22, "hanging.example")
    fakes.enter_context(names())


def test_where_the_run_has_less_time_than_a_target_its_own_limit_is_told(site: Site, tmp_path: Path) -> None:
    plan = Plan(site)
    with leaving_nothing(site.account("good")), ExitStack() as fakes:
        stalling(plan, fakes)
        run = run_whole(plan.write(tmp_path), timeout_seconds=RUN_SECONDS)
    prove_healthy(run)
    run.prove("host-login", "channel", STALLS["channel"])
    run.prove("host-login", "hanging-name", HANGING_NAME)
    for name in ("exec", "output"):
        limit = Told(UNKNOWN, Reason.RUN_DEADLINE, "allow the run more time: --timeout", STALLS[name].seen)
        run.prove("host-login", name, limit)


TURNED_AWAY = Told(
    UNKNOWN,
    Reason.THROTTLED,
    "address put into PerSourcePenaltyExemptList",
    "sshd is crowded (MaxStartups), or turns this machine away",
)
TURNING_AWAY = {
    "closing": b"",
    "crowded": b"Exceeded MaxStartups\r\n",
    "penalised": b"Not allowed at this time\r\n",  # from OpenSSH 9.8 on; tried with 10.0
}
"""What sshd says before it closes a connection that it does not want."""


@pytest.fixture(scope="module")
def slow(site: Site, good_account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeRun]:
    """The run in which each fault lasts until the limit of its question or target."""
    with site.accounts.temporary() as accounts, ExitStack() as stack:
        plan, made = Plan(site), [good_account, accounts.add("drips"), accounts.add("floods")]
        made[1].replace_program("id", "while :; do printf x; sleep 0.2; done")
        made[2].replace_program("id", "exec yes >&2")
        plan.add("disks", made[0])
        plan.add("dripping", made[1])
        plan.add("flooding", made[2])
        startups = site.start_sshd(options={"MaxStartups": "1:100:1"})
        stack.callback(startups.close)
        plan.known_hosts += startups.known_hosts_lines()
        plan.add("max-startups", made[0], startups.port)
        with leaving_nothing(*made), ExitStack() as fakes:
            mounts = fakes.enter_context(closing(site.new_mounts()))
            plan.add_backup("dead-mount", "disks", mounts.dead("dead"))
            fakes.enter_context(socket.create_connection((startups.address, startups.port)))  # keeps its one place
            startups.wait_for_log("Connection from")
            stalling(plan, fakes)
            for name, words in TURNING_AWAY.items():
                plan.add_fake(name, fakes.enter_context(misbehaving.serving(turning_away(words))))
            whole = run_whole(plan.write(tmp_path_factory.mktemp("slow")), timeout_seconds=180)
            assert "D" in states(good_account), "what asked the dead mount cannot be ended before that is mended"
        yield whole


@pytest.mark.long
def test_the_host_beside_the_slow_ones_is_asked_everything(slow: WholeRun) -> None:
    prove_healthy(slow)


ENDURED = {
    **STALLS,
    **dict.fromkeys(("max-startups", *TURNING_AWAY), TURNED_AWAY),
    "hanging-name": HANGING_NAME,
    "dripping": Told(UNKNOWN, Reason.QUESTION_LIMIT, SLOW.format("dripping"), "took more than 10 s"),
    "flooding": Told(UNKNOWN, Reason.TOO_MUCH, "fewer bytes on flooding", "more than 1024 KiB of output"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", ENDURED)
def test_each_host_that_misbehaves_to_its_limit_is_told(slow: WholeRun, name: str) -> None:
    slow.prove("host-login", name, ENDURED[name])


@pytest.mark.long
def test_a_question_that_misbehaves_costs_no_other_of_its_host(slow: WholeRun) -> None:
    for name in ("dripping", "flooding"):
        assert slow.statuses(name) == {"host-login": "unknown", "clock-skew": "pass", "competing-jobs": "pass"}


@pytest.mark.long
def test_a_dead_mount_is_told_and_costs_its_host_nothing_else(slow: WholeRun) -> None:
    told = Told(UNKNOWN, Reason.QUESTION_LIMIT, "run `df` there to see which file system hangs", "took more than 20 s")
    slow.prove("backup-location", "dead-mount", told, target="disks")
    assert slow.statuses("disks") == {"host-login": "pass", "clock-skew": "pass", "competing-jobs": "pass"}
