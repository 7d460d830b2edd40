"""Applications and their servers that misbehave, all in one plan, beside one that is as it should be."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from preflight.finding import Status
from preflight.reasons import Reason
from tests.cli.program import write_plan
from tests.misbehaving.certificates import LATE, MADE, Shown
from tests.misbehaving.conftest import HEAD, Told, WholeRun, leaving_nothing, run_whole
from tests.misbehaving.test_ssh import swallowing
from tests.sessions.http.asking import Talk, drips, floods, raw_server, read_request, says, stays_silent
from tests.site.machine import closed_port
from tests.site.site import Site

FAIL, UNKNOWN, PASS = Status.FAIL, Status.UNKNOWN, Status.PASS
OK = b"HTTP/1.1 200 OK\r\n"
UP = b'{"status":"UP","version":"4.1"}'
SOUND = OK + b"Content-Length: %d\r\n\r\n" % len(UP) + UP
GIB = 1024**3


def resets(first: bytes) -> Talk:
    """Sends `first` and then a reset in place of an end."""

    def talk(connection: socket.socket, _ended: threading.Event) -> None:
        read_request(connection)
        connection.sendall(first)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return talk


def sends(head: bytes, count: int) -> Talk:
    """`head` and then so many bytes, as far as the other end takes them."""

    def talk(connection: socket.socket, _ended: threading.Event) -> None:
        read_request(connection)
        connection.sendall(head)
        for _ in range(count // 65536):
            connection.sendall(b" " * 65536)

    return talk


def greeted(answer: bytes) -> Talk:
    """Sends `answer` to the greeting of TLS, in which no server finds a request, and closes."""

    def talk(connection: socket.socket, _ended: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    return talk


def dated(step: timedelta) -> Talk:
    """Says UP as a server whose clock is wrong by so much."""

    def talk(connection: socket.socket, ended: threading.Event) -> None:
        date = format_datetime(datetime.now(UTC) + step, usegmt=True).encode()
        says(OK + b"Date: %s\r\nContent-Length: %d\r\n\r\n" % (date, len(UP)) + UP)(connection, ended)

    return talk


def chunked(*rest: bytes) -> bytes:
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(rest)


@dataclass(frozen=True)
class Fault:
    """What a server does, and what the report must say of it."""

    talk: Talk
    told: Told
    more: str = ""
    """Further keys of the endpoint."""
    scheme: str = "http"


REDIRECT = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n"
FOLLOW = "follow_redirects = true"
BOMB = gzip.compress(b" " * 5_000_000)
LOGS = "read the logs of {} and of proxies before it on 127.0.0.1"
FAULTS: Mapping[str, Fault] = {
    "silent": Fault(stays_silent, Told(FAIL, Reason.HEADERS_LATE, "it takes the request and does not answer")),
    "dripping-status": Fault(drips(b"HTTP/1.1 2", b"0"), Told(FAIL, Reason.HEADERS_LATE, "does not answer")),
    "dripping-headers": Fault(drips(OK, b"X: y\r\n", 0.5), Told(FAIL, Reason.HEADERS_LATE, "does not answer")),
    "dripping-body": Fault(
        drips(OK + b"Content-Length: 60000\r\n\r\n", b" "),
        Told(FAIL, Reason.BODY_LATE, "it does not finish its answer", "it stopped in the body"),
    ),
    "stalling-tls": Fault(
        stays_silent, Told(FAIL, Reason.HANDSHAKE, "correct the port in the plan if it speaks no TLS"), "", "https"
    ),
    "plain-on-tls": Fault(
        greeted(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        Told(FAIL, Reason.PLAIN_HTTP, "correct the URL in the plan to http://"),
        "",
        "https",
    ),
    "closing-tls": Fault(
        greeted(b""), Told(FAIL, Reason.TLS_FAILED, "read the log of the server on 127.0.0.1"), "", "https"
    ),
    "loop": Fault(
        says(REDIRECT % b"/health"),
        Told(FAIL, None, "see what is there, perhaps a login or maintenance page", "it is redirect number 6"),
        FOLLOW,
    ),
    "redirect": Fault(
        says(REDIRECT % b"/login"), Told(FAIL, None, "set follow_redirects = true", "the plan allows no redirect")
    ),
    "away": Fault(
        says(REDIRECT % b"http://localhost.example.net/health"),
        Told(FAIL, None, "correct the URL in the plan", "another host, localhost.example.net"),
        FOLLOW,
    ),
    "interim-first": Fault(
        says(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + SOUND), Told(PASS, None, "")
    ),
    "of-tomorrow": Fault(
        dated(timedelta(days=1)),
        Told(
            UNKNOWN,
            None,
            "look at this machine's clock first",
            "ahead of this machine's clock: one of the two is wrong",
        ),
    ),
    "of-an-hour-ago": Fault(
        dated(timedelta(hours=-1)),
        Told(UNKNOWN, None, "where only its clock is wrong, as `samples = 3` would tell, have that set", "dated 1 h"),
    ),
    "endless-continue": Fault(
        floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500),
        Told(FAIL, Reason.HEADERS_TOO_LARGE, "send fewer and shorter headers, and one answer"),
    ),
    "endless-interim": Fault(
        floods(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 500),
        Told(FAIL, Reason.HEADERS_TOO_LARGE, "send fewer and shorter headers, and one answer"),
    ),
    "endless-headers": Fault(
        floods(OK, b"X: y\r\n" * 500),
        Told(FAIL, Reason.HEADERS_TOO_LARGE, "fewer and shorter", "more than 100 headers"),
    ),
    "header-of-1-mib": Fault(
        says(OK + b"X: " + b"y" * 1024**2 + b"\r\n\r\n" + UP),
        Told(FAIL, Reason.HEADERS_TOO_LARGE, "fewer and shorter headers", "more than 65536 bytes"),
    ),
    "short-of-its-length": Fault(
        says(OK + b"Content-Length: 5000\r\n\r\n" + UP),
        Told(FAIL, Reason.SHORT_BODY, LOGS.format("short-of-its-length"), f"{len(UP)} of 5000 bytes"),
    ),
    "past-its-length": Fault(
        says(OK + b"Content-Length: %d\r\n\r\n" % len(UP) + UP + b"\nbut the database is down"),
        Told(FAIL, Reason.BODY_LENGTH, "declare the length that its answer has", f"more came than the {len(UP)} bytes"),
    ),
    "two-lengths": Fault(
        says(OK + b"Content-Length: 31\r\nContent-Length: 32\r\n\r\n" + UP),
        Told(FAIL, Reason.BODY_LENGTH, "declare the length that its answer has", "makes no sense: 31, 32"),
    ),
    "odd-length": Fault(
        says(OK + b"Content-Length: many\r\n\r\n" + UP),
        Told(FAIL, Reason.BODY_LENGTH, "declare the length that its answer has", "makes no sense: many"),
    ),
    "no-last-chunk": Fault(
        says(chunked(b"%x\r\n" % len(UP), UP, b"\r\n")),
        Told(FAIL, Reason.SHORT_BODY, LOGS.format("no-last-chunk"), "ended before the body was complete"),
    ),
    "half-a-chunk": Fault(says(chunked(b"ff\r\n", UP)), Told(FAIL, Reason.SHORT_BODY, LOGS.format("half-a-chunk"))),
    "no-chunk-size": Fault(says(chunked(b"many\r\n", UP)), Told(FAIL, Reason.SHORT_BODY, LOGS.format("no-chunk-size"))),
    "gzip": Fault(
        says(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(UP)),
        Told(UNKNOWN, Reason.CONTENT_ENCODING, "heed `Accept-Encoding: identity`", "gzip-encoded"),
    ),
    "gzip-bomb": Fault(
        says(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB),
        Told(UNKNOWN, Reason.CONTENT_ENCODING, "heed `Accept-Encoding: identity`"),
    ),
    "declared-gib": Fault(
        sends(OK + b"Content-Length: %d\r\n\r\n" % GIB, GIB),
        Told(FAIL, Reason.BODY_TOO_LARGE, "name a health path in the plan that answers briefly", f"{GIB} bytes"),
    ),
    "sent-gib": Fault(
        sends(OK + b"\r\n" + UP, GIB),
        Told(FAIL, Reason.BODY_TOO_LARGE, "name a health path in the plan that answers briefly", "more than the 65536"),
    ),
    "endless-chunks": Fault(
        floods(chunked(), b"1;" + b"e" * 5000 + b"\r\nx\r\n"),
        Told(FAIL, Reason.BODY_TOO_LARGE, "name a health path", "without end"),
    ),
    "reset-at-once": Fault(resets(b""), Told(FAIL, Reason.ANSWER_LOST, "it breaks the connection off")),
    "reset-in-body": Fault(
        resets(OK + b"Content-Length: 5000\r\n\r\n" + UP),
        Told(FAIL, Reason.ANSWER_LOST, "before its answer is complete"),
    ),
    "no-word": Fault(says(b""), Told(FAIL, Reason.NO_RESPONSE, "it closes the connection without an answer")),
    "http-0.9": Fault(says(UP), Told(FAIL, Reason.NOT_HTTP, "something else than an HTTP server answers")),
    "ssh": Fault(says(b"SSH-2.0-OpenSSH_9.2\r\n"), Told(FAIL, Reason.NOT_HTTP, "something else than an HTTP server")),
    "not-http": Fault(says(b"\0\xff" * 100), Told(FAIL, Reason.NOT_HTTP, "something else than an HTTP server")),
}
"""Each spoken over a socket of its own."""


def endpoint(name: str, url: str, more: str = "") -> str:
    """The application `name` with this one."""
    return (
        f'[applications."{name}"]\nfrom = "4.1"\nto = "4.2"\nowner = "dba"\n\n[[applications."{name}".health]]\n'
        f'url = "{url}"\nversion = "version"\nsamples = 1\nmax_latency = "5s"\n{more}\n\n'
    )


def over_tls(shown: Shown) -> Talk:
    """Says UP to each request over TLS."""
    context = shown.context()

    def talk(connection: socket.socket, ended: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secured:
            try:
                secured.do_handshake()
                says(SOUND)(secured, ended)
            except OSError:
                ended.wait(60)  # closing at once may reset the connection before the client has read the alert

    return talk


CERTIFICATES: Mapping[str, Told] = {
    "expired": Told(FAIL, Reason.CERTIFICATE_EXPIRED, "renewed for 127.0.0.1", "has expired"),
    "not-yet": Told(FAIL, Reason.CERTIFICATE_NOT_YET_VALID, "compare the clocks of this machine and of 127.0.0.1"),
    "other-name": Told(FAIL, Reason.CERTIFICATE_NAME, "issued that names 127.0.0.1", "app2.example.net"),
    "no-name": Told(FAIL, Reason.CERTIFICATE_NAME, "issued that names 127.0.0.1", "CN=127.0.0.1"),
    "self-signed": Told(FAIL, Reason.SELF_SIGNED, "compare its fingerprint", "CN=127.0.0.1"),
    "unknown-authority": Told(FAIL, Reason.CERTIFICATE_UNTRUSTED, "the root of its issuer as `ca`", "CN=a stranger"),
    "no-intermediate": Told(FAIL, Reason.CERTIFICATE_UNTRUSTED, "have 127.0.0.1 send its intermediate", "CN=between"),
    "weak-key": Told(FAIL, Reason.CERTIFICATE_UNFIT, "without the fault that the finding names", "key too weak"),
    "weak-signature": Told(FAIL, Reason.CERTIFICATE_UNFIT, "without the fault", "digest algorithm"),
    "for-clients": Told(FAIL, Reason.CERTIFICATE_UNFIT, "without the fault that the finding names", "purpose"),
    "wants-one": Told(FAIL, Reason.CLIENT_CERTIFICATE, "name it at the endpoint: `client_cert`", "required"),
    "old-tls": Told(FAIL, Reason.TLS_PROTOCOL, "have TLS 1.2 or newer enabled on 127.0.0.1"),
    "revoked": Told(PASS, None, ""),
}


@pytest.fixture(scope="module")
def urls() -> dict[str, str]:
    """Of the applications, once they were asked."""
    return {}


@pytest.fixture(scope="module")
def asked(site: Site, urls: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    text = HEAD
    proxied: list[bytes] = []

    def proxy(connection: socket.socket, _ended: threading.Event) -> None:
        proxied.append(read_request(connection))

    with leaving_nothing(), ExitStack() as stack:
        app = site.start_app(not_after=LATE)
        stack.callback(app.close)
        app.answer_json({"status": "UP", "version": "4.1"})
        urls["healthy"] = app.url()
        text += endpoint("healthy", app.url(), f'ca = "{app.ca}"')
        urls["not-listening"] = f"http://127.0.0.1:{stack.enter_context(closed_port())}/health"
        text += endpoint("not-listening", urls["not-listening"])
        urls["swallowing"] = f"http://127.0.0.1:{stack.enter_context(swallowing())}/health"
        text += endpoint("swallowing", urls["swallowing"])
        for name, fault in FAULTS.items():
            url = stack.enter_context(raw_server(fault.talk)).replace("http", fault.scheme) + "/health"
            urls[name] = url
            text += endpoint(name, url, fault.more)
        for name in CERTIFICATES:
            folder = site.new_path("made")
            folder.mkdir()
            shown = MADE[name](site.authority, folder)
            urls[name] = stack.enter_context(raw_server(over_tls(shown))).replace("http", "https") + "/health"
            text += endpoint(name, urls[name], f'ca = "{shown.ca or site.authority.certificate}"')
        elsewhere = stack.enter_context(raw_server(proxy))
        proxies = {f"{kind}_proxy": elsewhere for kind in ("http", "https", "all")}
        proxies |= {name.upper(): value for name, value in proxies.items()}
        found = run_whole(write_plan(tmp_path_factory.mktemp("http"), text), **proxies)
    assert not proxied, "no proxy of the environment is used"
    return found


def test_the_application_beside_them_is_seen_well(asked: WholeRun, urls: Mapping[str, str]) -> None:
    assert asked.statuses(f"healthy {urls['healthy']}") == {"app-health": "pass"}, asked.findings(
        f"healthy {urls['healthy']}"
    )


def test_where_nothing_listens_the_application_is_to_be_started(asked: WholeRun, urls: Mapping[str, str]) -> None:
    told = Told(FAIL, Reason.NOT_LISTENING, "start not-listening on 127.0.0.1, or correct the port in the plan")
    asked.prove("app-health", f"not-listening {urls['not-listening']}", told, "not-listening")


def test_a_port_that_swallows_the_attempt_to_connect_is_not_held_against_it(
    asked: WholeRun, urls: Mapping[str, str]
) -> None:
    told = Told(UNKNOWN, Reason.NO_ANSWER, "have the way from this machine to 127.0.0.1 port", "did not answer within")
    asked.prove("app-health", f"swallowing {urls['swallowing']}", told, "swallowing")


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_of_an_answer_is_told(asked: WholeRun, urls: Mapping[str, str], name: str) -> None:
    asked.prove("app-health", f"{name} {urls[name]}", FAULTS[name].told, name)


@pytest.mark.parametrize("name", CERTIFICATES)
def test_each_fault_of_a_certificate_is_told(asked: WholeRun, urls: Mapping[str, str], name: str) -> None:
    asked.prove("app-health", f"{name} {urls[name]}", CERTIFICATES[name], name)
