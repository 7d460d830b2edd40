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
    """Issues certificates through the `openssl` command."""

    def __init__(
        self,
        directory: Path,
        name: str = "preflight tests",
        *,
        above: Authority | None = None,
        not_after: datetime | None = None,
    ) -> None:
        """A root, or an intermediate one that `above` signs; valid for ten years unless told otherwise."""
        self._openssl = needs("openssl")
        self._directory = directory
        self._issued = 0
        directory.mkdir(parents=True)
        (directory / "index.txt").touch()
        (directory / "serial").write_text("01\n")
        (directory / "openssl.cnf").write_text(_CONFIGURATION)
        self._own = directory / "ca.pem"
        self.certificate = self._own if above is None else above.certificate
        """The root certificate that clients are told to trust."""
        self._request("ca", name)
        ends = not_after or datetime.now(UTC) + timedelta(days=3650)
        (above or self)._sign(
            directory / "ca",
            datetime.now(UTC) - timedelta(days=400),
            ends,
            directory / "openssl.cnf",
            "root",
            above is None,
        )
        self._sent = "" if above is None else self._own.read_text() + above._sent

    def issue(
        self,
        names: Sequence[str] = ("localhost", "127.0.0.1"),
        *,
        not_after: datetime | None = None,
        not_before: datetime | None = None,
        usage: str = "serverAuth",
    ) -> Certificate:
        """A certificate for DNS names and IP addresses, a server's and valid for a year unless told otherwise; in its
        file stand those above it, except for the root."""
        self._issued += 1
        stem = f"server{self._issued}"
        begins = not_before or datetime.now(UTC) - timedelta(days=400)
        ends = not_after or datetime.now(UTC) + timedelta(days=365)
        alternatives = ",".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)
        extensions = self._directory / f"{stem}.ext"
        extensions.write_text(
            f"[server]\nsubjectAltName={alternatives}\nextendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n"
            "authorityKeyIdentifier=keyid\n"
        )
        self._request(stem, names[0])
        self._sign(self._directory / stem, begins, ends, extensions, "server")
        issued = Certificate(self._directory / f"{stem}.pem", self._directory / f"{stem}.key")
        issued.certificate.write_text(issued.certificate.read_text() + self._sent)
        return issued

    def _request(self, stem: str, name: str) -> None:
        files = ("-keyout", f"{stem}.key", "-out", f"{stem}.csr")
        self._run("req", "-config", "openssl.cnf", *_NEW_KEY, *files, "-subj", f"/CN={name}")

    def _sign(
        self, stem: Path, begins: datetime, ends: datetime, extensions: Path, section: str, itself: bool = False
    ) -> None:
        """Makes `stem`.pem of `stem`.csr."""
        by = ("-selfsign",) if itself else ("-cert", "ca.pem")
        files = ("-in", f"{stem}.csr", "-out", f"{stem}.pem", "-extfile", str(extensions), "-extensions", section)
        dates = ("-startdate", _asn1(begins), "-enddate", _asn1(ends))
        self._run("ca", "-config", "openssl.cnf", "-batch", "-notext", "-keyfile", "ca.key", *by, *files, *dates)

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
