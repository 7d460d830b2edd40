"""Many hosts at once against limits: a crowded sshd, few descriptors, a silent host, and time that really passed."""

from __future__ import annotations

import re
import resource
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from preflight.clock import Deadline
from preflight.plan import Host
from preflight.probe import Answer, Reply
from preflight.reasons import Reason
from preflight.sessions import dial
from preflight.sessions.ssh.pool import SshPool
from preflight.sessions.ssh.shared import MOST_PER_SERVER, LoginTurns, OpenConnections, connections_for, raise_limit
from preflight.sessions.ssh.transport import Transport
from tests.sessions.conftest import (
    GENEROUS_SECONDS,
    MakePool,
    PoolOf,
    ask,
    ask_all,
    key_host,
    no_reply,
    password_host,
    question,
    reply,
)
from tests.sessions.ssh import misbehaving
from tests.site.accounts import Account
from tests.site.site import Site
from tests.site.sshd import Sshd

MANY_SECONDS = 60.0


def ask_hosts(pool: SshPool, hosts: Sequence[Host]) -> dict[str, Answer]:
    """What each host answers to `true`, all asked at the same time."""
    with ThreadPoolExecutor(len(hosts)) as threads:
        answers = threads.map(lambda host: ask(pool, "true", host.id, MANY_SECONDS), hosts)
        return dict(zip([host.id for host in hosts], answers, strict=True))


@pytest.mark.long
def test_a_crowded_sshd_answers_for_all_its_addresses(make_pool: MakePool, site: Site, good_account: Account) -> None:
    crowded = site.start_sshd(options={"MaxStartups": "3:50:5", "ListenAddress": "0.0.0.0"})
    template = key_host(crowded, good_account)
    hosts = [replace(template, id=f"h{n}", address=f"127.0.0.{n}") for n in range(1, 31)]
    pool = make_pool(*hosts, known_hosts=crowded.known_hosts_lines("*"))
    answers = ask_hosts(pool, hosts)
    assert [name for name, answer in answers.items() if not isinstance(answer, Reply)] == []
    crowded.close()


def test_a_server_that_drops_connections_gets_fewer_at_once_and_slowly_more_again() -> None:
    turns, at_once = LoginTurns(), Deadline(0)

    def free() -> int:
        taken = 0
        while turns.take("s:22", at_once):
            taken += 1
        for _ in range(taken):
            turns._servers["s:22"].pending -= 1
        return taken

    assert free() == MOST_PER_SERVER
    for left in (4, 2, 1, 1):
        assert turns.take("s:22", at_once)
        turns.give_back("s:22", dropped=True)
        assert free() == left
    assert turns.take("other:22", at_once)
    for _ in range(100):
        assert turns.take("s:22", at_once)
        turns.give_back("s:22", dropped=False)
    assert free() == MOST_PER_SERVER


def test_whoever_waits_for_a_turn_is_let_go_when_all_is_closed() -> None:
    turns = LoginTurns()
    for _ in range(MOST_PER_SERVER):
        assert turns.take("s:22", Deadline(0))
    outcome: list[bool] = []
    waiting = threading.Thread(target=lambda: outcome.append(turns.take("s:22", Deadline(60))))
    waiting.start()
    turns.close()
    waiting.join(20)
    assert outcome == [False]


@pytest.mark.long
def test_more_hosts_than_descriptors_are_all_answered_and_open_again_for_a_second_question(
    make_pool: MakePool, sshd: Sshd, good_account: Account
) -> None:
    hosts = [key_host(sshd, good_account, f"h{n}") for n in range(7)]
    pool = make_pool(*hosts, known_hosts=sshd.known_hosts_lines())
    pool._shared.open_connections = OpenConnections(2)
    for _ in range(2):
        assert all(isinstance(answer, Reply) for answer in ask_hosts(pool, hosts).values())
        alive = [host.id for host in hosts if pool._connections[host.id].alive]
        assert len(alive) == 2


def test_a_place_that_never_becomes_free_is_this_machines_limit(
    make_pool: MakePool, sshd: Sshd, good_account: Account
) -> None:
    hosts = [key_host(sshd, good_account, f"h{n}") for n in range(2)]
    pool = make_pool(*hosts, known_hosts=sshd.known_hosts_lines())
    pool._shared.open_connections = OpenConnections(1)
    used = pool._connections["h0"]
    used.hold(Deadline(GENEROUS_SECONDS))
    lost = no_reply(ask(pool, "true", "h1", seconds=1))
    used.release()
    assert lost.reason == Reason.OPEN_FILES
    assert "this machine" in lost.detail
    reply(ask(pool, "true", "h1"))


