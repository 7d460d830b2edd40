"""The sockets of all exchanges in progress, so that another thread can end them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class OpenSockets:
    """Safe to share by threads."""

    def __init__(self) -> None:
        self._sockets: set[socket.socket] = set()
        self._closed = False
        self._lock = threading.Lock()

    @contextmanager
    def holding(self, sock: socket.socket) -> Iterator[None]:
        """Closes `sock` on leaving. Raises ConnectionAbortedError when the session was closed meanwhile."""
        with sock:
            with self._lock:
                if self._closed:
                    raise ConnectionAbortedError("the session was closed")
                self._sockets.add(sock)
            try:
                yield
            finally:
                with self._lock:
                    self._sockets.discard(sock)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for sock in self._sockets:
                # Not SSLSocket.shutdown, which takes the TLS object away from under the thread that reads.
                try:
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
                except OSError:
                    continue
