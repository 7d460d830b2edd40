"""How a GET proves who asks: which header holds which secret of the plan. References only; the values are filled in by
`preflight.sessions.http_secrets`, on this machine. Pure."""

import base64
import re
from dataclasses import dataclass
from typing import Self

from preflight.plan import Endpoint, SecretRef

_LINE = re.compile(r"header ([^\s:]+): (?:(Bearer) |Basic, user (\S+), password )?((?:env|file|command):.+|prompt)")


@dataclass(frozen=True, slots=True)
class SecretHeader:
    """One header of a request, and the text that stands for it in questions."""

    name: str
    secret: SecretRef
    is_bearer: bool = False
    """RFC 6750: the value is `Bearer` and the secret."""
    user: str = ""
    """RFC 7617: the value is `Basic` and this user with the secret as his password, in base64."""

    def text(self) -> str:
        kind = f"Basic, user {self.user}, password " if self.user else "Bearer " if self.is_bearer else ""
        return f"header {self.name}: {kind}{self.secret}"

    @classmethod
    def parse(cls, line: str) -> Self:
        """The header that `line` stands for. Raises ValueError."""
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError("not the text of a header with a secret")
        name, bearer, user, secret = found.groups("")
        return cls(name, SecretRef.parse(secret), bool(bearer), user)

    @property
    def what(self) -> str:
        """What the secret is, as the plan's reader asks for it."""
        return f"password of {self.user}" if self.user else "bearer token" if self.is_bearer else self.name

    def credentials(self, secret: str) -> str:
        """What is made of the secret before it is sent."""
        return base64.b64encode(f"{self.user}:{secret}".encode()).decode() if self.user else secret

    def value(self, secret: str) -> str:
        """What goes over the wire."""
        scheme = "Basic " if self.user else "Bearer " if self.is_bearer else ""
        return scheme + self.credentials(secret)


def secret_headers(endpoint: Endpoint) -> tuple[SecretHeader, ...]:
    headers = [SecretHeader(name, ref) for name, ref in endpoint.headers.items()]
    if endpoint.bearer:
        headers.append(SecretHeader("Authorization", endpoint.bearer, is_bearer=True))
    if endpoint.basic:
        headers.append(SecretHeader("Authorization", endpoint.basic.password, user=endpoint.basic.user))
    return tuple(headers)
