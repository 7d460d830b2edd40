"""The applications of a release, and the health endpoints that tell whether they are well."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from preflight.plan.limits import OR_NONE, Above, Between, Matches, filled, part_of_answer
from preflight.plan.values import Address, EntryId, HeaderName, Name, RoleRef, SecretRef, Text, Url

UNAUTHORIZED, FORBIDDEN = 401, 403
"""RFC 9110: the secret is not accepted; whoever is known by it may not see the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicLogin:
    """A user and a password for HTTP's basic authentication."""

    user: Annotated[str, filled, Matches(r"[^\s:]*", "a user name without white space and colons")]
    """Who may read the health page."""
    password: SecretRef
    """His password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One health endpoint of one instance."""

    url: Url
    """What is asked, with a GET, at every address that its host's name stands for."""
    samples: Annotated[int, Between(1, 20)] = 3
    """How often each address is asked, at least 1 s apart; 1 where a single answer is enough."""
    status: Annotated[int, Between(100, 599)] = 200
    """The only status that is right; with a secret never 401 or 403, which refuse it."""
    json: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Values wanted at dotted paths, for example `{ status = "UP", "components.mail.status" = "DOWN" }`. Whatever else
    the answer says of its health must be well. In a list, an element is named by its number from 0 or its own name."""
    ignore: tuple[Annotated[str, filled, part_of_answer], ...] = ()
    """Paths of parts whose health does not count, with all below them: `["components.mail"]`. The word for the whole
    always counts: name its value in `json`."""
    identity: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Values that only this application answers with: `{ "app.name" = "orders" }`; a neighbour's answer fails."""
    text: Text = ""
    """Words that the body must contain, whole and not after `not`: `healthy` is not in `unhealthy`."""
    version: Annotated[str, OR_NONE] = ""
    """Dotted path of the running version in a JSON body; it must be the application's `from`."""
    max_latency: Annotated[timedelta, Above(0)] = timedelta(seconds=3)
    """Until the last byte of the answer."""
    min_bytes: Annotated[int, Between(0)] = 1
    """Shortest body that counts."""
    follow_redirects: bool = False
    """Follow redirects to the same host; without it a redirect is a finding."""
    final_url: Url = ""
    """URL at which allowed redirects must end."""
    server_name: Address = ""
    """Name for SNI and certificate when the URL holds an IP address."""
    ca: Path | None = None
    """Root certificates to trust instead of the system's."""
    bearer: SecretRef | None = None
    """Token that is sent as `Authorization: Bearer TOKEN`. Secrets go to this URL's host and port only, over TLS."""
    basic: BasicLogin | None = None
    """User and password instead: `{ user = "monitor", password = "env:MONITOR_PASSWORD" }`."""
    headers: Mapping[HeaderName, SecretRef] = field(default_factory=dict)
    """Further headers whose whole value is a secret: `{ X-Api-Key = "file:app1.key" }`."""
    client_cert: Path | None = None
    """Client certificate in PEM form, with those above it, for a server that asks for one."""
    client_key: Path | None = None
    """Private key of `client_cert`, without a passphrase and readable by its owner alone."""

    def secrets(self) -> Iterator[tuple[SecretRef, str]]:
        """Each with the purpose it is asked for by."""
        if self.bearer:
            yield self.bearer, health_purpose("bearer token", self.url)
        if self.basic:
            yield self.basic.password, health_purpose(f"password of {self.basic.user}", self.url)
        yield from ((ref, health_purpose(name, self.url)) for name, ref in self.headers.items())


def health_purpose(what: str, url: str) -> str:
    """By which a secret of an endpoint is asked for."""
    return f"{what} for {url}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """`[applications.NAME]`: what is replaced, from which version to which."""

    id: EntryId
    from_: Name
    """The version that answers before the window."""
    to: Name
    """What answers after the window."""
    network_zone: str = ""
    """From which part of the network its endpoints are asked; as for a host."""
    runbook: Url = ""
    """Where its operation is described; printed with every finding on it."""
    owner: RoleRef = ""
    """Role that mends it."""
    health: Annotated[tuple[Endpoint, ...], OR_NONE] = ()
    """Endpoints; each instance on its own, not only the load balancer."""
