"""The look at a database server's certificate: real, and at servers that misbehave. It never waits long."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from preflight.clock import Deadline, monotonic
from preflight.questions.certificates import Certificate
from preflight.sessions.postgres.certificate import shown_certificate
from preflight.sessions.postgres.login import ServerAddress
from tests.sessions.conftest import GENEROUS_SECONDS, LATE_SECONDS
from tests.sessions.postgres import fakes
from tests.site.certificates import Authority
from tests.site.postgres import Cluster

SHORT_SECONDS = 0.5


def look(port: int, seconds: float = GENEROUS_SECONDS, ca_file: str = "") -> Certificate | None:
    deadline = Deadline(seconds)
    with suppress(OSError, ValueError):
        return shown_certificate(
            ServerAddress.direct("127.0.0.1", port, "127.0.0.1").connect_again(deadline), ca_file, deadline
        )
    return None


@contextmanager
def answering(serve: fakes.Serve) -> Iterator[int]:
    with fakes.fake_server(serve) as (port, _):
        yield port


def test_the_server_logs_nothing_but_that_somebody_connected(postgres: Cluster) -> None:
    before = len(postgres.whole_log)
    for _ in range(5):
        certificate = look(postgres.port)
        assert certificate is not None
        assert "db1.test" in certificate.names
        assert not certificate.verified
    lines = postgres.whole_log[before:].splitlines()
    ours = re.compile(r" \[(\d+)\] LOG:  connection received: host=127\.0\.0\.1 ")
    processes = [found[1] for line in lines if (found := ours.search(line))]
    assert len(processes) == 5
    told = [line for line in lines if any(f" [{process}] " in line for process in processes)]
    assert len(told) == 5, told


@pytest.mark.parametrize("answer", [b"N", b"E", b"SSH-2.0-OpenSSH_9.2p1\r\n"])
def test_a_server_without_tls_shows_nothing(answer: bytes) -> None:
    with answering(fakes.says(answer)) as port:
        assert look(port) is None


def test_a_server_that_hangs_up_shows_nothing() -> None:
    with answering(fakes.closes) as port:
        assert look(port) is None


@pytest.mark.parametrize("serve", [fakes.silent, fakes.says(b"S")])
def test_a_server_that_says_nothing_more_is_left_at_the_deadline(serve: fakes.Serve) -> None:
    with answering(serve) as port:
        begun = monotonic()
        assert look(port, SHORT_SECONDS) is None
        assert monotonic() - begun < SHORT_SECONDS + LATE_SECONDS


def test_a_server_that_drips_is_left_at_the_deadline() -> None:
    """Each byte of a TLS record that never ends would start a time limit for one read anew."""

    def drips(connection: socket.socket) -> None:
        connection.recv(8)
        connection.sendall(b"S\x16\x03\x03\x40\x00")
        connection.settimeout(0.05)
        while True:
            connection.sendall(b"\x00")
            try:
                connection.recv(4096)
            except TimeoutError:
                continue

    with answering(drips) as port:
        begun = monotonic()
        assert look(port, SHORT_SECONDS) is None
        assert monotonic() - begun < SHORT_SECONDS + LATE_SECONDS


def test_a_server_that_does_not_hang_up_costs_a_second_and_not_the_certificate(tmp_path: Path) -> None:
    issued = Authority(tmp_path / "ca").issue(["db1.test"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)

    def stays(connection: socket.socket) -> None:
        connection.recv(8)
        connection.sendall(b"S")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(4096))
        fakes.silent(connection)

    with answering(stays) as port:
        begun = monotonic()
        certificate = look(port)
        assert monotonic() - begun < 1 + LATE_SECONDS
    assert certificate is not None
    assert certificate.names == ("db1.test",)
