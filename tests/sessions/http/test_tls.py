"""Why a TLS connection was refused, told apart, with the facts of the certificate that was refused."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from preflight.probe import NoReply
from preflight.questions import http
from preflight.questions.http import HttpGet, HttpRequest
from preflight.reasons import Reason
from preflight.sessions.tls import read_certificate
from tests.sessions.http.asking import Talk, answered, lost, raw_server, read_request, says
from tests.site.certificates import Authority, Certificate
from tests.site.https import HttpsApp
from tests.site.machine import needs, run
from tests.site.site import Site

OK = says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
NOW = datetime.now(UTC).replace(microsecond=0)


def get(url: str, **more: object) -> HttpGet:
    return HttpGet("app1", HttpRequest(url, **more))  # type: ignore[arg-type]


@contextlib.contextmanager
def app_with(certificate: Certificate, ca: Path) -> Iterator[HttpsApp]:
    app = HttpsApp(certificate, ca)
    app.answer_json({"status": "UP"})
    try:
        yield app
    finally:
        app.close()


def refused(certificate: Certificate, ca: Path, **more: object) -> tuple[NoReply, list[object]]:
    """The answer, and the requests that reached the server."""
    with app_with(certificate, ca) as app:
        return lost(get(app.url(), ca=str(ca), **more)), list(app.requests)


def test_an_expired_certificate_is_named_with_its_date_and_no_request_is_sent(site: Site) -> None:
    expired = NOW - timedelta(days=3)
    answer, requests = refused(site.authority.issue(not_after=expired), site.authority.certificate)
    assert answer.reason is Reason.CERTIFICATE_EXPIRED
    certificate = http.Certificate.in_session(answer.session)
    assert certificate is not None
    assert certificate.not_after == expired
    assert not certificate.verified
    assert certificate.issuer == "CN=preflight tests"
    assert requests == []


def test_a_certificate_that_is_not_valid_yet_is_told_apart(site: Site) -> None:
    tomorrow = NOW + timedelta(days=1)
    answer, requests = refused(site.authority.issue(not_before=tomorrow), site.authority.certificate)
    assert answer.reason is Reason.CERTIFICATE_NOT_YET_VALID
    certificate = http.Certificate.in_session(answer.session)
    assert certificate is not None
    assert certificate.not_before == tomorrow
    assert requests == []


def test_a_certificate_for_another_name_is_told_apart_and_its_names_are_shown(site: Site) -> None:
    answer, requests = refused(site.authority.issue(["app2.example.net", "192.0.2.7"]), site.authority.certificate)
    assert answer.reason is Reason.CERTIFICATE_NAME
    certificate = http.Certificate.in_session(answer.session)
    assert certificate is not None
    assert certificate.names == ("app2.example.net", "192.0.2.7")
    assert "127.0.0.1" in answer.detail
    assert requests == []


def test_a_wrong_server_name_is_told_apart(site: Site) -> None:
    answer, _ = refused(site.authority.issue(), site.authority.certificate, server_name="app1.example.net")
    assert answer.reason is Reason.CERTIFICATE_NAME
    assert "app1.example.net" in answer.detail


def test_an_unknown_authority_is_told_apart(site: Site, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger", "a stranger")
    answer, requests = refused(stranger.issue(), site.authority.certificate)
    assert answer.reason is Reason.CERTIFICATE_UNTRUSTED
    certificate = http.Certificate.in_session(answer.session)
    assert certificate is not None
    assert certificate.issuer == "CN=a stranger"
    assert requests == []


def test_the_systems_roots_do_not_trust_the_tests_authority(https_app: HttpsApp) -> None:
    assert lost(get(https_app.url())).reason is Reason.CERTIFICATE_UNTRUSTED


def self_signed(folder: Path, *more: str) -> Certificate:
    made = Certificate(folder / "self.pem", folder / "self.key")
    options = ("-newkey", "rsa:2048", "-nodes", "-keyout", made.key, "-out", made.certificate, "-days", "30")
    names = ("-subj", "/O=Example/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    run(needs("openssl"), "req", "-x509", *options, *names, *more)
    return made


def test_a_self_signed_certificate_is_told_apart(site: Site, tmp_path: Path) -> None:
    answer, requests = refused(self_signed(tmp_path), site.authority.certificate)
    assert answer.reason is Reason.SELF_SIGNED
    certificate = http.Certificate.in_session(answer.session)
    assert certificate is not None
    assert certificate.subject == certificate.issuer == "O=Example, CN=127.0.0.1"
    assert requests == []


def test_a_self_signed_certificate_that_the_plan_trusts_is_verified(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with app_with(certificate, certificate.certificate) as app:
        answer = answered(get(app.url(), ca=str(app.ca)))
    assert answer.certificate is not None
    assert answer.certificate.verified


def test_a_private_root_without_key_usage_is_accepted_in_every_python(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, "-addext", "authorityKeyIdentifier=none")
    with app_with(certificate, certificate.certificate) as app:
        assert answered(get(app.url(), ca=str(app.ca))).status == 200


def test_plain_http_on_the_port_is_told_apart() -> None:
    def talk(connection: socket.socket, _ended: threading.Event) -> None:
        connection.recv(4096)  # the greeting of TLS, in which no server finds a request
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with raw_server(talk) as url:
        answer = lost(get(url.replace("http:", "https:")))
    assert answer.reason is Reason.PLAIN_HTTP


def test_a_server_that_hangs_up_during_the_handshake_is_cut_off() -> None:
    def talk(connection: socket.socket, _ended: threading.Event) -> None:
        connection.recv(100)

    with raw_server(talk) as url:
        answer = lost(get(url.replace("http:", "https:")))
    assert answer.reason is Reason.TLS_FAILED


def raw_tls(context: ssl.SSLContext) -> Talk:
    """A talk that speaks TLS its own way, over a plain server."""

    def talk(connection: socket.socket, ended: threading.Event) -> None:
        secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with secured:
            try:
                secured.do_handshake()
                OK(secured, ended)
            except OSError:
                ended.wait(10)  # closing at once may reset the connection before the client has read the alert

    return talk


def server_context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


def test_a_server_without_a_common_tls_version_is_told_apart(site: Site) -> None:
    context = server_context(site.authority.issue())
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1
    with raw_server(raw_tls(context)) as url:
        answer = lost(get(url.replace("http:", "https:"), ca=str(site.authority.certificate)))
    assert answer.reason is Reason.TLS_PROTOCOL


def test_a_server_that_wants_a_client_certificate_is_told_apart(site: Site) -> None:
    context = server_context(site.authority.issue())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(site.authority.certificate)
    with raw_server(raw_tls(context)) as url:
        answer = lost(get(url.replace("http:", "https:"), ca=str(site.authority.certificate)))
    assert answer.reason is Reason.CLIENT_CERTIFICATE


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_root_certificate_file_that_cannot_be_used_means_not_asked(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    answer = lost(get("https://127.0.0.1:1/", ca="ca.pem"), tmp_path)
    assert answer.reason is Reason.CA_FILE
    assert "ca.pem" in answer.detail


def test_a_relative_root_certificate_file_lies_beside_the_plan(https_app: HttpsApp) -> None:
    https_app.answer_json({})
    assert answered(get(https_app.url(), ca=https_app.ca.name), https_app.ca.parent).status == 200


def test_the_facts_read_from_der_are_those_openssl_reads(site: Site) -> None:
    ends = datetime(2051, 2, 3, 4, 5, 6, tzinfo=UTC)  # past 2049 another form of date is used
    issued = site.authority.issue(["app1.example.net", "*.example.net", "2001:db8::7"], not_after=ends)
    der = ssl.PEM_cert_to_DER_cert(issued.certificate.read_text())
    certificate = read_certificate(der, verified=False)
    printed = run(
        needs("openssl"), "x509", "-in", issued.certificate, "-noout", "-fingerprint", "-sha256", "-startdate"
    ).stdout
    assert certificate.not_after == ends
    assert f"{certificate.not_before:%b %e %H:%M:%S %Y} GMT" in printed
    assert certificate.fingerprint.upper() in printed.replace(":", "")
    assert certificate.names == ("app1.example.net", "*.example.net", "2001:db8::7")
    assert certificate.subject == "CN=app1.example.net"
    assert certificate.issuer == "CN=preflight tests"


def test_a_damaged_certificate_is_a_clear_error(site: Site) -> None:
    der = ssl.PEM_cert_to_DER_cert(site.authority.issue().certificate.read_text())
    for length in range(0, len(der), 7):
        with pytest.raises(ValueError, match="the certificate cannot be read"):
            read_certificate(der[:length], verified=False)
    for at in range(0, len(der), 3):
        with contextlib.suppress(ValueError):
            read_certificate(der[:at] + b"\xff" + der[at + 1 :], verified=False)


def test_reading_the_request_is_all_a_refused_server_could_have_done(site: Site) -> None:
    """The second, unverified handshake sends nothing: the server reads an empty request."""
    seen: list[bytes] = []

    def talk(connection: socket.socket, _ended: threading.Event) -> None:
        with contextlib.suppress(OSError):
            seen.append(read_request(connection))

    with raw_server(talk, site.authority.issue(["other.example.net"])) as url:
        assert lost(get(url, ca=str(site.authority.certificate))).reason is Reason.CERTIFICATE_NAME
    assert not any(seen)
