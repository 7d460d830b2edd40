"""Private key files. paramiko is told the type: trying its classes in turn turns one wrong passphrase into five
different errors."""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preflight.reasons import Reason
from preflight.sessions import CannotAsk
from preflight.sessions.ssh.transport import paramiko
from preflight.wording import one_line

_LARGEST_BYTES = 64 * 1024
_OPENSSH_MAGIC = b"openssh-key-v1\0"
_PEM = "PEM"
"""Stands for whatever cipher a key in the older format names; paramiko reads those OpenSSH ever wrote."""
_READABLE_CIPHERS = ("none", "aes256-ctr", "aes256-cbc")
"""What paramiko decrypts a private key with."""
_KEY_CLASSES = {
    "ssh-ed25519": paramiko.Ed25519Key,
    "ssh-rsa": paramiko.RSAKey,
    "ecdsa-sha2-nistp256": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp384": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp521": paramiko.ECDSAKey,
}


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A private key file as it can be told without its passphrase."""

    path: Path
    type: str
    encrypted: bool

    @classmethod
    def read(cls, path: Path) -> KeyFile:
        """Raises CannotAsk for a file that is missing, unreadable or holds no key that can be used."""
        kind, cipher = _inspect(_content(path))
        if cipher not in (*_READABLE_CIPHERS, _PEM):
            detail = f"{path} is encrypted with {one_line(cipher, 60)}, which this tool cannot read"
            raise CannotAsk(Reason.KEY_CIPHER, detail)
        if kind is None:
            detail = f"{path} is no private key this tool can read; `ssh-keygen -p -f {path}` rewrites it"
            raise CannotAsk(Reason.KEY_FORMAT, detail)
        if kind not in _KEY_CLASSES:
            raise CannotAsk(Reason.KEY_TYPE, f"{path} holds a {one_line(kind, 60)} key, not supported")
        return cls(path, kind, encrypted=cipher != "none")

    def open(self, passphrase: str | None) -> tuple[Any, bool]:
        """paramiko's key, and whether the certificate beside it (`KEY-cert.pub`, which OpenSSH offers first, too) was
        added. Raises CannotAsk."""
        try:
            key = _KEY_CLASSES[self.type].from_private_key_file(str(self.path), password=passphrase)
        except Exception as error:  # noqa: BLE001  # paramiko and cryptography raise five kinds for a wrong passphrase
            if passphrase is not None:
                detail = f"the passphrase does not open {self.path}"
                raise CannotAsk(Reason.PASSPHRASE_WRONG, detail) from None
            detail = f"{self.path} cannot be read as a {self.type} key ({type(error).__name__})"
            raise CannotAsk(Reason.KEY_FORMAT, detail) from None
        certificate = self.path.with_name(self.path.name + "-cert.pub")
        if not certificate.is_file():
            return key, False
        try:
            key.load_certificate(str(certificate))
        except Exception as error:  # noqa: BLE001  # as above
            detail = f"{certificate} cannot be read as a certificate of {self.path} ({type(error).__name__})"
            raise CannotAsk(Reason.KEY_FORMAT, detail) from None
        return key, True


def _content(path: Path) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST_BYTES:
            raise CannotAsk(Reason.KEY_FILE, f"{path} is no key file")
        if found.st_uid == os.geteuid() and found.st_mode & 0o077:
            detail = f"{path} has mode {stat.S_IMODE(found.st_mode):04o}: ssh does not use a key that others may read"
            raise CannotAsk(Reason.KEY_MODE, detail)
        return path.read_bytes()
    except OSError as error:
        raise CannotAsk(Reason.KEY_FILE, f"key file {path}: {error.strerror}") from None


def _inspect(content: bytes) -> tuple[str | None, str]:
    """Type of a private key (None: unknown format), and the cipher of its passphrase (`none` without one)."""
    if b"BEGIN OPENSSH PRIVATE KEY" in content:
        body = b"".join(line for line in content.splitlines() if not line.startswith(b"-"))
        try:
            message = paramiko.Message(base64.b64decode(body, validate=True))
        except ValueError:
            return None, "none"
        if message.get_bytes(len(_OPENSSH_MAGIC)) != _OPENSSH_MAGIC:
            return None, "none"
        cipher = message.get_text()
        message.get_text()  # key derivation
        message.get_binary()  # its options
        message.get_int()  # number of keys
        return paramiko.Message(message.get_binary()).get_text(), cipher
    cipher = _PEM if b"ENCRYPTED" in content else "none"
    if b"BEGIN RSA PRIVATE KEY" in content:
        return "ssh-rsa", cipher
    if b"BEGIN EC PRIVATE KEY" in content:
        return "ecdsa-sha2-nistp256", cipher
    return None, cipher
