"""TLS to a server: verified, or a reason in words why it could not be, and a look at what is not trusted.

The standard library describes only certificates it has verified (`getpeercert()` is `{}` otherwise), but the ones that
were not verified are those whose dates and names a report must name: they are read here (RFC 5280, section 4.1; X.690).
"""

import _ssl
import contextlib
import hashlib
import ipaddress
import re
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from socket import socket

from preflight.clock import Deadline, now
from preflight.questions.certificates import Certificate, Issuer
from preflight.reasons import Reason
from preflight.sessions import CannotAsk, Once
from preflight.sessions.secrets import why_not_private

_VERIFY_REASONS = {
    **dict.fromkeys((2, 19, 20, 21, 27), Reason.CERTIFICATE_UNTRUSTED),
    **dict.fromkeys((62, 64), Reason.CERTIFICATE_NAME),
    9: Reason.CERTIFICATE_NOT_YET_VALID,
    10: Reason.CERTIFICATE_EXPIRED,
    18: Reason.SELF_SIGNED,
}
"""By OpenSSL's X509_V_ERR number; 20 also means that the server does not send its intermediate certificate. All others
are faults of a certificate itself: a weak key or signature, another purpose, a length of the chain."""
_VERSION_PROBLEMS = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS", "NO_SHARED", "LEGACY_SIGALG")
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")

_PEM = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_SUBJECT_ALTERNATIVE_NAME = bytes.fromhex("551d11")
_ATTRIBUTES = {"550403": "CN", "55040a": "O", "55040b": "OU", "550406": "C", "550407": "L", "550408": "ST"}
_ENCODINGS = {0x0C: "utf-8", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_MOST_NAMES = 100


class TlsFailed(CannotAsk):
    """No verified TLS connection. `certificate` is what the server showed, where it showed one."""

    def __init__(self, reason: Reason, detail: str, certificate: Certificate | None = None) -> None:
        super().__init__(reason, detail)
        self.certificate = certificate


class Trust:
    """One TLS context per run for each file of roots and client certificate: reading the system's takes tens of ms."""

    def __init__(self, folder: Path) -> None:
        """`folder`: relative names of files start there."""
        self._folder = folder
        self._contexts = Once[tuple[str, str, str], ssl.SSLContext]()
        self._client_certificates = Once[str, Certificate | None]()

    def context(self, ca: str, client_cert: str = "", client_key: str = "") -> ssl.SSLContext:
        """PEM files; `ca` empty for the system's roots. Raises TlsFailed when one cannot be used."""
        key = (ca, client_cert, client_key)
        return self._contexts.get(key, lambda: self._load(*key))

    def client_certificate(self, client_cert: str) -> Certificate | None:
        """The plan's own, read once; None without one, or where it cannot be read."""
        if not client_cert:
            return None
        return self._client_certificates.get(client_cert, lambda: certificate_in(self._folder / client_cert))

    def _load(self, ca: str, client_cert: str, client_key: str) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=str(self._folder / ca) if ca else None)
        except ssl.SSLError:
            raise TlsFailed(Reason.CA_FILE, f"{ca} holds no root certificates in PEM form") from None
        except OSError as error:
            raise TlsFailed(Reason.CA_FILE, f"{ca}: {error.strerror}") from None
        # On from Python 3.13: refuses private roots without keyUsage, which Python 3.11 and everybody else accept.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if client_cert:
            _load_client_certificate(context, self._folder / client_cert, self._folder / client_key)
        return context


