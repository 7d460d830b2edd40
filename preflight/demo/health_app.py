"""The demo's applications: a health endpoint over HTTPS that says which version runs."""

import json
import ssl
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from preflight.demo import LoopbackServer

CERTIFICATES = Path(__file__).parent / "certs"
ROOT_CERTIFICATE = CERTIFICATES / "ca.pem"
SERVER_CERTIFICATE = CERTIFICATES / "server.pem"
SERVER_KEY = CERTIFICATES / "server_key.pem"
_CLIENT_SECONDS = 10.0


class HealthApp(LoopbackServer):
    """One instance of one application; `version` and `status` may be changed while it runs.

    No server of http.server's, which looks up the host's full name and may wait for a name server."""

    def __init__(self, name: str, version: str) -> None:
        self.name, self.version = name, version
        self.status = "UP"
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(SERVER_CERTIFICATE, SERVER_KEY)
        super().__init__(_Handler)

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}/health"

    def answer(self) -> tuple[int, bytes]:
        """HTTP status and body of the health endpoint at this moment."""
        state = {"status": self.status}
        health = {"application": self.name, **state, "version": self.version, "components": {"db": state}}
        return (200 if self.status == "UP" else 503), json.dumps(health).encode()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """The handshake runs in the connection's own thread, so that a silent client stops nobody else."""
        request.settimeout(_CLIENT_SECONDS)
        with self._context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up or refuses the certificate is its own business."""


class _Handler(BaseHTTPRequestHandler):
    server: HealthApp
    server_version = "preflight-demo"
    sys_version = ""

    def do_GET(self) -> None:
        status, body = self.server.answer() if self.path == "/health" else (404, b"{}")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Says nothing: the demo's output is the report."""
