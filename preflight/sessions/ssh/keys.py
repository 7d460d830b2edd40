"""Private keys: in files, and kept by the SSH agent."""

import base64
import os
import shlex
import socket
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from os.path import isfile
from pathlib import Path
from typing import Any

from preflight.clock import Deadline, now
from preflight.plan import Host
from preflight.questions.authorized_keys import UserCertificate, fingerprint
from preflight.reasons import Reason
from preflight.sessions import CannotAsk, local_path
from preflight.sessions.ssh.known_hosts import PublicKey
from preflight.sessions.ssh.transport import paramiko
from preflight.wording import one_line

_LIST_SECONDS = 2.0
_CERTIFICATE = "-cert-v01@openssh.com"
_LARGEST_BYTES = 64 * 1024
_OPENSSH_MAGIC = b"openssh-key-v1\0"
_PEM = "PEM"
"""Stands for whatever cipher a key in the older format names; paramiko reads those OpenSSH ever wrote."""
_READABLE_CIPHERS = ("none", "aes256-ctr", "aes256-cbc")
"""What paramiko decrypts a private key with."""
_KEY_CLASSES = {
    name: kind for kind in (paramiko.Ed25519Key, paramiko.RSAKey, paramiko.ECDSAKey) for name in kind.identifiers()
}


def load_key(path: Path, passphrase: Callable[[], str]) -> Any:
    """paramiko's key of a file. `passphrase`: called where there is one. Raises CannotAsk. paramiko is told the type:
    trying its classes in turn turns one wrong passphrase into five different errors."""
    kind, cipher = _inspect(_content(path))
    if cipher not in (*_READABLE_CIPHERS, _PEM):
        detail = f"{path} is encrypted with {one_line(cipher, 60)}, which this tool cannot read"
        raise CannotAsk(Reason.KEY_CIPHER, detail)
    if kind is None:
        detail = f"{path} is no private key this tool can read; `ssh-keygen -p -f {shlex.quote(str(path))}` rewrites it"
        raise CannotAsk(Reason.KEY_FORMAT, detail)
    if kind not in _KEY_CLASSES:
        raise CannotAsk(Reason.KEY_TYPE, f"{path} holds a {one_line(kind, 60)} key, not supported")
    password = None if cipher == "none" else passphrase()
    try:
        return _KEY_CLASSES[kind].from_private_key_file(str(path), password=password)
    except Exception as error:  # noqa: BLE001  # paramiko and cryptography raise five kinds for a wrong passphrase
        if password is not None:
            raise CannotAsk(Reason.PASSPHRASE_WRONG, f"the passphrase does not open {path}") from None
        raise CannotAsk(Reason.KEY_FORMAT, f"{path} cannot be read as a {kind} key ({type(error).__name__})") from None


def certify(key: Any, private: Path, named: Path | None) -> UserCertificate | None:
    """Adds the key's certificate: the one that is named, or `KEY-cert.pub` beside its file, which OpenSSH offers first,
    too. One that does not hold now is told and not added: OpenSSH goes on with the plain key then. Raises CannotAsk."""
    beside = private.with_name(private.name + "-cert.pub")
    for file in ([named.expanduser()] if named else []) + ([beside] if isfile(beside) else []):
        try:
            blob = paramiko.pkey.PublicBlob.from_file(str(file)).key_blob
            certificate = read_certificate(blob)
        except Exception as error:  # noqa: BLE001  # as above
            detail = f"{file} cannot be read as a certificate ({type(error).__name__})"
            raise CannotAsk(Reason.KEY_FORMAT, detail) from None
        if _plain(blob) == key.asbytes():
            if certificate.holds_at(now()):
                key.load_certificate(str(file))
            return certificate
    return None


def read_certificate(blob: bytes) -> UserCertificate:
    """Of OpenSSH's PROTOCOL.certkeys. Raises what paramiko raises for another blob."""
    message = _behind_key(blob)
    message.get_int64()  # serial number
    message.get_int()  # a user's, not a host's
    key_id = one_line(message.get_text(), 100)
    message.get_binary()  # principals
    not_before, not_after = message.get_int64(), message.get_int64()
    for _ in ("critical options", "extensions", "reserved"):
        message.get_binary()
    authority = fingerprint(message.get_binary())
    last = int(datetime.max.replace(tzinfo=UTC).timestamp())
    until = None if not_after > last else datetime.fromtimestamp(not_after, UTC)
    return UserCertificate(key_id, authority, datetime.fromtimestamp(min(not_before, last), UTC), until)


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


