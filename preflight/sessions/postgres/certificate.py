"""A PostgreSQL server's certificate: why it was refused, and until when it is valid. libpq tells neither.

A second look through Python's ssl on a connection of its own: a request for TLS and the handshake, never a startup
packet, so it is no login attempt."""

import contextlib
import ssl
from collections.abc import Callable
from socket import socket

from preflight.clock import Deadline, now
from preflight.questions.certificates import Certificate
from preflight.reasons import Reason
from preflight.sessions import CannotAsk
from preflight.sessions.tls import accepting_any, peer_certificate, verify_reason

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # length 8, code 1234.5679
_LEAVE_SECONDS = 1.0


def why_refused(connect: Callable[[], socket], ca_file: str, deadline: Deadline) -> CannotAsk | None:
    """What is wrong with the certificate; None when nothing is. Raises OSError and ValueError."""
    try:
        shown_certificate(connect(), ca_file, deadline)
    except ssl.SSLCertVerificationError as error:
        reason = verify_reason(error)
        detail = f"the server's certificate is refused: {error.verify_message}"
        if reason is Reason.CERTIFICATE_EXPIRED:
            detail += f" ({shown_certificate(connect(), '', deadline).which_ended(now())})"
        return CannotAsk(reason, detail)
    return None


def shown_certificate(sock: socket, ca_file: str, deadline: Deadline) -> Certificate:
    """The certificate that the server shows, with those above it: up to the root in `ca_file`, or unverified without
    one. Closes the socket. Raises OSError, also when the server offers no TLS, and ValueError."""
    context = accepting_any()  # of any name: a wrong one libpq tells itself
    with sock:
        if ca_file:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(ca_file)
        sock.settimeout(max(0.001, deadline.left()))
        sock.sendall(_SSL_REQUEST)
        if sock.recv(1) != b"S":
            raise ConnectionError("no TLS offered")
        sock.settimeout(max(0.001, deadline.left()))
        with context.wrap_socket(sock) as tls:
            certificate = peer_certificate(tls, verified=bool(ca_file))
            # Waits until the server has closed the connection: its TLS 1.3 tickets are on their way still, and one that
            # is closed with something unread is reset, which the server logs. It hangs up without a word of TLS.
            tls.settimeout(max(0.001, deadline.at_most(_LEAVE_SECONDS).left()))
            with contextlib.suppress(OSError):
                tls.unwrap()
            return certificate
