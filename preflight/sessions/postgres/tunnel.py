"""A TCP port on loopback whose one connection runs through a channel of an SSH connection.

libpq can only dial, and TLS with a name to verify needs TCP. Other users of this machine can dial as well: the one
connection let in is the one from the port that `admit` names, and nobody listens any more once it is there."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from preflight.clock import Deadline
from preflight.plan.values import LOOPBACK

if TYPE_CHECKING:
    import paramiko

_ACCEPT_SECONDS = 5.0
_CHUNK_BYTES = 32768


class Tunnel:
    """Owns the channel. `admit` is called once; `finish` and `close` end both threads."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._listener = socket.create_server((LOOPBACK, 0))
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self.port = int(self._listener.getsockname()[1])
        """The port to dial, on 127.0.0.1."""

    def admit(self, client_port: int) -> None:
        """Lets in the connection that comes from `client_port`."""
        self._thread = threading.Thread(target=self._serve, args=(client_port,), name="tunnel-in", daemon=True)
        self._thread.start()

    def dial(self) -> socket.socket:
        """A connection from here; the tunnel closes with it."""
        sock = socket.create_connection((LOOPBACK, self.port))
        self.admit(sock.getsockname()[1])
        return sock

    def finish(self, seconds: float) -> None:
        """Closes after the server has, for which it waits at most `seconds`: the client has ended the session, and a
        server that loses the connection before it reads that logs a reset."""
        if self._thread is not None:
            self._thread.join(seconds)
        self.close()

    def close(self) -> None:
        """Safe to call twice and from any thread."""
        with self._lock:
            self._closed = True
            sockets = [self._listener, *([self._socket] if self._socket else [])]
        with contextlib.suppress(Exception):
            self._channel.close()
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # closing alone does not wake a thread that waits for it
            sock.close()

    def _serve(self, client_port: int) -> None:
        ours = self._accept(client_port, Deadline(_ACCEPT_SECONDS))
        self._listener.close()
        if ours is None:
            self.close()
            return
        ways = (self._channel.recv, ours.sendall, lambda: ours.shutdown(socket.SHUT_WR))
        back = threading.Thread(target=_pump, args=ways, name="tunnel-out", daemon=True)
        back.start()
        _pump(ours.recv, self._channel.sendall, self._channel.shutdown_write)
        back.join(1.0)
        self.close()

    def _accept(self, client_port: int, deadline: Deadline) -> socket.socket | None:
        while not deadline.over:
            try:
                self._listener.settimeout(max(0.001, deadline.left()))
                accepted, peer = self._listener.accept()
            except OSError:
                return None
            if peer != (LOOPBACK, client_port):
                accepted.close()
                continue
            accepted.settimeout(None)  # here, where `close` does not know it yet
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                if not self._closed:
                    self._socket = accepted
                    return accepted
            accepted.close()
        return None


def _pump(receive: Callable[[int], bytes], send: Callable[[bytes], object], end: Callable[[], object]) -> None:
    """Carries bytes until the sender has ended or either side is gone."""
    with contextlib.suppress(Exception):  # a lost end shows at the other one as the end of the data
        while data := receive(_CHUNK_BYTES):
            send(data)
    with contextlib.suppress(Exception):
        end()
