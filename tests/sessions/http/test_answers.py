"""What the HTTP session makes of good, odd and broken answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from preflight.clock import monotonic
from preflight.probe import Answer, NoReply, Reply
from preflight.questions.http import LARGEST_BODY_BYTES, HttpGet, HttpRequest
from preflight.reasons import Reason
from preflight.sessions import dial
from preflight.sessions import http as http_module
from tests.sessions.conftest import LATE_SECONDS
from tests.sessions.http.asking import (
    Talk,
    answered,
    ask_all,
    drips,
    lost,
    raw_server,
    read_request,
    sampled,
    says,
    stays_silent,
)
from tests.site.https import HttpsApp
from tests.site.machine import closed_port
from tests.site.site import Site

HUNG_SECONDS = 2.0
"""For servers that hang after the handshake, which must be over by then."""
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def get(url: str, **more: object) -> HttpGet:
    return HttpGet("app1", HttpRequest(url, **more))  # type: ignore[arg-type]


def app_get(app: HttpsApp, path: str = "/health", **more: object) -> HttpGet:
    return get(app.url(path), **{"ca": str(app.ca), **more})


def test_a_healthy_application_is_reported_with_everything_a_check_needs(https_app: HttpsApp) -> None:
    https_app.answer_json({"status": "UP"})
    answer = answered(app_get(https_app))
    assert (answer.status, answer.body) == (200, '{"status": "UP"}')
    assert answer.body_bytes == 16
    assert answer.final_url == https_app.url()
    assert answer.headers["content-type"] == "application/json"
    assert answer.address == f"127.0.0.1:{https_app.port}"
    assert 0 < answer.latency_seconds < 5
    assert answer.certificate is not None
    assert answer.certificate.verified
    assert answer.certificate.names == ("localhost", "127.0.0.1")


def test_the_request_asks_for_a_fresh_plain_answer_and_is_a_get(https_app: HttpsApp) -> None:
    https_app.answer_json({})
    answered(app_get(https_app, "/health?deep=1"))
    [(method, path, headers)] = https_app.requests
    assert (method, path) == ("GET", "/health?deep=1")
    assert headers["Cache-Control"] == "no-cache"
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Connection"] == "close"
    assert headers["User-Agent"].startswith("preflight/")
    assert headers["Host"] == f"127.0.0.1:{https_app.port}"
    assert "Authorization" not in headers
    assert "Cookie" not in headers


def test_an_error_status_is_an_answer_with_its_body(https_app: HttpsApp) -> None:
    https_app.answer_json({"status": "DOWN"}, status=503)
    answer = answered(app_get(https_app))
    assert (answer.status, answer.body) == (503, '{"status": "DOWN"}')


def test_a_cached_answer_keeps_the_headers_that_give_it_away(https_app: HttpsApp) -> None:
    https_app.answer("/health", "{}", headers={"Age": "86400", "X-Cache": "HIT"})
    headers = answered(app_get(https_app)).headers
    assert (headers["age"], headers["x-cache"]) == ("86400", "HIT")


def test_an_ipv6_literal_is_asked(site: Site) -> None:
    app = site.start_app(["::1"], address="::1")
    try:
        app.answer_json({"status": "UP"})
        answer = answered(app_get(app))
        assert answer.status == 200
        assert answer.address == f"[::1]:{app.port}"
        assert app.requests[0][2]["Host"] == f"[::1]:{app.port}"
    finally:
        app.close()


def test_a_server_name_is_used_for_certificate_and_host_header_while_the_address_is_asked(site: Site) -> None:
    app = site.start_app(["app1.example.net"])
    try:
        app.answer_json({"status": "UP"})
        assert answered(app_get(app, server_name="app1.example.net")).status == 200
        assert app.requests[0][2]["Host"] == f"app1.example.net:{app.port}"
    finally:
        app.close()


def test_localhost_is_one_machine_by_whichever_of_its_addresses(https_app: HttpsApp) -> None:
    """It may also be ::1, where this server does not listen."""
    https_app.answer_json({"status": "UP"})
    probe = get(https_app.url(host="localhost"), ca=str(https_app.ca))
    assert answered(probe).address == f"127.0.0.1:{https_app.port}"


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Lets every name stand for these addresses."""

    def found(_name: str, port: int, **_more: object) -> list[tuple[object, ...]]:
        families = [socket.AF_INET6 if ":" in each else socket.AF_INET for each in addresses]
        return [(family, 1, 6, "", (each, port)) for family, each in zip(families, addresses, strict=True)]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def test_every_address_of_a_name_is_asked_as_often_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(says(OK + b"\r\n")) as url:
        resolving(monkeypatch, "127.0.0.1", "127.0.0.2")
        port = url.rpartition(":")[2]
        seen = sampled(get(f"http://app1:{port}/", samples=3))
    assert [each.address for each in seen.answers] == [f"127.0.0.1:{port}"] * 3
    [lost] = seen.lost  # what does not answer is not asked again
    assert lost.reason is Reason.NOT_LISTENING
    assert seen.left_out == ()


