"""Asks health endpoints: the questions of one application at the same time, each within a deadline of its own."""

from __future__ import annotations

from pathlib import Path

from preflight.clock import Deadline, now
from preflight.probe import Answer, NoReply, Question
from preflight.questions.http import HttpRequest
from preflight.reasons import Reason
from preflight.sessions import VANTAGE, ParallelSession
from preflight.sessions.http.exchange import Exchange
from preflight.sessions.tls import Trust

MOST_AT_ONCE = 32
"""Questions of one application that are under way at the same time: few enough not to slow each other down, which
would look like the application's latency."""


class HttpSession(ParallelSession):
    """The endpoints of the applications. Their questions share TLS contexts, and nothing else: no connection, cookie or
    credential goes from one to the next. Proxies of the environment are not used."""

    stage = "asking its endpoints"
    most_at_once = MOST_AT_ONCE

    def __init__(self, folder: Path) -> None:
        """`folder`: the plan's; relative names of files with root certificates start there."""
        self._trust = Trust(folder)

    def answer(self, question: Question, deadline: Deadline) -> Answer:
        try:
            request = HttpRequest.parse(question.text)
        except ValueError as error:
            return NoReply(Reason.NOT_ASKED, f"no request that can be sent: {error}", now(), vantage=VANTAGE)
        return Exchange(request, self._trust, deadline).answer()
