"""SSH servers that do not do what they should. Each ends with its context."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import paramiko
from paramiko.common import AUTH_SUCCESSFUL, OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED, OPEN_SUCCEEDED

Behaviour = Callable[[socket.socket, threading.Event], None]
BANNER = b"SSH-2.0-Misbehaving_1.0\r\n"


@contextmanager
def serving(behaviour: Behaviour, address: str = "127.0.0.1") -> Iterator[int]:
    """The port of a server that treats each connection with `behaviour(connection, over)`, in a thread of its own."""
    over = threading.Event()
    server = socket.create_server((address, 0), backlog=64)

    def treat(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, EOFError):
            behaviour(connection, over)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=treat, args=(connection,), name="fake-connection", daemon=True).start()

    threading.Thread(target=accept, name="fake-server", daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        over.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def silent(connection: socket.socket, over: threading.Event) -> None:
    """Accepts and never speaks."""
    over.wait()


def banner_only(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(BANNER)
    over.wait()


def dripping_banner(connection: socket.socket, over: threading.Event) -> None:
    """One byte at a time, so that every single read is in time."""
    for byte in BANNER * 100:
        if over.wait(0.1):
            return
        connection.sendall(bytes([byte]).replace(b"\n", b"x"))


def endless_preface(connection: socket.socket, over: threading.Event) -> None:
    while not over.wait(0.1):
        connection.sendall(b"please wait\r\n")


def hanging_up(connection: socket.socket, over: threading.Event) -> None:
    """What a throttling sshd does."""
    connection.sendall(b"Exceeded MaxStartups\r\n")


def web_server(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def hanging_up_after_banner(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(BANNER)
    connection.recv(100)


class _Stalling(paramiko.Transport):
    """Sends its KEXINIT and goes silent."""

    def _parse_kex_init(self, m: Any) -> None:
        self.over.wait()
        raise EOFError

    over: threading.Event


def stalling_key_exchange(connection: socket.socket, over: threading.Event) -> None:
    transport = _Stalling(connection)
    transport.over = over
    _serve(transport, paramiko.ServerInterface(), over)


class Server(paramiko.ServerInterface):
    """Accepts everybody and every channel, and hangs where it is told to."""

    def __init__(self, over: threading.Event, hang_in: str) -> None:
        self._over = over
        self._hang_in = hang_in

    def _hang(self, place: str) -> None:
        if self._hang_in == place:
            self._over.wait()

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        self._hang("auth")
        return AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self._hang("channel")
        if self._hang_in == "no-channel":
            return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._hang("exec")
        if self._hang_in == "cut":
            threading.Timer(0.2, channel.get_transport().close).start()
        if self._hang_in == "reset":
            threading.Timer(0.2, _reset, (channel.get_transport().sock,)).start()
        if self._hang_in == "no-status":
            threading.Thread(target=_close_once_told, args=(channel,), daemon=True).start()
        return self._hang_in != "no-exec"


def hanging_in(place: str) -> Behaviour:
    """`auth`, `channel`, `exec`, `output` (accepts the command and says nothing), `cut` (breaks off after it),
    `reset` (the same with a TCP reset), `no-status` (closes the channel without a word), `no-exec`, `no-channel`
    (refuses)."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        _serve(paramiko.Transport(connection), Server(over, place), over)

    return behave


def _close_once_told(channel: paramiko.Channel) -> None:
    """Once the command's input arrives: that the command runs has been said by then."""
    channel.recv(1)
    channel.close()


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Asking(paramiko.ServerInterface):
    """Lets in who answers these prompts, one after another, whatever the answers are; keeps them."""

    def __init__(self, prompts: list[str], *, shown: bool = False) -> None:
        """`shown`: what is typed is to be."""
        self._prompts = list(prompts)
        self._shown = shown
        self.instructions = ""
        self.answers: list[str] = []
        self.users: list[str] = []

    def get_allowed_auths(self, username: str) -> str:
        self.users.append(username)
        return "keyboard-interactive"

    def check_auth_interactive(self, username: str, submethods: str) -> paramiko.InteractiveQuery:
        return paramiko.InteractiveQuery("", self.instructions, (self._prompts.pop(0), self._shown))

    def check_auth_interactive_response(self, responses: list[str]) -> int | paramiko.InteractiveQuery:
        self.answers += responses
        return self.check_auth_interactive("", "") if self._prompts else AUTH_SUCCESSFUL


def asking(server: Asking) -> Behaviour:
    return lambda connection, over: _serve(paramiko.Transport(connection), server, over)


class _Windows(Server):
    """OpenSSH for Windows: hands each command to the shell of the machine, which knows no Unix program."""

    def __init__(self, over: threading.Event, complaint: str) -> None:
        super().__init__(over, "")
        self._complaint = complaint.replace("\n", "\r\n").encode()

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        def complain() -> None:
            with contextlib.suppress(OSError, EOFError):
                channel.recv(1)  # the request was answered: only then the client writes
                channel.sendall_stderr(self._complaint)
                channel.send_exit_status(1)
                channel.close()

        threading.Thread(target=complain, name="fake-shell", daemon=True).start()
        return True


def windows(complaint: str) -> Behaviour:
    """Says of every command what cmd.exe or PowerShell says of a program that is not there."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        transport = paramiko.Transport(connection)
        transport.local_version = "SSH-2.0-OpenSSH_for_Windows_9.5"
        _serve(transport, _Windows(over, complaint), over)

    return behave


_HOST_KEY = paramiko.ECDSAKey.generate()
HOST_KEY_FIELDS = f"{_HOST_KEY.get_name()} {_HOST_KEY.get_base64()}"


def _serve(transport: paramiko.Transport, server: paramiko.ServerInterface, over: threading.Event) -> None:
    transport.name = "fake-transport"
    transport.add_server_key(_HOST_KEY)
    with contextlib.suppress(paramiko.SSHException):
        transport.start_server(server=server, event=threading.Event())
    over.wait()
    transport.close()
    transport.packetizer.complete_handshake()  # else its timer lives on
