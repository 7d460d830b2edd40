"""An SSH server in this program, on paramiko's server mode: it takes one login and really executes commands.

It stands for one host of the demo. The protocol, the login and the commands are real; only the machine is shared."""

import contextlib
import hmac
import logging
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED, OPEN_SUCCEEDED

from preflight.demo import LoopbackServer
from preflight.rehearsal.account import Account

_BLOCK_BYTES = 32 * 1024
_LOG = "preflight.demo.ssh"
_LOGIN_SECONDS = 20.0
_KILL_SECONDS = 5.0
_HUNG_UP = (OSError, EOFError, paramiko.SSHException)
"""What paramiko raises when the client is gone; no fault of the server's."""


@dataclass(frozen=True)
class Login:
    """The one login a host accepts: a password, a key, or both."""

    user: str
    password: str = field(default="", repr=False)
    key: paramiko.PKey | None = None


class SshServer(LoopbackServer):
    """One listening host; `stop` ends every connection and everything that was started over them."""

    def __init__(self, login: Login, account: Account, home: Path, environment: Mapping[str, str]) -> None:
        """`account`, `home`, `environment`: as whom and where commands run."""
        # Without a handler of its own, paramiko's log of every lost connection would end up on standard error.
        logger = logging.getLogger(_LOG)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        self.refuse_login = False
        """Whether every credential is refused, also the right one."""
        self.login, self.account, self.home, self.environment = login, account, home, environment
        self.host_key = paramiko.ECDSAKey.generate()
        self._connections: dict[Any, _Connection] = {}
        super().__init__()

    def known_hosts_line(self) -> str:
        """The line that pins the host key under address and port."""
        return f"[{self.address}]:{self.port} {self.host_key.get_name()} {self.host_key.get_base64()}\n"

    def stop(self) -> None:
        super().stop()
        for connection in list(self._connections.values()):
            connection.end()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Notes the connection before its thread begins, so that `stop` ends every one."""
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[request] = _Connection(self, request)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread."""
        try:
            with contextlib.suppress(*_HUNG_UP):
                self._connections[request].serve()
        finally:
            self._connections.pop(request).end()


class _Connection(paramiko.ServerInterface):
    """One client: its login, its channels and the commands it runs."""

    def __init__(self, server: SshServer, client: socket.socket) -> None:
        self._server, self._client = server, client
        self._commands: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._transport: paramiko.Transport | None = None

    def end(self) -> None:
        """Kills what the client started and hangs up."""
        with self._lock:
            self._closed = True
            commands = list(self._commands)
        for command in commands:
            _kill(command)
        if self._transport is not None:
            self._transport.close()
        self._client.close()

    def serve(self) -> None:
        """Until the client hangs up. Raises what paramiko does then."""
        # Before the client sends its version there is no thread of paramiko's that could end by itself.
        self._transport = transport = paramiko.Transport(self._client)
        transport.set_log_channel(_LOG)
        transport.add_server_key(self._server.host_key)
        transport.auth_timeout = _LOGIN_SECONDS
        transport.start_server(event=threading.Event(), server=self)
        transport.join()

    # What paramiko asks; the names are its own.

    def get_allowed_auths(self, username: str) -> str:
        login = self._server.login
        offered = [("publickey", login.key is not None), ("password", bool(login.password))]
        return ",".join(method for method, accepted in offered if accepted)

    def check_auth_password(self, username: str, password: str) -> int:
        login = self._server.login
        right = bool(login.password) and hmac.compare_digest(password.encode(), login.password.encode())
        return self._decide(username, right)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._decide(username, key == self._server.login.key)

    def _decide(self, username: str, right: bool) -> int:
        accepted = right and username == self._server.login.user and not self._server.refuse_login
        return AUTH_SUCCESSFUL if accepted else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel, command), name="demo-command", daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: bytes) -> None:
        """Runs one command to its end, as sshd does: status after the output, then the channel closes."""
        child = self._start_command(command)
        try:
            if child is None:
                return
            pumps = [
                threading.Thread(target=_copy_output, args=output, name="demo-output", daemon=True)
                for output in ((child.stdout, channel.sendall), (child.stderr, channel.sendall_stderr))
            ]
            threading.Thread(target=_copy_input, args=(channel, child.stdin), name="demo-input", daemon=True).start()
            for pump in pumps:
                pump.start()
            for pump in pumps:
                pump.join()
            with contextlib.suppress(*_HUNG_UP):
                channel.send_exit_status(child.wait() % 256)
        finally:
            if child is not None:
                _kill(child)
                with self._lock:
                    self._commands.discard(child)
            with contextlib.suppress(*_HUNG_UP):
                channel.close()

    def _start_command(self, command: bytes) -> subprocess.Popen[bytes] | None:
        """None when it cannot be started, or the connection has ended: nothing may start once `end` has cleared up."""
        server = self._server
        with self._lock, contextlib.suppress(OSError):
            if self._closed:
                return None
            child = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(server.environment),
                cwd=server.home,
                start_new_session=True,
                **server.account.identity,
            )
            self._commands.add(child)
            return child
        return None


def _kill(command: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(command.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        command.wait(_KILL_SECONDS)


def _copy_input(channel: paramiko.Channel, pipe: IO[bytes]) -> None:
    with contextlib.suppress(*_HUNG_UP), pipe:
        while block := channel.recv(_BLOCK_BYTES):
            pipe.write(block)
            pipe.flush()


def _copy_output(pipe: IO[bytes], send: Callable[[bytes], object]) -> None:
    """Carries one of a command's outputs to the client, and goes on reading when the client is gone."""
    with pipe:
        while block := os.read(pipe.fileno(), _BLOCK_BYTES):
            with contextlib.suppress(*_HUNG_UP):
                send(block)
