"""Reads one HTTP response within one absolute deadline and one limit of bytes, whatever the server does."""

import contextlib
import http.client
import io
import socket
from typing import Any, Self

from preflight.clock import Deadline
from preflight.reasons import Reason
from preflight.sessions import CannotAsk

HEADER_ROOM_BYTES = 256 * 1024
"""For status lines, headers and the framing of chunks, beside the body."""
_READ_BYTES = 16 * 1024


def require_unencoded(response: http.client.HTTPResponse) -> None:
    encoding = (response.headers.get("Content-Encoding") or "identity").strip().lower()
    if encoding != "identity":
        detail = f"the body is {encoding[:40]}-encoded, although the request asked for it as it is"
        raise CannotAsk(Reason.CONTENT_ENCODING, detail)


def is_of_headers(error: http.client.HTTPException) -> bool:
    """Whether one header is too long, or there are too many. `http.client` tells neither by a class of its own."""
    return type(error) in (http.client.HTTPException, http.client.LineTooLong) and "header" in str(error)


def declared_bytes(response: http.client.HTTPResponse) -> int | None:
    """What Content-Length promises; None where nothing is promised, as in a chunked answer."""
    lengths = {value.strip() for value in response.headers.get_all("Content-Length", [])}
    if response.chunked:
        return None
    if len(lengths) > 1 or (lengths and response.length is None):
        raise CannotAsk(Reason.BODY_LENGTH, f"its Content-Length makes no sense: {', '.join(sorted(lengths))[:60]}")
    return response.length


def read_body(response: http.client.HTTPResponse, declared: int | None, most: int) -> bytes:
    """The whole body, or CannotAsk: a part of one is no evidence."""
    if declared is not None and declared > most:
        raise CannotAsk(Reason.BODY_TOO_LARGE, f"the body has {declared} bytes, more than the {most} read")
    body = bytearray()
    while declared is None or len(body) < declared:
        # Never beyond the declared length: a server that keeps the connection open would never end the read.
        chunk = response.read1(_READ_BYTES if declared is None else min(_READ_BYTES, declared - len(body)))
        if not chunk:
            break
        body += chunk
        if len(body) > most:
            raise CannotAsk(Reason.BODY_TOO_LARGE, f"the body has more than the {most} bytes read")
    if declared is not None and len(body) < declared:
        raise CannotAsk(Reason.SHORT_BODY, f"the body was cut short: {len(body)} of {declared} bytes came")
    return bytes(body)


class TooMuch(OSError):
    """The server sent more than the limit in one exchange."""


class AnswerStream(io.BufferedReader):
    """Stands for the socket of every response of one exchange, within one absolute deadline and one limit of bytes.
    Whoever made the real socket closes it.

    `http.client` only knows a timeout per read: a server that drips a byte at a time, in the headers or in the body,
    or sends `100 Continue` for ever holds it as long as it likes."""

    def __init__(self, sock: socket.socket, deadline: Deadline, most_bytes: int) -> None:
        self._received = _Received(sock, deadline, most_bytes)
        super().__init__(self._received)

    def holds_more(self) -> bool:
        """Whether more has arrived than was read. Waits for nothing."""
        self._received.waits = False
        with contextlib.suppress(OSError, EOFError):
            return bool(self.peek(1))
        return False

    def makefile(self, _mode: str) -> Self:
        return self

    def close(self) -> None:
        """Nothing: a response closes its stream, and behind an interim response the final one is still to be read."""


class _Received(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: Deadline, most_bytes: int) -> None:
        self._sock, self._deadline, self._bytes_left = sock, deadline, most_bytes
        self.waits = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises TimeoutError at the deadline and TooMuch past the limit."""
        if self._bytes_left <= 0:
            raise TooMuch("the server sends without end")
        if self.waits:
            limit(self._sock, self._deadline)
        else:
            self._sock.setblocking(False)
        count = self._sock.recv_into(buffer)
        self._bytes_left -= count
        return count


def final_response(stream: AnswerStream) -> http.client.HTTPResponse:
    """Interim responses (RFC 9110, section 15.2), such as 103 Early Hints, are passed over."""
    while True:
        response = http.client.HTTPResponse(stream, method="GET")  # type: ignore[arg-type]  # all it uses of a socket
        response.begin()
        if not 100 <= response.status < 200 or response.status == http.client.SWITCHING_PROTOCOLS:
            return response


def limit(sock: socket.socket, deadline: Deadline) -> None:
    """Lets the socket's next call last until the deadline. Raises TimeoutError when it has passed: no time left would
    mean a socket that does not wait at all."""
    left = deadline.left()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    sock.settimeout(left)
