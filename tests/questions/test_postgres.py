"""Rows about servers and roles: what is read of them, what is refused, and the search for a server process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.postgres import (
    SERVER_WIDE,
    AllowedProbe,
    Backend,
    BackendProbe,
    IdentityProbe,
    RolesProbe,
    SlotsProbe,
    SystemIdentifierProbe,
    TimelineProbe,
)
from tests.site.machine import needs_root

IDENTITY = {
    "user": "release",
    "database": "orders",
    "version_num": "150018",
    "in_recovery": "false",
    "server_address": "192.0.2.7",
    "client_port": "35540",
    "backend_pid": "4711",
    "cluster_name": "",
    "port": "5432",
    "started_ms": "1000",
    "asked_ms": "2000",
    "oid": "16390",
}
ROLE = {
    "name": "release",
    "can_login": "true",
    "is_superuser": "false",
    "connection_limit": "-1",
    "valid_until": None,
    "has_connect": "true",
    "sessions": "1",
}


def reply(text: str, code: int = 0, error: str = "", **session: str) -> Reply:
    return Reply(code, text, datetime(2026, 10, 16, tzinfo=UTC), 0.1, "from here as release", error, session)


def rows(*found: Mapping[str, Any]) -> Reply:
    return reply(json.dumps(found))


def test_an_identity_is_read() -> None:
    identity = IdentityProbe("orders").read(rows(IDENTITY))
    assert (identity.version_num, identity.in_recovery, identity.client_port) == (150018, False, 35540)
    local = {**IDENTITY, "server_address": None, "client_port": None}
    assert IdentityProbe("orders").read(rows(local)).client_port is None


@pytest.mark.parametrize(
    "broken",
    [
        reply("no JSON"),
        reply("{}"),
        reply("[1]"),
        rows(),
        rows(IDENTITY, IDENTITY),
        rows({**IDENTITY, "in_recovery": "t"}),
        rows({**IDENTITY, "backend_pid": "many"}),
        rows({**IDENTITY, "user": None}),
        rows({**IDENTITY, "version_num": 150018}),
        reply("", 1, "42501 permission denied"),
    ],
)
def test_rows_of_another_shape_are_refused(broken: Reply) -> None:
    with pytest.raises(Unreadable):
        IdentityProbe("orders").read(broken)


def test_a_pooler_shows_by_its_process() -> None:
    for backend_pid, pooled in (("4711", False), ("12", True)):
        found = IdentityProbe("orders").read(
            Reply(
                0, json.dumps([IDENTITY]), datetime(2026, 10, 16, tzinfo=UTC), 0.1, "", "", {"backend_pid": backend_pid}
            )
        )
        assert found.pooled is pooled


@pytest.mark.parametrize(
    ("epoch", "year"),
    [(None, None), ("1792188000", 2026), ("0", 1970), ("99999999999999", 9999), ("-99999999999999", 1)],
)
def test_the_end_of_a_role_is_read_however_far_it_is(epoch: str | None, year: int | None) -> None:
    until = RolesProbe("orders", ("release",)).read(rows({**ROLE, "valid_until": epoch}))["release"].valid_until
    assert (until and until.year) == year


def test_a_role_nobody_asked_for_is_refused() -> None:
    with pytest.raises(Unreadable):
        RolesProbe("orders", ("release",)).read(rows({**ROLE, "name": "other"}))
    assert RolesProbe("orders", ("release",)).read(rows()) == {}


def test_names_of_roles_are_literals() -> None:
    assert "IN (E'a''b\\\\c', 'd')" in RolesProbe("orders", ("a'b\\c", "d")).ask()


def test_a_system_identifier_that_may_not_be_seen_is_empty() -> None:
    for probe in (SystemIdentifierProbe("orders"), TimelineProbe("orders")):
        assert probe.read(rows({"value": "77"})) == "77"
        for error in ("42501 permission denied for function pg_control_system", "0A000 not supported for Aurora"):
            assert probe.read(reply("", 1, error)) == ""
        for lost in (reply("", 1, "42883 function pg_control_system() does not exist"), rows(), rows({"value": None})):
            with pytest.raises(Unreadable):
                probe.read(lost)


def test_what_a_server_allows_is_told_whole() -> None:
    told = [{"name": name, "setting": "1"} for name in SERVER_WIDE]
    probe = AllowedProbe("orders", ("a'b",), 150000)
    assert probe.read(rows(*told)) == dict.fromkeys(SERVER_WIDE, "1")
    assert "ARRAY['a''b']" in probe.ask()
    assert "pg_parameter_acl" in probe.ask()
    assert "pg_parameter_acl" not in AllowedProbe("orders", (), 140009).ask(), "which has none"
    with pytest.raises(Unreadable, match="a setting of the server is missing"):
        probe.read(rows(*told[1:]))


def test_slots_are_numbers() -> None:
    row = {"most": "97", "used": "10", "database_limit": "-1", "database_used": "3", "wal_senders": "10"}
    assert SlotsProbe("orders").read(rows(row)).most == 97
    assert "ARRAY[E'a''b\\\\c']" in SlotsProbe("orders", ("a'b\\c",)).ask()
    with pytest.raises(Unreadable):
        SlotsProbe("orders").read(rows({**row, "used": None}))


BACKEND = BackendProbe("db1", "release", "orders", 35540)
TITLE = "backend=4711 postgres: release orders 192.0.2.1(35540) idle "


def backend(text: str) -> Backend:
    return BACKEND.read(reply(text))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (TITLE, True),
        (TITLE.replace("postgres: ", "postgres: 15/main: "), True),
        (TITLE.replace("192.0.2.1(35540)", "::1(35540)"), True),
        (TITLE.replace("(35540) idle", "(35540)"), True),
        (TITLE.replace("35540", "3554"), False),
        (TITLE.replace("release", "other"), False),
        (TITLE.replace("orders", "billing"), False),
        (TITLE.replace("postgres: release", "postgres: xrelease"), False),
    ],
)
def test_a_title_must_fit_role_database_and_port(line: str, found: bool) -> None:
    assert bool(backend(f"{line}\nsees_all=yes\nend=yes\n").titles) is found


def test_addresses_of_the_host_are_read_from_whatever_tool_it_has() -> None:
    lines = ["inet 192.0.2.7/24", "inet addr:192.0.2.8", "inet6 fe80::1%eth0/64", "inet6 addr:", "inet nonsense"]
    found = backend("sees_all=no\n" + "".join(f"address={line}\n" for line in lines) + "end=yes\n")
    assert found.addresses == {"192.0.2.7", "192.0.2.8", "fe80::1"}
    assert not found.sees_all


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sees_all=yes\n",
        "sees_all=perhaps\nend=yes\n",
        "backend=x postgres: release orders a(35540)\nsees_all=yes\nend=yes\n",
        "sees_all=yes\naddress=inet \0\nend=yes\n",
    ],
)
def test_a_host_that_answers_otherwise_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        backend(text)


def run(*argv: str) -> Backend:
    done = subprocess.run([*argv], capture_output=True, text=True, check=True, timeout=60)
    assert not done.stderr
    return backend(done.stdout)


TITLED = "postgres: release orders 192.0.2.1(35540) idle"


@pytest.fixture
def server() -> Iterator[int]:
    """A process with the title of a server's; gives its id."""
    with subprocess.Popen(["bash", "-c", f'exec -a "{TITLED}" sleep 60']) as process:
        shown = Path(f"/proc/{process.pid}/cmdline")
        while not shown.read_text().startswith("postgres"):
            assert process.poll() is None
        yield process.pid
        process.kill()


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_process_with_the_title_is_found_and_only_that(shell: str, server: int) -> None:
    found = run(shell, "-c", BACKEND.ask())
    assert [(pid, shown.startswith(TITLED)) for pid, shown in found.titles] == [(server, True)]
    assert "127.0.0.1" in found.addresses


def test_without_such_a_process_nothing_is_found() -> None:
    assert run("sh", "-c", BACKEND.ask()).titles == ()


def test_in_a_process_namespace_of_its_own_the_host_shows_no_server(server: int) -> None:
    needs_root("make a process namespace")
    found = run("unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", BACKEND.ask())
    assert (found.titles, found.sees_all) == ((), True)