def _load_client_certificate(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    """Raises TlsFailed."""
    try:
        wrong = why_not_private(key, key.stat().st_mode)
        if not wrong:
            # OpenSSL would ask for a passphrase on the terminal.
            context.load_cert_chain(cert, key, password=lambda: b"")
    except ssl.SSLError as error:
        told = (error.reason or "it has a passphrase").replace("_", " ").lower()
        wrong = f"{cert} and {key} are no client certificate that can be used: {told}"
    except OSError as error:
        wrong = f"{error.filename or f'{cert} or {key}'}: {error.strerror}"
    if wrong:
        raise TlsFailed(Reason.CLIENT_KEY, wrong)


def certificate_in(file: Path) -> Certificate | None:
    """The one in a PEM file, with those above it; None where there is none that can be read."""
    with contextlib.suppress(OSError, ValueError):
        blocks = _PEM.findall(file.read_text("ascii", "replace"))
        return with_issuers([read_certificate(ssl.PEM_cert_to_DER_cert(block), verified=False) for block in blocks])
    return None


def secure(
    sock: socket, context: ssl.SSLContext, name: str, deadline: Deadline, connect_again: Callable[[], socket]
) -> ssl.SSLSocket:
    """TLS over `sock`, chain, dates and name verified. Raises TlsFailed, also for a connection that is lost meanwhile.
    A refused certificate is looked at in a second handshake, on a socket of `connect_again`; no request goes there."""
    try:
        sock.settimeout(max(0.001, deadline.left()))
        return context.wrap_socket(sock, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        reason = verify_reason(error)
        detail = f"the certificate is refused for {name}: {error.verify_message.rstrip('.')}"
        shown = _look(connect_again, name, deadline)
        if shown is not None and reason is Reason.CERTIFICATE_EXPIRED:
            detail += f" ({shown.which_ended(now())})"
        raise TlsFailed(reason, detail, shown) from None
    except ssl.SSLEOFError:
        raise TlsFailed(Reason.TLS_FAILED, "the server closed the connection during the TLS handshake") from None
    except ssl.SSLError as error:
        raise _without_certificate(error) from None
    except TimeoutError:
        raise TlsFailed(Reason.HANDSHAKE, "the TLS handshake did not end in time; does this port speak TLS?") from None
    except OSError as error:
        detail = f"the connection was lost during the TLS handshake: {error.strerror or error}"
        raise TlsFailed(Reason.TLS_FAILED, detail) from None
    except ValueError as error:
        raise TlsFailed(Reason.SERVER_NAME, f"{name!r} cannot be a server name: {error}") from None


def verify_reason(error: ssl.SSLCertVerificationError) -> Reason:
    return _VERIFY_REASONS.get(error.verify_code, Reason.CERTIFICATE_UNFIT)


def peer_certificate(sock: ssl.SSLSocket, *, verified: bool) -> Certificate:
    """With those above it. Raises ValueError when one cannot be read."""
    return with_issuers([read_certificate(der, verified=verified) for der in _chain(sock, verified)])


def with_issuers(chain: Sequence[Certificate]) -> Certificate:
    """The first of a chain, which knows the others. Raises ValueError for none."""
    own, *above = chain
    issuers = [Issuer(each.subject, each.not_after, each.subject == each.issuer) for each in above]
    return replace(own, issuers=tuple(issuers))


def _chain(sock: ssl.SSLSocket, verified: bool) -> list[bytes]:
    """The server's certificate and what was verified above it, or what the server sent above it."""
    name = "get_verified_chain" if verified else "get_unverified_chain"
    if sys.version_info >= (3, 13):
        return list(getattr(sock, name)())
    # Before, the same is there, but not yet public.
    found = getattr(sock._sslobj, name)() or ()  # type: ignore[attr-defined]
    return [each.public_bytes(_ssl.ENCODING_DER) for each in found]


def accepting_any() -> ssl.SSLContext:
    """A context for a look at a certificate; nothing else may be sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _look(connect_again: Callable[[], socket], name: str, deadline: Deadline) -> Certificate | None:
    # The facts are a help, not the finding: without them the refusal still stands.
    with contextlib.suppress(Exception), connect_again() as plain:
        plain.settimeout(max(0.001, deadline.left()))
        with accepting_any().wrap_socket(plain, server_hostname=name) as looked_at:
            return peer_certificate(looked_at, verified=False)
    return None


def _without_certificate(error: ssl.SSLError) -> TlsFailed:
    problem = error.reason or str(error).upper().replace(" ", "_")  # an older Python does not know every reason
    if any(word in problem for word in _NOT_TLS):
        return TlsFailed(Reason.PLAIN_HTTP, "the server does not speak TLS on this port")
    if any(word in problem for word in _VERSION_PROBLEMS):
        detail = f"no TLS version or cipher in common ({problem.replace('_', ' ').lower()})"
        return TlsFailed(Reason.TLS_PROTOCOL, detail)
    if is_of_client_certificate(problem):
        return TlsFailed(Reason.CLIENT_CERTIFICATE, f"the server answers: {problem.replace('_', ' ').lower()}")
    if "HANDSHAKE_FAILURE" in problem:
        detail = "the server refuses the TLS handshake: no cipher in common, or it wants a client certificate"
        return TlsFailed(Reason.TLS_PROTOCOL, detail)
    return TlsFailed(Reason.TLS_FAILED, f"the TLS handshake failed: {problem.replace('_', ' ').lower() or error}")


def is_of_client_certificate(problem: str) -> bool:
    """Whether OpenSSL's word for what failed is an alert of the server about the certificate of whoever asks."""
    return "ALERT" in problem and ("CERTIFICATE" in problem or "UNKNOWN_CA" in problem)


def read_certificate(der: bytes, *, verified: bool) -> Certificate:
    """Of one in DER form. Raises ValueError for anything that is no certificate."""
    try:
        (_, outer), *_ = _elements(der)
        (_, to_be_signed), *_ = _elements(outer)
        fields = [field for field in _elements(to_be_signed) if field[0] != _VERSION]
        _serial, _algorithm, issuer, validity, subject = (content for _, content in fields[:5])
        _, not_after = (_moment(tag, content) for tag, content in _elements(validity))
        extensions = next((content for tag, content in fields[5:] if tag == _EXTENSIONS), b"")
        return Certificate(
            not_after=not_after,
            subject=_name(subject),
            issuer=_name(issuer),
            names=tuple(_alternative_names(extensions))[:_MOST_NAMES],
            fingerprint=hashlib.sha256(der).hexdigest(),
            verified=verified,
        )
    except (IndexError, ValueError) as error:
        raise ValueError(f"the certificate cannot be read: {error}") from None


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element in `content`, in order."""
    at = 0
    while at < len(content):
        tag, length, at = content[at], content[at + 1], at + 2
        if length >= 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4:
                raise ValueError("a length of unknown form")
            length, at = int.from_bytes(content[at : at + size], "big"), at + size
        if at + length > len(content):
            raise ValueError("an element is longer than what holds it")
        yield tag, content[at : at + length]
        at += length


def _moment(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        # Two digits of the year: 50 to 99 are the last century (RFC 5280, 4.1.2.5.1).
        text = ("19" if text >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("a date of unknown form")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _name(content: bytes) -> str:
    """`CN=app1, O=Example`; attributes of other kinds are left out."""
    parts: list[str] = []
    for _, attributes in _elements(content):
        for _, attribute in _elements(attributes):
            (_, kind), (tag, value) = _elements(attribute)
            if kind.hex() in _ATTRIBUTES:
                text = value.decode(_ENCODINGS.get(tag, "latin-1"), "replace")
                parts.append(f"{_ATTRIBUTES[kind.hex()]}={text}")
    return ", ".join(parts)


def _alternative_names(extensions: bytes) -> Iterator[str]:
    for _, listed in _elements(extensions):
        for _, extension in _elements(listed):
            (_, kind), *_, (_, value) = _elements(extension)
            if kind == _SUBJECT_ALTERNATIVE_NAME:
                for _, names in _elements(value):
                    yield from _names(names)


def _names(content: bytes) -> Iterator[str]:
    for tag, value in _elements(content):
        if tag == _DNS_NAME:
            yield value.decode("ascii", "replace")
        elif tag == _IP_ADDRESS and len(value) in (4, 16):
            yield str(ipaddress.ip_address(value))
