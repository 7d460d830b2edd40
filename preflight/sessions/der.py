"""Reads what a report needs out of an X.509 certificate in DER form.

The standard library describes only certificates it has verified (`getpeercert()` is `{}` otherwise), but the ones that
were not verified are those whose dates and names a report must name. RFC 5280, section 4.1; X.690.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime

from preflight.questions.http import Certificate

_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_SUBJECT_ALTERNATIVE_NAME = bytes.fromhex("551d11")
_ATTRIBUTES = {"550403": "CN", "55040a": "O", "55040b": "OU", "550406": "C", "550407": "L", "550408": "ST"}
_ENCODINGS = {0x0C: "utf-8", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_MOST_NAMES = 100


def read_certificate(der: bytes, *, verified: bool) -> Certificate:
    """Raises ValueError for anything that is no certificate."""
    try:
        (_, outer), *_ = _elements(der)
        (_, to_be_signed), *_ = _elements(outer)
        fields = [field for field in _elements(to_be_signed) if field[0] != _VERSION]
        _serial, _algorithm, issuer, validity, subject = (content for _, content in fields[:5])
        not_before, not_after = (_moment(tag, content) for tag, content in _elements(validity))
        extensions = next((content for tag, content in fields[5:] if tag == _EXTENSIONS), b"")
        return Certificate(
            not_before=not_before,
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
