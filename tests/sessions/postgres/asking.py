"""Asking databases the way the tool does: pools over the real cluster, or over a fake server's port."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from preflight.clock import monotonic
from preflight.plan import Account, Database, Host, SecretRef, SslMode
from preflight.probe import Answer, NoReply, Question, Reply, Via
from preflight.sessions.postgres import SqlPool
from preflight.sessions.secrets import Secrets
from tests.sessions.asking import ask_within
from tests.sessions.conftest import GENEROUS_SECONDS
from tests.sessions.postgres.fakes import Forwarder
from tests.site.postgres import Cluster, DatabaseRole


class Asker:
    """Makes pools of one database `app1` on host `db1`, asks them, and closes them."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.secrets = Secrets(folder)
        self.forward = Forwarder()
        self.pools: list[SqlPool] = []

    def pool(
        self,
        role: DatabaseRole,
        port: int,
        *,
        password: str | SecretRef | None = "",
        ids: Sequence[str] = ("app1",),
        **more: Any,
    ) -> SqlPool:
        """`password`: the role's when empty; None for a plan that names none. `ids`: of databases that are alike."""
        if not isinstance(password, SecretRef):
            self.patch.setenv("DB_PASSWORD", password or role.password)
            password = None if password is None else SecretRef("env", "DB_PASSWORD")
        known: dict[str, Any] = {
            "host": "db1",
            "name": "postgres",
            "user": Account(role.name),
            "password": password,
            "port": port,
            "address": "127.0.0.1",
            "sslmode": SslMode.REQUIRE,
        }
        databases = {name: Database(id=name, **(known | more)) for name in ids}
        host = Host(id="db1", address="127.0.0.1")
        pool = SqlPool(databases, {"db1": host}, self.secrets, self.forward)  # type: ignore[arg-type]
        self.pools.append(pool)
        return pool

    def login(self, role: DatabaseRole, port: int, *, seconds: float = GENEROUS_SECONDS, **more: Any) -> Answer:
        """What `SELECT 1` gets on a new pool."""
        return ask(self.pool(role, port, **more), "SELECT 1 AS one", within=seconds)


@pytest.fixture
def asker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asker]:
    before = set(threading.enumerate())
    asker = Asker(tmp_path, monkeypatch)
    yield asker
    for pool in asker.pools:
        pool.close()
    until = monotonic() + 10
    left = [
        thread for thread in threading.enumerate() if thread not in before and thread.name.startswith(("sql", "tu"))
    ]
    for thread in left:
        thread.join(max(0.0, until - monotonic()))
    assert not [thread.name for thread in left if thread.is_alive()]


@pytest.fixture(scope="module")
def role(postgres: Cluster) -> DatabaseRole:
    return postgres.create_role("deployer")


def question(text: str, seconds: float = 10.0, **more: Any) -> Question:
    return Question(Via.SQL, "app1", text, seconds, **more)


def ask_all(pool: SqlPool, *questions: Question, within: float = GENEROUS_SECONDS) -> list[Answer]:
    """The answers in order; each question is answered once, and by the deadline."""
    answers = ask_within(pool.session("app1"), questions, within)
    assert [asked for asked, _ in answers] == list(questions)
    return [answer for _, answer in answers]


def ask(pool: SqlPool, text: str, seconds: float = 10.0, within: float = GENEROUS_SECONDS) -> Answer:
    return ask_all(pool, question(text, seconds), within=within)[0]


def reply(answer: Answer) -> Reply:
    assert isinstance(answer, Reply), answer
    return answer


def no_reply(answer: Answer) -> NoReply:
    assert isinstance(answer, NoReply), answer
    return answer


def rows(answer: Answer) -> list[dict[str, Any]]:
    assert reply(answer).code == 0, answer
    found: list[dict[str, Any]] = json.loads(reply(answer).text)
    return found


def setting(answer: Reply | NoReply, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.session["settings"])[name]
    return found
