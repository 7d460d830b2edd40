"""One key of the SSH agent, by conversations with it that end."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from preflight.clock import Deadline
from preflight.reasons import Reason
from preflight.sessions import CannotAsk
from preflight.sessions.ssh.known_hosts import PublicKey, fingerprint
from preflight.sessions.ssh.transport import paramiko
from preflight.wording import one_line

_LIST_SECONDS = 2.0
_CERTIFICATE = "-cert-v01@openssh.com"


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


def find_key(wanted: str, agent_socket: str, deadline: Deadline) -> tuple[Any, str, Agent]:
    """The one key of the agent that the plan names, by `SHA256:` fingerprint or by its `.pub` file, its fingerprint,
    and the open agent. `agent_socket`: empty for SSH_AUTH_SOCK. Raises CannotAsk."""
    mark = wanted if wanted.startswith("SHA256:") else _fingerprint_of(Path(wanted).expanduser())
    path = agent_socket or os.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        raise CannotAsk(Reason.NO_AGENT, "no SSH agent: SSH_AUTH_SOCK is not set")
    try:
        agent = Agent(path, deadline)
    except (OSError, paramiko.SSHException) as error:
        raise CannotAsk(Reason.NO_AGENT, f"SSH agent at {path}: {one_line(str(error))}") from None
    found = [key for key in agent.get_keys() if fingerprint(_plain(key.blob)) == mark.rstrip("=")]
    for key in sorted(found, key=lambda key: key.blob == _plain(key.blob)):  # certificates first, as ssh offers them
        if key.blob != _plain(key.blob):
            key.inner_key = None  # else paramiko would offer and sign with the key that is certified
        return key, mark, agent
    detail = f"the SSH agent holds {len(agent.get_keys())} keys, but not {mark}"
    agent.close()
    raise CannotAsk(Reason.NOT_IN_AGENT, detail)


def _plain(blob: bytes) -> bytes:
    """The public key in a certificate (its nonce and what follows the key left out); any other key as it is."""
    message = paramiko.Message(blob)
    name = message.get_text()
    if not name.endswith(_CERTIFICATE):
        return blob
    plain = paramiko.Message()
    plain.add_string(name.removesuffix(_CERTIFICATE))
    message.get_binary()  # the nonce
    for _ in range(1 if "ed25519" in name else 2):
        plain.add_string(message.get_binary())
    return bytes(plain.asbytes())


def _fingerprint_of(path: Path) -> str:
    try:
        fields = path.read_text(encoding="utf-8", errors="replace").split()
    except OSError as error:
        raise CannotAsk(Reason.KEY_FILE, f"public key {path}: {error.strerror}") from None
    key = PublicKey.parse(fields[0], fields[1]) if len(fields) > 1 else None
    if key is None:
        raise CannotAsk(Reason.KEY_FILE, f"{path} holds no public key")
    return key.fingerprint
