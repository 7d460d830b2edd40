"""database-host judged from plain facts: the server's process seen, hidden, or not there."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from preflight_checks.database_host import DatabaseHost

from preflight.finding import Judgement, Status
from preflight.plan import Account, Connect, Database, Role, Said
from preflight.questions.postgres import Backend, Identity, SystemIdentifierProbe
from tests.toy import MOMENT, toy_plan

IDENTITY = Identity("release", "orders", 150018, False, "192.0.2.7", 35540, 4711, "", 5432, 1000, 2000, "16390")
SEEN = Backend(((4711, "postgres: release orders 192.0.2.1(35540) idle"),), True, frozenset({"127.0.0.1", "192.0.2.7"}))
ABSENT = replace(SEEN, titles=())
ELSEWHERE = replace(ABSENT, addresses=frozenset({"127.0.0.1", "192.0.2.8"}))


def judged(
    backend: Backend | None,
    identity: Identity = IDENTITY,
    connect: Connect = Connect.DIRECT,
    located_by: Said | None = None,
) -> Judgement:
    database = Database(id="orders", host="db1", user=Account("release"), connect=connect, located_by=located_by)
    check = DatabaseHost(toy_plan(databases=[database], roles=[Role(id="dba", primary="D. Kaya")]), MOMENT)
    (subject,) = check.subjects()
    assert subject.id == "orders on db1"
    if backend is not None:
        probe, still_open = check.follow_up(subject, identity=identity).values()
        assert still_open == SystemIdentifierProbe("orders")
        assert (probe.target, probe.client_port) == ("db1", 35540)
    found: Judgement = check.judge(subject, identity=identity, backend=backend)
    return found


def test_a_process_of_the_connection_proves_the_host() -> None:
    assert judged(SEEN).summary == "the server process of this connection runs on db1 (pid 4711)"
    alike = replace(SEEN, titles=((99, SEEN.titles[0][1]), *SEEN.titles))
    assert judged(alike).summary == "the server process of this connection runs on db1 (pid 4711)"
    inside = replace(SEEN, titles=((99, SEEN.titles[0][1]),))
    found = judged(inside)
    assert found.status is Status.UNKNOWN
    assert found.summary.endswith("(pid 99, in a container): where its data lies on db1 is not seen")
    assert "[databases.orders] data_directory = { path =" in found.remedy


@pytest.mark.parametrize(
    ("backend", "status"),
    [
        (SEEN, Status.PASS),
        (ABSENT, Status.UNKNOWN),
        (replace(ABSENT, sees_all=False), Status.UNKNOWN),
        (ELSEWHERE, Status.FAIL),
        (replace(ELSEWHERE, sees_all=False), Status.UNKNOWN),
        (None, Status.UNKNOWN),
    ],
)
def test_without_the_process_the_address_proves_nothing(backend: Backend | None, status: Status) -> None:
    assert judged(backend).status is status


@pytest.mark.parametrize(
    ("idle_ms", "status"), [("2000", Status.UNKNOWN), ("0", Status.FAIL), ("7200000", Status.FAIL), ("x", Status.FAIL)]
)
def test_a_session_that_may_have_ended_before_the_look_proves_nothing(idle_ms: str, status: Status) -> None:
    settings = {"idle_session_timeout": {"setting": idle_ms}}
    found = judged(ELSEWHERE, replace(IDENTITY, session={"settings": json.dumps(settings)}))
    assert found.status is status
    assert ("after 2 s (idle_session_timeout)" in found.summary) is (status is Status.UNKNOWN)


def test_loopback_is_an_address_of_every_machine() -> None:
    local = replace(IDENTITY, server_address="127.0.0.1")
    assert judged(ABSENT, local).status is Status.FAIL
    assert "its address is one of the host's" in judged(ABSENT, local, Connect.TUNNEL).summary


@pytest.mark.parametrize("backend", [ABSENT, replace(ELSEWHERE, sees_all=False), None])
def test_somebody_answers_for_the_place_where_processes_are_hidden(backend: Backend | None) -> None:
    unseen = judged(backend)
    assert unseen.status is Status.UNKNOWN
    assert '[databases.orders] located_by = { by = "dba", on = ' in unseen.remedy
    said = Said(by="dba", on=MOMENT.date(), reason="podman ps on db1")
    found = judged(backend, located_by=said)
    assert (found.status, found.summary) == (
        Status.WARN,
        f"{unseen.summary}; said by D. Kaya (dba) on {MOMENT.date()}, not observed: podman ps on db1",
    )
    assert judged(ELSEWHERE, located_by=said).status is Status.FAIL, "what was seen is not overruled"


def test_a_failure_names_the_machine_to_correct() -> None:
    found = judged(ELSEWHERE)
    assert found.summary == "the server does not run on db1"
    assert "192.0.2.7" in found.actual
    assert "host in [databases.orders]" in found.remedy


def test_a_server_that_tells_no_port_is_not_looked_for() -> None:
    check = DatabaseHost(toy_plan(databases={"o": Database(id="o", host="db1", user=Account("release"))}), MOMENT)
    (subject,) = check.subjects()
    assert not check.follow_up(subject, identity=replace(IDENTITY, client_port=None))
