"""Why a TLS connection was refused, told apart, with the facts of the certificate that was refused."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from preflight.questions.http import HttpGet, HttpRequest
from preflight.reasons import Reason
from preflight.sessions.tls import read_certificate
from tests.sessions.http.asking import answered, lost, raw_server, read_request, says
from tests.site.certificates import Certificate
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


def test_a_wrong_server_name_is_told_apart(https_app: HttpsApp) -> None:
    answer = lost(get(https_app.url(), ca=str(https_app.ca), server_name="app1.example.net"))
    assert answer.reason is Reason.CERTIFICATE_NAME
    assert "app1.example.net" in answer.detail


def test_the_systems_roots_do_not_trust_the_tests_authority(https_app: HttpsApp) -> None:
    assert lost(get(https_app.url())).reason is Reason.CERTIFICATE_UNTRUSTED


def self_signed(folder: Path, *more: str) -> Certificate:
    made = Certificate(folder / "self.pem", folder / "self.key")
    options = ("-newkey", "rsa:2048", "-nodes", "-keyout", made.key, "-out", made.certificate, "-days", "30")
    names = ("-subj", "/O=Example/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    run(needs("openssl"), "req", "-x509", *options, *names, *more)
    return made


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
    printed = run(needs("openssl"), "x509", "-in", issued.certificate, "-noout", "-fingerprint", "-sha256").stdout
    assert certificate.not_after == ends
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
