"""Certificates as whoever was shown them tells of them. Pure; `preflight.sessions.tls` reads them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Self

from preflight.record import parse_json, plain, read_record

_NAMES_TOLD = 5


@dataclass(frozen=True, slots=True)
class Issuer:
    """A certificate above a server's own."""

    subject: str
    not_after: datetime
    is_root: bool
    """It is its own issuer."""

    def __str__(self) -> str:
        return f"{'root' if self.is_root else 'intermediate'} certificate {self.subject}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate a server showed, and those above it."""

    not_after: datetime
    subject: str
    issuer: str
    names: tuple[str, ...]
    """DNS names and addresses the certificate is for."""
    fingerprint: str
    """SHA-256 over the DER form, lower-case hex."""
    verified: bool
    """Chain, dates and name were verified; False for one that was only looked at to find out what is wrong."""
    issuers: tuple[Issuer, ...] = ()
    """From the next one above to the root trusted here; where nothing was verified, as far as the server sends them."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=plain)

    def __str__(self) -> str:
        names = ", ".join(self.names[:_NAMES_TOLD]) or "nothing"
        return f"certificate for {names}, issued by {self.issuer or 'nobody named'}, SHA-256 {self.fingerprint[:16]}..."

    def which_ended(self, moment: datetime) -> str:
        """Of the chain, where one was refused for its date."""
        above = [str(issuer) for issuer in self.issuers if issuer.not_after <= moment]
        own = ["the server's own certificate"] if self.not_after <= moment else []
        return ", ".join(own + above) or "a root certificate that this machine trusts"

    @classmethod
    def in_session(cls, session: Mapping[str, str], name: str = "certificate") -> Self | None:
        """The one a server showed, also where the answer failed for it, or as `client_certificate` the one that the
        login showed; None without. Raises Unreadable."""
        text = session.get(name, "")
        return read_record(cls, parse_json(text)) if text else None
