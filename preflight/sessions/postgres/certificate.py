"""A PostgreSQL server's certificate: why it was refused, and until when it is valid. libpq tells neither.

A second look through Python's ssl on a connection of its own: a request for TLS and the handshake, never a startup
packet, so it is no login attempt.
"""

from __future__ import annotations

import contextlib
import ssl
from socket import socket

from preflight.clock import Deadline
from preflight.questions.http import Certificate
from preflight.reasons import Reason
from preflight.sessions import CannotAsk
from preflight.sessions.tls import accepting_any, peer_certificate

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # length 8, code 1234.5679
_DATES = {
    9: (Reason.CERTIFICATE_NOT_YET_VALID, "the server's certificate is not valid yet"),
    10: (Reason.CERTIFICATE_EXPIRED, "the server's certificate has expired"),
}
"""By OpenSSL's X509_V_ERR number."""
_LEAVE_SECONDS = 1.0


def why_refused(sock: socket, ca_file: str, deadline: Deadline) -> CannotAsk | None:
    """What is wrong with the certificate; None when nothing could be made out. Closes the socket."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # a wrong name libpq names itself
    with contextlib.suppress(OSError, ValueError), sock:
        context.load_verify_locations(ca_file)
        try:
            with _handshake(sock, context, deadline) as tls:
                _leave(tls, deadline)
        except ssl.SSLCertVerificationError as error:
            untrusted = f"the server's certificate is not trusted: {error.verify_message}"
            return CannotAsk(*_DATES.get(error.verify_code, (Reason.CERTIFICATE_UNTRUSTED, untrusted)))
    return None


def shown_certificate(sock: socket, deadline: Deadline) -> Certificate | None:
    """The certificate that the server shows, unverified: whether it may be trusted libpq has decided already. None
    when none could be made out. Closes the socket."""
    with contextlib.suppress(OSError, ValueError), sock, _handshake(sock, accepting_any(), deadline) as tls:
        certificate = peer_certificate(tls, verified=False)
        _leave(tls, deadline)
        return certificate
    return None


def _handshake(sock: socket, context: ssl.SSLContext, deadline: Deadline) -> ssl.SSLSocket:
    """Raises OSError, ssl.SSLError among it, also when the server offers no TLS."""
    sock.settimeout(max(0.001, deadline.left()))
    sock.sendall(_SSL_REQUEST)
    if sock.recv(1) != b"S":
        raise ConnectionError("no TLS offered")
    sock.settimeout(max(0.001, deadline.left()))
    return context.wrap_socket(sock)


def _leave(tls: ssl.SSLSocket, deadline: Deadline) -> None:
    """Ends TLS and waits until the server has closed the connection. Its TLS 1.3 tickets are on their way still, and a
    connection that is closed with something unread is reset, which the server logs."""
    tls.settimeout(max(0.001, deadline.at_most(_LEAVE_SECONDS).left()))
    with contextlib.suppress(OSError):  # it hangs up without a word of TLS
        tls.unwrap()
