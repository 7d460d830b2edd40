"""The demo's PostgreSQL: a scratch server that listens on loopback too, with TLS and a password for everybody."""

import secrets
import shutil
import socket
from pathlib import Path

from preflight.demo.health_app import SERVER_CERTIFICATE, SERVER_KEY
from preflight.rehearsal import ScratchError
from preflight.rehearsal.account import Account
from preflight.rehearsal.server import ScratchServer

_ATTEMPTS = 5
_NO_TLS = "SSL is not supported by this build"
_HBA = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "64MB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "cluster_name": "preflight-demo",
    "ssl": "on",
}


class Postgres(ScratchServer):
    """One running server: SCRAM passwords for everybody, thrown away with its folder."""

    address = "127.0.0.1"

    def __init__(self, programs: Path, folder: Path, sockets: Path, account: Account) -> None:
        """See `ScratchServer`. Raises ScratchError."""
        self._password = secrets.token_urlsafe(16)
        environment = {"PGPASSWORD": self._password}
        super().__init__(programs, folder, sockets, account, settings=_SETTINGS, hba=_HBA, environment=environment)

    @property
    def tls(self) -> bool:
        return self._settings["ssl"] == "on"

    def _initialise(self, hba: str, *arguments: str) -> None:
        password = self._folder / "password"
        password.write_text(self._password)
        self._account.give(password)
        super()._initialise(hba, "--auth=scram-sha-256", f"--pwfile={password}", *arguments)
        password.unlink()
        for source, name in ((SERVER_CERTIFICATE, "server.crt"), (SERVER_KEY, "server.key")):
            target = self._data / name
            shutil.copyfile(source, target)
            target.chmod(0o600)
            self._account.give(target)

    def _try_start(self) -> None:
        """Starts on a free port; again when somebody took it, and without TLS when the build has none."""
        for left in reversed(range(_ATTEMPTS)):
            with socket.create_server((self.address, 0)) as listener:
                self._settings["port"] = str(listener.getsockname()[1])
            try:
                return super()._try_start()
            except ScratchError as error:
                self.stop()
                without_tls = _NO_TLS in str(error) and self.tls
                if not left or not (without_tls or "could not bind" in str(error)):
                    raise
                self.log.unlink(missing_ok=True)
                self._settings["ssl"] = "off" if without_tls else self._settings["ssl"]
        return None
