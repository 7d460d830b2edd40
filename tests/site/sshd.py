"""A real OpenSSH server on loopback: PAM on, own host keys, stock limits."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

from tests.site.accounts import make_key
from tests.site.machine import Server, free_port, needs, needs_root, run
from tests.site.netns import Namespace

SSH_PORT = 22
_ATTEMPTS = 5


class Sshd:
    """One sshd. Accounts log in with the keys in `authorized_keys` or with their passwords."""

    def __init__(
        self,
        directory: Path,
        authorized_keys: Path,
        *,
        address: str = "127.0.0.1",
        options: Mapping[str, str] | None = None,
        key_types: tuple[str, ...] = ("ed25519",),
        namespace: Namespace | None = None,
        program: Path | None = None,
    ) -> None:
        """`options` are lines of sshd_config(5) that go before the site's own, so that they win. In a `namespace` it
        listens on the standard port. `program`: a link to sshd, whose name is that of its PAM service."""
        needs_root("log in to other accounts through sshd")
        # Without it sshd ends with "Missing privilege separation directory"; Debian's unit makes it at start.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        directory.mkdir(parents=True)
        self.address = address
        self.host_keys = tuple(make_key(directory / f"host_{kind}", kind=kind) for kind in key_types)
        self._directory = directory
        self._authorized_keys = authorized_keys
        self._options = dict(options or {})
        self._namespace = namespace
        self._program = program or needs("sshd")
        self.port = 0
        self._server = self._start()

    @property
    def pid(self) -> int:
        return self._server.pid

    def sessions(self) -> list[int]:
        """Process ids of its connections."""
        return [int(each) for each in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    @property
    def log(self) -> str:
        return self._server.log

    @property
    def whole_log(self) -> str:
        """The log with everything written so far: it arrives in order, so a line of our own is waited for."""
        start = len(self.log)  # an earlier connection may have had the same port
        with socket.create_connection((self.address, self.port)) as connection:
            self.wait_for_log(f"port {connection.getsockname()[1]} on {self.address}", start)
        return self.log

    def wait_for_log(self, text: str, start: int = 0) -> None:
        assert self._server.wait_for_log(text, start=start), f"sshd ended:\n{self.log}"

    def known_hosts_lines(self, name: str = "") -> str:
        """known_hosts lines that pin every host key under `name`, by default the address with its port."""
        name = name or (self.address if self.port == SSH_PORT else f"[{self.address}]:{self.port}")
        public = (key.with_suffix(".pub").read_text().split() for key in self.host_keys)
        return "".join(f"{name} {words[0]} {words[1]}\n" for words in public)

    def known_hosts(self, file: Path) -> Path:
        """Writes `known_hosts_lines` to `file`."""
        file.write_text(self.known_hosts_lines())
        return file

    def fingerprint(self) -> str:
        """`SHA256:...` of the first host key, as `ssh-keygen -l` prints it."""
        return run(needs("ssh-keygen"), "-l", "-f", self.host_keys[0].with_suffix(".pub")).stdout.split()[1]

    def close(self) -> None:
        self._server.stop()

    def _start(self) -> Server:
        for _ in range(_ATTEMPTS):
            self.port = free_port(self.address) if self._namespace is None else SSH_PORT
            configuration = self._directory / "sshd_config"
            configuration.write_text(self._configuration())
            argv = [self._program, "-D", "-e", "-f", configuration]
            server = Server(argv if self._namespace is None else self._namespace.enter(argv), cwd=self._directory)
            if server.wait_for_log("Server listening on"):
                return server
            server.stop()
            if "Address already in use" not in server.log:
                break
        raise AssertionError(f"sshd did not start:\n{server.log}")

    def _configuration(self) -> str:
        own = {
            "Port": str(self.port),
            "ListenAddress": self.address,
            "PidFile": str(self._directory / "sshd.pid"),
            "AuthorizedKeysFile": f"{self._authorized_keys}/%u",
            "StrictModes": "no",
            "UsePAM": "yes",
            "PasswordAuthentication": "yes",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "no",
            "UseDNS": "no",
            "PrintMotd": "no",
            "LogLevel": "VERBOSE",
            # It costs the real ssh a tenth of a second of computing for each connection.
            "KexAlgorithms": "-sntrup761x25519-sha512*",
            "Subsystem": "sftp internal-sftp",
        }
        lines = [f"HostKey {key}" for key in self.host_keys]
        lines += [f"{key} {value}" for key, value in {**self._options, **own, **self._options}.items()]
        return "\n".join(lines) + "\n"
