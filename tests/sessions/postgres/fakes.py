"""Servers on PostgreSQL's port that misbehave, and a forwarder with the methods of an SSH channel."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from preflight.clock import Deadline

Serve = Callable[[socket.socket], None]


@contextmanager
def fake_server(serve: Serve) -> Iterator[tuple[int, list[int]]]:
    """A server that runs `serve` on every connection, and the ports its clients came from."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []
    clients: list[int] = []

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            serve(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, peer = listener.accept()
                accepted.append(connection)
                clients.append(peer[1])
                threading.Thread(target=one, args=(connection,), name="fake-one", daemon=True).start()

    thread = threading.Thread(target=accept, name="fake-accept", daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1]), clients
    finally:
        for sock in (listener, *accepted):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        thread.join(3)


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def says(answer: bytes) -> Serve:
    """In answer to the first packet, and nothing more."""

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)
        silent(connection)

    return serve


def speaks_ssh(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    silent(connection)


def speaks_http(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def closes(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.close()


def refuses(severity: str, sqlstate: str, message: str, routine: str) -> Serve:
    """Refuses every startup packet with an ErrorResponse in any language."""

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        fields = (("S", severity), ("V", "FATAL"), ("C", sqlstate), ("M", message), ("R", routine))
        body = b"".join(key.encode() + value.encode() + b"\0" for key, value in fields) + b"\0"
        connection.sendall(b"E" + struct.pack("!I", len(body) + 4) + body)
        connection.recv(4096)
        connection.close()

    return serve


def asks_for_clear_text(received: list[bytes]) -> Serve:
    """Asks for the password as it is, then refuses it with a message that repeats it."""

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"R" + struct.pack("!II", 8, 3))
        packet = connection.recv(4096)
        received.append(packet)
        if packet:
            said = packet[5:].rstrip(b"\0").decode()
            body = f"SFATAL\0VFATAL\0C28P01\0Mno, {said} is wrong\0Rauth_failed\0\0".encode()
            connection.sendall(b"E" + struct.pack("!I", len(body) + 4) + body)

    return serve


def fills_the_trace(connection: socket.socket) -> None:
    connection.recv(4096)
    body = b"SNOTICE\0C00000\0M" + b"x" * 8000 + b"\0\0"
    packet = b"N" + struct.pack("!I", len(body) + 4) + body
    while True:
        connection.sendall(packet * 16)


class FakeChannel:
    """A TCP connection with the methods of a channel."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.recv = sock.recv
        self.sendall = sock.sendall
        self.settimeout = sock.settimeout

    def shutdown_write(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


class Forwarder:
    """Opens channels like `SshPool.open_channel`, and remembers what for."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, str, int]] = []
        self.channels: list[FakeChannel] = []

    def __call__(self, host_id: str, address: str, port: int, deadline: Deadline) -> FakeChannel:
        self.opened.append((host_id, address, port))
        channel = FakeChannel(socket.create_connection((address, port), timeout=deadline.left()))
        channel.settimeout(None)
        self.channels.append(channel)
        return channel