def test_running_out_of_descriptors_is_not_the_hosts_fault() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = dial.QuickSocket()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno(), hard))
    try:
        with pytest.raises(dial.DialFailed) as failed:
            dial.connect(dial.resolve("127.0.0.1", 9, Deadline(5)), Deadline(5))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        lowest.close()
    assert failed.value.reason == Reason.OPEN_FILES


def test_half_of_the_raised_limit_is_for_connections() -> None:
    assert raise_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert [connections_for(limit) for limit in (16, 128, 1024)] == [1, 48, 496]


def test_what_the_time_for_the_host_ended_says_so(make_pool: MakePool, sshd: Sshd, good_account: Account) -> None:
    with misbehaving.serving(misbehaving.silent) as port:
        pool = make_pool(replace(key_host(sshd, good_account), port=port))
        lost = no_reply(ask(pool, seconds=1))
        assert re.search(r"the time left for this host ended after 0\.\d s", lost.detail)


def test_a_jump_host_that_others_use_stays_open_when_its_own_session_is_closed(
    make_pool: MakePool, sshd: Sshd, good_account: Account
) -> None:
    jump, behind = key_host(sshd, good_account, "jump"), key_host(sshd, good_account, "behind", jump="jump")
    pool = make_pool(jump, behind, known_hosts=sshd.known_hosts_lines())
    reply(ask(pool, "true", "jump"))
    reply(ask(pool, "true", "behind"))
    pool.session("jump").close()
    reply(ask(pool, "echo again", "behind"))
    assert pool._connections["jump"].alive
    pool.session("behind").close()
    pool.session("jump").close()
    assert not pool._connections["jump"].alive


def test_a_session_that_was_closed_early_opens_again(pool_of: PoolOf, good_account: Account) -> None:
    pool = pool_of(good_account)
    reply(ask(pool, "true"))
    pool.session("db1").close()
    assert not pool._connections["db1"].alive
    reply(ask(pool, "echo again"))


def test_closing_a_session_ends_a_login_that_hangs(make_pool: MakePool, sshd: Sshd, good_account: Account) -> None:
    with misbehaving.serving(misbehaving.silent) as port:
        pool = make_pool(replace(key_host(sshd, good_account), port=port))
        session = pool.session("db1")
        answers: list[Answer] = []
        asking = threading.Thread(target=lambda: answers.append(ask(pool)))
        asking.start()
        until = Deadline(GENEROUS_SECONDS)
        while session.stage != "exchanging keys" and not until.over:
            threading.Event().wait(0.01)
        session.close()
        asking.join(10)
        assert no_reply(answers[0]).reason is Reason.CLOSED_HERE


def test_channels_of_one_connection_need_no_threads(pool_of: PoolOf, good_account: Account) -> None:
    pool = pool_of(good_account)
    before = set(threading.enumerate())
    seen: set[threading.Thread] = set()
    over = threading.Event()

    def count() -> None:
        while not over.wait(0.005):
            seen.update(threading.enumerate())

    counter = threading.Thread(target=count)
    counter.start()
    ask_all(pool, [question(f"sleep 0.3; echo {n}", own_channel=n > 0) for n in range(4)])
    over.set()
    counter.join()
    started = sorted(type(thread).__name__ for thread in seen - before - {counter} if thread.name != "asking")
    assert started == ["Transport"]


@pytest.mark.long
@pytest.mark.case(31)
def test_one_silent_host_among_fifty_of_one_account_costs_only_itself(
    make_pool: MakePool, sshd: Sshd, good_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_password = password_host(sshd, good_account, monkeypatch)
    others = [replace(by_password, id=f"h{number}") for number in range(49)]
    with misbehaving.serving(misbehaving.silent) as port:
        pool = make_pool(replace(by_password, id="quiet", port=port), *others, known_hosts=sshd.known_hosts_lines())
        with ThreadPoolExecutor(1) as threads:
            quiet = threads.submit(ask, pool, "true", "quiet", MANY_SECONDS)
            assert all(isinstance(answer, Reply) for answer in ask_hosts(pool, others).values())
            assert not quiet.done(), "the others wait for nobody"
            pool.close()


def test_a_transport_that_is_closed_before_its_handshake_closes_its_socket() -> None:
    here, there = socket.socketpair()
    with there:
        transport = Transport(here, 1.0, None)
        transport.close()
        assert here.fileno() == -1
