"""Asking real and misbehaving SSH servers the way the tool does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from preflight.clock import monotonic
from preflight.plan import Account as Login
from preflight.plan import Host, SecretRef
from preflight.probe import Answer, NoReply, Question, Reply, Via
from preflight.sessions.secrets import Secrets
from preflight.sessions.ssh.pool import SshPool
from tests.sessions.asking import ask_within
from tests.site.accounts import Account
from tests.site.sshd import Sshd

GENEROUS_SECONDS = 60.0
LATE_SECONDS = 2.0
"""How much later than its deadline something may end here: room for a machine that is busy with other work."""
MakePool = Callable[..., SshPool]
PoolOf = Callable[[Account], SshPool]


@pytest.fixture
def pool_of(make_pool: MakePool, sshd: Sshd) -> PoolOf:
    """Makes a pool with one host, `db1`: an account of the site's sshd, logged in to with its key."""
    return lambda account: make_pool(key_host(sshd, account), known_hosts=sshd.known_hosts_lines())


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[MakePool]:
    """Makes pools over hosts; closes them and proves that none of their threads is left."""
    pools: list[SshPool] = []
    before = set(threading.enumerate())

    def make(*hosts: Host, known_hosts: str = "") -> SshPool:
        file = tmp_path / f"known_hosts{len(pools)}"
        file.write_text(known_hosts)
        pool = SshPool({host.id: host for host in hosts}, Secrets(tmp_path), user_known_hosts=[file])
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()
    until = monotonic() + 10
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(max(0.0, until - monotonic()))
    alive = [thread.name for thread in left if thread.is_alive() and not thread.name.startswith(("fake", "server-log"))]
    assert not alive, f"threads are left after close: {alive}"


def key_host(sshd: Sshd, account: Account, id_: str = "db1", **more: object) -> Host:
    """A host of the plan: the account on the server, with its key."""
    return Host(
        id=id_,
        address=sshd.address,
        port=sshd.port,
        user=Login(account.name),
        key=account.key,
        **more,  # type: ignore[arg-type]
    )


def password_host(
    sshd: Sshd, account: Account, patch: pytest.MonkeyPatch, password: str = "", id_: str = "db1"
) -> Host:
    patch.setenv("HOST_PASSWORD", password or account.password)
    return Host(
        id=id_,
        address=sshd.address,
        port=sshd.port,
        user=Login(account.name),
        password=SecretRef("env", "HOST_PASSWORD"),
    )


def question(text: str, target: str = "db1", seconds: float = 10.0, **more: object) -> Question:
    return Question(Via.SSH, target, text, seconds, **more)  # type: ignore[arg-type]


def ask_all(pool: SshPool, questions: Sequence[Question], seconds: float = GENEROUS_SECONDS) -> dict[str, Answer]:
    """The answers by question text; each question is answered once, and before the deadline."""
    answers = ask_within(pool.session(questions[0].target), questions, seconds)
    assert sorted(asked.text for asked, _ in answers) == sorted(asked.text for asked in questions)
    return {asked.text: answer for asked, answer in answers}


def ask(pool: SshPool, text: str = "id -un", target: str = "db1", seconds: float = GENEROUS_SECONDS) -> Answer:
    return ask_all(pool, [question(text, target)], seconds)[text]


def reply(answer: Answer) -> Reply:
    assert isinstance(answer, Reply), answer
    return answer


def no_reply(answer: Answer) -> NoReply:
    assert isinstance(answer, NoReply), answer
    return answer
