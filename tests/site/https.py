"""A real HTTPS server whose answers the test sets."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.site.certificates import Certificate

HTTPS_PORT = 443
_HANDSHAKE_SECONDS = 10.0


@dataclass(frozen=True)
class HttpAnswer:
    """What one path answers."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    """Wait before the first byte; cut short when the server stops."""
    wants: Mapping[str, str] = field(default_factory=dict)
    """Headers without which it answers 401."""


class HttpsApp:
    """An application over TLS; every path answers 404 until `answer` or `answer_json` sets it."""

    def __init__(
        self,
        certificate: Certificate,
        ca: Path,
        address: str = "127.0.0.1",
        port: int = 0,
        clients: Path | None = None,
    ) -> None:
        """`clients`: who signs the certificates without which it lets nobody in."""
        self.ca = ca
        self.answers: dict[str, HttpAnswer] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """Method, path with query and headers of every request so far."""
        self.stopping = threading.Event()
        self._server = _Server((address, port), _Handler, self, certificate, clients)
        self.address = address
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="https-app", daemon=True).start()

    def url(self, path: str = "/health", host: str = "") -> str:
        host = host or (f"[{self.address}]" if ":" in self.address else self.address)
        return f"https://{host}:{self.port}{path}"

    def answer(
        self,
        path: str = "/health",
        body: str | bytes = "",
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        delay_seconds: float = 0.0,
        wants: Mapping[str, str] | None = None,
    ) -> None:
        raw = body.encode() if isinstance(body, str) else body
        self.answers[path] = HttpAnswer(status, raw, headers or {}, delay_seconds, wants or {})

    def answer_json(self, value: object, path: str = "/health", **keywords: Any) -> None:
        self.answer(path, json.dumps(value), headers={"Content-Type": "application/json"}, **keywords)

    def close(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        app: HttpsApp,
        certificate: Certificate,
        clients: Path | None,
    ) -> None:
        self.app = app
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        if clients:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(clients)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake belongs into the connection's own thread: a silent client must not stop the others.
        request.settimeout(_HANDSHAKE_SECONDS)
        with self._context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that refuse the certificate or hang up are the point of many tests, not an error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        app = self.server.app
        app.requests.append((self.command, self.path, dict(self.headers.items())))
        self.rfile.read(int(self.headers["Content-Length"] or 0))  # what is left unread resets the connection
        answer = app.answers.get(self.path.partition("?")[0], HttpAnswer(404, b"no such path\n"))
        if answer.delay_seconds:
            app.stopping.wait(answer.delay_seconds)
        if any(self.headers[name] != value for name, value in answer.wants.items()):
            answer = HttpAnswer(401, b"who are you?\n")
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_HEAD = do_POST = do_GET  # noqa: N815 - so that a test can see that they were never asked

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keeps the test's output clean."""
