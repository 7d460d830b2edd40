"""The peer: bare paramiko, fifty hosts at a time, one script a host. Run by `many_hosts`; reads `address port` lines.

What paramiko costs when it is driven as well as it can be: a ready socket without delayed acknowledgements, known_hosts
and the key read once, an AEAD cipher, no client object. Prints how many hosts answered."""

from __future__ import annotations

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import paramiko


class PromptSocket:
    """Acknowledges at once, and sends small messages at once."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def recv(self, size: int) -> bytes:
        received = self._socket.recv(size)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return received

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def answer(place: str, user: str, key: paramiko.PKey, known: paramiko.HostKeys, script: str) -> bytes:
    address, port = place.split()
    transport = paramiko.Transport(PromptSocket(socket.create_connection((address, int(port)), timeout=30)))  # type: ignore[arg-type]
    try:
        transport.get_security_options().ciphers = ("aes128-gcm@openssh.com",)  # type: ignore[assignment]
        transport.start_client(timeout=30)
        pinned = known.lookup(f"[{address}]:{port}")
        if pinned is None or transport.get_remote_server_key() not in pinned.values():
            raise SystemExit(f"another host key at {place}")
        transport.auth_publickey(user, key)
        channel = transport.open_session()
        channel.exec_command(script)
        return channel.makefile().read()
    finally:
        transport.close()


def main(listed: str, user: str, key_file: str, known_hosts: str, script: str) -> None:
    key, known = paramiko.Ed25519Key.from_private_key_file(key_file), paramiko.HostKeys(known_hosts)
    text = Path(script).read_text()
    with ThreadPoolExecutor(50) as pool:
        answers = pool.map(lambda place: answer(place, user, key, known, text), Path(listed).read_text().splitlines())
        print(sum(map(bool, answers)))


if __name__ == "__main__":
    main(*sys.argv[1:])
