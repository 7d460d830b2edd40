"""Proves to a health endpoint who asks. What was refused once is not shown again, at whichever endpoint: a directory
that counts refusals over all of them would lock the account."""

from collections.abc import Callable, Mapping

from preflight.clock import Deadline, now
from preflight.plan.applications import UNAUTHORIZED, health_purpose
from preflight.probe import NoReply
from preflight.questions.http import HttpAnswer, HttpRequest, Sample
from preflight.questions.http_secrets import SecretHeader
from preflight.reasons import Reason
from preflight.sessions import VANTAGE, CannotAsk
from preflight.sessions.secrets import PasswordAccount, Secrets


class Credential:
    """The secrets of one request. Those of equal references are one account."""

    def __init__(self, request: HttpRequest, secrets: Secrets) -> None:
        self._request, self._secrets = request, secrets
        self._account = PasswordAccount(
            "the application",
            " ".join(header.user for header in request.headers if header.user),
            ", ".join(str(header.secret) for header in request.headers),
            request.url if any(header.secret.is_typed for header in request.headers) else "",
        )
        self._is_known = False
        """This page was shown for it, or for everybody: that says nothing of other pages."""

    def prove(self, ask: Callable[[Mapping[str, str]], Sample], address: str, deadline: Deadline) -> Sample:
        """What `ask` answers with these headers at this address; each page of an account is asked alone at first."""
        url, trials = self._request.url, self._secrets.trials
        entry = f"{url} at {address}"
        if not self._request.headers:
            return ask({})
        try:
            values = {header.name: self._value(header) for header in self._request.headers}
            if self._is_known:
                trials.require_not_refused(self._account, entry)
            else:
                trials.wait_for_turn(self._account, entry, deadline)
        except CannotAsk as error:
            return NoReply(error.reason, f"{url}: {error.detail}", now(), vantage=VANTAGE)
        is_refused = False
        try:
            sample = ask(values)
            is_refused = isinstance(sample, HttpAnswer) and sample.status == UNAUTHORIZED
            self._is_known |= isinstance(sample, HttpAnswer) and not is_refused
            return sample
        finally:
            trials.settle(self._account, entry, accepted=False if is_refused else None)

    def _value(self, header: SecretHeader) -> str:
        """Raises CannotAsk."""
        secret = self._secrets.value(header.secret, health_purpose(header.what, self._request.url))
        self._secrets.mask(header.credentials(secret))
        value = header.value(secret)
        if not (value.isascii() and value.isprintable()):
            raise CannotAsk(Reason.NO_SECRET, f"{header.secret} has a character that a header cannot hold")
        return value
