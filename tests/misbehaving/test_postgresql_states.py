"""A PostgreSQL server that lets nobody in, or crashes, beside a healthy one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from preflight.finding import Status
from preflight.reasons import Reason
from tests.cli.program import write_plan
from tests.misbehaving.conftest import HEAD, Told, leaving_nothing, run_whole
from tests.misbehaving.test_postgresql import POSTGRES, WHOLE, entry, healthy, own, secrets_of
from tests.site.machine import needs, run
from tests.site.postgres import Cluster, DatabaseRole
from tests.site.site import Site

FAIL, UNKNOWN = Status.FAIL, Status.UNKNOWN
UP_AGAIN = "ist bereit, um Verbindungen anzunehmen"


@dataclass(frozen=True)
class Troubled:
    """A server of its own, which speaks German and has few connections, and a role of it."""

    cluster: Cluster
    role: DatabaseRole

    def restart(self, ready: str = UP_AGAIN, **settings: str) -> None:
        self.cluster.restart(settings, ready=ready)


@pytest.fixture(scope="module")
def german(site: Site) -> Iterator[Troubled]:
    locales = site.new_path("locales")
    locales.mkdir()
    run(needs("localedef"), "--no-archive", "-i", "de_DE", "-f", "UTF-8", locales / "de_DE.UTF-8")
    settings = {"max_connections": "6", "superuser_reserved_connections": "3"}
    cluster = site.start_postgres(settings=settings, environment={"LOCPATH": f"{locales}:/usr/lib/locale"})
    troubled = Troubled(cluster, cluster.create_role("ordinary"))
    troubled.restart(lc_messages="de_DE.UTF-8")
    yield troubled
    cluster.close()


@contextmanager
def reserved(server: Troubled, superusers: int = 0) -> Iterator[None]:
    """All sessions are taken that are not reserved."""
    login = {"user": server.role.name, "password": server.role.password, "host": server.cluster.address}
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(server.cluster.connect(**login))
        for _ in range(superusers):
            stack.enter_context(server.cluster.connect())
        yield


@contextmanager
def stopping(server: Troubled) -> Iterator[None]:
    """It waits for a session to end."""
    start = len(server.cluster.log)
    with server.cluster.connect():
        server.cluster.begin_stop()
        server.cluster.wait_for_log("Herunterfahren verlangt", start)
        yield
    server.restart()


@contextmanager
def standby(server: Troubled, ready: str, **settings: str) -> Iterator[None]:
    server.cluster.stop()
    (server.cluster.data / "standby.signal").touch()
    server.restart(ready, **settings)
    yield
    server.cluster.stop()
    (server.cluster.data / "standby.signal").unlink()
    server.restart(hot_standby="on", restore_command="")


def starting(server: Troubled) -> AbstractContextManager[None]:
    """It waits for its archive."""
    return standby(server, "heruntergefahren", restore_command="sleep 600")


def answering_nobody(server: Troubled) -> AbstractContextManager[None]:
    return standby(server, "konsistenter Wiederherstellungszustand", hot_standby="off", restore_command="false")


STATES: Mapping[str, tuple[Callable[[Troubled], AbstractContextManager[None]], Told]] = {
    "reserved": (
        reserved,
        Told(FAIL, Reason.TOO_MANY_CONNECTIONS, "or max_connections", "of those that the server may have (53300: die"),
    ),
    "full": (
        lambda server: reserved(server, superusers=3),
        Told(FAIL, Reason.TOO_MANY_CONNECTIONS, "or max_connections", "(53300: tut mir leid, schon zu viele"),
    ),
    "starting": (
        starting,
        Told(FAIL, Reason.STARTING_UP, "wait until pg_isready -h 127.0.0.1 -p", "das Datenbanksystem startet"),
    ),
    "stopping": (
        stopping,
        Told(FAIL, Reason.STARTING_UP, "have a server that is being stopped started again", "fährt herunter"),
    ),
    "in-recovery": (
        lambda server: standby(server, "lesende Verbindungen", restore_command="false"),
        Told(FAIL, None, "ask which server is the primary now", "the server is a replica"),
    ),
    "answering-nobody": (
        answering_nobody,
        Told(FAIL, Reason.STARTING_UP, "hot_standby = on", "(57P03: das Datenbanksystem"),
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_a_server_that_lets_nobody_in_is_told(
    name: str, german: Troubled, postgres: Cluster, role: DatabaseRole, tmp_path: Path
) -> None:
    state, told = STATES[name]
    with state(german), leaving_nothing():
        text = HEAD + healthy(postgres, role) + entry(name, german.cluster.port, german.role, 'name = "postgres"')
        found = run_whole(write_plan(tmp_path, text), **secrets_of(role, german.role))
    found.prove("database-login", name, told)
    assert found.statuses("healthy") == WHOLE


@contextmanager
def crashing(cluster: Cluster) -> Iterator[None]:
    """Kills the first session that sleeps: a server restarts all of its sessions then."""
    ended = threading.Event()

    def kill() -> None:
        sleeping = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        with cluster.connect() as watching:
            while not ended.wait(0.05):
                pids = [pid for (pid,) in watching.execute(sleeping)]
                if len(pids) == 2:
                    os.kill(pids[0], signal.SIGKILL)
                    return

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        ended.set()
        killer.join()


@pytest.mark.long
def test_the_crash_of_one_session_ends_all_of_its_server(
    german: Troubled, postgres: Cluster, role: DatabaseRole, tmp_path: Path
) -> None:
    text, names = HEAD + healthy(postgres, role), ("crashed", "beside")
    for name in names:
        text += entry(name, german.cluster.port, german.role, POSTGRES) + own(name, "SELECT pg_sleep(60)")
    with leaving_nothing(), crashing(german.cluster):
        found = run_whole(write_plan(tmp_path, text), **secrets_of(role, german.role))
    for name in names:
        found.prove("sql", name, Told(UNKNOWN, Reason.CONNECTION_LOST, "mend what the server"))
    said = " ".join(found.findings(name)["sql"]["actual"] for name in names)
    assert "57P02" in said, "the other one is told why"
    assert found.statuses("healthy") == WHOLE