def test_of_addresses_that_all_fail_the_most_telling_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "127.0.0.1", "127.0.0.2")
    with closed_port() as port:
        seen = lost(get(f"http://app1:{port}/"))
    assert seen.reason is Reason.NOT_LISTENING
    assert f"127.0.0.1:{port}" in seen.detail
    assert f"127.0.0.2:{port}" in seen.detail


def test_an_address_of_a_family_without_a_route_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(says(OK + b"\r\n")) as url:
        resolving(monkeypatch, "2001:db8::7", "127.0.0.1")
        monkeypatch.setattr(dial, "_has_route", lambda family, _where: family == socket.AF_INET)
        port = url.rpartition(":")[2]
        seen = sampled(get(f"http://app1:{port}/"))
    assert [each.address for each in seen.answers] == [f"127.0.0.1:{port}"]
    assert seen.left_out == (f"[2001:db8::7]:{port}",)
    assert seen.lost == ()


def test_the_samples_of_one_address_have_time_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "SECONDS_APART", 0.05)
    with raw_server(says(OK + b"\r\n")) as url:
        first, second, third = sampled(get(url, samples=3)).answers
    for earlier, later in ((first, second), (second, third)):
        assert (later.asked_at - earlier.asked_at).total_seconds() >= 0.05 + earlier.latency_seconds


