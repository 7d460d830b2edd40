"""Why something could not be asked, on its way up to the `NoReply` it becomes."""

from __future__ import annotations

from preflight.probe import Cause


class Trouble(Exception):
    """Cause, sentence and reason of the `NoReply` to be; never leaves the sessions."""

    def __init__(self, cause: Cause, detail: str, reason: str = "") -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail
        self.reason = reason
