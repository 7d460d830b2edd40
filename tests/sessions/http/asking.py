"""Servers that answer wrongly, byte by byte, and the way the tests ask them."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from preflight.clock import Deadline
from preflight.probe import Answer, NoReply, Question, Reply
from preflight.questions.http import HttpAnswer, HttpGet, Samples
from preflight.sessions.http import HttpSession
from preflight.sessions.secrets import Secrets
from tests.site.certificates import Certificate

Talk = Callable[[socket.socket, threading.Event], None]
"""What a server does with one connection; the event is set when the test ends."""


@contextlib.contextmanager
def raw_server(talk: Talk, certificate: Certificate | None = None) -> Iterator[str]:
    """A server that does exactly what `talk` says, over TLS where a certificate is given. Gives its base URL."""
    ended = threading.Event()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(10)
            if context is None:
                talk(connection, ended)
            else:
                with context.wrap_socket(connection, server_side=True) as secured:
                    talk(secured, ended)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), name="fake-http", daemon=True).start()

    threading.Thread(target=accept, name="fake-http-accept", daemon=True).start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def read_request(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        more = connection.recv(4096)
        if not more:
            break
        request += more
    return request


def says(answer: bytes) -> Talk:
    """Sends `answer` to any request and closes."""

    def talk(connection: socket.socket, _ended: threading.Event) -> None:
        read_request(connection)
        connection.sendall(answer)

    return talk


def says_in_turn(*answers: bytes) -> Talk:
    """The first answer to the first request, and so on, from the first again after the last."""
    turns = itertools.cycle(answers)

    def talk(connection: socket.socket, ended: threading.Event) -> None:
        says(next(turns))(connection, ended)

    return talk


def drips(first: bytes, drop: bytes, seconds: float = 0.05) -> Talk:
    """Sends `first` at once and then `drop` after `drop` until the test ends."""

    def talk(connection: socket.socket, ended: threading.Event) -> None:
        read_request(connection)
        connection.sendall(first)
        while not ended.wait(seconds):
            connection.sendall(drop)

    return talk


def floods(first: bytes, block: bytes) -> Talk:
    """Sends `block` without end, as fast as it can."""

    def talk(connection: socket.socket, ended: threading.Event) -> None:
        read_request(connection)
        connection.sendall(first)
        while not ended.is_set():
            connection.sendall(block)

    return talk


def stays_silent(_connection: socket.socket, ended: threading.Event) -> None:
    """Accepts and never says a word."""
    ended.wait(30)


def ask_all(folder: Path, probes: Sequence[HttpGet], seconds: float = 20.0) -> list[Answer]:
    """The answers in the order of the probes; each question is answered exactly once."""
    answers: dict[str, Answer] = {}

    def deliver(question: Question, answer: Answer) -> None:
        assert question.id not in answers, "answered twice"
        answers[question.id] = answer

    HttpSession(folder, Secrets(folder)).ask([probe.question() for probe in probes], Deadline(seconds), deliver)
    return [answers[probe.question().id] for probe in probes]


def ask(probe: HttpGet, folder: Path = Path(), seconds: float = 20.0) -> Answer:
    return ask_all(folder, [probe], seconds)[0]


def sampled(probe: HttpGet, folder: Path = Path()) -> Samples:
    answer = ask(probe, folder)
    assert isinstance(answer, Reply), answer
    return probe.read(answer)


def answered(probe: HttpGet, folder: Path = Path()) -> HttpAnswer:
    [answer] = sampled(probe, folder).answers
    return answer


def lost(probe: HttpGet, folder: Path = Path(), seconds: float = 20.0) -> NoReply:
    answer = ask(probe, folder, seconds)
    assert isinstance(answer, NoReply), answer
    return answer