class Agent(paramiko.agent.AgentSSH):  # type: ignore[misc]
    """A conversation with the agent that ends: paramiko's own waits for a hung agent for ever."""

    def __init__(self, path: str, deadline: Deadline) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(min(_LIST_SECONDS, deadline.left()) or 0.1)
            connection.connect(path)
            self._connect(connection)
            connection.settimeout(deadline.left() or 0.1)  # a person may have to confirm each signature
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        self._close()

    def _send_message(self, msg: Any) -> Any:
        try:
            return super()._send_message(msg)
        except OSError as error:
            raise paramiko.SSHException(f"the SSH agent does not answer ({error.strerror or error})") from None


def find_key(host: Host, agent_socket: str, deadline: Deadline) -> tuple[Any, UserCertificate | None, str, Agent]:
    """The one key of the agent that the plan names, by `SHA256:` fingerprint or by its `.pub` file, its certificate,
    its fingerprint, and the open agent. `agent_socket`: empty for SSH_AUTH_SOCK. Raises CannotAsk."""
    wanted = host.agent
    mark = wanted if wanted.startswith("SHA256:") else _fingerprint_of(local_path(wanted))
    path = agent_socket or os.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        raise CannotAsk(Reason.NO_AGENT, "no SSH agent: SSH_AUTH_SOCK is not set")
    try:
        agent = Agent(path, deadline)
    except (OSError, paramiko.SSHException) as error:
        raise CannotAsk(Reason.NO_AGENT, f"SSH agent at {path}: {one_line(str(error))}") from None
    found = [key for key in agent.get_keys() if fingerprint(_plain(key.blob)) == mark.rstrip("=")]
    certificates = [(key, read_certificate(key.blob)) for key in found if _is_certificate(key.blob)]
    certificates.sort(key=lambda pair: pair[1].holds_at(now()), reverse=True)
    plain = next((key for key in found if not _is_certificate(key.blob)), None)
    for key, certificate in certificates:  # first, as ssh offers them
        if plain is None or certificate.holds_at(now()):
            key.inner_key = None  # else paramiko would offer and sign with the key that is certified
            return key, certificate, mark, agent
    if plain is not None:
        beside = Path(os.devnull) if wanted.startswith("SHA256:") else local_path(wanted).with_suffix("")
        return plain, certify(plain, beside, host.certificate), mark, agent
    agent.close()
    raise CannotAsk(Reason.NOT_IN_AGENT, f"the SSH agent holds {len(agent.get_keys())} keys, but not {mark}")


def _plain(blob: bytes) -> bytes:
    """The public key in a certificate (its nonce and what follows the key left out); any other key as it is."""
    if not _is_certificate(blob):
        return blob
    begin = paramiko.Message(blob)
    name, _nonce = begin.get_text(), begin.get_binary()
    plain = paramiko.Message()
    plain.add_string(name.removesuffix(_CERTIFICATE))
    key = blob[len(begin.get_so_far()) : len(_behind_key(blob).get_so_far())]
    return bytes(plain.asbytes()) + key


def _is_certificate(blob: bytes) -> bool:
    return bool(paramiko.Message(blob).get_text().endswith(_CERTIFICATE))


def _behind_key(blob: bytes) -> Any:
    """A certificate, read up to the end of the key in it."""
    message = paramiko.Message(blob)
    name, _nonce = message.get_text(), message.get_binary()
    for _ in range(1 if "ed25519" in name else 2):
        message.get_binary()
    return message


def _fingerprint_of(path: Path) -> str:
    try:
        fields = path.read_text(encoding="utf-8", errors="replace").split()
    except OSError as error:
        raise CannotAsk(Reason.KEY_FILE, f"public key {path}: {error.strerror}") from None
    key = PublicKey.parse(fields[0], fields[1]) if len(fields) > 1 else None
    if key is None:
        raise CannotAsk(Reason.KEY_FILE, f"{path} holds no public key")
    return key.fingerprint
