"""Asks health endpoints: the questions of one application at the same time, each within a deadline of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from preflight.clock import Deadline, now
from preflight.probe import Answer, NoReply, Question
from preflight.questions.http import HttpRequest
from preflight.reasons import Reason
from preflight.sessions import Deliver
from preflight.sessions.http.exchange import VANTAGE, Exchange
from preflight.sessions.parallel import answer_in_threads
from preflight.sessions.tls import Trust

MOST_AT_ONCE = 32
"""Questions of one application that are under way at the same time: few enough not to slow each other down, which
would look like the application's latency."""


class HttpSession:
    """The endpoints of the applications. Their questions share TLS contexts, and nothing else: no connection, cookie or
    credential goes from one to the next. Proxies of the environment are not used."""

    stage = "asking its endpoints"

    def __init__(self, folder: Path) -> None:
        """`folder`: the plan's; relative names of files with root certificates start there."""
        self._trust = Trust(folder)

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        """See `preflight.sessions.Session`. Safe to call from many threads."""

        def answer(question: Question) -> Answer:
            try:
                request = HttpRequest.parse(question.text)
            except ValueError as error:
                return NoReply(Reason.NOT_ASKED, f"no request that can be sent: {error}", now(), vantage=VANTAGE)
            return Exchange(request, self._trust, deadline).answer()

        answer_in_threads(questions, answer, deliver, most_at_once=MOST_AT_ONCE)

    def close(self) -> None:
        """Nothing outlives a question, and each of those ends by its own deadline."""
