"""Asks health endpoints: the questions of one application at the same time, each within a deadline of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from preflight.clock import Deadline, now
from preflight.probe import Answer, Cause, NoReply, Question
from preflight.probes.http import HttpRequest
from preflight.sessions import Deliver
from preflight.sessions.http_exchange import VANTAGE, Exchange, OpenSockets
from preflight.sessions.parallel import answer_in_threads
from preflight.sessions.tls import Trust

MOST_AT_ONCE = 16
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

    stage = "waiting for its endpoints"

    def __init__(self, trust: Trust, sockets: OpenSockets) -> None:
        self._trust = trust
        self._sockets = sockets

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        answer_in_threads(questions, deadline, deliver, self._answer, most_at_once=MOST_AT_ONCE, vantage=VANTAGE)

    def close(self) -> None:
        """Nothing outlives a question; those in progress are ended by the pool."""

    def _answer(self, question: Question, deadline: Deadline) -> Answer:
        try:
            request = HttpRequest.parse(question.text)
        except ValueError as error:
            return NoReply(Cause.NOT_ASKED, f"no request that can be sent: {error}", now(), vantage=VANTAGE)
        return Exchange(request, self._trust, self._sockets, min(deadline.left(), question.timeout_seconds)).answer()
