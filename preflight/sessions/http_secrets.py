"""Proves to a health endpoint who asks. What was refused once is not shown again, at whichever endpoint: a directory
that counts refusals over all of them would lock the account."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from preflight.clock import Deadline, now
from preflight.plan.applications import health_purpose
from preflight.probe import NoReply
from preflight.questions.http import HttpAnswer, HttpRequest, Sample
from preflight.questions.http_secrets import SecretHeader
from preflight.reasons import Reason
from preflight.sessions import VANTAGE, CannotAsk
from preflight.sessions.secrets import PasswordAccount, Secrets

UNAUTHORIZED = 401
_FORBIDDEN = 403


class Credential:
    """The secrets of one request. Those of equal references are one account."""

    def __init__(self, request: HttpRequest, secrets: Secrets) -> None:
        self._request = request
        self._secrets = secrets
        self._account = PasswordAccount(
            "the application",
            " ".join(header.user for header in request.headers if header.user),
            ", ".join(str(header.secret) for header in request.headers),
            request.url if any(header.secret.scheme == "prompt" for header in request.headers) else "",
        )

    def prove(self, ask: Callable[[Mapping[str, str]], Sample], deadline: Deadline) -> Sample:
        """What `ask` answers with these headers; the first of an account is asked alone."""
        url, trials = self._request.url, self._secrets.trials
        if not self._request.headers:
            return ask({})
        try:
            values = {header.name: self._value(header) for header in self._request.headers}
            trials.wait_for_turn(self._account, url, deadline)
        except CannotAsk as error:
            return NoReply(error.reason, f"{url}: {error.detail}", now(), vantage=VANTAGE)
        accepted = None
        try:
            sample = ask(values)
            accepted = _is_accepted(sample)
            return sample
        finally:
            trials.settle(self._account, url, accepted=accepted)

    def _value(self, header: SecretHeader) -> str:
        """Raises CannotAsk."""
        secret = self._secrets.value(header.secret, health_purpose(header.what, self._request.url))
        self._secrets.mask(header.credentials(secret))
        value = header.value(secret)
        if not (value.isascii() and value.isprintable()):
            raise CannotAsk(Reason.NO_SECRET, f"{header.secret} has a character that a header cannot hold")
        return value


def _is_accepted(sample: Sample) -> bool | None:
    """None where nobody judged the secret. Who is known and may not see the page (403) is not refused."""
    if not isinstance(sample, HttpAnswer) or sample.status == _FORBIDDEN:
        return None
    return sample.status != UNAUTHORIZED
