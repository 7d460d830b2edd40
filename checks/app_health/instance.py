"""One endpoint of the plan with its application, and the words in which both are told."""

from __future__ import annotations

from dataclasses import dataclass

from preflight.plan import Application, Endpoint
from preflight.questions.http import HttpRequest


@dataclass(frozen=True, slots=True)
class Instance:
    """One endpoint and the application it belongs to."""

    application: Application
    endpoint: Endpoint

    @property
    def server(self) -> tuple[str, int]:
        """Host and port, the usual one where the URL names none."""
        request = HttpRequest(self.endpoint.url)
        return request.host, request.port

    @property
    def fields(self) -> dict[str, object]:
        """The names that a remedy may hold."""
        host, port = self.server
        return {
            "app": self.application.id,
            "owner": self.application.owner or "application's owner",
            "old": self.application.from_,
            "host": host,
            "port": port,
            "name": self.endpoint.server_name or host,
        }

    def fill(self, remedy: str) -> str:
        """A remedy with the names of this instance in it."""
        return remedy.format(**self.fields)
