"""Certificates with which servers misbehave, each made when a test asks for it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.site.certificates import Authority, Certificate
from tests.site.machine import needs, run

LATE = datetime(2031, 1, 1, tzinfo=UTC)
"""After the window."""


@dataclass(frozen=True)
class Shown:
    """What a server shows of itself and wants of whoever asks."""

    certificate: Certificate
    ca: Path | None = None
    """What the plan trusts; the authority of the tests unless told otherwise."""
    clients: Path | None = None
    """Who signs the certificates that it wants."""
    version: ssl.TLSVersion | None = None

    def context(self) -> ssl.SSLContext:
        """The server's. A key of any size will do."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(self.certificate.certificate, self.certificate.key)
        if self.clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.clients)
        if self.version:
            with pytest.warns(DeprecationWarning, match="is deprecated"):
                context.minimum_version = context.maximum_version = self.version
        return context


def made(folder: Path, *options: str | Path, name: str = "127.0.0.1") -> Certificate:
    """One that signs itself, with options of `openssl req`; or the request for one."""
    found = Certificate(folder / "made.pem", folder / "made.key")
    files = ("-keyout", found.key, "-out", found.certificate)
    run(needs("openssl"), "req", "-nodes", *files, "-subj", f"/CN={name}", *options)
    return found


SIGNS_ITSELF = ("-x509", "-days", "3650", "-addext", "subjectAltName=IP:127.0.0.1")


def weakly_signed(authority: Authority, folder: Path) -> Shown:
    found, signing = made(folder, "-newkey", "rsa:2048"), authority.certificate.with_name("ca.key")
    files = ("-in", found.certificate, "-out", folder / "signed.pem", "-extfile", folder / "names")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    by = ("-CA", authority.certificate, "-CAkey", signing, "-sha1", "-days", "3650")
    run(needs("openssl"), "x509", "-req", *files, *by)
    return Shown(Certificate(folder / "signed.pem", found.key))


def without_intermediate(authority: Authority, folder: Path) -> Shown:
    found = Authority(folder / "between", "between", above=authority).issue(not_after=LATE)
    own, end, _ = found.certificate.read_text().partition("-----END CERTIFICATE-----\n")
    found.certificate.write_text(own + end)
    return Shown(found)


def trusted(certificate: Certificate) -> Shown:
    """Named in the plan itself."""
    return Shown(certificate, certificate.certificate)


def revoked(authority: Authority, _folder: Path) -> Shown:
    """As far as the authority is concerned: nobody who asks looks at its lists."""
    found, configuration = authority.issue(not_after=LATE), authority.certificate.with_name("openssl.cnf")
    keys = ("-keyfile", "ca.key", "-cert", "ca.pem")
    run(needs("openssl"), "ca", "-config", configuration, *keys, "-revoke", found.certificate, cwd=configuration.parent)
    return Shown(found)


def days(count: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=count)


MADE: Mapping[str, Callable[[Authority, Path], Shown]] = {
    "expired": lambda authority, _: Shown(authority.issue(not_after=days(-3))),
    "not-yet": lambda authority, _: Shown(authority.issue(not_before=days(1), not_after=LATE)),
    "other-name": lambda authority, _: Shown(authority.issue(["app2.example.net", "192.0.2.7"])),
    "no-name": lambda _, folder: trusted(made(folder, "-newkey", "rsa:2048", "-x509", "-days", "3650")),
    "self-signed": lambda _, folder: Shown(made(folder, "-newkey", "rsa:2048", *SIGNS_ITSELF)),
    "unknown-authority": lambda _, folder: Shown(Authority(folder / "stranger", "a stranger").issue()),
    "no-intermediate": without_intermediate,
    "weak-key": lambda _, folder: trusted(made(folder, "-newkey", "rsa:1024", *SIGNS_ITSELF)),
    "weak-signature": weakly_signed,
    "for-clients": lambda authority, _: Shown(authority.issue(usage="clientAuth", not_after=LATE)),
    "wants-one": lambda authority, _: Shown(authority.issue(not_after=LATE), clients=authority.certificate),
    "old-tls": lambda authority, _: Shown(authority.issue(not_after=LATE), version=ssl.TLSVersion.TLSv1),
    "revoked": revoked,
}
