"""A certificate authority of the tests' own, with any names and any dates."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.site.machine import needs, run

_CONFIGURATION = """\
[ca]
default_ca = authority
[authority]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
unique_subject = no
policy = any
[any]
commonName = supplied
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
"""
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Issues server certificates through the `openssl` command."""

    def __init__(self, directory: Path, name: str = "preflight tests") -> None:
        self._openssl = needs("openssl")
        self._directory = directory
        self._issued = 0
        directory.mkdir(parents=True)
        (directory / "index.txt").touch()
        (directory / "serial").write_text("01\n")
        (directory / "openssl.cnf").write_text(_CONFIGURATION)
        self.certificate = directory / "ca.pem"
        """The root certificate that clients are told to trust."""
        root = ("-x509", "-days", "3650", "-subj", f"/CN={name}", "-extensions", "root")
        self._run("req", "-config", "openssl.cnf", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", *root)

    def issue(
        self,
        names: Sequence[str] = ("localhost", "127.0.0.1"),
        *,
        not_after: datetime | None = None,
        not_before: datetime | None = None,
        usage: str = "serverAuth",
    ) -> Certificate:
        """A certificate for DNS names and IP addresses, a server's and valid for a year unless told otherwise."""
        self._issued += 1
        stem = f"server{self._issued}"
        begins = not_before or datetime.now(UTC) - timedelta(days=400)
        ends = not_after or datetime.now(UTC) + timedelta(days=365)
        alternatives = ",".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)
        (self._directory / f"{stem}.ext").write_text(
            f"[server]\nsubjectAltName={alternatives}\nextendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n"
            "authorityKeyIdentifier=keyid\n"
        )
        subject = f"/CN={names[0]}"
        csr = f"{stem}.csr"
        self._run("req", "-config", "openssl.cnf", *_NEW_KEY, "-keyout", f"{stem}.key", "-out", csr, "-subj", subject)
        signing = ("-batch", "-notext", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", csr, "-out", f"{stem}.pem")
        dates = ("-startdate", _asn1(begins), "-enddate", _asn1(ends))
        self._run("ca", "-config", "openssl.cnf", *signing, *dates, "-extfile", f"{stem}.ext", "-extensions", "server")
        return Certificate(self._directory / f"{stem}.pem", self._directory / f"{stem}.key")

    def _run(self, *arguments: str) -> None:
        run(self._openssl, *arguments, cwd=self._directory)


def _asn1(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%SZ")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
