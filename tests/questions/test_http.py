"""The text of a request, the reading of an answer, and the strict reading of JSON bodies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.plan import SecretRef
from preflight.probe import NoReply, Reply, Unreadable
from preflight.questions.certificates import Certificate
from preflight.questions.http import HttpAnswer, HttpGet, HttpRequest, Samples, reply_text
from preflight.questions.http_secrets import SecretHeader
from preflight.questions.json_body import BodyError, Number, equals, parse_json, place_of, shown, value_at
from preflight.reasons import Reason

AT = datetime(2026, 10, 16, tzinfo=UTC)


def test_the_question_reads_like_a_request() -> None:
    request = HttpRequest(
        "https://192.0.2.7/health",
        "app1.example.net",
        "ca.pem",
        follow_redirects=True,
        max_seconds=2.5,
        samples=3,
        headers=(
            SecretHeader("Authorization", SecretRef("env", "PW"), user="monitor"),
            SecretHeader("X-Api-Key", SecretRef("file", "a b")),
        ),
        client_cert="a.crt",
        client_key="a.key",
    )
    probe = HttpGet("app1", request)
    assert probe.ask().splitlines() == [
        "GET https://192.0.2.7/health",
        "server-name: app1.example.net",
        "trust: file ca.pem",
        "redirects: same host",
        "header Authorization: Basic, user monitor, password env:PW",
        "header X-Api-Key: file:a b",
        "client certificate: a.crt",
        "its key: a.key",
        "body: at most 65536 bytes",
        "time: at most 2.5 s",
        "every address of the name: 3 times",
    ]
    assert probe.question().timeout_seconds == 3 * 2.5 + 2


def test_a_plain_question_leaves_out_what_is_not_set() -> None:
    assert HttpGet("app1", HttpRequest("http://app1/")).ask().splitlines() == [
        "GET http://app1/",
        "trust: system",
        "redirects: refused",
        "body: at most 65536 bytes",
        "time: at most 10 s",
        "every address of the name: 1 time",
    ]


@given(
    st.builds(
        HttpRequest,
        st.sampled_from(
            ["https://app1/health", "http://[::1]:8080/", "https://xn--gre-6ka8i.example/ä?q=1", "HTTPS://A/"]
        ),
        st.sampled_from(["", "app1.example.net"]),
        st.sampled_from(["", "ca.pem", "a folder/ca of ours.pem", "system"]),
        st.booleans(),
        st.sampled_from([0.001, 1.0, 2.5, 3600.0]),
        st.sampled_from([1, 3, 20]),
        st.lists(
            st.builds(
                SecretHeader,
                st.sampled_from(["Authorization", "X-Api-Key"]),
                st.sampled_from([SecretRef("prompt"), SecretRef("command", "pass show a:b, password env:X")]),
                st.booleans(),
            )
            | st.builds(SecretHeader, st.just("Authorization"), st.just(SecretRef("env", "PW")), user=st.just("a,b")),
            max_size=2,
        ).map(tuple),
    )
)
def test_a_request_is_read_back_from_its_text(request_: HttpRequest) -> None:
    assert HttpRequest.parse(request_.text()) == request_


@pytest.mark.parametrize("text", ["", "GET", "POST http://a/", "GET http://a/\ntrust: system\nredirects: refused"])
def test_what_is_no_request_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the text"):
        HttpRequest.parse(text)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "app1/health",
        "ftp://app1/health",
        "file:///etc/passwd",
        "https:///health",
        "https://:8443/",
        "https://app1:port/",
        "https://app1:70000/",
        "https://app1/a b",
        "https://app1/\nGET /other",
        "https://app1/\r\nHost: x",
        "https://app1/\x00",
        "https://app1/\u00a0",
        "https://[::1/",
        "https://größe.example/",
    ],
)
def test_a_url_nobody_should_ask_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        HttpGet("app1", HttpRequest(url)).question()


@pytest.mark.parametrize(
    "url",
    ["https://me:hunter2@app1/", "https://hunter2@app1/", "ftp://me:hunter2@app1/", "https://me:hunter2@app1:port/",
     "https://:hunter2@/"],
)  # fmt: skip
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        HttpRequest(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "fields", [{"server_name": "a b"}, {"ca": "a\nb"}, {"client_key": "a\nb"}, {"max_seconds": 0.0}, {"samples": 0}]
)
def test_a_field_that_would_break_the_text_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        HttpRequest("https://app1/", **fields)


@pytest.mark.parametrize(
    ("url", "server_name", "host", "port", "header", "path"),
    [
        ("https://App1.Example.net", "", "app1.example.net", 443, "app1.example.net", "/"),
        ("https://app1:443/x", "", "app1", 443, "app1", "/x"),
        ("http://app1:8080/x?a=b c".replace(" ", "%20"), "", "app1", 8080, "app1:8080", "/x?a=b%20c"),
        ("https://[2001:db8::7]:8443/", "", "2001:db8::7", 8443, "[2001:db8::7]:8443", "/"),
        ("https://192.0.2.7/", "app1.example.net", "192.0.2.7", 443, "app1.example.net", "/"),
        ("https://app1/ö?ü#frag", "", "app1", 443, "app1", "/%C3%B6?%C3%BC"),
    ],
)
def test_what_goes_over_the_wire_follows_from_the_url(
    url: str, server_name: str, host: str, port: int, header: str, path: str
) -> None:
    request = HttpRequest(url, server_name)
    assert (request.host, request.port, request.host_header, request.path) == (host, port, header, path)


CERTIFICATE = Certificate(AT, "CN=app1", "CN=ca", ("app1",), "ab" * 32, verified=True)


def reply(text: str) -> Reply:
    return Reply(200, text, AT, 0.25, "from here")


ANSWER = HttpAnswer(200, "{}", 99, "https://a/b", "", "", {"age": "7"}, AT, 0.25, "192.0.2.7:443", CERTIFICATE)
LOST = NoReply(Reason.NOT_LISTENING, "192.0.2.8:443 refused", AT, 0.1, "from here", {"certificate": "{}"})


@pytest.mark.long
@given(st.lists(st.text() | st.sampled_from(["", "\n", "\n{", "\n {", '{"reason": "x"}', "a\n\n b\r\n"]), min_size=1))
def test_samples_are_read_back_whole_whatever_their_bodies_hold(bodies: list[str]) -> None:
    samples = [replace(ANSWER, body=body) for body in bodies]
    text = reply_text([LOST, *samples, LOST], ["[2001:db8::1]:443"])
    found = HttpGet("app1", HttpRequest("https://a/")).read(reply(text))
    assert found == Samples(tuple(samples), (LOST, LOST), ("[2001:db8::1]:443",))


@pytest.mark.parametrize("change", [
    lambda lines: lines[:-1], lambda lines: lines[1:], lambda lines: [lines[0], *lines],
    lambda lines: lines[2:], lambda lines: [*lines[:-3], lines[-1]], lambda lines: [*lines[:3], *lines[4:]],
])  # fmt: skip
def test_samples_and_lines_of_bodies_that_are_missing_or_doubled_are_no_answer(
    change: Callable[[list[str]], list[str]],
) -> None:
    """An address or a sample that nobody sees is one that may be ill."""
    probe, sample = HttpGet("app1", HttpRequest("https://a/")), replace(ANSWER, body='{\n"status": "DOWN",\n"n": 1}')
    text = reply_text([ANSWER, sample, replace(ANSWER, body="DOWN")])
    assert len(probe.read(reply(text)).answers) == 3
    with pytest.raises(Unreadable):
        probe.read(reply("\n".join(change(text.split("\n")))))


def test_a_body_is_kept_as_it_is_so_that_a_secret_in_it_is_seen() -> None:
    assert 'a "secret\\' in reply_text([replace(ANSWER, body='a "secret\\')])


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "{", '{"left_out": []}', "[" * 100_000])
def test_a_reply_of_another_shape_is_unreadable(text: str) -> None:
    for more in ("", "\n{}", "\n{}\n body"):
        with pytest.raises(Unreadable):
            HttpGet("app1", HttpRequest("https://a/")).read(reply(text + more))


def test_certificate_facts_of_another_shape_are_unreadable() -> None:
    for text in ("[]", "{}", CERTIFICATE.to_json().replace("+00:00", "")):
        with pytest.raises(Unreadable):
            Certificate.in_session({"certificate": text})


HEALTH = (
    '{"status":"UP","build":{"version":1.10},"components.db.status":"UP",'
    '"components":{"db":{"status":"DOWN"},"cache":{"status":"UP"}},"nodes":[{"id":7}],"empty":{},"none":null}'
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status", "UP"),
        ("build.version", "1.10"),
        ("components.db.status", "UP"),  # the longest key wins
        ("components.cache.status", "UP"),  # and does not hide the others
        ("nodes.0.id", "7"),
        ("none", None),
    ],
)
def test_a_value_is_found_at_its_path(path: str, value: object) -> None:
    assert value_at(parse_json(HEALTH), path) == value


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("version", "no value version: at the top there are only status, build"),
        ("build.name", "no value build.name: at build there is only version"),
        ("empty.status", "at empty there is an empty object"),
        ("nodes.1.id", "at nodes is a list of 1"),
        ("nodes.id", "at nodes is a list of 1"),
        ("status.db", 'at status is "UP"'),
        ("nodes.\u0663", "at nodes is a list of 1"),
    ],
)
def test_an_absent_value_is_an_error_that_says_what_there_is(path: str, says: str) -> None:
    with pytest.raises(BodyError) as caught:
        value_at(parse_json(HEALTH), path)
    assert says in str(caught.value)


CHECKS = (
    '{"checks":[{"name":"db.main","status":"UP","n":1.0},{"name":"mq","status":"DOWN","n":2,"ok":true},'
    '{"name":"mq","status":"UP"},"odd"],"odd[k]":{"a=b]":5},"list":[{"id":"x","at":[{"id":"y","v":1}]}]}'
)


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("checks[name=db.main].status", "UP", "checks.0.status"),
        ("checks[n=2].status", "DOWN", "checks.1.status"),
        ("checks[ok=true].n", "2", "checks.1.n"),
        ("odd[k].a=b]", "5", "odd[k].a=b]"),
        ("list[id=x].at[id=y].v", "1", "list.0.at.0.v"),
    ],
)
def test_an_element_is_chosen_by_what_a_key_of_it_says(path: str, value: str, place: str) -> None:
    body = parse_json(CHECKS)
    assert value_at(body, path) == value
    assert place_of(body, path) == place


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("checks[name=mq].status", 'at checks it must be just one element, whose name are "db.main", "mq", "mq"'),
        ("checks[n=1].status", "whose n are 1.0, 2"),
        ("checks[no=1].status", "whose no are nowhere"),
        ("checks[name=db.main].no", "at checks[name=db.main] there are only name, status, n"),
        ("list[id=x].at[id=z].v", 'at list[id=x].at it must be just one element, whose id are "y"'),
        ("odd[k=1].x", "at the top there are only checks, odd[k], list"),
    ],
)
def test_none_or_several_elements_are_an_error(path: str, says: str) -> None:
    with pytest.raises(BodyError) as caught:
        value_at(parse_json(CHECKS), path)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "empty"),
        ("<html>", "no JSON"),
        ('{"status":"DOWN","status":"UP"}', '"status" occurs twice'),
        ('{"a":{"b":1,"b":2}}', '"b" occurs twice'),
        ('{"load":NaN}', "NaN"),
        ('{"load":-Infinity}', "-Infinity"),
        ('{"status":"UP"', "no JSON"),
        ('{"status":"UP"} trailing', "no JSON"),
        ("[" * 101 + "]" * 101, "deeper than 100"),
        ("[" * 60_000, "deeper than 100"),
        ('{"a":' * 10_000, "deeper than 100"),
    ],
)
def test_json_that_cannot_be_relied_on_is_refused(body: str, says: str) -> None:
    with pytest.raises(BodyError) as caught:
        parse_json(body)
    assert says in str(caught.value)


def test_a_byte_order_mark_is_tolerated() -> None:
    assert value_at(parse_json('\ufeff{"status":"UP"}'), "status") == "UP"


def test_brackets_inside_texts_are_no_nesting() -> None:
    assert value_at(parse_json(json.dumps({"a": "[" * 500, "b": '\\"' + "{" * 500})), "b") == '\\"' + "{" * 500


def hostile(size: int) -> tuple[str, ...]:
    return ('"\\' * size, '"' + '\\"' * size, '"' * (2 * size + 1), "[" * 99 + '"' + "\\" * (2 * size + 1))


def seconds_to_refuse(body: str) -> float:
    begun = process_time()
    with pytest.raises(BodyError):
        parse_json(body)
    return process_time() - begun


def test_a_hostile_body_is_read_in_linear_time() -> None:
    for short, long in zip(hostile(2_000), hostile(30_000), strict=True):
        base = max(0.0005, min(seconds_to_refuse(short) for _ in range(3)))
        assert min(seconds_to_refuse(long) for _ in range(3)) < 100 * base, "15 times as much is not 225 times as long"


@pytest.mark.parametrize(
    ("value", "wanted", "equal"),
    [
        ("UP", "UP", True),
        ("UP", "up", False),
        ("UPPER", "UP", False),
        (True, "true", False),
        (True, True, True),
        ("true", True, False),
        (Number("1"), True, False),
        (True, 1, False),
        (Number("1.10"), "1.10", True),
        (Number("1.10"), "1.1", False),
        (Number("1.10"), 1.1, True),
        (Number("3"), 3, True),
        (Number("3.0"), 3, True),
        ("3", 3, False),
        (Number("1e999999"), 3, False),
        (None, "null", False),
        ({}, "UP", False),
        ([], "", False),
    ],
)
def test_a_value_is_compared_without_guessing(value: Any, wanted: Any, equal: bool) -> None:
    assert equals(value, wanted) is equal


def test_values_are_shown_short() -> None:
    assert shown(Number("1.10")) == "1.10"
    assert shown("UP") == '"UP"'
    assert shown({"a": 1}) == "an object with 1 keys"
    assert shown([1, 2]) == "a list of 2"
    assert shown(None) == "null"
    assert len(shown("x" * 1000)) == 80
