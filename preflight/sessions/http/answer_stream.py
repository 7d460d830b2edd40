"""What a server answers, as `http.client.HTTPResponse` reads it, within one absolute deadline and one limit of bytes.

`http.client` only knows a timeout per read: a server that drips a byte at a time, in the headers or in the body, or
sends `100 Continue` for ever holds it as long as it likes.
"""

from __future__ import annotations

import io
import socket
from typing import TYPE_CHECKING

from preflight.clock import Deadline

if TYPE_CHECKING:
    from typing_extensions import Buffer


class TooMuch(OSError):
    """The server sent more than the limit in one exchange."""


class AnswerStream(io.BufferedReader):
    """Stands for the socket of every response of one exchange. Whoever made the real socket closes it."""

    def __init__(self, sock: socket.socket, deadline: Deadline, most_bytes: int) -> None:
        super().__init__(_Received(sock, deadline, most_bytes))

    def makefile(self, _mode: str) -> AnswerStream:
        return self

    def close(self) -> None:
        """Nothing: a response closes its stream, and behind an interim response the final one is still to be read."""


class _Received(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: Deadline, most_bytes: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._bytes_left = most_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Raises TimeoutError at the deadline and TooMuch past the limit."""
        if self._bytes_left <= 0:
            raise TooMuch("the server sends without end")
        limit(self._sock, self._deadline)
        count = self._sock.recv_into(buffer)
        self._bytes_left -= count
        return count


def limit(sock: socket.socket, deadline: Deadline) -> None:
    """Lets the socket's next call last until the deadline. Raises TimeoutError when it has passed: no time left would
    mean a socket that does not wait at all."""
    left = deadline.left()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    sock.settimeout(left)
