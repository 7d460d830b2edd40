"""Asks health endpoints: the questions of one application at the same time, each within a deadline of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from preflight.clock import Deadline, now
from preflight.probe import Answer, Cause, NoReply, Question
from preflight.probes.http import HttpRequest
from preflight.sessions import Deliver
from preflight.sessions.http.exchange import VANTAGE, Exchange
from preflight.sessions.http.open_sockets import OpenSockets
from preflight.sessions.http.tls import Trust
from preflight.sessions.parallel import answer_in_threads

MOST_AT_ONCE = 32
"""Questions of one application that are under way at the same time: few enough not to slow each other down, which
would look like the application's latency."""


class HttpPool:
    """The HTTP sessions of one run. They share TLS contexts, and nothing else: no connection, cookie or credential
    goes from one question to the next. Proxies of the environment are not used."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the plan's; relative names of files with root certificates start there."""
        self._trust = Trust(folder)
        self._sockets = OpenSockets()

    def session(self, _application_id: str) -> HttpSession:
        return HttpSession(self._trust, self._sockets)

    def close(self) -> None:
        """Ends every question in progress."""
        self._sockets.close()


class HttpSession:
    """The endpoints of one application."""

    def __init__(self, trust: Trust, sockets: OpenSockets) -> None:
        self._trust = trust
        self._sockets = sockets

    @property
    def stage(self) -> str:
        """See `preflight.sessions.Session`."""
        return "asking its endpoints"

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        """See `preflight.sessions.Session`."""

        def answer(question: Question) -> Answer:
            return self._answer(question, min(deadline.left(), question.timeout_seconds))

        answer_in_threads(questions, answer, deliver, most_at_once=MOST_AT_ONCE)

    def close(self) -> None:
        """Nothing outlives a question; those in progress are ended by the pool."""

    def _answer(self, question: Question, seconds: float) -> Answer:
        try:
            request = HttpRequest.parse(question.text)
        except ValueError as error:
            return NoReply(Cause.NOT_ASKED, f"no request that can be sent: {error}", now(), vantage=VANTAGE)
        return Exchange(request, self._trust, self._sockets, seconds).answer()
