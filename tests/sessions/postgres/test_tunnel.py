"""Databases through a channel of the host's SSH session."""

from __future__ import annotations

import re
import socket
import threading
from typing import Any

import pytest

from preflight.clock import Deadline, monotonic, now
from preflight.plan import Account as Login
from preflight.plan import Connect, Host, SslMode
from preflight.probe import NoReply
from preflight.questions.certificates import Certificate
from preflight.reasons import Reason
from preflight.sessions import SessionFailed
from preflight.sessions.postgres.tunnel import Tunnel
from tests.sessions.conftest import GENEROUS_SECONDS, LATE_SECONDS, MakePool
from tests.sessions.postgres import fakes
from tests.sessions.postgres.asking import Asker, ask, asker, no_reply, reply, role, rows
from tests.site.accounts import Account
from tests.site.certificates import Authority
from tests.site.postgres import Cluster, DatabaseRole
from tests.site.site import Site
from tests.site.sshd import Sshd

__all__ = ["asker", "role"]


def tunnelled(postgres: Cluster) -> dict[str, Any]:
    return {
        "connect": Connect.TUNNEL,
        "address": "",
        "server_name": "db1.test",
        "sslmode": SslMode.VERIFY_FULL,
        "sslrootcert": postgres.ca,
    }


def test_certificates_are_verified_through_the_tunnel(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    pool = asker.pool(role, postgres.port, **tunnelled(postgres))
    answer = reply(ask(pool, "SELECT 1 AS one"))
    assert answer.vantage == f"through db1 as {role.name}"
    assert (answer.session["tunnel"], answer.session["address"]) == ("db1", f"127.0.0.1:{postgres.port}")
    assert answer.session["ssl"] == "TLSv1.3"
    # One for the login, one for a look at the certificate.
    assert asker.forward.opened == [("db1", "127.0.0.1", postgres.port)] * 2
    certificate = Certificate.in_session(answer.session)
    assert certificate is not None
    assert "db1.test" in certificate.names
    assert rows(ask(pool, "SELECT length(repeat('x', 900000)) AS long")) == [{"long": "900000"}]
    assert len(rows(ask(pool, "SELECT repeat('x', 900000) AS long"))[0]["long"]) == 900000


def test_an_untrusted_certificate_behind_the_tunnel(
    asker: Asker, postgres: Cluster, role: DatabaseRole, site: Site
) -> None:
    other = Authority(site.new_path("ca")).certificate
    answer = no_reply(asker.login(role, postgres.port, **{**tunnelled(postgres), "sslrootcert": other}))
    assert answer.reason is Reason.CERTIFICATE_UNTRUSTED
    assert len(asker.forward.opened) == 2, "one for the login, one for a look at the certificate"


def test_a_channel_that_the_host_refuses_is_the_reason(asker: Asker, role: DatabaseRole) -> None:
    pool = asker.pool(role, 5432, connect=Connect.TUNNEL)

    def refuse(*_: object) -> fakes.FakeChannel:
        detail = "db1: the server does not allow port forwarding"
        raise SessionFailed(NoReply(Reason.FORWARDING_REFUSED, detail, now()))

    pool.open_channel = refuse  # type: ignore[assignment]
    answer = no_reply(ask(pool, "SELECT 1"))
    assert answer.reason is Reason.FORWARDING_REFUSED
    assert answer.detail == "app1: through db1: db1: the server does not allow port forwarding"


def test_a_channel_that_is_lost_meanwhile(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    pool = asker.pool(role, postgres.port, **tunnelled(postgres))
    reply(ask(pool, "SELECT 1"))
    asker.forward.channels[0].close()
    assert no_reply(ask(pool, "SELECT 2")).reason is Reason.CONNECTION_LOST


def test_a_frozen_server_behind_the_tunnel(asker: Asker, role: DatabaseRole) -> None:
    with fakes.fake_server(fakes.silent) as (port, _):
        answer = no_reply(asker.login(role, port, seconds=0.5, connect=Connect.TUNNEL, address=""))
    assert answer.reason is Reason.TARGET_LIMIT


def test_a_stranger_on_this_machine_is_not_let_in(postgres: Cluster) -> None:
    forward = fakes.Forwarder()
    tunnel = Tunnel(forward("db1", "127.0.0.1", postgres.port, Deadline(5)))
    stranger = socket.create_connection(("127.0.0.1", tunnel.port))
    friend = socket.create_connection(("127.0.0.1", tunnel.port))
    tunnel.admit(friend.getsockname()[1])
    stranger.settimeout(5)
    assert stranger.recv(1) == b""
    friend.settimeout(5)
    friend.sendall(bytes.fromhex("0000000804d2162f"))
    assert friend.recv(1) == b"S"
    with socket.socket() as late:
        assert late.connect_ex(("127.0.0.1", tunnel.port)) != 0, "the listener is still there"
    tunnel.close()
    tunnel.close()
    stranger.close()
    friend.close()
    for thread in threading.enumerate():
        if thread.name.startswith("tunnel"):
            thread.join(3)
            assert not thread.is_alive()


def test_a_tunnel_that_is_closed_as_its_client_is_let_in_ends_without_a_word(
    postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen once in a full run: an interruption in that moment left a traceback of the thread."""
    let_in = Tunnel._accept

    def interrupted(tunnel: Tunnel, client_port: int, deadline: Deadline) -> socket.socket | None:
        found = let_in(tunnel, client_port, deadline)
        assert found is not None
        tunnel.close()
        return found

    died: list[object] = []
    monkeypatch.setattr(Tunnel, "_accept", interrupted)
    monkeypatch.setattr(threading, "excepthook", died.append)
    tunnel = Tunnel(fakes.Forwarder()("db1", "127.0.0.1", postgres.port, Deadline(5)))
    with tunnel.dial() as client:
        client.settimeout(GENEROUS_SECONDS)
        assert client.recv(1) == b""
        tunnel.finish(GENEROUS_SECONDS)
    assert died == []


def test_a_real_sshd_carries_the_connection(
    asker: Asker, postgres: Cluster, role: DatabaseRole, sshd: Sshd, good_account: Account, make_pool: MakePool
) -> None:
    host = Host(id="db1", address=sshd.address, port=sshd.port, user=Login(good_account.name), key=good_account.key)
    ssh = make_pool(host, known_hosts=sshd.known_hosts_lines())
    pool = asker.pool(role, postgres.port, **tunnelled(postgres))
    pool.open_channel = ssh.open_channel
    before = len(postgres.whole_log)
    answer = reply(ask(pool, "SELECT inet_client_addr()::text AS client"))
    assert answer.session["ssl"] == "TLSv1.3"
    nowhere = asker.pool(role, 1, **tunnelled(postgres))
    nowhere.open_channel = ssh.open_channel
    refused = no_reply(ask(nowhere, "SELECT 1"))
    assert refused.reason is Reason.FORWARDING_REFUSED
    for used in (pool, nowhere):
        used.close()
    log = postgres.whole_log[before:]
    authorized = re.search(rf"(\[\d+\]) LOG:  connection authorized: user={role.name}", log)
    assert authorized
    of_it = [line for line in log.splitlines() if authorized[1] in line]  # a test before may still be told of its own
    assert not any("could not" in line for line in of_it), "the server was told goodbye"


def test_a_tunnel_does_not_wait_long_for_a_server_that_never_hangs_up() -> None:
    over = threading.Event()

    def never_hangs_up(connection: socket.socket) -> None:
        fakes.silent(connection)
        over.wait(GENEROUS_SECONDS)

    with fakes.fake_server(never_hangs_up) as (port, _):
        tunnel = Tunnel(fakes.Forwarder()("db1", "127.0.0.1", port, Deadline(5)))
        client = socket.create_connection(("127.0.0.1", tunnel.port))
        tunnel.admit(client.getsockname()[1])
        client.sendall(b"X")
        client.close()
        begun = monotonic()
        tunnel.finish(0.3)
        assert monotonic() - begun < 0.3 + LATE_SECONDS
        over.set()
    for thread in threading.enumerate():
        if thread.name.startswith("tunnel"):
            thread.join(2)
            assert not thread.is_alive()
