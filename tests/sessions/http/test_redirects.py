"""A redirect is an answer of its own unless the plan allows it, and even then it stays on the same host."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from preflight.questions.http import HttpGet, HttpRequest
from preflight.sessions.http import redirect
from tests.sessions.http.asking import answered
from tests.site.https import HttpsApp
from tests.site.site import Site


def follow(app: HttpsApp, path: str = "/health", **more: object) -> HttpGet:
    return HttpGet("app1", HttpRequest(app.url(path), ca=str(app.ca), follow_redirects=True, **more))  # type: ignore[arg-type]


def send_on(app: HttpsApp, path: str, location: str, status: int = 302) -> None:
    app.answer(path, "moved", status=status, headers={"Location": location})


@contextlib.contextmanager
def named_app(site: Site, name: str) -> Iterator[HttpsApp]:
    app = site.start_app([name])
    try:
        yield app
    finally:
        app.close()


def test_a_redirect_to_a_login_page_is_the_answer_and_the_page_is_not_asked(https_app: HttpsApp) -> None:
    send_on(https_app, "/health", "/login")
    https_app.answer("/login", "<html>200</html>")
    answer = answered(HttpGet("app1", HttpRequest(https_app.url(), ca=str(https_app.ca))))
    assert answer.status == 302
    assert answer.location == https_app.url("/login")
    assert answer.redirect_refused == "the plan allows no redirect"
    assert answer.body == ""
    assert [path for _, path, _ in https_app.requests] == ["/health"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_allowed_redirect_on_the_same_host_is_followed_and_recorded(https_app: HttpsApp, status: int) -> None:
    send_on(https_app, "/health", "/status?full=1#top", status)
    https_app.answer_json({"status": "UP"}, "/status")
    answer = answered(follow(https_app))
    assert answer.status == 200
    assert answer.final_url == https_app.url("/status?full=1")
    assert [path for _, path, _ in https_app.requests] == ["/health", "/status?full=1"]


def test_a_redirect_to_the_server_name_asks_the_same_instance_again(site: Site) -> None:
    with named_app(site, "app1.example.net") as app:
        send_on(app, "/health", f"https://app1.example.net:{app.port}/status")
        app.answer_json({"status": "UP"}, "/status")
        answer = answered(follow(app, server_name="app1.example.net"))
        assert answer.status == 200
        assert answer.address == f"127.0.0.1:{app.port}"
        assert [path for _, path, _ in app.requests] == ["/health", "/status"]


def test_a_redirect_loop_ends_after_five(https_app: HttpsApp) -> None:
    send_on(https_app, "/health", "/health")
    answer = answered(follow(https_app))
    assert answer.status == 302
    assert len(https_app.requests) == 6
    assert answer.redirect_refused == "it is redirect number 6"


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://app1/health", "it leaves TLS"),
        ("ftp://app1/health", "no URL that can be asked"),
        ("file:///etc/passwd", "no URL that can be asked"),
        ("https://user:pw@app1/health", "no URL that can be asked"),
        ("//app2/health", "another host, app2"),
        ("https://app1.example.net/", "another host"),
        ("https://[::1/", "no URL that can be asked"),
        ("https://app1:99999/", "no URL that can be asked"),
    ],
)
def test_a_redirect_that_must_not_be_followed_says_why(location: str, why: str) -> None:
    first = HttpRequest("https://app1/health", follow_redirects=True)
    target, refused = redirect(first, first, location, 0)
    assert target is None
    assert why in refused


def test_a_redirect_from_plain_http_into_tls_is_followed() -> None:
    first = HttpRequest("http://app1/health", follow_redirects=True)
    target, refused = redirect(first, first, "https://app1/health", 0)
    assert target is not None
    assert (target.scheme, target.port, refused) == ("https", 443, "")


def test_a_redirect_without_a_usable_location_is_an_answer(https_app: HttpsApp) -> None:
    send_on(https_app, "/health", "https://[::1/")
    answer = answered(HttpGet("app1", HttpRequest(https_app.url(), ca=str(https_app.ca))))
    assert (answer.status, answer.location) == (302, "https://[::1/")
