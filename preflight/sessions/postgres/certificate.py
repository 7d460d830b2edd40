"""A PostgreSQL server's certificate: why it was refused, and until when it is valid. libpq tells neither.

A second look through Python's ssl on a connection of its own: a request for TLS and the handshake, never a startup
packet, so it is no login attempt.
"""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass
from typing import Protocol

from preflight.clock import Deadline
from preflight.questions.http import Certificate
from preflight.reasons import Reason
from preflight.sessions import CannotAsk
from preflight.sessions.der import read_certificate

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # length 8, code 1234.5679
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_NOT_YET_VALID = 9
_LEAVE_SECONDS = 1.0
_CHUNK_BYTES = 16384


class Stream(Protocol):
    """What is needed of a socket or a `paramiko.Channel`."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...
    def settimeout(self, seconds: float, /) -> None: ...
    def close(self) -> None: ...


def why_refused(stream: Stream, ca_file: str, deadline: Deadline) -> CannotAsk | None:
    """What is wrong with the certificate; None when nothing could be made out. Closes the stream."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # a wrong name libpq names itself
    with contextlib.suppress(OSError, ValueError), contextlib.closing(stream):
        context.load_verify_locations(ca_file)
        try:
            _leave(stream, _handshake(stream, context, deadline), deadline.at_most(_LEAVE_SECONDS))
        except ssl.SSLCertVerificationError as error:
            return _explain(error)
    return None


def shown_certificate(stream: Stream, deadline: Deadline) -> Certificate | None:
    """The certificate that the server shows, unverified: whether it may be trusted libpq has decided already. None
    when none could be made out. Closes the stream."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(OSError, ValueError), contextlib.closing(stream):
        tls = _handshake(stream, context, deadline)
        certificate = read_certificate(tls.session.getpeercert(binary_form=True) or b"", verified=False)
        _leave(stream, tls, deadline.at_most(_LEAVE_SECONDS))
        return certificate
    return None


def _explain(error: ssl.SSLCertVerificationError) -> CannotAsk:
    match error.verify_code:
        case code if code == _EXPIRED:
            return CannotAsk(Reason.CERTIFICATE_EXPIRED, "the server's certificate has expired")
        case code if code == _NOT_YET_VALID:
            return CannotAsk(Reason.CERTIFICATE_NOT_YET_VALID, "the server's certificate is not valid yet")
        case _:
            detail = f"the server's certificate is not trusted: {error.verify_message}"
            return CannotAsk(Reason.CERTIFICATE_UNTRUSTED, detail)


@dataclass(frozen=True, slots=True)
class _Tls:
    """TLS over a stream that is no socket, and what it has to send."""

    session: ssl.SSLObject
    outgoing: ssl.MemoryBIO


def _handshake(stream: Stream, context: ssl.SSLContext, deadline: Deadline) -> _Tls:
    """Raises ssl.SSLError and OSError, and ConnectionError when the server offers no TLS."""
    stream.settimeout(max(0.001, deadline.left()))
    stream.sendall(_SSL_REQUEST)
    if stream.recv(1) != b"S":
        raise ConnectionError("no TLS offered")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    while True:
        try:
            tls.do_handshake()
            stream.sendall(outgoing.read())  # else the server logs a handshake that was broken off
            return _Tls(tls, outgoing)
        except ssl.SSLWantReadError:
            stream.sendall(outgoing.read())
            stream.settimeout(max(0.001, deadline.left()))
            received = stream.recv(_CHUNK_BYTES)
            if not received or deadline.over:
                raise ConnectionError("the handshake was not completed") from None
            incoming.write(received)


def _leave(stream: Stream, tls: _Tls, deadline: Deadline) -> None:
    """Ends TLS and waits until the server has closed the connection. Its TLS 1.3 tickets are on their way still, and a
    connection that is closed with something unread is reset, which the server logs."""
    with contextlib.suppress(OSError):
        with contextlib.suppress(ssl.SSLWantReadError):  # for the server's close_notify, which says nothing
            tls.session.unwrap()
        stream.sendall(tls.outgoing.read())
        while not deadline.over:
            stream.settimeout(max(0.001, deadline.left()))
            if not stream.recv(_CHUNK_BYTES):
                return