def test_whoever_waits_for_the_next_sample_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one request at a time, the second endpoint is asked while the first one waits."""
    monkeypatch.setattr(http_module, "SECONDS_APART", 0.2)
    monkeypatch.setattr(http_module, "MOST_AT_ONCE", 1)
    asked: list[bytes] = []

    def talk(connection: socket.socket, _ended: threading.Event) -> None:
        asked.append(read_request(connection).split()[1])
        connection.sendall(OK + b"\r\n")

    with raw_server(talk) as url:
        ask_all(Path(), [get(f"{url}/{name}", samples=2) for name in "ab"])
    assert asked == [b"/a", b"/b", b"/a", b"/b"]


def test_non_ascii_characters_in_a_path_are_quoted(https_app: HttpsApp) -> None:
    https_app.answer_json({"status": "UP"}, "/gesundheit/%C3%BCber%20sicht")
    assert answered(app_get(https_app, "/gesundheit/über%20sicht")).status == 200


def test_endpoints_of_one_application_are_asked_at_the_same_time(https_app: HttpsApp) -> None:
    for number in range(8):
        https_app.answer_json({"status": "UP"}, f"/{number}", delay_seconds=0.3)
    answers = ask_all(Path(), [app_get(https_app, f"/{number}") for number in range(8)])
    assert len(answers) == 8
    first_end = min(answer.asked_at + timedelta(seconds=answer.took_seconds) for answer in answers)
    assert sum(answer.asked_at < first_end for answer in answers) > 1, "one after the other"


def test_one_hanging_endpoint_costs_only_itself(https_app: HttpsApp) -> None:
    https_app.answer_json({"status": "UP"})
    with raw_server(stays_silent) as url:
        slow, quick = ask_all(Path(), [get(url, max_seconds=0.5), app_get(https_app)])
    assert isinstance(slow, NoReply)
    assert slow.reason is Reason.HEADERS_LATE
    assert isinstance(quick, Reply)
    assert quick.code == 200


DRIPPING: dict[str, tuple[Talk, Reason]] = {
    "silence": (stays_silent, Reason.HEADERS_LATE),
    "status line": (drips(b"", b"H"), Reason.HEADERS_LATE),
    "header": (drips(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"), Reason.HEADERS_LATE),
    "100 Continue": (drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), Reason.HEADERS_LATE),
    "declared body": (drips(OK + b"Content-Length: 5000\r\n\r\n", b"x"), Reason.BODY_LATE),
    "undeclared body": (drips(OK + b"\r\n", b"x"), Reason.BODY_LATE),
    "chunks": (drips(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), Reason.BODY_LATE),
}
"""Servers that never come to an end, and the phase they are seen in last."""


@pytest.fixture(scope="module")
def dripped(site: Site) -> Mapping[tuple[str, bool], Answer]:
    """The answers of all `DRIPPING` servers, with and without TLS, which are asked side by side."""
    certificate = site.authority.issue()
    probes = {}
    with ExitStack() as stack:
        for name, (talk, _) in DRIPPING.items():
            for secured in (None, certificate):
                url = stack.enter_context(raw_server(talk, secured))
                probe = get(url, ca=str(site.authority.certificate), max_seconds=HUNG_SECONDS)
                probes[name, secured is not None] = probe
        begun = monotonic()
        answers = ask_all(Path(), list(probes.values()))
        assert monotonic() - begun < HUNG_SECONDS + LATE_SECONDS
    return dict(zip(probes, answers, strict=True))


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("name", DRIPPING)
def test_a_server_that_drips_ends_at_the_deadline(
    dripped: Mapping[tuple[str, bool], Answer], name: str, secured: bool
) -> None:
    answer = dripped[name, secured]
    assert isinstance(answer, NoReply), answer
    assert answer.reason is DRIPPING[name][1]


def test_the_runs_nearer_deadline_is_not_held_against_the_application() -> None:
    with raw_server(stays_silent) as url:
        begun = monotonic()
        answer = lost(get(url, max_seconds=10), seconds=0.4)
        assert monotonic() - begun < 0.4 + LATE_SECONDS
    assert answer.reason is Reason.RUN_DEADLINE


def test_a_name_lookup_that_takes_too_long_is_not_held_against_the_application(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def takes_long(*_arguments: object, **_keywords: object) -> list[object]:
        threading.Event().wait(0.1)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]

    monkeypatch.setattr(socket, "getaddrinfo", takes_long)
    answer = lost(get("http://app1.example.net/", max_seconds=0.05))
    assert answer.reason is Reason.NAME_SERVICE
    assert "gave no address for app1.example.net" in answer.detail


@pytest.mark.case(42)
@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 103\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 3,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
    ],
    ids=["103 without words", "103", "102 three times", "100 and 103"],
)
def test_an_interim_response_is_not_the_answer(interim: bytes) -> None:
    with raw_server(says(interim + OK + b"Content-Length: 2\r\n\r\nok")) as url:
        answer = answered(get(url))
    assert (answer.status, answer.body) == (200, "ok")


def test_a_change_of_protocol_that_nobody_asked_for_is_the_answer() -> None:
    with raw_server(says(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")) as url:
        assert answered(get(url)).status == 101


def test_a_body_at_the_cap_is_complete(https_app: HttpsApp) -> None:
    https_app.answer("/health", b"x" * LARGEST_BODY_BYTES)
    assert answered(app_get(https_app)).body_bytes == LARGEST_BODY_BYTES


def test_a_server_that_keeps_the_connection_open_does_not_delay_a_complete_answer() -> None:
    def talk(connection: socket.socket, ended: threading.Event) -> None:
        read_request(connection)
        connection.sendall(OK + b"Content-Length: 2\r\nConnection: keep-alive\r\n\r\n{}")
        ended.wait(20)

    with raw_server(talk) as url:
        answer = answered(get(url))
    assert answer.body == "{}"
    assert answer.latency_seconds < 8


def test_a_chunked_answer_is_put_together() -> None:
    with raw_server(says(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")) as url:
        answer = answered(get(url))
    assert answer.body == "{}"


def test_a_name_that_does_not_exist_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_arguments: object, **_keywords: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    answer = lost(get("http://no-such-name.invalid/"))
    assert answer.reason is Reason.NO_SUCH_NAME


def test_text_in_a_declared_character_set_is_decoded() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=ISO-8859-1\r\nContent-Length: 4\r\n\r\n"
    with raw_server(says(head + "größ".encode("latin-1"))) as url:
        assert answered(get(url)).body == "größ"


def test_bytes_that_are_no_text_do_not_stop_the_reading() -> None:
    with raw_server(says(OK + b"Content-Length: 4\r\n\r\n\xff\x00\xfe!")) as url:
        answer = answered(get(url))
    assert (answer.body, answer.body_bytes) == ("\ufffd\x00\ufffd!", 4)
