"""A connected socket for `http.client.HTTPResponse` that obeys one absolute deadline and one limit of bytes.

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


class DeadlineSocket:
    """Whoever made the real socket closes it."""

    def __init__(self, sock: socket.socket, deadline: Deadline, most_bytes: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._stream = _Stream(_Reader(sock, deadline, most_bytes))

    def sendall(self, data: Buffer) -> None:
        """Raises TimeoutError at the deadline."""
        self._sock.settimeout(_left(self._deadline))
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """The same stream for each response that is read from the connection."""
        if mode != "rb":
            raise ValueError(f"only reading is foreseen, not {mode!r}")
        return self._stream


class _Stream(io.BufferedReader):
    def close(self) -> None:
        """Nothing: a response closes its stream, and behind an interim response the final one is still to be read."""


class _Reader(io.RawIOBase):
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
        self._sock.settimeout(_left(self._deadline))
        count = self._sock.recv_into(buffer)
        self._bytes_left -= count
        return count


def _left(deadline: Deadline) -> float:
    """Seconds left, more than 0, which would mean a socket that does not wait at all."""
    left = deadline.left()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left
